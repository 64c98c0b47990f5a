"""Boosted trees: scikit-learn's histogram gradient boosting as arrays, XGBoost as its own UBJ."""

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe import optional
from gpupipe.errors import ColumnNotFoundError, ModelOptionError, ParameterError, UnsafeModelError, nearest
from gpupipe.models.families.rows import Lesson, Row, plain_arguments
from gpupipe.models.forms.trees import Categories, Trees, TreeTable, assemble

# The inverse links of HistGradientBoostingRegressor's losses.
LOSS_LINKS = {
    "squared_error": "identity",
    "absolute_error": "identity",
    "quantile": "identity",
    "poisson": "exp",
    "gamma": "exp",
}


def hist_classifier(estimator: Any) -> tuple[Trees, str]:
    """A fitted HistGradientBoostingClassifier: scores are log odds (binary) or logits."""
    if estimator.loss != "log_loss":
        raise UnsafeModelError("A HistGradientBoostingClassifier with its own loss object has no saved form.")
    body = hist_trees(estimator)
    return body, "sigmoid" if body.n_outputs == 1 else "softmax"


def hist_regressor(estimator: Any) -> tuple[Trees, str]:
    """A fitted HistGradientBoostingRegressor."""
    if estimator.loss not in LOSS_LINKS:
        raise UnsafeModelError(
            f"HistGradientBoostingRegressor(loss={estimator.loss!r}) has no saved form. "
            f"There are: {', '.join(LOSS_LINKS)}."
        )
    return hist_trees(estimator), LOSS_LINKS[estimator.loss]


def hist_trees(estimator: Any) -> Trees:
    """The trees of a fitted histogram gradient boosting, its baseline as the start of the sum."""
    predictors = [predictor for stage in estimator._predictors for predictor in stage]
    n_features = int(estimator.n_features_in_)
    categorical = estimator.is_categorical_
    mask = np.zeros(n_features, bool) if categorical is None else np.asarray(categorical, dtype=bool)
    original = np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)])  # categorical columns came first
    tables, bits, n_sets = [], [], 0
    for predictor in predictors:
        tables.append(_hist_table(predictor, original, n_sets if mask.any() else None))
        bits.append(np.asarray(predictor.raw_left_cat_bitsets, dtype=np.uint32).reshape(-1, 8))
        n_sets += len(bits[-1])
    start = np.array(estimator._baseline_prediction, dtype=np.float64).ravel()
    nodes = assemble(tables, np.concatenate(bits))
    return Trees(nodes, start, False, _categories(estimator, mask), n_features)


def _hist_table(predictor: Any, original: NDArray[np.intp], first_set: int | None) -> TreeTable:
    nodes = predictor.nodes
    sets = None
    if first_set is not None:
        sets = np.where(nodes["is_categorical"] != 0, nodes["bitset_idx"].astype(np.int64) + first_set, -1)
    return TreeTable(
        leaf=nodes["is_leaf"] != 0,
        left=nodes["left"],
        right=nodes["right"],
        feature=original[nodes["feature_idx"]],
        threshold=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"],
        value=nodes["value"][:, None].astype(np.float64),
        category_set=sets,
    )


def _categories(estimator: Any, mask: NDArray[np.bool_]) -> Categories | None:
    if not mask.any():
        return None
    found = estimator._preprocessor.named_transformers_["encoder"].categories_
    sizes = np.zeros(len(mask), dtype=np.int64)
    known = [np.asarray(values, dtype=np.float32) for values in found]
    known = [values[~np.isnan(values)] for values in known]
    sizes[mask] = [len(values) for values in known]
    return Categories(np.concatenate(known), np.concatenate([[0], np.cumsum(sizes)]))


def arguments(estimator: Any, lesson: Lesson, held: Lesson | None) -> dict[str, Any]:
    """What `fit` of histogram gradient boosting takes besides X."""
    found = plain_arguments(estimator, lesson, held)
    if held is None:
        return found
    who, version = type(estimator).__name__, optional.load("sklearn").__version__
    known = "X_val" in inspect.signature(estimator.fit).parameters
    need(known, who, f"scikit-learn {version} cannot take them. Install scikit-learn 1.7 or later")
    need(estimator.early_stopping is not False, who, "early_stopping is False. Set it to True or 'auto'")
    return {**found, "X_val": held.X, "y_val": held.y, "sample_weight_val": held.weights}


