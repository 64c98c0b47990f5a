"""Dask frames as rows: their own partitions, the bits of the same rows in memory, and never the whole at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import gpupipe as gp
from gpupipe import col
from gpupipe.clusters.current import current
from gpupipe.errors import DataError, ParameterError, SchemaMismatchError, TargetError, TypeMismatchError
from gpupipe.sources import dask_rows

N = 700


def rows(seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "age": draw.normal(50, 10, N).round(1),
            "visits": draw.integers(0, 9, N),
            "city": draw.choice(["Rome", "Oslo", "Lima"], N),
            "seen": pd.date_range("2024-01-01", periods=N, freq="h"),
            "left": draw.integers(0, 2, N),
        }
    )
    made.loc[[3, 500], "age"] = np.nan
    made.loc[7, "city"] = None
    return made


FEATURES = [
    col("age").fill_null("median").clip(-9, col("age").quantile(0.99)).standardize(),
    col("visits").log1p(),
    col("city").one_hot(),
    col("city").target_mean(folds=3),
    col("seen").dt.hour(),
]


def pipeline(**options: Any) -> gp.Pipeline:
    return gp.Pipeline(FEATURES, model=LogisticRegression(), **options)


@pytest.fixture(scope="module")
def fitted() -> gp.Pipeline:
    """The same rows, in memory."""
    return pipeline(target="left").fit(rows())


@pytest.fixture(scope="module")
def two(fitted: gp.Pipeline) -> Iterator[gp.Cluster]:  # which is made before
    with gp.cluster("processes", n_workers=2, memory_limit="1GiB") as made:
        yield made


def same(one: gp.Pipeline, other: gp.Pipeline) -> bool:
    return one.predict_proba(rows(1)).tobytes() == other.predict_proba(rows(1)).tobytes()


# -- what it is -------------------------------------------------------------------------------------------
def test_its_partitions_are_the_sources() -> None:
    frame = dd.from_pandas(rows(), npartitions=5)
    source = gp.scan(frame)
    lengths = frame.map_partitions(len).compute().tolist()
    assert [part.n_rows for part in source.partitions] == lengths and source.n_rows == N
    assert [part.first_row for part in source.partitions] == np.cumsum([0, *lengths[:-1]]).tolist()
    ids = np.concatenate([source.load(number, ["visits"]).row_ids for number in range(5)])
    assert ids.tolist() == list(range(N))  # by position, whatever its index says
    assert "a Dask frame of 700 rows" in repr(source)


def test_its_types_and_nulls_are_those_of_the_same_rows_in_memory() -> None:
    assert gp.scan(dd.from_pandas(rows(), npartitions=4)).schema == gp.scan(rows()).schema


def test_values_are_those_of_pandas() -> None:
    frame, source = rows(), gp.scan(dd.from_pandas(rows(), npartitions=3))
    for name in frame:
        loaded = [source.load(number, [name])[name] for number in range(3)]
        whole = gp.scan(frame, partitions=1).load(0, [name])[name]
        valid = np.concatenate([np.ones(len(each), bool) if each.valid is None else each.valid for each in loaded])
        assert whole.valid is None or (valid == whole.valid).all()
        values = np.concatenate([np.asarray(each.values) for each in loaded])
        assert (values[valid] == np.asarray(whole.values)[valid]).all()


# -- fits -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("npartitions", [1, 3, 8])
def test_a_fit_has_the_bits_of_a_fit_in_memory(fitted: gp.Pipeline, npartitions: int) -> None:
    assert same(pipeline(target="left").fit(dd.from_pandas(rows(), npartitions=npartitions)), fitted)


@pytest.mark.parametrize("beside", ["a column of its own", "an array", "a column computed"])
def test_y_may_stand_beside_it(fitted: gp.Pipeline, beside: str) -> None:
    frame = dd.from_pandas(rows(), npartitions=4)
    y = {"an array": rows()["left"].to_numpy(), "a column computed": frame["left"] + 0}.get(beside, frame["left"])
    assert same(pipeline().fit(frame.drop(columns="left"), y), fitted)


def test_predictions_of_it_are_those_of_its_rows(fitted: gp.Pipeline) -> None:
    frame = dd.from_pandas(rows(1), npartitions=3)
    assert fitted.predict(frame).column(0).to_pylist() == fitted.predict(rows(1)).tolist()


def test_rows_filtered_before_are_rows_that_are_not_there() -> None:
    frame = dd.from_pandas(rows(), npartitions=4)
    source = gp.scan(frame[frame["visits"] > 6])
    assert source.n_rows == int((rows()["visits"] > 6).sum())
    assert gp.scan(frame[frame["visits"] > 99]).n_rows == 0


# -- never the whole --------------------------------------------------------------------------------------
class Alive:
    """Counts the partitions that are there at the same time."""

    now = most = 0

    def __init__(self) -> None:
        Alive.now += 1
        Alive.most = max(Alive.most, Alive.now)

    def __del__(self) -> None:
        Alive.now -= 1


def test_partitions_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = dask_rows._by_name

    def counted(*given: Any) -> Any:
        found = real(*given)
        object.__setattr__(found, "alive", Alive())
        return found

    monkeypatch.setattr(dask_rows, "_by_name", counted)
    frame = dd.from_pandas(rows(), npartitions=20)
    with dask.config.set(scheduler="synchronous"):
        gp.Pipeline(FEATURES[:3]).fit(gp.scan(frame))
    assert Alive.now == 0 and Alive.most <= 3


def test_only_columns_that_are_needed_are_read(tmp_path: Path) -> None:
    dd.from_pandas(rows(), npartitions=8).to_parquet(tmp_path / "rows")
    source = gp.scan(dd.read_parquet(tmp_path / "rows"))
    assert [part.n_rows for part in source.partitions] == [N // 8 + (at < N % 8) for at in range(8)]
    graph, _ = source.partitions[2].task(["visits"])  # type: ignore[attr-defined]
    assert "visits" in str(graph) and "city" not in str(graph)
    assert source.load(2, ["visits"]).n_rows == source.partitions[2].n_rows


# -- refused ----------------------------------------------------------------------------------------------
def test_partitions_of_other_rows_are_refused() -> None:
    frame = dd.from_pandas(rows(), npartitions=4)
    with pytest.raises(ParameterError, match=r"^y is in 2 partitions, and X in 4\. Give a column in the same"):
        pipeline().fit(frame.drop(columns="left"), frame["left"].repartition(npartitions=2))
    other = dd.from_delayed([dask.delayed(rows()["left"][: 100 + at]) for at in range(4)])
    with pytest.raises(TargetError, match=r"^Partition 0 of y has 100 rows, and of X 175\."):
        pipeline().fit(frame.drop(columns="left"), other)
    with pytest.raises(TargetError, match="10 values were given for 700 rows"):
        pipeline().fit(frame.drop(columns="left"), [0] * 10)


def test_what_is_no_table_of_partitions_is_refused() -> None:
    frame = dd.from_pandas(rows(), npartitions=4)
    with pytest.raises(TypeMismatchError, match="A single column of Dask is no table"):
        gp.scan(frame["age"])
    with pytest.raises(ParameterError, match=r"has its partitions already: X\.repartition"):
        gp.scan(frame, partitions=3)
    with pytest.raises(ParameterError, match=r"tasks of Dask stand before every partition.*X\.persist\(\)"):
        gp.scan(frame.set_index("visits"))


def test_a_frame_that_changes_is_noticed() -> None:
    calls: list[int] = []

    def shrinking(part: pd.DataFrame) -> pd.DataFrame:
        calls.append(1)
        return part.iloc[: len(part) - len(calls)]

    frame = dd.from_pandas(rows(), npartitions=2)
    source = gp.scan(frame.map_partitions(shrinking, meta=frame._meta))
    with pytest.raises(DataError, match=r"has \d+ rows now, and had \d+: it is another one each time"):
        source.load(1, ["age"])


def test_partitions_of_other_types_are_told() -> None:
    parts = [pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": ["x", "y"]})]
    frame = dd.from_map(lambda at: parts[at], [0, 1], meta=parts[0])
    with pytest.raises(SchemaMismatchError, match=r"partition 1, column 'a': it is String here and Int64 in part"):
        gp.scan(frame)


# -- on a cluster, which is current from here on ----------------------------------------------------------
def test_on_a_cluster_the_workers_compute_it(two: gp.Cluster, fitted: gp.Pipeline) -> None:
    def where(part: pd.DataFrame) -> pd.DataFrame:
        import os  # noqa: PLC0415 (in the worker)

        return part.assign(visits=part["visits"] * 0 + os.getpid())

    frame = dd.from_pandas(rows(), npartitions=6)
    assert same(pipeline(target="left", training="gather").fit(frame), fitted)
    source = gp.scan(frame.map_partitions(where, meta=frame._meta))
    learned = gp.Pipeline([col("visits").max().alias("a"), col("visits").min().alias("b")]).fit(source)
    told = set(learned.transform({"visits": [0]}).to_pylist()[0].values())
    assert told <= set(two.client.run(__import__("os").getpid).values())


def test_partitions_that_a_cluster_holds_are_used_there(two: gp.Cluster, fitted: gp.Pipeline) -> None:
    held = two.client.persist(dd.from_pandas(rows(), npartitions=4).repartition(npartitions=5))
    assert same(pipeline(target="left", training="gather").fit(held), fitted)
    assert same(pipeline(training="gather").fit(held.drop(columns="left"), held["left"]), fitted)


def test_held_partitions_are_read_without_a_current_cluster_too(two: gp.Cluster) -> None:
    held = two.client.persist(dd.from_pandas(rows(), npartitions=4))
    dask_rows.computes_with(None)
    try:
        assert gp.scan(held).load(3, ["visits"]).n_rows == N // 4
    finally:
        dask_rows.computes_with(two.client.get)
    assert current() is two
