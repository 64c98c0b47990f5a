"""gpupipe."""

import importlib
from itertools import combinations
from typing import Any

import gpupipe as gp  # isort: skip  # before NumPy, whose threads it tells to sleep
import numpy as np
import pyarrow.parquet as pq

from gpupipe import col

from . import calls
from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1."""
    fill: Any = 0 if task.variant == "matrix_zero" else "median"
    numbers = gp.cols(*NUMBERS).fill_null(fill).clip(0).log1p().standardize()
    pipeline = gp.Pipeline([numbers, gp.cols(*WORDS).codes(min_count=15)], memory=task.settings.get("memory"))
    rows = gp.scan(task.data / "rows.parquet")
    if task.variant == "parquet":
        pipeline.fit_transform(rows, out=task.out / "features.parquet")
        task.lap("job")
        return
    if task.variant == "parquet_files":
        pipeline.fit_transform(rows, out=f"{task.out}/features/", overwrite=True)
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


def serving(task: Task) -> None:
    """J4: a dict or a list through `Scorer`, tables and files through a loaded pipeline."""
    path, artifact = task.data / "rows.parquet", task.out / "serving.gpp"
    numbers = gp.cols(*NUMBERS).fill_null("median").clip(0).log1p().standardize()
    features = [numbers, gp.cols(*WORDS).codes(min_count=15)]
    model = importlib.import_module("sklearn.linear_model").LogisticRegression(max_iter=50)  # not at the start of J1
    gp.Pipeline(features, target=col("label") == 1, model=model).fit(path).save(artifact, overwrite=True)
    task.lap("fit and save")
    scorer, loaded = gp.Scorer.load(artifact), gp.load(artifact)
    task.lap("load")
    table = pq.read_table(path, columns=NUMBERS + WORDS)
    some = table.slice(0, calls.MANY)
    rows = some.slice(0, 2000).to_pylist()
    task.lap("rows")
    calls.timed(task, calls.phase_of(calls.ONE), scorer.predict_proba, rows)
    hundreds = calls.python_rows(some.to_pydict(), calls.HUNDRED)
    calls.timed(task, calls.phase_of(calls.HUNDRED), scorer.predict_proba, hundreds)
    for size in (calls.MANY, calls.ALL):
        given = [table.slice(0, size)]
        calls.timed(task, calls.phase_of(size), lambda rows: loaded.predict_proba(rows, output="numpy"), given)
    calls.timed(task, "a file", lambda rows: loaded.predict_proba(rows, output="numpy"), [path])
    calls.timed(task, "a file: features alone", lambda rows: loaded.transform(rows, output="numpy"), [path])
    task.lap("calls")
    if task.keep:
        label = pq.read_table(path, columns=["label"])["label"].to_numpy()
        calls.keep(task, scorer.matrix(some), loaded.predict_proba(table, output="numpy")[:, 1], label)


if __name__ == "__main__":
    main({"clicks": clicks, "wide": wide, "trips": trips, "serving": serving})
