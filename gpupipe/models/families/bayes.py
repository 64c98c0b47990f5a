"""Naive Bayes: class scores are joint log likelihoods, log P(class) + log P(row | class)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnknownCategoryError
from gpupipe.models.families.rows import Row
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.linear import Linear, by_tiles

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Normal features, independent within a class.

    The score of class k is ``offset[k] - sum over features of (x - mean[k])² / variance[k] / 2``, the sum
    added in feature order.

    Attributes:
        offset: float64, (classes,): log prior - sum of log(2π variance) / 2.
        mean: float64, (classes, features).
        variance: float64, (classes, features), above 0.
    """

    form: ClassVar[str] = "gaussian_bayes"
    offset: Floats
    mean: Floats
    variance: Floats

    @property
    def n_outputs(self) -> int:
        return len(self.offset)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, classes)."""
        return by_tiles(X, self.n_outputs, self._scores)

    def _scores(self, columns: Floats) -> Floats:
        distance = np.zeros((self.n_outputs, columns.shape[1]))
        for feature, values in enumerate(columns):
            off = values - self.mean[:, feature, None]
            distance += off * off / self.variance[:, feature, None]
        return self.offset[:, None] - 0.5 * distance

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        return {}, {"offset": self.offset, "mean": self.mean, "variance": self.variance}, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, (), "parameters")
        checks.only(arrays, ("offset", "mean", "variance"), "arrays")
        checks.only(blobs, (), "blobs")
        offset = checks.array(arrays, "offset", "float64", (None,))
        mean = checks.array(arrays, "mean", "float64", (len(offset), n_features))
        variance = checks.array(arrays, "variance", "float64", (len(offset), n_features))
        checks.require(bool((variance > 0).all()), "a variance is not above 0")
        return cls(offset, mean, variance)


@dataclass(frozen=True, eq=False)
class Categorical:
    """Features that are category codes 0, 1, …, independent within a class.

    The score of class k is the sum over features, in their order, of log P(code | class k), and then ``prior[k]``.

    Attributes:
        prior: float64, (classes,).
        log_probability: float64, (codes of all features, classes): those of feature f start at offsets[f].
        offsets: int64, (features + 1,).
    """

    form: ClassVar[str] = "categorical_bayes"
    prior: Floats
    log_probability: Floats
    offsets: NDArray[np.int64]

    @property
    def n_outputs(self) -> int:
        return len(self.prior)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, classes). As in scikit-learn, 2.7 counts as code 2.

        Raises:
            DataError: a code below 0, or above those of the training rows.
        """
        sizes = np.diff(self.offsets)
        bad = ~((X > -1) & (sizes > X))  # NaN too
        if bad.any():
            row, feature = (int(index[0]) for index in np.nonzero(bad))
            raise UnknownCategoryError(
                f"Feature {feature} is {X[row, feature]} in row {row}; the model knows its codes 0 … "
                f"{sizes[feature] - 1}. Give unknown categories a code of their own (codes() does), and "
                "CategoricalNB(min_categories=…) room for it."
            )
        scores = np.zeros((len(X), self.n_outputs))
        for feature, start in enumerate(self.offsets[:-1].tolist()):
            scores += self.log_probability[start + X[:, feature].astype(np.intp)]
        return scores + self.prior

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        arrays = {"prior": self.prior, "log_probability": self.log_probability, "offsets": self.offsets}
        return {}, arrays, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, (), "parameters")
        checks.only(arrays, ("prior", "log_probability", "offsets"), "arrays")
        checks.only(blobs, (), "blobs")
        prior = checks.array(arrays, "prior", "float64", (None,))
        table = checks.array(arrays, "log_probability", "float64", (None, len(prior)))
        offsets = checks.array(arrays, "offsets", "int64", (n_features + 1,))
        checks.integers(offsets, "offsets", 0, len(table) + 1)
        checks.require(offsets[0] == 0 and offsets[-1] == len(table), "the offsets do not fit the codes")
        checks.require(bool((np.diff(offsets) >= 0).all()), "the offsets do not ascend")
        return cls(prior, table, offsets)


def gaussian(estimator: Any) -> tuple[Gaussian, str]:
    """A fitted GaussianNB."""
    variance = np.array(estimator.var_, dtype=np.float64)
    with np.errstate(divide="ignore"):  # a prior of 0 is a score of -inf; a variance of 0 is refused as it is checked
        prior = np.log(np.asarray(estimator.class_prior_, dtype=np.float64))
        offset = prior - 0.5 * np.log(2.0 * np.pi * variance).sum(axis=1)
    return Gaussian(offset, np.array(estimator.theta_, dtype=np.float64), variance), "softmax"


def multinomial(estimator: Any) -> tuple[Linear, str]:
    """A fitted MultinomialNB, whose scores are weighted sums of the counts."""
    return _log_linear(estimator.feature_log_prob_, estimator.class_log_prior_), "softmax"


def bernoulli(estimator: Any) -> tuple[Linear, str]:
    """A fitted BernoulliNB: absent features count too, so their log probabilities go into the intercept."""
    present = np.asarray(estimator.feature_log_prob_, dtype=np.float64)
    absent = np.log(1.0 - np.exp(present))
    intercept = np.asarray(estimator.class_log_prior_) + absent.sum(axis=1)
    threshold = None if estimator.binarize is None else float(estimator.binarize)
    return _log_linear(present - absent, intercept, threshold), "softmax"


def complement(estimator: Any) -> tuple[Linear, str]:
    """A fitted ComplementNB (Rennie et al. 2003): weighted sums of the counts alone, without a prior."""
    weights = np.asarray(estimator.feature_log_prob_)
    return _log_linear(weights, np.zeros(len(weights))), "softmax"


def categorical(estimator: Any) -> tuple[Categorical, str]:
    """A fitted CategoricalNB."""
    tables = [np.asarray(table, dtype=np.float64).T for table in estimator.feature_log_prob_]
    offsets = np.cumsum([0, *(len(table) for table in tables)], dtype=np.int64)
    prior = np.array(estimator.class_log_prior_, dtype=np.float64)
    return Categorical(prior, np.ascontiguousarray(np.concatenate(tables)), offsets), "softmax"


def _log_linear(coefficients: Floats, intercept: Floats, binarize: float | None = None) -> Linear:
    return Linear(np.array(coefficients, dtype=np.float64), np.array(intercept, dtype=np.float64), binarize)


_MODULE = "sklearn.naive_bayes"
ROWS: tuple[Row, ...] = (
    Row("GaussianNB", _MODULE, "classifier", "gaussian_bayes", gaussian),
    Row("MultinomialNB", _MODULE, "classifier", "linear", multinomial),
    Row("BernoulliNB", _MODULE, "classifier", "linear", bernoulli),
    Row("ComplementNB", _MODULE, "classifier", "linear", complement),
    Row("CategoricalNB", _MODULE, "classifier", "categorical_bayes", categorical),
)
