"""J2 "wide": 200 float32 columns, 5 % of them null, into a row-major float32 matrix of 245 columns.

Each column in turn: nulls become its mean; what then lies outside its own 1 % and 99 % quantiles is moved there; less its
mean, over its standard deviation (divisor n). The quantiles are exact, of the filled column, between two neighbours by
NumPy's linear rule (Hyndman and Fan's type 7). Then the products of each two of the first ten of these.

Needs NumPy and pyarrow alone. The first rows of a larger table are a smaller one.
"""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from . import data

Array = np.ndarray[Any, Any]

ROWS = (500_000, 2_000_000)
VARIANTS = ("matrix",)
COLUMNS = tuple(f"x{number:03}" for number in range(200))
CROSSED = tuple(combinations(COLUMNS[:10], 2))
LOW, HIGH = 0.01, 0.99
NULLS = 0.05
TOLERANCE = 1e-5

FILE = "wide.parquet"
_GROUP = 1 << 17
_SEED = 2


def make(home: Path, rows: int) -> Path:
    """The folder of the data, which are made where they are not there yet."""
    return data.made(home, "wide", rows, write)


def write(folder: Path, rows: int) -> None:
    """The table, a row group at a time; without dictionaries, for hardly two values are equal."""
    groups = (block(first // _GROUP, size) for first, size in data.blocks(rows, _GROUP))
    data.write_groups(folder / FILE, groups, use_dictionary=False)


def block(number: int, rows: int) -> pa.Table:
    """The first `rows` of a row group."""
    return pa.table({name: _column(number, at)[:rows] for at, name in enumerate(COLUMNS)})


def _column(number: int, at: int) -> pa.Array:
    """Normal, log-normal, exponential and heavy-tailed columns take turns, each of its own scale and place."""
    rng = np.random.default_rng([_SEED, number, at])
    kinds = (
        lambda: rng.standard_normal(_GROUP, dtype=np.float32),
        lambda: np.exp(rng.standard_normal(_GROUP, dtype=np.float32)),
        lambda: rng.standard_exponential(_GROUP, dtype=np.float32),
        lambda: rng.standard_normal(_GROUP, dtype=np.float32) / rng.random(_GROUP, dtype=np.float32).clip(1e-3),
    )
    scale, place = np.float32(10.0 ** (at % 7 - 3)), np.float32(at % 5 - 2)
    values = (kinds[at % 4]() + place) * scale
    return pa.array(values, mask=rng.random(_GROUP, dtype=np.float32) < NULLS)


def names() -> list[str]:
    """The matrix's columns, in order."""
    return [*COLUMNS, *(f"{one}_{other}" for one, other in CROSSED)]


def agree(ours: Array, theirs: Array) -> None:
    """Each value within 1e-5 of the other, or of the largest in its column.

    Raises:
        ValueError: they differ; the worst place is told.
    """
    from_matrix(ours, theirs, names(), TOLERANCE)


def from_matrix(ours: Array, theirs: Array, columns: list[str], tolerance: float) -> None:
    """NaN equals NaN alone.

    Raises:
        ValueError: shapes, types or values differ.
    """
    if ours.shape != theirs.shape or ours.shape[1] != len(columns) or {ours.dtype, theirs.dtype} != {np.dtype("f4")}:
        raise ValueError(f"{ours.shape} of {ours.dtype} beside {theirs.shape} of {theirs.dtype}, {len(columns)} wanted")
    for at, name in enumerate(columns):
        one, other = ours[:, at].astype(np.float64), theirs[:, at].astype(np.float64)
        scale = np.nanmax(np.abs(one), initial=0.0)
        apart = np.where(np.isnan(one) & np.isnan(other), 0.0, np.abs(one - other))
        worst = int(np.argmax(np.where(np.isnan(apart), np.inf, apart)))
        if not apart[worst] <= tolerance * max(scale, abs(other[worst])):
            raise ValueError(f"{name}, row {worst}: {one[worst]!r} beside {other[worst]!r}")


if __name__ == "__main__":
    data.main("wide", make)
