"""Exact sums on a device: names, arguments and results of `gpupipe.kernels.reference.exact`.

Values are cut into slices in float64, where nothing rounds, and slices are added as integers, also between blocks: no
order in which they come can show. A row that is not valid counts as 0.0, which adds nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..reference.exact import GROUP_ROWS, ROWS, n_totals
from .batch import Column, Job, run
from .bits import positions, words_of
from .device import DeviceArray, Kernel
from .rows import BLOCK, IN_GLOBAL, IN_HALVES, IN_REGISTERS, IN_SHARED, blocks_for, pointer_of, source, where

Array = np.ndarray[Any, Any]

_WARPS = BLOCK // 32  # each takes a tile
_TILES = 2047  # that one may take: what a lane has of each is less than 2^52, and of all together less than 2^63
_WHERE = 6  # the place, in a row of `group_sums`, of where totals are kept
_NO_ROWS = np.zeros(0, np.int64)


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


@cache
def _kernel(dtype: np.dtype[Any], slices: int, squares: bool, entry: str) -> Kernel:
    return Kernel(_text(dtype.name, slices, squares), entry)


@cache
def _of_integers(dtype: np.dtype[Any], squares: bool) -> Kernel:
    return Kernel(_integers(dtype.name, squares), "integer_sums")


@dataclass(frozen=True, slots=True, eq=False)
class OnGrid:
    """A column and its grid.

    Attributes:
        column: of any type and number of rows.
        low, slices: the grid, as the reference has it.
        chosen: int64, the tiles to look at; None: all. By group it is not looked at.
        largest: how many rows the largest group has at most; None: as many as there are.
    """

    column: Column
    low: int
    slices: int
    chosen: Array | None = None
    largest: int | None = None

    @property
    def n_tiles(self) -> int:
        return -(-len(self.column) // ROWS) if self.chosen is None else len(self.chosen)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What is found of a column.

    Attributes:
        halves: int64 of shape (totals, 2), what `tile_sums` adds: low and high, of low + 2^32 high.
        wrong: int64, the tiles that it names.
        n_valid: how many rows of all these tiles are valid.
    """

    halves: Array
    wrong: Array
    n_valid: int

    @property
    def totals(self) -> list[int]:
        """What `tile_sums` adds, of any size."""
        return [low + (high << 32) for low, high in self.halves.tolist()]


