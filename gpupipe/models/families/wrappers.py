"""Estimators around an estimator: what the table says of them follows from the row of the one inside.

Rows are found by class name and module, so nothing here imports scikit-learn.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gpupipe.errors import ParameterError, TargetError, UnsafeModelError, UnsupportedEstimatorError
from gpupipe.models.families.rows import Kind, Lesson, Row, plain_arguments
from gpupipe.models.forms.calibration import SIGMOID, TEMPERATURE, read_calibrated
from gpupipe.models.forms.labels import Label
from gpupipe.models.forms.member import MAX_MEMBERS, Member
from gpupipe.models.forms.multiclass import read_against_one, read_against_rest
from gpupipe.models.forms.several import read_chain, read_several
from gpupipe.models.forms.threshold import read_fixed, read_tuned


@dataclass(frozen=True)
class Wrapper:
    """What the seam knows of an estimator that holds another.

    Attributes:
        name, module, form: as in :class:`gpupipe.models.families.rows.Row`.
        kind: of the estimator it holds.
        read: it, fitted, and its fitted models as members, to (body, name of the link).
        parts: its fitted models, each as the library has it.
        several: whether it takes several targets (and nothing else), one model for each.
        weights: whether `fit` hands weights on.
        nan: whether NaN gets through to the estimator inside.
        check: refuses parameters that a fit would fail on; gets the wrapper and the row inside.
        through: whether all that its `fit` does is to fit the estimator inside: then whatever that takes can be given.
    """

    name: str
    module: str
    form: str
    kind: Kind
    read: Callable[[Any, tuple[Member, ...]], tuple[Any, str]]
    parts: Callable[[Any], Sequence[Any]]
    several: bool = False
    weights: bool = True
    nan: bool = True
    check: Callable[[Any, Row], None] | None = None
    through: bool = False


def _prefit(estimator: Any, inner: Row) -> None:
    name = type(estimator).__name__
    if isinstance(estimator.cv, str):
        raise ParameterError(
            f"{name}(cv={estimator.cv!r}) takes an estimator that was trained elsewhere, and gpupipe trains it on the "
            "features. Give a number of folds, or a splitter."
        )


def _response(estimator: Any) -> None:
    asked = estimator.response_method
    _needs(estimator, ("predict_proba", "decision_function") if asked == "auto" else (asked,))


def _needs(estimator: Any, methods: Sequence[str]) -> None:
    inside = estimator.estimator
    if not any(hasattr(inside, method) for method in methods):
        raise ParameterError(
            f"{type(estimator).__name__} needs {' or '.join(methods)} of {type(inside).__name__}, which has none."
        )


def _fixed(estimator: Any, inner: Row) -> None:
    _response(estimator)
    value = estimator.threshold
    if value == "auto":
        return
    if isinstance(value, bool | str) or not -float("inf") < value < float("inf"):
        raise ParameterError(f"threshold={value!r} is no number. Give one, or 'auto'.")
    shares = estimator.response_method == "predict_proba" or (
        estimator.response_method == "auto" and hasattr(estimator.estimator, "predict_proba")
    )
    if shares and not 0.0 <= value <= 1.0:
        raise ParameterError(
            f"threshold={value!r} is compared with probabilities, which lie between 0 and 1, so every row would be "
            "decided alike. Give one between, or response_method='decision_function'."
        )


def _tuned(estimator: Any, inner: Row) -> None:
    _prefit(estimator, inner)
    _response(estimator)


# Forms that hold training rows, in float32
_ROWS = ("kernel_machine", "neighbours")


def _chain(estimator: Any, inner: Row) -> None:
    _prefit(estimator, inner)
    asked = getattr(estimator, "chain_method", "predict")
    _needs(estimator, (asked,) if isinstance(asked, str) else asked)
    codes = hasattr(estimator, "chain_method") and (estimator.cv is None or estimator.chain_method == "predict")
    while inner.inner is not None:
        inner = inner.inner
    if inner.form in _ROWS and not codes:
        raise UnsafeModelError(
            f"A {type(estimator).__name__} of {inner.name} has no saved form: it keeps training rows in float32, and "
            "what a link hands on would not fit in. Use a MultiOutput estimator, or another estimator in the chain."
        )


_KINDS: tuple[tuple[str, Kind], ...] = (("Classifier", "classifier"), ("Regressor", "regressor"))
_SELECTION, _MULTI = "sklearn.model_selection", "sklearn.multioutput"
WRAPPERS: dict[str, Wrapper] = {
    wrapper.name: wrapper
    for wrapper in (
        Wrapper(
            "CalibratedClassifierCV", "sklearn.calibration", "calibrated", "classifier", read_calibrated,
            lambda fitted: [part.estimator for part in fitted.calibrated_classifiers_], check=_prefit,
        ),
        Wrapper(
            "FixedThresholdClassifier", _SELECTION, "threshold", "classifier", read_fixed,
            lambda fitted: [fitted.estimator_], check=_fixed, through=True,
        ),
        Wrapper(
            "TunedThresholdClassifierCV", _SELECTION, "threshold", "classifier", read_tuned,
            lambda fitted: [fitted.estimator_], check=_tuned, weights=False,
        ),
        *(
            Wrapper(name, "sklearn.multiclass", form, "classifier", read, lambda fitted: fitted.estimators_,
                    weights=False)
            for name, form, read in (("OneVsRestClassifier", "against_rest", read_against_rest),
                                     ("OneVsOneClassifier", "against_one", read_against_one))
        ),
        *(
            Wrapper(f"MultiOutput{name}", _MULTI, "several", kind, read_several,
                    lambda fitted: fitted.estimators_, several=True)
            for name, kind in _KINDS
        ),
        *(
            Wrapper(f"{name}Chain", _MULTI, "chain", kind, read_chain, lambda fitted: fitted.estimators_,
                    several=True, nan=False, check=_chain, weights=kind == "regressor")
            for name, kind in _KINDS
        ),
    )
}  # fmt: skip


def wrapper_of(estimator: Any) -> Wrapper | None:
    """What is known of the estimator's class as a wrapper; None where nothing is."""
    kind = type(estimator)
    wrapper = WRAPPERS.get(kind.__name__)
    return wrapper if wrapper is not None and f"{kind.__module__}.".startswith(f"{wrapper.module}.") else None


