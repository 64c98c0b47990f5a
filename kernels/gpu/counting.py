"""How many rows have each key of a range."""

from typing import Any

import numpy as np

from .device import Kernel
from .numbers import Numbers, over_rows, source
from .rows import SHARED_BYTES

Array = np.ndarray[Any, Any]

_TEXT = source("counting.cu")
SOURCES = {"counting": _TEXT}
_IN_GLOBAL, _IN_SHARED = Kernel(_TEXT, "count_in_global"), Kernel(_TEXT, "count_in_shared")

_WORTH = 4  # rows of a block for each of its counters, or clearing and adding them up costs more than it spares


def counts(numbers: Numbers, low: int, span: int) -> Array:
    """int64 of shape (span + 1,), on the host: rows whose key is ``low + i``; the last: rows without a value.

    Rows with other keys, or none, are not counted.
    """
    device, size = numbers.device, len(numbers)
    found = device.zeros(span + 1, np.uint64)
    args = *numbers.arguments, np.int64(size), np.int64(low), np.uint64(span), found
    shared = 4 * (span + 1)
    blocks = size // (_WORTH * (span + 1))
    if shared > SHARED_BYTES or not blocks:
        over_rows(device, _IN_GLOBAL, size, *args)
    else:
        over_rows(device, _IN_SHARED, size, *args, shared=shared, most=blocks)
    return device.download(found).view(np.int64)
