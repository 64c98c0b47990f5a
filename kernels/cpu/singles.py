"""Exact sums of float32 values and of their squares, and the values at the ends, of many columns in one call.

The sums are those of `exact`, and the values kept those of `columns`, which take every type; these take half the time,
since each tile has grids of its own (`slices`) and no column a call.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..reference.exact import ROWS
from .columns import keep
from .jit import kernel, part
from .memory import f4, u1, u4
from .slices import SQUARE_BASE, SQUARE_DIGITS, SUM_BASE, SUM_DIGITS, add_tile

Array = np.ndarray[Any, Any]

#: What the first digit counts, of sums and of sums of squares: 2^(32 base).
BASES = SUM_BASE, SQUARE_BASE
#: Columns of the table of columns: the address of their values, that of their validity (0: all rows have a value), and
#: how many values may be kept (-1: none are wanted).
VALUES, VALID, MOST, PLACES = range(4)
#: What is found of each: how many rows have a value, whether one is NaN or infinite, how many values were kept (-1: too
#: many, or too little room).
COUNT, ODD, KEPT, FOUND = range(4)

_SIZE = 0x7FFF_FFFF
_INFINITE = 0x7F80_0000
_ALL = 0xFFFF_FFFF
_FLAGS = 4 * ROWS + 64  # bytes from a tile to its flags


@part
def _wider(bits, greatest, least):
    """The greatest size, and the least but zero's less 1, of those before and of one more."""
    size = np.uint32(bits & np.uint32(_SIZE))
    return max(greatest, size), min(least, np.uint32(size - np.uint32(1)))


@part
def _taken(source, tile, w):
    """The bits of a tile; gives the greatest size, and the least but zero's, less 1."""
    source, tile = u4(source), u4(tile)
    greatest, least = np.uint32(0), np.uint32(_ALL)
    for i in range(w):
        bits = source[i]
        tile[i] = bits
        greatest, least = _wider(bits, greatest, least)
    return np.int64(greatest), np.int64(least)


@part
def _taken_valid(source, ok, tile, w):
    """The same with 0 in null rows."""
    source, ok, tile = u4(source), u1(ok), u4(tile)
    greatest, least = np.uint32(0), np.uint32(_ALL)
    for i in range(w):
        bits = np.uint32(source[i] & np.uint32(-np.int32(ok[i] != 0)))
        tile[i] = bits
        greatest, least = _wider(bits, greatest, least)
    return np.int64(greatest), np.int64(least)


@part
def _count(ok, w):
    ok = u1(ok)
    n = 0
    for i in range(w):
        n += ok[i] != 0
    return n


