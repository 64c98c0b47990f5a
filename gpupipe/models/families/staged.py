"""Trees in stages: scikit-learn's GradientBoosting, and AdaBoost with its votes and its weighted median."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.models.families.forests import only_trees, tree_table
from gpupipe.models.families.rows import Row
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.trees import Trees, assemble

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MedianTrees:
    """The weighted median of the trees' values (Drucker 1997): the least one that half the weight lies at or below.

    Attributes:
        trees: each tree is an output.
        weights: float64, (trees,), above 0.
    """

    form: ClassVar[str] = "median_trees"
    trees: Trees
    weights: Floats

    n_outputs: ClassVar[int] = 1

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, 1)."""
        values = self.trees.raw(X)
        order = values.argsort(axis=1, kind="stable")
        reached = np.add.accumulate(self.weights[order], axis=1)
        middle = (reached >= 0.5 * reached[:, -1:]).argmax(axis=1)
        chosen = np.take_along_axis(order, middle[:, None], axis=1)
        return np.take_along_axis(values, chosen, axis=1)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        params, arrays, blobs = self.trees.to_parts()
        return params, {**arrays, "weights": self.weights}, blobs

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        weights = checks.array(arrays, "weights", "float64", (None,))
        checks.require(bool((weights > 0).all()), "a tree's weight is not above 0")
        rest = {name: array for name, array in arrays.items() if name != "weights"}
        trees = Trees.from_parts(params, rest, blobs, n_features)
        checks.require(trees.n_outputs == len(trees.nodes.roots) == len(weights), "each tree needs a weight")
        checks.require(not trees.average and trees.nodes.value.shape[1] == 1, "its trees are no single values")
        return cls(trees, weights)


def staged(estimator: Any) -> Trees:
    """A fitted GradientBoosting*: what its `init` says, and each tree's values times the learning rate."""
    n_features = int(estimator.n_features_in_)
    start = np.array(estimator._raw_predict_init(np.zeros((1, n_features), np.float32))[0], dtype=np.float64)
    rate = estimator.learning_rate
    trees = [stage.tree_ for stage in estimator.estimators_.ravel()]  # class by class within a stage
    tables = [tree_table(tree, rate * tree.value[:, 0, :1]) for tree in trees]
    return Trees(assemble(tables), start, False, None, n_features)


def gradient_classifier(estimator: Any) -> tuple[Trees, str]:
    """A fitted GradientBoostingClassifier: scores are log odds, half of them with the exponential loss, or logits."""
    body = staged(estimator)
    if estimator.loss == "exponential":
        return body, "double_sigmoid"
    return body, "sigmoid_from_zero" if body.n_outputs == 1 else "softmax"


def gradient_regressor(estimator: Any) -> tuple[Trees, str]:
    """A fitted GradientBoostingRegressor: all its losses have the identity for a link."""
    return staged(estimator), "identity"


def plain_start(estimator: Any, feature_names: list[str]) -> None:
    """Refuse, before training, a GradientBoosting* that starts at the predictions of another estimator."""
    if estimator.init is not None and estimator.init != "zero":
        name, given = type(estimator).__name__, type(estimator.init).__name__
        raise UnsafeModelError(f"{name}(init={given}(…)) has no saved form. Leave init unset, or give 'zero'.")


def voting_trees(estimator: Any) -> tuple[Trees, str]:
    """A fitted AdaBoostClassifier of trees: at a leaf the vote of its tree, in shares of all weight."""
    weights = np.asarray(estimator.estimator_weights_, dtype=np.float64)
    classes = len(estimator.classes_)
    tables = []
    for stage, weight in zip(estimator.estimators_, weights / weights.sum(), strict=False):  # fewer if it ended early
        best = np.asarray(stage.classes_, dtype=np.intp)[stage.tree_.value[:, 0, :].argmax(axis=1)]
        votes = np.where(best[:, None] == np.arange(classes), weight, -weight / (classes - 1))
        tables.append(tree_table(stage.tree_, 2.0 * votes[:, 1:] if classes == 2 else votes))
    start = np.zeros(tables[0].value.shape[1])
    return Trees(assemble(tables), start, False, None, int(estimator.n_features_in_)), "boosted_votes"


def median_trees(estimator: Any) -> tuple[MedianTrees, str]:
    """A fitted AdaBoostRegressor of trees."""
    trees = [stage.tree_ for stage in estimator.estimators_]
    nodes = assemble([tree_table(tree, tree.value[:, 0, :]) for tree in trees])
    body = Trees(nodes, np.zeros(len(trees)), False, None, int(estimator.n_features_in_))
    weights = np.array(estimator.estimator_weights_[: len(trees)], dtype=np.float64)
    if not weights.any():  # the first tree was no better than chance, and is the only one
        weights[:] = 1.0
    return MedianTrees(body, weights), "identity"


_MODULE = "sklearn.ensemble"
_GRADIENT: dict[str, Any] = {"dtype": "float32", "prepare": plain_start}
_VOTES: dict[str, Any] = {"dtype": "float32", "prepare": only_trees}
_PROBA: dict[str, Any] = {"compare": "predict_proba"}
_MEAN: dict[str, Any] = {"compare": "predict"}
ROWS: tuple[Row, ...] = (
    Row("GradientBoostingClassifier", _MODULE, "classifier", "trees", gradient_classifier, **_PROBA, **_GRADIENT),
    Row("GradientBoostingRegressor", _MODULE, "regressor", "trees", gradient_regressor, **_MEAN, **_GRADIENT),
    Row("AdaBoostClassifier", _MODULE, "classifier", "trees", voting_trees, **_PROBA, **_VOTES),
    Row("AdaBoostRegressor", _MODULE, "regressor", "median_trees", median_trees, **_MEAN, **_VOTES),
)
