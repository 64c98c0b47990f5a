"""Whether float32 values are finite, told where they stand."""

import numpy as np

from .device import DeviceArray, Kernel
from .numbers import over_rows, source

SOURCES = {"finite": source("finite.cu")}
_FIRST = Kernel(SOURCES["finite"], "first_unfinite")


def first_unfinite(values: DeviceArray) -> int | None:
    """The place, counted in C order, of the first float32 value that is NaN or infinite; None: all are finite.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    place = values.device.upload(np.array([values.size], np.uint64))
    over_rows(values.device, _FIRST, values.size, values, np.int64(values.size), place)
    found = int(place.to_host()[0]) if values.size else values.size
    return found if found < values.size else None