@part
def _flag(tile, ok, flags, low, high, w):
    """Bytes: 1 where there is a value below `low` or from `high` on; 0 up to a whole word."""
    x, flags = f4(tile), u1(flags)
    if ok == 0:
        for i in range(w):
            flags[i] = np.uint8(x[i] < low) | np.uint8(x[i] >= high)
    else:
        valid = u1(ok)
        for i in range(w):
            flags[i] = (np.uint8(x[i] < low) | np.uint8(x[i] >= high)) & np.uint8(valid[i] != 0)
    for i in range(w, (w + 7) // 8 * 8):
        flags[i] = 0


@kernel
def _gather(table, n, low, high, sums, squares, kept, scratch, found):
    tile = (scratch.ctypes.data + 63) // 64 * 64
    flags, begin = tile + _FLAGS, 0
    for column in range(len(table)):
        values, valid, size = table[column, VALUES], table[column, VALID], begin
        end = min(begin + table[column, MOST], len(kept) - ROWS)
        for first in range(0, n, ROWS):
            w, ok = min(ROWS, n - first), 0 if valid == 0 else valid + first
            if ok == 0:
                greatest, least = _taken(values + 4 * first, tile, w)
            else:
                greatest, least = _taken_valid(values + 4 * first, ok, tile, w)
            found[column, COUNT] += w if ok == 0 else _count(ok, w)
            if greatest >= _INFINITE:
                found[column, ODD] = 1
                break
            add_tile(tile, w, greatest, least, sums[column], squares[column])
            if size <= end:
                _flag(tile, ok, flags, low[column], high[column], w)
                size = keep(u4(tile), flags, u4(kept.ctypes.data), size, w)
        found[column, KEPT] = size - begin if size <= end else -1
        begin = size if size <= end else begin


@part
def _sizes(tile, w):
    x = u4(tile)
    greatest, least = np.uint32(0), np.uint32(_ALL)
    for i in range(w):
        greatest, least = _wider(x[i], greatest, least)
    return np.int64(greatest), np.int64(least)


@kernel
def _add_runs(values, edges, sums, squares):
    address = values.ctypes.data
    for run in range(len(edges) - 1):
        for first in range(edges[run], edges[run + 1], ROWS):
            w = min(ROWS, edges[run + 1] - first)
            greatest, least = _sizes(address + 4 * first, w)
            add_tile(address + 4 * first, w, greatest, least, sums[run], squares[run])


class _Scratch(threading.local):
    """What a thread computes in, and where it keeps values."""

    def __init__(self) -> None:
        self.tile = np.empty(64 + _FLAGS + ROWS + 64, np.uint8)
        self.kept = np.empty(0, np.float32)

    def room(self, most: int) -> Array:
        """Where so many values can be kept, and a tile beyond; what is not written to takes no memory."""
        if len(self.kept) < most + ROWS:
            self.kept = np.empty(most + ROWS, np.float32)
        return self.kept


_SCRATCH = _Scratch()


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """What a pass over some columns gives.

    Attributes:
        counts: int64, how many values of each are valid.
        odd: bool, whether one of these is NaN or infinite: nothing else counts then.
        sums, squares: int64 of shape (columns, digits), the sums of the values and of their squares, in units of
            2^(32 (base + place)) with `BASES`, not yet carried.
        kept: float32, of each column the values at its ends; None: too many, or none were wanted.
    """

    counts: Array
    odd: Array
    sums: Array
    squares: Array
    kept: list[Array | None]


def gather(columns: Sequence[tuple[Array, Array | None]], ends: Sequence[tuple[float, float, int]]) -> Gathered:
    """The sums of float32 columns, and the values at their ends.

    Args:
        columns: values and validity (None: every row has a value) of each, contiguous and of one length.
        ends: of each (low, high, most): values below `low`, and those from `high` on (NaN: none), are kept as long as
            they are no more than `most` (-1: none are wanted); float32 holds both.
    """
    table = np.array([
        (values.__array_interface__["data"][0], 0 if valid is None else valid.__array_interface__["data"][0], most)
        for (values, valid), (_, _, most) in zip(columns, ends, strict=True)
    ], np.int64).reshape(-1, PLACES)  # fmt: skip
    low, high = (np.array([one[side] for one in ends], np.float32) for side in (0, 1))
    sums, squares = (np.zeros((len(table), digits), np.int64) for digits in (SUM_DIGITS, SQUARE_DIGITS))
    kept, found = _SCRATCH.room(int(table[:, MOST].clip(0).sum())), np.zeros((len(table), FOUND), np.int64)
    _gather(table, len(columns[0][0]) if columns else 0, low, high, sums, squares, kept, _SCRATCH.tile, found)
    edges = np.cumsum([0, *found[:, KEPT].clip(0)])
    whole = kept[: edges[-1]].copy()
    each = [
        whole[begin:end] if size >= 0 else None
        for begin, end, size in zip(edges[:-1].tolist(), edges[1:].tolist(), found[:, KEPT].tolist(), strict=True)
    ]
    return Gathered(found[:, COUNT], found[:, ODD] != 0, sums, squares, each)


def add_runs(values: Array, edges: Array) -> tuple[Array, Array]:
    """(sums, squares) as of :class:`Gathered`, of runs of finite float32 values: run k from ``edges[k]`` on, up to
    ``edges[k + 1]``.
    """
    sums, squares = (np.zeros((len(edges) - 1, digits), np.int64) for digits in (SUM_DIGITS, SQUARE_DIGITS))
    _add_runs(values, edges, sums, squares)
    return sums, squares
