"""A column's sums by where its rows lie among the values at the ranks asked for: what clipping by quantiles changes.

A quantile lies between two neighbouring values that were settled. So all rows between two such, whichever they are, lie
on the same side of it, and are clipped or not together. The trip that settles the quantiles sums the rows aside from
their bins, but for where most rows lie, which is what is left of all rows' sum.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpupipe.backends.states.gathering import regroup, with_rows
from gpupipe.backends.states.integers import distinct, total
from gpupipe.backends.states.moments import TAILS, negated
from gpupipe.backends.states.settling import Settling, run_of
from gpupipe.backends.states.spans import Spans
from gpupipe.backends.states.state import Arrays, Groups, State, groups_of
from gpupipe.columns import AnyColumn, Column, Values
from gpupipe.errors import InternalError
from gpupipe.kernels.reference import radix
from gpupipe.schema import Float64

Aside = tuple[Values, Values]  # values, and the span and group of each as one number
_AT_ONCE = 2**14  # so many are summed together


class Sought(Protocol):
    """Finds rows of a column by where they lie, for their sums; data alone."""

    def found(self, column: AnyColumn, by: Groups, group_of: Values) -> Any:
        """What a partition's column holds there."""

    def merged(self, parts: Sequence[Any]) -> Any:
        """What several partitions hold."""


@dataclass(frozen=True, slots=True, eq=False)
class RowsAside:
    """The rows in some spans, of any of `size` groups."""

    spans: Spans
    size: int

    def found(self, column: AnyColumn, by: Groups, group_of: Values) -> Aside:
        """The values, and span and group of each as one number, as narrow as they are."""
        rows, values = self.spans.rows_in(column, by)
        places = self.spans.places(radix.ordered_bits(values.astype(np.float64)))[0]
        if by.of_row is not None:
            return values, places * self.size + group_of[by.of_row[rows]]
        return values, (places * self.size).astype(np.min_scalar_type(len(self.spans.low) * self.size))

    def merged(self, parts: Sequence[Aside]) -> Aside:
        """What several partitions hold."""
        return np.concatenate([values for values, _ in parts]), np.concatenate([places for _, places in parts])


