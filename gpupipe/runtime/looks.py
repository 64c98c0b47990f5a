"""What a further trip looks for in few of the rows, as data: in another process it is the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.backends.indexes import KeyIndex
from gpupipe.backends.states.gathering import gather, merge
from gpupipe.backends.states.spans import Found, Spans
from gpupipe.backends.states.state import Groups, groups_of
from gpupipe.backends.states.tails import Sought
from gpupipe.backends.taking import widened
from gpupipe.columns import AnyColumn, Column, on_host
from gpupipe.compiler.bind import Output
from gpupipe.compiler.scans import REFINED

Seen = list[tuple[Any, Found | None]]  # by one look at some rows, a pair for each column looked at
#: Looks at the columns of these outputs in all partitions, and gives what was seen to the function, from any thread.
Trip = Callable[[Sequence[Output], "Look", Callable[[Seen], None]], None]


@dataclass(frozen=True, slots=True, eq=False)
class LookAt:
    """What is sought in one column, as data.

    Attributes:
        value, keys: the places of the column and its keys among those that the trip computes.
        groups: the keys of the groups that are known, whose numbers are told of; none: all rows are in one.
        both: where anything is sought; None: `spans` alone say.
        spans, aside: where values are told, and where rows are told for their sums.
    """

    value: int
    keys: tuple[int, ...]
    groups: list[Column]
    both: Spans | None
    spans: Spans | None
    aside: Sought | None

    def ready(self) -> Callable[[Sequence[AnyColumn], Groups], tuple[Any, Found | None]]:
        """(the columns, the groups of their rows) -> what was found."""
        index = KeyIndex(self.groups) if self.groups else None

        def found(columns: Sequence[AnyColumn], by: Groups) -> tuple[Any, Found | None]:
            group_of = np.zeros(1, np.int64) if index is None else index.find(by.keys)
            column = columns[self.value]
            column, by = (column, by) if self.both is None else self.both.part_of(column, by)
            aside = None if self.aside is None else self.aside.found(column, by, group_of)
            return aside, None if self.spans is None else self.spans.found(column, by, group_of)

        return found

    def merged(self, parts: Sequence[tuple[Any, Found | None]]) -> tuple[Any, Found | None]:
        """What was found in several parts of the rows."""
        asides = [aside for aside, _ in parts if aside is not None]
        found = [part for _, part in parts if part is not None]
        aside = None if not asides or self.aside is None else self.aside.merged(asides)
        return aside, None if not found or self.spans is None else self.spans.merged(found)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a trip looks for, as data: in another process it is the same."""

    each: tuple[LookAt, ...]

    def ready(self) -> Callable[[Sequence[AnyColumn], list[Column], int], Seen]:
        """(the columns, the last key if states have one besides their own, how many rows) -> what was seen."""
        ready = [one.ready() for one in self.each]

        def look(columns: Sequence[AnyColumn], last: list[Column], n_rows: int) -> Seen:
            groups = {
                keys: groups_of([widened(on_host(columns[place])) for place in keys] + last, n_rows)
                for keys in dict.fromkeys(one.keys for one in self.each)
            }
            return [found(columns, groups[one.keys]) for one, found in zip(self.each, ready, strict=True)]

        return look

    def merged(self, seen: Sequence[Seen]) -> Seen:
        """What was seen in several parts of the rows."""
        return [one.merged(parts) for one, parts in zip(self.each, zip(*seen, strict=True), strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Bins(Look):
    """How many values of the columns at these places lie in each bin: order states, of rows in one group."""

    places: tuple[int, ...]

    def ready(self) -> Callable[[Sequence[AnyColumn], list[Column], int], Seen]:
        """As of any look."""

        def look(columns: Sequence[AnyColumn], last: list[Column], n_rows: int) -> Seen:
            held = [widened(on_host(column)) for column in columns]
            return [(gather(REFINED, held[place], groups_of([], n_rows)), None) for place in self.places]

        return look

    def merged(self, seen: Sequence[Seen]) -> Seen:
        """As of any look."""
        return [(merge([state for state, _ in parts]), None) for parts in zip(*seen, strict=True)]
