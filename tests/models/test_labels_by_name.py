"""Class weights by label, for every classifier that has them."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from gpupipe.errors import ParameterError
from gpupipe.models.estimators import ROWS
from gpupipe.models.model import train

from .cases import CASES, NAMES, matrix, outputs, target

X, Y = matrix(False, False), target(False, 2)
LABELS = np.array(["second", "first"])  # sorts the other way than its codes
CLASSIFIERS = {
    row.name: next(case.estimator for case in CASES.values() if type(case.estimator).__name__ == row.name)
    for row in ROWS
    if row.kind == "classifier" and row.module.startswith("sklearn")
}
WEIGHTED = [name for name, estimator in CLASSIFIERS.items() if "class_weight" in estimator.get_params()]


def fitted(name: str, y: Any, **params: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(clone(CLASSIFIERS[name]).set_params(**params), X, y, feature_names=NAMES)


@pytest.mark.parametrize("name", WEIGHTED)
def test_class_weights_by_label(name: str) -> None:
    by_label = fitted(name, LABELS[Y], class_weight={"second": 5.0, "first": 1.0})
    by_code = fitted(name, 1 - Y, class_weight={1: 5.0, 0: 1.0})
    assert by_label.classes == ("first", "second") and by_code.classes == (0, 1)
    for method, values in outputs(by_label, X).items():
        other = outputs(by_code, X)[method]
        assert (values == (np.array(by_label.classes)[other] if method == "predict" else other)).all()
    plain = fitted(name, LABELS[Y], class_weight=None)
    if name != "NuSVC":  # LIBSVM takes its class weights and makes nothing of them
        assert plain.arrays.keys() == by_label.arrays.keys() and plain.digest() != by_label.digest()
    balanced = fitted(name, LABELS[Y], class_weight="balanced")
    assert balanced.classes == ("first", "second")
    with pytest.raises(ParameterError, match=r"'secnod'.*first"):
        fitted(name, LABELS[Y], class_weight={"secnod": 5.0})


def test_most_classifiers_have_them() -> None:
    assert len(WEIGHTED) > 14 and {"SVC", "RandomForestClassifier", "LogisticRegression", "Perceptron"} <= set(WEIGHTED)
