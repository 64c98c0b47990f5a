"""What a fit is expected to cost, beside what it did; and what GPUPIPE_DEBUG tells of each stage."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

import gpupipe as gp
from gpupipe import col
from gpupipe.runtime.machine import crowding
from gpupipe.runtime.prediction import Prediction
from gpupipe.runtime.progress.debugging import debugging

ROWS = 20_000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "t.parquet"
    rng = np.random.default_rng(1)
    table = pa.table({"x": rng.normal(size=ROWS), "s": rng.choice(["a", "b"], ROWS), "y": rng.random(ROWS) < 0.5})
    pq.write_table(table, path, row_group_size=3000)
    return path


FEATURES = [col("x").fill_null("median").standardize(), col("s").codes()]


def test_explain_and_report_tell_the_same_and_bytes_read_are_exact(file: Path) -> None:
    pipeline = gp.Pipeline(FEATURES)
    expected = pipeline.explain(file).predicted
    report = pipeline.fit(file).report_
    assert isinstance(expected, Prediction) and report.predicted == expected
    assert report.bytes_read == expected.bytes_read > 0 and report.errors["bytes_read"] == 1.0
    assert set(report.errors) == {"bytes_read"}  # the rest was expected to be next to nothing


def test_explain_shows_it(file: Path) -> None:
    shown = str(gp.Pipeline(FEATURES).explain(file))
    said = r"^Expected   0\.\d MB read, under 100 MB of memory beside what is held, under a second$"
    assert re.search(said, shown, re.M)


@pytest.mark.parametrize(
    ("model", "training", "scans", "trained"),
    [
        (None, None, "1 for statistics, then one for features", None),
        (LogisticRegression(), None, "1 for statistics, then one for features and training", "on a float64 matrix"),
        (LogisticRegression(), "partitions", "1 for statistics, then one for each step of training", "on partitions"),
        (Ridge(), None, "1 for statistics and training", "from covariances"),
        (Ridge(), "gather", "1 for statistics, then one for features and training", "on a float64 matrix of all rows"),
    ],
)
def test_trips_and_training_are_told_as_they_will_be(
    file: Path, model: Any, training: Any, scans: str, trained: str | None
) -> None:
    target = None if model is None else "y" if isinstance(model, LogisticRegression) else col("y").cast(gp.Float64)
    pipeline = gp.Pipeline(FEATURES[:1], target, model, training=training)
    explained = pipeline.explain(file)
    assert re.search(rf"^Scans      {scans}$", str(explained), re.M)
    assert trained is None or f"trained {trained}" in str(explained)
    pipeline.fit(file)
    names = [stage.name for stage in pipeline.report_.stages if "quantiles" not in stage.name]
    steps = {"partitions": ["rows to learn from", "step 1 of logistic regression"]}.get(str(training), ["features"])
    assert names[1 : 1 + len(steps)] == ([] if trained == "from covariances" or model is None else steps)


def test_more_rows_columns_and_a_matrix_cost_more() -> None:
    def cost(rows: int, model: object = None, features: int = 1) -> Prediction:
        table = pa.table({f"x{at}": np.zeros(rows) for at in range(features)} | {"y": np.arange(rows) % 2})
        pipeline = gp.Pipeline([gp.cols(*[f"x{at}" for at in range(features)]).standardize()], "y", model)
        found = pipeline.explain(table).predicted
        assert isinstance(found, Prediction)
        return found

    small, large, wide = cost(1000), cost(10_000), cost(1000, features=3)
    for more in (large, wide):
        assert more.seconds > small.seconds and more.memory > small.memory and more.bytes_read > small.bytes_read
    assert cost(1000, LogisticRegression()).memory > cost(1000, LinearRegression()).memory  # solved from covariances


def test_the_report_tells_how_far_off_it_was(file: Path) -> None:
    report = gp.Pipeline(FEATURES).fit(file).report_
    off = replace(report, predicted=Prediction(report.bytes_read // 2, 200_000_000, 4.0), memory=300_000_000)
    off = replace(off, seconds={"statistics": 1.0, "features": 1.0, "training": 9.0, "total": 11.0})
    assert off.errors == {"bytes_read": pytest.approx(2.0), "memory": 1.5, "seconds": 0.5}
    assert "multiples of it: bytes read 2.00, memory 1.50, seconds 0.50" in repr(off)
    assert replace(off, predicted=None).errors == {}
    assert "memory" not in replace(off, memory=0).errors


@pytest.mark.parametrize(("value", "told"), [("", False), ("0", False), ("1", True)])
def test_debugging_is_asked_for(value: str, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUPIPE_DEBUG", value)
    assert debugging() == told


def test_each_stage_tells_what_it_took(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = gp.Pipeline(FEATURES, "y", LogisticRegression())
    pipeline.fit(file)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("GPUPIPE_DEBUG", "1")
    pipeline.fit(file)
    pipeline.transform(file, output="numpy")
    pipeline.transform(file, out=np.empty((ROWS, 2), np.float32))
    lines = capsys.readouterr().err.splitlines()
    stages = [line.removeprefix("gpupipe: ").partition(":")[0] for line in lines]
    assert stages == [*TRIPS[:3], "training LogisticRegression", *TRIPS[3:]]
    figures = r": 20,000 rows in \d+\.\d{3} s, [\d.,]+ million a second, [\d.]+ GB/s of decoded columns, \d+% of the "
    assert all(re.search(figures, line) for line, stage in zip(lines, stages, strict=True) if stage in TRIPS)
    assert all("CPU s" in line for line in lines)


TRIPS = ["scan 1 of 1", "settling quantiles", "features", "features", "features"]


def test_seconds_are_a_range_by_how_fast_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({f"x{at}": np.zeros(300_000) for at in range(10)})
    pipeline, expected = gp.Pipeline([gp.numeric().standardize()]), []
    for slower in (1.0, 100.0):
        monkeypatch.setattr("gpupipe.runtime.prediction.slowness", lambda threads, slower=slower: slower)
        monkeypatch.setattr("gpupipe.runtime.prediction.crowding", lambda threads: 1.0)
        found = pipeline.explain(table).predicted
        assert isinstance(found, Prediction)
        expected.append(found)
    slow = expected[1].seconds
    assert slow > 10 * expected[0].seconds and expected[1].seconds_range == (slow / 2, slow * 2)
    assert str(Prediction(10**6, 10**9, 3.0)) == (
        "1.0 MB read, about 1,000 MB of memory beside what is held, 1.5 to 6.0 s"
    )


def test_others_at_work_take_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    for load, threads, times in ((0.0, 4, 1.0), (8.0, 4, 3.0), (1.0, 2, 1.0), (6.0, 2, 2.0)):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert crowding(threads) == times


def test_small_data_measure_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpupipe.runtime.prediction.slowness", lambda threads: pytest.fail("measured"))
    gp.Pipeline(FEATURES).explain(file)
