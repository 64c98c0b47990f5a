"""Isolation forests: rows that few questions set apart from the others are outliers."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.kernels.reference.math import power
from gpupipe.models.families.forests import tree_table
from gpupipe.models.families.rows import Row
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.trees import Trees, assemble

_PARAMS = ("depth", "offset")


@dataclass(frozen=True, eq=False)
class Isolation:
    """The score is ``-2 ** (-d / depth) - offset``, d the sum of the path lengths (Liu, Ting and Zhou 2008).

    Attributes:
        trees: one output, the path lengths.
        depth: what d is when nothing is set apart, above 0.
        offset: the score, before it is taken off, that parts outliers from the rest.
    """

    form: ClassVar[str] = "isolation"
    trees: Trees
    depth: float
    offset: float

    n_outputs: ClassVar[int] = 1

    def raw(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64, (rows, 1): below 0 for outliers."""
        depths = self.trees.raw(X) / self.depth
        return -power(np.full_like(depths, 2.0), -depths) - self.offset

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        params, arrays, blobs = self.trees.to_parts()
        return {**params, "depth": self.depth, "offset": self.offset}, arrays, blobs

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        depth, offset = (checks.number(params, name) for name in _PARAMS)
        checks.require(depth > 0, "parameter 'depth' is not above 0")
        rest = {name: value for name, value in params.items() if name not in _PARAMS}
        trees = Trees.from_parts(rest, arrays, blobs, n_features)
        checks.require(trees.n_outputs == 1 and not trees.average, "its trees give no single sum")
        return cls(trees, depth, offset)


def isolation_forest(estimator: Any) -> tuple[Isolation, str]:
    """A fitted IsolationForest: at each leaf the length of the path to it, and what its rows would need further."""
    samples = float(estimator._max_samples)
    if samples < 2:
        raise UnsafeModelError("An IsolationForest with one row a tree sets nothing apart. Raise max_samples.")
    tables = []
    lengths = zip(estimator._decision_path_lengths, estimator._average_path_length_per_tree, strict=True)
    members = zip(estimator.estimators_, estimator.estimators_features_, lengths, strict=True)
    for tree, features, (above, beneath) in members:
        tables.append(tree_table(tree.tree_, (above + beneath - 1.0)[:, None], features))
    body = Trees(assemble(tables), np.zeros(1), False, None, int(estimator.n_features_in_))
    return Isolation(body, len(tables) * _path_length(samples), float(estimator.offset_)), "inlier"


def _path_length(samples: float) -> float:
    """The average length of an unsuccessful search among so many rows (Liu et al. 2008, equation 1)."""
    if samples == 2:
        return 1.0
    return float(2.0 * (np.log(samples - 1.0) + np.euler_gamma) - 2.0 * (samples - 1.0) / samples)


ROWS: tuple[Row, ...] = (
    Row(
        "IsolationForest",
        "sklearn.ensemble",
        "outlier_detector",
        "isolation",
        isolation_forest,
        dtype="float32",
        accepts_nan=True,
        compare="decision_function",
    ),
)
