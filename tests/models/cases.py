"""Every estimator of the table, small, with data it can learn from."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from gpupipe.models.model import Model, train

from . import boosted_cases, instance_cases, linear_cases, plain_cases, skops_cases, svm_cases, tree_cases
from .boosted_cases import XGB
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
    "XGB",
    "Case",
    "matrix",
    "ours",
    "outputs",
    "target",
    "theirs",
]

CASES: dict[str, Case] = {
    **linear_cases.CASES,
    **tree_cases.CASES,
    **svm_cases.CASES,
    **instance_cases.CASES,
    **skops_cases.CASES,
    **plain_cases.CASES,
    **boosted_cases.CASES,
}


@functools.cache
def ours(name: str) -> Model:
    case = CASES[name]
    return train(case.estimator, case.X, case.y, groups=case.groups, feature_names=NAMES)


_GROUP_OF = {"XGBRanker": "qid", "CatBoostRanker": "group_id"}


@functools.cache
def theirs(name: str) -> Any:
    """The library's own, trained on codes and float64 (XGBoost refuses labels that are not codes)."""
    case = CASES[name]
    fitted = clone(case.estimator)
    if case.ranks:
        order = np.argsort(case.groups * 23 % 40, kind="stable")  # 7 * 23 % 40 is 1: by first appearance
        groups = {"group": np.full(40, 10)} if "LGBM" in name else {_GROUP_OF[name]: np.repeat(np.arange(40), 10)}
        return fitted.fit(case.X[order].astype(np.float64), case.codes[order], **groups)
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
