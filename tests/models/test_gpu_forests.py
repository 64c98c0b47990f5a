"""nvForest by choice: what is handed to it, and what it says: its real CPU build where it is installed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gpu.api.fakes import Fakes, check_call
from numpy.typing import NDArray
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge
from xgboost import XGBClassifier, XGBRegressor

from gpupipe import optional
from gpupipe.errors import MissingDependencyError, UnavailableError
from gpupipe.models.fitted import Model
from gpupipe.models.gpu.forests import on_nvforest
from gpupipe.models.model import train

from .case import LABELS, NAMES, matrix, target
from .gpu_fakes import Counted, OnDevice, installed

MISSING = matrix(True, False)
FOREST: dict[str, Any] = {"n_estimators": 7, "random_state": 0}
SCORED: dict[str, tuple[Any, int]] = {
    "forest 2": (RandomForestClassifier(**FOREST), 2),
    "forest 3": (RandomForestClassifier(**FOREST), 3),
    "forest": (RandomForestRegressor(**FOREST), 0),
    "extra trees": (ExtraTreesRegressor(**FOREST), 0),
    "boosted 2": (HistGradientBoostingClassifier(max_iter=9, random_state=0), 2),
    "boosted 3": (HistGradientBoostingClassifier(max_iter=9, random_state=0), 3),
    "boosted": (HistGradientBoostingRegressor(max_iter=9, random_state=0), 0),
    "gradient": (GradientBoostingRegressor(n_estimators=9, random_state=0), 0),
}


def learned(name: str) -> tuple[Model, NDArray[np.float32]]:
    estimator, classes = SCORED[name]
    X = matrix(False, False) if name == "gradient" else MISSING
    y = target(False, classes)
    return train(estimator, X, LABELS[classes][y] if classes else y, feature_names=NAMES), X


class Builder:
    """Treelite's builder, and then the model: evaluated as its documentation says, in float64."""

    def __init__(self, **given: Any) -> None:
        check_call("treelite.model_builder.ModelBuilder", (), given)
        self.given = given
        self.trees: list[dict[int, dict[str, Any]]] = []
        self.node: dict[str, Any] = {}
        assert given["threshold_type"] == given["leaf_output_type"] == "float64"
        about = given["metadata"]
        kinds = {"kRegressor": "identity", "kMultiClf": "identity_multiclass"}
        assert kinds[about.task_type] == given["postprocessor"].name
        (classes,) = about.num_class
        assert (about.task_type == "kMultiClf") == (classes > 1) and about.num_target == 1
        vectors = about.leaf_vector_shape[1] > 1
        roles = given["tree_annotation"]
        assert len(roles.class_id) == len(roles.target_id) == roles.num_tree
        assert all((each == -1) == vectors for each in roles.class_id) and not any(roles.target_id)

    def start_tree(self) -> None:
        self.trees.append({})

    def end_tree(self) -> None:
        children = {key for node in self.trees[-1].values() if "feature_id" in node
                    for key in (node["left_child_key"], node["right_child_key"])}  # fmt: skip
        assert children < set(self.trees[-1]), "a child that there is not"

    def start_node(self, key: int) -> None:
        assert type(key) is int and key not in self.trees[-1]
        self.node = self.trees[-1][key] = {}

    def end_node(self) -> None:
        assert self.node, "a node that is neither a test nor a leaf"

    def numerical_test(self, **given: Any) -> None:
        check_call("treelite.model_builder.ModelBuilder.numerical_test", (), given)
        assert given["opname"] == "<="
        self.node |= given

    def leaf(self, value: Any) -> None:
        self.node["leaf"] = value

    def commit(self) -> "Builder":
        return self

    def evaluated(self, X: NDArray[Any]) -> NDArray[np.float64]:
        about, roles = self.given["metadata"], self.given["tree_annotation"]
        out = np.zeros((len(X), about.num_class[0]))
        for tree, role in zip(self.trees, roles.class_id, strict=True):
            for at, row in enumerate(X):
                leaf = np.asarray(self._leaf(tree, row))
                assert leaf.size == np.prod(about.leaf_vector_shape)
                out[at, slice(None) if role == -1 else role] += leaf
        if about.average_tree_output:
            out /= len(self.trees)
        return out + self.given["base_scores"]

    def _leaf(self, tree: dict[int, Any], row: NDArray[Any]) -> Any:
        node = next(iter(tree.values()))  # the first is the root
        while "leaf" not in node:
            value = row[node["feature_id"]]
            left = node["default_left"] if np.isnan(value) else value <= node["threshold"]
            node = tree[node["left_child_key" if left else "right_child_key"]]
        return node["leaf"]


