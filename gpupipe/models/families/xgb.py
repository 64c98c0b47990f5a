"""XGBoost models: kept as XGBoost's own UBJ, predicted by XGBoost, checked by us before XGBoost sees them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe import optional
from gpupipe.errors import ModelOptionError, UnsafeModelError
from gpupipe.models.families import ranking
from gpupipe.models.families.boosting import by_position, need, positions, refuse_no_validation
from gpupipe.models.families.rows import Lesson, Row, plain_arguments
from gpupipe.models.forms import checks, ubj
from gpupipe.models.forms.checks import Arrays, Blobs, Params

BLOB = "ubj"
ROOT = 2**31 - 1  # what XGBoost gives as the parent of a root
CLASSIFIER_OBJECTIVES = ("binary:logistic", "multi:softprob")


@dataclass(frozen=True, eq=False)
class XGBoost:
    """Raw outputs are what XGBoost's objective makes of the sum of trees: probabilities, or the prediction.

    Attributes:
        ubj: the booster, cut off after its best iteration.
        n_outputs: numbers it gives for a row.
    """

    form: ClassVar[str] = "xgboost"
    ubj: bytes
    n_outputs: int

    @cached_property
    def _booster(self) -> Any:
        xgboost = optional.load("xgboost")
        booster = xgboost.Booster()
        try:
            booster.load_model(bytearray(self.ubj))
        except xgboost.core.XGBoostError as error:
            reason = f"XGBoost {xgboost.__version__} cannot read it ({_first_line(error)})"
            raise checks.corrupt(reason) from error
        return booster

    def raw(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64, (rows, outputs): XGBoost's float32 values. Needs the xgboost package."""
        if not len(X):
            return np.empty((0, self.n_outputs))
        try:
            values = self._booster.inplace_predict(X, validate_features=False)
        except ValueError as error:  # XGBoostError: what only its objective knows, such as a base score beyond 0 … 1
            raise checks.corrupt(f"XGBoost cannot predict with it ({_first_line(error)})") from error
        return np.asarray(values, dtype=np.float64).reshape(len(X), self.n_outputs)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        return {"outputs": self.n_outputs}, {}, {BLOB: self.ubj}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, ("outputs",), "parameters")
        checks.only(arrays, (), "arrays")
        checks.only(blobs, (BLOB,), "blobs")
        outputs = checks.number(params, "outputs")
        checks.require(outputs >= 1 and outputs.is_integer(), "parameter 'outputs' is not a positive integer")
        check(blobs[BLOB], n_features, int(outputs))
        return cls(bytes(blobs[BLOB]), int(outputs))


def classifier(estimator: Any) -> tuple[XGBoost, str]:
    """A fitted XGBClassifier; raw outputs are probabilities."""
    if estimator.objective not in CLASSIFIER_OBJECTIVES:
        raise UnsafeModelError(
            f"XGBClassifier(objective={estimator.objective!r}) does not give probabilities. "
            f"Leave objective unset, or use one of: {', '.join(CLASSIFIER_OBJECTIVES)}."
        )
    outputs = int(estimator.n_classes_)
    return _saved(estimator, 1 if outputs == 2 else outputs), "given"


def regressor(estimator: Any) -> tuple[XGBoost, str]:
    """A fitted XGBRegressor; raw outputs are its predictions, one a target, XGBoost's link applied."""
    targets = json.loads(estimator.get_booster().save_config())["learner"]["learner_model_param"]["num_target"]
    return _saved(estimator, max(1, int(targets))), "identity"


def ranker(estimator: Any) -> tuple[XGBoost, str]:
    """A fitted XGBRanker; the raw output is its score, by which rows of one group are ordered."""
    return _saved(estimator, 1), "identity"


def alone(estimator: Any) -> None:
    """Refuse early stopping without validation rows."""
    refuse_no_validation(type(estimator).__name__, "early_stopping_rounds", estimator.early_stopping_rounds)


def arguments(estimator: Any, lesson: Lesson, held: Lesson | None) -> dict[str, Any]:
    """What `fit` takes besides X; the validation rows say when to stop."""
    found = {**_rows(estimator, lesson), "verbose": False}
    who, rounds = type(estimator).__name__, estimator.early_stopping_rounds
    if held is None:
        alone(estimator)
        return found
    need(rounds is not None, who, "early_stopping_rounds is not set, so they would not matter. Set it")
    given = _rows(estimator, held)
    found["eval_set"] = [(held.X, given.pop("y"))]
    names = {"sample_weight": "sample_weight_eval_set", "qid": "eval_qid"}
    return {**found, **{names[name]: [values] for name, values in given.items()}}


