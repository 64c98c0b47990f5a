"""The forms models are kept in, by name."""

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.bayes import Categorical, Gaussian
from gpupipe.models.checks import Arrays, Blobs, Params
from gpupipe.models.cluster import Centres, Projection
from gpupipe.models.isolation import Isolation
from gpupipe.models.linear import Linear
from gpupipe.models.staged import MedianTrees
from gpupipe.models.trees import Trees
from gpupipe.models.xgb import XGBoost

Parts = tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]


class Body(Protocol):
    """A form models are kept in: numbers, and how raw outputs follow from them."""

    form: ClassVar[str]

    @property
    def n_outputs(self) -> int:
        """Raw outputs a row."""

    def raw(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Raw outputs, (rows, outputs), each row by itself."""

    def to_parts(self) -> Parts:
        """Parameters for JSON, arrays, blobs."""

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        """The reverse; raises ArtifactCorruptError unless every part is right."""


FORMS: dict[str, type[Any]] = {
    form.form: form for form in (Linear, Gaussian, Categorical, Trees, MedianTrees, Isolation, Centres, Projection, XGBoost)
}
