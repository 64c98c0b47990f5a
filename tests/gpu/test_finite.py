"""The first value that is NaN or infinite, wherever it stands."""

import numpy as np
import pytest

from gpupipe.kernels.gpu.finite import first_unfinite

from .simulated import SimulatedDevice

SIZE = 1_003


@pytest.mark.parametrize("odd", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("places", [[0], [SIZE - 1], [1], [255, 256], [700, 64, 900], range(SIZE)])
def test_it_is_found(device: SimulatedDevice, places: list[int], odd: float) -> None:
    values = np.linspace(-3e38, 3e38, SIZE).astype(np.float32)
    values[list(places)] = odd
    assert first_unfinite(device.upload(values)) == min(places)


@pytest.mark.parametrize("size", [0, 1, 31, SIZE])
def test_finite_values_are_finite(device: SimulatedDevice, size: int) -> None:
    extremes = [np.finfo(np.float32).max, -np.finfo(np.float32).max, 1e-45, -0.0]
    assert first_unfinite(device.upload(np.resize(np.array(extremes, np.float32), size))) is None


def test_of_a_matrix_the_place_counts_row_by_row(device: SimulatedDevice) -> None:
    values = np.zeros((7, 5), np.float32)
    values[3, 4] = np.nan
    assert first_unfinite(device.upload(values)) == 19
