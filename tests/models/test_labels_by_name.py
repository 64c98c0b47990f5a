"""Class weights by label, for every classifier that has them."""

import warnings
from typing import Any

import numpy as np
import pytest
from catboost import CatBoostClassifier
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.naive_bayes import GaussianNB

from gpupipe.errors import ParameterError, UnsafeModelError
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


ORDERS = [{"second": 5.0, "first": 1.0}, {"first": 1.0, "second": 5.0}, {"second": 5.0}]
CATBOOST = CatBoostClassifier(iterations=8, depth=3, verbose=0, allow_writing_files=False)


@pytest.mark.parametrize("given", ORDERS, ids=str)
def test_catboosts_class_weights_are_by_label_whatever_their_order(given: Any) -> None:
    theirs = clone(CATBOOST).set_params(class_weights=[1.0, 5.0]).fit(X, 1 - Y)
    ours = train(clone(CATBOOST).set_params(class_weights=given), X, LABELS[Y], feature_names=NAMES)
    assert np.allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-12)
    assert (ours.predict(X) == np.array(["first", "second"])[theirs.predict(X)]).all()


@pytest.mark.parametrize("given", [ORDERS[0], [1.0, 5.0]], ids=str)
def test_catboost_inside_another_keeps_its_class_weights(given: Any) -> None:
    inside = clone(CATBOOST).set_params(class_weights=given)
    ours = train(CalibratedClassifierCV(inside, cv=2), X, LABELS[Y], feature_names=NAMES)
    theirs = CalibratedClassifierCV(clone(CATBOOST).set_params(class_weights=(1.0, 5.0)), cv=2).fit(X, 1 - Y)
    assert np.allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-12)


_FIT = GaussianNB.fit


def turned(self: Any, X: Any, y: Any, sample_weight: Any = None) -> Any:
    """A fit after which the classes stand in another order than the codes."""
    _FIT(self, X, y, sample_weight)
    self.classes_ = self.classes_[::-1]
    return self


def test_classes_in_another_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GaussianNB, "fit", turned)
    with pytest.raises(UnsafeModelError, match="could not be read"):
        train(GaussianNB(), X, LABELS[Y], feature_names=NAMES)
