"""Forests on a cluster whose workers have GPUs, by a stand-in for cuml.dask on two processes: see cuml_standin.py."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cuml_standin
import dask.config
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cuml_standin import Gpus
from hooks import hooked, marked
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import (
    ClusterTimeoutError,
    DeviceMemoryError,
    ModelOptionError,
    NonFiniteError,
    ParameterError,
    TrainingError,
    UnsafeModelError,
    UnsupportedEstimatorError,
)

N = 3000
FEATURES = [gp.cols("a", "b").fill_null("mean").standardize(), col("k").one_hot()]
#: Trees that no order of rows changes.
TREES: dict[str, Any] = {"n_estimators": 5, "max_depth": 6, "max_features": None, "bootstrap": False, "random_state": 3}


def table() -> pa.Table:
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=N), rng.lognormal(1, 1, N)
    score = 1.5 * a + 0.2 * b + rng.logistic(size=N)
    return pa.table({
        "a": pa.array(a, mask=rng.random(N) < 0.05), "b": b, "k": np.array(["x", "y", "z"])[rng.integers(0, 3, N)],
        "w": rng.random(N), "y": np.array(["low", "mid", "top"])[np.digitize(score, [0, 2])], "score": score,
        "count": rng.poisson(np.exp(0.3 * a)), "far": 1e9 + rng.integers(0, 3, N),
    })  # fmt: skip


ROWS = table()


@pytest.fixture(scope="module")
def file(tmp_path_factory: Any) -> str:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(ROWS, path, row_group_size=500)
    return str(path)


@pytest.fixture
def gpus(two: gp.Cluster) -> Iterator[Callable[..., gp.Cluster]]:
    """Gives the workers GPUs, of which tests say how they are."""

    def given(place: str | None = None, **how: Any) -> gp.Cluster:
        two.client.register_plugin(Gpus(place, **how), name=Gpus.name)
        return two

    yield given
    if Gpus.name in two.client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins)):
        two.client.unregister_worker_plugin(Gpus.name)


def declared(model: Any, target: Any = "y", **how: Any) -> Any:
    return gp.Pipeline(FEATURES, target, model, **{"training": "partitions", **how})


def fit(model: Any, file: str, target: Any = "y", **how: Any) -> Any:
    return declared(model, target, **how).fit(gp.scan(file, partitions=6))


def matrix(pipeline: Any) -> Any:
    return np.asarray(pipeline.transform(ROWS, output="numpy"))


@pytest.mark.parametrize("weight", [None, {"low": 3.0}])
def test_a_forest_of_all_rows_by_all_workers(weight: Any, file: str, gpus: Any, tmp_path: Path) -> None:
    two = gpus()
    model = RandomForestClassifier(**TREES, class_weight=weight)
    there = declared(model).fit(hooked(gp.scan(file, partitions=6), "slow", tmp_path))  # so that each reads some
    seen = [each for worker in two.client.run(lambda: cuml_standin.SEEN).values() for each in worker]
    assert sum(rows for rows, *_ in seen) == N and len(seen) == 2, "each worker has rows, and no row is anywhere twice"
    assert {tuple(kinds) for _, *kinds in seen} == {("float32", "int32")}
    y = ROWS["y"].to_numpy(zero_copy_only=False)
    oracle = model.fit(matrix(there), y)
    said = there.predict_proba(ROWS, output="numpy")
    np.testing.assert_allclose(said, oracle.predict_proba(matrix(there)), rtol=1e-12, atol=1e-15)
    assert there.classes_.tolist() == ["low", "mid", "top"]
    there.save(tmp_path / "forest.gpp")
    loaded: Any = gp.load(tmp_path / "forest.gpp")
    assert (loaded.predict_proba(ROWS, output="numpy") == said).all()
    assert loaded.model_.digest() == there.model_.digest()
    told = there.report_.training
    assert "cuml.dask, on 2 workers with a GPU each" in told and "its bits hang" in told
    assert declared(model).explain(ROWS).model.count("its bits hang") == 1


@pytest.mark.parametrize(("target", "how"), [("score", {}), ("count", {"criterion": "poisson", "max_depth": 4})])
def test_a_forest_of_numbers(target: str, how: dict[str, Any], file: str, gpus: Any) -> None:
    gpus()
    model = RandomForestRegressor(**{**TREES, **how})
    there = declared(model, target).fit(gp.scan(file, partitions=6).filter(col("b") > 0.1))
    kept = ROWS.filter(pa.compute.greater(ROWS["b"], 0.1))
    X = np.asarray(there.transform(kept, output="numpy"))
    oracle = model.fit(X, kept[target].to_numpy().astype(np.float32))
    said = np.asarray(there.predict(kept, output="numpy"))
    assert np.mean(np.isclose(said, oracle.predict(X), rtol=1e-6)) > 0.99, "of two splits as good either may be taken"


def test_partitions_and_workers_without_rows(file: str, gpus: Any) -> None:
    two = gpus()
    rows = gp.scan(file, partitions=6).filter(col("w") < 0.5)
    few = gp.scan(pa.concat_tables([ROWS.slice(0, 400), ROWS.slice(0, 0)]), partitions=1)
    for source, count in ((rows, int((ROWS["w"].to_numpy() < 0.5).sum())), (few, 400)):
        there = declared(RandomForestClassifier(**TREES)).fit(source)
        assert there.predict(ROWS.slice(0, 5), output="numpy").shape == (5,)
        seen = two.client.run(_taken).values()
        assert sum(rows for worker in seen for rows, *_ in worker) == count


def _taken() -> list[Any]:
    found = list(cuml_standin.SEEN)
    cuml_standin.SEEN.clear()
    return found


def test_a_run_is_kept_as_any(file: str, gpus: Any, tmp_path: Path) -> None:
    gpus()
    source = gp.scan(file, partitions=6)
    there = declared(RandomForestClassifier(**TREES)).fit(source, run=tmp_path / "run")
    assert there.predict(ROWS.slice(0, 5), output="numpy").shape == (5,)


# -- refused before a row is read -------------------------------------------------------------------------------------
def test_without_gpus(file: str, two: gp.Cluster, tmp_path: Path) -> None:
    source = hooked(gp.scan(file, partitions=6), "slow", tmp_path)
    told = r"by cuml\.dask, on a cluster of GPUs alone\. 2 of 2 workers cannot train on a GPU\. tcp://.*CuPy is not "
    with pytest.raises(UnsupportedEstimatorError, match=told + r"installed.*gp\.cluster\('cuda'\).*'gather'"):
        declared(RandomForestClassifier()).fit(source)
    with gp.cluster("threads", n_workers=1), pytest.raises(UnsupportedEstimatorError, match="There is no cluster here"):
        declared(RandomForestRegressor(), "score").fit(source)
    assert marked(tmp_path, "read") == 0


def test_two_workers_with_one_gpu(file: str, gpus: Any) -> None:
    gpus(place="0000:01:00.0")
    with pytest.raises(UnsupportedEstimatorError, match="have the same GPU, and each needs one of its own"):
        fit(RandomForestClassifier(), file)


REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "a parameter": (RandomForestClassifier(max_leaf_nodes=9), "y", {}, "not trained so with max_leaf_nodes=9"),
    "two": (RandomForestRegressor(ccp_alpha=0.1, min_impurity_decrease=0.1), "score", {}, "crease=0.1, ccp_alpha=0.1"),
    "a criterion": (RandomForestRegressor(criterion="absolute_error"), "score", {}, "criterion='absolute_error'"),
    "class weights": (RandomForestClassifier(class_weight="balanced"), "y", {}, "'balanced' and bootstrap=True"),
    "samples": (RandomForestClassifier(bootstrap=False, max_samples=0.5), "y", {}, "max_samples=0.5 and boot"),
    "weights": (RandomForestClassifier(), "y", {"weights": "w"}, "not trained so with weights: cuml.dask's takes none"),
    "targets": (RandomForestRegressor(), ["score", "w"], {}, "not trained so with 2 targets: cuml.dask's learns one"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    model, target, how, says = REFUSED[name]
    with pytest.raises(ModelOptionError, match=f"{says}.*training='gather'"):
        declared(model, target, **how).explain(ROWS)


def test_rows_to_stop_by(file: str, gpus: Any) -> None:
    gpus()
    with pytest.raises(ParameterError, match="does not stop early"):
        declared(RandomForestClassifier()).fit(gp.scan(file, partitions=6), validation=ROWS)


# -- what rows tell ---------------------------------------------------------------------------------------------------
def test_rows_that_cuml_cannot_learn_from(file: str, gpus: Any) -> None:
    gpus()
    with pytest.raises(NonFiniteError, match=r"'a' is null or NaN here.*RandomForestClassifier takes finite numbers"):
        gp.Pipeline([col("a")], "y", RandomForestClassifier(**TREES), training="partitions").fit(file)
    with pytest.raises(TrainingError, match=r"differ by less than float32.*can tell\. Give other targets"):
        fit(RandomForestRegressor(**TREES), file, "far")
    with pytest.raises(TrainingError, match="has no criterion='poisson' of such targets"):
        fit(RandomForestRegressor(**TREES, criterion="poisson"), file, "score")


def test_another_forest_than_the_one_that_was_read(file: str, gpus: Any) -> None:
    gpus(off=0.01)
    with pytest.raises(UnsafeModelError, match="could not be read"):
        fit(RandomForestClassifier(**TREES), file)


# -- failures; of those that follow the first, workers begin anew, which takes seconds --------------------------------
def test_refusals_of_cuml(file: str, gpus: Any, tmp_path: Path) -> None:
    gpus(does="refuse", folder=str(tmp_path))
    told = r"cuml\.dask refused to train sklearn\.ensemble\.RandomForestClassifier on 3,000 rows × 5 features: .*is odd"
    with pytest.raises(TrainingError, match=told):
        fit(RandomForestClassifier(**TREES), file)


@pytest.mark.slow
def test_a_full_gpu_while_the_others_wait(file: str, gpus: Any, tmp_path: Path) -> None:
    two = gpus(does="fill", folder=str(tmp_path))
    before = set(two.workers)
    with pytest.raises(DeviceMemoryError, match=r"has not enough memory.*twice.*on more GPUs"):
        fit(RandomForestClassifier(**TREES), file)
    assert not before & set(two.workers), "those that would wait for ever were begun anew"


@pytest.mark.slow
def test_a_worker_is_lost(file: str, gpus: Any, tmp_path: Path) -> None:
    gpus(does="kill once", folder=str(tmp_path))
    there = fit(RandomForestClassifier(**TREES), file)
    assert (tmp_path / "killed").exists() and there.predict(ROWS, output="numpy").shape == (N,)


@pytest.mark.slow
def test_a_deadline(file: str, gpus: Any, tmp_path: Path) -> None:
    gpus(does="hang", folder=str(tmp_path))
    with dask.config.set({"gpupipe.training-timeout": "8 s"}), pytest.raises(ClusterTimeoutError, match="8 seconds"):
        fit(RandomForestClassifier(**TREES), file)