@dataclass(frozen=True, slots=True, eq=False)
class RowsDivided:
    """The sums of the rows in each of some spans, all of one group."""

    spans: Spans

    def found(self, column: AnyColumn, _: Groups, group_of: Values) -> Arrays:
        """The sums of each span."""
        values = self.spans.rows_in(column, groups_of([], 0))[1].astype(np.float64)
        places = self.spans.places(radix.ordered_bits(values))[0]
        return TAILS.update(Column(Float64, values), places, len(self.spans.low), None)

    def merged(self, parts: Sequence[Arrays]) -> Arrays:
        """The sums of several partitions."""
        n = len(self.spans.low)
        return TAILS.combine(TAILS.stack(parts), np.tile(np.arange(n), len(parts)), n)


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
        self._waiting: list[Aside] = []
        self._parts: list[Arrays] = []
        self._lock = threading.Lock()

    @property
    def needs_rows(self) -> bool:
        """Whether rows must be summed."""
        return len(self._others) > 0

    def near(self, spans: Spans) -> Spans | None:
        """Where rows are to be summed, and where these spans lie; None: nowhere else."""
        return spans.beside(self._summed) if self.needs_rows else None

    @property
    def sought(self) -> RowsAside | None:
        """What is to be found of each partition; None for nothing."""
        return RowsAside(self._summed, self._size) if self.needs_rows else None

    def add(self, part: Aside) -> None:
        """Take in what was found in a partition; from any thread."""
        with self._lock:
            self._waiting.append(part)
            if sum(len(values) for values, _ in self._waiting) < _AT_ONCE:
                return
            taken, self._waiting = self._waiting, []
        self._parts.append(self._sums(taken))

    def _sums(self, parts: list[Aside]) -> Arrays:
        values, places = (np.concatenate(each) for each in zip(*parts, strict=True))
        return self._update(values.astype(np.float64), places.astype(np.int64), len(self._others), None)

    def _update(self, values: Values, places: Values, parts: int, times: Values | None) -> Arrays:
        return TAILS.update(Column(Float64, values), places, parts * self._size, times)

    def state(self) -> State:
        """The state with two more keys, the first ones: between which values a run of rows lies.

        A quantile of the rows themselves divides no run.

        Raises:
            InternalError: these are not the rows that the state saw.
        """
        if self._waiting:
            self._parts.append(self._sums(self._waiting))
        exact, size = distinct(self._settling.exact.astype(np.float64)), self._size
        values, groups, counts = self._at_hand()
        begin = radix.floats_of(self._aside.low)
        runs, of_aside, n_runs = run_of(values, exact), run_of(begin, exact), 2 * len(exact) + 1
        each = np.arange(size)
        parts = [self._update(values, runs * size + groups, n_runs, None if (counts == 1).all() else counts)]
        places = [np.arange(n_runs * size)]
        for part in self._parts:
            parts.append(part)
            places.append((of_aside[self._others, None] * size + each).ravel())
        if len(self._rows):
            rest = self._rest(TAILS.stack(parts), np.concatenate(places))
            parts.append(rest)
            places.append(of_aside[self._rows.argmax()] * size + each)
        least, greatest = np.full(n_runs, np.inf), np.full(n_runs, -np.inf)
        np.minimum.at(least, np.concatenate([runs, of_aside]), np.concatenate([values, begin]))
        np.maximum.at(greatest, np.concatenate([runs, of_aside]), np.concatenate([values, self._aside.greatest]))
        return self._keyed(TAILS.combine(TAILS.stack(parts), np.concatenate(places), n_runs * size), least, greatest)

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

    def _keyed(self, arrays: Arrays, least: Values, greatest: Values) -> State:
        used = np.flatnonzero(arrays["n"])
        keys = [Column(Float64, ends[used // self._size]) for ends in (least, greatest)]
        keys += [key.take(used % self._size) for key in self._whole.keys]
        taken = {name: array[used] for name, array in arrays.items()}
        return State(TAILS.name, keys, taken["n"], taken)


class Division:
    """Divides runs of rows of a state where bounds turned out to lie amid them: what fills nulls may be a quantile.

    Args:
        state: as :class:`Tails` left it, of rows that are all in one group.
        bounds: float64, as :func:`amid` found them.
    """

    def __init__(self, state: State, bounds: Values) -> None:
        self._state = state
        least, greatest = _ends(state)
        inside = (least[:, None] < bounds) & (bounds <= greatest[:, None])
        self._divided = inside.any(axis=1)
        low, high = [], []
        for run in np.flatnonzero(self._divided)[np.argsort(least[self._divided])]:
            cuts = distinct(radix.ordered_bits(bounds[inside[run]]))
            begin, last = radix.ordered_bits(np.array([least[run], greatest[run]]))
            low += [begin, *cuts]
            high += [*cuts, last + 1]
        self._spans = Spans(np.array(low, np.int64), np.array(high, np.int64))
        self._parts: list[Arrays] = []

    @property
    def sought(self) -> RowsDivided:
        """What is to be found of each partition."""
        return RowsDivided(self._spans)

    def add(self, part: Arrays) -> None:
        """Take in what was found in a partition; from any thread."""
        self._parts.append(part)

    def state(self) -> State:
        """The state, parts in the place of the runs.

        Raises:
            InternalError: these are not the rows that the state saw.
        """
        found = self.sought.merged(self._parts)
        arrays, left = self._state.arrays, np.flatnonzero(~self._divided)
        if found["n"].sum() != arrays["n"][self._divided].sum():
            raise InternalError("The rows changed between two trips over them. Please report this.")
        some = np.flatnonzero(found["n"])
        kept = {name: array[left] for name, array in arrays.items()}
        both = TAILS.stack([kept, {name: array[some] for name, array in found.items()}])
        ends = zip(_ends(self._state), (radix.floats_of(self._spans.low), self._spans.greatest), strict=True)
        keys = [Column(Float64, np.concatenate([old[left], new[some]])) for old, new in ends]
        return State(TAILS.name, keys, both["n"], both)


@dataclass(frozen=True, slots=True, eq=False)
class Clipped:
    """What clipping makes of the ends of a state's runs, as :class:`Tails` left it (and nothing else).

    Attributes:
        least, greatest: of the least and the greatest value that each run may hold.
        bounds: float64, of -inf and inf.
    """

    least: Column
    greatest: Column
    bounds: Values


def ends_clipped(state: State, clip: Callable[[Column], Column]) -> Clipped:
    """All that is asked of `clip`, in one call.

    Args:
        clip: what becomes of values, in rows that all lie on the same side of its bounds.
    """
    size = state.n_groups
    found = clip(Column(Float64, np.concatenate([*_ends(state), [-np.inf, np.inf]])))
    least, greatest = (found.take(np.arange(first, first + size)) for first in (0, size))
    return Clipped(least, greatest, distinct(found.values[2 * size :]))


def clipped(state: State, found: Clipped) -> State:
    """The state of all rows, each clipped."""
    none = np.zeros(state.n_groups, np.int64)
    if not state.n_groups:
        return regroup(state, [], none)
    moved = (found.least.values != state.keys[0].values) | (found.greatest.values != state.keys[1].values)
    kept = regroup(state, [], none, ~moved)
    return with_rows(kept, found.least.take(np.flatnonzero(moved)), state.arrays["n"][moved], none[moved])


def amid(state: State, found: Clipped) -> Values:
    """float64, the bounds that lie amid a run of the state's rows, so that these are not all on one side."""
    if not state.n_groups:
        return np.zeros(0)
    ends, least, greatest = _ends(state), found.least.values, found.greatest.values
    divided = (least != greatest) & ((least != ends[0]) | (greatest != ends[1]))
    inside = (ends[0][divided, None] < found.bounds) & (found.bounds <= ends[1][divided, None])
    return found.bounds[inside.any(axis=0)]


def _ends(state: State) -> tuple[Values, Values]:
    """The least and the greatest value that each run may hold."""
    return state.keys[0].values, state.keys[1].values


def _rows_in(spans: Spans, settling: Settling) -> Values:
    """int64 of shape (spans,): how many rows lie in each."""
    known = settling.known
    if not len(spans.low):
        return np.zeros(0, np.int64)
    at, inside = spans.places(radix.ordered_bits(known.values))
    return total(known.counts[inside], at[inside], len(spans.low))
