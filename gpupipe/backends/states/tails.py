"""A column's sums by where its rows lie among the values at the ranks asked for: what clipping by quantiles changes.

A quantile lies between two neighbouring values that were settled. So all rows between two such, whichever they are, lie
on the same side of it, and are clipped or not together. The trip that settles the quantiles sums the rows aside from
their bins, but for where most rows lie, which is what is left of all rows' sum.
"""

from collections.abc import Callable

import numpy as np

from gpupipe.backends.states.gathering import regroup, with_rows
from gpupipe.backends.states.integers import total
from gpupipe.backends.states.moments import TAILS, negated
from gpupipe.backends.states.settling import Settling
from gpupipe.backends.states.spans import Spans
from gpupipe.backends.states.state import Arrays, Groups, State
from gpupipe.columns import AnyColumn, Column, Values
from gpupipe.errors import InternalError
from gpupipe.kernels.reference import radix
from gpupipe.schema import Float64


class Tails:
    """Takes apart a state of kind ``tails``, in the last trip that settles quantiles of the same column.

    Args:
        settling: the column's order state, but for that trip.
        whole: the state.
    """

    def __init__(self, settling: Settling, whole: State) -> None:
        self._settling, self._whole, self._size = settling, whole, whole.n_groups
        self._aside = settling.aside()
        self._rows = _rows_in(self._aside, settling)
        self._others = np.delete(np.arange(len(self._rows)), self._rows.argmax()) if len(self._rows) else self._rows
        self._summed = Spans(self._aside.low[self._others], self._aside.high[self._others])
        self._parts: list[Arrays] = []

    @property
    def needs_rows(self) -> bool:
        """Whether rows must be summed."""
        return len(self._others) > 0

    def found(self, column: AnyColumn, by: Groups, group_of: Values) -> Arrays | None:
        """What a partition's column adds, as :meth:`Spans.found` has it; None for nothing."""
        if not self.needs_rows:
            return None
        rows, found = self._summed.rows_in(column, by)
        groups = np.zeros(len(rows), np.int64) if by.of_row is None else group_of[by.of_row[rows]]
        values = found.astype(np.float64)
        at, _ = self._summed.places(radix.ordered_bits(values))
        return self._update(values, at * self._size + groups, len(self._others), None)

    def add(self, part: Arrays) -> None:
        """Take in what was found in a partition; from any thread."""
        self._parts.append(part)

    def _update(self, values: Values, places: Values, parts: int, times: Values | None) -> Arrays:
        return TAILS.update(Column(Float64, values), places, parts * self._size, times)

    def state(self) -> State:
        """The state with one more key, the first: the least value of a run of rows that a quantile cannot divide.

        Raises:
            InternalError: these are not the rows that the state saw.
        """
        exact, size = np.unique(self._settling.exact.astype(np.float64)), self._size
        values, groups, counts = self._at_hand()
        begin = radix.floats_of(self._aside.low)
        runs, of_aside, n_runs = _run(values, exact), _run(begin, exact), 2 * len(exact) + 1
        each = np.arange(size)
        parts = [self._update(values, runs * size + groups, n_runs, counts)]
        places = [np.arange(n_runs * size)]
        for part in self._parts:
            parts.append(part)
            places.append((of_aside[self._others, None] * size + each).ravel())
        if len(self._rows):
            rest = self._rest(TAILS.stack(parts), np.concatenate(places))
            parts.append(rest)
            places.append(of_aside[self._rows.argmax()] * size + each)
        least = np.full(n_runs, np.inf)
        np.minimum.at(least, np.concatenate([runs, of_aside]), np.concatenate([values, begin]))
        return self._keyed(TAILS.combine(TAILS.stack(parts), np.concatenate(places), n_runs * size), least)

    def _at_hand(self) -> tuple[Values, Values, Values]:
        """The values of rows not aside, their groups, and how many there are: all of them are known."""
        known = self._settling.known
        values = known.values.astype(np.float64)
        rows = ~self._aside.holds(radix.ordered_bits(values))
        return values[rows], known.groups[rows], known.counts[rows]

    def _rest(self, arrays: Arrays, place: Values) -> Arrays:
        """What is left of all rows without these: of each group."""
        both = TAILS.stack([self._whole.arrays, negated(arrays)])
        groups = np.concatenate([np.arange(self._size), place % self._size])
        rest = TAILS.combine(both, groups, self._size)
        if rest["n"].sum() != self._rows.max():
            raise InternalError("The rows changed between two trips over them. Please report this.")
        return rest

    def _keyed(self, arrays: Arrays, least: Values) -> State:
        used = np.flatnonzero(arrays["n"])
        keys = [Column(Float64, least[used // self._size]), *(key.take(used % self._size) for key in self._whole.keys)]
        taken = {name: array[used] for name, array in arrays.items()}
        return State(TAILS.name, keys, taken["n"], taken)


def clipped(state: State, clip: Callable[[Column], Column]) -> State:
    """The state of all rows, each clipped, from one taken apart by :class:`Tails` (and by nothing else).

    Args:
        clip: what becomes of values, in rows that all lie on the same side of its bounds.
    """
    least = state.keys[0]
    none = np.zeros(state.n_groups, np.int64)
    if not state.n_groups:
        return regroup(state, [], none)
    values = clip(least)
    moved = values.values != least.values
    kept = regroup(state, [], none, ~moved)
    return with_rows(kept, values.take(np.flatnonzero(moved)), state.arrays["n"][moved], none[moved])


def _rows_in(spans: Spans, settling: Settling) -> Values:
    """int64 of shape (spans,): how many rows lie in each."""
    known = settling.known
    if not len(spans.low):
        return np.zeros(0, np.int64)
    at, inside = spans.places(radix.ordered_bits(known.values))
    return total(known.counts[inside], at[inside], len(spans.low))


def _run(values: Values, exact: Values) -> Values:
    """The number of the run of values that each lies in: one of `exact`, or between two of them."""
    return 2 * np.searchsorted(exact, values, side="left") + np.isin(values, exact)
