"""Naive Bayes from exact sums by class: what scikit-learn's classes of the same name learn, rounded once."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import TrainingError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClassSums:
    """Exact numbers of shape (classes, features).

    Attributes:
        totals: the sums of features, weighted.
        squares: the sums of their squares, or None.
    """

    totals: NDArray[Any]
    squares: NDArray[Any] | None


def gaussian(estimator: Any, weights: list[Fraction], found: ClassSums, plain: ClassSums, n_rows: int) -> None:
    """The attributes of a fitted GaussianNB.

    Args:
        estimator: a clone, which gets them.
        weights: of each class.
        found: weighted sums by class.
        plain: the same without weights, from which its smoothing comes.
        n_rows: how many.

    Raises:
        TrainingError: priors that are none.
    """
    assert found.squares is not None and plain.squares is not None
    if not all(weights):
        raise TrainingError("GaussianNB: all rows of a class have the weight 0, so it has no mean. Leave them out.")
    share = np.array(weights, object)[:, None]
    mean = found.totals / share
    spread = found.squares / share - mean * mean
    total, squares = plain.totals.sum(axis=0) / Fraction(n_rows), plain.squares.sum(axis=0) / Fraction(n_rows)
    smoothing = float(estimator.var_smoothing) * float(max(squares - total * total, default=Fraction(0)))
    estimator.theta_, estimator.var_ = mean.astype(np.float64), spread.astype(np.float64) + smoothing
    estimator.epsilon_ = smoothing
    estimator.class_prior_ = _priors(estimator.priors, weights)


def _priors(given: Any, weights: list[Fraction]) -> Floats:
    if given is None:
        whole = sum(weights)
        return np.array([float(weight / whole) for weight in weights])
    priors = np.asarray(given, np.float64)
    if len(priors) != len(weights):
        raise TrainingError(f"GaussianNB: there are {len(priors)} priors for {len(weights)} classes. Give one a class.")
    if not np.isclose(priors.sum(), 1.0) or (priors < 0).any():
        raise TrainingError("GaussianNB: priors are shares: none below 0, and together 1.")
    return priors


def counted(estimator: Any, weights: list[Fraction], found: ClassSums, who: str) -> None:
    """The attributes of a fitted MultinomialNB, ComplementNB or BernoulliNB.

    Raises:
        TrainingError: alpha or class_prior of another number of features or classes.
    """
    counts, classes = found.totals.astype(np.float64), np.array([float(weight) for weight in weights])
    alpha = _alpha(estimator, counts.shape[1], who)
    logs = {"MultinomialNB": _multinomial, "ComplementNB": _complement, "BernoulliNB": _bernoulli}[who]
    with np.errstate(divide="ignore", invalid="ignore"):  # scikit-learn's -inf of a feature that no row has
        estimator.feature_log_prob_ = logs(estimator, counts, classes, alpha)
        estimator.class_log_prior_ = _log_prior(estimator, classes, who)
    estimator.feature_count_, estimator.class_count_ = counts, classes


def _alpha(estimator: Any, n_features: int, who: str) -> Floats:
    alpha = np.asarray(estimator.alpha, np.float64)
    if alpha.ndim and alpha.shape != (n_features,):
        raise TrainingError(f"{who}: alpha holds {alpha.size} numbers for {n_features} features. Give one each.")
    if (alpha < 0).any():
        raise TrainingError(f"{who}: alpha={estimator.alpha!r} is below 0.")
    return alpha if estimator.force_alpha else np.maximum(alpha, 1e-10)


def _log_prior(estimator: Any, classes: Floats, who: str) -> Floats:
    if estimator.class_prior is not None:
        if len(estimator.class_prior) != len(classes):
            given = len(estimator.class_prior)
            raise TrainingError(f"{who}: class_prior has {given} numbers for {len(classes)} classes. Give one a class.")
        return np.log(np.asarray(estimator.class_prior, np.float64))
    if not estimator.fit_prior:
        return np.full(len(classes), -np.log(len(classes)))
    return np.log(classes) - np.log(classes.sum())


def _multinomial(estimator: Any, counts: Floats, classes: Floats, alpha: Floats) -> Floats:
    smoothed = counts + alpha
    found: Floats = np.log(smoothed) - np.log(smoothed.sum(axis=1))[:, None]
    return found


def _complement(estimator: Any, counts: Floats, classes: Floats, alpha: Floats) -> Floats:
    others = counts.sum(axis=0) + alpha - counts
    logged = np.log(others / others.sum(axis=1, keepdims=True))
    return logged / logged.sum(axis=1, keepdims=True) if estimator.norm else -logged


def _bernoulli(estimator: Any, counts: Floats, classes: Floats, alpha: Floats) -> Floats:
    found: Floats = np.log(counts + alpha) - np.log(classes + alpha * 2)[:, None]
    return found
