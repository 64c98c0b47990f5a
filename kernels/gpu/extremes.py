"""Least and greatest values, and counts, by group on a device."""

from functools import cache
from typing import Any

import numpy as np

from ..reference.radix import floats_of
from .batch import Column, Job, run
from .device import DeviceArray, Kernel
from .rows import BLOCK, IN_GLOBAL, SHARED_BYTES, blocks_for, is_float, pointer_of, row_of, source, where

Array = np.ndarray[Any, Any]

_SIGN = np.uint64(1 << 63)
_TALLIES = Kernel(source(np.uint32, "tallies.cu"), "tallies")


@cache
def _text(dtype: str) -> str:
    return source(dtype, "extremes.cu", FLOATS=int(is_float(np.dtype(dtype))))


@cache
def _extremes(dtype: np.dtype[Any]) -> Kernel:
    return Kernel(_text(dtype.name), "extremes")


SOURCES = {f"extremes {dtype}": _text(dtype) for dtype in ("float32", "float64", "int64", "bool")}
SOURCES["tallies"] = _TALLIES.source

Extremes = tuple[Array, Array, int | None]


def extremes(
    values: DeviceArray, groups: DeviceArray | None, n_groups: int, *, valid: DeviceArray | None = None
) -> Extremes:
    """What `extremes_found` says of one column. One launch.

    Args:
        values: of any type but uint64.
        groups: int32 of shape (rows,), negative: of no group; None: all are of group 0.
    """
    column = Column(values, valid, groups, n_groups)
    job = extremes_job(column)
    run(values.device, [job])
    return extremes_found(column, job)


def extremes_job(column: Column) -> Job:
    """What finds the least and the greatest value of each group, and the first row that is NaN."""
    at = where(column.groups, column.n_groups, 16)
    shared = 0 if at == IN_GLOBAL else 16 * column.n_groups
    row = (
        column.values.pointer, pointer_of(column.valid), pointer_of(column.groups), len(column), column.n_groups, at,
    )  # fmt: skip
    kernel, size = _extremes(column.values.dtype), 1 + 2 * column.n_groups
    return Job(kernel, row, size, blocks_for(len(column) // 4, shared // 8), shared=shared, holds=(column,))


def extremes_found(column: Column, job: Job) -> Extremes:
    """What it found.

    Returns:
        Two arrays of shape (n_groups,), of the values' type, of bool int64, and the first row that is NaN (which none
        of both regards). -0.0 equals 0.0. Of a group without values the greatest and the least number that the type
        holds, of floats infinities.
    """
    up, down = job.found[1:].reshape(-1, 2).T
    empty = (up | down) == 0
    ends = (~down ^ _SIGN).view(np.int64), (up ^ _SIGN).view(np.int64)
    return (*_values(*ends, empty, column.values.dtype), row_of(job.found[0]))


def _values(least: Array, greatest: Array, empty: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    if is_float(dtype):
        found = floats_of(np.where(empty, 0, least)), floats_of(np.where(empty, 0, greatest))
        return np.where(empty, np.inf, found[0]).astype(dtype), np.where(empty, -np.inf, found[1]).astype(dtype)
    bounds = np.iinfo(np.int64 if dtype.kind == "b" else dtype)
    return (
        np.where(empty, bounds.max, least).astype(bounds.dtype),
        np.where(empty, bounds.min, greatest).astype(bounds.dtype),
    )


def counts(
    groups: DeviceArray | None,
    n_groups: int,
    *,
    valid: DeviceArray | None = None,
    ids: DeviceArray | None = None,
    n_entries: int = 1,
) -> Array:
    """What `counts_found` says of one column. One launch."""
    rows = groups if groups is not None else ids
    assert rows is not None
    job = counts_job(len(rows), groups, n_groups, valid, ids, n_entries)
    run(rows.device, [job])
    return counts_found(job, n_groups, n_entries)


def counts_job(
    n_rows: int,
    groups: DeviceArray | None,
    n_groups: int,
    valid: DeviceArray | None,
    ids: DeviceArray | None = None,
    n_entries: int = 1,
) -> Job:
    """What counts the valid rows of each group that have each entry.

    Args:
        groups: int32 of shape (rows,), negative: of no group; None: all are of group 0.
        valid: bitmap of the rows; None: all are valid.
        ids: int32 of shape (rows,), from 0 to n_entries - 1; None: all rows have entry 0. One of the three is given.
    """
    places, alone = n_groups * n_entries, groups is None and ids is None
    shared = 4 * places if 4 * places <= SHARED_BYTES and not alone else 0
    row = (
        pointer_of(groups), pointer_of(ids), pointer_of(valid), n_rows, n_groups, n_entries, int(shared > 0),
    )  # fmt: skip
    most = blocks_for(n_rows // 32 if alone else n_rows, shared // 4)
    return Job(_TALLIES, row, -(-places // 2), most, block=BLOCK, shared=shared, holds=(groups, ids, valid))


def counts_found(job: Job, n_groups: int = 1, n_entries: int = 1) -> Array:
    """int64 of shape (n_groups, n_entries)."""
    found = job.found.view(np.uint32)[: n_groups * n_entries]
    return found.astype(np.int64).reshape(n_groups, n_entries)
