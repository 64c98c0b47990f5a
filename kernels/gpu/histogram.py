"""Histograms of columns over bins of float64: `histogram` of `gpupipe.kernels.reference.radix`, of many columns.

Histograms are made in the device's memory; the bins that occur, usually few of 65,536, are packed together there and
copied alone.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..reference.radix import BINS
from .batch import Column, Job, Launched
from .device import Device, DeviceArray, Kernel
from .rows import pointer_of, row_of, source
from .sampled import look_job, runs_there

Array = np.ndarray[Any, Any]

_RUNS = 3  # as in order.cuh: usually one around the positive values, one around the negative ones, one around 0
_HELD = 9_216  # counters of a block, in all runs and groups: 36 KiB
_BLOCK, _COLLECTS = 512, 1024
_WORTH = 4  # rows of a block for each of its counters
_MOST = 1 << 26  # bytes of histograms at a time
_USUAL = 8_192  # bins of a histogram that occur: where there are more, they are packed once more


@cache
def _kernel(dtype: np.dtype[Any]) -> Kernel:
    """Values are taken as float32 where that is their type, else as float64."""
    number = "float" if dtype == np.float32 else "double"
    return Kernel(f"typedef {number} number_t;\n" + source(dtype, "order.cuh", "histogram.cu"), "histogram")


_COLLECT = Kernel(source(np.uint32, "order.cuh", "collected.cu"), "collect")
SOURCES = {f"histogram {dtype}": _kernel(np.dtype(dtype)).source for dtype in ("float32", "float64", "int64")}
SOURCES["collected"] = _COLLECT.source


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What there is in a column.

    Attributes:
        places: int64, ascending: the bins that occur, BINS times the group added to them.
        counts: int64, how many values lie in each.
        nan: the first row that is NaN, which is counted nowhere.
    """

    places: Array
    counts: Array
    nan: int | None


def width_for(n_groups: int) -> int:
    """How many bins the runs have that a block counts for itself, of so many groups."""
    return _HELD // (_RUNS * n_groups)


class Histograms:
    """Histograms of columns, each of one row and one group at least, under way.

    Args:
        device: whose memory they are in.
        columns: of any type but uint64.
        runs: for each column uint64 of shape (3,), where the runs of its bins begin. It shows in nothing but the time.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """

    def __init__(self, device: Device, columns: Sequence[Column], runs: Sequence[DeviceArray]) -> None:
        self._device, self._left = device, list(zip(columns, runs, strict=True))
        self._under_way = self._next()

    def fetch(self) -> list[Found]:
        """What there is in each column."""
        found = []
        while self._under_way is not None:
            found += self._under_way.fetch()
            self._under_way = self._next()
        return found

    def _next(self) -> "_Some | None":
        ends = list(accumulate((column.n_groups for column, _ in self._left)))
        size = max(bisect_right(ends, _MOST // (4 * BINS)), 1)
        some, self._left = self._left[:size], self._left[size:]
        return _Some(self._device, some) if some else None


class _Some:
    """As many as are made at a time."""

    def __init__(self, device: Device, columns: Sequence[tuple[Column, DeviceArray]]) -> None:
        self._columns = [column for column, _ in columns]
        self._firsts = list(accumulate((column.n_groups for column in self._columns), initial=0))
        tables = self._firsts[-1]
        counts = device.zeros(tables * BINS, np.uint32)
        self._jobs = [_counting(*each, counts, at) for each, at in zip(columns, self._firsts, strict=False)]
        self._device, self._counts, self._tables = device, counts, tables
        room = sum(column.n_groups * min(_USUAL, len(column)) for column in self._columns)
        self._launched = Launched(device, [*self._jobs, *self._packing(room)])

    def _packing(self, room: int) -> list[Job]:
        self._entries, end = self._device.empty((room, 2), np.uint32), self._device.zeros(1, np.uint64)
        first, to = self._counts.pointer, self._entries.pointer
        self._packs = [
            Job(_COLLECT, (first + 4 * BINS * table, end.pointer, to, room), 2, 1, block=_COLLECTS,
                holds=(self._counts, end, self._entries)) for table in range(self._tables)
        ]  # fmt: skip
        return self._packs

    def _packed(self) -> tuple[list[tuple[int, int]], Array]:
        """(where the entries of each histogram begin, how many they are), and all entries."""
        packing = self._launched
        packing.fetch()
        size = int(sum(job.found[1] for job in self._packs))
        if size > len(self._entries):
            packing = Launched(self._device, self._packing(size))
            packing.fetch()
        ends = [(int(job.found[0]), int(job.found[1])) for job in self._packs]
        return ends, packing.copied(self._entries.rows(0, size))

    def fetch(self) -> list[Found]:
        ends, entries = self._packed()
        bins, times = (np.ascontiguousarray(entries[:, side], np.int64) for side in (0, 1))
        found = []
        for job, (first, last) in zip(self._jobs, pairwise(self._firsts), strict=True):
            parts = []
            for group, (begin, used) in enumerate(ends[first:last]):
                own = bins[begin : begin + used]
                parts.append((own + BINS * group if group else own, times[begin : begin + used]))
            places, counts = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
            found.append(Found(places, counts, row_of(job.found[0])))
        return found


def _counting(column: Column, runs: DeviceArray, counts: DeviceArray, first: int) -> Job:
    width = width_for(column.n_groups)
    held = _RUNS * width * column.n_groups
    row = (
        column.values.pointer, pointer_of(column.valid), pointer_of(column.groups), len(column), column.n_groups, width,
        runs.pointer, counts.pointer + 4 * BINS * first,
    )  # fmt: skip
    blocks = max(len(column) // (_WORTH * held), 1)
    kernel = _kernel(column.values.dtype)
    return Job(kernel, row, 1, blocks, block=_BLOCK, shared=4 * held, holds=(column, runs, counts))


def histogram(
    values: DeviceArray, groups: DeviceArray | None = None, n_groups: int = 1, *, valid: DeviceArray | None = None
) -> Array:
    """As the reference says, of valid values of any type, each as float64, and int32 groups (negative: none)."""
    table = np.zeros(n_groups * BINS, np.int64)
    if len(values) and n_groups:
        column = Column(values, valid, groups, n_groups)
        looks = Launched(values.device, [look_job(column, width_for(n_groups))])
        (found,) = Histograms(values.device, [column], [runs_there(looks, 0)]).fetch()
        table[found.places] = found.counts
    return table.reshape(n_groups, BINS)
