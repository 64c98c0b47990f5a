"""Medians and quantiles of whole fits: one scan, at most a few trips over their columns alone, NumPy's bits."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.compiler.plan import Plan
from gpupipe.runtime.rows import Rows

RNG = np.random.default_rng(0)
N = 3000
X, Y = np.round(RNG.normal(100, 10, N), 2), RNG.lognormal(0, 2, N)
X_KNOWN, Y_KNOWN = RNG.random(N) < 0.9, RNG.random(N) < 0.8
TABLE = pa.table(
    {
        "x": pa.array(X, mask=~X_KNOWN),
        "y": pa.array(Y, mask=~Y_KNOWN),
        "f": pa.array(Y.astype("f4"), mask=~X_KNOWN),
        "i": RNG.integers(-40, 60, N),
        "flag": RNG.random(N) < 0.3,
        "key": RNG.integers(0, 3, N).astype(str),
    }
)
DEVICES = pytest.mark.parametrize("device", ["cpu", "reference"])


def fitted(features: Any, source: Any = TABLE, device: str = "cpu") -> Any:
    return gp.Pipeline(features, device=device).fit(source)


def value(pipeline: Any, name: str, data: Any = TABLE) -> Any:
    return pipeline.transform(data, output="arrow")[name][0].as_py()


def quantile_of(expr: Any, q: float, name: str = "q") -> Any:
    return expr.quantile(q).cast("Float64").alias(name)


@DEVICES
@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_many_quantiles_of_many_columns_take_one_trip(device: str, partitions: int) -> None:
    qs = [0, 0.01, 1 / 3, 0.5, 0.9, 1]
    known = {"x": X[X_KNOWN], "y": Y[Y_KNOWN], "f": Y.astype("f4")[X_KNOWN].astype("f8")}
    features = [quantile_of(col(name), q, f"{name} {q}") for name in known for q in qs]
    pipeline = fitted(features, gp.scan(TABLE, partitions=partitions), device)
    report = pipeline.report_
    assert (report.scans, report.source_reads, report.refinements) == (1, 1, 1)
    found = pipeline.transform(TABLE, output="arrow")
    for name, values in known.items():
        assert [found[f"{name} {q}"][0].as_py() for q in qs] == np.quantile(values, qs).tolist()
    assert "quantiles settled in 1 trip" in repr(report)


def test_small_whole_numbers_need_no_trip() -> None:
    pipeline = fitted([quantile_of(col("i"), 0.3), col("flag").median().cast("Float64").alias("m")])
    assert pipeline.report_.refinements == 0
    assert value(pipeline, "q") == np.quantile(TABLE["i"].to_numpy(), 0.3)
    assert value(pipeline, "m") == np.median(TABLE["flag"].to_numpy())


def test_quantiles_of_groups_and_no_quantiles_need_none() -> None:
    pipeline = fitted([col("x").median().over("key").alias("m"), col("y").standardize()])
    assert pipeline.report_.refinements == 0


def test_very_many_rows_close_together_take_two() -> None:
    seconds = 1.7e9 + RNG.random(200_000) * 604_800
    pipeline = fitted([quantile_of(col("t"), 0.5)], {"t": seconds})
    assert pipeline.report_.refinements == 2 and pipeline.report_.scans == 1
    assert value(pipeline, "q", {"t": seconds[:2]}) == np.quantile(seconds, 0.5)


def test_a_trip_reads_its_own_columns_alone(tmp_path: Any, monkeypatch: Any) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=1000)
    asked: list[Any] = []
    whole = Rows.frame

    def frame(self: Rows, index: int, columns: Any = None) -> Any:
        asked.append(columns)
        return whole(self, index, columns)

    monkeypatch.setattr(Rows, "frame", frame)
    source = gp.scan(tmp_path / "t.parquet")
    pipeline = fitted([col("x").fill_null("median"), col("y").fill_null("mean"), col("i").standardize()], source)
    assert [columns for columns in asked if columns is not None] == [["x"]] * len(source.partitions)
    without = fitted([col("x").fill_null("mean"), col("y").fill_null("mean"), col("i").standardize()], source)
    assert pipeline.report_.bytes_read == without.report_.bytes_read > 0
    assert pipeline.report_.source_reads == 1


@DEVICES
def test_quantiles_of_what_a_median_fills(device: str) -> None:
    """The fill's value is not known when the quantile above it is settled: the same trip does for both."""
    filled = col("x").fill_null("median")
    pipeline = fitted([quantile_of(filled, q, str(q)) for q in (0.05, 0.5, 0.47, 0.99)], TABLE, device)
    together = np.where(X_KNOWN, X, np.median(X[X_KNOWN]))
    for q in (0.05, 0.5, 0.47, 0.99):
        assert value(pipeline, str(q)) == np.quantile(together, q)
    assert (pipeline.report_.scans, pipeline.report_.refinements) == (1, 1)


