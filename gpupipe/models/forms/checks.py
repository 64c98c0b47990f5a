"""Checks on the parts of a saved model: whatever a file says, nothing is trusted before it stood here.

A model that passes these checks cannot make a predictor read out of bounds or loop for ever.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import ArtifactCorruptError

Params = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]
Blobs = Mapping[str, bytes]


def corrupt(what: str) -> ArtifactCorruptError:
    """The error for a model part that cannot be right; `what` says which and why."""
    return ArtifactCorruptError(
        f"The saved model is damaged: {what}. Load it from another copy, or train and save it again."
    )


def require(condition: bool, what: str) -> None:
    """Raise ArtifactCorruptError naming `what` unless `condition` holds."""
    if not condition:
        raise corrupt(what)


def only(parts: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    """Raise ArtifactCorruptError unless the keys of `parts` are exactly `names`."""
    require(
        set(parts) == set(names),
        f"its {where} are {sorted(map(str, parts))}, where there should be {sorted(names)}",
    )


def array(arrays: Arrays, name: str, dtype: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """`arrays[name]`, C-ordered, of exactly `dtype` and of `shape` (None: any length along that axis).

    Raises:
        ArtifactCorruptError: it is missing, or has another dtype or shape, or holds NaN.
    """
    require(name in arrays, f"array {name!r} is missing")
    found = arrays[name]
    require(isinstance(found, np.ndarray), f"{name!r} is a {type(found).__name__}, not an array")
    require(found.dtype == np.dtype(dtype), f"array {name!r} holds {found.dtype}, not {dtype}")
    fits = found.ndim == len(shape) and all(
        wanted is None or wanted == length for wanted, length in zip(shape, found.shape, strict=True)
    )
    require(fits, f"array {name!r} has shape {found.shape}, where {shape} is needed (None: any length)")
    require(found.dtype.kind != "f" or not np.isnan(found).any(), f"array {name!r} holds NaN")
    return np.ascontiguousarray(found)


def integers(found: NDArray[Any], name: str, low: Any, high: Any) -> None:
    """Raise ArtifactCorruptError unless every value of `found` lies in low … high - 1 (numbers or arrays)."""
    require(
        not ((found < low) | (found >= high)).any(),
        f"array {name!r} points outside of what there is",
    )


def number(params: Params, name: str) -> float:
    """`params[name]` as a finite float."""
    value = params.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    require(is_number and bool(np.isfinite(float(value or 0))), f"parameter {name!r} is {value!r}, not a number")
    return float(value)  # type: ignore[arg-type]


def flag(params: Params, name: str) -> bool:
    """`params[name]`, which must be true or false."""
    value = params.get(name)
    require(isinstance(value, bool), f"parameter {name!r} is {value!r}, not true or false")
    return bool(value)
