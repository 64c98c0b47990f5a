"""Bins by limits that hold for all rows."""

from typing import Any

import numpy as np

from .device import Device, DeviceArray, Kernel
from .source import text

_BLOCK, _MOST_BLOCKS = 256, 2048
#: NumPy's types, as CUDA C++ has them.
C_TYPES = {
    "bool": "unsigned char", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long",
    "uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int", "uint64": "unsigned long long",
    "float32": "float", "float64": "double",
}  # fmt: skip


SOURCES = {
    f"bins {name}": text("numbers.cuh") + f"typedef {c_type} value_t;\n" + text("bins.cu")
    for name, c_type in C_TYPES.items()
}


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
        grid = min(-(-n_rows // _BLOCK), _MOST_BLOCKS)
        device.launch(kernel, grid, _BLOCK, (values, np.int64(n_rows), there, np.int32(len(limits)), out))
    return out
