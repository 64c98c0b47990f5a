"""A column's exact sums and its histogram in one pass over its values and validity, as they are stored.

Tiles of `ROWS` values are brought to float64 in cache, those of null rows to 0; the sums are those of `exact`, the bins
those of `radix`. What `reference.exact.tile_sums` and `reference.radix.histogram` give of the valid values alone is the
same, but for which values share a tile.
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..opcodes import STORAGE, Op, load_of
from ..reference.exact import ROWS, n_totals
from ..reference.radix import BINS, LEAST, WIDTH, floats_of
from .exact import constants, squares_of
from .jit import kernel, part
from .memory import bits_of, f8, i8, u1
from .transfer import load

#: A table of counts, and the bin of rows that are not counted.
TABLE = BINS + 1
_HALF = BINS // 2
_MAGNITUDE = 2**63 - 1
_EXACT_INTEGER = 2**53
_NO_BIN = BINS
_APART = ROWS + 16  # no power of two, so that both tiles do not compete for cache sets

Array = np.ndarray[Any, Any]


@part
def _as_float(x, w):
    """int64 at the address x to float64 in their place; gives how many are beyond what float64 holds exactly."""
    whole, values = i8(x), f8(x)
    beyond = 0
    for i in range(w):
        beyond += (whole[i] > _EXACT_INTEGER) | (whole[i] < -_EXACT_INTEGER)
        values[i] = np.float64(whole[i])
    return beyond


@part
def _zero_nulls(x, ok, stride, w):
    """0 in null rows; gives how many are not."""
    x, ok = f8(x), u1(ok)
    n = 0
    if stride == 1:
        for i in range(w):
            x[i] = x[i] if ok[i] != 0 else 0.0
            n += ok[i] != 0
    else:
        for i in range(w):
            x[i] = x[i] if ok[i * stride] != 0 else 0.0
            n += ok[i * stride] != 0
    return n


@part
def _bins(x, bins, w):
    """The bin of each value, as int64; gives how many are NaN, which have none."""
    x, bins = f8(x), i8(bins)
    missing = 0
    for i in range(w):
        bits = bits_of(x[i] + 0.0)
        place = ((bits & _MAGNITUDE) >> WIDTH) - LEAST
        place = max(0, min(place, _HALF - 1))
        bins[i] = (place ^ (bits >> 63)) + _HALF
        missing += x[i] != x[i]
    return missing


@part
def _drop_nulls(bins, ok, stride, w):
    bins, ok = i8(bins), u1(ok)
    for i in range(w):
        bins[i] = bins[i] if ok[i * stride] != 0 else _NO_BIN


@part
def _count(bins, counts, w):
    bins = i8(bins)
    for i in range(w):
        counts[bins[i]] += 1


@part
def _at_ends(x, flags, low, high, w):
    """Bytes: 1 where a value is below `low` or from `high` on, 0 up to a whole word; gives how many are NaN."""
    x, flags = f8(x), u1(flags)
    missing = 0
    for i in range(w):
        flags[i] = np.uint8(x[i] < low) | np.uint8(x[i] >= high)
        missing += x[i] != x[i]
    for i in range(w, (w + 7) // 8 * 8):
        flags[i] = 0
    return missing


@part
def _unflag_nulls(flags, ok, stride, w):
    flags, ok = u1(flags), u1(ok)
    for i in range(w):
        flags[i] &= np.uint8(ok[i * stride] != 0)


@part
def keep(x, flags, kept, size, w):
    """The values with a flag behind the first `size`; most words of eight flags have none. Gives the size then."""
    words, flags = i8(flags), u1(flags)
    for word in range((w + 7) // 8):
        if words[word] != 0:
            for i in range(8 * word, 8 * word + 8):
                kept[size] = x[i]
                size += np.int64(flags[i])
    return size


@kernel
def _pass_over(
    op, address, stride, ok, ok_stride, n, slices, magic, per_unit, totals, tile, wrong, counts, low, high, kept,
    scratch, found,
):  # fmt: skip
    """Gives in `found` how many values are valid, how many are NaN, how many integers are beyond 2^53, and how many
    values were kept, -1 where these are too many."""
    skipped = (64 - scratch.ctypes.data % 64) % 64
    x = scratch.ctypes.data + skipped
    bins = x + 8 * _APART
    values = scratch[skipped : skipped + 8 * ROWS].view(np.float64)
    for first in range(0, n, ROWS):
        w, at = min(ROWS, n - first), first // ROWS
        load(op, x, address + first * stride, stride, w)
        if op < Op.LOAD_F4:
            found[2] += _as_float(x, w)
        found[0] += w if ok == 0 else _zero_nulls(x, ok + first * ok_stride, ok_stride, w)
        if slices:
            squares_of(slices, values[:w], magic, per_unit, totals, tile, wrong[at:])
        if len(counts):
            found[1] += _bins(x, bins, w)
            if ok != 0:
                _drop_nulls(bins, ok + first * ok_stride, ok_stride, w)
            _count(bins, counts, w)
        if len(kept) and found[3] >= 0:
            found[1] += _at_ends(x, bins, low, high, w)
            if ok != 0:
                _unflag_nulls(bins, ok + first * ok_stride, ok_stride, w)
            found[3] = keep(f8(x), bins, f8(kept.ctypes.data), found[3], w) if found[3] + ROWS < len(kept) else -1


@part
def _inside(x, inside, low, high, w):
    """Bytes: 1 where a value lies in a span from low up to, without, high; NaN as an end is beyond all."""
    x, inside = f8(x), u1(inside)
    for i in range(w):
        inside[i] = 0
    for span in range(len(low)):
        begin, end = low[span], high[span]
        for i in range(w):
            inside[i] |= np.uint8(x[i] >= begin) & np.uint8(not (x[i] >= end))


@kernel
def _rows_between(op, address, stride, ok, ok_stride, n, low, high, scratch, rows):
    x = (scratch.ctypes.data + 63) // 64 * 64
    inside, valid = u1(x + 8 * _APART), u1(ok)
    size = 0
    for first in range(0, n, ROWS):
        w = min(ROWS, n - first)
        load(op, x, address + first * stride, stride, w)
        if op < Op.LOAD_F4:
            _as_float(x, w)
        _inside(x, x + 8 * _APART, low, high, w)
        if ok != 0:
            for i in range(w):
                inside[i] &= valid[(first + i) * ok_stride]
        for i in range(w):
            rows[size] = first + i
            size += inside[i]
    return size


@kernel
def _take_out(counts, places, often):
    """The bins in use and their counts; the table is left at 0."""
    used = 0
    for place in range(BINS):
        if counts[place] != 0:
            places[used], often[used] = place, counts[place]
            used += 1
    counts[:] = 0
    return used


class _Scratch(threading.local):
    """What a thread computes in. The table of counts is all 0 between two calls."""

    def __init__(self) -> None:
        self.tiles = np.empty(64 + 2 * 8 * _APART, np.uint8)
        self.counts = np.zeros(TABLE, np.int32)
        self.places, self.often = np.empty(BINS, np.int64), np.empty(BINS, np.int64)
        self.kept = np.empty(0)

    def room(self, most: int) -> Array:
        """Where so many values can be kept, and no more than a tile beyond."""
        if len(self.kept) < most + ROWS + 1:
            self.kept = np.empty(most + ROWS + 1)
        return self.kept[: most + ROWS + 1]


_SCRATCH = _Scratch()
_LOADS = {np.dtype(name): int(load_of(name)) for name in STORAGE}
_NO_COUNTS, _NONE = np.zeros(0, np.int32), np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """What a pass over a column gives.

    Attributes:
        n: how many values are valid.
        missing: how many of these are NaN, where they were counted by bin.
        beyond: how many integers float64 does not hold exactly; where there are any, nothing else counts.
        totals: as of ``tile_sums``.
        wrong: int64, the tiles that the totals lack.
        bins, counts: int64, the bins in use, ascending, and how many values each holds.
        kept: in the column's type, the values at the ends; None where these are too many, or were not wanted.
    """

    n: int
    missing: int
    beyond: int
    totals: Array
    wrong: Array
    bins: Array
    counts: Array
    kept: Array | None


def totals_of(
    values: Array,
    valid: Array | None,
    grid: tuple[int, int] | None,
    *,
    counted: bool,
    ends: tuple[float, float, int] | None = None,
) -> Totals:
    """The sums of slices and of products of a column's values on a grid, and how many values lie in each bin.

    Args:
        values: 1-D of a storage dtype but uint64, of at most TILES_AT_ONCE * ROWS values, any stride.
        valid: bool, of the same length; None: every row has a value.
        grid: (low, slices); None: no sums are wanted.
        counted: whether bins are.
        ends: (low, high, most) for the values of a column of floats to be kept that are below `low`, or from `high` on
            (NaN: none), as long as they are no more than `most`; None: none are.
    """
    grid_low, slices = (0, 0) if grid is None else grid
    magic, per_unit = constants(grid_low, max(slices, 2), True)
    low, high, most = (0.0, 0.0, 0) if ends is None else ends
    totals = np.zeros(n_totals(slices, True) if slices else 0, np.int64)
    wrong, found = np.zeros(-(-len(values) // ROWS), bool), np.zeros(4, np.int64)
    own, values = _SCRATCH, _whole_steps(values)
    kept = _NONE if ends is None else own.room(most)
    _pass_over(
        *_stored(values, valid), slices, magic, per_unit, totals, np.empty(len(totals)), wrong,
        own.counts if counted else _NO_COUNTS, low, high, kept, own.tiles, found,
    )  # fmt: skip
    used = _take_out(own.counts, own.places, own.often) if counted else 0
    n, missing, beyond, size = found.tolist()
    bins, counts = own.places[:used].copy(), own.often[:used].copy()
    whole = None if ends is None or not 0 <= size <= most else kept[:size].astype(values.dtype)
    return Totals(n, missing, beyond, totals, np.flatnonzero(wrong), bins, counts, whole)


def rows_between(values: Array, valid: Array | None, low: Array, high: Array) -> Array:
    """int64, ascending: the rows with a value whose ordered bits are in a span, as ``radix.rows_between`` has them.

    Args:
        values, valid: as of :func:`totals_of`, of any length.
        low, high: int64 of shape (spans,): few, for each value is compared with all.
    """
    rows, values = np.empty(len(values) + 1, np.int64), _whole_steps(values)
    bounds = floats_of(low), floats_of(high)
    size = _rows_between(*_stored(values, valid), *bounds, _SCRATCH.tiles, rows)
    return rows[:size].copy()


def _whole_steps(values: Array) -> Array:
    """The values, copied where their stride is no multiple of their size (a field of a packed record)."""
    return np.ascontiguousarray(values) if values.strides[0] % values.itemsize else values


def _stored(values: Array, valid: Array | None) -> tuple[int, ...]:
    """How a column is stored: what loads it, address and stride of its values and of its validity, its length."""
    ok, ok_stride = (0, 1) if valid is None else (valid.__array_interface__["data"][0], valid.strides[0])
    at = values.__array_interface__["data"][0]
    return _LOADS[values.dtype], at, values.strides[0], ok, ok_stride, len(values)
