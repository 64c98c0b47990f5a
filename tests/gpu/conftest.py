"""The device that tests of GPU code run on."""

import pytest

from .nvrtc import why_not
from .simulated import SimulatedDevice


@pytest.fixture
def device() -> SimulatedDevice:
    """A fresh simulated device."""
    if why_not():
        pytest.skip(why_not())
    return SimulatedDevice()
