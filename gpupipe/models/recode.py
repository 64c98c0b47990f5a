"""Labels in parameters. An estimator is trained on codes, so what its parameters say of labels is said of codes."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.errors import ParameterError
from gpupipe.models.forms.labels import Label, decode

Classes = Sequence[Label]


def recode(estimator: Any, each: Sequence[Classes]) -> None:
    """Class weights, a positive label and a scoring, of `estimator` and of those inside it, by code.

    Args:
        estimator: a clone, changed in place.
        each: the classes of each target; one for a single target.

    Raises:
        ParameterError: a label that no training row has, or that is another code in another target; a scoring that
            cannot be one.
    """
    params = estimator.get_params(deep=False)
    given = params.get("class_weight")
    if isinstance(given, dict):
        estimator.set_params(class_weight=_weights("class_weight", given, each))
    elif isinstance(given, list) and len(given) == len(each) > 1 and all(isinstance(w, dict) for w in given):
        found = [_weights("class_weight", weights, [classes]) for weights, classes in zip(given, each, strict=True)]
        estimator.set_params(class_weight=found)
    if params.get("class_weights") is not None:
        estimator.set_params(class_weights=_weights_in_order(params["class_weights"], each))
    if params.get("pos_label") is not None:
        estimator.set_params(pos_label=_code("pos_label", params["pos_label"], each))
    if type(estimator).__name__ == "TunedThresholdClassifierCV":
        estimator.set_params(scoring=_scorer(params["scoring"], each))
    inside = [*(part for _, part in params.get("estimators") or ()), params.get("final_estimator")]
    for part in inside:
        if hasattr(part, "get_params"):
            recode(part, each)
    two = type(estimator).__name__ in ("OneVsRestClassifier", "OneVsOneClassifier")  # inside, classes are 0 and 1
    if not two and hasattr(params.get("estimator"), "get_params"):
        recode(params["estimator"], each)


def _code(what: str, label: Any, each: Sequence[Classes]) -> int:
    codes = {list(classes).index(label) if label in classes else None for classes in each}
    if None in codes:
        raise ParameterError(
            f"{what} names the label {label!r}, which no training row has. There are: {_listed(each)}."
        )
    if len(codes) > 1:
        raise ParameterError(
            f"{what} names the label {label!r}, and the targets have different labels ({_listed(each)}). Fit a "
            "pipeline for each target."
        )
    return int(codes.pop() or 0)


def _listed(each: Sequence[Classes]) -> str:
    return ", ".join(str(list(classes)) for classes in dict.fromkeys(map(tuple, each)))


def _weights(name: str, given: dict[Any, Any], each: Sequence[Classes]) -> dict[int, Any]:
    return {_code(name, label, each): weight for label, weight in given.items()}


def _weights_in_order(given: Any, each: Sequence[Classes]) -> tuple[float, ...]:
    """CatBoost's class weights, one a class. It would take the order of a dict for that of its classes."""
    if not isinstance(given, dict):
        return tuple(given)
    found = _weights("class_weights", given, each)
    return tuple(float(found.get(code, 1.0)) for code in range(len(each[0])))


class _Decoded:
    """A score of labels, given codes: a user's own function knows labels alone."""

    def __init__(self, function: Any, classes: Classes) -> None:
        self._function, self._classes = function, classes

    def __call__(self, true: Any, predicted: Any, **arguments: Any) -> Any:
        if "pos_label" in arguments:
            arguments["pos_label"] = self._classes[arguments["pos_label"]]
        labels = [decode(np.asarray(codes, np.intp), self._classes) for codes in (true, predicted)]
        return self._function(*labels, **arguments)


def _scorer(scoring: Any, each: Sequence[Classes]) -> Any:
    """The scorer over codes that says of them what `scoring` says of labels."""
    metrics = optional.load("sklearn.metrics")
    scorer = metrics.get_scorer(scoring) if scoring in _names(metrics, scoring) else scoring
    if not hasattr(scorer, "_score_func"):
        raise ParameterError(
            f"scoring={scoring!r} is no scoring that a threshold can be chosen by. Give the name of one, such as 'f1', "
            "or sklearn.metrics.make_scorer(your_function)."
        )
    if len(each) > 1 and any(tuple(classes) != tuple(each[0]) for classes in each):
        raise ParameterError(f"One scoring cannot serve targets of different labels: {_listed(each)}.")
    arguments, function = dict(scorer._kwargs), scorer._score_func
    known = inspect.signature(function).parameters
    positive = arguments.get("pos_label", known["pos_label"].default if "pos_label" in known else None)
    if positive is not None:
        if positive not in each[0]:
            raise ParameterError(
                f"scoring={scoring!r} takes the label {positive!r} for the positive one, and there are "
                f"{list(each[0])}. Give sklearn.metrics.make_scorer({function.__name__}, pos_label={each[0][-1]!r})."
            )
        arguments["pos_label"] = list(each[0]).index(positive)
    return metrics.make_scorer(_Decoded(function, each[0]), greater_is_better=scorer._sign > 0, **arguments)


def _names(metrics: Any, scoring: Any) -> list[str]:
    return list(metrics.get_scorer_names()) if isinstance(scoring, str) else []