def forest_of(model: Builder, **how: Any) -> Any:
    """nvForest's object: it takes rows where it is, and gives them back there."""
    assert how == {"device": "auto", "precision": "single"}

    def said(X: Any) -> Any:
        found = model.evaluated(X.values if isinstance(X, OnDevice) else X)
        return OnDevice(found) if isinstance(X, OnDevice) else found

    classifies = model.given["metadata"].task_type == "kMultiClf"
    method = {"predict_proba": said} if classifies else {"predict": said}
    return SimpleNamespace(is_classifier=classifies, **method)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    named = ("Metadata", "TreeAnnotation", "PostProcessorFunc")
    fakes = Fakes({f"treelite.model_builder.{name}": lambda **given: SimpleNamespace(**given) for name in named})
    fakes.behaviour["treelite.model_builder.ModelBuilder"] = Builder
    fakes.behaviour["nvforest.load_from_treelite_model"] = forest_of
    fakes.install(monkeypatch, "treelite", "nvforest")


@pytest.mark.parametrize("name", SCORED)
def test_trees_are_handed_over_as_they_are(name: str, built: None) -> None:
    model, X = learned(name)
    X = X[:40]
    other = on_nvforest(model)
    for method in ("predict_proba", "predict") if model.classes else ("predict",):
        ours, theirs = getattr(other, method)(X), getattr(model, method)(X)
        same = ours == theirs if ours.dtype == object else np.isclose(ours, theirs, rtol=1e-13, atol=1e-15)
        assert same.all()
    assert other.digest() == model.digest(), "saved, it is what it was"
    assert len(other.predict(X[:0])) == 0


def test_rows_on_a_device_are_read_there(built: None, monkeypatch: pytest.MonkeyPatch) -> None:
    model, X = learned("forest 3")
    device = Counted()
    there = device.upload(X[:20])
    with installed(monkeypatch) as fakes:
        found = on_nvforest(model).predict_proba(there)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, model.predict_proba(X[:20]), rtol=1e-13)
    assert device.downloaded == 0 and fakes.called("cupy.asarray")[0].args[0] is there


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (Ridge(), "is no sum or mean of trees"),
        (HistGradientBoostingRegressor(max_iter=3, categorical_features=[3]), "split on categories of 1 feature"),
    ],
)
def test_what_it_cannot_evaluate(estimator: Any, says: str, built: None) -> None:
    X = np.abs(np.round(matrix(False, False)))
    model = train(estimator, X, target(False, 0), feature_names=NAMES)
    with pytest.raises(UnavailableError, match=says):
        on_nvforest(model)


@pytest.mark.skipif(optional.available("treelite"), reason="Treelite is installed")
def test_without_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"gpupipe\[cuda13\]"):
        on_nvforest(learned("forest")[0])


REAL = {
    **SCORED,
    "xgboost 2": (XGBClassifier(n_estimators=9, n_jobs=1), 2),
    "xgboost 3": (XGBClassifier(n_estimators=9, n_jobs=1), 3),
    "xgboost": (XGBRegressor(n_estimators=9, n_jobs=1), 0),
}


@pytest.mark.skipif(not optional.available("nvforest"), reason="nvForest is not installed")
@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("name", REAL)
def test_the_real_one_agrees(name: str, precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCORED, name, REAL[name])
    model, X = learned(name)
    other = on_nvforest(model, device="cpu", precision=precision)
    method = "predict_proba" if model.classes else "predict"
    ours, theirs = getattr(other, method)(X), getattr(model, method)(X)
    exact = precision == "double" and "xgboost" not in name
    np.testing.assert_allclose(ours, theirs, rtol=1e-12 if exact else 1e-5, atol=1e-15 if exact else 1e-6)
    assert (getattr(other, method)(X[:1]) == ours[:1]).all()
