"""The methods a Pipeline says it has, for every estimator: those of the library's object before the fit, those that
work after it."""

import copy
import inspect

import numpy as np
import pytest

import gpupipe as gp

from .cases import CASES

METHODS = ("predict", "predict_proba", "decision_function")
FEW = ("LogisticRegression", "Ridge", "RandomForestClassifier", "GaussianNB", "KMeans", "PCA")


def agrees(name):
    case = CASES[name]
    given = {} if case.groups is None else {"groups": case.groups}
    pipeline = gp.Pipeline([gp.numeric()], model=copy.deepcopy(case.estimator))
    library = {method for method in METHODS if hasattr(case.estimator, method)}
    assert {method for method in METHODS if hasattr(pipeline, method)} == library
    y = None if case.y is None else np.asarray(case.y)
    pipeline.fit(case.X.astype(np.float64), y, **given)
    after = {method for method in METHODS if hasattr(pipeline, method)}
    assert pipeline.model_ is not None
    targets = pipeline.model_.targets  # of several there is no one score a row
    assert library - ({"decision_function"} if targets else set()) <= after <= library | {"decision_function"}
    if "decision_function" in after - library:
        scores_are_as_good(pipeline, case.X)
    for method in after:
        found = getattr(pipeline, method)(case.X[:5])
        assert len(found) == (len(targets) if targets and method == "predict_proba" else 5)
    assert ("sample_weight" in inspect.signature(pipeline.fit).parameters) == pipeline._takes_weights()


def scores_are_as_good(pipeline, X):
    """Where only ours has scores (of networks, of CatBoost), a scorer that takes them ranks as by probabilities."""
    scores = pipeline.decision_function(X)
    if len(pipeline.classes_) == 2:
        assert scores.ndim == 1 and np.array_equal(scores > 0, pipeline.predict(X) == pipeline.classes_[1])
    else:
        assert np.array_equal(pipeline.classes_[scores.argmax(axis=1)], pipeline.predict(X))


@pytest.mark.parametrize("name", [name for name in CASES if name in FEW])
def test_methods(name):
    agrees(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_methods_of_every_estimator(name):
    agrees(name)
