"""Whether two results that are matrices are the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MATRIX = "matrix.npy"
_STRETCH = 1 << 16


def same_matrix(ours: Path, theirs: Path, names: Sequence[str], tolerance: float) -> str:
    """Compare ``matrix.npy`` of two folders: float32, a row after another, a column for each of `names`.

    Values are the same that are both NaN, or no further apart than `tolerance` times the largest of that column.

    Raises:
        ValueError: a shape or type is another, or values differ: the first column, and the row where it is worst.
    """
    mine, other = (_matrix(folder / MATRIX, len(names)) for folder in (ours, theirs))
    if mine.shape != other.shape:
        raise ValueError(f"{mine.shape[0]} rows and {other.shape[0]}")
    scale = np.zeros(len(names))
    worst, rows = np.zeros(len(names)), np.zeros(len(names), dtype=int)
    for first in range(0, len(mine), _STRETCH):
        one, two = (matrix[first : first + _STRETCH].astype(np.float64) for matrix in (mine, other))
        scale = np.fmax(scale, np.fmax.reduce(np.abs(one), axis=0))
        apart = np.where(np.isnan(one) & np.isnan(two), 0.0, np.abs(one - two))
        apart[np.isnan(apart)] = np.inf
        further = apart.max(axis=0) > worst
        rows[further] = first + apart.argmax(axis=0)[further]
        worst = np.maximum(worst, apart.max(axis=0))
    for at in np.flatnonzero(worst > tolerance * scale)[:1]:
        row = rows[at]
        raise ValueError(
            f"{names[at]}: row {row} is {mine[row, at]} and {other[row, at]}, the largest is {scale[at]:.6g}"
        )
    return f"all {len(names)} columns: within {tolerance:g} of the column's largest value"


def _matrix(path: Path, width: int) -> NDArray[Any]:
    matrix: NDArray[Any] = np.load(path, mmap_mode="r")
    if matrix.dtype != np.float32 or matrix.ndim != 2 or matrix.shape[1] != width or not matrix.flags.c_contiguous:
        raise ValueError(f"{path} is no float32 matrix of {width} columns, row after row")
    return matrix
