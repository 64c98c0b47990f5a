"""NVTabular on the CPU: its own operators over a dask dataset, as its examples of Criteo's logs are written.

It numbers the categories from 3 (0 is for padding, 1 for null, 2 for all others), so that 1 is taken off. Its
deviation is that of a sample (n - 1). Its medians are dask's quantiles, approximate over several partitions. Values
that are equally frequent come in its own order.
"""

import shutil

import numpy as np
import nvtabular as nvt
import pyarrow.parquet as pq
from nvtabular import ops

from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1."""
    fill = ops.FillMissing(0) if task.variant == "matrix_zero" else ops.FillMedian()
    numbers = NUMBERS >> fill >> ops.Clip(min_value=0) >> ops.LogOp() >> ops.Normalize()
    tables = task.out / "categories"
    words = WORDS >> ops.Categorify(freq_threshold=15, out_path=str(tables)) >> ops.LambdaOp(lambda codes: codes - 1)
    workflow = nvt.Workflow(numbers + words)
    rows = nvt.Dataset(str(task.data / "rows.parquet"), engine="parquet", cpu=True, part_size="128MB")
    done = workflow.fit_transform(rows)
    if task.variant == "parquet":
        done.to_parquet(str(task.out / "features"), output_files=1)
        task.lap("job")
        _one_file(task)
    else:
        frame = done.to_ddf().compute(scheduler="threads")
        matrix = np.ascontiguousarray(frame[NUMBERS + WORDS].to_numpy(np.float32))
        task.lap("job")
        if task.variant == "models":
            task.train(matrix, pq.read_table(task.data / "rows.parquet", columns=["label"])["label"].to_numpy())
        elif task.keep:
            np.save(task.out / "matrix.npy", matrix)
    shutil.rmtree(tables, ignore_errors=True)


def _one_file(task: Task) -> None:
    (part,) = (task.out / "features").glob("*.parquet")
    part.rename(task.out / "features.parquet")
    shutil.rmtree(task.out / "features")


if __name__ == "__main__":
    main({"clicks": clicks})
