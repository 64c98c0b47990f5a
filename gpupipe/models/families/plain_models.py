"""Models that say the same of every row, and robust regression, which ends in a plain one: weighted sums as well."""

from typing import Any

import numpy as np

from gpupipe.errors import UnsafeModelError
from gpupipe.models.families.linear_models import regression
from gpupipe.models.families.rows import Row
from gpupipe.models.forms.linear import Linear

STRATEGIES = ("prior", "most_frequent")
REGRESSORS = ("LinearRegression", "Ridge", "Lasso", "ElasticNet", "HuberRegressor", "SGDRegressor")


def constant_classifier(estimator: Any) -> tuple[Linear, str]:
    """A fitted DummyClassifier: the classes' shares, or the most frequent class alone."""
    shares = np.array(estimator.class_prior_, dtype=np.float64)
    if estimator.strategy == "most_frequent":
        shares = (np.arange(len(shares)) == shares.argmax()).astype(np.float64)
    return Linear(np.zeros((len(shares), int(estimator.n_features_in_))), shares), "given"


def constant_regressor(estimator: Any) -> tuple[Linear, str]:
    """A fitted DummyRegressor: the mean, median, quantile or constant."""
    value = np.array(estimator.constant_, dtype=np.float64).reshape(-1)
    return Linear(np.zeros((len(value), int(estimator.n_features_in_))), value), "identity"


def consensus(estimator: Any) -> tuple[Linear, str]:
    """A fitted RANSACRegressor: the regression of the rows that agree."""
    return regression(estimator.estimator_)


def refuse_chance(estimator: Any, feature_names: list[str]) -> None:
    """Refuse, before training, a DummyClassifier that draws lots or is told a label."""
    if estimator.strategy not in STRATEGIES:
        raise UnsafeModelError(
            f"DummyClassifier(strategy={estimator.strategy!r}) has no saved form. Use one of: {', '.join(STRATEGIES)}."
        )


def refuse_others(estimator: Any, feature_names: list[str]) -> None:
    """Refuse, before training, a RANSACRegressor of anything but a linear model."""
    base, loss = estimator.estimator, estimator.loss
    if base is not None and not (
        type(base).__name__ in REGRESSORS and type(base).__module__.startswith("sklearn.linear_model.")
    ):
        raise UnsafeModelError(
            f"RANSACRegressor of {type(base).__name__} has no saved form. Leave estimator unset, or give one of: "
            f"{', '.join(REGRESSORS)}."
        )
    if callable(loss):
        raise UnsafeModelError("RANSACRegressor with a loss that is a function has no saved form.")


_DUMMY = "sklearn.dummy"
ROWS: tuple[Row, ...] = (
    Row("DummyClassifier", _DUMMY, "classifier", "linear", constant_classifier, prepare=refuse_chance),
    Row("DummyRegressor", _DUMMY, "regressor", "linear", constant_regressor),
    Row("RANSACRegressor", "sklearn.linear_model", "regressor", "linear", consensus, prepare=refuse_others),
)
