"""Columns on their way to a device."""

import numpy as np
import pytest

from gpupipe.backends.gpu.columns import uploaded
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


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (32, 64), (64, 100), (32, 33), (96, 96)])
def test_parts_of_a_device_column_share_its_memory(device: SimulatedDevice, start: int, stop: int) -> None:
    rng = np.random.default_rng(1)
    column = Column(Int64, rng.integers(0, 9, 100), rng.random(100) < 0.5)
    whole = uploaded(device, column)
    part, expected = whole.rows(start, stop), column.rows(start, stop)
    found = part.to_host()
    assert part.values is not None and whole.values is not None
    assert part.values.owner is whole.values.owner and len(found) == stop - start
    assert found.values.tolist() == expected.values.tolist()
    assert expected.valid is not None
    assert ([True] * len(found) if found.valid is None else found.valid.tolist()) == expected.valid.tolist()
