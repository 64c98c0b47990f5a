"""Scikit-learn's decision trees, alone and averaged: forests, extra trees, and bags of trees."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.models.families.boosting import by_position
from gpupipe.models.families.rows import Row
from gpupipe.models.forms.trees import Trees, TreeTable, assemble

BASE_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")


def tree_table(tree: Any, value: NDArray[np.float64], features: NDArray[Any] | None = None) -> TreeTable:
    """A fitted ``tree_`` with `value`, (nodes, width), at its nodes.

    Args:
        features: where the tree's features stand among those of the model, if it was given some of them.
    """
    feature = np.maximum(tree.feature, 0)  # -2 at leaves
    return TreeTable(
        leaf=tree.children_left == -1,
        left=tree.children_left,
        right=tree.children_right,
        feature=feature if features is None else np.asarray(features)[feature],
        threshold=tree.threshold,
        missing_left=tree.missing_go_to_left,
        value=np.ascontiguousarray(value, dtype=np.float64),
    )


def averaged(tables: list[TreeTable], n_features: int) -> Trees:
    """The mean of the trees' values."""
    return Trees(assemble(tables), np.zeros(tables[0].value.shape[1]), True, None, n_features)


def _trees_of(estimator: Any) -> Trees:
    trees = [estimator] if hasattr(estimator, "tree_") else estimator.estimators_
    widths = np.atleast_1d(getattr(estimator, "n_classes_", 1)).tolist() * (
        1 if hasattr(estimator, "n_classes_") else int(estimator.n_outputs_)
    )
    tables = [tree_table(tree.tree_, _by_target(tree.tree_.value, widths)) for tree in trees]
    return averaged(tables, int(estimator.n_features_in_))


def _by_target(value: NDArray[np.float64], widths: list[int]) -> NDArray[np.float64]:
    """(nodes, targets, most values) as (nodes, values of all targets): targets of fewer classes are padded."""
    return np.concatenate([value[:, at, :width] for at, width in enumerate(widths)], axis=1)


def forest_classifier(estimator: Any) -> tuple[Trees, str]:
    """A tree, RandomForestClassifier or ExtraTreesClassifier: raw outputs are class shares, the probabilities; of
    several targets side by side."""
    return _trees_of(estimator), "given"


def forest_regressor(estimator: Any) -> tuple[Trees, str]:
    """A tree, RandomForestRegressor or ExtraTreesRegressor: the average of leaf means."""
    return _trees_of(estimator), "identity"


def bagging_classifier(estimator: Any) -> tuple[Trees, str]:
    """A BaggingClassifier of trees; a tree whose sample lacked a class gives it no share."""
    tables = []
    for tree, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        shares = np.zeros((tree.tree_.node_count, len(estimator.classes_)))
        shares[:, np.asarray(tree.classes_, dtype=np.intp)] = tree.tree_.value[:, 0, :]
        tables.append(tree_table(tree.tree_, shares, features))
    return averaged(tables, int(estimator.n_features_in_)), "given"


def bagging_regressor(estimator: Any) -> tuple[Trees, str]:
    """A BaggingRegressor of trees."""
    pairs = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    tables = [tree_table(tree.tree_, tree.tree_.value[:, 0, :], features) for tree, features in pairs]
    return averaged(tables, int(estimator.n_features_in_)), "identity"


def constrain(estimator: Any, feature_names: list[str]) -> None:
    """Turn a monotonic_cst by feature name into one in feature order."""
    constraints = by_position(estimator.monotonic_cst, feature_names, "monotonic_cst")
    estimator.set_params(monotonic_cst=constraints)


def only_trees(estimator: Any, feature_names: list[str]) -> None:
    """Refuse an ensemble of anything but single trees, before it is trained."""
    base = estimator.estimator
    if base is None:
        return
    kind = type(base)
    if kind.__name__ not in BASE_TREES or not kind.__module__.startswith("sklearn.tree."):
        raise UnsafeModelError(
            f"{type(estimator).__name__} of {kind.__name__} has no saved form; of trees it has. Leave estimator unset, "
            f"or give one of: {', '.join(BASE_TREES)}."
        )
    if base.monotonic_cst is not None:
        constrain(base, feature_names)


_SINGLE, _MANY = "sklearn.tree", "sklearn.ensemble"


def _classifier(name: str, module: str, convert: Any = forest_classifier, prepare: Any = constrain) -> Row:
    return _row(name, module, "classifier", convert, prepare, "predict_proba")


def _regressor(name: str, module: str, convert: Any = forest_regressor, prepare: Any = constrain) -> Row:
    return _row(name, module, "regressor", convert, prepare, "predict")


def _row(name: str, module: str, kind: Any, convert: Any, prepare: Any, compare: str) -> Row:
    how: dict[str, Any] = {"prepare": prepare, "compare": compare, "dtype": "float32", "accepts_nan": True}
    targets: Any = "any" if prepare is constrain else "one"
    return Row(name, module, kind, "trees", convert, targets=targets, **how)


ROWS: tuple[Row, ...] = (
    _classifier("DecisionTreeClassifier", _SINGLE),
    _regressor("DecisionTreeRegressor", _SINGLE),
    _classifier("ExtraTreeClassifier", _SINGLE),
    _regressor("ExtraTreeRegressor", _SINGLE),
    _classifier("RandomForestClassifier", _MANY),
    _regressor("RandomForestRegressor", _MANY),
    _classifier("ExtraTreesClassifier", _MANY),
    _regressor("ExtraTreesRegressor", _MANY),
    _classifier("BaggingClassifier", _MANY, bagging_classifier, only_trees),
    _regressor("BaggingRegressor", _MANY, bagging_regressor, only_trees),
)
