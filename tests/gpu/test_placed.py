"""Columns on their way to a device."""

import numpy as np
import pytest

from gpupipe.backends.gpu.placed import Uploading
from gpupipe.columns import Column
from gpupipe.schema import Int64

from .simulated import SimulatedDevice


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (2, 4), (4, 5), (3, 3)])
def test_parts_are_those_of_the_host_s_rows(device: SimulatedDevice, start: int, stop: int) -> None:
    column = Column(Int64, np.arange(5), np.array([True, False, True, True, False]))
    assert column.valid is not None
    part = Uploading(column, device).rows(start, stop)
    for found in (part.to_host(), part.on_device().to_host()):
        assert found.values.tolist() == list(range(start, stop))
        valid = [True] * len(found) if found.valid is None else found.valid.tolist()
        assert valid == column.valid[start:stop].tolist()
