"""gpupipe."""

from itertools import combinations
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe import col

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
        pipeline.fit_transform(rows, out=task.out / "features.parquet")
        task.lap("job")
        return
    matrix = pipeline.fit_transform(rows, output="numpy")
    task.lap("job")
    if task.variant == "models":
        task.train(matrix, pq.read_table(task.data / "rows.parquet", columns=["label"])["label"].to_numpy())
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


def wide(task: Task) -> None:
    """J2."""
    scaled = [_winsorized(gp.col(f"x{at}")) for at in range(200)]
    crossed = [(scaled[one] * scaled[other]).alias(f"x{one}_x{other}") for one, other in combinations(range(10), 2)]
    matrix = gp.Pipeline([*scaled, *crossed]).fit_transform(gp.scan(task.data / "rows.parquet"), output="numpy")
    task.lap("job")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _winsorized(x: gp.Expr) -> gp.Expr:
    filled = x.fill_null("mean")
    return filled.clip(filled.quantile(0.01), filled.quantile(0.99)).standardize()


def trips(task: Task) -> None:
    """J3."""
    at, ended = col("pickup_at"), col("dropoff_at")
    parts = [at.dt.hour(), at.dt.weekday(), at.dt.day(), at.dt.month(), at.dt.ordinal_day(), at.dt.is_weekend()]
    kept = [col("passengers").fill_null(1), col("pickup_zone"), col("dropoff_zone")]
    fares = col("fare").mean().over("pickup_zone", at.dt.hour()).alias("zone_hour_fare")
    tips = gp.cols("driver", "pickup_zone", "dropoff_zone").target_mean(smoothing=20, folds=5)
    texts = gp.cols("vendor", "payment", "rate").one_hot()
    features = [*parts, (ended - at).dt.total_seconds().alias("seconds"), _kilometres(), *kept, fares, tips, texts]
    pipeline = gp.Pipeline(features, target="tipped")
    matrix = pipeline.fit_transform(gp.scan(task.data / "rows.parquet"), output="numpy")
    task.lap("job")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _kilometres() -> gp.Expr:
    """By the haversine formula."""
    south, west, north, east = (
        col(name) * (np.pi / 180) for name in ("pickup_lat", "pickup_lon", "dropoff_lat", "dropoff_lon")
    )
    across = ((north - south) / 2).sin().pow(2) + south.cos() * north.cos() * ((east - west) / 2).sin().pow(2)
    return (2 * 6371.0 * across.sqrt().arcsin()).alias("kilometres")


if __name__ == "__main__":
    main({"clicks": clicks, "wide": wide, "trips": trips})
