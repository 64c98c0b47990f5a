"""scikit-learn, over a table that pandas reads.

J1: a ColumnTransformer. OrdinalEncoder knows no order by frequency (its `min_frequency` pools rare values, its codes go by
value), so a small transformer after it turns its codes into ours, as a user would write one. Text goes in as objects,
which its encoders work on.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler

from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


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
            out[:, at] = codes[np.where(np.isnan(values[:, at]), -1, values[:, at]).astype(np.int64)]
        return out


def clicks(task: Task) -> None:
    """J1."""
    rows = pd.read_parquet(task.data / "rows.parquet", columns=NUMBERS + WORDS)
    rows = rows.astype(dict.fromkeys(WORDS, object))
    task.lap("read")
    fill = {"strategy": "constant", "fill_value": 0} if task.variant == "matrix_zero" else {"strategy": "median"}
    numbers = make_pipeline(SimpleImputer(**fill), FunctionTransformer(_log), StandardScaler(copy=False))
    codes = make_pipeline(OrdinalEncoder(dtype=np.float32), ByFrequency())
    matrix = ColumnTransformer([("numbers", numbers, NUMBERS), ("codes", codes, WORDS)]).fit_transform(rows)
    matrix = np.ascontiguousarray(matrix, np.float32)
    task.lap("fit_transform")
    if task.variant == "parquet":
        features = pd.DataFrame(matrix, columns=NUMBERS + WORDS, copy=False)
        features.astype(dict.fromkeys(WORDS, np.int32)).to_parquet(task.out / "features.parquet", index=False)
        task.lap("write")
    elif task.variant == "models":
        task.train(matrix, pd.read_parquet(task.data / "rows.parquet", columns=["label"])["label"].to_numpy())
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _log(values: Any) -> Any:
    return np.log1p(np.maximum(values, 0, out=values), out=values)


if __name__ == "__main__":
    main({"clicks": clicks})
