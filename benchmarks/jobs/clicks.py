"""J1 "clicks": a log of clicks in the shape of Criteo's, 13 numbers and 26 columns of text, into a table to train on.

The numbers: nulls by the median of the column (or by 0), below 0 to 0, log1p, less the mean over the deviation (that of
all rows, divided by their number). The text: codes 0 for null, 1 for a value of fewer than 15 rows, from 2 the others:
most frequent first, ties by the text's bytes.

Variants:
    matrix: a float32 matrix in memory, a row after another: columns n1 … n13, c1 … c26. Kept as ``matrix.npy``.
    matrix_zero: the same with nulls of the numbers filled by 0.
    parquet: a Parquet file, ``features.parquet``: numbers float32, codes whole numbers, rows in the same order.
    parquet_files: the same in as many files as one likes, in the folder ``features`` (or in the one file): by their
        names in the order of rows.
    models: the matrix, then logistic regression and XGBoost trained on its first four fifths (training.py beside the
        peers); their AUC on the last fifth is noted, and kept as ``models.json``.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .data import GROUP, blocks, made, main, write_groups

NAME = "clicks"
FILE = "rows.parquet"
VARIANTS = ("matrix", "matrix_zero", "parquet", "parquet_files", "models")
NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]
MIN_COUNT = 15
TYPES = (np.int32, np.float32, np.int64, np.float64)
# Every seventh of 26 sizes from 3 to a million: large and small columns take turns.
SIZES = [int(size) for size in np.geomspace(3, 1_000_000, 26).round()[np.arange(26) * 7 % 26]]
SEED = 5
#: Both fill nulls by dask's medians, approximate over several partitions: at a million rows features are up to .0012
#: and .005 away. Where nulls are filled by 0 these two are held to what all are.
WITHIN = {
    ("dask_ml", "matrix"): 2e-3,
    ("dask_ml", "parquet"): 2e-3,
    ("nvtabular", "matrix"): 1e-2,
    ("nvtabular", "parquet"): 1e-2,
}


def make(home: Path, rows: int) -> Path:
    """The folder with `rows` rows, made where it is not there; fewer rows are the first ones of more."""
    return made(home, NAME, rows, lambda folder, count: write_groups(folder / FILE, groups(count)))


def groups(rows: int) -> Iterator[pa.Table]:
    """The rows, a row group at a time, the same for the same number."""
    for first, count in blocks(rows):
        yield group(first // GROUP).slice(0, count)


def group(number: int) -> pa.Table:
    """The row group of that number, all rows of it."""
    rng = np.random.Generator(np.random.SFC64([SEED, number]))
    columns: dict[str, pa.Array] = {"label": pa.nulls(GROUP, pa.int8())}
    score = np.full(GROUP, -1.5, np.float32)
    for at, name in enumerate(NUMBERS):
        values, missing = _numbers(rng, at)
        score += np.where(missing, 0, np.log1p(np.maximum(values, 0)) * (0.25 if at % 2 else -0.2)).astype(np.float32)
        columns[name] = pa.array(values.astype(TYPES[at % 4]), mask=missing)
    for at, name in enumerate(WORDS):
        ranks, missing = _ranks(rng, at)
        score += np.where(missing, 0, 0.5 * np.sin(ranks * (at + 1.0))).astype(np.float32) if at % 3 == 0 else 0
        columns[name] = texts(at).take(pa.array(ranks, mask=missing))
    clicked = rng.random(GROUP, np.float32) < 1 / (1 + np.exp(-score))
    columns["label"] = pa.array(clicked.astype(np.int8))
    return pa.table(columns)


def _numbers(rng: np.random.Generator, at: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Log-normal less a shift, so that some are below 0; whole ones, cents and continuous ones; 5 to 45 % missing."""
    values = np.exp(rng.standard_normal(GROUP, np.float32) * (1 + at / 12) + at / 4) - np.float32(0.5 + at / 6)
    np.clip(values, -1e6, 1e6, out=values)
    whole = TYPES[at % 4] in (np.int32, np.int64)
    values = np.floor(values) if whole else np.round(values, 2) if at % 8 < 4 else values
    return values, rng.random(GROUP, np.float32) < 0.05 + at / 30


