"""Nearest neighbours: the training rows themselves, and the shares or means of the k nearest."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.kernels.reference.math import power
from gpupipe.models.families.rows import Row
from gpupipe.models.forms import checks, training_rows
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.sums import whole_power

Floats = NDArray[np.float64]
Indexes = NDArray[np.intp]

TILE = 1 << 16  # rows × training rows: 512 KiB of float64
METRICS = ("manhattan", "euclidean", "chebyshev", "minkowski")
_PARAMS = ("k", "metric", "p", "by_distance", "classes")


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Shares of the classes, or means of the targets, among the k nearest training rows.

    Distances are added in feature order in float64; of rows equally far the ones first in training count.

    Attributes:
        rows: (training rows, features) (:mod:`training_rows`).
        target: float64, (training rows, targets); for a classifier its codes, (training rows, 1).
        k: neighbours asked, at most the training rows.
        metric: one of :data:`METRICS`.
        p: the power of "minkowski", above 0; of the others 1, 2, and 0 for "chebyshev".
        by_distance: whether neighbours weigh 1 / distance (those at 0 then alone), or all alike.
        classes: of a classifier, else 0.
    """

    form: ClassVar[str] = "neighbours"
    rows: NDArray[Any]
    target: Floats
    k: int
    metric: str
    p: float
    by_distance: bool
    classes: int

    @property
    def n_outputs(self) -> int:
        return self.classes or self.target.shape[1]

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, classes) or (rows, targets)."""
        out = np.empty((len(X), self.n_outputs))
        step = max(1, TILE // len(self.rows))
        for start in range(0, len(X), step):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                tile = X[start : start + step].astype(np.float64)
                out[start : start + step] = self._answers(*self._nearest(tile))
        return out

    def _nearest(self, tile: Floats) -> tuple[Indexes, Floats]:
        """The k nearest of each row, nearest first, and how far they are."""
        far = self._distances(tile)
        chosen = first_smallest(far, self.k)
        return chosen, self._scaled(np.take_along_axis(far, chosen, axis=1))

    @cached_property
    def _columns(self) -> Floats:
        return self.rows.T.astype(np.float64, order="C")

    def _distances(self, tile: Floats) -> Floats:
        """Before the root that does not change their order."""
        total = np.zeros((len(tile), len(self.rows)))
        off = np.empty_like(total)
        for feature, column in enumerate(self._columns):
            np.subtract(tile[:, feature, None], column, out=off)
            if self.metric == "euclidean":
                np.multiply(off, off, out=off)
            else:
                np.abs(off, out=off)
            if self.metric == "minkowski":
                off = _to_the(off, self.p)
            if self.metric == "chebyshev":
                np.maximum(total, off, out=total)
            else:
                total += off
        return total

    def _scaled(self, far: Floats) -> Floats:
        if self.metric == "euclidean":
            return np.sqrt(far)
        if self.metric == "minkowski":
            return power(far, np.full_like(far, 1.0 / self.p))
        return far

    def _answers(self, chosen: Indexes, far: Floats) -> Floats:
        weights = _inverse(far) if self.by_distance else np.ones_like(far)
        found, total = np.zeros((len(chosen), self.n_outputs)), np.zeros(len(chosen))
        each = np.arange(len(chosen))
        for place in range(self.k):
            weight, answer = weights[:, place], self.target[chosen[:, place]]
            if self.classes:
                found[each, answer[:, 0].astype(np.intp)] += weight
            else:
                found += weight[:, None] * answer
            total += weight
        return found / total[:, None]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        return {name: getattr(self, name) for name in _PARAMS}, {"rows": self.rows, "target": self.target}, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, _PARAMS, "parameters")
        checks.only(arrays, ("rows", "target"), "arrays")
        checks.only(blobs, (), "blobs")
        rows = training_rows.read(arrays, "rows", n_features)
        target = checks.array(arrays, "target", "float64", (len(rows), None))
        k, classes = (checks.number(params, name) for name in ("k", "classes"))
        checks.require(1 <= k <= len(rows) and k.is_integer(), "parameter 'k' is no number of training rows")
        checks.require(0 <= classes <= len(rows) and classes.is_integer(), "parameter 'classes' is no number of them")
        if classes:
            checks.require(target.shape[1] == 1, "array 'target' is not one code a row")
            checks.integers(target, "target", 0, classes)
            checks.require(bool((target == np.floor(target)).all()), "array 'target' holds no codes")
        checks.require(target.shape[1] > 0, "array 'target' is empty")
        metric, p = params["metric"], checks.number(params, "p")
        checks.require(isinstance(metric, str) and metric in METRICS, f"its metric {metric!r} is unknown")
        checks.require(metric != "minkowski" or p > 0, "parameter 'p' is not above 0")
        return cls(rows, target, int(k), metric, p, checks.flag(params, "by_distance"), int(classes))


def first_smallest(values: Floats, k: int) -> Indexes:
    """The places of the k smallest values of each row, smallest first; of equal ones those that stand first.

    >>> first_smallest(np.array([[3.0, 1.0, 2.0, 1.0]]), 3).tolist()
    [[1, 3, 2]]
    """
    if k < values.shape[1]:
        chosen = values.argpartition(k - 1, axis=1)[:, :k]
        last = np.take_along_axis(values, chosen[:, k - 1 :], axis=1)
        tied = np.count_nonzero(values <= last, axis=1) != k  # NaN too
        for row in np.flatnonzero(tied):
            chosen[row] = values[row].argsort(kind="stable")[:k]
        chosen.sort(axis=1)
    else:
        chosen = np.tile(np.arange(k), (len(values), 1))
    order = np.take_along_axis(values, chosen, axis=1).argsort(axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def _to_the(base: Floats, p: float) -> Floats:
    if p.is_integer() and p <= 16:
        return whole_power(base, int(p))
    return power(base, np.full_like(base, p))


def _inverse(far: Floats) -> Floats:
    """1 / distance; where some are 0, 1 for these and 0 for the others."""
    at = far == 0.0
    return np.where(at.any(axis=1, keepdims=True), at.astype(np.float64), 1.0 / far)


def refuse_the_users_own(estimator: Any, feature_names: list[str]) -> None:
    """Refuse, before training, weights and metrics that are code, or that we do not know."""
    name = type(estimator).__name__
    if callable(estimator.weights) or estimator.weights not in ("uniform", "distance", None):
        raise UnsafeModelError(f"{name} with weights of its own has no saved form. Use 'uniform' or 'distance'.")
    known = not callable(estimator.metric) and estimator.metric in (*METRICS, "cityblock", "l1", "l2", "p", "infinity")
    if not known or estimator.metric_params is not None:
        given = f"metric={estimator.metric!r}" if not known else "metric_params"
        raise UnsafeModelError(f"{name}({given}) has no saved form. Use one of: {', '.join(METRICS)} (with p=…).")


_BY_POWER = {1.0: "manhattan", 2.0: "euclidean", float("inf"): "chebyshev"}
_OTHER_NAMES = {"cityblock": "manhattan", "l1": "manhattan", "l2": "euclidean", "infinity": "chebyshev"}
_POWERS = {"manhattan": 1.0, "euclidean": 2.0, "chebyshev": 0.0}


def _body(estimator: Any, target: NDArray[Any], classes: int) -> Neighbours:
    metric = _OTHER_NAMES.get(estimator.metric, estimator.metric)
    if metric in ("minkowski", "p"):
        metric = _BY_POWER.get(float(estimator.p), "minkowski")
    return Neighbours(
        training_rows.kept(estimator._fit_X),
        np.array(target, dtype=np.float64).reshape(len(target), -1),
        int(estimator.n_neighbors),
        metric,
        _POWERS.get(metric, float(estimator.p)),
        estimator.weights == "distance",
        classes,
    )


def _refuse_few_rows(estimator: Any) -> None:
    if estimator.n_neighbors > estimator.n_samples_fit_:
        raise UnsafeModelError(
            f"{type(estimator).__name__}(n_neighbors={estimator.n_neighbors}) was given {estimator.n_samples_fit_} "
            "rows: it could score nothing. Lower n_neighbors."
        )


def classifier(estimator: Any) -> tuple[Neighbours, str]:
    """A fitted KNeighborsClassifier: raw outputs are the classes' shares among the neighbours.

    Of several targets they are means of ones and zeros, a column for each class of each.
    """
    _refuse_few_rows(estimator)
    if isinstance(estimator.classes_, list):
        each = zip(estimator._y.T, estimator.classes_, strict=True)
        shares = [codes[:, None] == np.arange(len(classes)) for codes, classes in each]
        return _body(estimator, np.concatenate(shares, axis=1), 0), "given"
    return _body(estimator, estimator._y, len(estimator.classes_)), "given"


def regressor(estimator: Any) -> tuple[Neighbours, str]:
    """A fitted KNeighborsRegressor, of one target or several."""
    _refuse_few_rows(estimator)
    return _body(estimator, estimator._y, 0), "identity"


def _row(name: str, kind: Any, convert: Any, **how: Any) -> Row:
    how = {"accepts_weights": False, "prepare": refuse_the_users_own, **how}
    return Row(name, "sklearn.neighbors", kind, "neighbours", convert, **how)


ROWS: tuple[Row, ...] = (
    _row("KNeighborsClassifier", "classifier", classifier, targets="any"),
    _row("KNeighborsRegressor", "regressor", regressor, targets="any"),
)
