"""The parts of the GPU measurements that need no GPU: the logarithm, the folded bounds, the sources, the parts."""

import json
import math
from importlib.util import find_spec
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu import __main__ as main
from benchmarks.gpu import fused, kernels, twin
from benchmarks.gpu.report import load

RNG = np.random.default_rng(11)
REGIONS = {
    "skewed": RNG.lognormal(0, 2, 500),
    "around zero": RNG.uniform(-0.6, 0.6, 500),
    "one bin": RNG.uniform(-0.003, 0.006, 500),
    "tiny": RNG.normal(size=300) * 1e-12,
    "near -1": -1 + RNG.lognormal(-5, 3, 300).clip(1e-14, 1),
    "large": 10 ** RNG.uniform(0, 300, 300),
}


def ulps(log: str, x: np.ndarray) -> float:
    got = twin.LOGS[log](x)
    with mpmath.workdps(40):
        exact = [mpmath.log1p(mpmath.mpf(float(v))) for v in x]
        return max(abs(float((float(g) - e) / math.ulp(float(e)))) for g, e in zip(got, exact, strict=True))


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(("log", "limit"), [("table", 0.6), ("short", 1.4), ("division", 1.4)])
def test_own_log1p_is_as_exact_as_it_says(log: str, limit: float, region: str) -> None:
    assert ulps(log, REGIONS[region]) <= limit


@given(st.floats(-(2.0**99), 2.0**99), st.floats(-(2.0**99), 2.0**99, width=32))
def test_float32_bounds_decide_as_float64_bounds(bound: float, x: float) -> None:
    low, high = kernels.cuts(bound, bound)
    assert (x < bound) == bool(np.float32(x) < low)
    assert (x > bound) == bool(np.float32(x) > high)


def test_every_variant_has_its_own_name_and_source() -> None:
    variants = {*fused.layouts(), *fused.chains(fused.BEST), *fused.with_codes()}
    assert len({v.name for v in variants}) == len(variants)
    assert len({(v.kernel, v.persistent, v.source) for v in variants}) == len(variants)


def test_a_part_without_its_packages_leaves_errors_and_a_file(tmp_path: Path) -> None:
    if has_device():
        pytest.skip("there is a device here: the part would measure")
    target = tmp_path / "gpu.json"
    assert main.main(["--parts", "bandwidth", "--out", str(target)]) == 1
    content = json.loads(target.read_text())["parts"]["bandwidth"]
    assert content["errors"] and not content["figures"]


def has_device() -> bool:
    return find_spec("cupy") is not None and bool(load("cupy").cuda.is_available())


def test_a_model_that_the_cpu_trained_is_no_figure_of_the_gpu() -> None:
    training = load("benchmarks.gpu.training")
    training.refuse_elsewhere({"reading a": "it is copied"})
    with pytest.raises(RuntimeError, match="training XGBClassifier was done on the CPU: built without CUDA"):
        training.refuse_elsewhere({"reading a": "it is copied", "training XGBClassifier": "built without CUDA"})
