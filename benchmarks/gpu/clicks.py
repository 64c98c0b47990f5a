"""The rows and the pipeline of J1 (benchmarks/jobs/clicks.py), in a file of several row groups whatever its size."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe import col

from ..jobs.clicks import NUMBERS, WORDS, groups
from ..jobs.data import GROUP


def written(folder: Path, rows: int) -> Path:
    """The rows as a Parquet file, made if it is not there."""
    path = folder / f"clicks-{rows}.parquet"
    if not path.exists():
        pq.write_table(pa.concat_tables(groups(rows)), path, row_group_size=min(GROUP, -(-rows // 4)))
    return path


def features(min_count: int = 15) -> list[object]:
    """What is made of such a table."""
    numbers = gp.cols(*NUMBERS).fill_null("median").clip(0).log1p().standardize()
    return [numbers, gp.cols(*WORDS).codes(min_count=min_count)]


def pipeline(model: object = None, device: str = "auto") -> gp.Pipeline:
    """The whole job; without a model the features alone."""
    target = None if model is None else col("label") == 1
    return gp.Pipeline(features(), target=target, model=model, device=device)