def need(condition: bool, who: str, why: str) -> None:
    """Refuse validation rows that would not matter unless `condition` holds."""
    if not condition:
        raise ParameterError(f"Validation rows were given to {who}, and {why}.")


def refuse_no_validation(who: str, parameter: str, rounds: Any) -> None:
    """Refuse early stopping where there are no validation rows to stop by."""
    if rounds is not None:
        raise ParameterError(
            f"{who}({parameter}={rounds}) needs validation rows, and none were given. "
            f"Give fit(data, validation=…), on the command line --validation DATA, or leave {parameter} unset."
        )


def prepare(estimator: Any, feature_names: list[str]) -> None:
    """Turn feature names in the parameters into positions: a matrix has no names."""
    chosen = estimator.categorical_features
    if isinstance(chosen, str):
        chosen = None  # "from_dtype": a matrix has no categorical dtypes
    elif chosen is not None and len(chosen) and all(isinstance(name, str) for name in chosen):
        chosen = [position(name, feature_names, "categorical_features") for name in chosen]
    estimator.set_params(
        categorical_features=chosen,
        monotonic_cst=by_position(estimator.monotonic_cst, feature_names, "monotonic_cst"),
        interaction_cst=positions(estimator.interaction_cst, feature_names, "interaction_cst"),
    )


def by_position(constraints: Any, feature_names: list[str], parameter: str) -> Any:
    """A dict of constraints by feature name as a list in feature order, 0 where nothing is said.

    Raises:
        ColumnNotFoundError: it names a feature that there is not.
        ModelOptionError: a list that is not one of -1, 0 and 1 for each feature.
    """
    if isinstance(constraints, dict):
        for name in constraints:
            position(name, feature_names, parameter)
        constraints = [constraints.get(name, 0) for name in feature_names]
    if not isinstance(constraints, list | tuple | np.ndarray):
        return constraints
    if len(constraints) != len(feature_names):
        raise ModelOptionError(
            f"{parameter} has length {len(constraints)}, and features are {len(feature_names)}. Give one a feature, "
            f"or a dict by feature's name: {{{feature_names[0]!r}: 1}}."
        )
    for name, value in zip(feature_names, constraints, strict=True):
        if value not in (-1, 0, 1):
            what = "It is 1 (rising), -1 (falling) or 0 (either)."
            raise ModelOptionError(f"{parameter} of {name!r} is {value!r}. {what}")
    return list(constraints)


def positions(constraints: Any, feature_names: list[str], parameter: str) -> Any:
    """Lists of features that may interact, by name or position, as lists of positions."""
    if not isinstance(constraints, list | tuple):
        return constraints
    return [
        [position(name, feature_names, parameter) if isinstance(name, str) else name for name in together]
        for together in constraints
    ]


def position(name: str, feature_names: list[str], parameter: str) -> int:
    """The position of a feature a parameter names. Raises ColumnNotFoundError where there is none."""
    if name not in feature_names:
        raise ColumnNotFoundError(
            f"{parameter} names the feature {name!r}, which the model does not get. {nearest(name, feature_names)}"
        )
    return feature_names.index(name)


_HIST: dict[str, Any] = {
    "dtype": "float32",
    "accepts_nan": True,
    "early_stopping": "X_val",
    "arguments": arguments,
    "prepare": prepare,
}
_CLASSIFIER, _REGRESSOR = "HistGradientBoostingClassifier", "HistGradientBoostingRegressor"
ROWS: tuple[Row, ...] = (
    Row(_CLASSIFIER, "sklearn.ensemble", "classifier", "trees", hist_classifier, compare="predict_proba", **_HIST),
    Row(_REGRESSOR, "sklearn.ensemble", "regressor", "trees", hist_regressor, compare="predict", **_HIST),
)
