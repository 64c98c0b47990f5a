"""CatBoost's estimators: what of their parameters has a saved form, and what their `fit` is given."""

from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.errors import ModelOptionError, ParameterError, UnsafeModelError
from gpupipe.models.families import catboost_trees, ranking
from gpupipe.models.families.boosting import by_position, refuse_no_validation
from gpupipe.models.families.catboost_trees import CLASSIFIER_LINKS, RANKER_LINKS, REGRESSOR_LINKS, known_loss
from gpupipe.models.families.rows import Lesson, Row, plain_arguments

# What is drawn or written to files while training has no place in a pipeline.
_QUIET = {"allow_writing_files": False, "logging_level": "Silent"}
_LOUD = ("verbose", "verbose_eval", "silent", "metric_period")
_LOSSES = ("loss_function", "objective")
_ROUNDS = ("early_stopping_rounds", "od_wait")
_LINKS = {
    "CatBoostClassifier": CLASSIFIER_LINKS,
    "CatBoostRegressor": REGRESSOR_LINKS,
    "CatBoostRanker": RANKER_LINKS,
}


def prepare(estimator: Any, feature_names: list[str]) -> Any:
    """Refuse, before training, what could not be saved; turn feature names into positions; keep it quiet."""
    who, params = type(estimator).__name__, estimator.get_params(deep=False)
    for name in ("cat_features", "text_features", "embedding_features"):
        if params.get(name) is not None:
            raise UnsafeModelError(
                f"{who} with {name} has no saved form here: a model gets numbers. Leave {name} unset, and use codes(), "
                "one_hot() or target_mean() in the features."
            )
    for name in _LOSSES:
        if params.get(name) is not None:
            known_loss(params[name], _LINKS[who], who)
    if params.get("class_names") is not None:
        raise ModelOptionError(f"{who}(class_names=…) would rename the target's labels. Leave class_names unset.")
    changed: dict[str, Any] = {name: value for name, value in params.items() if name not in _LOUD} | _QUIET
    if isinstance(params.get("monotone_constraints"), list | tuple | np.ndarray):
        changed["monotone_constraints"] = by_position(
            params["monotone_constraints"], feature_names, "monotone_constraints"
        )
    elif isinstance(params.get("monotone_constraints"), dict):
        given = {_whole(name, feature_names): way for name, way in params["monotone_constraints"].items()}
        changed["monotone_constraints"] = by_position(given, feature_names, "monotone_constraints")
    return type(estimator)(**changed)


def _whole(feature: Any, feature_names: list[str]) -> Any:
    """The name of a feature that may be given by position, as CatBoost has it."""
    at = isinstance(feature, int) and 0 <= feature < len(feature_names)
    return feature_names[feature] if at else str(feature)


def forbids_nan(estimator: Any) -> bool:
    """Whether `nan_mode` has NaN refused in training."""
    return bool(estimator.get_params(deep=False).get("nan_mode") == "Forbidden")


def alone(estimator: Any) -> None:
    """Refuse early stopping without validation rows."""
    params = estimator.get_params(deep=False)
    for name in _ROUNDS:
        refuse_no_validation(type(estimator).__name__, name, params.get(name))


def arguments(estimator: Any, lesson: Lesson, held: Lesson | None) -> dict[str, Any]:
    """What `fit` takes besides X; the validation rows say which of its iterations is the best."""
    found = _rows(estimator, lesson)
    params = estimator.get_params(deep=False)
    if held is None:
        alone(estimator)
        return found
    if params.get("use_best_model") is False and not any(params.get(name) for name in (*_ROUNDS, "od_type")):
        raise ParameterError(
            f"Validation rows were given to {type(estimator).__name__}, and use_best_model is False and "
            "early_stopping_rounds not set, so they would not matter. Set early_stopping_rounds, or leave "
            "use_best_model unset."
        )
    given = _rows(estimator, held)
    names = {"y": "label", "sample_weight": "weight"}
    pool = {names.get(name, name): values for name, values in given.items()}
    return {**found, "eval_set": optional.load("catboost").Pool(held.X, **pool)}


def _rows(estimator: Any, lesson: Lesson) -> dict[str, Any]:
    if lesson.groups is None:
        return plain_arguments(estimator, lesson, None)
    weights = ranking.group_weights(lesson, type(estimator).__name__)
    found = {"y": lesson.y, "group_id": lesson.groups}
    return found if weights is None else {**found, "group_weight": np.asarray(lesson.weights)}


_CATBOOST: dict[str, Any] = {
    "dtype": "float32",
    "accepts_nan": True,
    "early_stopping": "eval_set",
    "copies": True,  # CatBoost keeps copies of lists and dicts it is given, which `clone` takes for changes
    "refuses_nan": forbids_nan,
    "prepare": prepare,
    "arguments": arguments,
    "alone": alone,
}
_PREDICT: dict[str, Any] = {"compare": "predict", **_CATBOOST}
_PROBA: dict[str, Any] = {"compare": "predict_proba", **_CATBOOST}
ROWS: tuple[Row, ...] = (
    Row("CatBoostClassifier", "catboost", "classifier", "oblivious", catboost_trees.classifier, **_PROBA),
    Row("CatBoostRegressor", "catboost", "regressor", "oblivious", catboost_trees.regressor, **_PREDICT),
    Row("CatBoostRanker", "catboost", "ranker", "oblivious", catboost_trees.ranker, **_PREDICT),
)
