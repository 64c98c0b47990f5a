"""Constraints by name, what ensembles may be made of, and the forms that are more than a sum of trees."""

import copy
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor

from gpupipe.errors import ArtifactCorruptError, ColumnNotFoundError, UnsafeModelError
from gpupipe.models.fitted import Model
from gpupipe.models.model import train

from .cases import NAMES, matrix, ours, target

X, Y2, Y = matrix(False, False), target(False, 2), target(False, 0)


CONSTRAINED: dict[str, Any] = {
    "a tree": lambda given: DecisionTreeRegressor(random_state=0, monotonic_cst=given),
    "an extra tree": lambda given: ExtraTreeRegressor(random_state=0, monotonic_cst=given),
    "a forest": lambda given: RandomForestRegressor(5, random_state=0, monotonic_cst=given),
    "extra trees": lambda given: ExtraTreesRegressor(5, random_state=0, monotonic_cst=given),
    "boosted trees": lambda given: AdaBoostRegressor(CONSTRAINED["a tree"](given), n_estimators=3, random_state=0),
}


@pytest.mark.parametrize("which", CONSTRAINED)
def test_constraints_are_given_by_name(which: str) -> None:
    made = CONSTRAINED[which]
    model = train(made({"f1": -1, "f0": 1}), X, Y, feature_names=NAMES)
    assert (model.predict(X) == made([1, -1, 0, 0, 0, 0, 0]).fit(X, Y).predict(X)).all()
    assert model.digest() != train(made(None), X, Y, feature_names=NAMES).digest()
    rows = np.repeat(X[:1], 50, axis=0)
    rows[:, 0] = np.linspace(-3, 3, 50)
    assert (np.diff(model.predict(rows)) >= 0).all()
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'f0'"):
        train(made({"f00": 1}), X, Y, feature_names=NAMES)


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_a_score_of_zero_is_for_the_second_class(loss: Any) -> None:
    """Of gradient boosting in scikit-learn, unlike of most: balanced classes and a feature that says nothing."""
    rows, y = np.repeat(np.array([[0], [1]], np.float32), 8, axis=0), np.tile(["no", "yes"], 8)
    estimator = GradientBoostingClassifier(n_estimators=3, loss=loss)
    model = train(estimator, rows, y, feature_names=["x"])
    assert (model.decision_function(rows) == 0.0).all()
    assert model.predict(rows).tolist() == estimator.fit(rows, y).predict(rows).tolist() == ["yes"] * 16
    assert Model.from_parts(*model.to_parts()).predict(rows).tolist() == ["yes"] * 16


def test_a_first_tree_no_better_than_chance_is_the_median() -> None:
    y = np.arange(40) % 2
    rows = np.zeros((40, 1), np.float32)
    estimator = AdaBoostRegressor(random_state=0)
    model = train(estimator, rows, y, feature_names=["x"])
    fitted = estimator.fit(rows, y)
    assert fitted.estimator_weights_.tolist() == [0.0] * 50 and len(fitted.estimators_) == 1
    assert model.predict(rows).tolist() == fitted.predict(rows).tolist()


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (BaggingClassifier(LogisticRegression()), "BaggingClassifier of LogisticRegression.*DecisionTreeClassifier"),
        (AdaBoostRegressor(SVR()), "AdaBoostRegressor of SVR.*of trees it has"),
        (GradientBoostingRegressor(init=Ridge()), r"init=Ridge\(…\).*Leave init unset"),
        (IsolationForest(max_samples=1), "one row a tree"),
    ],
)
def test_what_has_no_form_is_refused_with_what_to_do(estimator: Any, says: str) -> None:
    y = {"BaggingClassifier": Y2, "IsolationForest": None}.get(type(estimator).__name__, Y)
    with pytest.raises(UnsafeModelError, match=says):
        train(estimator, X, y, feature_names=NAMES)


def test_outliers_are_the_rows_below_0() -> None:
    model = ours("IsolationForest")
    far = np.full((1, 7), 40, np.float32)
    assert model.predict(far).tolist() == [-1] and model.decision_function(far)[0] < 0
    assert set(model.predict(X).tolist()) == {-1, 1} and model.predict(X).dtype == np.int64


DAMAGES: list[tuple[str, str, Any]] = [
    ("AdaBoostRegressor", "weights", lambda a: a[:-1]),
    ("AdaBoostRegressor", "weights", lambda a: -a),
    ("AdaBoostRegressor", "start", lambda a: a[:1]),
    ("AdaBoostRegressor", "roots", lambda a: a[:1]),
    ("AdaBoostRegressor", "roots", lambda a: np.concatenate([a, a])),
    ("IsolationForest", "depth", lambda value: 0.0),
    ("IsolationForest", "depth", lambda value: float("nan")),
    ("IsolationForest", "offset", lambda value: "x"),
    ("IsolationForest", "average", lambda value: True),
    ("IsolationForest", "start", lambda a: np.zeros(2)),
]


@pytest.mark.parametrize(("name", "part", "change"), DAMAGES)
def test_damaged_parts_are_refused(name: str, part: str, change: Any) -> None:
    document, arrays, blobs = copy.deepcopy(ours(name).to_parts())
    where = arrays if part in arrays else document["params"]
    where[part] = change(where[part])
    with pytest.raises(ArtifactCorruptError, match="damaged"):
        Model.from_parts(document, arrays, blobs)
