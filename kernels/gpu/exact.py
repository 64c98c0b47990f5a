"""Exact sums on a device: names, arguments and results of `gpupipe.kernels.reference.exact`.

Values are cut into slices in float64, where nothing rounds, and slices are added as integers, also between blocks: no
order in which they come can show. A row that is not valid counts as 0.0, which adds nothing.
"""

from functools import cache
from typing import Any

import numpy as np

from ..reference.exact import GROUP_ROWS, ROWS, n_totals
from .bits import positions, words_of
from .device import DeviceArray, Kernel
from .rows import BLOCK, IN_GLOBAL, IN_HALVES, IN_REGISTERS, IN_SHARED, blocks, source, where

Array = np.ndarray[Any, Any]

_WARPS = BLOCK // 32  # each takes a tile


@cache
def _text(dtype: str, slices: int, squares: bool) -> str:
    return source(dtype, "exact.cu", SLICES=slices, SQUARES=int(squares))


@cache
def _integers(dtype: str, squares: bool) -> str:
    return source(dtype, "integers.cu", SQUARES=int(squares))


SOURCES = {
    f"exact {dtype} {slices}{' squares' * squares}": _text(dtype, slices, squares)
    for dtype in ("float32", "float64")
    for slices, squares in ((1, True), (2, True), (3, True), (4, True), (1, False), (2, False))
} | {f"integers int64{' squares' * squares}": _integers("int64", squares) for squares in (False, True)}


def tile_sums(
    values: DeviceArray, low: int, slices: int, squares: bool, totals: Array, *, valid: DeviceArray | None = None
) -> Array:
    """As the reference says; a tile holds `ROWS` rows, valid or not."""
    found, wrong = tiles(values, low, slices, squares, valid=valid)
    totals += np.array(found, np.int64)
    return wrong


def tiles(
    values: DeviceArray,
    low: int,
    slices: int,
    squares: bool,
    *,
    valid: DeviceArray | None = None,
    chosen: Array | None = None,
) -> tuple[list[int], Array]:
    """What `tile_sums` adds to totals, of any number of rows, and the tiles that it names. One launch.

    Args:
        chosen: int64, the tiles to look at; None: all.
    """
    device, every = values.device, -(-len(values) // ROWS)
    size = every if chosen is None else len(chosen)
    words = 2 * n_totals(slices, squares)
    if not size:
        return [0] * (words // 2), np.zeros(0, np.int64)
    out = device.zeros(words + -(-size // 8), np.uint64)
    flags = out.rows(words, len(out)).view(np.uint8)
    these = None if chosen is None else device.upload(np.ascontiguousarray(chosen, np.int64))
    grid = blocks(device, -(-size // _WARPS) * BLOCK)
    arguments = [values, valid, np.int64(len(values)), these, np.int64(size), np.int32(low), out, flags]
    device.launch(Kernel(_text(values.dtype.name, slices, squares), "tile_sums"), grid, BLOCK, arguments)
    found = device.download(out)
    wrong = np.flatnonzero(found[words:].view(np.uint8)[:size])
    return _joined(found[:words].view(np.int64).reshape(-1, 2)), wrong if chosen is None else chosen[wrong]


def _joined(halves: Array) -> list[int]:
    return [low + (high << 32) for low, high in halves.tolist()]


def group_sums(
    values: DeviceArray,
    groups: DeviceArray | None,
    low: int,
    slices: int,
    squares: bool,
    totals: Array,
    *,
    valid: DeviceArray | None = None,
) -> Array:
    """As the reference says, of int32 groups, rows of a negative one left out; None: all rows are of group 0."""
    halves, off = halves_by_group(values, groups, len(totals), low, slices, squares, valid=valid)
    totals += halves[..., 0] + (halves[..., 1] << 32)
    return np.zeros(0, np.int64) if off is None else off.to_host()


def halves_by_group(
    values: DeviceArray,
    groups: DeviceArray | None,
    n_groups: int,
    low: int,
    slices: int,
    squares: bool,
    *,
    valid: DeviceArray | None = None,
    largest: int | None = None,
) -> tuple[Array, DeviceArray | None]:
    """What `group_sums` adds to totals, of any number of rows, and the positions that it names. One launch, or three.

    Args:
        largest: how many rows the largest group has at most; None: as many as there are.

    Returns:
        int64 of shape (n_groups, totals, 2): low and high, of totals low + 2^32 high; and int64 positions, None for no
        such values.
    """
    device, size = values.device, len(values)
    width = 3 * slices - 1 if squares else slices
    if not size or not n_groups:
        return np.zeros((n_groups, width, 2), np.int64), None
    at = where(groups, n_groups, 8 * width)
    if at == IN_GLOBAL and (size if largest is None else largest) > GROUP_ROWS:
        at = IN_HALVES
    shared = {IN_REGISTERS: 16 * width, IN_SHARED: 8 * width * n_groups}.get(at, 0)
    grid = blocks(device, size, shared // 8 if at == IN_SHARED else 0, GROUP_ROWS)
    out, off = device.zeros(1 + 2 * n_groups * width, np.uint64), device.empty(words_of(size), np.uint32)
    arguments = [values, valid, groups, np.int64(size), np.int32(low), np.int32(n_groups), np.int32(at), out, off]
    device.launch(Kernel(_text(values.dtype.name, slices, squares), "group_sums"), grid, BLOCK, arguments, shared)
    found = device.download(out).view(np.int64)
    return found[1:].reshape(n_groups, width, 2), positions(off, size) if found[0] else None


def integer_sums(
    values: DeviceArray,
    groups: DeviceArray | None,
    n_groups: int,
    squares: bool,
    *,
    valid: DeviceArray | None = None,
) -> tuple[Array, Array | None]:
    """Sums of integers (bool is one), and of their squares, by group. One launch.

    They are what `digit_sums` of the reference adds for the exponent 0: digits with the value's sign, not carried.

    Returns:
        int64 of shape (2, n_groups), in units of 1 and 2^32; and int64 of shape (4, n_groups) of squares, if asked for.
    """
    device, size = values.device, len(values)
    digits = 6 if squares else 2
    if not size or not n_groups:
        found = np.zeros((digits, n_groups), np.int64)
    else:
        at = where(groups, n_groups, 8 * digits)
        shared = 0 if at == IN_GLOBAL else 8 * digits * n_groups
        grid = blocks(device, size, shared // 8)
        out = device.zeros((digits, n_groups), np.uint64)
        arguments = [values, valid, groups, np.int64(size), np.int32(n_groups), np.int32(at), out]
        kernel = Kernel(_integers(values.dtype.name, squares), "integer_sums")
        device.launch(kernel, grid, BLOCK, arguments, shared)
        found = device.download(out).view(np.int64)
    return found[:2], found[2:] if squares else None
