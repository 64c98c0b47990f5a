"""Rows to learn from, pipelines over them, and the matrix that scikit-learn is given."""

from typing import Any

import numpy as np
import pyarrow as pa

import gpupipe as gp
from gpupipe import col

N = 3000
SCALED = [gp.cols("a", "b", "far").fill_null("mean").standardize(), col("c").fill_null(0), col("k").one_hot()]
COUNTS = [gp.cols("a", "b").fill_null("mean").min_max(), col("c").fill_null(0), col("k").one_hot()]


def table(n: int = N, seed: int = 0) -> pa.Table:
    """Numbers of several kinds, text, weights, and targets that hang on them."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=n), rng.lognormal(1, 1, n), rng.integers(0, 5, n)
    score = 1.5 * a + 0.2 * b - 0.3 * c + rng.logistic(size=n)
    return pa.table({
        "a": pa.array(a, mask=rng.random(n) < 0.05), "b": b, "c": c, "far": 1e6 + 1e-3 * rng.normal(size=n),
        "k": np.array(["x", "y", "z"])[rng.integers(0, 3, n)], "w": rng.random(n) * 3,
        "two": np.where(score > 0, "yes", "no"), "three": np.digitize(score, [-1, 1]), "number": score,
        "other": 2 * score + a,
    })  # fmt: skip


TABLE = table()


def fitted(model: Any, target: Any = None, *, weights: Any = None, features: Any = SCALED, rows: Any = TABLE) -> Any:
    """The pipeline, trained on partitions."""
    pipeline = gp.Pipeline(features, target, model, weights=weights, training="partitions")
    return pipeline.fit(gp.scan(rows, partitions=3) if isinstance(rows, pa.Table) else rows)


def matrix(features: Any = SCALED, rows: pa.Table = TABLE) -> Any:
    """The same features, as scikit-learn gets them: float64 of shape (rows, features)."""
    found = gp.Pipeline(features).fit_transform(rows, output="numpy")
    return found.astype(np.float64)


def column(name: str, rows: pa.Table = TABLE) -> Any:
    """A column as an array."""
    return rows[name].to_numpy(zero_copy_only=False)
