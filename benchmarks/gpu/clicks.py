"""Tables shaped like a log of clicks: a label, 13 skewed numbers with nulls, 26 text columns of many sizes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import gpupipe as gp
from gpupipe import col

NUMBERS = [f"n{at}" for at in range(13)]
WORDS = [f"c{at}" for at in range(26)]
SIZES = np.unique(np.geomspace(3, 1_000_000, 26).astype(int)).tolist()
ROW_GROUP = 1 << 18


def table(rows: int, seed: int = 5) -> pa.Table:
    """`rows` rows, the same for the same seed; what a text column may hold grows with the rows at most."""
    rng = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    score = np.zeros(rows)
    for at, name in enumerate(NUMBERS):
        values = rng.lognormal(1, 1.5, rows) - 1
        values = np.floor(values) if at % 3 else values
        missing = rng.random(rows) < 0.05 + 0.03 * at
        score += np.where(missing, 0, np.log1p(np.maximum(values, 0)) * (0.3 if at % 2 else -0.2))
        columns[name] = pa.array(values.astype(np.float32), mask=missing)
    for at, (name, size) in enumerate(zip(WORDS, SIZES, strict=False)):
        ids = np.minimum(rng.zipf(1.3, rows) - 1, min(size, rows) - 1).astype(np.int32)
        score += 0.4 * np.sin(ids * (at + 1.0)) if at < 6 else 0
        columns[name] = words(ids, at)
    chance = 1 / (1 + np.exp(-(score - score.mean())))
    columns["label"] = pa.array((rng.random(rows) < chance).astype(np.int8))
    return pa.table(columns)


def words(ids: NDArray[np.int32], at: int) -> pa.Array:
    """Short codes or hexadecimal hashes, by the number of the column."""
    used, places = np.unique(ids, return_inverse=True)
    texts = [f"{(int(i) * 2654435761 + at) % 2**32:08x}" if at % 2 else f"k{i}" for i in used]
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), pa.array(texts)).cast(pa.string())


def written(folder: Path, rows: int, seed: int = 5) -> Path:
    """The table as a Parquet file of several row groups, made if it is not there."""
    path = folder / f"clicks-{rows}-{seed}.parquet"
    if not path.exists():
        pq.write_table(table(rows, seed), path, row_group_size=min(ROW_GROUP, -(-rows // 4)))
    return path


def features(min_count: int = 15) -> list[object]:
    """What is made of such a table."""
    numbers = gp.cols(*NUMBERS).fill_null("median").clip(0).log1p().standardize()
    return [numbers, gp.cols(*WORDS).codes(min_count=min_count)]


def pipeline(model: object = None, device: str = "auto") -> gp.Pipeline:
    """The whole job; without a model the features alone."""
    target = None if model is None else col("label") == 1
    return gp.Pipeline(features(), target=target, model=model, device=device)
