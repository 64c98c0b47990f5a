"""Models from covariances against scikit-learn's from rows, and against exact rational arithmetic."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import mean_squared_error, r2_score

from gpupipe.backends.gram.moments import Moments
from gpupipe.errors import CovarianceError
from gpupipe.models.normal import least_squares, principal_components, ridge, scores, share_kept


def moments_of(X: np.ndarray, y: np.ndarray | None = None) -> Moments:
    both = (X if y is None else np.column_stack([X, y])).T.astype(np.longdouble)
    centred = both - both.mean(axis=1)[:, None]
    return Moments(both.shape[1], both.mean(axis=1), centred @ centred.T)


def example(n: int = 300, seed: int = 0, dependent: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Standardised numbers beside all indicators of two keys: with an intercept these are linearly dependent."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 5)) @ rng.normal(size=(5, 5))
    X = np.column_stack([numbers, np.eye(4)[rng.integers(0, 4, n)], np.eye(3)[rng.integers(0, 3, n)]])
    if dependent:
        X = np.column_stack([X, X[:, 0] - 2 * X[:, 1], np.full(n, 7.0), np.zeros(n)])
    return X, X @ rng.normal(size=X.shape[1]) + rng.normal(size=n) + 3


def close(found: np.ndarray, told: np.ndarray, by: float) -> bool:
    return bool(np.abs(found - told).max() <= by * np.abs(told).max())


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("dependent", [False, True])
def test_ridge_is_that_of_the_rows(intercept: bool, dependent: bool) -> None:
    X, y = example(dependent=dependent)
    penalties = [1e-3, 0.1, 1.0, 50.0, 1e6]
    found = ridge(moments_of(X, y), penalties, intercept=intercept)
    for at, alpha in enumerate(penalties):
        told = Ridge(alpha=alpha, fit_intercept=intercept).fit(X, y)
        assert close(found.coefficients[at], told.coef_, 1e-9)
        assert found.intercepts[at] == pytest.approx(told.intercept_, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("dependent", [False, True])
def test_least_squares_is_of_least_norm(intercept: bool, dependent: bool) -> None:
    X, y = example(dependent=dependent)
    found = least_squares(moments_of(X, y), intercept=intercept)
    told = LinearRegression(fit_intercept=intercept).fit(X, y)
    assert close(found.coefficients[0], told.coef_, 1e-11)
    assert found.intercepts[0] == pytest.approx(told.intercept_, rel=1e-9, abs=1e-9)
    assert (ridge(moments_of(X, y), [0.0], intercept=intercept).coefficients == found.coefficients).all()


def test_features_of_very_different_sizes_keep_their_rank() -> None:
    X, y = example()
    scale = np.logspace(-6, 6, X.shape[1])
    found = least_squares(moments_of((X * scale)[:, :5], y))
    told = LinearRegression().fit(X[:, :5], y).coef_ / scale[:5]
    assert np.allclose(found.coefficients[0], told, rtol=1e-9)


def test_features_that_are_nearly_dependent_are_told() -> None:
    X, y = example()
    for distance, told in ((1e-3, False), (1e-6, True), (1e-7, True)):
        near = np.column_stack([X, X[:, 0] + distance * y**2])
        moments = moments_of(near, y)
        if told:
            with pytest.raises(CovarianceError, match="nearly dependent"):
                least_squares(moments)
        else:
            assert close(least_squares(moments).coefficients[0], LinearRegression().fit(near, y).coef_, 1e-8)
        ridge(moments, [1.0])  # a penalty makes them one


def test_a_small_penalty_on_dependent_features_is_solved_to_the_last_digits() -> None:
    """Exactly, by elimination in fractions: the covariances of whole numbers are rational."""
    rng = np.random.default_rng(5)
    X = np.column_stack([np.eye(3, dtype=int)[rng.integers(0, 3, 40)], rng.integers(-9, 9, 40)])
    y = rng.integers(-50, 50, 40)
    penalty = 2.0**-12
    exact = eliminated(X, y, Fraction(penalty))
    found = ridge(moments_of(X, y), [penalty]).coefficients[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Ridge(alpha=penalty).fit(X, y).coef_
    assert close(found, exact, 1e-12)
    assert not close(theirs, exact, 1e-12)  # so the digits kept here are not to be had from Ridge


def eliminated(X: np.ndarray, y: np.ndarray, penalty: Fraction) -> np.ndarray:
    n, k = X.shape
    both = [[Fraction(int(value)) for value in column] for column in [*X.T, y]]
    centred = [[value - sum(column) / n for value in column] for column in both]
    rows = [[sum(a * b for a, b in zip(one, other, strict=True)) for other in centred] for one in centred[:k]]
    for at in range(k):
        rows[at][at] += penalty
    for at in range(k):
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for other in range(k):
            if other != at:
                rows[other] = [a - rows[other][at] * b for a, b in zip(rows[other], rows[at], strict=True)]
    return np.array([float(row[k]) for row in rows])


def test_scores_are_those_of_predictions() -> None:
    X, y = example()
    other, told = example(120, seed=1)
    found = ridge(moments_of(X, y), [0.5, 1e4])
    judged = scores(moments_of(other, told), found)
    for at in range(2):
        predicted = other @ found.coefficients[at] + found.intercepts[at]
        assert judged.r2[at] == pytest.approx(r2_score(told, predicted), abs=1e-12)
        assert judged.mse[at] == pytest.approx(mean_squared_error(told, predicted), rel=1e-12)
    same = scores(moments_of(other, np.full(120, 2.0)), found)
    assert np.isnan(same.r2).all() and np.isfinite(same.mse).all()


def test_components_are_those_of_pca() -> None:
    X, _ = example(dependent=True)
    told = PCA(n_components=6, svd_solver="full").fit(X)
    found = principal_components(moments_of(X), 6)
    assert np.allclose(found.components, told.components_, atol=1e-9)
    assert np.allclose(found.explained_variance, told.explained_variance_, rtol=1e-11)
    assert np.allclose(found.explained_variance_ratio, told.explained_variance_ratio_, rtol=1e-11)
    assert np.allclose(found.mean, told.mean_, rtol=1e-14)


@pytest.mark.parametrize("wanted", [0.3, 0.9, 0.999, None])
def test_a_share_or_none_is_as_many_components_as_those_of_pca(wanted: float | None) -> None:
    for X in (example()[0], example(3)[0]):
        told = PCA(n_components=wanted, svd_solver="full").fit(X)
        assert len(principal_components(moments_of(X), wanted).components) == len(told.components_)


def test_the_share_kept_is_what_a_reconstruction_does_not_lose() -> None:
    X, other = example()[0], example(120, seed=1)[0] + 0.5
    told = PCA(n_components=2, svd_solver="full").fit(X)
    lost = ((other - told.inverse_transform(told.transform(other))) ** 2).sum() / ((other - told.mean_) ** 2).sum()
    assert share_kept(moments_of(other), told.components_, told.mean_) == pytest.approx(1 - lost, abs=1e-12)
    own = share_kept(moments_of(X), told.components_, told.mean_)
    assert own == pytest.approx(told.explained_variance_ratio_.sum(), abs=1e-12)
