"""The nearest class centre, and a diagonal discriminant around it."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import ModelOptionError, UnsafeModelError
from gpupipe.models.families.rows import Row
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.linear import by_tiles

Floats = NDArray[np.float64]

METRICS = ("euclidean", "manhattan")
_ARRAYS = ("centroids", "spread", "offset")


@dataclass(frozen=True, eq=False)
class Centroids:
    """For each class how near its centre is, and a discriminant score (Hastie et al. 2009, 18.2).

    Nearness is the distance, negative; the score is ``offset - (distance of the features / spread)²``. Distances are
    added in feature order.

    Attributes:
        centroids: float64, (classes, features).
        spread: float64, (features,), above 0: the deviation within classes.
        offset: float64, (classes,): twice the log prior.
        metric: one of :data:`METRICS`.
    """

    form: ClassVar[str] = "centroids"
    centroids: Floats
    spread: Floats
    offset: Floats
    metric: str

    @property
    def n_outputs(self) -> int:
        return 2 * len(self.centroids)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, 2 × classes): nearness, then scores."""
        return by_tiles(X, self.n_outputs, self._nearness_and_scores)

    def _nearness_and_scores(self, columns: Floats) -> Floats:
        near = self._distances(columns, np.ones_like(self.spread))
        scaled = self._distances(columns, self.spread)
        return np.concatenate([-near, self.offset[:, None] - scaled * scaled])

    def _distances(self, columns: Floats, spread: Floats) -> Floats:
        total = np.zeros((len(self.centroids), columns.shape[1]))
        for feature, values in enumerate(columns):
            off = (values - self.centroids[:, feature, None]) / spread[feature]
            total += off * off if self.metric == "euclidean" else np.abs(off)
        return np.sqrt(total) if self.metric == "euclidean" else total

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        return {"metric": self.metric}, {name: getattr(self, name) for name in _ARRAYS}, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, ("metric",), "parameters")
        checks.only(arrays, _ARRAYS, "arrays")
        checks.only(blobs, (), "blobs")
        metric = params["metric"]
        checks.require(isinstance(metric, str) and metric in METRICS, f"its metric {metric!r} is unknown")
        centroids = checks.array(arrays, "centroids", "float64", (None, n_features))
        spread = checks.array(arrays, "spread", "float64", (n_features,))
        checks.require(bool((spread > 0).all()), "a spread is not above 0")
        return cls(centroids, spread, checks.array(arrays, "offset", "float64", (len(centroids),)), metric)


def nearest_centroid(estimator: Any) -> tuple[Centroids, str]:
    """A fitted NearestCentroid: it decides by nearness if the classes' priors are alike, else by its scores."""
    prior = np.asarray(estimator.class_prior_, dtype=np.float64)
    if len(prior) != len(estimator.classes_):
        raise ModelOptionError(f"NearestCentroid was given {len(prior)} priors for {len(estimator.classes_)} classes.")
    spread = np.array(estimator.within_class_std_dev_, dtype=np.float64)
    with np.errstate(divide="ignore"):  # a prior of 0 is a score of -inf
        offset = 2.0 * np.log(prior)
    centroids = np.array(estimator.centroids_, dtype=np.float64)
    body = Centroids(centroids, np.where(spread == 0, 1.0, spread), offset, estimator.metric)
    link = "nearest" if np.isclose(prior, 1 / len(prior)).all() else "likeliest"
    return body, link if estimator.metric == "euclidean" else f"{link}_only"


def refuse_other_metrics(estimator: Any, feature_names: list[str]) -> None:
    """Refuse, before training, a metric with no saved form."""
    if estimator.metric not in METRICS:
        raise UnsafeModelError(
            f"NearestCentroid(metric={estimator.metric!r}) has no saved form. Use one of: {', '.join(METRICS)}."
        )


ROWS: tuple[Row, ...] = (
    Row(
        "NearestCentroid",
        "sklearn.neighbors",
        "classifier",
        "centroids",
        nearest_centroid,
        accepts_weights=False,
        prepare=refuse_other_metrics,
    ),
)
