"""What scikit-learn fits as weighted sums: its linear models, linear SVMs, and linear discriminants."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gpupipe.errors import UnsafeModelError
from gpupipe.models.families.rows import Row
from gpupipe.models.forms.linear import Linear

Converter = Callable[[Any], tuple[Linear, str]]


def _weights(estimator: Any) -> Linear:
    coefficients = np.atleast_2d(np.array(estimator.coef_, dtype=np.float64))
    intercept = np.empty(len(coefficients))
    intercept[:] = estimator.intercept_  # 0.0 without an intercept
    return Linear(coefficients, intercept)


def regression(estimator: Any) -> tuple[Linear, str]:
    """Any fitted linear regression, an output a target."""
    return _weights(estimator), "identity"


def log_link(estimator: Any) -> tuple[Linear, str]:
    """PoissonRegressor and GammaRegressor: the mean is the exponential of the sum."""
    return _weights(estimator), "exp"


def tweedie(estimator: Any) -> tuple[Linear, str]:
    """TweedieRegressor: with link="auto" the identity up to power 0, else the exponential."""
    given = estimator.link
    if given == "auto":
        given = "identity" if estimator.power <= 0 else "log"
    return _weights(estimator), {"identity": "identity", "log": "exp"}[given]


def partial_least_squares(estimator: Any) -> tuple[Linear, str]:
    """PLSRegression: the training means, which it takes off first, go into the intercept."""
    coefficients = np.array(estimator.coef_, dtype=np.float64)
    return Linear(coefficients, np.asarray(estimator.intercept_) - coefficients @ estimator._x_mean), "identity"


def margins(estimator: Any) -> tuple[Linear, str]:
    """A linear classifier without probabilities."""
    return _weights(estimator), "margin"


def logistic(estimator: Any) -> tuple[Linear, str]:
    """LogisticRegression: a sigmoid, a softmax, or (liblinear with three classes) one against the rest."""
    asked = getattr(estimator, "multi_class", "auto")  # gone in scikit-learn 1.8
    if asked not in ("auto", "deprecated", "warn"):
        name = type(estimator).__name__
        raise UnsafeModelError(f"{name}(multi_class={asked!r}) has no saved form; leave multi_class unset.")
    body = _weights(estimator)
    if body.n_outputs == 1:
        return body, "sigmoid"
    return body, "one_vs_rest" if estimator.solver == "liblinear" else "softmax"


def discriminant(estimator: Any) -> tuple[Linear, str]:
    """LinearDiscriminantAnalysis: scores are log posteriors up to a constant of the row."""
    body = _weights(estimator)
    return body, "sigmoid" if body.n_outputs == 1 else "softmax"


def sgd_classifier(estimator: Any) -> tuple[Linear, str]:
    """SGDClassifier: probabilities for log_loss and modified_huber, margins alone for the other losses."""
    body = _weights(estimator)
    if estimator.loss == "log_loss":
        return body, "sigmoid" if body.n_outputs == 1 else "one_vs_rest"
    return body, "modified_huber" if estimator.loss == "modified_huber" else "margin"


def one_class(estimator: Any) -> tuple[Linear, str]:
    """SGDOneClassSVM: rows with a score below its offset are outliers."""
    coefficients = np.atleast_2d(np.array(estimator.coef_, dtype=np.float64))
    return Linear(coefficients, -np.array(estimator.offset_, dtype=np.float64).reshape(1)), "inlier"


_MODULE = "sklearn.linear_model"


def _regressor(
    name: str, convert: Converter = regression, module: str = _MODULE, weights: bool = True, targets: Any = "one"
) -> Row:
    return Row(name, module, "regressor", "linear", convert, accepts_weights=weights, targets=targets)


def _classifier(name: str, convert: Converter = margins, module: str = _MODULE, weights: bool = True) -> Row:
    return Row(name, module, "classifier", "linear", convert, accepts_weights=weights)


ROWS: tuple[Row, ...] = (
    _regressor("LinearRegression", targets="any"),
    _regressor("Ridge", targets="any"),
    _regressor("RidgeCV", targets="any"),
    _regressor("Lasso", targets="any"),
    _regressor("LassoCV"),
    _regressor("LassoLars", weights=False, targets="any"),
    _regressor("LassoLarsCV", weights=False),
    _regressor("LassoLarsIC", weights=False),
    _regressor("Lars", weights=False, targets="any"),
    _regressor("LarsCV", weights=False),
    _regressor("ElasticNet", targets="any"),
    _regressor("ElasticNetCV"),
    _regressor("MultiTaskLasso", targets="several"),
    _regressor("MultiTaskLassoCV", targets="several"),
    _regressor("MultiTaskElasticNet", targets="several"),
    _regressor("MultiTaskElasticNetCV", targets="several"),
    _regressor("OrthogonalMatchingPursuit", weights=False, targets="any"),
    _regressor("OrthogonalMatchingPursuitCV", weights=False),
    _regressor("BayesianRidge"),
    _regressor("ARDRegression", weights=False),
    _regressor("HuberRegressor"),
    _regressor("QuantileRegressor"),
    _regressor("TheilSenRegressor", weights=False),
    _regressor("PoissonRegressor", log_link),
    _regressor("GammaRegressor", log_link),
    _regressor("TweedieRegressor", tweedie),
    _regressor("SGDRegressor"),
    _regressor("PassiveAggressiveRegressor", weights=False),
    _regressor("PLSRegression", partial_least_squares, "sklearn.cross_decomposition", weights=False, targets="any"),
    _regressor("LinearSVR", module="sklearn.svm"),
    _classifier("LogisticRegression", logistic),
    _classifier("LogisticRegressionCV", logistic),
    _classifier("RidgeClassifier"),
    _classifier("RidgeClassifierCV"),
    _classifier("SGDClassifier", sgd_classifier),
    _classifier("Perceptron"),
    _classifier("PassiveAggressiveClassifier", weights=False),
    _classifier("LinearDiscriminantAnalysis", discriminant, "sklearn.discriminant_analysis", weights=False),
    _classifier("LinearSVC", module="sklearn.svm"),
    Row("SGDOneClassSVM", _MODULE, "outlier_detector", "linear", one_class),
)
