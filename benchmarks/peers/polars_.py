"""Polars.

J1: what was tried at a million rows, CPU seconds without the start. Taken: read once, eagerly (.4); the medians, then
the filled logarithms once, kept for their mean, deviation and the last step (.45); vocabularies by a grouping each,
collected together (.7); codes by ``cast(Enum)``, its physical numbers, nulls and rare ones in one ``fill_null`` (.45);
together 2.1. Left: the same lazily, which decodes the file in each of three queries (3.0, by the streaming engine 3.1,
with .7 of the memory); medians inside the query of the statistics, which computes them twice (.9 for .45);
``value_counts`` (1.2 for .7); ``when / then / otherwise`` about the codes (.57); ``replace_strict`` (.9); casts to
Categorical (1.0 before any count).
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1: in memory where ten million rows and fewer are, streamed beyond."""
    path = task.data / "rows.parquet"
    many = pl.scan_parquet(path).select(pl.len()).collect().item() > 10_000_000
    streamed = task.settings.get("way", "streamed" if many else "in memory") == "streamed"
    features = _streamed(task) if streamed else _in_memory(task).lazy()
    if task.variant == "parquet":
        features.sink_parquet(task.out / "features.parquet", compression="snappy")  # as the others do
        task.lap("write")
        return
    matrix = features.collect(engine="streaming" if streamed else "auto").to_numpy(order="c")
    task.lap("matrix")
    if task.variant == "models":
        task.train(matrix, pl.read_parquet(path, columns=["label"])["label"].to_numpy())
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _in_memory(task: Task) -> pl.DataFrame:
    rows = pl.read_parquet(task.data / "rows.parquet", columns=NUMBERS + WORDS)
    task.lap("read")
    fills = _fills(rows.lazy(), task)
    value = pl.col(NUMBERS)
    logs = rows.select(_logs(fills))
    numbers = logs.select(((value - value.mean()) / value.std(ddof=0)).cast(pl.Float32))
    task.lap("numbers")
    vocabularies = pl.collect_all([_vocabulary(rows.lazy(), name) for name in WORDS])
    task.lap("vocabularies")
    codes = rows.select(_codes(vocabularies, task))
    task.lap("codes")
    return pl.concat([numbers, codes], how="horizontal")


def _streamed(task: Task) -> pl.LazyFrame:
    rows = pl.scan_parquet(task.data / "rows.parquet").select(NUMBERS + WORDS)
    logs = _logs(_fills(rows, task))
    value = pl.col(NUMBERS)
    moments = rows.select(logs).select(value.mean(), value.std(ddof=0).name.suffix("_std")).collect(engine="streaming")
    found = moments.row(0, named=True)
    task.lap("numbers")
    vocabularies = pl.collect_all([_vocabulary(rows, name) for name in WORDS], engine="streaming")
    task.lap("vocabularies")
    numbers = [
        ((log - found[name]) / found[f"{name}_std"]).cast(pl.Float32) for name, log in zip(NUMBERS, logs, strict=True)
    ]
    return rows.select(*numbers, *_codes(vocabularies, task))


def _fills(rows: pl.LazyFrame, task: Task) -> Sequence[float]:
    if task.variant == "matrix_zero":
        return [0] * len(NUMBERS)
    return rows.select(pl.col(NUMBERS).median()).collect(engine="streaming").row(0)


def _logs(fills: Sequence[float]) -> list[pl.Expr]:
    return [
        pl.col(name).fill_null(fill).cast(pl.Float64).clip(0).log1p()
        for name, fill in zip(NUMBERS, fills, strict=True)
    ]


def _vocabulary(rows: pl.LazyFrame, name: str) -> pl.LazyFrame:
    counted = rows.select(value=name).drop_nulls().group_by("value").len().filter(pl.col("len") >= 15)
    return counted.sort("len", "value", descending=[True, False]).select("value")


def _codes(vocabularies: Sequence[pl.DataFrame], task: Task) -> list[pl.Expr]:
    dtype = pl.Int32 if task.variant == "parquet" else pl.Float32
    return [_code(name, each["value"], dtype) for name, each in zip(WORDS, vocabularies, strict=True)]


def _code(name: str, vocabulary: pl.Series, dtype: type[pl.DataType]) -> pl.Expr:
    known = pl.col(name).cast(pl.Enum(vocabulary), strict=False).to_physical().cast(dtype) + 2
    return known.fill_null(pl.col(name).is_not_null().cast(dtype))


if __name__ == "__main__":
    main({"clicks": clicks})
