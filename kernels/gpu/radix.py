"""Bins of float64, and spans of their order, on a device: names, arguments and results of the reference's `radix`."""

from functools import cache
from typing import Any

import numpy as np

from ..reference.radix import BINS as BINS
from .bits import positions, words_of
from .device import DeviceArray, Kernel
from .rows import BLOCK, blocks, source

Array = np.ndarray[Any, Any]


@cache
def _text(dtype: str) -> str:
    return source(dtype, "order.cuh", "radix.cu")


SOURCES = {f"radix {dtype}": _text(dtype) for dtype in ("float32", "float64", "int64")}


def bins_of(values: DeviceArray, *, valid: DeviceArray | None = None) -> DeviceArray:
    """As the reference says, but int32 in the device's memory, and -1 for rows that are not valid."""
    device, size = values.device, len(values)
    out = device.empty(size, np.int32)
    if size:
        arguments = [values, valid, np.int64(size), out]
        device.launch(Kernel(_text(values.dtype.name), "bins"), blocks(device, size), BLOCK, arguments)
    return out


def rows_between(
    values: DeviceArray,
    low: Array,
    high: Array,
    *,
    valid: DeviceArray | None = None,
    groups: DeviceArray | None = None,
) -> DeviceArray:
    """As the reference says, but int64 in the device's memory: of valid rows, and of those of a group (not negative).

    Args:
        low, high: on the host.
    """
    device, size = values.device, len(values)
    if not size:
        return device.empty(0, np.int64)
    inside = device.empty(words_of(size), np.uint32)
    arguments = [
        values, valid, groups, np.int64(size), device.upload(np.ascontiguousarray(low)),
        device.upload(np.ascontiguousarray(high)), np.int32(len(low)), inside,
    ]  # fmt: skip
    device.launch(Kernel(_text(values.dtype.name), "rows_between"), blocks(device, size), BLOCK, arguments)
    return positions(inside, size)