@DEVICES
@pytest.mark.parametrize("fill", [0.0, 100.0, 1e9, -1.5])
def test_quantiles_over_two_fills_and_steps(device: str, fill: float) -> None:
    both = col("x").fill_null(col("y").median() + fill).log1p().fill_null(col("x").mean())
    pipeline = fitted([quantile_of(1 - both / col("x").std(), q, str(q)) for q in (0.1, 0.5, 0.93)], TABLE, device)
    alone = gp.Pipeline([(1 - both / col("x").std()).cast("Float64").alias("v")]).fit_transform(TABLE)
    values = alone["v"].to_numpy()
    for q in (0.1, 0.5, 0.93):
        assert value(pipeline, str(q)) == np.quantile(values, q)
    assert (pipeline.report_.scans, pipeline.report_.refinements) == (1, 1)


def test_out_of_fold_medians_of_the_target() -> None:
    """Each training row has the median of the target in the folds that it is not in."""
    pipeline = gp.Pipeline([gp.target().median().cast("Float64").alias("m")], target="y")
    table = TABLE.set_column(1, "y", pa.array(Y))
    found = pipeline.fit_transform(table)["m"].to_numpy()
    kinds = np.unique(found)
    assert 1 < len(kinds) <= 5 and pipeline.report_.refinements == 1
    for kind in kinds:
        assert kind == np.median(Y[found != kind])
    assert value(pipeline, "m", table) == np.median(Y)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_order_of_partitions_never_shows(threads: int, monkeypatch: Any) -> None:
    monkeypatch.setattr("gpupipe.runtime.rows._WORTH_THREADS", 0 if threads > 1 else 2**60)
    features = [quantile_of(col("x"), q, f"x{q}") for q in (0.2, 0.5)] + [quantile_of(col("y"), 0.7, "y")]
    expected = fitted(features).transform(TABLE, output="arrow").slice(0, 1).to_pylist()
    for partitions in (2, 5, 16):
        order = RNG.permutation(N)
        pipeline = fitted(features, gp.scan(TABLE.take(pa.array(order)), partitions=partitions))
        assert pipeline.transform(TABLE, output="arrow").slice(0, 1).to_pylist() == expected


def test_values_kept_at_the_ends_are_sorted_by_threads(monkeypatch: Any) -> None:
    clipped = [col(name).clip(col(name).quantile(0.01), col(name).quantile(0.99)).standardize() for name in "xyf"]
    monkeypatch.setattr("gpupipe.runtime.ends.LEAST_ROWS", 1)
    expected = fitted(clipped, gp.scan(TABLE, partitions=3)).state_digest()
    pools: list[int] = []

    def pool(threads: int, **how: Any) -> ThreadPoolExecutor:
        pools.append(threads)
        return ThreadPoolExecutor(threads, **how)

    for name, value in {"rows._WORTH_THREADS": 0, "refine._BESIDE": 0, "refine.ThreadPoolExecutor": pool}.items():
        monkeypatch.setattr(f"gpupipe.runtime.{name}", value)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert fitted(clipped, gp.scan(TABLE, partitions=3)).state_digest() == expected
    assert pools == [3]


def test_the_plan_says_which_state(monkeypatch: Any) -> None:
    plan: Plan = (
        gp.Pipeline([col("x").median().over("key").alias("a"), col("x").median().alias("b")]).explain(TABLE).plan
    )
    assert sorted(gather.state for scan in plan.scans for gather in scan.gathers) == ["order", "values"]


def test_a_column_without_values_is_told() -> None:
    with pytest.raises(gp.errors.EmptyDataError, match="has no value"):
        fitted([col("z").fill_null("median")], {"z": pa.array([None, None], pa.float64())})
