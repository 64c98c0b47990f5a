"""Every estimator of the table, small, with data it can learn from."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from xgboost import XGBClassifier, XGBRegressor

from gpupipe.models.model import Model, train

from . import linear_cases, tree_cases
from .case import LABELS, N_FEATURES, N_ROWS, NAMES, Case, matrix, target
from .tree_cases import FEW, HIST

__all__ = [
    "CASES",
    "FEW",
    "HIST",
    "LABELS",
    "NAMES",
    "N_FEATURES",
    "N_ROWS",
    "Case",
    "matrix",
    "ours",
    "outputs",
    "target",
    "theirs",
]

XGB: dict[str, Any] = {"n_estimators": 12, "max_depth": 4, "n_jobs": 1}

CASES: dict[str, Case] = {
    **linear_cases.CASES,
    **tree_cases.CASES,
    "XGBClassifier": Case(XGBClassifier(**XGB), 2, missing=True),
    "XGBClassifier 3": Case(XGBClassifier(**XGB), 3, missing=True),
    "XGBRegressor": Case(XGBRegressor(**XGB), missing=True),
    "XGBRegressor dart": Case(XGBRegressor(**XGB, booster="dart", rate_drop=0.3), missing=True),
}


@functools.cache
def ours(name: str) -> Model:
    case = CASES[name]
    return train(case.estimator, case.X, case.y, feature_names=NAMES)


@functools.cache
def theirs(name: str) -> Any:
    """The library's own, trained on codes and float64 (XGBoost refuses labels that are not codes)."""
    case = CASES[name]
    fitted = clone(case.estimator)
    return fitted.fit(case.X.astype(np.float64), *(() if case.codes is None else (case.codes,)))


def outputs(model: Model, X: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """What every method the model has says of `X`."""
    found = {}
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        try:
            found[method] = getattr(model, method)(X)
        except Exception as error:
            assert f"no {method}" in str(error)
    return found
