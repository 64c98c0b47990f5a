"""Exact sums on a device: names, arguments and results of `gpupipe.kernels.reference.exact`.

Values are cut into slices in float64, where nothing rounds, and slices are added as integers, also between blocks: no
order in which they come can show. A row that is not valid counts as 0.0, which adds nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..reference.exact import GROUP_ROWS, ROWS, n_totals
from .bits import positions, words_of
from .device import DeviceArray, Kernel
from .rows import BLOCK, IN_GLOBAL, IN_HALVES, IN_REGISTERS, IN_SHARED, blocks, pointer_of, source, where

Array = np.ndarray[Any, Any]

_WARPS = BLOCK // 32  # each takes a tile
_BLOCKS = 8  # of each multiprocessor, of all columns together


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
    (found,) = tiles([OnGrid(values, valid, low, slices)], squares)
    totals += np.array(found.totals, np.int64)
    return found.wrong


@dataclass(frozen=True, slots=True, eq=False)
class OnGrid:
    """A column and its grid.

    Attributes:
        values: of any type and number of rows.
        valid: bitmap; None: all are.
        low, slices: the grid, as the reference has it.
        chosen: int64, the tiles to look at; None: all.
    """

    values: DeviceArray
    valid: DeviceArray | None
    low: int
    slices: int
    chosen: Array | None = None

    @property
    def n_tiles(self) -> int:
        return -(-len(self.values) // ROWS) if self.chosen is None else len(self.chosen)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What is found of a column.

    Attributes:
        totals: what `tile_sums` adds; of any size.
        wrong: int64, the tiles that it names.
        n_valid: how many rows of all these tiles are valid.
    """

    totals: list[int]
    wrong: Array
    n_valid: int


def tiles(columns: Sequence[OnGrid], squares: bool) -> list[Found]:
    """The exact sums of columns that have tiles, one at least: a launch for all of one type and number of slices."""
    device = columns[0].values.device
    words = [2 * n_totals(column.slices, squares) + 1 for column in columns]
    ends = np.cumsum([size + -(-each.n_tiles // 8) for size, each in zip(words, columns, strict=True)]).tolist()
    out = device.zeros(ends[-1] or 1, np.uint64)
    tasks: dict[tuple[str, int], list[_Task]] = {}
    for column, size, begin in zip(columns, words, [0, *ends], strict=False):
        task = _Task(column, out.rows(begin, begin + size), out.rows(begin + size, len(out)))
        tasks.setdefault((column.values.dtype.name, column.slices), []).append(task)
    for (dtype, slices), alike in tasks.items():
        most = max(task.column.n_tiles for task in alike)
        each = min(-(-most // _WARPS), max(1, _BLOCKS * device.n_processors // len(alike)))
        table = device.upload(np.array([task.row() for task in alike], np.int64))
        if each:
            kernel = Kernel(_text(dtype, slices, squares), "tile_sums")
            device.launch(kernel, each * len(alike), BLOCK, [table, np.int32(each)])
    parts = np.split(device.download(out), ends[:-1])
    return [_found(column, size, part) for column, size, part in zip(columns, words, parts, strict=True)]


class _Task:
    """A column's row in the table that the kernel reads; holds what it points to."""

    def __init__(self, column: OnGrid, totals: DeviceArray, flags: DeviceArray) -> None:
        self.column, self._totals, self._flags = column, totals, flags
        chosen, device = column.chosen, column.values.device
        self._chosen = None if chosen is None else device.upload(np.ascontiguousarray(chosen, np.int64))

    def row(self) -> tuple[int, ...]:
        column = self.column
        return (
            column.values.pointer, pointer_of(column.valid), pointer_of(self._chosen),
            len(column.values), column.n_tiles, column.low, self._totals.pointer, self._flags.pointer,
        )  # fmt: skip


def _found(column: OnGrid, words: int, part: Array) -> Found:
    wrong = np.flatnonzero(part[words:].view(np.uint8)[: column.n_tiles])
    totals = _joined(part[: words - 1].view(np.int64).reshape(-1, 2))
    return Found(totals, wrong if column.chosen is None else column.chosen[wrong], int(part[words - 1]))


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
    found, high, off = sums_by_group(values, groups, len(totals), low, slices, squares, valid=valid)
    totals += found if high is None else found + (high << 32)
    return np.zeros(0, np.int64) if off is None else off.to_host()


def sums_by_group(
    values: DeviceArray,
    groups: DeviceArray | None,
    n_groups: int,
    low: int,
    slices: int,
    squares: bool,
    *,
    valid: DeviceArray | None = None,
    largest: int | None = None,
) -> tuple[Array, Array | None, DeviceArray | None]:
    """What `group_sums` adds to totals, of any number of rows, and the positions that it names. One launch, or three.

    Args:
        largest: how many rows the largest group has at most; None: as many as there are.

    Returns:
        int64 of shape (n_groups, totals), what belongs to them 2^32 times (None: nothing), and int64 positions (None:
        there are no such values).
    """
    device, size = values.device, len(values)
    width = 3 * slices - 1 if squares else slices
    if not size or not n_groups:
        return np.zeros((n_groups, width), np.int64), None, None
    at = where(groups, n_groups, 8 * width)
    if at == IN_GLOBAL and (size if largest is None else largest) > GROUP_ROWS:
        at = IN_HALVES
    shared = {IN_REGISTERS: 16 * width, IN_SHARED: 8 * width * n_groups}.get(at, 0)
    grid = blocks(device, size, shared // 8 if at == IN_SHARED else 0, GROUP_ROWS)
    words = 1 if at == IN_GLOBAL else 2
    out, off = device.zeros(1 + words * n_groups * width, np.uint64), device.empty(words_of(size), np.uint32)
    arguments = [values, valid, groups, np.int64(size), np.int32(low), np.int32(n_groups), np.int32(at), out, off]
    device.launch(Kernel(_text(values.dtype.name, slices, squares), "group_sums"), grid, BLOCK, arguments, shared)
    found = device.download(out).view(np.int64)
    totals, missed = found[1:].reshape(n_groups, width, words), positions(off, size) if found[0] else None
    return totals[..., 0], totals[..., 1] if words == 2 else None, missed


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
