"""Cluster centres, and linear projections such as principal components."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.families.rows import Row
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.linear import by_tiles, weighted_sums

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Centres:
    """Clusters by the nearest centre: raw outputs are Euclidean distances, squares added in feature order.

    Attributes:
        centres: float64, (clusters, features).
    """

    form: ClassVar[str] = "centres"
    centres: Floats

    @property
    def n_outputs(self) -> int:
        return len(self.centres)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, clusters)."""
        return by_tiles(X, self.n_outputs, self._distances)

    def _distances(self, columns: Floats) -> Floats:
        squares = np.zeros((self.n_outputs, columns.shape[1]))
        for feature, values in enumerate(columns):
            off = values - self.centres[:, feature, None]
            squares += off * off
        return np.sqrt(squares)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        return {}, {"centres": self.centres}, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, (), "parameters")
        checks.only(arrays, ("centres",), "arrays")
        checks.only(blobs, (), "blobs")
        return cls(checks.array(arrays, "centres", "float64", (None, n_features)))


@dataclass(frozen=True, eq=False)
class Projection:
    """Principal components: raw outputs are (x - mean) · component, divided by scale.

    The mean is taken off before the products, not after as in scikit-learn: columns with a large mean keep
    more correct digits.

    Attributes:
        mean: float64, (features,).
        components: float64, (outputs, features).
        scale: float64, (outputs,): the standard deviations when whitening, else ones.
    """

    form: ClassVar[str] = "projection"
    mean: Floats
    components: Floats
    scale: Floats

    @property
    def n_outputs(self) -> int:
        return len(self.components)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, components)."""
        return weighted_sums(X, self.components, np.zeros(self.n_outputs), self._centred) / self.scale

    def _centred(self, tile: Floats) -> Floats:
        return tile - self.mean[:, None]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        return {}, {"mean": self.mean, "components": self.components, "scale": self.scale}, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, (), "parameters")
        checks.only(arrays, ("mean", "components", "scale"), "arrays")
        checks.only(blobs, (), "blobs")
        components = checks.array(arrays, "components", "float64", (None, n_features))
        mean = checks.array(arrays, "mean", "float64", (n_features,))
        scale = checks.array(arrays, "scale", "float64", (len(components),))
        checks.require(bool((scale > 0).all()), "a scale is not above 0")
        return cls(mean, components, scale)


def k_means(estimator: Any) -> tuple[Centres, str]:
    """A fitted KMeans, MiniBatchKMeans or MeanShift."""
    return Centres(np.array(estimator.cluster_centers_, dtype=np.float64)), "none"


def principal_components(estimator: Any) -> tuple[Projection, str]:
    """A fitted PCA or IncrementalPCA; deviations of nearly 0 are clipped as scikit-learn clips them when it whitens."""
    components = np.array(estimator.components_, dtype=np.float64)
    scale = np.ones(len(components))
    if estimator.whiten:
        deviation = np.sqrt(np.asarray(estimator.explained_variance_, dtype=np.float64))
        scale = np.maximum(deviation, np.finfo(np.float64).eps)
    return Projection(np.array(estimator.mean_, dtype=np.float64), components, scale), "none"


def factors(estimator: Any) -> tuple[Projection, str]:
    """A fitted FactorAnalysis: the expected factors given the row (Bishop 2006, 12.66), as one projection."""
    components = np.array(estimator.components_, dtype=np.float64)
    scaled = components / np.asarray(estimator.noise_variance_)
    covariance = np.linalg.inv(np.eye(len(components)) + scaled @ components.T)
    return _projection(covariance.T @ scaled, estimator.mean_), "none"


def independent_components(estimator: Any) -> tuple[Projection, str]:
    """A fitted FastICA; without whitening it takes off no mean."""
    return _projection(estimator.components_, estimator.mean_ if estimator.whiten else None), "none"


def directions(estimator: Any) -> tuple[Projection, str]:
    """A fitted TruncatedSVD or GaussianRandomProjection: products with its components, no mean taken off."""
    return _projection(estimator.components_, None), "none"


def _projection(components: Any, mean: Any) -> Projection:
    matrix = np.array(components, dtype=np.float64)
    centre = np.zeros(matrix.shape[1]) if mean is None else np.array(mean, dtype=np.float64)
    return Projection(centre, np.ascontiguousarray(matrix), np.ones(len(matrix)))


_MODULE = "sklearn.decomposition"


def _transformer(name: str, convert: Callable[[Any], tuple[Projection, str]], module: str = _MODULE) -> Row:
    return Row(name, module, "transformer", "projection", convert, accepts_weights=False)


ROWS: tuple[Row, ...] = (
    Row("KMeans", "sklearn.cluster", "clusterer", "centres", k_means),
    Row("MiniBatchKMeans", "sklearn.cluster", "clusterer", "centres", k_means),
    Row("MeanShift", "sklearn.cluster", "clusterer", "centres", k_means, accepts_weights=False),
    _transformer("PCA", principal_components),
    _transformer("IncrementalPCA", principal_components),
    _transformer("TruncatedSVD", directions),
    _transformer("FactorAnalysis", factors),
    _transformer("FastICA", independent_components),
    _transformer("GaussianRandomProjection", directions, "sklearn.random_projection"),
)
