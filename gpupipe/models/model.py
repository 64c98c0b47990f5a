"""The training seam: an estimator object and a matrix in, a model that is data out.

The user's estimator is cloned, fitted by its own library, and turned at once into a form of ours.
"""

import copy
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe import optional
from gpupipe.errors import (
    ArtifactCorruptError,
    ParameterError,
    TargetError,
    TrainingError,
    UnsafeModelError,
    WeightsError,
    counted,
)
from gpupipe.models.estimators import ROWS, describe
from gpupipe.models.families import ranking
from gpupipe.models.families.rows import Lesson, Row
from gpupipe.models.families.wrappers import refuse_few
from gpupipe.models.fitted import Model, matrix
from gpupipe.models.recode import recode
from gpupipe.models.targets import held_targets, target_of, targets_of, widths_of

__all__ = ["Model", "train"]

# X, y, weights or None; a ranker's have their groups too
Validation = (
    tuple[NDArray[np.float32], Any, NDArray[np.float64] | None]
    | tuple[NDArray[np.float32], Any, NDArray[np.float64] | None, Any]
)
COMPARED_ROWS = 64


def train(
    estimator: Any,
    X: NDArray[np.float32],
    y: Any = None,
    *,
    weights: NDArray[np.float64] | None = None,
    groups: Any = None,
    validation: Validation | None = None,
    feature_names: Sequence[str],
    targets: Sequence[str] | None = None,
) -> Model:
    """Fit a clone of `estimator`; the object given is never changed.

    Args:
        estimator: an object of the table (:func:`gpupipe.models.estimators.describe`).
        X: float32, (rows, features), null as NaN. The planner checks beforehand that the estimator takes NaN.
        y: labels of any plain type (NumPy, Arrow or a list), numbers for a regressor, else None; of several
            targets a sequence of them.
        weights: float64, (rows,), at least 0; None weighs all rows alike.
        groups: a ranker's: what each row is ranked for, any plain values of shape (rows,).
        validation: (X, y, weights or None) for early stopping; a ranker's (X, y, weights or None, groups).
        feature_names: names of the columns of X.
        targets: the names of several targets; None: there is one.

    Raises:
        UnsupportedEstimatorError: the estimator is not in the table, or learns another number of targets.
        UnsafeModelError: its parameters lead to a model with no safe form.
        TargetError: the target is missing, null, of one class, or not what the estimator learns.
        ParameterError: weights, groups or validation rows that it cannot use, or lacks.
        DataError: a null group.
        ModelError: the library refused; its message is kept.

    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0], [1], [2], [3]], np.float32)
    >>> train(LogisticRegression(), X, np.array(["no", "no", "yes", "yes"]), feature_names=["x"]).predict(X)
    array(['no', 'no', 'yes', 'yes'], dtype=object)
    """
    row, names = describe(estimator), list(feature_names)
    clone = estimator if row.copies else _copied(estimator)
    if row.prepare is not None:
        clone = row.prepare(clone, names) or clone
    X = matrix(X, len(names))
    target, classes = _target(row, clone, y, len(X), targets)
    lesson = _lesson(row, X, target, weights, groups)
    held = None if validation is None else _held(row, validation, classes, len(names), targets)
    _fit(row, clone, lesson.X, row.arguments(clone, lesson, held))
    body, link = _converted(row, clone)
    widths = () if targets is None else widths_of(body.n_outputs, targets, classes, body)
    model = Model(
        row.path, row.kind, classes, tuple(names), link, body, None if targets is None else tuple(targets), widths
    )
    _refuse_unusable(row, model)
    _compare_classes(row, clone, classes)
    _compare(row, clone, model, X[:COMPARED_ROWS])
    return model


def _copied(estimator: Any) -> Any:
    try:
        return optional.load("sklearn.base").clone(estimator)
    except RuntimeError:  # around a CatBoost that was given a list or a dict, which it copies: no change, to `clone`
        return copy.deepcopy(estimator)


def _target(
    row: Row, clone: Any, y: Any, n_rows: int, names: Sequence[str] | None
) -> tuple[NDArray[Any] | None, tuple[Any, ...] | None]:
    """The target as `fit` takes it, and the classes, in which the clone's parameters are then told."""
    found: tuple[NDArray[Any] | None, tuple[Any, ...] | None]
    found = target_of(row, y, n_rows) if names is None else targets_of(row, y, names, n_rows)
    target, classes = found
    if classes is not None and target is not None:
        each: list[Any] = [classes] if names is None else list(classes)
        for column, labels in zip(target.reshape(n_rows, -1).T, each, strict=True):
            refuse_few(clone, labels, np.bincount(column).tolist())
        recode(clone, each)
    return target, classes


def _lesson(row: Row, X: NDArray[np.float32], y: Any, weights: NDArray[np.float64] | None, groups: Any) -> Lesson:
    if weights is not None:
        _check_weights(row, weights, len(X))
    lesson = Lesson(X.astype(row.dtype, copy=False), y, weights)
    ranking.refuse_groups(row, groups)
    return lesson if groups is None else ranking.by_group(lesson, groups, row.name)


