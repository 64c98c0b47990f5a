"""Bins by limits that hold for all rows."""

from typing import Any

import numpy as np

from .device import Device, DeviceArray, Kernel
from .rows import BLOCK, C_TYPES, blocks, source

SOURCES = {f"bins {name}": source(name, "bins.cu") for name in C_TYPES}


def bins(device: Device, values: DeviceArray, limits: np.ndarray[Any, Any]) -> DeviceArray:
    """int32 of shape (rows,): ``numpy.searchsorted(limits, values, "right")``; NaN is beyond all.

    Args:
        values: numbers of shape (rows,), compared as float64.
        limits: float64, increasing, none of them NaN.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    n_rows = len(values)
    out = device.empty(n_rows, np.int32)
    if n_rows:
        there = device.upload(np.append(limits, np.inf))  # one more, so that none is no special case
        kernel = Kernel(SOURCES[f"bins {values.dtype.name}"], "bins")
        arguments = (values, np.int64(n_rows), there, np.int32(len(limits)), out)
        device.launch(kernel, blocks(device, n_rows), BLOCK, arguments)
    return out
