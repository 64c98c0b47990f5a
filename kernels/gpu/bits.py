"""Bitmaps in a device's memory, and rows taken out of columns by them.

A bitmap has 32 rows a word, the least bit first; bits beyond the rows are anything. None stands for all bits set.
"""

from typing import Any

import numpy as np

from .device import DeviceArray, Kernel
from .rows import BLOCK, C_TYPES, blocks, is_float, none_found, row_or_none, source

Array = np.ndarray[Any, Any]

_CHUNK = 256 * 32  # rows that one block numbers, as in bits.cu
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}

_TEXT = source(np.uint32, "bits.cu")


def _taking(values: Any, rows: Any) -> str:
    return f"typedef {C_TYPES[np.dtype(rows).name]} index_t;\n" + source(values, "taken.cu")


SOURCES = {"bits": _TEXT, "taken": _taking(np.float64, np.int64)}


def words_of(n_rows: int) -> int:
    """How many words a bitmap of so many rows has; at least one."""
    return max(-(-n_rows // 32), 1)


def positions(bits: DeviceArray, n_rows: int) -> DeviceArray:
    """int64, ascending: the rows whose bits are set. Two launches."""
    device = bits.device
    if not n_rows:
        return device.empty(0, np.int64)
    chunks = -(-n_rows // _CHUNK)
    counts = device.empty(chunks, np.uint32)
    device.launch(Kernel(_TEXT, "count_chunks"), chunks, BLOCK, [bits, np.int64(n_rows), counts])
    ends = np.cumsum(device.download(counts), dtype=np.int64)
    out = device.empty(int(ends[-1]), np.int64)
    if ends[-1]:
        starts = device.upload(np.append(np.int64(0), ends[:-1]))
        device.launch(Kernel(_TEXT, "write_positions"), chunks, BLOCK, [bits, np.int64(n_rows), starts, out])
    return out


def take(values: DeviceArray, rows: DeviceArray) -> DeviceArray:
    """The values (of any type of 1, 2, 4 or 8 bytes) at these positions (int32 or int64, none negative)."""
    device, size = values.device, len(rows)
    out = device.empty(size, values.dtype)
    if size:
        kernel = Kernel(_taking(_UNSIGNED[values.dtype.itemsize], rows.dtype), "take")
        device.launch(kernel, blocks(device, size), BLOCK, [values, rows, np.int64(size), out])
    return out


def take_bits(bits: DeviceArray, rows: DeviceArray) -> DeviceArray:
    """The bitmap of the rows at these positions (int32 or int64, none negative); bits beyond them are 0."""
    device, size = bits.device, len(rows)
    if not size:
        return device.zeros(words_of(0), np.uint32)
    out = device.empty(words_of(size), np.uint32)
    kernel = Kernel(_taking(np.uint32, rows.dtype), "take_bits")
    device.launch(kernel, blocks(device, size), BLOCK, [bits, rows, np.int64(size), out])
    return out


def first_odd(
    values: DeviceArray, valid: DeviceArray | None = None, groups: DeviceArray | None = None
) -> tuple[int | None, int | None]:
    """The first row that is NaN, and the first infinite one, of those that are valid and of a group (not negative)."""
    device, size = values.device, len(values)
    if not size or not is_float(values.dtype):
        return None, None
    found = none_found(device, 2)
    kernel = Kernel(_taking(values.dtype, np.int64), "first_odd")
    device.launch(kernel, blocks(device, size), BLOCK, [values, valid, groups, np.int64(size), found])
    nan, infinite = device.download(found).view(np.int64).tolist()
    return row_or_none(nan), row_or_none(infinite)
