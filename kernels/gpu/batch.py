"""Many columns in few launches: what they are told goes up at once, and what they find comes down at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from .device import Device, DeviceArray, Kernel
from .rows import BLOCK

Array = np.ndarray[Any, Any]

_THREADS = 2048  # of each multiprocessor, of all columns of a launch together


def _nothing() -> Array:
    return np.zeros(0, np.uint64)


@dataclass(eq=False, slots=True)
class Job:
    """What one launch does for one column.

    Attributes:
        kernel: its parameters are a table, a row for each job, and (int) how many blocks each of them has.
        row: the numbers of its row (addresses too), after two that every kernel has: the address of what it finds, and
            how many of its blocks have work.
        words: of what it finds: uint64, 0 before.
        blocks: that should share its rows, at most; `least`: that must.
        block: threads of a block.
        shared: bytes of dynamic shared memory of a block.
        holds: what the row points to.
        found: what it found, once it was fetched.
    """

    kernel: Kernel
    row: tuple[int, ...]
    words: int
    blocks: int
    least: int = 1
    block: int = BLOCK
    shared: int = 0
    holds: tuple[object, ...] = ()
    found: Array = field(default_factory=_nothing, repr=False)


class Launched:
    """Jobs under way: a launch for all of one kernel, in the order in which kernels first occur among them.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """

    def __init__(self, device: Device, jobs: Sequence[Job]) -> None:
        alike: dict[tuple[Kernel, int], list[Job]] = {}
        for job in jobs:
            alike.setdefault((job.kernel, job.block), []).append(job)
        self._jobs = [job for kernels in alike.values() for job in kernels]
        self._ends = list(accumulate((job.words for job in self._jobs), initial=0))
        if self._jobs:
            self._found = device.zeros(max(self._ends[-1], 1), np.uint64)
            self._launch(device, alike)

    def _launch(self, device: Device, alike: dict[tuple[Kernel, int], list[Job]]) -> None:
        numbers: list[int] = []
        launches: list[tuple[Kernel, int, int, int, int, int]] = []
        place, places = self._found.pointer, iter(self._ends)
        for (kernel, block), jobs in alike.items():
            room = _THREADS // block * device.n_processors // len(jobs)
            each = max(min(max(job.blocks for job in jobs), room), max(job.least for job in jobs), 1)
            start = len(numbers)
            for job in jobs:
                numbers += place + 8 * next(places), max(min(job.blocks, each), job.least), *job.row
            shared = max(job.shared for job in jobs)
            launches.append((kernel, each * len(jobs), block, shared, each, start))
        table = device.upload(np.array(numbers, np.int64))
        for kernel, grid, block, shared, each, start in launches:
            device.launch(kernel, grid, block, [table.rows(start, len(numbers)), np.int32(each)], shared)
        self._done = device.mark()

    def found_there(self, number: int) -> DeviceArray:
        """What the numbered job finds, on the device: in the order of kernels, then of jobs."""
        return self._found.rows(self._ends[number], self._ends[number + 1])

    def fetch(self) -> None:
        """Put what each job found into it: one copy, which waits for these jobs and no later ones."""
        if self._jobs:
            found = self._found.device.download(self._found, self._done)
            for job, start, stop in zip(self._jobs, self._ends, self._ends[1:], strict=False):
                job.found = found[start:stop]

    def copied(self, array: DeviceArray) -> Array:
        """A copy of what these jobs wrote elsewhere; it waits for them and no later ones too."""
        return array.device.download(array, self._done)


def run(device: Device, jobs: Sequence[Job]) -> None:
    """Do all jobs, and fetch what they find.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    Launched(device, jobs).fetch()


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """What kernels of statistics read of a column without a dictionary.

    Attributes:
        values: of shape (rows,).
        valid: bitmap of the rows that count; None: all do.
        groups: int32 of shape (rows,), negative: of no group; None: all rows are of group 0.
        n_groups: how many groups there are.
    """

    values: DeviceArray
    valid: DeviceArray | None = None
    groups: DeviceArray | None = None
    n_groups: int = 1

    def __len__(self) -> int:
        return len(self.values)
