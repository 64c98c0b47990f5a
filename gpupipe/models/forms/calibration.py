"""Calibrated classifiers: models, and for each the curves that make probabilities of what it responds.

As scikit-learn's CalibratedClassifierCV: every model's responses go through its curves and are normalised, and the
probabilities of all models are averaged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.kernels.reference.math import exp, log
from gpupipe.kernels.reference.math import sigmoid as logistic
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays
from gpupipe.models.forms.links import Floats
from gpupipe.models.forms.member import PROBABILITIES, SCORES, Member, Parts, member_parts

SIGMOID, ISOTONIC, TEMPERATURE = "sigmoid", "isotonic", "temperature"
TINY = 1e-12  # scikit-learn adds it to probabilities before their logarithm
OVER = 1.0 + 1e-5  # up to here scikit-learn takes a probability for 1


@dataclass(frozen=True, eq=False)
class Curve:
    """From a response to a probability.

    Attributes:
        column: of the probabilities that it fills.
        x, y: a sigmoid has a slope and an intercept, one value each: 1 / (1 + exp(slope * response + intercept)). An
            isotonic curve has knots, ascending, and its values there, with straight lines between.
        isotonic: which of both.
    """

    column: int
    x: NDArray[Any]
    y: NDArray[Any]
    isotonic: bool

    def of(self, response: Floats) -> Floats:
        """Probabilities, float64 (rows,).

        Where knots are float32 (XGBoost responds in float32) scikit-learn works in float32 and takes a response that
        is a knot to end a line; otherwise to begin one.
        """
        if not self.isotonic:
            return logistic(-(self.x[0] * response + self.y[0]))
        x, y = self.x, self.y
        if len(x) == 1:
            return np.full(len(response), y[0], np.float64)
        at = np.clip(response.astype(x.dtype), x[0], x[-1])
        after = np.searchsorted(x, at, side="left" if x.dtype == np.float32 else "right")
        high = np.clip(after, 1, len(x) - 1)
        low = high - 1
        slope = (y[high] - y[low]) / (x[high] - x[low])
        found = slope * (at - x[low]) + y[low]
        if x.dtype == np.float64:
            found = np.where(at == x[-1], y[-1], found)
        return found.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Raw outputs are probabilities, (rows, classes): the mean over the members.

    Attributes:
        members: the classifiers, one a fold (or a single one), trained on codes.
        method: "sigmoid", "isotonic" or "temperature".
        response: what of the members is calibrated: "decision_function" or "predict_proba".
        curves: for each member a curve a class (one for two classes); none with a temperature.
        beta: float64, (members,): the inverse temperatures; (0,) for curves.
        n_classes: the number of classes, of which a fold may have lacked some.
    """

    form: ClassVar[str] = "calibrated"
    members: tuple[Member, ...]
    method: str
    response: str
    curves: tuple[tuple[Curve, ...], ...]
    beta: Floats
    n_classes: int

    @property
    def n_outputs(self) -> int:
        return self.n_classes

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, classes)."""
        total = np.zeros((len(X), self.n_classes))
        for at, member in enumerate(self.members):
            response = member.response(member.body.raw(X), self.response)
            found = self._tempered(at, response) if self.method == TEMPERATURE else self._curved(at, response)
            total += np.where((found > 1.0) & (found <= OVER), 1.0, found)
        return total / len(self.members)

    def _curved(self, at: int, response: Floats) -> Floats:
        found = np.zeros((len(response), self.n_classes))
        for curve, column in zip(self.curves[at], response.T, strict=True):
            found[:, curve.column] = curve.of(np.ascontiguousarray(column))
        if self.n_classes == 2:
            found[:, 0] = 1.0 - found[:, 1]
            return found
        total = np.zeros(len(found))
        for column in found.T:
            total += column
        nothing = total == 0.0
        found[nothing] = 1.0 / self.n_classes
        total[nothing] = 1.0
        return found / total[:, None]

    def _tempered(self, at: int, response: Floats) -> Floats:
        if self.response == PROBABILITIES:
            shares = np.concatenate([1.0 - response, response], axis=1) if response.shape[1] == 1 else response
            response = log(np.ascontiguousarray(shares + TINY))
        elif response.shape[1] == 1:
            response = np.concatenate([-response, response], axis=1)
        parts = self.beta[at] * response
        parts = exp(np.ascontiguousarray(parts - parts.max(axis=1, keepdims=True)))
        total = np.zeros(len(parts))
        for column in parts.T:
            total += column
        return parts / total[:, None]

    def to_parts(self) -> Parts:
        documents, arrays = member_parts(self.members)
        curves = [curve for each in self.curves for curve in each]
        kind = curves[0].x.dtype if curves else np.float64
        own: dict[str, NDArray[Any]] = {
            "beta": self.beta,
            "curves": np.array([len(each) for each in self.curves], np.int64),
            "column": np.array([curve.column for curve in curves], np.int64),
            "offsets": np.array([*accumulate((len(curve.x) for curve in curves), initial=0)], np.int64),
            "x": np.concatenate([curve.x for curve in curves]) if curves else np.empty(0, kind),
            "y": np.concatenate([curve.y for curve in curves]) if curves else np.empty(0, kind),
        }
        params = {"method": self.method, "response": self.response, "classes": self.n_classes, "members": documents}
        return params, {**own, **arrays}, {}

    @classmethod
    def from_members(
        cls, params: Mapping[str, Any], arrays: Arrays, members: tuple[Member, ...], n_features: int
    ) -> Self:
        """The reverse of :meth:`to_parts`, its members read already.

        Raises:
            ArtifactCorruptError: anything that is not as it must be.
        """
        checks.only(params, ("method", "response", "classes"), "parameters")
        checks.only(arrays, ("beta", "curves", "column", "offsets", "x", "y"), "arrays")
        method, response, classes = params["method"], params["response"], checks.number(params, "classes")
        checks.require(method in (SIGMOID, ISOTONIC, TEMPERATURE), f"its method {method!r} is unknown")
        checks.require(response in (SCORES, PROBABILITIES), f"its response {response!r} is unknown")
        checks.require(classes.is_integer() and 2 <= classes <= 1 << 20, "its number of classes is wrong")
        tempered = method == TEMPERATURE
        beta = checks.array(arrays, "beta", "float64", (len(members) if tempered else 0,))
        checks.require(bool(np.isfinite(beta).all()), "a temperature is not finite")
        for member in members:
            _check_member(member, response, int(classes))
        curves = _read_curves(arrays, members, method, response, int(classes))
        return cls(members, method, response, curves, beta, int(classes))


def _check_member(member: Member, response: str, n_classes: int) -> None:
    fits = member.kind == "classifier" and set(member.classes or ()) <= set(range(n_classes))
    checks.require(fits, "a calibrated model's classes are not among those calibrated")
    has = member.has_scores if response == SCORES else member.has_probabilities
    checks.require(has, f"a calibrated model has no {response}")


def _read_curves(
    arrays: Arrays, members: tuple[Member, ...], method: str, response: str, n_classes: int
) -> tuple[tuple[Curve, ...], ...]:
    kind = "float32" if getattr(arrays.get("x"), "dtype", None) == np.float32 else "float64"
    x, y = (checks.array(arrays, name, kind, (None,)) for name in ("x", "y"))
    counts = checks.array(arrays, "curves", "int64", (0 if method == TEMPERATURE else len(members),))
    checks.integers(counts, "curves", 1, n_classes + 1)
    column = checks.array(arrays, "column", "int64", (int(counts.sum()),))
    offsets = checks.array(arrays, "offsets", "int64", (len(column) + 1,))
    checks.integers(column, "column", 0, n_classes)
    checks.require(bool(np.isfinite(x).all() and np.isfinite(y).all()) and len(x) == len(y), "a curve is not finite")
    checks.require(bool(offsets[0] == 0 and offsets[-1] == len(x) and (np.diff(offsets) > 0).all()), "curves overlap")
    found = []
    for at, (first, last) in enumerate(pairwise(offsets.tolist())):
        isotonic = method == ISOTONIC
        checks.require(last - first == 1 or (isotonic and bool((np.diff(x[first:last]) > 0).all())), "a curve is wrong")
        found.append(Curve(int(column[at]), x[first:last], y[first:last], isotonic))
    edges = [*accumulate(counts.tolist(), initial=0)]
    each = tuple(tuple(found[first:last]) for first, last in pairwise(edges))
    for member, curves in zip(members, each, strict=False):
        wide = len(member.response(np.zeros((0, member.body.n_outputs)), response).T)
        checks.require(len(curves) == wide, "a calibrated model lacks curves")
    return each


def read_calibrated(estimator: Any, members: tuple[Member, ...]) -> tuple[Calibrated, str]:
    """A fitted CalibratedClassifierCV, whose models are `members`."""
    parts = estimator.calibrated_classifiers_
    n_classes, method = len(estimator.classes_), str(estimator.method)
    response = response_of(parts[0].estimator, members[0], (SCORES, PROBABILITIES))
    if method == TEMPERATURE:
        beta = np.array([float(part.calibrators[0].beta_) for part in parts])
        return Calibrated(members, method, response, (), beta, n_classes), "given"
    curves = tuple(_curves(part, n_classes) for part in parts)
    return Calibrated(members, method, response, curves, np.empty(0), n_classes), "given"


def _curves(part: Any, n_classes: int) -> tuple[Curve, ...]:
    places = np.searchsorted(part.classes, part.estimator.classes_).tolist()
    shift = 1 if n_classes == 2 else 0
    return tuple(_curve(place + shift, fitted) for place, fitted in zip(places, part.calibrators, strict=False))


def _curve(column: int, fitted: Any) -> Curve:
    if hasattr(fitted, "a_"):
        return Curve(column, np.array([float(fitted.a_)]), np.array([float(fitted.b_)]), False)
    return Curve(column, np.array(fitted.X_thresholds_), np.array(fitted.y_thresholds_), True)


def response_of(estimator: Any, member: Member, preferred: tuple[str, ...]) -> str:
    """Which of the methods scikit-learn takes of a fitted classifier: the first that it has.

    Raises:
        UnsafeModelError: our form of the classifier does not have it.
    """
    method = next(name for name in preferred if hasattr(estimator, name))
    if not (member.has_scores if method == SCORES else member.has_probabilities):
        name = member.estimator.rpartition(".")[2]
        raise UnsafeModelError(f"The {method} of {name} is not kept, so nothing can be built on it.")
    return method
