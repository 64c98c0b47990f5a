"""The state of quantiles before they are settled: how many values lie in each of 65,536 bins.

An entry is the least value of a bin that the column's type can hold, so that entries are values in order like those of
distinct values, and dividing them into bins again changes nothing.
"""

from functools import cache
from itertools import product
from types import ModuleType

import numpy as np

from gpupipe import optional
from gpupipe.backends import compiled
from gpupipe.backends.states.integers import distinct
from gpupipe.backends.states.state import Entries, StateKind
from gpupipe.backends.states.values import no_arrays
from gpupipe.columns import Column, Values
from gpupipe.kernels.reference import radix
from gpupipe.schema import DType, Float64, Int64

_FEW_VALUES = 8_192  # up to here sorting bins is quicker than a pass over a table of all of them
_FEW_SPANS = 16  # so many are quicker compared with than looked up
_MANY_GROUPS = 64  # beyond, tables of all bins of every group would be larger than what they count


def binned(column: Column, groups: Values, times: Values | None) -> Entries:
    """How many values of each group lie in each bin, each value counted `times` (None: once)."""
    dtype = Float64 if column.dtype.is_float else Int64
    values = np.asarray(column.values, np.float64)
    n_groups = int(groups.max()) + 1 if len(groups) else 1
    if len(values) <= _FEW_VALUES or n_groups > _MANY_GROUPS:
        places, counts = _counted_by_sorting(radix.bins_of(values) + groups * radix.BINS, times)
    else:
        table = _table(values, groups, n_groups, times)
        return of_table(dtype, table)
    return of_places(dtype, places, counts)


def of_table(dtype: DType, table: Values) -> Entries:
    """The entries of counts by group and bin: int64 of shape (groups * BINS,).

    Args:
        dtype: Float64 or Int64.
    """
    places = np.flatnonzero(table != 0)  # of bool that is many times quicker
    return of_places(dtype, places, table[places])


def of_places(dtype: DType, places: Values, counts: Values) -> Entries:
    """The entries of places that occur, ascending: BINS times the group, and the bin."""
    if not len(places) or places[-1] < radix.BINS:
        return Entries(Column(dtype, _least_of_bins(dtype)[places]), np.zeros(len(places), np.int64), counts)
    return Entries(Column(dtype, _least_of_bins(dtype)[places % radix.BINS]), places // radix.BINS, counts)


def _counted_by_sorting(places: Values, times: Values | None) -> tuple[Values, Values]:
    """The distinct places, sorted, and how often each occurs."""
    if times is None:
        return np.unique(places, return_counts=True)
    order = np.argsort(places[times > 0], kind="stable")
    places, times = places[times > 0][order], times[times > 0][order]
    first = np.flatnonzero(np.diff(places, prepend=-1))
    return places[first], np.add.reduceat(times, first) if len(first) else times


def _table(values: Values, groups: Values, n_groups: int, times: Values | None) -> Values:
    if times is None:
        return kernels().histogram(values, groups if n_groups > 1 else None, n_groups).reshape(-1)
    table = np.zeros(n_groups * radix.BINS, np.int64)
    np.add.at(table, radix.bins_of(values) + groups * radix.BINS, times)
    return table


def least_of(dtype: DType, bits: Values) -> Values:
    """The least value from these ordered bits on that the type can hold: float64, or int64 for integers."""
    least = radix.floats_of(bits)
    if dtype == Float64:
        return least
    least = np.ceil(least)
    inside = (least >= -(2.0**63)) & (least < 2.0**63)
    return np.where(inside, np.where(inside, least, 0).astype(np.int64), np.where(least > 0, 2**63 - 1, -(2**63)))


@cache
def _least_of_bins(dtype: DType) -> Values:
    return least_of(dtype, radix.first_bits()[:-1])


def between(column: Column, low: Values, high: Values) -> tuple[Values, Values]:
    """(int64 positions, values) of the rows with a value that lies in one of some spans: see ``rows_between``."""
    if len(low) <= _FEW_SPANS and compiled.Work.started and column.values.dtype != np.uint64:
        rows = optional.load("gpupipe.kernels.cpu.columns").rows_between(column.values, column.valid, low, high)
        return rows, column.values[rows]
    rows = kernels().rows_between(column.values.astype(np.float64, copy=False), low, high)
    if column.valid is not None:
        rows = rows[column.valid[rows]]
    return rows, column.values[rows]


def neighbours(n: Values, q: float | Values) -> tuple[Values, Values, Values]:
    """The ranks of the two of `n` values that a quantile lies between, and how far from one to the other.

    As numpy.quantile has them by default, to the bit; 0 where there are no values.
    """
    place = np.maximum(n - 1, 0) * q
    low = np.floor(place)
    fraction = place - low
    low = low.astype(np.int64)
    return low, np.minimum(low + 1, np.maximum(n - 1, 0)), fraction


def ranks_of(n: int, q: Values, later: tuple[int, ...], *, mirrored: bool) -> Values:
    """The ranks, among `n` values seen, of all values that the quantiles `q` may come from.

    Args:
        later: how many rows of one value, known later, are added; a number for each such value.
        mirrored: whether the quantiles may be asked of the values in falling order besides.
    """
    found = [np.zeros(0, np.int64)]
    for present in product((False, True), repeat=len(later)):  # a value known later may turn out to be null
        added = [times for times, is_there in zip(later, present, strict=True) if is_there]
        size = n + sum(added)
        places = np.concatenate(neighbours(np.full(len(q), size), q)[:2])
        if mirrored:
            places = np.concatenate([places, size - 1 - places])
        below = np.zeros(1, np.int64)
        for times in added:
            below = distinct(np.concatenate([below, below + times]))
        found.append((places[:, None] - below).ravel())
    ranks = distinct(np.concatenate(found))
    return ranks[(ranks >= 0) & (ranks < n)]


def kernels() -> ModuleType:
    """The compiled kernels where some have been started; they are not for these alone: NumPy takes but 2 ns more."""
    return optional.load("gpupipe.kernels.cpu.radix") if compiled.Work.started else radix


ORDER = StateKind("order", no_arrays, no_arrays, invertible=True, stack=no_arrays, entries=binned)
