"""J2 "wide": 200 float32 columns, 5 % of their values null, into a float32 matrix of 245 columns, row after row.

Each column: nulls become its mean; what then lies outside its own 1 % and 99 % quantiles is moved there; less the
mean, over the deviation (that of all rows, divided by their number). The quantiles are exact, those of the filled
column, and between two neighbours by NumPy's linear rule (Hyndman and Fan 1996, type 7). Then the product of each two
of the first ten.

Variants:
    matrix: in memory. Kept as ``matrix.npy``.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .data import blocks, made, main, write_groups
from .matrices import same_matrix

NAME = "wide"
FILE = "rows.parquet"
VARIANTS = ("matrix",)
COLUMNS = [f"x{at}" for at in range(200)]
CROSSED = [f"{one}_{other}" for one, other in combinations(COLUMNS[:10], 2)]
NULLS = 0.05
TOLERANCE = 1e-5
GROUP = 1 << 17  # 105 MB a row group
SEED = 6

Values = NDArray[np.float32]


def make(home: Path, rows: int) -> Path:
    """The folder with `rows` rows, made where it is not there; fewer rows are the first ones of more.

    Written without dictionaries: hardly two values are equal.
    """
    return made(home, NAME, rows, write)


def write(folder: Path, rows: int) -> None:
    write_groups(folder / FILE, groups(rows), use_dictionary=False)


def groups(rows: int) -> Iterator[pa.Table]:
    """The rows, a row group at a time, the same for the same number."""
    for first, count in blocks(rows, GROUP):
        yield group(first // GROUP).slice(0, count)


def group(number: int) -> pa.Table:
    """The row group of that number, all rows of it."""
    rng = np.random.Generator(np.random.SFC64([SEED, number]))
    return pa.table({name: _column(rng, at) for at, name in enumerate(COLUMNS)})


def _column(rng: np.random.Generator, at: int) -> pa.Array:
    """Four kinds take turns, each of another place and scale (over seven powers of ten)."""
    scale, place = np.float32(10.0 ** (at % 7 - 3)), np.float32(at % 5 - 2)
    values = (_KINDS[at % len(_KINDS)](rng) + place) * scale
    return pa.array(values, mask=rng.random(GROUP, np.float32) < NULLS)


def _normal(rng: np.random.Generator) -> Values:
    return rng.standard_normal(GROUP, np.float32)


def _lognormal(rng: np.random.Generator) -> Values:
    return np.exp(rng.standard_normal(GROUP, np.float32))


def _exponential(rng: np.random.Generator) -> Values:
    return rng.standard_exponential(GROUP, np.float32)


def _heavy_tailed(rng: np.random.Generator) -> Values:
    return _normal(rng) / rng.random(GROUP, np.float32).clip(np.float32(1e-3))


_KINDS: list[Callable[[np.random.Generator], Values]] = [_normal, _lognormal, _exponential, _heavy_tailed]


def agree(ours: Path, theirs: Path, variant: str) -> str:
    """Compare two folders with what one variant left; what was compared, in words.

    Raises:
        ValueError: they differ; the first column that does, and where.
    """
    return same_matrix(ours, theirs, COLUMNS + CROSSED, TOLERANCE)


if __name__ == "__main__":
    main(NAME, make)