def _rows(estimator: Any, lesson: Lesson) -> dict[str, Any]:
    if lesson.groups is None:
        return plain_arguments(estimator, lesson, None)
    who = type(estimator).__name__
    if estimator.objective == "rank:ndcg":
        ranking.refuse_fractions(lesson, f"{who}(objective='rank:ndcg')")
    weights = ranking.group_weights(lesson, who)
    found = {"y": lesson.y, "qid": lesson.groups}
    return found if weights is None else {**found, "sample_weight": weights}


def one_round(estimator: Any, lesson: Lesson, held: Lesson | None) -> dict[str, Any]:
    """What `fit` of XGBoost's random forests takes besides X: they cannot stop early."""
    return {**plain_arguments(estimator, lesson, held), "verbose": False}


def prepare(estimator: Any, feature_names: list[str]) -> None:
    """Refuse, before training, what could not be saved; turn feature names into positions."""
    if callable(estimator.objective):
        raise UnsafeModelError(
            "XGBoost with an objective that is a function has no saved form, since its link is code. "
            "Use a built-in objective."
        )
    if (estimator.booster or "gbtree") not in ("gbtree", "dart"):
        raise UnsafeModelError(
            f"XGBoost with booster={estimator.booster!r} has no saved form here. Use gbtree or dart, "
            "or a linear model of scikit-learn."
        )
    if estimator.feature_types is not None:
        raise UnsafeModelError(
            "XGBoost with feature_types splits on categories, which has no saved form here. "
            "Leave feature_types unset, and use codes() or one_hot() in the features."
        )
    if estimator.missing is not None and not np.isnan(estimator.missing):
        raise ModelOptionError(
            f"missing={estimator.missing!r} would take a value for a null; a null reaches the model as NaN. "
            "Leave missing unset, and use null_if in the features."
        )
    if estimator.multi_strategy == "multi_output_tree":
        raise UnsafeModelError(
            "XGBoost with multi_strategy='multi_output_tree' has vectors for leaves, which have no saved form here. "
            "Leave multi_strategy unset."
        )
    _refuse_many_levels(estimator)
    if estimator.objective == "multi:softmax":  # the same trees, and probabilities with them
        estimator.set_params(objective="multi:softprob")
    if isinstance(estimator.interaction_constraints, list | tuple):  # XGBoost takes positions as text alone
        together = positions(estimator.interaction_constraints, feature_names, "interaction_constraints")
        estimator.set_params(interaction_constraints=json.dumps(together))
    if isinstance(estimator.monotone_constraints, dict | list | tuple | np.ndarray):
        constraints = by_position(estimator.monotone_constraints, feature_names, "monotone_constraints")
        estimator.set_params(monotone_constraints=tuple(constraints))


def _refuse_many_levels(estimator: Any) -> None:
    for name in ("quantile_alpha", "expectile_alpha"):
        given = estimator.get_params(deep=False).get(name)
        if np.size(given) > 1:
            raise ModelOptionError(
                f"{name}={given!r} asks for {np.size(given)} numbers a row, and a pipeline predicts one. "
                "Give one level, and fit a pipeline for each."
            )


def _saved(estimator: Any, outputs: int) -> XGBoost:
    booster = estimator.get_booster()
    best = getattr(estimator, "best_iteration", None) if estimator.early_stopping_rounds else None
    if best is not None:
        booster = booster[: best + 1]
    body = XGBoost(bytes(booster.save_raw("ubj")), outputs)
    check(body.ubj, int(estimator.n_features_in_), outputs)
    return body


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]


def check(data: bytes, n_features: int, n_outputs: int) -> None:
    """Raise ArtifactCorruptError unless `data` is a booster XGBoost can walk inside its arrays."""
    document = ubj.read(data)
    param = _member(document, "learner", "learner_model_param")
    checks.require(_count(param, "num_feature") == n_features, "its booster has another number of features")
    classes, targets = _count(param, "num_class"), _count(param, "num_target")
    checks.require(classes == 0 or targets == 1, "its booster has several targets of several classes")
    checks.require(max(classes, targets) == n_outputs and classes != 1, "its booster has other outputs")
    _check_base_score(param.get("base_score"), n_outputs)
    softmax = _member(document, "learner", "objective").get("softmax_multiclass_param")
    checks.require(softmax is None or _count(softmax, "num_class") == classes, "its objective is for other classes")
    booster = _member(document, "learner", "gradient_booster")
    name = booster.get("name")
    checks.require(name in ("gbtree", "dart"), f"its booster is of kind {name!r}")
    model = _member(booster, "gbtree", "model") if name == "dart" else _member(booster, "model")
    trees, groups = model.get("trees"), _integers(model, "tree_info")
    checks.require(isinstance(trees, list) and len(trees) == len(groups), "its booster lacks trees")
    checks.integers(groups, "tree_info", 0, n_outputs)
    checks.require(_count(_member(model, "gbtree_model_param"), "num_trees") == len(groups), "trees are missing")
    rounds = _integers(model, "iteration_indptr")
    checks.require(len(rounds) > 0 and bool((np.diff(rounds) >= 0).all()), "its booster's rounds are mixed up")
    checks.require(rounds[0] == 0 and rounds[-1] == len(groups), "its booster's rounds do not fit its trees")
    if name == "dart":
        checks.require(len(_array(booster, "weight_drop")) == len(groups), "its booster lacks tree weights")
    for index, tree in enumerate(trees):  # type: ignore[arg-type]
        checks.require(isinstance(tree, Mapping) and tree.get("id") == index, "a tree is out of its place")
        _check_tree(tree, n_features)


