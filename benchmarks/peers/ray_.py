"""Ray Data on the cores of one machine.

Its preprocessors have no median, no order by frequency and no least count, and each fits by a pass of its own. So: one
``map_batches`` over the rows gives counts of texts a batch, merged here; exact medians, means and deviations come from
its aggregations; a second ``map_batches`` makes the features.
"""

import os
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
from ray.data.aggregate import Mean, Quantile, Std

from .command import Task, main
from .family import note_family

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1."""
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, logging_level="error")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    task.lap("session")
    path = str(task.data / "rows.parquet")
    medians = np.zeros(len(NUMBERS))
    if task.variant != "matrix_zero":
        found = ray.data.read_parquet(path, columns=NUMBERS).aggregate(*(Quantile(on=n, q=0.5) for n in NUMBERS))
        medians = np.array([found[f"quantile({name})"] for name in NUMBERS], np.float64)
    logs = ray.data.read_parquet(path, columns=NUMBERS).map_batches(
        _logs, fn_args=(medians,), batch_format="pyarrow", batch_size=None
    )
    spread = logs.aggregate(*(Mean(on=n) for n in NUMBERS), *(Std(on=n, ddof=0) for n in NUMBERS))
    means = np.array([spread[f"mean({name})"] for name in NUMBERS])
    deviations = np.array([spread[f"std({name})"] for name in NUMBERS])
    known = ray.put(_vocabularies(path))
    rows = ray.data.read_parquet(path, columns=NUMBERS + WORDS)
    given = (medians, means, deviations, known)
    parts = rows.map_batches(_features, fn_args=given, batch_format="pyarrow", batch_size=None)
    tables = [pa.table(batch) for batch in parts.iter_batches(batch_format="pyarrow", batch_size=None)]
    table = pa.concat_tables(tables)
    if task.variant == "parquet":
        pq.write_table(table, task.out / "features.parquet")
        task.lap("job")
    else:
        matrix = np.empty((table.num_rows, len(NUMBERS + WORDS)), np.float32)
        for at, name in enumerate(NUMBERS + WORDS):
            matrix[:, at] = table[name].to_numpy()
        task.lap("job")
        if task.variant == "models":
            task.train(matrix, pq.read_table(path, columns=["label"])["label"].to_numpy())
        elif task.keep:
            np.save(task.out / "matrix.npy", matrix)
    note_family(task)


def _vocabularies(path: str) -> list[Any]:
    counts = ray.data.read_parquet(path, columns=WORDS).map_batches(_counts, batch_format="pyarrow", batch_size=None)
    parts = pa.concat_tables(list(counts.iter_batches(batch_format="pyarrow", batch_size=None)))
    known = []
    for name in WORDS:
        part = parts.filter(pc.equal(parts["column"], name))
        total = part.group_by("value").aggregate([("count", "sum")])
        total = total.filter(pc.greater_equal(total["count_sum"], 15))
        known.append(total.sort_by([("count_sum", "descending"), ("value", "ascending")])["value"].combine_chunks())
    return known


def _counts(batch: pa.Table) -> pa.Table:
    parts = []
    for name in WORDS:
        found = batch[name].drop_null().value_counts()
        names = pa.array([name]).take(pa.array(np.zeros(len(found), np.int64)))
        parts.append(pa.table({"column": names, "value": found.field("values"), "count": found.field("counts")}))
    return pa.concat_tables(parts)


def _logs(batch: pa.Table, medians: Any) -> pa.Table:
    columns = {}
    for name, median in zip(NUMBERS, medians, strict=True):
        filled = batch[name].cast(pa.float64()).fill_null(median)
        columns[name] = np.log1p(np.maximum(filled.to_numpy(), 0))
    return pa.table(columns)


def _features(batch: pa.Table, medians: Any, means: Any, deviations: Any, known: Any) -> pa.Table:
    logs = _logs(batch, medians)
    columns: dict[str, Any] = {}
    for at, name in enumerate(NUMBERS):
        columns[name] = ((logs[name].to_numpy() - means[at]) / deviations[at]).astype(np.float32)
    for name, values in zip(WORDS, ray.get(known) if isinstance(known, ray.ObjectRef) else known, strict=True):
        place = pc.add(pc.index_in(batch[name], values).fill_null(-1), 2)
        columns[name] = pc.if_else(batch[name].is_valid(), place, 0).cast(pa.int32())
    return pa.table(columns)


if __name__ == "__main__":
    main({"clicks": clicks})