def wrapped(estimator: Any, wrapper: Wrapper, describe: Callable[[Any], Row]) -> Row:
    """The row of a wrapper around an estimator.

    Args:
        describe: gives the row of the estimator inside.

    Raises:
        UnsupportedEstimatorError: the estimator inside is none that can be kept, or none for this wrapper.
    """
    inside = getattr(estimator, "estimator", None)
    if inside is None or isinstance(inside, str):
        raise UnsupportedEstimatorError(f"{wrapper.name} holds no estimator. Give it one: {wrapper.name}(estimator).")
    try:
        inner = describe(inside)
    except UnsupportedEstimatorError as error:
        raise UnsupportedEstimatorError(f"{wrapper.name} holds an estimator that cannot be kept. {error}") from error
    if inner.kind != wrapper.kind or inner.targets == "several":
        what = f"takes a {wrapper.kind}" + (" of one target" if inner.kind == wrapper.kind else "")
        found = "learns several targets" if inner.kind == wrapper.kind else f"is a {inner.kind}"
        raise UnsupportedEstimatorError(f"{wrapper.name} {what}, and {inner.name} {found}.")
    through = wrapper.through
    return Row(
        wrapper.name,
        wrapper.module,
        wrapper.kind,
        wrapper.form,
        convert=partial(_convert, wrapper, inner),
        dtype=inner.dtype,
        accepts_nan=inner.accepts_nan and wrapper.nan,
        accepts_weights=inner.accepts_weights and wrapper.weights,
        early_stopping=inner.early_stopping if through else None,
        arguments=partial(_arguments, inner, through),
        prepare=partial(_prepare, wrapper, inner),
        compare=_compared(estimator, wrapper, inner),
        targets="several" if wrapper.several else "one",
        inner=inner,
        parts=wrapper.parts,
        fits=partial(_innermost, inner) if through else None,
        depth=inner.depth + 1,
    )


