"""Training rows that a model keeps: support vectors, neighbours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays


def kept(rows: Any) -> NDArray[Any]:
    """Float32 where these are features, which are float32; float64 where a model before made them up."""
    given = np.array(rows, dtype=np.float64)
    with np.errstate(over="ignore"):
        small = given.astype(np.float32)
    return small if (small == given).all() else given


def read(arrays: Arrays, name: str, n_features: int) -> NDArray[Any]:
    """The array that :func:`kept` gave. Raises ArtifactCorruptError."""
    found = arrays.get(name)
    dtype = "float64" if isinstance(found, np.ndarray) and found.dtype == np.float64 else "float32"
    return checks.array(arrays, name, dtype, (None, n_features))
