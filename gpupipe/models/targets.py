"""Targets as estimators take them: codes of labels or numbers, of one target or several side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import TargetError, UnsupportedEstimatorError
from gpupipe.models.families.rows import Row
from gpupipe.models.forms import labels
from gpupipe.models.forms.labels import Label

# What makes an estimator of one target one of several
_AROUND = {"classifier": "MultiOutputClassifier", "regressor": "MultiOutputRegressor"}


def target_of(row: Row, y: Any, n_rows: int) -> tuple[NDArray[Any] | None, tuple[Label, ...] | None]:
    """What `fit` gets as y, (rows,), and a classifier's classes.

    Raises:
        TargetError: it is missing, of another length, or not what the estimator learns.
        UnsupportedEstimatorError: the estimator learns several targets.
    """
    if not row.supervised:
        if y is not None:
            raise TargetError(f"{row.name} learns without a target, and one was given. Leave the target out.")
        return None, None
    refuse_number(row, None)
    if y is None:
        raise TargetError(f"{row.name} needs a target, and none was given. Give target= or y.")
    if len(y) != n_rows:
        raise TargetError(f"The target has {len(y)} values for {n_rows} rows of features. Give one a row.")
    if row.kind != "classifier":
        return labels.numbers(y), None
    codes, classes = labels.encode(y)
    return codes, tuple(classes)


def targets_of(
    row: Row, each: Sequence[Any], names: Sequence[str], n_rows: int
) -> tuple[NDArray[Any], tuple[tuple[Label, ...], ...] | None]:
    """What `fit` gets as y, (rows, targets), and a classifier's classes of each target.

    Raises:
        UnsupportedEstimatorError: the estimator learns one target; the message names what to put around it.
        TargetError: one of them is missing values, or not what the estimator learns; the message names it.
    """
    refuse_number(row, names)
    one = Row(row.name, row.module, row.kind, row.form, row.convert)
    found = []
    for name, y in zip(names, each, strict=True):
        try:
            found.append(target_of(one, y, n_rows))
        except TargetError as error:
            raise TargetError(f"Of the targets {list(names)}, {name!r}: {error}") from error
    matrix = np.stack([values for values, _ in found if values is not None], axis=1)
    if row.kind != "classifier":
        return matrix, None
    return matrix, tuple(classes for _, classes in found if classes is not None)


def refuse_number(row: Row, names: Sequence[str] | None) -> None:
    """Raise UnsupportedEstimatorError for an estimator that cannot learn the targets `names` at once, or (None) one."""
    if names is None and row.targets == "several":
        inside = "the estimator inside alone" if row.inner is not None else "one that learns a single target"
        raise UnsupportedEstimatorError(
            f"{row.name} learns several targets, and there is one. Give target=[…], or use {inside}."
        )
    if names is None or row.targets != "one":
        return
    around = _AROUND.get(row.kind)
    try_this = f"Put it into sklearn.multioutput.{around}" if around else "Give it one"
    learns = "learns one target" if row.supervised else "learns without a target"
    raise UnsupportedEstimatorError(
        f"{row.name} {learns}, and there are {len(names)}: {', '.join(map(repr, names))}. {try_this}, or fit a "
        "pipeline for each target."
    )


def held_targets(
    y: Any, classes: tuple[Any, ...] | None, names: Sequence[str] | None
) -> NDArray[Any]:
    """The target of validation rows, coded as the training rows' was: (rows,), or (rows, targets) with `names`."""
    if names is None:
        return labels.numbers(y) if classes is None else labels.codes_of(y, classes)
    known = classes or (None,) * len(names)
    return np.stack([held_targets(part, found, None) for part, found in zip(y, known, strict=True)], axis=1)


def widths_of(n_outputs: int, names: Sequence[str], classes: tuple[Any, ...] | None, body: Any) -> tuple[int, ...]:
    """The number of raw outputs of each target: a body that holds a model for each knows; else one a class, or one."""
    inside = getattr(body, "targets", None)
    if inside is not None:
        return tuple(member.body.n_outputs for member in inside)
    if classes is not None and n_outputs == sum(map(len, classes)):
        return tuple(map(len, classes))
    return (1,) * len(names)
