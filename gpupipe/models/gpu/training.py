"""Training on a device, from the memory that the features stand in."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import DeviceMemoryError, GpupipeError, TrainingError, UnsafeModelError, counted
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.gpu.finite import first_unfinite
from gpupipe.models.agreement import COMPARED_ROWS, are_codes, refuse_other_device
from gpupipe.models.families import ranking
from gpupipe.models.families.rows import Lesson, Row
from gpupipe.models.fitted import Model
from gpupipe.models.gpu import arrays
from gpupipe.models.gpu.places import trainer, why_not
from gpupipe.models.gpu.table import TWINS, made
from gpupipe.models.gpu.twin import Case, Twin


@dataclass(frozen=True, eq=False)
class OnDevice:
    """A lesson whose matrix stands on a device.

    Attributes:
        X: float32, (rows, features).
        y, weights, groups: as in a :class:`Lesson`, on the host; groups as they were given.
        classes: how many, of a classifier.
    """

    X: DeviceArray
    y: NDArray[Any] | None
    weights: NDArray[np.float64] | None
    groups: Any
    classes: int | None


@dataclass(frozen=True, eq=False)
class Learned:
    """What came out.

    Attributes:
        body, link: as a row's `convert` gives them.
        says: what the library itself says of some of the rows, or None: the name of the method, its numbers, and how
            far ours may be from them, as a share of the largest.
        classes: the classes that the library found, or None.
    """

    body: Any
    link: str
    says: tuple[str, NDArray[Any], float] | None = None
    classes: NDArray[Any] | None = None


def why_not_these(row: Row, clone: Any, lesson: OnDevice) -> str | None:
    """Why a clone, its labels recoded, cannot be trained on these rows where they stand; None: it can.

    Raises:
        TrainingError: a parameter makes no sense.
    """
    why = why_not(row, clone)
    if why is not None or row.path not in TWINS:
        return why
    _refuse_invalid(row, clone)
    return TWINS[row.path].unsuited(_case(clone, lesson))


def learned(row: Row, clone: Any, lesson: OnDevice, held: Lesson | None) -> Learned:
    """Train on the device.

    Args:
        held: validation rows, whose X may stand on the device or on the host.

    Raises:
        DeviceMemoryError: the device has not the memory; nothing is trained elsewhere instead.
        DeviceLostError: the device failed for good.
        TrainingError: the library refused, or trained on the CPU.
    """
    if row.path in TWINS:
        return _by_cuml(row, clone, lesson, TWINS[row.path])
    return _by_xgboost(row, clone, lesson, held)


def _case(clone: Any, lesson: OnDevice) -> Case:
    rows, features = lesson.X.shape
    return Case(
        clone.get_params(deep=False), rows, features, lesson.classes, lesson.y, lesson.weights,
        lambda: first_unfinite(lesson.X) is not None,
    )  # fmt: skip


def _by_cuml(row: Row, clone: Any, lesson: OnDevice, twin: Twin) -> Learned:
    with _told(row, lesson.X, twin.dtype):
        X, case = arrays.converted(lesson.X, twin.dtype, twin.order), twin.says(_case(clone, lesson))
        beside = {"y": case.target, "sample_weight": case.weights}
        given = {name: _sent(lesson, values) for name, values in beside.items() if values is not None}
        arrays.waited()
        fitted = made(twin.path, twin.translated(case))
        fitted.fit(X, **given)
        del X
        says = None
        if twin.compare is not None:
            few = arrays.converted(lesson.X.rows(0, min(COMPARED_ROWS, len(lesson.X))), twin.dtype, "C")
            says = twin.compare, arrays.to_host(getattr(fitted, twin.compare)(few)), twin.tolerance
        classes = getattr(fitted, "classes_", None) if lesson.classes is not None else None
        found = None if classes is None else arrays.to_host(classes)
        body, link = read_off(row, lambda: twin.read(fitted, row, clone.get_params(deep=False)))
    return Learned(body, link, says, found)


def _refuse_invalid(row: Row, clone: Any) -> None:
    """What scikit-learn refuses as it fits, such as a negative penalty, which cuML would compute something with."""
    try:
        clone._validate_params()
    except ValueError as error:
        raise TrainingError(f"{row.path} refused to train: {error}") from error


def read_off(row: Row, convert: Callable[[], tuple[Any, str]]) -> tuple[Any, str]:
    """What was learned as a form of ours.

    Raises:
        UnsafeModelError: it is not what the table takes it for.
    """
    try:
        return convert()
    except (AttributeError, KeyError, IndexError) as error:
        raise unread(row) from error


def _sent(lesson: OnDevice, values: NDArray[Any]) -> Any:
    """Labels or weights, on the device: codes in int32, as cuML has them, else numbers in float64."""
    codes = values is lesson.y and lesson.classes is not None
    return arrays.uploaded(lesson.X.device, values.astype(np.int32 if codes else np.float64, copy=False))


def _by_xgboost(row: Row, clone: Any, lesson: OnDevice, held: Lesson | None) -> Learned:
    if clone.device is None:  # "cuda:1" stays: XGBoost itself says whether the features stand there
        clone.set_params(device="cuda")
    with _told(row, lesson.X, "float32"):
        taught = _taught(row, lesson)
        stopping = None if held is None else _on_device(held, lesson.X)
        arguments = row.arguments(clone, taught, stopping)
        with _cuda_failures():
            clone.fit(taught.X, **arguments)
        refuse_other_device(clone)
        body, link = read_off(row, lambda: row.convert(clone))
    return Learned(body, link, None, getattr(clone, "classes_", None))


@contextmanager
def _cuda_failures() -> Iterator[None]:
    """CUDA's failures in XGBoost, whose errors are all ValueErrors, in the class by which a device's are told."""
    try:
        yield
    except ValueError as error:
        if "cudaError" in str(error):
            raise RuntimeError(str(error)) from error
        raise


def _taught(row: Row, lesson: OnDevice) -> Lesson:
    """The lesson with CuPy's view of its matrix; of a ranker, its rows put together by group on the device."""
    view = arrays.as_cupy(lesson.X)
    if lesson.groups is None:
        return Lesson(view, lesson.y, lesson.weights)
    places = Lesson(np.arange(len(lesson.X), dtype=np.int64), lesson.y, lesson.weights)
    ordered = ranking.by_group(places, lesson.groups, row.name)
    return replace(ordered, X=view[arrays.uploaded(lesson.X.device, ordered.X)])


