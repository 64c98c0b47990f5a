"""Weighted sums: their order, their accuracy, their speed; and the numbers of naive Bayes, k-means and PCA."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.models.forms.linear import SMALL, TILE, weighted_sums

from .cases import CASES, ours


def in_order(x: np.ndarray, weights: np.ndarray, start: float) -> float:
    """The definition, in Python's own floats."""
    total = float(start)
    for value, weight in zip(x.tolist(), weights.tolist(), strict=True):
        total += weight * value
    return total


@settings(max_examples=40, deadline=None)
@given(
    n_rows=st.sampled_from([0, 1, 2, 7, TILE - 1, TILE, TILE + 1]),
    n_features=st.sampled_from([0, 1, 2, 8, 9, 130]),
    n_outputs=st.sampled_from([1, 2, 5]),
    seed=st.integers(0, 99),
)
def test_sums_are_added_in_feature_order_whatever_the_size(
    n_rows: int, n_features: int, n_outputs: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n_rows, n_features)) * 10.0 ** rng.integers(-6, 6, n_features)).astype(np.float32)
    weights, start = rng.normal(size=(n_outputs, n_features)), rng.normal(size=n_outputs)
    got = weighted_sums(X, weights, start)
    assert got.shape == (n_rows, n_outputs)
    for row in {0, n_rows // 2, n_rows - 1} if n_rows else ():
        for output in range(n_outputs):
            assert got[row, output] == in_order(X[row].astype(float), weights[output], start[output])


def test_both_ways_of_adding_are_used_in_these_tests() -> None:
    assert 130 * 1 <= SMALL < 130 * TILE


def test_special_values_follow_ieee_without_warnings() -> None:
    X = np.array([[np.inf, 1.0], [np.nan, 1.0], [-np.inf, np.inf]], np.float32)
    with np.errstate(all="raise"):
        assert np.isnan(weighted_sums(X, np.array([[1.0, 1.0]]), np.zeros(1)))[:, 0].tolist() == [False, True, True]


def test_a_column_with_a_large_mean_keeps_its_digits() -> None:
    """PCA against long doubles: ours takes the mean off first."""
    model, X = ours("PCA"), CASES["PCA"].X
    centred = X.astype(np.longdouble) - model.arrays["mean"]
    want = (centred[:, None, :] * model.arrays["components"]).sum(axis=2)
    assert np.abs(model.transform(X) - want).max() < 4e-16 * np.abs(want).max() * X.shape[1]


def test_distances_are_exact_where_the_expanded_square_cancels() -> None:
    model = ours("KMeans")
    X = model.arrays["centres"].astype(np.float32)
    want = np.linalg.norm(X[:, None].astype(np.longdouble) - model.arrays["centres"], axis=2)
    np.testing.assert_allclose(model.transform(X), want.astype(float), rtol=1e-14)
    assert model.predict(X).tolist() == list(range(len(X)))


def test_a_row_of_thirty_features_takes_less_than_100_microseconds() -> None:
    x, weights, start = np.ones((1, 30), np.float32), np.ones((1, 30)), np.zeros(1)
    took = []
    for _ in range(300):
        begun = time.thread_time()
        weighted_sums(x, weights, start)
        took.append(time.thread_time() - begun)
    assert np.median(took) < 100e-6


@pytest.mark.parametrize("name", ["GaussianNB", "GaussianNB 3", "MultinomialNB", "BernoulliNB"])
def test_naive_bayes_scores_are_joint_log_likelihoods(name: str) -> None:
    from_theirs = CASES[name].estimator.__class__(**CASES[name].estimator.get_params())
    X = CASES[name].X.astype(np.float64)
    from_theirs.fit(X, CASES[name].codes)
    want = from_theirs.predict_joint_log_proba(X)
    np.testing.assert_allclose(ours(name).decision_function(CASES[name].X), want, rtol=1e-12, atol=1e-12)