def _check_base_score(text: Any, n_outputs: int) -> None:
    """A number, or a list of one or of one for each output: XGBoost complains of no other before it predicts."""
    try:
        found = json.loads(text)
        values = [float(value) for value in (found if isinstance(found, list) else [found])]
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise checks.corrupt("its booster's 'base_score' holds no numbers") from error
    known = len(values) in (1, n_outputs) and bool(np.isfinite(values).all())
    checks.require(known, "its booster has another number of base scores")


_NODE_INTEGERS = ("left_children", "right_children", "split_indices", "split_type", "parents", "default_left")
_CATEGORY_ARRAYS = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_NODE_FLOATS = ("split_conditions", "base_weights", "loss_changes", "sum_hessian")


def _check_tree(tree: Any, n_features: int) -> None:
    size = _count(_member(tree, "tree_param"), "num_nodes")
    integers = [_integers(tree, name) for name in _NODE_INTEGERS]
    lengths = [len(array) for array in integers] + [len(_array(tree, name)) for name in _NODE_FLOATS]
    checks.require(size > 0 and set(lengths) == {size}, "a tree's arrays differ in length")
    for name in _CATEGORY_ARRAYS:
        checks.require(len(_array(tree, name)) == 0, "a tree splits on categories")
    left, right, split, split_type, parents = integers[:5]
    checks.require(_count(tree["tree_param"], "size_leaf_vector") <= 1, "a tree has vectors for leaves")
    checks.require(not split_type.any(), "a tree splits on categories")
    checks.require(bool(((left == -1) == (right == -1)).all()), "a tree has a node with one child")
    inner = left != -1
    children = np.concatenate([left[inner], right[inner]])
    checks.integers(children, "children", 1, size)
    checks.require(len(np.unique(children)) == len(children), "a tree has a node with two parents")
    above = np.concatenate([np.flatnonzero(inner)] * 2)
    checks.require(bool((parents[children] == above).all()), "a tree has a child that names another parent")
    checks.require(parents[0] == ROOT, "a tree's first node is not its root")
    checks.integers(split[inner], "split_indices", 0, n_features)


def _member(found: Any, *path: str) -> Mapping[str, Any]:
    for name in path:
        checks.require(isinstance(found, Mapping) and name in found, f"its booster has no {name!r}")
        found = found[name]
    checks.require(isinstance(found, Mapping), f"its booster's {path[-1]!r} is no object")
    return found


def _count(found: Mapping[str, Any], name: str) -> int:
    text = found.get(name)
    whole = isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 20  # as XGBoost reads it
    checks.require(whole, f"its booster's {name!r} is {str(text)[:100]!r}")
    return int(text)  # type: ignore[arg-type]


def _array(found: Any, name: str) -> NDArray[Any]:
    checks.require(isinstance(found, Mapping) and name in found, f"its booster has no {name!r}")
    values = found[name]
    if isinstance(values, list) and all(type(value) in (int, float) for value in values):
        values = np.array(values, dtype=None if values else np.int64)
    checks.require(isinstance(values, np.ndarray), f"its booster's {name!r} is no array")
    return values


def _integers(found: Any, name: str) -> NDArray[Any]:
    values = _array(found, name)
    checks.require(values.dtype.kind in "iu", f"its booster's {name!r} holds no integers")
    return values.astype(np.int64)


_FOREST: dict[str, Any] = {"dtype": "float32", "accepts_nan": True, "prepare": prepare, "arguments": one_round}
_XGB: dict[str, Any] = {**_FOREST, "early_stopping": "eval_set", "arguments": arguments, "alone": alone}
ROWS: tuple[Row, ...] = (
    Row("XGBClassifier", "xgboost", "classifier", "xgboost", classifier, **_XGB),
    Row("XGBRegressor", "xgboost", "regressor", "xgboost", regressor, targets="any", **_XGB),
    Row("XGBRanker", "xgboost", "ranker", "xgboost", ranker, **_XGB),
    Row("XGBRFClassifier", "xgboost", "classifier", "xgboost", classifier, **_FOREST),
    Row("XGBRFRegressor", "xgboost", "regressor", "xgboost", regressor, targets="any", **_FOREST),
)