class Tiles:
    """Tiles of columns, at least one, each on its grid. Groups are not looked at.

    Attributes:
        jobs: what adds them up, and finds which do not lie on their grid.
    """

    def __init__(self, columns: Sequence[OnGrid], squares: bool) -> None:
        device = columns[0].column.values.device
        self._columns, self.jobs = columns, list[Job]()
        self._ends = list(accumulate((each.n_tiles for each in columns), initial=0))
        self._flags = device.empty(self._ends[-1], np.uint8)
        for each, place in zip(columns, self._ends, strict=False):
            column, tiles = each.column, each.n_tiles
            chosen = None if each.chosen is None else device.upload(np.ascontiguousarray(each.chosen, np.int64))
            row = (
                column.values.pointer, pointer_of(column.valid), pointer_of(chosen), len(column), tiles, each.low,
                self._flags.pointer + place,
            )  # fmt: skip
            kernel = _kernel(column.values.dtype, each.slices, squares, "tile_sums")
            words = 2 * n_totals(each.slices, squares) + 2
            most, least = -(-tiles // _WARPS), -(-tiles // (_WARPS * _TILES))
            self.jobs.append(Job(kernel, row, words, most, least, holds=(column, chosen, self._flags)))

    def found(self) -> list[Found]:
        """What the jobs found."""
        return list(map(self._found, self._columns, self.jobs, self._ends))

    def _found(self, each: OnGrid, job: Job, place: int) -> Found:
        wrong = _NO_ROWS
        if job.found[-1]:
            wrong = np.flatnonzero(self._flags.rows(place, place + each.n_tiles).to_host())
            wrong = wrong if each.chosen is None else each.chosen[wrong]
        return Found(job.found[:-2].view(np.int64).reshape(-1, 2), wrong, int(job.found[-2]))


def tile_sums(
    values: DeviceArray, low: int, slices: int, squares: bool, totals: Array, *, valid: DeviceArray | None = None
) -> Array:
    """As the reference says; a tile holds `ROWS` rows, valid or not. One launch."""
    tiles = Tiles([OnGrid(Column(values, valid), low, slices)], squares)
    run(values.device, tiles.jobs)
    (found,) = tiles.found()
    totals += np.array(found.totals, np.int64)
    return found.wrong


class ByGroup:
    """Rows of columns by group, at least one column, each on its grid.

    Attributes:
        jobs: what adds them up, and finds which do not lie on their grid.
    """

    def __init__(self, columns: Sequence[OnGrid], squares: bool) -> None:
        self._columns = columns
        ends = list(accumulate((words_of(len(each.column)) for each in columns), initial=0))
        off = columns[0].column.values.device.empty(ends[-1], np.uint32)
        self._off = [off.rows(start, stop) for start, stop in pairwise(ends)]
        self.jobs = [_by_group(each, squares, off) for each, off in zip(columns, self._off, strict=True)]

    def found(self) -> list[tuple[Array, Array | None, DeviceArray | None]]:
        """What the jobs found: as :func:`sums_by_group`."""
        return list(map(self._found, self._columns, self.jobs, self._off))

    def _found(self, each: OnGrid, job: Job, off: DeviceArray) -> tuple[Array, Array | None, DeviceArray | None]:
        found, n_groups = job.found.view(np.int64), each.column.n_groups
        words = 1 if job.row[_WHERE] == IN_GLOBAL else 2
        totals = found[1:].reshape(n_groups, -1, words)
        missed = positions(off, len(each.column)) if found[0] else None
        return totals[..., 0], totals[..., 1] if words == 2 else None, missed


def _by_group(each: OnGrid, squares: bool, off: DeviceArray) -> Job:
    column, size = each.column, len(each.column)
    width = 3 * each.slices - 1 if squares else each.slices
    at = where(column.groups, column.n_groups, 8 * width)
    if at == IN_GLOBAL and (size if each.largest is None else each.largest) > GROUP_ROWS:
        at = IN_HALVES
    shared = {IN_REGISTERS: 16 * width, IN_SHARED: 8 * width * column.n_groups}.get(at, 0)
    row = (
        column.values.pointer, pointer_of(column.valid), pointer_of(column.groups), size, each.low, column.n_groups, at,
        off.pointer,
    )  # fmt: skip
    kernel = _kernel(column.values.dtype, each.slices, squares, "group_sums")
    return Job(
        kernel, row, 1 + (1 if at == IN_GLOBAL else 2) * column.n_groups * width,
        blocks_for(size, shared // 8 if at == IN_SHARED else 0), -(-size // GROUP_ROWS), shared=shared,
        holds=(column, off),
    )  # fmt: skip


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
    found, high, off = sums_by_group(OnGrid(Column(values, valid, groups, len(totals)), low, slices), squares)
    totals += found if high is None else found + (high << 32)
    return np.zeros(0, np.int64) if off is None else off.to_host()


def sums_by_group(each: OnGrid, squares: bool) -> tuple[Array, Array | None, DeviceArray | None]:
    """What `group_sums` adds to totals, of any number of rows, and the positions that it names. One launch, or three.

    Returns:
        int64 of shape (n_groups, totals), what belongs to them 2^32 times (None: nothing), and int64 positions (None:
        there are no such values).
    """
    by_group = ByGroup([each], squares)
    run(each.column.values.device, by_group.jobs)
    return by_group.found()[0]


def integer_sums(
    values: DeviceArray,
    groups: DeviceArray | None,
    n_groups: int,
    squares: bool,
    *,
    valid: DeviceArray | None = None,
) -> tuple[Array, Array | None]:
    """What `integers_found` says of one column. One launch."""
    column = Column(values, valid, groups, n_groups)
    job = integers_job(column, squares)
    run(values.device, [job])
    return integers_found(column, job)


def integers_job(column: Column, squares: bool) -> Job:
    """What adds integers (bool is one), and their squares if asked for, by group."""
    digits = 6 if squares else 2
    at = where(column.groups, column.n_groups, 8 * digits)
    shared = 0 if at == IN_GLOBAL else 8 * digits * column.n_groups
    row = (
        column.values.pointer, pointer_of(column.valid), pointer_of(column.groups), len(column), column.n_groups, at,
    )  # fmt: skip
    kernel = _of_integers(column.values.dtype, squares)
    most = blocks_for(len(column), shared // 8)
    return Job(kernel, row, digits * column.n_groups, most, shared=shared, holds=(column,))


def integers_found(column: Column, job: Job) -> tuple[Array, Array | None]:
    """What it found: what `digit_sums` of the reference adds for the exponent 0, with the value's sign, not carried.

    Returns:
        int64 of shape (2, n_groups), in units of 1 and 2^32; and int64 of shape (4, n_groups) of squares, if asked for.
    """
    found = job.found.view(np.int64).reshape(-1, column.n_groups)
    return found[:2], found[2:] if len(found) > 2 else None
