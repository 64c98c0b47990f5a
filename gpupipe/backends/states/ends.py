"""The values near the ends of a column, kept in the scan itself: quantiles that lie there need no further trip.

Where they begin is guessed from the first rows that come, so that it may be any value: what is told of the kept values
is exact. Where too many turn out to lie there, or a rank asked for lies between, the column is gone over again.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from gpupipe.backends.states.integers import total
from gpupipe.backends.states.orders import between, of_places, ranks_of
from gpupipe.backends.states.state import Arrays, State, StateKind
from gpupipe.columns import Column, Values
from gpupipe.errors import InternalError
from gpupipe.kernels.reference import radix
from gpupipe.schema import Float32, Float64

SAMPLE = 8_192  # values that where the ends begin is guessed from
_LEAST_SAMPLE = 1_024
_DEVIATIONS = 4.5  # of a rank in the sample
_SPARE = 0.001  # of all values, beside
_WIDEST = 0.1  # of all values, at one end
SHARE = 8  # of the rows of a partition, at most one in so many is kept


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """What is kept: values below `low`, and those from `high` on (NaN: none), both float64 where bins begin."""

    low: float
    high: float

    @property
    def spans(self) -> tuple[Values, Values]:
        """The same as spans of ordered bits, from and up to."""
        ends, edges = radix.first_bits()[[0, -1]], radix.ordered_bits(np.array([self.low, self.high]))
        found = [(ends[0], edges[0])] if self.low > -np.inf else []
        found += [(edges[1], ends[1])] if not np.isnan(self.high) else []
        low, high = zip(*found, strict=True)
        return np.array(low, np.int64), np.array(high, np.int64)

    @property
    def narrow(self) -> Values:
        """float32, the least from each of the two on: of numbers that are float32 they keep the same ones."""
        edges = np.array([self.low, self.high])
        with np.errstate(over="ignore"):
            found = edges.astype(np.float32)
        return np.where(found < edges, np.nextafter(found, np.float32(np.inf)), found)


class Ends:
    """Where the ends of a column begin, found out by whoever comes first and the same for all who come later.

    Args:
        fractions: the quantiles asked of it.
        later: whether nulls become a value that is known later.
        mirrored: whether the quantiles may be asked of the values in falling order.
    """

    def __init__(self, fractions: Sequence[float], *, later: bool, mirrored: bool) -> None:
        self._fractions, self._later, self._mirrored = np.array(fractions), later, mirrored
        self._lock = threading.Lock()
        self._found: list[Bounds | None] = []

    def bounds(self, column: Column) -> Bounds | None:
        """The bounds, guessed from this column if it is the first one; None: ranks asked for may lie anywhere."""
        with self._lock:
            if not self._found:
                self._found.append(self._guessed(column))
            return self._found[0]

    def _guessed(self, column: Column) -> Bounds | None:
        step = max(1, len(column) // SAMPLE)
        some = column.values[::step]
        values = some if column.valid is None else some[column.valid[::step]]
        n = len(values)
        if n < _LEAST_SAMPLE or not (values == values).all():
            return None
        ranks = ranks_of(n, self._fractions, (len(some) - n,) if self._later else (), mirrored=self._mirrored)
        lower, upper = ranks[ranks < n // 2] + 1, n - ranks[ranks >= n // 2]
        most = [_with_spare(int(side.max(initial=0)), n) for side in (lower, upper)]
        if max(most) > _WIDEST * n:
            return None
        places = [most[0], n - 1 - most[1]]
        bins = radix.bins_of(np.partition(values, places)[places])
        edges = radix.floats_of(radix.first_bits()[bins + np.array([1, 0])]).tolist()
        low = edges[0] if most[0] else -np.inf
        high = edges[1] if most[1] else np.nan
        inside = np.count_nonzero((values >= low) & ~(values >= high))
        return Bounds(low, high) if inside > (1 - 2 * _WIDEST) * n else None


def _with_spare(count: int, n: int) -> int:
    share = count / n
    return ceil(count + _DEVIATIONS * sqrt(n * share * (1 - share)) + _SPARE * n) if count else 0


def state_of(bounds: Bounds, column: Column, n: int, kept: Values | None) -> State:
    """The state of a column of floats. Its array ``kept`` has a row a value.

    Args:
        n: how many of its rows have a value.
        kept: those of the values that lie at the ends, in the column's type; None: too many do.
    """
    arrays = {
        "n": np.array([n]),
        "lost": np.array([int(kept is None)]),
        "bounds": np.array([[bounds.low, bounds.high]]),
        "kept": column.values[:0] if kept is None else kept,
    }
    return State(ENDS.name, [], np.array([len(column)]), arrays)


def state_by_rows(bounds: Bounds, column: Column) -> State:
    """The same of a column of floats, none of them NaN, without the kernels that take it in with other states."""
    n = len(column) if column.valid is None else int(column.valid.sum())
    kept = between(column, *bounds.spans)[1]
    return state_of(bounds, column, n, kept if len(kept) <= most_kept(len(column)) else None)


def most_kept(n_rows: int) -> int:
    """How many values of so many rows are kept at most."""
    return n_rows // SHARE + SAMPLE


class Kept:
    """What a merged state holds: bins, as far as ranks at the ends need them, and the values.

    Args:
        state: of kind ``ends``.

    Attributes:
        column: the values.
    """

    def __init__(self, state: State) -> None:
        kept = state.arrays["kept"]
        self._state, self.column = state, Column(Float32 if kept.dtype == np.float32 else Float64, kept)
        bits = radix.ordered_bits(state.arrays["bounds"][0, :1])
        self._middle = int(np.searchsorted(radix.first_bits(), bits[0], side="right")) - 1

    @property
    def is_whole(self) -> bool:
        """Whether all values of the ends are there, and most of the others are not."""
        n = int(self._state.arrays["n"][0])
        return not self._state.arrays["lost"].any() and 2 * len(self.column) < n

    @property
    def middle(self) -> float:
        """Where the entry stands that all values between the ends are counted in."""
        return float(radix.floats_of(radix.first_bits()[self._middle : self._middle + 1])[0])

    def binned(self) -> State:
        """The state of kind ``order``, all values between the ends in one bin."""
        counts = np.bincount(radix.bins_of(self.column.values), minlength=radix.BINS)
        counts[self._middle] += int(self._state.arrays["n"][0]) - len(self.column)
        places = np.flatnonzero(counts)
        return State("order", [], self._state.rows, {}, of_places(Float64, places, counts[places]))


def _combine(arrays: Arrays, groups: Values, n_groups: int) -> Arrays:
    counts = {name: total(arrays[name], groups, n_groups) for name in ("n", "lost")}
    first = arrays["bounds"][:1]
    counts["lost"] = counts["lost"] + int(not _are_equal(arrays["bounds"]))
    return {**counts, "bounds": first, "kept": arrays["kept"]}


def merged(states: Sequence[State]) -> State:
    """One state of all rows that some of this kind saw, as :func:`gathering.merge` would put it together of any."""
    arrays = [state.arrays for state in states]
    bounds, kept = (np.concatenate([each[name] for each in arrays]) for name in ("bounds", "kept"))
    n, lost = (sum(int(each[name][0]) for each in arrays) for name in ("n", "lost"))
    lost += int(not _are_equal(bounds))
    found = {"n": np.array([n]), "lost": np.array([lost]), "bounds": bounds[:1], "kept": kept}
    return State(ENDS.name, [], np.array([sum(int(state.rows[0]) for state in states)]), found)


def _are_equal(bounds: Values) -> bool:
    return bool((bounds.view(np.int64) == bounds[:1].view(np.int64)).all())


def _not_gathered(column: Column, groups: Values, n_groups: int, times: Values | None) -> Arrays:
    raise InternalError("The ends of a column were asked of rows without bounds. Please report this.")


ENDS = StateKind("ends", _not_gathered, _combine, invertible=False)
