"""J2 and J3: the data are what they say, and every light peer's matrix is ours."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.jobs import trips, wide
from benchmarks.peers.command import Task
from gpupipe.backends.registers import fold_numbers

ROWS = 4000
JOBS = {"wide": wide, "trips": trips}


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("rows")
    return {name: job.make(home, ROWS) for name, job in JOBS.items()}


@pytest.fixture(scope="module")
def ours(homes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: done("ours", name, homes[name], tmp_path_factory.mktemp("ours")) for name in JOBS}


def done(peer: str, job: str, rows: Path, out: Path, **settings: str) -> Path:
    script: ModuleType = importlib.import_module(f"benchmarks.peers.{peer}_")
    getattr(script, job)(Task(rows, out, "matrix", keep=True, settings=settings))
    return out


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("peer", ["polars", "duckdb", "pandas", "sklearn"])
def test_a_peer_gives_our_matrix(
    peer: str, job: str, homes: dict[str, Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip(peer)
    theirs = done(peer, job, homes[job], tmp_path)
    assert "within 1e-05" in JOBS[job].agree(ours[job], theirs, "matrix")


def test_polars_quantiles_by_a_list_are_those_by_selection(
    homes: dict[str, Path], ours: dict[str, Path], tmp_path: Path
) -> None:
    theirs = done("polars", "wide", homes["wide"], tmp_path, quantiles="list")
    assert wide.agree(ours["wide"], theirs, "matrix")


def test_a_wide_column_by_numpy_alone(homes: dict[str, Path], ours: dict[str, Path]) -> None:
    rows, matrix = pq.read_table(homes["wide"] / wide.FILE), np.load(ours["wide"] / "matrix.npy")
    made = []
    for at in (0, 7):
        column = rows[f"x{at}"].combine_chunks()
        values = column.to_numpy(zero_copy_only=False).astype(np.float64)
        values = np.where(np.isnan(values), np.nanmean(values), values)
        values = values.clip(*np.quantile(values, [0.01, 0.99]))
        made.append((values - values.mean()) / values.std())
        np.testing.assert_allclose(matrix[:, at], made[-1], rtol=1e-5, atol=1e-5)
    product = 200 + wide.CROSSED.index("x0_x7")
    np.testing.assert_allclose(matrix[:, product], made[0] * made[1], rtol=1e-5, atol=1e-4)


def test_a_target_mean_by_its_definition(homes: dict[str, Path], ours: dict[str, Path]) -> None:
    rows, matrix = pq.read_table(homes["trips"] / trips.FILE), np.load(ours["trips"] / "matrix.npy")
    zone, fold, tipped = (rows[name].to_numpy() for name in ("pickup_zone", "fold", "tipped"))
    place = trips.COLUMNS.index("pickup_zone_target_mean")
    for row in (0, 1, 2, 3999):
        others = fold != fold[row]
        same = others & (zone == zone[row])
        expected = (tipped[same].sum() + 20 * tipped[others].mean()) / (same.sum() + 20)
        assert matrix[row, place] == pytest.approx(expected, rel=1e-6)


def test_the_folds_are_gpupipe_s_own() -> None:
    rows = np.arange(12_345, 13_345, dtype=np.uint64)
    np.testing.assert_array_equal(trips.folds(12_345, 1000), fold_numbers(rows, trips.FOLDS))


def test_wide_columns_are_one_in_twenty_null_and_hardly_repeat() -> None:
    group = wide.group(3)
    assert group.column_names == wide.COLUMNS and set(group.schema.types) == {pa.float32()}
    assert all(0.045 < column.null_count / wide.GROUP < 0.055 for column in group.columns[:20])
    assert len(group["x0"].unique()) > 0.9 * 0.95 * wide.GROUP


def test_trips_are_skewed_and_lack_what_they_say() -> None:
    group = trips.group(0)
    assert group.num_rows == trips.GROUP
    assert 0.015 < group["pickup_lat"].null_count / trips.GROUP < 0.025
    assert pc.all(pc.greater(group["dropoff_at"], group["pickup_at"])).as_py()
    counts = np.sort(group["driver"].value_counts().field("counts").to_numpy())
    assert len(counts) > 0.9 * trips.DRIVERS and counts[-1] > 10 * np.median(counts)
    for name, values in trips.ONE_HOT.items():
        assert sorted(group[name].drop_null().unique().to_pylist()) == values == sorted(values)


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_fewer_rows_are_the_first_of_more(job: ModuleType, homes: dict[str, Path], tmp_path: Path) -> None:
    fewer = pq.read_table(job.make(tmp_path, 100) / job.FILE)
    assert fewer.equals(pq.read_table(homes[job.NAME] / job.FILE).slice(0, 100))


@pytest.mark.parametrize("wrong", [np.float32(1.001), np.float32(np.nan)])
def test_another_value_is_not_the_same(wrong: np.float32, ours: dict[str, Path], tmp_path: Path) -> None:
    matrix = np.load(ours["trips"] / "matrix.npy")
    place = trips.COLUMNS.index("zone_hour_fare")
    matrix[17, place] *= wrong
    np.save(tmp_path / "matrix.npy", matrix)
    with pytest.raises(ValueError, match="zone_hour_fare: row 17 "):
        trips.agree(ours["trips"], tmp_path, "matrix")


def test_a_matrix_column_after_column_is_refused(ours: dict[str, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "matrix.npy", np.asfortranarray(np.load(ours["trips"] / "matrix.npy")))
    with pytest.raises(ValueError, match="row after row"):
        trips.agree(ours["trips"], tmp_path, "matrix")
