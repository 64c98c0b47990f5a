"""What GPUs learn together: matrices that stay where they were computed, and what is told of targets."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from test_parity import fitted

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.cpu import CpuBackend
from gpupipe.backends.gpu.backend import GpuBackend
from gpupipe.errors import DeviceMemoryError, NonFiniteError, TrainingError
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.models.gpu.numbers import Targets
from gpupipe.models.gpu.together import Wanted, refusal
from gpupipe.runtime.reductions.lesson import Lesson
from gpupipe.runtime.rows import Rows

from .api.fakes import check_call
from .simulated import SimulatedDevice

TABLE = pa.table({"a": [1.0, 2.5, None, 4.0], "b": [3, 1, 2, 2]})


def part(backend, features, *, resident):
    source = gp.scan(TABLE)
    lesson = Lesson(fitted(features, source, backend).features, "Forest", "regressor", resident=resident)
    with Rows(source, lesson.features.plan.fit_columns, device=backend.device) as rows:
        return lesson.ready()(rows.frame(0))


def test_a_matrix_stays_on_the_device_that_computed_it(device: SimulatedDevice) -> None:
    features = [col("a").fill_null("mean").standardize(), col("b").log1p()]
    host = part(CpuBackend(numba=False), features, resident=True).X
    there, here = (part(GpuBackend(device), features, resident=resident).X for resident in (True, False))
    assert isinstance(there, DeviceArray) and isinstance(host, np.ndarray) and isinstance(here, np.ndarray)
    assert there.to_host().tobytes() == host.tobytes() == here.tobytes()


def test_nulls_are_found_there(device: SimulatedDevice) -> None:
    with pytest.raises(NonFiniteError, match="'a' is null or NaN here"):
        part(GpuBackend(device), [col("a"), col("b")], resident=True)


numbers = st.lists(st.integers(-50, 50) | st.floats(-1e9, 1e9, width=32), max_size=12)


@settings(max_examples=60, deadline=None)
@given(numbers, numbers)
def test_targets_of_two_parts_are_those_of_both(one: list[float], other: list[float]) -> None:
    both, added = Targets.of(np.array(one + other)), Targets.of(np.array(one)) + Targets.of(np.array(other))
    for name in ("n", "least", "lost", "are_zero"):
        assert getattr(added, name) == getattr(both, name)
    exact = [Fraction(value) for value in one + other]
    mean = sum(exact, Fraction(0)) / max(len(exact), 1)
    squares = float(sum(((value - mean) ** 2 for value in exact), Fraction(0)))
    size = max(map(abs, one + other), default=0.0)
    assert added.squares == pytest.approx(squares, rel=1e-9, abs=1e-9 * size * size)
    assert added.mean == pytest.approx(float(mean), rel=1e-9, abs=1e-9 * size)


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(max_features="sqrt", min_samples_leaf=0.01, random_state=np.int64(3)),
        RandomForestClassifier(criterion="log_loss", class_weight={0: 2.0}, bootstrap=False, max_depth=7),
        RandomForestRegressor(criterion="poisson", max_samples=0.5, min_samples_split=5),
    ],
)
def test_calls_fit_the_classes_of_one_gpu_and_of_several(estimator: RandomForestRegressor) -> None:
    name = type(estimator).__name__
    classes = 3 if name.endswith("Classifier") else None
    wanted = Wanted(f"sklearn.ensemble.{name}", estimator.get_params(deep=False), 90, 4, classes)
    given = wanted.translated()
    check_call(f"cuml.dask.ensemble.{name}", (), {"client": None, "workers": ["tcp://…"], **given})
    check_call(f"cuml.ensemble.{name}", (), given)
    assert "n_streams" not in given and given["n_bins"] == 90 and type(given["random_state"]) in (int, type(None))


def test_what_errors_of_workers_mean() -> None:
    wanted = Wanted("sklearn.ensemble.RandomForestRegressor", {}, 90, 4, None)
    full = RuntimeError("1 of 2 worker jobs failed: CUDA error: cudaErrorMemoryAllocation out of memory")
    assert isinstance(refusal(wanted, full), DeviceMemoryError)
    refused = refusal(wanted, NotImplementedError("sample_weight is not yet supported"))
    assert isinstance(refused, TrainingError) and "on 90 rows × 4 features: sample_weight" in str(refused)
    bug = KeyError("x")
    assert refusal(wanted, bug) is bug
