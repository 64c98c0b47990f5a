"""The device that counts memory, and refuses some, does the work of the one it watches."""

import numpy as np
import pytest
from gpu.nvrtc import why_not
from gpu.simulated import SimulatedDevice

from benchmarks.gpu.watched import Watched
from gpupipe.errors import DeviceMemoryError
from gpupipe.kernels.gpu.finite import first_unfinite


@pytest.fixture
def inner() -> SimulatedDevice:
    if why_not():
        pytest.skip(why_not())
    return SimulatedDevice()


def test_memory_is_counted_while_it_is_held(inner: SimulatedDevice) -> None:
    device = Watched(inner)
    held = device.upload(np.array([1.0, np.inf], np.float32))
    assert (device.held, device.peak, device.allocations) == (8, 8, 1)
    assert first_unfinite(held) == 1 and inner.launches == 1
    assert device.held == 8 and device.peak > 8
    del held
    assert device.held == 0


def test_what_is_to_be_refused_is(inner: SimulatedDevice) -> None:
    device = Watched(inner, {2})
    device.zeros(4, np.int64)
    with pytest.raises(DeviceMemoryError, match="Allocation 2, of 32 bytes, is refused"):
        device.empty(4, np.int64)
    assert device.empty(4, np.int64).nbytes == 32