def _on_device(held: Lesson, X: DeviceArray) -> Lesson:
    """Validation rows where the training rows are."""
    there: Any = held.X
    stands = isinstance(there, DeviceArray)
    return replace(held, X=arrays.as_cupy(there) if stands else arrays.uploaded(X.device, there))


@contextmanager
def _told(row: Row, X: DeviceArray, dtype: str) -> Iterator[None]:
    """What a library raises while it trains on a device, as ours."""
    shape = f"{counted(X.shape[0], 'row')} × {counted(X.shape[1], 'feature')}"
    what = f"training {row.path} on {shape}"
    X.device.release()  # XGBoost's memory comes from elsewhere
    try:
        with X.device.guarded(what):
            yield
    except DeviceMemoryError as error:
        raise _no_memory(what, X, dtype, error) from error
    except GpupipeError:
        raise
    except Exception as error:
        if _is_full(error):
            raise _no_memory(what, X, dtype, error) from error
        if isinstance(error, REFUSALS):
            raise TrainingError(f"{trainer(row)} refused to train on {shape}: {error}") from error
        raise


# What cuML and XGBoost raise of data they cannot learn from; XGBoostError is a ValueError, RAFT's are RuntimeErrors.
REFUSALS = (ValueError, TypeError, IndexError, ArithmeticError, RuntimeError)


def unread(row: Row) -> UnsafeModelError:
    """The error for a fitted object that is not what the table takes it for."""
    package = "xgboost" if row.path not in TWINS else "cuml"
    version = getattr(sys.modules.get(package), "__version__", "of the workers")  # it has just trained
    return UnsafeModelError(
        f"What {trainer(row)} ({package} {version}) learned could not be read: its parts are not those gpupipe knows. "
        f"Install another version of {package}, or train with device='cpu'."
    )


def _is_full(error: Exception) -> bool:
    """XGBoost's own words for no memory on the device."""
    text = str(error).lower()
    return type(error).__name__ == "XGBoostError" and ("bad_alloc" in text or "out of memory" in text)


def _no_memory(what: str, X: DeviceArray, dtype: str, error: BaseException) -> DeviceMemoryError:
    copy = X.size * np.dtype(dtype).itemsize if np.dtype(dtype) != X.dtype else 0
    needs = f"the matrix takes {X.nbytes:,} bytes"
    needs += f", its copy in {dtype} {copy:,} more" if copy else ""
    told = " ".join(str(error).split())[:200]
    return DeviceMemoryError(
        f"{X.device.name} has not enough memory: {what} failed; {needs}, and the library works in memory of its own. "
        f"Train on fewer rows or features, or with device='cpu'. ({told})",
        X.nbytes + copy,
        X.device.name,
    )


def compare(row: Row, found: Learned, model: Model, X: DeviceArray) -> None:
    """See that our form says on some rows what the library says, which computes otherwise: as near as the table tells.

    Raises:
        UnsafeModelError: they are not.
    """
    few = None if found.says is None else X.rows(0, min(COMPARED_ROWS, len(X))).to_host()
    compare_few(row, found, model, few)


def compare_few(row: Row, found: Learned, model: Model, few: NDArray[np.float32] | None) -> None:
    """The same of rows on the host, those that the library was asked about.

    Raises:
        UnsafeModelError: they are not.
    """
    if found.classes is not None and not are_codes(found.classes):
        raise unread(row)
    if found.says is None or few is None:
        return
    method, theirs, tolerance = found.says
    ours = getattr(model, method)(few)
    theirs = theirs.reshape(ours.shape) if theirs.size == ours.size else theirs
    if model.kind == "transformer":  # whose components have scikit-learn's signs now
        ours, theirs = np.abs(ours), np.abs(theirs)
    if ours.shape != theirs.shape or not np.isfinite(theirs).all():
        raise unread(row)
    if not np.allclose(ours, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max(initial=0.0)):
        raise unread(row)
