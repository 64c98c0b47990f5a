"""Bins: one operation, whatever the number of bounds; NumPy's digitize is the oracle."""

import numpy as np
import pyarrow as pa
import pytest
from engine import DEVICES, computed, planned
from hypothesis import given, settings
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import TypeMismatchError
from gpupipe.expr.node import walk

x = col("x")
NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan]) | st.none()


@pytest.mark.parametrize("device", DEVICES)
@settings(deadline=None, max_examples=40)
@given(st.lists(NUMBERS, min_size=1, max_size=30),
       st.lists(st.floats(allow_nan=False), min_size=1, max_size=9, unique=True))  # fmt: skip
def test_bucketize_is_digitize(device, values, bounds):
    bounds = sorted({float(bound) + 0.0 for bound in bounds})
    (found,) = computed([x.bucketize(bounds)], device, {"x": pa.array(values, pa.float64())}).values()
    assert found == [None if v is None else int(np.digitize(v, bounds)) for v in values]


@pytest.mark.parametrize("device", DEVICES)
def test_hundreds_of_bounds_are_one_operation(device):
    feature = x.bucketize(range(600))
    assert computed([feature], device, {"x": [-0.5, 0.0, 299.5, 600.0]}) == {"x": [0, 1, 300, 600]}
    core = planned([feature], {"x": [1.0]}).features[0].node
    assert [node.op for node in walk(core)].count("bins") == 1 and len(list(walk(core))) == 602


@pytest.mark.parametrize("device", DEVICES)
def test_hundreds_of_quantiles(device):
    values = np.random.default_rng(0).permutation(2_000.0 * np.arange(1_001))
    (found,) = computed([x.qcut(500)], device, {"x": values}).values()
    expected = np.digitize(values, np.quantile(values, np.arange(1, 500) / 500))
    assert found == expected.tolist()


@pytest.mark.parametrize("device", DEVICES)
def test_quantiles_of_each_group(device):
    data = {"x": [1.0, 2.0, 3.0, 10.0, 20.0, 30.0, None, 5.0], "k": ["a"] * 3 + ["b"] * 3 + ["a", "c"]}
    fresh = {"x": [2.5, 2.5, np.nan, 2.5], "k": ["a", "b", "b", "unseen"]}
    assert computed([x.qcut(2).over("k")], device, data) == {"x": [0, 1, 1, 0, 1, 1, None, 1]}
    fresh = {"x": pa.array(fresh["x"]), "k": fresh["k"]}
    assert computed([x.qcut(2).over("k")], device, fresh, fit_on=data) == {"x": [1, 0, 1, None]}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("values", "expected"),
    # Halfway between the infinities there is no number, so no bound.
    [([-np.inf, np.inf], [0, 0]), ([1, 2, 3, 4], [0, 0, 1, 1]), ([True, False], [1, 0]), ([None, 2], [None, 1])],
    ids=["infinities", "integers", "booleans", "null"],
)
def test_two_quantile_bins(device, values, expected):
    assert computed([x.qcut(2)], device, {"x": pa.array(values)}) == {"x": expected}


@pytest.mark.parametrize("device", DEVICES)
def test_bins_of_a_feature_of_several_columns(device):
    found = computed([col("s").str.word_ngrams(3).bucketize([1, 2])], device, {"s": ["aa bb cc dd", "aa aa aa", ""]})
    counts = computed([col("s").str.word_ngrams(3)], device, {"s": ["aa bb cc dd", "aa aa aa", ""]})
    assert found == {name: np.digitize(values, [1, 2]).tolist() for name, values in counts.items()}


@pytest.mark.parametrize("build", [lambda x: x.bucketize([1]), lambda x: x.qcut(2)], ids=["bucketize", "qcut"])
@pytest.mark.parametrize("values", [["a"], pa.array([0], pa.timestamp("us"))], ids=["text", "time"])
def test_bins_are_of_numbers(build, values):
    with pytest.raises(TypeMismatchError, match="number"):
        gp.Pipeline([build(x)]).explain(gp.scan({"x": values}))
