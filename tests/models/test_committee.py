"""Voting and stacking against scikit-learn's own, and what they cannot hold."""

import copy
import json
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from gpupipe.errors import (
    ArtifactCorruptError,
    ColumnNotFoundError,
    GpupipeError,
    ParameterError,
    UnsafeModelError,
    UnsupportedEstimatorError,
)
from gpupipe.models.estimators import describe
from gpupipe.models.fitted import Model
from gpupipe.models.model import train
from gpupipe.models.scoring import takes_nan

from .cases import LABELS, NAMES, matrix, ours, outputs, target

X, Y2, Y3, Y = matrix(False, False), target(False, 2), target(False, 3), target(False, 0)
FOREST = RandomForestClassifier(5, max_depth=4, random_state=0)
THREE: Any = [("a", LogisticRegression()), ("b", FOREST), ("c", GaussianNB())]
NUMBERS: Any = [("a", Ridge()), ("b", RandomForestRegressor(5, max_depth=4, random_state=0)), ("c", SVR())]
MADE: dict[str, tuple[Any, int]] = {
    "soft": (VotingClassifier(THREE, voting="soft", weights=[1, 2.5, 1]), 3),
    "soft of two": (VotingClassifier(THREE, voting="soft"), 2),
    "hard": (VotingClassifier([*THREE, ("d", LinearSVC(random_state=0))]), 3),
    "hard of two": (VotingClassifier(THREE, weights=[1, 1, 3]), 2),
    "one dropped": (VotingClassifier([THREE[0], ("x", "drop"), THREE[2]], voting="soft", weights=[1, 9, 3]), 3),
    "means": (VotingRegressor(NUMBERS, weights=[3, 1, 1]), 0),
    "stacked": (StackingClassifier(THREE, cv=2), 2),
    "stacked 3": (StackingClassifier(THREE, SVC(), cv=2), 3),
    "stacked by scores": (StackingClassifier([("s", SVC()), ("t", LinearSVC(random_state=0))], cv=2), 3),
    "stacked by labels": (StackingClassifier(THREE, stack_method="predict", cv=2), 3),
    "stacked, the features too": (StackingClassifier(THREE, FOREST, passthrough=True, cv=2), 3),
    "stacked neighbours": (StackingClassifier(THREE, KNeighborsClassifier(), cv=2), 2),
    "stacked numbers": (StackingRegressor(NUMBERS, cv=2), 0),
    "stacked by neighbours": (StackingRegressor(NUMBERS, KNeighborsRegressor(weights="distance"), cv=2), 0),
    "a vote in a stack": (StackingClassifier([("v", VotingClassifier(THREE)), THREE[1]], cv=2), 3),
}  # fmt: skip


def learned(which: str) -> tuple[Model, Any, Any]:
    estimator, n_classes = MADE[which]
    codes = {0: Y, 2: Y2, 3: Y3}[n_classes]
    y = LABELS[n_classes][codes] if n_classes else codes
    return train(estimator, X, y, feature_names=NAMES), clone(estimator).fit(X.astype(float), codes), n_classes


@pytest.mark.parametrize("which", MADE)
def test_it_says_what_the_library_says(which: str) -> None:
    model, fitted, n_classes = learned(which)
    found = outputs(model, X)
    for method, got in found.items():
        if method == "predict" and n_classes:
            assert (got == LABELS[n_classes][fitted.predict(X.astype(float))]).all()
        elif hasattr(fitted, method) and method != "transform":
            want = getattr(fitted, method)(X.astype(float))
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    assert not hasattr(fitted, "predict_proba") or "predict_proba" in found
    document, arrays, blobs = model.to_parts()
    again = Model.from_parts(json.loads(json.dumps(document)), arrays, blobs)
    assert again.digest() == model.digest()
    for method, got in outputs(again, X).items():
        one = np.concatenate([getattr(again, method)(X[at : at + 1]) for at in range(20)])
        assert got.tolist() == found[method].tolist() and one.tolist() == got[:20].tolist()


