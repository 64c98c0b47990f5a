"""What a state is: named arrays, a row a group. Its kind says how it is gathered and combined."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.backends import keys as grouping
from gpupipe.columns import Column, Values

Arrays = dict[str, Values]


def stacked_arrays(parts: Sequence[Arrays]) -> Arrays:
    """The arrays of several states one below the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True, slots=True)
class StateKind:
    """How one kind of state is gathered and combined. All of it is exact: no order of parts shows in a result.

    Attributes:
        name: its name in the table of reductions.
        update: (values of valid rows, their groups, number of groups, how often each value counts; None: once;
            how many values each group has; None: that is to be counted) -> arrays.
        combine: (arrays, the new group of each row, number of groups) -> arrays.
        invertible: whether a part can be taken out again by subtraction, to the bit.
        stack: puts the arrays of several states one below the other.
        entries: of a kind that keeps entries: (values of valid rows, their groups, how often each counts) -> entries.
    """

    name: str
    update: Callable[..., Arrays]
    combine: Callable[[Arrays, Values, int], Arrays]
    invertible: bool
    stack: Callable[[Sequence[Arrays]], Arrays] = stacked_arrays
    entries: Callable[[Column, Values, Values | None], "Entries"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Distinct values of groups and how often each occurs.

    Attributes:
        values: the distinct values, a row an entry.
        groups: int64, the group of each entry.
        counts: int64, how many rows of the group have it.
        in_order: whether they stand by group, then by value (``values.in_order`` puts them so).
    """

    values: Column
    groups: Values
    counts: Values
    in_order: bool = True

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, chosen: Values) -> "Entries":
        """The given entries, in the order given."""
        return Entries(self.values.take(chosen), self.groups[chosen], self.counts[chosen], in_order=False)


@dataclass(slots=True, eq=False)
class State:
    """The state of one column over some rows.

    Attributes:
        kind: its kind.
        keys: the groups' keys (none: one group), sorted.
        rows: int64, the number of rows of each group, nulls included.
        arrays: the kind's arrays over groups.
        entries: of a kind that keeps them: the distinct values of each group.
        numbering: what the groups are the numbers of, whose only key they then are (`numbered.Numbering`); a group may
            have no row. None: they are the groups of the keys themselves.
    """

    kind: str
    keys: list[Column]
    rows: Values
    arrays: Arrays
    entries: Entries | None = None
    numbering: Any = None

    @property
    def n_groups(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Rows of a partition by group.

    Attributes:
        of_row: int64 group of each row, -1 where a key is NaN; None: all rows are one group.
        keys: the groups' keys, sorted, nulls last; none for one group.
        rows: int64, how many rows each group has.
        numbering: as of the states that are gathered by them.
    """

    of_row: Values | None
    keys: list[Column]
    rows: Values
    numbering: Any = None


def groups_of(keys: list[Column], n_rows: int) -> Groups:
    """The groups that `keys` make of `n_rows` rows. States with the same keys share them."""
    if not keys:
        return Groups(None, [], np.array([n_rows]))
    of_row, uniques = grouping.factorize(keys)
    known = of_row[of_row >= 0] if len(of_row) and of_row.min() < 0 else of_row
    return Groups(of_row, uniques, np.bincount(known, minlength=len(uniques[0])).astype(np.int64))