def _ranks(rng: np.random.Generator, at: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Which value, by Zipf's law, exponents .5 to 1.1 (the inverse of its integral); a third of columns with nulls."""
    power = (0.5, 0.4, 0.25, 0.1, 0.01, -0.1)[at % 6]  # 1 - exponent
    span = np.float32((SIZES[at] + 1) ** power - 1)
    ranks = np.power(1 + rng.random(GROUP, np.float32) * span, np.float32(1 / power)).astype(np.int32) - 1
    share = 0.03 * at / 2 if at % 3 == 1 else 0
    return np.clip(ranks, 0, SIZES[at] - 1), rng.random(GROUP, np.float32) < share


@cache
def texts(at: int) -> pa.Array:
    """The values of a text column: hashes of eight hexadecimal digits, every fourth column short codes."""
    ranks = np.arange(SIZES[at], dtype=np.uint64)
    if at % 4 == 3:
        return pa.array([f"k{rank}" for rank in ranks.tolist()])
    hashes = ((ranks * 2654435761 + at * 40503) % 2**32).astype(np.uint32)  # an odd factor: no two alike
    digits = (hashes[:, None] >> np.arange(28, -4, -4, dtype=np.uint32)) & 15
    letters = np.frombuffer(b"0123456789abcdef", np.uint8)[digits]
    offsets = np.arange(0, 8 * len(ranks) + 1, 8, dtype=np.int32)
    return pa.StringArray.from_buffers(len(ranks), pa.py_buffer(offsets), pa.py_buffer(letters.tobytes()))


def agree(ours: Path, theirs: Path, variant: str) -> str:
    """Compare two folders with what one variant left; what was compared, in words.

    Codes are equal, or differ in which of equally frequent values comes first, which is told; numbers differ by at most
    1e-4 + 1e-4 of the value (a peer may round to single precision at each step), or by what `WITHIN` has for a peer
    (its folder has its name) and a variant; AUC by 0.01.

    Raises:
        ValueError: they differ; the first column that does, and where.
    """
    if variant == "models":
        mine, other = (json.loads((folder / "models.json").read_text()) for folder in (ours, theirs))
        apart = {name: abs(mine[name] - other[name]) for name in mine}
        if mine.keys() != other.keys() or max(apart.values()) > 0.01:
            raise ValueError(f"AUC differ: {mine} and {other}")
        return "AUC within 0.01"
    mine, other = (_columns(folder, variant) for folder in (ours, theirs))
    within = WITHIN.get((theirs.name, variant), 1e-4)
    tied = [name for at, name in enumerate(NUMBERS + WORDS) if not _same(name, mine(at), other(at), within)]
    told = f", in {len(tied)} columns but for which of equally frequent values comes first" if tied else ""
    return f"all {len(NUMBERS + WORDS)} columns: numbers within {within:g}, codes equal{told}"


def _columns(folder: Path, variant: str) -> Callable[[int], NDArray[Any]]:
    if variant.startswith("parquet"):
        files = folder / "features"
        path = files if files.is_dir() else folder / "features.parquet"
        return lambda at: pq.read_table(path, columns=[(NUMBERS + WORDS)[at]]).column(0).to_numpy()
    matrix = np.load(folder / "matrix.npy", mmap_mode="r")
    if matrix.dtype != np.float32 or matrix.ndim != 2 or not matrix.flags.c_contiguous:
        raise ValueError(f"{folder / 'matrix.npy'} is no float32 matrix, row after row")
    return lambda at: matrix[:, at]


def _same(name: str, mine: NDArray[Any], other: NDArray[Any], within: float = 1e-4) -> bool:
    """Whether they are equal; False: but for the order of values that are equally frequent."""
    if len(mine) != len(other):
        raise ValueError(f"{name}: {len(mine)} rows and {len(other)}")
    close = mine == other if name in WORDS else np.isclose(mine, other, rtol=within, atol=within)
    if name in WORDS and not close.all() and _tied(mine, other):
        return False
    if not close.all():
        row = int(np.flatnonzero(~close)[0])
        wrong = int((~close).sum())
        raise ValueError(f"{name}: {wrong} of {len(mine)} rows differ; row {row} is {mine[row]} and {other[row]}")
    return True


def _tied(mine: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether codes stand for each other one to one, and each for as many rows in both: so only ties differ."""
    mine, other = (codes.astype(np.int64) for codes in (mine, other))
    pairs = np.unique((mine << 32) | other)
    one_to_one = len(pairs) == len(np.unique(mine)) == len(np.unique(other))
    return one_to_one and np.array_equal(np.bincount(mine), np.bincount(other))


if __name__ == "__main__":
    main(NAME, make)