@pytest.mark.parametrize(
    ("estimator", "error", "says"),
    [
        (VotingClassifier([("a", LabelSpreading())]), UnsupportedEstimatorError, "cannot be kept.*LabelSpreading"),
        (VotingClassifier([("a", Ridge())]), UnsupportedEstimatorError, "takes classifiers.*Ridge is none"),
        (VotingClassifier([("a", KMeans())]), UnsupportedEstimatorError, "KMeans is none"),
        (VotingClassifier([("a", "drop")]), UnsupportedEstimatorError, "at least one not dropped"),
        (VotingClassifier("ab"), UnsupportedEstimatorError, "list of \\(name, estimator\\)"),
        (VotingClassifier([("s", LinearSVC())], voting="soft"), UnsafeModelError, "LinearSVC gives none"),
        (StackingClassifier(THREE, cv="prefit"), ParameterError, "trained elsewhere"),
        (VotingClassifier([("k", SVC(kernel=len))]), UnsafeModelError, "kernel that is a function"),
        (
            VotingClassifier([("t", DecisionTreeClassifier(monotonic_cst={"f00": 1}))]),
            ColumnNotFoundError,
            "Did you mean 'f0'",
        ),
    ],
)
def test_what_it_cannot_hold_is_refused(estimator: Any, error: type[GpupipeError], says: str) -> None:
    with pytest.raises(error, match=says):
        train(estimator, X, Y2, feature_names=NAMES)


def test_labels_and_features_by_name_inside() -> None:
    labels = np.array(["second", "first"])
    inside = [
        ("w", LogisticRegression(class_weight={"second": 9.0})),
        ("t", DecisionTreeClassifier(max_depth=3, monotonic_cst={"f1": 1}, random_state=0)),
    ]
    model = train(VotingClassifier(inside, voting="soft"), X, labels[Y2], feature_names=NAMES)
    codes = [
        ("w", LogisticRegression(class_weight={1: 9.0})),
        ("t", DecisionTreeClassifier(max_depth=3, monotonic_cst=[0, 1, 0, 0, 0, 0, 0], random_state=0)),
    ]
    fitted = VotingClassifier(codes, voting="soft").fit(X.astype(float), 1 - Y2)
    np.testing.assert_allclose(model.predict_proba(X), fitted.predict_proba(X.astype(float)), rtol=1e-9)


def test_nan_where_those_that_see_it_take_it() -> None:
    holes = X.copy()
    holes[::5, 0] = np.nan
    hist: Any = [("h", HistGradientBoostingClassifier(max_iter=5)), ("t", DecisionTreeClassifier(max_depth=3))]
    for estimator in (StackingClassifier(hist, cv=2), VotingClassifier(hist, voting="soft")):
        assert describe(estimator).accepts_nan
        model = train(estimator, holes, Y2, feature_names=NAMES)
        assert takes_nan(model) and np.isfinite(model.predict_proba(holes)).all()
    for estimator in (StackingClassifier(hist, cv=2, passthrough=True), VotingClassifier(THREE)):
        assert not describe(estimator).accepts_nan
        assert not takes_nan(train(estimator, X, Y2, feature_names=NAMES))
    assert takes_nan(ours("RandomForestClassifier")) and not takes_nan(ours("GradientBoostingClassifier"))


def put(key: str, value: Any) -> Any:
    return lambda document, arrays: document["params"].__setitem__(key, value)


DAMAGES: dict[str, tuple[str, Any]] = {
    "no columns": ("stacked 3", put("columns", 0)),
    "other columns": ("stacked 3", put("columns", 8)),
    "columns without end": ("stacked 3", put("columns", 10**15)),
    "a method of another name": ("stacked 3", put("methods", ["predict_proba", "fit", "predict"])),
    "methods too few": ("stacked 3", put("methods", ["predict"])),
    "scores of what has none": ("stacked 3", put("methods", ["predict_proba", "decision_function", "predict_proba"])),
    "features that the last does not see": ("stacked 3", put("passthrough", True)),
    "weights too few": ("soft", lambda document, arrays: arrays.update(weights=arrays["weights"][:-1])),
    "soft of no kind": ("soft", put("soft", 1)),
    "a vote of what has no probabilities": ("hard", put("soft", True)),
    "no members": ("soft", put("members", [])),
    "members of other classes": (
        "soft",
        lambda document, arrays: document["params"]["members"][0].update(classes=[0, 1, 5]),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_committees_are_refused(damage: str) -> None:
    which, change = DAMAGES[damage]
    document, arrays, blobs = copy.deepcopy(learned(which)[0].to_parts())
    change(document, arrays)
    with pytest.raises(ArtifactCorruptError, match="damaged"):
        Model.from_parts(document, arrays, blobs)
