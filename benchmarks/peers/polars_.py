"""Polars.

J1: what was tried at a million rows, CPU seconds without the start. Taken: read once, eagerly (.4); the medians, then
the filled logarithms once, kept for their mean, deviation and the last step (.45); vocabularies by a grouping each,
collected together (.7); codes by ``cast(Enum)``, its physical numbers, nulls and rare ones in one ``fill_null`` (.45);
together 2.1. Left: the same lazily, which decodes the file in each of three queries (3.0, by the streaming engine 3.1,
with .7 of the memory); medians inside the query of the statistics, which computes them twice (.9 for .45);
``value_counts`` (1.2 for .7); ``when / then / otherwise`` about the codes (.57); ``replace_strict`` (.9); casts to
Categorical (1.0 before any count).
"""

import numpy as np
import polars as pl

from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1."""
    rows = pl.read_parquet(task.data / "rows.parquet", columns=NUMBERS + WORDS)
    task.lap("read")
    numbers = _scaled(rows, task.variant == "matrix_zero")
    task.lap("numbers")
    vocabularies = pl.collect_all([_vocabulary(rows.lazy(), name) for name in WORDS])
    task.lap("vocabularies")
    codes = rows.select(_code(name, each["value"]) for name, each in zip(WORDS, vocabularies, strict=True))
    task.lap("codes")
    features = pl.concat([numbers, codes], how="horizontal")
    if task.variant == "parquet":
        features.with_columns(pl.col(WORDS).cast(pl.Int32)).write_parquet(task.out / "features.parquet")
        task.lap("write")
        return
    matrix = features.to_numpy(order="c")
    task.lap("matrix")
    if task.variant == "models":
        task.train(matrix, pl.read_parquet(task.data / "rows.parquet", columns=["label"])["label"].to_numpy())
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _scaled(rows: pl.DataFrame, zero: bool) -> pl.DataFrame:
    fills = [0] * len(NUMBERS) if zero else rows.select(pl.col(NUMBERS).median()).row(0)
    logs = rows.select(
        pl.col(name).fill_null(fill).cast(pl.Float64).clip(0).log1p()
        for name, fill in zip(NUMBERS, fills, strict=True)
    )
    value = pl.col(NUMBERS)
    return logs.select(((value - value.mean()) / value.std(ddof=0)).cast(pl.Float32))


def _vocabulary(rows: pl.LazyFrame, name: str) -> pl.LazyFrame:
    counted = rows.select(value=name).drop_nulls().group_by("value").len().filter(pl.col("len") >= 15)
    return counted.sort("len", "value", descending=[True, False]).select("value")


def _code(name: str, vocabulary: pl.Series) -> pl.Expr:
    known = pl.col(name).cast(pl.Enum(vocabulary), strict=False).to_physical().cast(pl.Float32) + 2
    return known.fill_null(pl.col(name).is_not_null().cast(pl.Float32))


if __name__ == "__main__":
    main({"clicks": clicks})