def _check_weights(row: Row, weights: NDArray[np.float64], n_rows: int) -> None:
    if not row.accepts_weights:
        raise ParameterError(f"{row.name} takes no weights, and weights were given. Leave weights (sample_weight) out.")
    if np.shape(weights) != (n_rows,):
        raise WeightsError(f"The weights have shape {np.shape(weights)} for {n_rows} rows. Give one a row.")
    bad = int((~np.isfinite(weights) | (np.asarray(weights) < 0)).sum())
    if bad or not np.any(weights):
        what = f"{bad} of {n_rows} weights are" if bad else "All weights are 0, which is"
        raise WeightsError(f"{what} not usable: weights must be finite, at least 0, and some above 0.")


def _held(
    row: Row, validation: Validation, classes: Any, n_features: int, targets: Sequence[str] | None
) -> Lesson:
    """The validation rows, as the estimator takes them."""
    X, y, weights, groups = (*validation, None)[:4]
    if row.early_stopping is None:
        stops = ", ".join(other.name for other in ROWS if other.early_stopping)
        raise ParameterError(
            f"Validation rows were given to {row.name}, and it does not stop early. Leave them out, or use one of: "
            f"{stops}."
        )
    X = matrix(X, n_features)
    target = held_targets(y, classes, targets)
    if len(target) != len(X):
        raise TargetError(f"The validation target has {len(target)} values for {len(X)} rows. Give one a row.")
    return _lesson(row, X, target, weights, groups)


# The libraries' own exceptions that are no ValueError, as XGBoostError is
_COMPLAINTS = ("LightGBMError", "CatBoostError")
# What a library raises on data it cannot learn from: LinearDiscriminantAnalysis an IndexError on constant features.
_REFUSALS = (ValueError, TypeError, IndexError, ArithmeticError)


def _fit(row: Row, clone: Any, X: NDArray[Any], arguments: dict[str, Any]) -> None:
    try:
        (clone if row.fits is None else row.fits(clone)).fit(X, **arguments)
    except Exception as error:
        if not isinstance(error, _REFUSALS) and type(error).__name__ not in _COMPLAINTS:
            raise
        shape = f"{counted(X.shape[0], 'row')} × {counted(X.shape[1], 'feature')}"
        raise TrainingError(f"{row.path} refused to train on {shape}: {error}") from error


def _converted(row: Row, clone: Any) -> tuple[Any, str]:
    try:
        return row.convert(clone)
    except (AttributeError, KeyError, IndexError) as error:
        raise _unread(row) from error


def _refuse_unusable(row: Row, model: Model) -> None:
    """What is saved must be what can be loaded: numbers that are none, as a fit that diverged leaves, are told now."""
    if model.form == "xgboost":  # checked as it was converted
        return
    try:
        Model.from_parts(*model.to_parts())
    except ArtifactCorruptError as error:
        what = str(error).removeprefix("The saved model is damaged: ").partition(". Load it from")[0]
        raise TrainingError(
            f"{row.path} was trained, and no prediction can be made of what it learned: {what}. Look for features that "
            "are constant or very large: standardize() them, or leave them out."
        ) from error


def _compare_classes(row: Row, clone: Any, classes: tuple[Any, ...] | None) -> None:
    """The classes of a library that was given codes are the codes, in their order; else labels would be mixed up."""
    known = getattr(clone if row.fits is None else row.fits(clone), "classes_", None)
    if classes is None or known is None:
        return
    for codes in known if isinstance(known, list) else [known]:
        if np.ndim(codes) == 1 and not np.array_equal(codes, np.arange(len(codes))):
            raise _unread(row)


def _compare(row: Row, clone: Any, model: Model, X: NDArray[np.float32]) -> None:
    """Private parts of a library may change: see that our form says on some rows what the estimator says."""
    if row.compare is not None:
        _agree(row, getattr(clone, row.compare), getattr(model, row.compare)(X), X)
    if row.inner is not None and row.parts is not None:
        pairs = list(zip(row.parts(clone), getattr(model.body, "members", ()), strict=True))
        for part, member in pairs[:1] if row.form == "chain" else pairs:  # of a chain, the first link alone sees X
            inside = Model(member.estimator, member.kind, member.classes, model.feature_names, member.link, member.body)
            _compare(row.inner, part, inside, X)


def _agree(row: Row, method: Any, ours: Any, X: NDArray[np.float32]) -> None:
    theirs = method(X.astype(row.dtype, copy=False))
    pairs = zip(ours, theirs, strict=True) if isinstance(theirs, list) else [(ours, theirs)]
    for mine, their in pairs:
        same = mine.shape == np.shape(their) and np.allclose(mine, their, rtol=1e-9, atol=1e-12)
        if not same:
            raise _unread(row)


def _unread(row: Row) -> UnsafeModelError:
    package = row.module.partition(".")[0]
    version = sys.modules[package].__version__  # it has just trained
    return UnsafeModelError(
        f"The fitted {row.name} of {package} {version} could not be read: its inner parts are not those "
        f"gpupipe knows. Install another version of {package}, or use another estimator."
    )
