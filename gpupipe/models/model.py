"""The training seam: an estimator object and a matrix in, a model that is data out.

The user's estimator is cloned, fitted by its own library, and turned at once into a form of ours. A matrix on a device
is learned from there, by cuML or XGBoost, where the estimator has a twin in the table (`models/gpu/`).
"""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe import optional
from gpupipe.backends.blas import ONE_THREAD
from gpupipe.errors import (
    ParameterError,
    TargetError,
    TrainingError,
    WeightsError,
    counted,
)
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.models.agreement import (
    COMPARED_ROWS,
    compare,
    compare_classes,
    refuse_other_device,
    refuse_unusable,
    unread_here,
)
from gpupipe.models.estimators import ROWS, describe
from gpupipe.models.families import ranking
from gpupipe.models.families.rows import Lesson, Row
from gpupipe.models.families.wrappers import refuse_few
from gpupipe.models.fitted import Model, matrix
from gpupipe.models.recode import recode
from gpupipe.models.targets import held_targets, target_of, targets_of, widths_of

__all__ = ["Model", "Trained", "train", "trained"]

Matrix = NDArray[np.float32] | DeviceArray
# X, y, weights or None; a ranker's have their groups too
Validation = (
    tuple[Matrix, Any, NDArray[np.float64] | None]
    | tuple[Matrix, Any, NDArray[np.float64] | None, Any]
)

