"""Models trained on a cluster of two processes: the bits of one process, wherever sums are what they come of."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from xgboost import XGBClassifier, XGBRegressor

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import TargetError, UnsupportedEstimatorError

FEATURES = [gp.cols("a", "b").fill_null("mean").standardize(), col("k").one_hot()]


def table(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.lognormal(1, 1, n)
    score = 1.5 * a + 0.2 * b - 1 + rng.logistic(size=n)
    return pa.table({
        "a": pa.array(a, mask=rng.random(n) < 0.05), "b": b, "k": np.array(["x", "y", "z"])[rng.integers(0, 3, n)],
        "w": rng.random(n), "y": np.where(score > 0, "yes", "no"), "score": score,
    })  # fmt: skip


TRAIN, TEST = table(12_000, 1), table(4_000, 2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any) -> tuple[str, str]:
    folder: Path = tmp_path_factory.mktemp("rows")
    for name, rows in (("train", TRAIN), ("test", TEST)):
        pq.write_table(rows, folder / f"{name}.parquet", row_group_size=1500)
    return str(folder / "train.parquet"), str(folder / "test.parquet")


def declared(model: Any, target: Any, weights: Any = None, training: str | None = "partitions") -> Any:
    return gp.Pipeline(FEATURES, target, model, weights=weights, training=training)


@pytest.mark.parametrize(
    ("model", "target", "weights"),
    [
        (LogisticRegression(), "y", "w"),
        (Ridge(), "score", "w"),
        (Ridge(), "score", None),  # from covariances of the scan
        (PCA(2), None, None),
        (KMeans(3, random_state=1, max_iter=5), None, "w"),
        (GaussianNB(), "y", None),
    ],
)
def test_the_bits_of_one_process(model: Any, target: Any, weights: Any, files: Any, two: gp.Cluster) -> None:
    there = declared(model, target, weights).fit(gp.scan(files[0], partitions=8))
    with gp.cluster("threads", n_workers=2):
        here = declared(model, target, weights).fit(TRAIN)
    assert there.model_.digest() == here.model_.digest()


def auc(pipeline: Any) -> float:
    said = pipeline.predict_proba(TEST, output="numpy")[:, 1]
    return float(roc_auc_score(TEST["y"].to_numpy(zero_copy_only=False) == "yes", said))


@pytest.mark.parametrize("stops", [False, True])
def test_xgboost_trains_where_the_rows_are(stops: bool, files: Any, two: gp.Cluster) -> None:
    rows, held = (gp.scan(file, partitions=6).filter(col("b") < 50) for file in files)
    options: dict[str, Any] = {"n_estimators": 200, "early_stopping_rounds": 5} if stops else {"n_estimators": 15}
    model = XGBClassifier(max_depth=3, **options)
    fit: dict[str, Any] = {"validation": held} if stops else {}
    there = declared(model, "y", "w").fit(rows, **fit)
    assert there.report_.training is not None and "xgboost.dask" in there.report_.training
    with gp.cluster("threads", n_workers=1):
        here = declared(model, "y", "w", training=None).fit(rows, **fit)
    assert abs(auc(there) - auc(here)) < 0.002 and auc(there) > 0.8


def test_several_targets_of_xgboost(files: Any, two: gp.Cluster) -> None:
    there = declared(XGBRegressor(n_estimators=5), ["score", "w"]).fit(files[0])
    found = np.stack([each.to_numpy() for each in there.predict(TEST).columns], axis=1)
    assert np.corrcoef(found[:, 0], TEST["score"].to_numpy())[0, 1] > 0.6


def test_all_rows_are_brought_here_by_name_alone(files: Any, two: gp.Cluster) -> None:
    forest = RandomForestClassifier(5, random_state=0)
    with pytest.raises(UnsupportedEstimatorError, match=r"rows are on a cluster.*These can: Linear.*'gather'"):
        declared(forest, "y", training=None).fit(files[0])
    with pytest.raises(UnsupportedEstimatorError, match="cannot be trained on partitions"):
        declared(ExtraTreesClassifier(), "y").fit(files[0])
    gathered = declared(forest, "y", training="gather").fit(files[0])
    with gp.cluster("threads", n_workers=1):
        assert gathered.model_.digest() == declared(forest, "y", training=None).fit(files[0]).model_.digest()


def test_an_error_of_a_row_has_its_place(tmp_path: Path, two: gp.Cluster) -> None:
    names = TRAIN["y"].to_pylist()
    names[7000] = None
    bad = str(tmp_path / "bad.parquet")
    pq.write_table(TRAIN.set_column(4, "y", pa.array(names)), bad, row_group_size=1500)
    for model in (GaussianNB(), XGBClassifier()):
        with pytest.raises(TargetError, match=r"bad\.parquet, row group 4, row 7,?000") as told:
            declared(model, "y").fit(bad)
        assert "target y is null" in str(told.value)
