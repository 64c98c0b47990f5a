"""LightGBM's estimators: what of their parameters has a saved form, and what their `fit` is given."""

import inspect
from collections.abc import Mapping
from typing import Any

from gpupipe.errors import ModelOptionError, ParameterError, UnsafeModelError
from gpupipe.models.families import lightgbm_trees, ranking
from gpupipe.models.families.boosting import by_position, need, position, positions, refuse_no_validation
from gpupipe.models.families.rows import Lesson, Row, plain_arguments

_CATEGORICAL = "categorical_column"

# LightGBM's other names of parameters (its documentation, "Parameters").
_NAMES: dict[str, tuple[str, ...]] = {
    "objective": ("objective", "objective_type", "app", "application", "loss"),
    "linear_tree": ("linear_tree", "linear_trees"),
    "zero_as_missing": ("zero_as_missing",),
    "categorical_feature": ("categorical_feature", "cat_feature", "categorical_column", "cat_column",
                            "categorical_features"),
    "monotone_constraints": ("monotone_constraints", "mc", "monotone_constraint", "monotonic_cst"),
    "interaction_constraints": ("interaction_constraints",),
    "verbosity": ("verbosity", "verbose"),
    "early_stopping_round": ("early_stopping_round", "early_stopping_rounds", "early_stopping", "n_iter_no_change"),
}  # fmt: skip


def _given(params: Mapping[str, Any], parameter: str) -> tuple[str, Any]:
    """The name a parameter was given under, and its value; (its own name, None) where it was not given."""
    for name in _NAMES[parameter]:
        if params.get(name) is not None:
            return name, params[name]
    return parameter, None


def prepare(estimator: Any, feature_names: list[str]) -> Any:
    """Refuse, before training, what could not be saved; turn feature names into positions; keep it quiet."""
    who, params = type(estimator).__name__, estimator.get_params(deep=False)
    if callable(_given(params, "objective")[1]):
        raise UnsafeModelError(
            f"{who} with an objective that is a function has no saved form, since its link is code. "
            "Use a built-in objective."
        )
    if _given(params, "linear_tree")[1]:
        raise UnsafeModelError(f"{who} with linear_tree=True has no saved form. Leave linear_tree unset.")
    if _given(params, "zero_as_missing")[1]:
        raise ModelOptionError(
            "zero_as_missing=True would take zeros for nulls; a null reaches the model as NaN. "
            "Leave zero_as_missing unset, and use null_if(0) in the features."
        )
    changed: dict[str, Any] = {}
    name, constraints = _given(params, "monotone_constraints")
    if constraints is not None:
        changed[name] = by_position(constraints, feature_names, name)
    name, together = _given(params, "interaction_constraints")
    if together is not None:
        changed[name] = positions(together, feature_names, name)
    name, chosen = _given(params, "categorical_feature")
    if chosen is not None:  # under the name that LightGBM does not warn of
        del params[name]
        changed[_CATEGORICAL] = _categorical(chosen, feature_names, name)
    if _given(params, "verbosity")[1] is None:
        changed["verbosity"] = -1
    return type(estimator)(**params | changed)


def _categorical(chosen: Any, feature_names: list[str], name: str) -> list[int]:
    """Categorical features by name or position, as positions."""
    if not isinstance(chosen, list | tuple):
        raise ParameterError(f"{name} is a list of features' names or positions, not {chosen!r}.")
    found = [position(one, feature_names, name) if isinstance(one, str) else int(one) for one in chosen]
    beyond = [at for at in found if not 0 <= at < len(feature_names)]
    if beyond:
        raise ParameterError(f"{name} names position {beyond[0]}, and there are {len(feature_names)} features.")
    return found


def alone(estimator: Any) -> None:
    """Refuse early stopping without validation rows."""
    given = _given(estimator.get_params(deep=False), "early_stopping_round")
    refuse_no_validation(type(estimator).__name__, *given)


def arguments(estimator: Any, lesson: Lesson, held: Lesson | None) -> dict[str, Any]:
    """What `fit` takes besides X; the validation rows say when to stop."""
    who, params = type(estimator).__name__, estimator.get_params(deep=False)
    _, rounds = _given(params, "early_stopping_round")
    found = _rows(estimator, lesson)
    if _CATEGORICAL in params:
        found["categorical_feature"] = params[_CATEGORICAL]
    if held is None:
        alone(estimator)
        return found
    need(rounds is not None, who, "early_stopping_round is not set, so they would not matter. Set it")
    given = _rows(estimator, held)
    y = given.pop("y")
    if "eval_X" in inspect.signature(estimator.fit).parameters:
        found |= {"eval_X": (held.X,), "eval_y": (y,)}
    else:  # before LightGBM 4.7
        found["eval_set"] = [(held.X, y)]
    names = {"sample_weight": "eval_sample_weight", "group": "eval_group"}
    return {**found, **{names[name]: [values] for name, values in given.items()}}


def _rows(estimator: Any, lesson: Lesson) -> dict[str, Any]:
    found = plain_arguments(estimator, lesson, None)
    if lesson.groups is None:
        return found
    ranking.refuse_fractions(lesson, type(estimator).__name__)
    return {**found, "group": ranking.sizes(lesson.groups)}


_LIGHTGBM: dict[str, Any] = {
    "dtype": "float32",
    "accepts_nan": True,
    "early_stopping": "eval_set",
    "prepare": prepare,
    "arguments": arguments,
    "alone": alone,
}
_PREDICT: dict[str, Any] = {"compare": "predict", **_LIGHTGBM}
_PROBA: dict[str, Any] = {"compare": "predict_proba", **_LIGHTGBM}
ROWS: tuple[Row, ...] = (
    Row("LGBMClassifier", "lightgbm", "classifier", "trees", lightgbm_trees.classifier, **_PROBA),
    Row("LGBMRegressor", "lightgbm", "regressor", "trees", lightgbm_trees.regressor, **_PREDICT),
    Row("LGBMRanker", "lightgbm", "ranker", "trees", lightgbm_trees.ranker, **_PREDICT),
)
