"""The CPU backend beside the reference: Numba and NumPy forms, every storage, matrices, many threads."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from engine import DEVICES, TABLE, computed, sample

import gpupipe as gp
from gpupipe import col
from gpupipe.backends import compiled, devices
from gpupipe.backends.backend import backend_for
from gpupipe.backends.cpu import CpuBackend
from gpupipe.backends.features import FittedFeatures
from gpupipe.errors import DeviceError, IntegerOverflowError, ParameterError, TypeMismatchError

FEATURES = [
    gp.cols("x", "y").fill_null("median").standardize(), col("w").log1p().alias("log"), col("c").one_hot(min_count=5),
    col("s").str.len_chars(), col("t").dt.month().cyclic(12), (col("i") // col("j")).alias("quotient"),
    col("x").mean().over("c").alias("group"), col("x").qcut(4).alias("bin"), (col("a") & col("b")).alias("both"),
    gp.when(col("x") > col("y")).then(col("i")).otherwise(0.5).alias("choice"),
]  # fmt: skip
TYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "?"]


def matrix_on(backend, data=TABLE):
    fit = gp.Pipeline(FEATURES).fit(data)._fit
    frame, _ = gp.scan(data).load_with_report(0, fit.features.plan.columns)
    return FittedFeatures(fit.features.plan, fit.features.fitted, backend).matrix(frame)


def test_all_forms_give_the_same_bits(monkeypatch):
    slow, numpy = matrix_on(backend_for("reference")), matrix_on(CpuBackend(numba=False))
    monkeypatch.setattr(compiled, "READY", 0)
    monkeypatch.setattr(compiled, "COLD", 0)
    numba = matrix_on(CpuBackend(numba=True))
    assert slow.dtype == np.float32 and slow.shape == numpy.shape
    assert slow.view("u4").tolist() == numpy.view("u4").tolist() == numba.view("u4").tolist()


def test_steps_that_features_have_in_common_are_taken_once_to_the_same_bits(monkeypatch):
    pytest.importorskip("numba")
    rng = np.random.default_rng(2)
    data = {f"v{at}": pa.array(rng.normal(size=1300), mask=rng.random(1300) < 0.1 * at) for at in range(6)}
    scaled = [(col(name).clip(-1, 2) - 0.25) / 3 for name in data]
    scaled[3] = scaled[3].fill_null(0.5)
    pairs = [(one * other).alias(f"p{at}") for at, (one, other) in enumerate(combinations(scaled, 2))]
    others = [(scaled[0] > 0).alias("flag"), (scaled[0] + scaled[1]).alias("sum"), (col("v1") * 2).alias("d")]
    features = [*scaled, *pairs, *others]
    plain = gp.Pipeline(features).fit(data)
    matrix, columns = plain.transform(data, output="numpy"), plain.transform(data, output="arrow")
    monkeypatch.setattr(compiled.Work, "started", True)
    monkeypatch.setattr(compiled, "TINY", 0)
    joined = gp.Pipeline(features).fit(data)
    assert joined.transform(data, output="numpy").tobytes() == matrix.tobytes()
    assert joined.transform(data, output="arrow").equals(columns)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("storage", TYPES)
def test_every_storage_is_loaded_with_its_values(storage, device):
    numbers = np.array([0, 1, 100, 1], storage)
    data = {"v": pa.array(numbers, mask=np.array([False, False, False, True]))}
    got = computed([(col("v") + 1).alias("a"), col("v").alias("b")], device, data)
    plain = [int(value) for value in numbers[:3]]
    assert got == {"a": [value + 1 for value in plain] + [None], "b": [*plain, None]}


@pytest.mark.parametrize("device", DEVICES)
def test_unsigned_numbers_beyond_int64_are_refused(device):
    with pytest.raises(IntegerOverflowError):
        computed([(col("v") + 1).alias("a")], device, {"v": pa.array([1, 2**63], pa.uint64())})


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [1, 2, 3, 63, 64, 65, 1000])
def test_any_number_of_rows(n, device):
    """Among them one row, where a column looks like a constant."""
    fitted = gp.Pipeline(FEATURES, device=device).fit(TABLE)
    data = sample(seed=n, n=n)
    whole = fitted.transform(data)
    apart = pa.concat_tables([fitted.transform(data.slice(at, 1)) for at in range(min(n, 5))])
    assert whole.slice(0, min(n, 5)).to_pydict().__repr__() == apart.to_pydict().__repr__()
    assert fitted.transform(data.slice(0, 0)).num_rows == 0


def test_one_program_serves_many_threads():
    features = gp.Pipeline(FEATURES).fit(TABLE)._fit.features
    frames = [gp.scan(sample(seed=s, n=50 + s)).load_with_report(0, features.plan.columns)[0] for s in range(24)]
    alone = [features.matrix(frame).tobytes() for frame in frames]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda frame: features.matrix(frame).tobytes(), frames)) == alone


@pytest.mark.parametrize("device", DEVICES)
def test_a_matrix_holds_numbers(device):
    fit = gp.Pipeline([col("x"), col("s")], device=device).fit(TABLE)._fit
    frame, _ = gp.scan(TABLE).load_with_report(0, ["x", "s"])
    with pytest.raises(TypeMismatchError, match=r"'s' is String; a matrix holds numbers.*\.codes\(\)"):
        fit.features.matrix(frame)


def test_devices(monkeypatch):
    monkeypatch.setattr(devices._Look, "found", devices.Found(None, "The driver is too old. Try: a newer one."))
    assert [backend_for(name).name for name in ("auto", "cpu", "reference")] == ["cpu", "cpu", "reference"]
    with pytest.raises(DeviceError, match=r"device='gpu' was asked for.*The driver is too old\. Try: a newer one"):
        backend_for("gpu")
    with pytest.raises(ParameterError, match=r"no device 'cppu'\. Did you mean 'cpu'"):
        backend_for("cppu")
