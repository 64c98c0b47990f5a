"""Memory for arrays that come and go with every partition.

Memory that is new to a process is expensive: the system clears it page by page, and where it hands out huge pages
that costs as much as decoding what goes there. Arrow's jemalloc gives again what was freed, for some seconds; of its
pools it was the fastest by far (the system's seconds of a fit of 5 million rows of 39 columns: 1.3; with mimalloc 4.6,
with malloc 3.1).
"""

import threading
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

Given = TypeVar("Given")

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


class _Place(threading.local):
    """Where this thread's columns stand: what is left of a block."""

    left: NDArray[Any] | None = None


_PLACE = _Place()
_ALIGNED = 64


def column(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """`empty` for values of a column that will be kept as they are: in the block that is there for them (see `within`),
    as far as it goes.
    """
    n_bytes = size * np.dtype(dtype).itemsize
    left = _PLACE.left
    if left is None or n_bytes > len(left):
        return empty(size, dtype)
    _PLACE.left = left[-(-n_bytes // _ALIGNED) * _ALIGNED :]
    return left[:n_bytes].view(dtype)


def within(block: NDArray[Any], function: Callable[..., Given], *args: Any) -> Given:
    """What a function gives; columns that it makes stand in a block of memory.

    Args:
        block: uint8 of shape (bytes,), the first at an address that is a multiple of 64.

    >>> block = np.zeros(256, np.uint8)
    >>> [np.shares_memory(within(block, column, size, np.float32), block) for size in (5, 64, 65)]
    [True, True, False]
    """
    before, _PLACE.left = _PLACE.left, block
    try:
        return function(*args)
    finally:
        _PLACE.left = before
