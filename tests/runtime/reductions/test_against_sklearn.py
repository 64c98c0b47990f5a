"""Models trained on partitions against scikit-learn on a matrix of all rows, in float64."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB

from gpupipe.models.estimators import describe

from .rows import COUNTS, SCALED, TABLE, column, fitted, matrix

X = matrix()
EXACT = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 1000}


def near(ours: Any, theirs: Any, digits: float = 1e-6) -> None:
    """Within a share of the largest number."""
    theirs = np.asarray(theirs)
    assert np.shape(ours) == theirs.shape
    assert np.abs(ours - theirs).max() <= digits * np.abs(theirs).max()


@pytest.mark.parametrize("target", ["two", "three"])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"C": 100.0},
        {"C": 1e-3},
        {"class_weight": "balanced"},
        {"fit_intercept": False},
    ],
)
def test_logistic_regression(target: str, weights: Any, options: dict[str, Any]) -> None:
    ours = fitted(LogisticRegression(**options), target, weights=weights).model_.arrays
    sample_weight = None if weights is None else column(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a matrix that cannot be inverted, where it falls back on L-BFGS
        theirs = LogisticRegression(**{**options, **EXACT}).fit(X, column(target), sample_weight)
    near(ours["coefficients"], theirs.coef_)
    near(np.append(ours["intercept"], 1.0), np.append(theirs.intercept_, 1.0))


def test_many_parameters_take_lbfgs() -> None:
    """As solver="newton-cg" does."""
    options: dict[str, Any] = {"solver": "newton-cg", "tol": 1e-9, "max_iter": 1000}
    ours = fitted(LogisticRegression(**options), "two", weights="w", rows=TABLE.slice(0, 600))
    few = TABLE.slice(0, 600)
    theirs = LogisticRegression(**EXACT).fit(matrix(rows=few), column("two", few), column("w", few))
    near(ours.model_.arrays["coefficients"], theirs.coef_)
    assert int(ours.report_.training.split()[3]) > 12  # trips; Newton's method makes 8


@pytest.mark.parametrize("target", ["two", "three"])
def test_logistic_regression_without_a_penalty(target: str) -> None:
    """Of dependent features there are many best coefficients: the least ones, as L-BFGS from 0 finds them."""
    ours = fitted(LogisticRegression(C=np.inf), target).model_.arrays
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=100_000).fit(X, column(target))
    near(ours["coefficients"], theirs.coef_, 2e-6)


def test_class_weights_name_labels() -> None:
    ours = fitted(LogisticRegression(class_weight={"yes": 3.0}), "two").model_.arrays
    theirs = LogisticRegression(class_weight={"yes": 3.0}, **EXACT).fit(X, column("two"))
    near(ours["coefficients"], theirs.coef_)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("target", ["number", ["number", "other"]])
@pytest.mark.parametrize(
    "model", [LinearRegression(), LinearRegression(fit_intercept=False), Ridge(0.5), Ridge(3.0, fit_intercept=False)]
)
def test_linear_models(model: Any, target: Any, weights: Any) -> None:
    ours = fitted(model, target, weights=weights, features=SCALED[:2]).model_.arrays
    y = np.stack([column(name) for name in target], axis=1) if isinstance(target, list) else column(target)
    theirs = model.fit(matrix(SCALED[:2]), y, None if weights is None else column(weights))
    near(ours["coefficients"], np.atleast_2d(theirs.coef_))
    near(ours["intercept"], np.atleast_1d(theirs.intercept_) + np.zeros(len(ours["intercept"])))


@pytest.mark.parametrize("model", [PCA(), PCA(3), PCA(0.8, whiten=True), PCA(np.int64(2), svd_solver="full")])
def test_components(model: Any) -> None:
    ours = fitted(model).model_.arrays
    theirs = describe(model).convert(model.fit(X))[0]
    assert ours["components"].shape == theirs.components.shape
    kept = theirs.scale > 1e-6 if model.whiten else np.var(X @ theirs.components.T, axis=0) > 1e-9
    for name in ("components", "scale"):  # of no variance any direction will do
        near(ours[name][kept], getattr(theirs, name)[kept])
    assert np.abs(ours["mean"] - theirs.mean).max() < 1e-9


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("model", [GaussianNB(), GaussianNB(priors=[0.3, 0.7], var_smoothing=1e-3)])
def test_gaussian_bayes(model: Any, weights: Any) -> None:
    ours = fitted(model, "two", weights=weights).model_.arrays
    model.fit(X, column("two"), None if weights is None else column(weights))
    near(ours["mean"], model.theta_)
    assert (np.abs(ours["variance"] / model.var_ - 1) < 1e-6).all()
    near(ours["offset"], describe(model).convert(model)[0].offset)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize(
    "model",
    [
        MultinomialNB(), MultinomialNB(alpha=0.1, fit_prior=False), MultinomialNB(class_prior=[0.2, 0.3, 0.5]),
        MultinomialNB(alpha=np.arange(1, 7)), ComplementNB(), ComplementNB(norm=True), BernoulliNB(),
        BernoulliNB(binarize=0.4), BernoulliNB(alpha=0, force_alpha=False, binarize=None),
    ],
)  # fmt: skip
def test_counted_bayes(model: Any, weights: Any) -> None:
    features = COUNTS if getattr(model, "binarize", 0.0) is not None else [gp_one_hot()]
    ours = fitted(model, "three", weights=weights, features=features).model_.arrays
    model.fit(matrix(features), column("three"), None if weights is None else column(weights))
    theirs = describe(model).convert(model)[0]
    near(ours["coefficients"], theirs.coefficients)
    near(ours["intercept"], theirs.intercept)


def gp_one_hot() -> Any:
    return SCALED[2]


def centres() -> Any:
    return X[:: len(X) // 5][:5].copy()


@pytest.mark.parametrize("weights", [None, "w"])
def test_kmeans_from_given_centres(weights: Any) -> None:
    model = KMeans(5, init=centres(), n_init=1, max_iter=1000, tol=0)
    ours = fitted(model, weights=weights)
    model.fit(X, sample_weight=None if weights is None else column(weights))
    near(ours.model_.arrays["centres"], model.cluster_centers_)
    assert (ours.predict(TABLE)["prediction"].to_numpy() == model.labels_).all()


@pytest.mark.parametrize("options", [{"max_iter": 3}, {"tol": 0.01}, {"algorithm": "elkan"}])
def test_kmeans_stops_as_scikit_learns(options: dict[str, Any]) -> None:
    model = KMeans(5, init=centres(), n_init=1, **options)
    ours = fitted(model).model_.arrays["centres"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        near(ours, model.fit(X).cluster_centers_)


def test_a_centre_without_rows_takes_the_farthest_row() -> None:
    start = centres()
    start[2] = 1e4
    model = KMeans(5, init=start, n_init=1, tol=0)
    near(fitted(model).model_.arrays["centres"], model.fit(X).cluster_centers_)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_centres_of_our_own_choice_are_as_good(init: str) -> None:
    """They are other rows than scikit-learn draws; of a few starts the best is as good."""
    few = TABLE.slice(0, 300)
    models = [KMeans(5, init=init, n_init=3, random_state=seed) for seed in (1, 2)]
    found = [fitted(model, rows=few).model_.arrays["centres"] for model in models]
    few_rows = matrix(rows=few)
    theirs = KMeans(5, n_init=10, random_state=0).fit(few_rows).inertia_
    assert not np.array_equal(*found)
    for each in found:
        inertia = ((few_rows[:, None] - each) ** 2).sum(axis=2).min(axis=1).sum()
        assert inertia < 1.1 * theirs
