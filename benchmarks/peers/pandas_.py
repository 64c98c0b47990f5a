"""pandas.

J1: ``read_parquet`` gives text backed by Arrow, which ``factorize`` hashes; the rest is NumPy's.
"""

from typing import Any

import numpy as np
import pandas as pd

from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1."""
    rows = pd.read_parquet(task.data / "rows.parquet", columns=NUMBERS + WORDS)
    task.lap("read")
    matrix = np.empty((len(rows), len(NUMBERS + WORDS)), np.float32)
    for at, name in enumerate(NUMBERS):
        matrix[:, at] = _scaled(rows[name], task.variant == "matrix_zero")
    task.lap("numbers")
    for at, name in enumerate(WORDS, len(NUMBERS)):
        matrix[:, at] = _codes(rows[name])
    task.lap("codes")
    if task.variant == "parquet":
        features = pd.DataFrame(matrix, columns=NUMBERS + WORDS, copy=False)
        features.astype(dict.fromkeys(WORDS, np.int32)).to_parquet(task.out / "features.parquet", index=False)
        task.lap("write")
    elif task.variant == "models":
        task.train(matrix, pd.read_parquet(task.data / "rows.parquet", columns=["label"])["label"].to_numpy())
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _scaled(column: "pd.Series[Any]", zero: bool) -> Any:
    values = np.log1p(column.fillna(0 if zero else column.median()).astype(np.float64).clip(lower=0))
    return (values - values.mean()) / values.std(ddof=0)


def _codes(column: "pd.Series[Any]") -> Any:
    places, values = pd.factorize(column)  # nulls are at place -1
    counts = np.bincount(places[places >= 0], minlength=len(values))
    kept = np.flatnonzero(counts >= 15)
    texts = values.take(kept)
    order = kept[np.lexsort((np.argsort(np.argsort(texts)), -counts[kept]))]
    codes = np.ones(len(values) + 1, np.float32)
    codes[order] = np.arange(2, 2 + len(order))
    codes[-1] = 0  # where place -1 looks
    return codes[places]


if __name__ == "__main__":
    main({"clicks": clicks})