def _innermost(inner: Row, estimator: Any) -> Any:
    """The one part of a FixedThresholdClassifier that learns: its `fit` fits a clone of it, and we have a clone."""
    estimator.estimator_ = estimator.estimator
    return estimator.estimator if inner.fits is None else inner.fits(estimator.estimator)


def _compared(estimator: Any, wrapper: Wrapper, inner: Row) -> str | None:
    """What can be compared: not labels, which are codes there, nor the steep lines of an isotonic curve, nor
    logarithms that scikit-learn takes in float32; the models inside always are."""
    if wrapper.form == "threshold":
        return None
    if wrapper.form == "calibrated":
        exact = estimator.method == SIGMOID or (estimator.method == TEMPERATURE and inner.module.startswith("sklearn"))
        return "predict_proba" if exact else None
    return "predict" if wrapper.kind == "regressor" else None


def _convert(wrapper: Wrapper, inner: Row, fitted: Any) -> tuple[Any, str]:
    parts = wrapper.parts(fitted)
    if len(parts) > MAX_MEMBERS:
        raise UnsafeModelError(f"{wrapper.name} holds {len(parts):,} models, and a saved form up to {MAX_MEMBERS:,}.")
    return wrapper.read(fitted, tuple(member_of(inner, part) for part in parts))


def member_of(row: Row, fitted: Any) -> Member:
    """A fitted estimator, trained on codes, as a part of another: its body by the `row` of its class."""
    body, link = row.convert(fitted)
    classes = tuple(int(code) for code in fitted.classes_) if row.kind == "classifier" else None
    return Member(row.path, row.kind, classes, link, body)


def _prepare(wrapper: Wrapper, inner: Row, estimator: Any, feature_names: list[str]) -> None:
    if wrapper.check is not None:
        wrapper.check(estimator, inner)
    if inner.prepare is not None:
        changed = inner.prepare(estimator.estimator, feature_names)
        if changed is not None:
            estimator.set_params(estimator=changed)


def _arguments(inner: Row, through: bool, estimator: Any, lesson: Lesson, held: Lesson | None) -> dict[str, Any]:
    if through:
        return inner.arguments(estimator.estimator, lesson, held)
    try:
        inner.arguments(estimator.estimator, lesson, None)
    except ParameterError as error:  # early stopping without validation rows
        raise ParameterError(
            f"{type(estimator).__name__} fits {inner.name} on parts of the training rows, and hands it no validation "
            "rows to stop early by. Leave early stopping unset."
        ) from error
    plain = plain_arguments(estimator, lesson, held)
    if "Y" in inspect.signature(estimator.fit).parameters:
        plain["Y"] = plain.pop("y")
    return plain


def refuse_few(estimator: Any, classes: Sequence[Label], counts: Sequence[int]) -> None:
    """Refuse more folds than a class has rows, and other than two classes before a threshold.

    Args:
        estimator: a wrapper, or any other estimator.
        classes: the labels of the target.
        counts: the rows of each.

    Raises:
        TargetError: it is so.
    """
    wrapper = wrapper_of(estimator)
    if wrapper is None:
        return
    if wrapper.form == "threshold" and len(classes) != 2:
        raise TargetError(
            f"{wrapper.name} chooses between two classes, and the target has {len(classes)}: {list(classes)}. Cut the "
            "target into two, or leave the threshold out."
        )
    folds = getattr(estimator, "cv", None)
    folds = folds if isinstance(folds, int) else getattr(folds, "n_splits", None)
    if wrapper.form == "calibrated" and folds is not None and min(counts) < folds:
        rarest = classes[list(counts).index(min(counts))]
        raise TargetError(
            f"{wrapper.name} in {folds} folds needs {folds} rows of each class, and {rarest!r} has {min(counts)}. Take "
            "fewer folds, or leave the rows of that class out."
        )
    if wrapper.form not in ("against_rest", "against_one"):  # whose models see two classes each
        refuse_few(estimator.estimator, classes, counts)
