"""pandas.

J1: ``read_parquet`` gives text backed by Arrow, which ``factorize`` hashes; the rest is NumPy's.

J2, J3: a column after another into the matrix; quantiles by NumPy, sums of groups by ``bincount`` over whole numbers.
"""

from itertools import combinations
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


def wide(task: Task) -> None:
    """J2."""
    rows = pd.read_parquet(task.data / "rows.parquet")
    task.lap("read")
    matrix = np.empty((len(rows), 245), np.float32)
    for at in range(200):
        column = rows[f"x{at}"]
        column = column.fillna(column.mean()).to_numpy()
        column = column.clip(*np.quantile(column, [0.01, 0.99]))
        matrix[:, at] = (column - column.mean(dtype=np.float64)) / column.std(dtype=np.float64)
    for at, (one, other) in enumerate(combinations(range(10), 2), 200):
        np.multiply(matrix[:, one], matrix[:, other], out=matrix[:, at])
    task.lap("features, matrix")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def trips(task: Task) -> None:
    """J3."""
    rows = pd.read_parquet(task.data / "rows.parquet")
    task.lap("read")
    at, tipped, fold = rows["pickup_at"].dt, rows["tipped"].to_numpy(), rows["fold"].to_numpy()
    zones = [rows[name].to_numpy() for name in ("pickup_zone", "dropoff_zone")]
    hour = at.hour.to_numpy()
    zone_hour = zones[0].astype(np.int64) * 24 + hour
    means = np.bincount(zone_hour, rows["fare"]) / np.maximum(np.bincount(zone_hour), 1)
    columns = [
        *(hour, at.day_of_week + 1, at.day, at.month, at.day_of_year, at.day_of_week >= 5),
        *((rows["dropoff_at"] - rows["pickup_at"]).dt.total_seconds(), _kilometres(rows)),
        *(rows["passengers"].fillna(1), *zones, means[zone_hour]),
        *(_target_mean(places, fold, tipped) for places in (pd.factorize(rows["driver"])[0], *zones)),
    ]
    one_hot = pd.get_dummies(rows[["vendor", "payment", "rate"]], dtype=np.float32)
    matrix = np.empty((len(rows), len(columns) + one_hot.shape[1]), np.float32)
    for place, column in enumerate(columns):
        matrix[:, place] = column
    matrix[:, len(columns) :] = one_hot
    task.lap("features, matrix")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _kilometres(rows: pd.DataFrame) -> Any:
    south, west, north, east = (
        np.radians(rows[name].to_numpy()) for name in ("pickup_lat", "pickup_lon", "dropoff_lat", "dropoff_lon")
    )
    across = np.sin((north - south) / 2) ** 2 + np.cos(south) * np.cos(north) * np.sin((east - west) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(across))


def _target_mean(places: Any, fold: Any, tipped: Any) -> Any:
    by_fold = places.astype(np.int64) * 5 + fold
    size = 5 * (int(places.max()) + 1)
    total, count = (np.bincount(by_fold, weights, size).reshape(-1, 5) for weights in (tipped, None))
    total, count = (of_value.sum(axis=1, keepdims=True) - of_value for of_value in (total, count))
    # What is left of each value without each fold: so is the prior, the mean of all that is left.
    return ((total + 20 * total.sum(axis=0) / count.sum(axis=0)) / (count + 20)).ravel()[by_fold]


if __name__ == "__main__":
    main({"clicks": clicks, "wide": wide, "trips": trips})
