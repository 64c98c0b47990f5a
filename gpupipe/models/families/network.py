"""Neural networks of dense layers: each unit a sum in the order of the units before it, in float64."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.kernels.reference.math import sigmoid, tanh
from gpupipe.models.families.rows import Row
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.links import identity

Floats = NDArray[np.float64]

TILE = 1 << 16  # rows × units of a layer: 512 KiB of float64
SMALL = 1 << 15  # terms: below it one running sum beats a loop over units


def rectified(x: Floats) -> Floats:
    """x where it is above 0, else 0."""
    return np.maximum(x, 0.0)


ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "relu": rectified,
    "tanh": tanh,
    "logistic": sigmoid,
    "identity": identity,
}


@dataclass(frozen=True, eq=False)
class Network:
    """Layers of weighted sums, an activation between them; raw outputs are the sums of the last layer.

    Attributes:
        weights: for each layer float64, (units before, units).
        intercepts: for each layer float64, (units,).
        activation: one of :data:`ACTIVATIONS`.
    """

    form: ClassVar[str] = "network"
    weights: tuple[Floats, ...]
    intercepts: tuple[Floats, ...]
    activation: str

    @property
    def n_outputs(self) -> int:
        return len(self.intercepts[-1])

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, outputs)."""
        out = np.empty((len(X), self.n_outputs))
        step = max(1, TILE // max(1, *(len(intercept) for intercept in self.intercepts)))
        for start in range(0, len(X), step):
            units = X[start : start + step].T.astype(np.float64, order="C")
            out[start : start + step] = self._through(units).T
        return out

    def _through(self, units: Floats) -> Floats:
        layers = list(zip(self.weights, self.intercepts, strict=True))
        with np.errstate(over="ignore", invalid="ignore"):
            for weights, intercept in layers[:-1]:
                units = ACTIVATIONS[self.activation](_sums(units, weights, intercept))
            return _sums(units, *layers[-1])

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        arrays = {f"weights_{at}": layer for at, layer in enumerate(self.weights)}
        arrays.update({f"intercept_{at}": layer for at, layer in enumerate(self.intercepts)})
        return {"layers": len(self.weights), "activation": self.activation}, arrays, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, ("layers", "activation"), "parameters")
        checks.only(blobs, (), "blobs")
        layers, activation = checks.number(params, "layers"), params["activation"]
        checks.require(layers >= 1 and 2 * layers == len(arrays), "parameter 'layers' does not fit the arrays")
        checks.require(
            isinstance(activation, str) and activation in ACTIVATIONS, f"activation {activation!r} is unknown"
        )
        weights, intercepts, before = [], [], n_features
        for at in range(int(layers)):
            intercepts.append(checks.array(arrays, f"intercept_{at}", "float64", (None,)))
            weights.append(checks.array(arrays, f"weights_{at}", "float64", (before, len(intercepts[-1]))))
            before = len(intercepts[-1])
        return cls(tuple(weights), tuple(intercepts), activation)


def _sums(units: Floats, weights: Floats, intercept: Floats) -> Floats:
    """(units, rows): intercept, then weight * unit added in the order of the units before."""
    rows = units.shape[1]
    if weights.size * rows <= SMALL:
        terms = np.empty((len(weights) + 1, len(intercept), rows))
        terms[0] = intercept[:, None]
        np.multiply(weights[:, :, None], units[:, None, :], out=terms[1:])
        return np.add.accumulate(terms, axis=0)[-1]  # accumulate, unlike sum, is bound to the order
    total = np.repeat(intercept[:, None], rows, axis=1)
    term = np.empty_like(total)
    for unit, weight in zip(units, weights, strict=True):
        total += np.multiply(weight[:, None], unit, out=term)
    return total


def _layers(estimator: Any) -> Network:
    weights = tuple(np.array(layer, dtype=np.float64) for layer in estimator.coefs_)
    intercepts = tuple(np.array(layer, dtype=np.float64) for layer in estimator.intercepts_)
    return Network(weights, intercepts, estimator.activation)


def classifier(estimator: Any) -> tuple[Network, str]:
    """A fitted MLPClassifier."""
    return _layers(estimator), {"logistic": "sigmoid", "softmax": "softmax"}[estimator.out_activation_]


def regressor(estimator: Any) -> tuple[Network, str]:
    """A fitted MLPRegressor, of squared errors or (from scikit-learn 1.7) of counts."""
    return _layers(estimator), {"identity": "identity", "exp": "exp"}[estimator.out_activation_]


_MODULE = "sklearn.neural_network"
ROWS: tuple[Row, ...] = (
    Row("MLPClassifier", _MODULE, "classifier", "network", classifier, compare="predict_proba"),
    Row("MLPRegressor", _MODULE, "regressor", "network", regressor, compare="predict", targets="any"),
)
