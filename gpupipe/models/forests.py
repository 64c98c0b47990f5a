"""Forests of scikit-learn's trees: averages of leaf values."""

from typing import Any

import numpy as np

from gpupipe.models.rows import Row
from gpupipe.models.trees import Trees, TreeTable, assemble


def forest(estimator: Any) -> Trees:
    """A fitted RandomForest* or ExtraTrees*: the average of its trees' values."""
    tables = [_sklearn_tree(tree.tree_) for tree in estimator.estimators_]
    outputs = tables[0].value.shape[1]
    return Trees(assemble(tables), np.zeros(outputs), True, None, int(estimator.n_features_in_))


def _sklearn_tree(tree: Any) -> TreeTable:
    return TreeTable(
        leaf=tree.children_left == -1,
        left=tree.children_left,
        right=tree.children_right,
        feature=tree.feature,
        threshold=tree.threshold,
        missing_left=tree.missing_go_to_left,
        value=np.ascontiguousarray(tree.value[:, 0, :]),
    )


def forest_classifier(estimator: Any) -> tuple[Trees, str]:
    """The average of class shares; raw outputs are the probabilities."""
    return forest(estimator), "given"


def forest_regressor(estimator: Any) -> tuple[Trees, str]:
    """The average of leaf means."""
    return forest(estimator), "identity"


_FOREST: dict[str, Any] = {"dtype": "float32", "accepts_nan": True}
_CLASSIFIER: dict[str, Any] = {"compare": "predict_proba", **_FOREST}
_REGRESSOR: dict[str, Any] = {"compare": "predict", **_FOREST}
_MODULE = "sklearn.ensemble"
ROWS: tuple[Row, ...] = (
    Row("RandomForestClassifier", _MODULE, "classifier", "trees", forest_classifier, **_CLASSIFIER),
    Row("RandomForestRegressor", _MODULE, "regressor", "trees", forest_regressor, **_REGRESSOR),
    Row("ExtraTreesClassifier", _MODULE, "classifier", "trees", forest_classifier, **_CLASSIFIER),
    Row("ExtraTreesRegressor", _MODULE, "regressor", "trees", forest_regressor, **_REGRESSOR),
)
