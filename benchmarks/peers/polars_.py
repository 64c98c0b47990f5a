"""Polars.

J1: what was tried at a million rows, CPU seconds without the start. Taken: read once, eagerly (.4); the medians, then
the filled logarithms once, kept for their mean, deviation and the last step (.45); vocabularies by a grouping each,
collected together (.7); codes by ``cast(Enum)``, its physical numbers, nulls and rare ones in one ``fill_null`` (.45);
together 2.1. Left: the same lazily, which decodes the file in each of three queries (3.0, by the streaming engine 3.1,
with .7 of the memory); medians inside the query of the statistics, which computes them twice (.9 for .45);
``value_counts`` (1.2 for .7); ``when / then / otherwise`` about the codes (.57); ``replace_strict`` (.9); casts to
Categorical (1.0 before any count).

J2: at half a million rows. Taken: read once, eagerly (.6), then a select a step; of the 1 % of rows at either end,
which ``bottom_k`` and ``top_k`` give, the two that a quantile lies between (.5). Left, for the bounds: ``quantile``
with a list (3.1; ``--set quantiles=list``), twice with a number (6.3), of the sorted column (3.4). Left: one lazy query
with two quantiles, in memory (7.8 for all steps; eagerly 7.7) or by the streaming engine (10.2).

J3: at a million rows. Taken: read once, eagerly (.2), then one query, in memory, with means and sums over groups as
windows (1.1). Left: the same with joins to small tables (1.15), those by the streaming engine (1.8), also from the
file.
"""

from collections.abc import Sequence
from itertools import combinations
from math import floor

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
    if task.variant.startswith("parquet"):
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
    dtype = pl.Int32 if task.variant.startswith("parquet") else pl.Float32
    return [_code(name, each["value"], dtype) for name, each in zip(WORDS, vocabularies, strict=True)]


def _code(name: str, vocabulary: pl.Series, dtype: type[pl.DataType]) -> pl.Expr:
    known = pl.col(name).cast(pl.Enum(vocabulary), strict=False).to_physical().cast(dtype) + 2
    return known.fill_null(pl.col(name).is_not_null().cast(dtype))


def wide(task: Task) -> None:
    """J2."""
    x = pl.all()
    rows = pl.read_parquet(task.data / "rows.parquet")
    task.lap("read")
    rows = rows.select(x.fill_null(x.mean()))
    if task.settings.get("quantiles") == "list":
        bounds = [tuple(column[0]) for column in rows.select(x.quantile([0.01, 0.99], "linear"))]
    else:
        bounds = list(zip(_low_quantile(rows), _high_quantile(rows), strict=True))
    task.lap("quantiles")
    rows = rows.select(pl.col(name).clip(*each) for name, each in zip(rows.columns, bounds, strict=True))
    rows = rows.select((x - x.mean()) / x.std(ddof=0))
    pairs = combinations(rows.columns[:10], 2)
    matrix = rows.with_columns((pl.col(a) * pl.col(b)).alias(f"{a}_{b}") for a, b in pairs).to_numpy(order="c")
    task.lap("features, matrix")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _low_quantile(rows: pl.DataFrame) -> tuple[float, ...]:
    place = 0.01 * (len(rows) - 1)
    pair = rows.select(pl.all().bottom_k(floor(place) + 2).top_k(2).sort()).cast(pl.Float64)
    return pair.select(pl.all().first() + (pl.all().last() - pl.all().first()) * (place - floor(place))).row(0)


def _high_quantile(rows: pl.DataFrame) -> tuple[float, ...]:
    place = 0.99 * (len(rows) - 1)
    pair = rows.select(pl.all().top_k(len(rows) - floor(place)).bottom_k(2).sort()).cast(pl.Float64)
    return pair.select(pl.all().first() + (pl.all().last() - pl.all().first()) * (place - floor(place))).row(0)


def trips(task: Task) -> None:
    """J3."""
    rows = pl.read_parquet(task.data / "rows.parquet")
    task.lap("read")
    at, ended, fare, tipped = (pl.col(name) for name in ("pickup_at", "dropoff_at", "fare", "tipped"))
    hour, weekday = at.dt.hour().alias("hour"), at.dt.weekday()
    prior = (tipped.sum() - tipped.sum().over("fold")) / (pl.len() - pl.len().over("fold"))
    features = [
        *(hour, weekday.alias("weekday"), at.dt.day().alias("day"), at.dt.month().alias("month")),
        *(at.dt.ordinal_day().alias("ordinal_day"), (weekday >= 6).alias("is_weekend")),
        *((ended - at).dt.total_seconds().alias("seconds"), _kilometres()),
        *(pl.col("passengers").fill_null(1), pl.col("pickup_zone"), pl.col("dropoff_zone")),
        fare.mean().over("pickup_zone", hour).alias("zone_hour_fare"),
        *(_target_mean(name) for name in ("driver", "pickup_zone", "dropoff_zone")),
        *(each for name in ("vendor", "payment", "rate") for each in _one_hot(rows[name])),
    ]
    query = rows.lazy().with_columns(prior=prior).select(features).cast(pl.Float32)
    matrix = query.collect().to_numpy(order="c")
    task.lap("features, matrix")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _kilometres() -> pl.Expr:
    south, west, north, east = (
        pl.col(name).radians() for name in ("pickup_lat", "pickup_lon", "dropoff_lat", "dropoff_lon")
    )
    across = ((north - south) / 2).sin() ** 2 + south.cos() * north.cos() * ((east - west) / 2).sin() ** 2
    return (2 * 6371.0 * across.sqrt().arcsin()).fill_null(float("nan")).alias("kilometres")


def _target_mean(name: str) -> pl.Expr:
    tipped = pl.col("tipped")
    total = tipped.sum().over(name) - tipped.sum().over(name, "fold")
    count = pl.len().over(name) - pl.len().over(name, "fold")
    return ((total + 20 * pl.col("prior")) / (count + 20)).alias(f"{name}_target_mean")


def _one_hot(column: pl.Series) -> list[pl.Expr]:
    values = column.drop_nulls().unique().sort()
    return [(pl.col(column.name) == value).fill_null(False).alias(f"{column.name}_{value}") for value in values]


if __name__ == "__main__":
    main({"clicks": clicks, "wide": wide, "trips": trips})
