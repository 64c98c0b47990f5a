"""scikit-learn, over a table that pandas reads.

J1: a ColumnTransformer. OrdinalEncoder has no order by frequency (its `min_frequency` pools rare values, its codes go
by value), so a small transformer after it turns its codes into ours, as a user would write one. Text goes in as
objects, which its encoders work on.

J2: a pipeline of SimpleImputer, a small transformer that clips (scikit-learn has none), and StandardScaler.

J3: a ColumnTransformer; TargetEncoder takes the folds as a splitter.
"""

import importlib
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from . import calls
from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


UNKNOWN = -2  # OrdinalEncoder's number for what the fit has not seen


class ByFrequency(TransformerMixin, BaseEstimator):
    """Codes of an OrdinalEncoder (whole numbers from 0, NaN for null) as 0 null, 1 rare, from 2 by falling counts."""

    def __init__(self, min_count: int = 15) -> None:
        self.min_count = min_count

    def fit(self, values: Any, target: Any = None) -> "ByFrequency":
        self.codes_ = [self._order(column[~np.isnan(column)].astype(np.int64)) for column in values.T]
        return self

    def _order(self, places: Any) -> Any:
        counts = np.bincount(places)
        order = np.argsort(-counts, kind="stable")  # ties stay by value
        order = order[counts[order] >= self.min_count]
        codes = np.ones(len(counts) + 1, np.float32)
        codes[order] = np.arange(2, 2 + len(order))
        codes[-1] = 0
        return codes

    def transform(self, values: Any) -> Any:
        out = np.empty(values.shape, np.float32)
        for at, codes in enumerate(self.codes_):
            places = np.where(np.isnan(values[:, at]), -1, values[:, at]).astype(np.int64)
            out[:, at] = np.where(places == UNKNOWN, 1, codes[np.maximum(places, -1)])
        return out


def clicks(task: Task) -> None:
    """J1."""
    rows = pd.read_parquet(task.data / "rows.parquet", columns=NUMBERS + WORDS)
    rows = rows.astype(dict.fromkeys(WORDS, object))
    task.lap("read")
    matrix = np.ascontiguousarray(_features(task.variant).fit_transform(rows), np.float32)
    task.lap("fit_transform")
    if task.variant == "parquet":
        features = pd.DataFrame(matrix, columns=NUMBERS + WORDS, copy=False)
        features.astype(dict.fromkeys(WORDS, np.int32)).to_parquet(task.out / "features.parquet", index=False)
        task.lap("write")
    elif task.variant == "models":
        task.train(matrix, pd.read_parquet(task.data / "rows.parquet", columns=["label"])["label"].to_numpy())
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _features(variant: str) -> ColumnTransformer:
    fill = {"strategy": "constant", "fill_value": 0} if variant == "matrix_zero" else {"strategy": "median"}
    numbers = make_pipeline(SimpleImputer(**fill), FunctionTransformer(_log), StandardScaler(copy=False))
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": UNKNOWN}
    codes = make_pipeline(OrdinalEncoder(dtype=np.float32, **unknown), ByFrequency())
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("codes", codes, WORDS)])


def serving(task: Task) -> None:
    """J4: what comes as Python values becomes a frame first, which is part of its work."""
    rows = pd.read_parquet(task.data / "rows.parquet").astype(dict.fromkeys(WORDS, object))
    label = rows.pop("label").to_numpy()
    model = importlib.import_module("sklearn.linear_model").LogisticRegression(max_iter=50)  # not at the start of J1
    fitted = make_pipeline(_features("matrix"), FunctionTransformer(_float32), model).fit(rows, label)
    task.lap("fit")
    some = rows.iloc[: calls.MANY]
    types = rows.dtypes.to_dict()
    values = some.astype(object).where(some.notna(), None).to_dict("list")

    def score(given: dict[str, list[Any]]) -> Any:
        return fitted.predict_proba(pd.DataFrame(given).astype(types))

    task.lap("rows")
    for size in (calls.ONE, calls.HUNDRED):
        calls.timed(task, calls.phase_of(size), score, calls.python_rows(values, size)[:2000])
    for size in (calls.MANY, calls.ALL):
        calls.timed(task, calls.phase_of(size), fitted.predict_proba, [rows.iloc[:size]])
    task.lap("calls")
    if task.keep:
        calls.keep(task, fitted[0].transform(some), fitted.predict_proba(rows)[:, 1], label)


