"""dask-ml: its preprocessing over a dask frame read from Parquet, on the threads of one machine.

Its imputer's median is dask's quantile, which is approximate over several partitions. It has no encoder with a least
count: vocabularies come from dask's ``value_counts``, all columns in one pass, and codes from pandas' categories made
of them, which is what its OrdinalEncoder does. The frame is computed once, at the end.
"""

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from dask_ml.impute import SimpleImputer
from dask_ml.preprocessing import StandardScaler

from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1."""
    dask.config.set(scheduler="threads")
    rows = dd.read_parquet(task.data / "rows.parquet", columns=NUMBERS + WORDS, split_row_groups=True)
    done = dd.concat([_numbers(rows[NUMBERS], task.variant), _words(rows[WORDS])], axis=1)
    frame = done.compute()
    if task.variant == "parquet":
        frame.to_parquet(task.out / "features.parquet", index=False)
        task.lap("job")
        return
    matrix = np.ascontiguousarray(frame.to_numpy(np.float32))
    task.lap("job")
    if task.variant == "models":
        task.train(matrix, pq.read_table(task.data / "rows.parquet", columns=["label"])["label"].to_numpy())
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _numbers(rows: dd.DataFrame, variant: str) -> dd.DataFrame:
    rows = rows.astype(np.float64)
    zero = variant == "matrix_zero"
    filled = rows.fillna(0) if zero else SimpleImputer(strategy="median").fit_transform(rows)
    logs = filled.clip(lower=0).map_partitions(np.log1p)
    return StandardScaler().fit_transform(logs).astype(np.float32)


def _words(rows: dd.DataFrame) -> dd.DataFrame:
    counts = dask.compute(*(rows[name].value_counts() for name in WORDS))
    kinds = {}
    for name, count in zip(WORDS, counts, strict=True):
        kept = count[count >= 15]
        order = np.lexsort((kept.index.to_numpy(str), -kept.to_numpy()))
        kinds[name] = pd.CategoricalDtype(kept.index[order].astype(str))
    return rows.map_partitions(_coded, kinds, meta=dict.fromkeys(WORDS, np.int32))


def _coded(part: pd.DataFrame, kinds: dict[str, pd.CategoricalDtype]) -> pd.DataFrame:
    codes = {name: pd.Categorical(part[name], dtype=kinds[name]).codes.astype(np.int32) + 2 for name in WORDS}
    for name in WORDS:
        codes[name][part[name].isna().to_numpy()] = 0
    return pd.DataFrame(codes, index=part.index)


if __name__ == "__main__":
    main({"clicks": clicks})
