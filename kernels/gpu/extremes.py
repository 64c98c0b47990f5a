"""Least and greatest values, and counts, by group on a device."""

from functools import cache
from typing import Any

import numpy as np

from ..reference.radix import floats_of
from .device import DeviceArray, Kernel
from .rows import BLOCK, IN_GLOBAL, SHARED_BYTES, blocks, is_float, source, where

Array = np.ndarray[Any, Any]

_NONE = 2**63 - 1
_TALLIES = source(np.uint32, "tallies.cu")


@cache
def _text(dtype: str) -> str:
    return source(dtype, "extremes.cu", FLOATS=int(is_float(np.dtype(dtype))))


SOURCES = {f"extremes {dtype}": _text(dtype) for dtype in ("float32", "float64", "int64", "bool")}
SOURCES["tallies"] = _TALLIES


def extremes(
    values: DeviceArray, groups: DeviceArray | None, n_groups: int, *, valid: DeviceArray | None = None
) -> tuple[Array, Array, int | None]:
    """The least and the greatest value of each group, and the first row that is NaN (which none of both regards).

    Args:
        values: of any type but uint64.
        groups: int32 of shape (rows,), negative: of no group; None: all are of group 0.

    Returns:
        Two arrays of shape (n_groups,), of the values' type, of bool int64. -0.0 equals 0.0. Of a group without values
        the greatest and the least number that the type holds, of floats infinities.
    """
    device, size = values.device, len(values)
    found = np.full(1 + 2 * n_groups, _NONE)
    if size and n_groups:
        at = where(groups, n_groups, 16)
        shared = 0 if at == IN_GLOBAL else 16 * n_groups
        there = device.upload(found)
        arguments = [values, valid, groups, np.int64(size), np.int32(n_groups), np.int32(at), there]
        kernel = Kernel(_text(values.dtype.name), "extremes")
        device.launch(kernel, blocks(device, size, shared // 8), BLOCK, arguments, shared)
        found = device.download(there)
    nan = None if found[0] == _NONE else int(found[0])
    return (*_values(found[1:].reshape(n_groups, 2), values.dtype), nan)


def _values(ends: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    least, greatest = ends[:, 0], ~ends[:, 1]
    empty = least > greatest
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
    """int64 of shape (n_groups, n_entries): the valid rows of each group that have each entry. One launch.

    Args:
        groups: int32 of shape (rows,), negative: of no group; None: all are of group 0.
        ids: int32 of shape (rows,), from 0 to n_entries - 1; None: all rows have entry 0. One of both is given.
    """
    rows = groups if groups is not None else ids
    assert rows is not None
    device, size, places = rows.device, len(rows), n_groups * n_entries
    if not size or not places:
        return np.zeros((n_groups, n_entries), np.int64)
    out = device.zeros((n_groups, n_entries), np.uint32)
    shared = 4 * places if 4 * places <= SHARED_BYTES else 0
    arguments = [
        groups, ids, valid, np.int64(size), np.int32(n_groups), np.int32(n_entries), np.int32(shared > 0), out,
    ]  # fmt: skip
    device.launch(Kernel(_TALLIES, "tallies"), blocks(device, size, shared // 4), BLOCK, arguments, shared)
    return device.download(out).astype(np.int64)
