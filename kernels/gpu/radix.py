"""Histograms over bins of float64 on a device: names, arguments and results of `gpupipe.kernels.reference.radix`."""

from functools import cache
from typing import Any

import numpy as np

from ..reference import radix as reference
from ..reference.radix import BINS
from .bits import positions, samples, words_of
from .device import DeviceArray, Kernel
from .rows import BLOCK, blocks, is_float, source

Array = np.ndarray[Any, Any]

_RUNS = 3  # as in radix.cu: usually one around the positive values, one around the negative ones, one around 0
_HELD = 9_216  # counters of a block, in all runs and groups: 36 KiB
_BLOCK = 512


@cache
def _text(dtype: str) -> str:
    return source(dtype, "radix.cu", FLOATS=int(is_float(np.dtype(dtype))))


SOURCES = {f"radix {dtype}": _text(dtype) for dtype in ("float32", "float64", "int64")}


def bins_of(values: DeviceArray, *, valid: DeviceArray | None = None) -> DeviceArray:
    """As the reference says, but int32 in the device's memory, and -1 for rows that are not valid."""
    device, size = values.device, len(values)
    out = device.empty(size, np.int32)
    if size:
        arguments = [values, valid, np.int64(size), out]
        device.launch(Kernel(_text(values.dtype.name), "bins"), blocks(device, size), BLOCK, arguments)
    return out


def histogram(
    values: DeviceArray, groups: DeviceArray | None = None, n_groups: int = 1, *, valid: DeviceArray | None = None
) -> Array:
    """As the reference says, of valid values of any type, each as float64, and int32 groups (negative: none).

    >>> SOURCES["radix float32"].count("histogram(")
    1
    """
    return counted(values, groups, n_groups, valid=valid)[0]


def counted(
    values: DeviceArray, groups: DeviceArray | None = None, n_groups: int = 1, *, valid: DeviceArray | None = None
) -> tuple[Array, int | None]:
    """The histogram, and the first row that is NaN (which is counted nowhere). Two launches."""
    device, size = values.device, len(values)
    if not size or not n_groups:
        return np.zeros((n_groups, BINS), np.int64), None
    width = _HELD // (_RUNS * n_groups)
    runs = _runs(np.sort(reference.bins_of(_numbers(samples(values, valid)))), width)
    out = device.zeros(1 + n_groups * BINS // 2, np.uint64)
    shared = 4 * _RUNS * width * n_groups
    grid = blocks(device, -(-size // 8), shared // 4)
    arguments = [
        values, valid, groups, np.int64(size), np.int32(n_groups), np.int32(width),
        *(np.int32(first) for first in runs), out.rows(1, len(out)).view(np.uint32), out,
    ]  # fmt: skip
    device.launch(Kernel(_text(values.dtype.name), "histogram"), grid, _BLOCK, arguments, shared)
    found = device.download(out)
    counts = found[1:].view(np.uint32).reshape(n_groups, BINS).astype(np.int64)
    return counts, ~int(found[0]) % 2**64 if found[0] else None


def _numbers(values: Array) -> Array:
    return values[values == values]


def _runs(bins: Array, width: int) -> list[int]:
    """Where runs of bins begin that hold most of the sample's; which they are shows in nothing but the time."""
    found = []
    for _ in range(_RUNS):
        if not len(bins):
            found.append(0)
            continue
        inside = np.searchsorted(bins, bins + width) - np.arange(len(bins))
        first = int(bins[inside.argmax()])
        found.append(first)
        bins = bins[(bins < first) | (bins >= first + width)]
    return found


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