def _float32(values: Any) -> Any:
    return np.asarray(values, np.float32)


def _log(values: Any) -> Any:
    return np.log1p(np.maximum(values, 0, out=values), out=values)


class Winsorizer(TransformerMixin, BaseEstimator):
    """Values beyond a column's own quantiles moved there."""

    def __init__(self, low: float = 0.01, high: float = 0.99) -> None:
        self.low, self.high = low, high

    def fit(self, values: Any, target: Any = None) -> "Winsorizer":
        self.bounds_ = np.array([np.quantile(column, [self.low, self.high]) for column in values.T], values.dtype)
        return self

    def transform(self, values: Any) -> Any:
        return np.clip(values, *self.bounds_.T, out=values)


def wide(task: Task) -> None:
    """J2."""
    rows = pd.read_parquet(task.data / "rows.parquet")
    task.lap("read")
    products = FunctionTransformer(_products)
    crossed = ColumnTransformer([("all", "passthrough", slice(0, 200)), ("products", products, slice(0, 10))])
    steps = make_pipeline(SimpleImputer(copy=False), Winsorizer(), StandardScaler(copy=False), crossed)
    matrix = np.ascontiguousarray(steps.fit_transform(rows.to_numpy()), np.float32)
    task.lap("fit_transform")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _products(values: Any) -> Any:
    return np.column_stack([values[:, one] * values[:, other] for one, other in combinations(range(10), 2)])


class GroupMean(TransformerMixin, BaseEstimator):
    """The mean of the last column among rows that share the first two, zone and time."""

    def fit(self, rows: Any, target: Any = None) -> "GroupMean":
        self.means_ = rows.iloc[:, 2].groupby(self._groups(rows)).mean()
        return self

    def _groups(self, rows: Any) -> Any:
        return rows.iloc[:, 0].to_numpy(np.int64) * 24 + rows.iloc[:, 1].dt.hour.to_numpy()

    def transform(self, rows: Any) -> Any:
        return self.means_.reindex(self._groups(rows)).to_numpy()[:, None]


def trips(task: Task) -> None:
    """J3."""
    rows = pd.read_parquet(task.data / "rows.parquet")
    task.lap("read")
    texts = ["vendor", "payment", "rate"]
    values = [sorted(rows[name].dropna().unique()) for name in texts]
    one_hot = OneHotEncoder(categories=values, handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    encoder = TargetEncoder(target_type="binary", smooth=20.0, cv=PredefinedSplit(rows["fold"]))
    ends = ["pickup_lat", "pickup_lon", "dropoff_lat", "dropoff_lon"]
    features = ColumnTransformer(
        [
            ("times", FunctionTransformer(_times), ["pickup_at", "dropoff_at"]),
            ("kilometres", FunctionTransformer(_kilometres), ends),
            ("passengers", SimpleImputer(strategy="constant", fill_value=1), ["passengers"]),
            ("zones", "passthrough", ["pickup_zone", "dropoff_zone"]),
            ("fare", GroupMean(), ["pickup_zone", "pickup_at", "fare"]),
            ("target", encoder, ["driver", "pickup_zone", "dropoff_zone"]),
            ("one_hot", one_hot, texts),
        ]
    )
    matrix = np.ascontiguousarray(features.fit_transform(rows, rows["tipped"]), np.float32)
    task.lap("fit_transform")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _times(rows: Any) -> Any:
    at = rows["pickup_at"].dt
    seconds = (rows["dropoff_at"] - rows["pickup_at"]).dt.total_seconds()
    return np.column_stack(
        [at.hour, at.day_of_week + 1, at.day, at.month, at.day_of_year, at.day_of_week >= 5, seconds]
    )


def _kilometres(rows: Any) -> Any:
    south, west, north, east = np.radians(rows.to_numpy()).T
    across = np.sin((north - south) / 2) ** 2 + np.cos(south) * np.cos(north) * np.sin((east - west) / 2) ** 2
    return (2 * 6371.0 * np.arcsin(np.sqrt(across)))[:, None]


if __name__ == "__main__":
    main({"wide": wide, "trips": trips, "serving": serving, "clicks": clicks})