@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model, and where it was trained.

    Attributes:
        model: the model.
        device: "gpu" or "cpu".
        why: why not where the matrix stood, which was on a GPU; None: it was trained where it stood.
    """

    model: Model
    device: str
    why: str | None


def train(estimator: Any, X: Matrix, y: Any = None, **beside: Any) -> Model:
    """The model that :func:`trained` tells more of; it takes the same.

    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0], [1], [2], [3]], np.float32)
    >>> train(LogisticRegression(), X, np.array(["no", "no", "yes", "yes"]), feature_names=["x"]).predict(X)
    array(['no', 'no', 'yes', 'yes'], dtype=object)
    """
    return trained(estimator, X, y, **beside).model


def trained(
    estimator: Any,
    X: Matrix,
    y: Any = None,
    *,
    weights: NDArray[np.float64] | None = None,
    groups: Any = None,
    validation: Validation | None = None,
    feature_names: Sequence[str],
    targets: Sequence[str] | None = None,
) -> Trained:
    """Fit a clone of `estimator`; the object given is never changed.

    Args:
        estimator: an object of the table (:func:`gpupipe.models.estimators.describe`).
        X: float32, (rows, features), null as NaN; in this process's memory or a device's, where it is learned from
            if it can be, else downloaded once. The planner checks beforehand that the estimator takes NaN.
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
        DeviceMemoryError: the device that X stands on has not the memory to train.

    >>> from sklearn.linear_model import Ridge
    >>> trained(Ridge(), np.eye(3, dtype=np.float32), [1.0, 2.0, 3.0], feature_names=["a", "b", "c"]).device
    'cpu'
    """
    row, names = describe(estimator), list(feature_names)
    clone = estimator if row.copies else copied(estimator)
    if row.prepare is not None:
        clone = row.prepare(clone, names) or clone
    X = _matrix(X, len(names))
    target, classes = _target(row, clone, y, len(X), targets)
    _check_weights(row, weights, len(X))
    ranking.refuse_groups(row, groups)
    held = None if validation is None else _held(row, validation, classes, len(names), targets)

    why: str | None = None
    if isinstance(X, DeviceArray):
        n_classes = None if classes is None else len(classes)
        there = optional.load("gpupipe.models.gpu.training")
        lesson = there.OnDevice(X, target, weights, groups, n_classes)
        why = there.why_not_these(row, clone, lesson)
        if why is None:
            found = there.learned(row, clone, lesson, held)
            model = model_of(row, found.body, found.link, names, classes, targets)
            there.compare(row, found, model, X)
            return Trained(model, "gpu", None)
        X = X.to_host()
    _fit(row, clone, _lesson(row, X, target, weights, groups), held)
    model = model_of(row, *_converted(row, clone), names, classes, targets)
    compare_classes(row, clone, classes)
    compare(row, clone, model, X[:COMPARED_ROWS])
    return Trained(model, "cpu", why)


def model_of(
    row: Row, body: Any, link: str, names: list[str], classes: tuple[Any, ...] | None, targets: Sequence[str] | None
) -> Model:
    """What was learned, as it is kept.

    Raises:
        TrainingError: no prediction could be made of it.
    """
    widths = () if targets is None else widths_of(body.n_outputs, targets, classes, body)
    each = None if targets is None else tuple(targets)
    model = Model(row.path, row.kind, classes, tuple(names), link, body, each, widths)
    refuse_unusable(row, model)
    return model


def _matrix(X: Any, n_features: int) -> Matrix:
    """`X`, a float32 matrix of as many columns, wherever it stands."""
    if isinstance(X, DeviceArray) and X.dtype == np.float32 and len(X.shape) == 2 and X.shape[1] == n_features:
        return X
    return matrix(X, n_features)


def copied(estimator: Any) -> Any:
    """An estimator of the same parameters, not fitted."""
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
    lesson = Lesson(X.astype(row.dtype, copy=False), y, weights)
    return lesson if groups is None else ranking.by_group(lesson, groups, row.name)


def _check_weights(row: Row, weights: NDArray[np.float64] | None, n_rows: int) -> None:
    if weights is None:
        return
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
    refuse_no_stopping(row)
    X = _matrix(X, n_features)
    target = held_targets(y, classes, targets)
    if len(target) != len(X):
        raise TargetError(f"The validation target has {len(target)} values for {len(X)} rows. Give one a row.")
    _check_weights(row, weights, len(X))
    ranking.refuse_groups(row, groups)
    if isinstance(X, DeviceArray) and groups is None:
        return Lesson(X, target, weights)  # type: ignore[arg-type]  # downloaded where the CPU trains
    return _lesson(row, X.to_host() if isinstance(X, DeviceArray) else X, target, weights, groups)


def refuse_no_stopping(row: Row) -> None:
    """Raise ParameterError for an estimator that does not stop early, where there are rows to stop by."""
    if row.early_stopping is None:
        stops = ", ".join(other.name for other in ROWS if other.early_stopping)
        raise ParameterError(
            f"Validation rows were given to {row.name}, and it does not stop early. Leave them out, or use one of: "
            f"{stops}."
        )


# Values of a matrix that one thread of BLAS is through with before a second is of use: over 5,000 rows of 40 features
# two threads took a logistic regression six times the processor seconds, which they spent on waiting for each other.
_ONE_THREAD_TRAINS = 1 << 20

# The libraries' own exceptions that are no ValueError, as XGBoostError is
_COMPLAINTS = ("LightGBMError", "CatBoostError")
# What a library raises on data it cannot learn from: LinearDiscriminantAnalysis an IndexError on constant features.
_REFUSALS = (ValueError, TypeError, IndexError, ArithmeticError)


def _fit(row: Row, clone: Any, lesson: Lesson, held: Lesson | None) -> None:
    if held is not None and isinstance(held.X, DeviceArray):
        held = replace(held, X=held.X.to_host().astype(row.dtype, copy=False))
    X, arguments = lesson.X, row.arguments(clone, lesson, held)
    try:
        with ONE_THREAD if X.shape[0] * X.shape[1] <= _ONE_THREAD_TRAINS else nullcontext():
            (clone if row.fits is None else row.fits(clone)).fit(X, **arguments)
    except Exception as error:
        if not isinstance(error, _REFUSALS) and type(error).__name__ not in _COMPLAINTS:
            raise
        shape = f"{counted(X.shape[0], 'row')} × {counted(X.shape[1], 'feature')}"
        raise TrainingError(f"{row.path} refused to train on {shape}: {error}") from error
    if row.module == "xgboost":
        refuse_other_device(clone)


def _converted(row: Row, clone: Any) -> tuple[Any, str]:
    try:
        return row.convert(clone)
    except (AttributeError, KeyError, IndexError) as error:
        raise unread_here(row) from error
