"""The form of models that are weighted sums: linear and logistic regression, SGD, log-linear naive Bayes, ….

A weighted sum starts at the intercept and adds ``coefficient * feature`` in feature order, in float64: never
BLAS, which changes the last bit of most rows between a batch and one row. Tiles only decide how many rows are
worked on together, so one row, a batch and a file give the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params

Floats = NDArray[np.float64]

TILE = 2048  # rows: 30 features of float64 stay in a 1 MiB cache
SMALL = 8192  # terms: below it one vectorised running sum beats a loop over features


def by_tiles(X: NDArray[np.float32], n_outputs: int, outputs: Callable[[Floats], Floats]) -> Floats:
    """float64, (rows, n_outputs), a tile of rows after the other; IEEE: inf - inf is NaN, and nothing warns.

    Args:
        X: float32, (rows, features).
        outputs: the features of a tile, a float64 array (features, rows), to its outputs, (n_outputs, rows).
    """
    out = np.empty((len(X), n_outputs))
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, len(X), TILE):
            out[start : start + TILE] = outputs(X[start : start + TILE].T.astype(np.float64, order="C")).T
    return out


def weighted_sums(
    X: NDArray[np.float32],
    coefficients: Floats,
    intercept: Floats,
    prepare: Callable[[Floats], Floats] | None = None,
) -> Floats:
    """For each row x and output k: intercept[k] + coefficients[k, 0] * x[0] + coefficients[k, 1] * x[1] + ….

    Args:
        X: float32, (rows, features), C-ordered.
        coefficients: (outputs, features).
        intercept: (outputs,).
        prepare: applied to the features of a tile, a float64 array (features, rows), before they are summed.

    Returns:
        float64, (rows, outputs).

    >>> weighted_sums(np.array([[1, 2]], np.float32), np.array([[10.0, 100.0]]), np.array([0.5]))
    array([[210.5]])
    """

    def sums(tile: Floats) -> Floats:
        add = _running_sum if coefficients.size * tile.shape[1] <= SMALL else _feature_loop
        return add(tile if prepare is None else prepare(tile), coefficients, intercept)

    return by_tiles(X, len(coefficients), sums)


def _running_sum(tile: Floats, coefficients: Floats, intercept: Floats) -> Floats:
    outputs, features = coefficients.shape
    terms = np.empty((features + 1, outputs, tile.shape[1]))
    terms[0] = intercept[:, None]
    np.multiply(coefficients.T[:, :, None], tile[:, None, :], out=terms[1:])
    return np.add.accumulate(terms, axis=0)[-1]  # accumulate, unlike sum, is bound to the order


def _feature_loop(tile: Floats, coefficients: Floats, intercept: Floats) -> Floats:
    sums = np.empty((len(coefficients), tile.shape[1]))
    for row, weights, start in zip(sums, coefficients.tolist(), intercept.tolist(), strict=True):
        row[:] = start
        for weight, feature in zip(weights, tile, strict=True):
            row += weight * feature
    return sums


@dataclass(frozen=True, eq=False)
class Linear:
    """Outputs that are weighted sums of the features.

    Attributes:
        coefficients: float64, (outputs, features).
        intercept: float64, (outputs,).
        binarize: a feature counts as 1 above this value and as 0 otherwise; None leaves features as they are.
    """

    form: ClassVar[str] = "linear"
    coefficients: Floats
    intercept: Floats
    binarize: float | None = None

    @property
    def n_outputs(self) -> int:
        return len(self.intercept)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, outputs)."""
        limit = self.binarize
        if limit is None:
            return weighted_sums(X, self.coefficients, self.intercept)
        return weighted_sums(X, self.coefficients, self.intercept, lambda tile: (tile > limit).astype(np.float64))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        arrays = {"coefficients": self.coefficients, "intercept": self.intercept}
        return {"binarize": self.binarize}, arrays, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, ("binarize",), "parameters")
        checks.only(arrays, ("coefficients", "intercept"), "arrays")
        checks.only(blobs, (), "blobs")
        coefficients = checks.array(arrays, "coefficients", "float64", (None, n_features))
        intercept = checks.array(arrays, "intercept", "float64", (len(coefficients),))
        binarize = None if params["binarize"] is None else checks.number(params, "binarize")
        return cls(coefficients, intercept, binarize)
