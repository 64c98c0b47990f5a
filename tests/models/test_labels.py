"""Targets to codes and numbers, and back."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from gpupipe.errors import TargetError
from gpupipe.models.forms import labels
from gpupipe.models.forms.links import LINKS

PLAIN = st.one_of(
    st.lists(st.booleans(), min_size=2),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2),
    st.lists(st.integers(-1000, 1000).map(float), min_size=2),
    st.lists(st.text(max_size=5), min_size=2),
)


@given(PLAIN)
def test_labels_to_codes_and_back(values: list[Any]) -> None:
    want = sorted(set(values))
    if len(want) < 2:
        with pytest.raises(TargetError, match="one class"):
            labels.encode(values)
        return
    codes, classes = labels.encode(values)
    assert classes == want and [type(label) for label in classes] == [type(label) for label in want]
    assert labels.decode(codes, classes).tolist() == values
    assert (labels.codes_of(values, classes) == codes).all()


@pytest.mark.parametrize(
    "y",
    [
        pa.chunked_array([["a", "b"], ["a"]]),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["a"]).dictionary_encode()]),
        pa.array(["a", "b", "a"], pa.large_string()),
    ],
)
def test_labels_from_arrow(y: Any) -> None:
    codes, classes = labels.encode(y)
    assert codes.tolist() == [0, 1, 0] and classes == ["a", "b"]


@pytest.mark.parametrize(
    ("y", "says"),
    [
        ([1, "a"], "mixes types"),
        ([["a"], ["b"]], "cannot be classes"),
        (np.array(["2020-01-01", "2021-01-01"], "M8[D]"), "cast others to strings"),
        (["a", None], "null or NaN in 1 of 2"),
        ([], "no rows"),
        ([0.5, 1.0], "fractional numbers, such as 0.5"),
        ([1.0, np.inf], "fractional"),
    ],
)
def test_what_is_no_label(y: Any, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        labels.encode(y)


def test_minus_zero_is_zero() -> None:
    codes, classes = labels.encode(np.array([0.0, -0.0, 1.0]))
    assert codes.tolist() == [0, 0, 1] and classes == [0.0, 1.0]


def test_numbers() -> None:
    assert labels.numbers(np.array([True, False])).tolist() == [1.0, 0.0]
    assert labels.numbers(pa.chunked_array([[1], [2]])).tolist() == [1.0, 2.0]
    assert labels.numbers(np.array([1.5], np.float32)).dtype == np.float64


@pytest.mark.parametrize("n_classes", [2, 3, 8])
def test_probabilities_stay_finite_and_sum_to_one(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    raw = rng.normal(size=(500, n_classes)) * 10.0 ** rng.integers(-3, 4, (500, 1))
    for name, want in (("softmax", softmax(raw, axis=1)), ("one_vs_rest", None), ("modified_huber", None)):
        shares = LINKS[name].probabilities(raw)  # type: ignore[misc]
        np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-14)
        assert want is None or np.allclose(shares, want, rtol=1e-12, atol=1e-300)
    assert np.isfinite(LINKS["one_vs_rest"].probabilities(np.full((1, 3), -1e4))).all()  # type: ignore[misc]


def test_the_sigmoid_at_its_edges() -> None:
    raw = np.array([[-1e5], [-745.0], [-1e-300], [0.0], [40.0], [1e5], [np.inf], [-np.inf]])
    with np.errstate(all="raise", under="ignore"):
        pair = LINKS["sigmoid"].probabilities(raw)  # type: ignore[misc]
    np.testing.assert_allclose(pair[:, 1], expit(raw[:, 0]), rtol=1e-13, atol=1e-323)
    assert (pair.sum(axis=1) == 1.0).all()
