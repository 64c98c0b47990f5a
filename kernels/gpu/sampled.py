"""What some of a column's rows tell of it: how large values are, how fine, and in which bins most lie."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..reference.radix import BINS
from .batch import Column, Job, Launched
from .device import DeviceArray, Kernel
from .numbers import kind_of, source
from .rows import BLOCK, pointer_of

Array = np.ndarray[Any, Any]

SOURCES = {"sampled": source("order.cuh", "sampled.cu")}
_LOOK = Kernel(SOURCES["sampled"], "look")
_RUNS_AT = 2  # words of what is found, before those that say where runs begin


def look_job(column: Column, width: int = 0) -> Job:
    """What looks at 256 of the rows, or all.

    Args:
        width: of the runs of bins; 0: none are wanted.
    """
    assert width <= BINS
    step = max(1, -(-len(column) // BLOCK))
    row = (
        column.values.pointer, kind_of(column.values.dtype), pointer_of(column.valid), step, len(column), width,
    )  # fmt: skip
    return Job(_LOOK, row, _RUNS_AT + 3, 1, holds=(column,))


def sizes(jobs: Sequence[Job]) -> tuple[Array, Array]:
    """Of each column the greatest finite size of a value, and the least place that a value has a bit in: float64.

    Values that are not finite, 0 or not valid do not count; of none other, both are 1.
    """
    found = np.stack([job.found[:2] for job in jobs])
    found[:, 1] = np.where(found[:, 0] == 0, 0, ~found[:, 1])
    ends = found.view(np.float64)
    return np.where(ends[:, 0] > 0, ends[:, 0], 1.0), np.where(ends[:, 0] > 0, ends[:, 1], 1.0)


def runs_there(looks: Launched, number: int) -> DeviceArray:
    """Where the runs begin, of the numbered one of jobs that all look: uint64 of shape (3,), on the device."""
    return looks.found_there(number).rows(_RUNS_AT, _RUNS_AT + 3)
