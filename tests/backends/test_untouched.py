"""Memory in small pages is memory: written whole, read back, its neighbours left alone."""

import sys

import numpy as np
import pytest

from gpupipe.backends.untouched import untouched


@pytest.mark.parametrize("shape", [(0, 3), (5, 2), (300_000, 7), (1_048_577,)])
def test_it_is_as_numpy_has_it(shape: tuple[int, ...]) -> None:
    beside = np.full(50_000, 7, np.int64)
    made = untouched(shape)
    assert (made.shape, made.dtype, made.flags.c_contiguous, made.flags.writeable) == (shape, np.float32, True, True)
    made[...] = np.arange(made.size, dtype=np.float32).reshape(shape)
    assert np.array_equal(made.ravel(), np.arange(made.size, dtype=np.float32))
    assert (beside == 7).all()
    assert untouched(shape, np.float64).dtype == np.float64


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux tells of a process")
def test_no_huge_page_is_in_it() -> None:
    made = untouched((64 << 20,), np.uint8)
    made[...] = 1
    at, inside, huge = made.ctypes.data + (32 << 20), False, None
    with open("/proc/self/smaps") as lines:
        for line in lines:
            first = line.split()[0]
            if "-" in first and ":" not in first:
                low, high = (int(end, 16) for end in first.split("-"))
                inside = low <= at < high
            elif inside and first == "AnonHugePages:":
                huge = int(line.split()[1])
    assert huge == 0
