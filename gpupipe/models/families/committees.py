"""Estimators that hold a list of others: what the table says of them follows from the rows of those inside."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from gpupipe.errors import ParameterError, UnsafeModelError, UnsupportedEstimatorError
from gpupipe.models.families.rows import Kind, Lesson, Row, plain_arguments
from gpupipe.models.families.wrappers import member_of
from gpupipe.models.forms.committee import METHODS, Stacking, Voting
from gpupipe.models.forms.member import Member

MODULE = "sklearn.ensemble"
COMMITTEES: dict[str, tuple[Kind, str]] = {
    "VotingClassifier": ("classifier", Voting.form),
    "VotingRegressor": ("regressor", Voting.form),
    "StackingClassifier": ("classifier", Stacking.form),
    "StackingRegressor": ("regressor", Stacking.form),
}


def is_committee(estimator: Any) -> bool:
    """Whether it is one of :data:`COMMITTEES`."""
    kind = type(estimator)
    return kind.__name__ in COMMITTEES and f"{kind.__module__}.".startswith(f"{MODULE}.")


def committee(estimator: Any, describe: Callable[[Any], Row]) -> Row:
    """The row of a committee.

    Args:
        describe: gives the row of an estimator inside.

    Raises:
        UnsupportedEstimatorError: one of the estimators inside is none that can be kept, or none for it.
    """
    name = type(estimator).__name__
    kind, form = COMMITTEES[name]
    inside = [_row_inside(name, kind, given, describe) for _, given in _named(estimator)]
    last = None
    if form == Stacking.form:
        last = _row_inside(name, kind, _final(estimator, describe), describe)
        if last.inner is not None:
            raise UnsupportedEstimatorError(f"{name} ends in {last.name}, which holds another; give it a plain one.")
    rows = [*inside, *([last] if last else [])]
    soft = getattr(estimator, "voting", "soft") == "soft"
    own_numbers = all(row.module.startswith("sklearn") for row in rows)  # others answer in float32
    return Row(
        name,
        MODULE,
        kind,
        form,
        convert=partial(_convert, inside, last),
        accepts_nan=all(row.accepts_nan for row in (rows if getattr(estimator, "passthrough", False) else inside)),
        accepts_weights=all(row.accepts_weights for row in rows),
        arguments=partial(_arguments, inside),
        prepare=partial(_prepare, inside),
        compare=("predict" if kind == "regressor" else "predict_proba" if form == Voting.form and soft else None)
        if own_numbers
        else None,
        depth=1 + max(row.depth for row in rows),
    )


def _named(estimator: Any) -> list[tuple[str, Any]]:
    given = estimator.estimators
    pairs = isinstance(given, Sequence) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in given)
    kept = [(name, part) for name, part in given if not isinstance(part, str)] if pairs else []
    if not kept:
        name = type(estimator).__name__
        raise UnsupportedEstimatorError(f"{name} needs a list of (name, estimator) pairs, at least one not dropped.")
    return kept


def _row_inside(name: str, kind: Kind, given: Any, describe: Callable[[Any], Row]) -> Row:
    try:
        row = given if isinstance(given, Row) else describe(given)
    except UnsupportedEstimatorError as error:
        raise UnsupportedEstimatorError(f"{name} holds an estimator that cannot be kept. {error}") from error
    if row.kind != kind or row.targets == "several":
        raise UnsupportedEstimatorError(f"{name} takes {kind}s of one target, and {row.name} is none.")
    return row


def _final(estimator: Any, describe: Callable[[Any], Row]) -> Any:
    """The last estimator, or scikit-learn's own choice."""
    if estimator.final_estimator is not None:
        return estimator.final_estimator
    return _default("LogisticRegression" if type(estimator).__name__ == "StackingClassifier" else "RidgeCV", describe)


def _default(name: str, describe: Callable[[Any], Row]) -> Row:
    module = "sklearn.linear_model"
    stand_in = type(name, (), {"__module__": module})  # rows are found by name and module
    return describe(stand_in())


def _prepare(inside: Sequence[Row], estimator: Any, feature_names: list[str]) -> None:
    if getattr(estimator, "cv", None) == "prefit":
        raise ParameterError(
            f"{type(estimator).__name__}(cv='prefit') takes estimators that were trained elsewhere, and gpupipe trains "
            "them on the features. Give a number of folds, or a splitter."
        )
    for row, (name, part) in zip(inside, _named(estimator), strict=True):
        changed = None if row.prepare is None else row.prepare(part, feature_names)
        if changed is not None:
            estimator.set_params(**{name: changed})


def _arguments(inside: Sequence[Row], estimator: Any, lesson: Lesson, held: Lesson | None) -> dict[str, Any]:
    for row, (_, part) in zip(inside, _named(estimator), strict=True):
        try:
            row.arguments(part, lesson, None)
        except ParameterError as error:  # early stopping without validation rows
            raise ParameterError(
                f"{type(estimator).__name__} hands {row.name} no validation rows to stop early by. Leave early "
                "stopping unset."
            ) from error
    return plain_arguments(estimator, lesson, held)


def _convert(inside: Sequence[Row], last: Row | None, fitted: Any) -> tuple[Any, str]:
    members = tuple(member_of(row, part) for row, part in zip(inside, fitted.estimators_, strict=True))
    if last is not None:
        return _stacking(fitted, members, member_of(last, fitted.final_estimator_))
    given = fitted._weights_not_none
    weights = np.ones(len(members)) if given is None else np.array(given, dtype=np.float64)
    soft = getattr(fitted, "voting", "hard") == "soft"
    for member in members:
        if soft and not member.has_probabilities:
            raise UnsafeModelError(f"voting='soft' needs probabilities, and {member.estimator} gives none.")
    if members[0].classes is None:
        return Voting(members, weights, soft), "identity"
    return Voting(members, weights, soft), "given" if soft else "margin"


def _stacking(fitted: Any, members: tuple[Member, ...], last: Member) -> tuple[Stacking, str]:
    methods = tuple(fitted.stack_method_)
    if not set(methods) <= set(METHODS):
        raise UnsafeModelError(f"stack_method {methods} has no saved form. There are: {', '.join(METHODS)}.")
    columns = int(fitted.final_estimator_.n_features_in_)
    return Stacking((*members, last), methods, bool(fitted.passthrough), columns), last.link
