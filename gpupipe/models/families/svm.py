"""Support vector machines with a kernel: a weighted sum of the kernel between a row and the support vectors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.kernels.reference.math import exp, tanh
from gpupipe.models.families.linear_models import regression
from gpupipe.models.families.rows import Row
from gpupipe.models.forms import checks, pairs, training_rows
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.linear import Linear
from gpupipe.models.forms.sums import halving_sum, whole_power

Floats = NDArray[np.float64]

TILE = 1 << 14  # rows × support vectors: 128 KiB of float64, so that some of them stay in cache
KERNELS = ("linear", "poly", "rbf", "sigmoid")
_PARAMS = ("kernel", "gamma", "coef0", "degree")
_ARRAYS = ("support", "dual", "counts", "intercept", "platt")


@dataclass(frozen=True, eq=False)
class KernelMachine:
    """Decisions by a kernel: of one score, or of each pair of classes, and probabilities if it has Platt's sigmoids.

    A score is the sum over support vectors s of ``dual * kernel(x, s)``, halves added to halves, plus the intercept;
    dot products and squared distances within the kernel are added in feature order.

    Attributes:
        kernel: one of :data:`KERNELS`.
        gamma, coef0, degree: its parameters.
        support: (vectors, features): training rows (:mod:`training_rows`), those of a class together.
        dual: float64, (1, vectors), or (classes - 1, vectors): row j - 1 weighs class i against class j > i,
            row j against class j < i.
        counts: int64, (1,), or (classes,): the vectors of each class.
        intercept: float64, (scores,): one, or one for each pair of classes.
        platt: float64, (2, scores): slopes and offsets of the sigmoids; (2, 0) without probabilities.
    """

    form: ClassVar[str] = "kernel_machine"
    kernel: str
    gamma: float
    coef0: float
    degree: int
    support: NDArray[Any]
    dual: Floats
    counts: NDArray[np.int64]
    intercept: Floats
    platt: Floats

    @property
    def n_outputs(self) -> int:
        classes = max(2, len(self.counts)) if self.platt.size else 0
        return len(self.intercept) + classes

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, scores), or (rows, scores + classes) with probabilities."""
        scores = np.empty((len(X), len(self.intercept)))
        step = max(1, TILE // max(1, len(self.support)))
        for start in range(0, len(X), step):
            tile = X[start : start + step].astype(np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                scores[start : start + step] = self._scores(_KERNELS[self.kernel](self, tile))
        if not self.platt.size:
            return scores
        sign = -1.0 if len(self.counts) == 1 else 1.0  # a score is for the second class, a pair's for its first
        shares = pairs.pairwise_shares(sign * scores, *self.platt)
        return np.concatenate([scores, pairs.coupled(shares)], axis=1)

    def _scores(self, kernel: Floats) -> Floats:
        ends = np.cumsum(self.counts).tolist()
        groups = [slice(end - count, end) for end, count in zip(ends, self.counts.tolist(), strict=True)]
        if len(groups) == 1:
            return (halving_sum(self.dual[0] * kernel) + self.intercept[0])[:, None]
        sums = [[halving_sum(row[group] * kernel[:, group]) for row in self.dual] for group in groups]
        found = [
            sums[first][second - 1] + sums[second][first] + intercept
            for (first, second), intercept in zip(combinations(range(len(groups)), 2), self.intercept, strict=True)
        ]
        return np.stack(found, axis=1)

    @cached_property
    def _columns(self) -> Floats:
        return self.support.T.astype(np.float64, order="C")

    def _products(self, rows: Floats) -> Floats:
        total = np.zeros((len(rows), len(self.support)))
        for feature, column in enumerate(self._columns):
            total += rows[:, feature, None] * column
        return total

    def _squares(self, rows: Floats) -> Floats:
        total = np.zeros((len(rows), len(self.support)))
        for feature, column in enumerate(self._columns):
            off = rows[:, feature, None] - column
            off *= off
            total += off
        return total

    def _rbf(self, rows: Floats) -> Floats:
        return exp(-self.gamma * self._squares(rows))

    def _poly(self, rows: Floats) -> Floats:
        return whole_power(self.gamma * self._products(rows) + self.coef0, self.degree)

    def _sigmoid(self, rows: Floats) -> Floats:
        return tanh(self.gamma * self._products(rows) + self.coef0)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        params = {name: getattr(self, name) for name in _PARAMS}
        return params, {name: getattr(self, name) for name in _ARRAYS}, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, _PARAMS, "parameters")
        checks.only(arrays, _ARRAYS, "arrays")
        checks.only(blobs, (), "blobs")
        kernel, gamma, coef0 = params["kernel"], checks.number(params, "gamma"), checks.number(params, "coef0")
        checks.require(isinstance(kernel, str) and kernel in KERNELS, f"its kernel {kernel!r} is unknown")
        degree = checks.number(params, "degree")
        checks.require(0 <= degree < 2**31 and degree.is_integer(), "parameter 'degree' is no whole number")
        support = training_rows.read(arrays, "support", n_features)
        counts = checks.array(arrays, "counts", "int64", (None,))
        checks.integers(counts, "counts", 0, len(support) + 1)
        whole = len(counts) > 0 and len(counts) != 2 and int(counts.sum()) == len(support)
        checks.require(whole, "the counts do not fit the support vectors")
        classes = len(counts)
        dual = checks.array(arrays, "dual", "float64", (max(1, classes - 1), len(support)))
        intercept = checks.array(arrays, "intercept", "float64", (max(1, classes * (classes - 1) // 2),))
        platt = checks.array(arrays, "platt", "float64", (2, None))
        checks.require(platt.shape[1] in (0, len(intercept)), "array 'platt' has a wrong length")
        return cls(kernel, gamma, coef0, int(degree), support, dual, counts, intercept, platt)


_KERNELS: dict[str, Callable[[KernelMachine, Floats], Floats]] = {
    "linear": KernelMachine._products,
    "poly": KernelMachine._poly,
    "rbf": KernelMachine._rbf,
    "sigmoid": KernelMachine._sigmoid,
}


def refuse_kernels_of_the_user(estimator: Any, feature_names: list[str]) -> None:
    """Refuse, before training, a kernel that is code or that rows alone do not give."""
    if callable(estimator.kernel) or estimator.kernel not in KERNELS:
        given = "that is a function" if callable(estimator.kernel) else f"{estimator.kernel!r}"
        raise UnsafeModelError(
            f"{type(estimator).__name__} with a kernel {given} has no saved form. Use one of: {', '.join(KERNELS)}."
        )


def _machine(estimator: Any, counts: Any, platt: Any) -> KernelMachine:
    return KernelMachine(
        estimator.kernel,
        float(estimator._gamma),
        float(estimator.coef0),
        int(estimator.degree),
        training_rows.kept(estimator.support_vectors_),
        np.array(estimator.dual_coef_, dtype=np.float64),
        np.array(counts, dtype=np.int64),
        np.array(estimator.intercept_, dtype=np.float64),
        np.array(platt, dtype=np.float64),
    )


def _body(estimator: Any, counts: Any = None, platt: Any = ((), ())) -> KernelMachine | Linear:
    """A linear kernel without probabilities is a weighted sum of the features."""
    if estimator.kernel == "linear" and not len(platt[0]):
        return regression(estimator)[0]
    return _machine(estimator, [len(estimator.support_vectors_)] if counts is None else counts, platt)


def classifier(estimator: Any) -> tuple[KernelMachine | Linear, str]:
    """A fitted SVC or NuSVC."""
    sigmoids = [getattr(estimator, name, ()) for name in ("_probA", "_probB")]  # gone in scikit-learn 1.11
    if len(estimator.n_support_) != len(estimator.classes_):  # LIBSVM leaves it out, and scikit-learn names others
        raise UnsafeModelError(
            f"{type(estimator).__name__} was given a class whose rows all weigh 0, and then mixes the others up. "
            "Leave its rows out: data.filter(…)."
        )
    many = len(estimator.classes_) > 2
    body = _body(estimator, estimator.n_support_ if many else None, sigmoids)
    link = "pairs" if estimator.decision_function_shape == "ovo" else "votes"
    if estimator.break_ties and link == "votes":
        link = "broken_ties"
    if not many:  # LIBSVM decides for the second class at 0 too
        return body, "coupled_margin" if len(sigmoids[0]) else "margin_from_zero"
    return body, f"coupled_{link}" if len(sigmoids[0]) else link


def regressor(estimator: Any) -> tuple[KernelMachine | Linear, str]:
    """A fitted SVR or NuSVR."""
    return _body(estimator), "identity"


def one_class(estimator: Any) -> tuple[KernelMachine | Linear, str]:
    """A fitted OneClassSVM."""
    return _body(estimator), "inlier_above_zero"


def _row(name: str, kind: Any, convert: Any) -> Row:
    return Row(name, "sklearn.svm", kind, KernelMachine.form, convert, prepare=refuse_kernels_of_the_user)


ROWS: tuple[Row, ...] = (
    _row("SVC", "classifier", classifier),
    _row("NuSVC", "classifier", classifier),
    _row("SVR", "regressor", regressor),
    _row("NuSVR", "regressor", regressor),
    _row("OneClassSVM", "outlier_detector", one_class),
)
