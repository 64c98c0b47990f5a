"""Memory for arrays that come and go with every partition.

Memory that is new to a process is expensive: the system clears it page by page, and where it hands out huge pages
that costs as much as decoding what goes there. Arrow's jemalloc gives again what was freed, for some seconds; of its
pools it was the fastest by far (the system's seconds of a fit of 5 million rows of 39 columns: 1.3; with mimalloc 4.6,
with malloc 3.1).
"""

from functools import cache
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

# Milliseconds that it holds what was freed, Arrow's own choice being one second: on a machine that others use too a
# partition takes longer, and a tenth of all pages was cleared twice.
_HELD = 10_000
_SMALL = 1 << 16  # bytes that NumPy's own memory serves as well


@cache
def memory_pool() -> pa.MemoryPool:
    """Arrow's jemalloc where it is built in, else Arrow's default."""
    if "jemalloc" not in pa.supported_memory_backends():
        return pa.default_memory_pool()
    pa.jemalloc_set_decay_ms(_HELD)
    return pa.jemalloc_memory_pool()


def buffer(n_bytes: int) -> pa.Buffer:
    """So many bytes, not set."""
    return pa.allocate_buffer(n_bytes, memory_pool=memory_pool())


def empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """`numpy.empty`, from the pool.

    >>> empty((2, 3), np.float32).shape
    (2, 3)
    """
    storage, count = np.dtype(dtype), shape if isinstance(shape, int) else prod(shape)
    if count * storage.itemsize < _SMALL:
        return np.empty(shape, storage)
    return np.frombuffer(buffer(count * storage.itemsize), storage, count).reshape(shape)
