"""Memory that is given again."""

import numpy as np
import pyarrow as pa
import pytest

from gpupipe import pool


@pytest.mark.parametrize("shape", [0, 3, 70_000, (20_000, 5), (0, 5)])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64", "uint64"])
def test_arrays_are_those_of_numpy(shape: int | tuple[int, ...], dtype: str) -> None:
    found, like = pool.empty(shape, dtype), np.empty(shape, dtype)
    assert (found.shape, found.dtype, found.strides) == (like.shape, like.dtype, like.strides)
    found[...] = 1
    assert found.all() and found.flags.writeable


def test_large_ones_come_from_the_pool_and_go_back() -> None:
    before = pool.memory_pool().bytes_allocated()
    array = pool.empty(1_000_000, np.float64)
    assert pool.memory_pool().bytes_allocated() >= before + 8_000_000
    part = array[5:].view(np.int64)  # what is made of it keeps it
    del array
    part[:] = 7
    assert pool.memory_pool().bytes_allocated() >= before + 8_000_000
    del part
    assert pool.memory_pool().bytes_allocated() < before + 8_000_000


def test_arrow_itself_goes_on_with_its_own_pool() -> None:
    before = pa.default_memory_pool().backend_name
    pool.buffer(1_000_000)
    assert pa.default_memory_pool().backend_name == before
