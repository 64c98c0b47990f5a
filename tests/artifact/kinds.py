"""One saved pipeline of every kind there is: features of each family alone, and every form a model is kept in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from engine import TABLE
from models.cases import CASES, NAMES
from models.cases import Case as ModelCase
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from threadpoolctl import threadpool_limits

import gpupipe as gp
from gpupipe import col
from gpupipe.models.estimators import describe

x, c, s, t = col("x"), col("c"), col("s"), col("t")
FEATURES: dict[str, list[Any]] = {
    "numbers": [
        x.fill_null("median").clip(0, 5).log1p().standardize(), col("i").bucketize([0, 2]), x.qcut(4).alias("q"),
        x.mean().over("c", "i").alias("m"), gp.when(col("a") & ~col("b")).then(x).otherwise(None).alias("w"),
        col("j").is_in([1, 2]), (col("i") ** 3 % 7).cast("Int32").alias("p"), col("f").nan_to_null().alias("n"),
    ],
    "categories": [
        c.one_hot(limit=50), c.codes(min_count=2, other_buckets=3).alias("k"), c.codes().over("i").alias("kk"),
        c.frequency(), c.cross("i", 16), col("i").ordinal(list(range(-9, 10))).alias("o"), s.hash_buckets(8, seed=3),
        x.group_statistics("c"), col("a").mode().over("c").alias("am"),
    ],
    "text": [
        s.str.word_ngrams(4, n=(1, 2)), s.str.contains("[aé]").alias("ct"), s.str.len_chars(),
        s.str.slice(0, 2).codes(),
        s.str.strip_chars("a").alias("st"), s.str.starts_with("z").alias("sw"), s.fill_null("mode").alias("fm"),
        col("d").cast("String").str.to_date("%Y-%m-%d", strict=False).dt.year().alias("y"),
    ],
    "times": [
        t.dt.hour().cyclic(24), col("z").dt.month().alias("zm"), t.dt.elapsed("t2").alias("el"),
        (col("d") > gp.lit(np.datetime64("2001-01-01").item())).alias("after"), col("u").dt.total_days().alias("ud"),
        col("t").max().over("c").dt.day().alias("td"), col("z").cast("Date").alias("zd"),
    ],
}  # fmt: skip
_CATEGORIES = HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5, categorical_features=["c"])
MODELS: dict[str, tuple[Any, Any, list[Any]]] = {
    "linear": (LinearRegression(), col("w").fill_null(0), [x.fill_null(0).standardize(), c.target_mean()]),
    "logistic": (LogisticRegression(), c.fill_null("c1"), [x.fill_null(0), col("i").fill_null(1).target_mean()]),
    "forest": (RandomForestClassifier(3, max_depth=3), col("a").fill_null(False), [x.fill_null(0), s.codes()]),
    "categories in trees": (_CATEGORIES, col("a").fill_null(False), [x, col("i"), c.codes()]),
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A pipeline, and the rows it is fitted on."""

    pipeline: gp.Pipeline
    table: pa.Table


def _of_case(case: ModelCase) -> Kind:
    rows = 120
    table = pa.table({name: case.X[:rows, at] for at, name in enumerate(NAMES)})
    if case.target:
        table = table.append_column("y", pa.array(np.asarray(case.y[:rows]).tolist()))
    features = [col(name) for name in NAMES]
    return Kind(gp.Pipeline(features, target="y" if case.target else None, model=case.estimator), table)


def kinds() -> dict[str, Kind]:
    """Every kind; of estimators whose models are kept and read alike, the first."""
    found = {name: Kind(gp.Pipeline(features), TABLE) for name, features in FEATURES.items()}
    for name, (model, target, features) in MODELS.items():
        found[name] = Kind(gp.Pipeline(features, target=target, model=model), TABLE)
    alike = set()
    for name, case in CASES.items():
        if getattr(case, "groups", None) is not None or np.ndim(case.y) > 1:
            continue
        row = describe(case.estimator)
        key = (row.form, row.kind, row.convert, case.n_classes)
        if key not in alike:
            found[name] = _of_case(case)
            alike.add(key)
    return found


def save_all(folder: Any) -> None:
    """Save an artifact of each kind as `folder`/KIND."""
    with threadpool_limits(1):
        for name, kind in kinds().items():
            kind.pipeline.fit(kind.table).save(folder / name)
            gp.load(folder / name).transform(kind.table.slice(0, 3))  # so that what loads lazily has
