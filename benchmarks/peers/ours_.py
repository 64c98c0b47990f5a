"""gpupipe."""

from typing import Any

import numpy as np
import pyarrow.parquet as pq

import gpupipe as gp

from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1."""
    fill: Any = 0 if task.variant == "matrix_zero" else "median"
    numbers = gp.cols(*NUMBERS).fill_null(fill).clip(0).log1p().standardize()
    pipeline = gp.Pipeline([numbers, gp.cols(*WORDS).codes(min_count=15)])
    rows = gp.scan(task.data / "rows.parquet")
    if task.variant == "parquet":
        pq.write_table(pipeline.fit_transform(rows), task.out / "features.parquet")
        task.lap("job")
        return
    matrix = pipeline.fit_transform(rows, output="numpy")
    task.lap("job")
    if task.variant == "models":
        task.train(matrix, pq.read_table(task.data / "rows.parquet", columns=["label"])["label"].to_numpy())
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


if __name__ == "__main__":
    main({"clicks": clicks})
