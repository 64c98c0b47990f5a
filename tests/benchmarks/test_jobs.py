"""The jobs' data are what they say, whatever their size, and what must not pass for equal does not."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.jobs import clicks, data
from benchmarks.peers.command import Task
from benchmarks.peers.training import train


@pytest.fixture(scope="module")
def group() -> pa.Table:
    return clicks.group(1)


def test_a_log_of_clicks_has_criteo_s_shape(group: pa.Table) -> None:
    assert group.column_names == ["label", *clicks.NUMBERS, *clicks.WORDS]
    assert group.num_rows == data.GROUP
    missing = [group[name].null_count / data.GROUP for name in clicks.NUMBERS]
    assert all(0.04 < share < 0.46 for share in missing) and missing[0] < 0.06 and missing[-1] > 0.44
    assert all(pc.min(group[name]).as_py() < 0 for name in clicks.NUMBERS)
    assert {str(group[name].type) for name in clicks.NUMBERS} == {"int32", "int64", "float", "double"}
    assert all(group[name].type == pa.string() for name in clicks.WORDS)
    assert 0.2 < pc.mean(group["label"]).as_py() < 0.8


def test_texts_are_many_and_uneven(group: pa.Table) -> None:
    distinct = [len(group[name].unique()) for name in clicks.WORDS]
    assert min(distinct) == 3 and max(distinct) > 50_000
    counts = np.sort(group["c6"].value_counts().field("counts").to_numpy())
    assert counts[-1] > 50 * np.median(counts)
    for at in (0, 3, 18):
        assert len(clicks.texts(at).unique()) == clicks.SIZES[at]


@pytest.mark.parametrize(("peer", "within"), [("dask_ml", "0.002"), ("nvtabular", "0.01")])
def test_a_peer_whose_medians_are_approximate_may_differ_by_more_and_it_is_told(
    peer: str, within: str, tmp_path: Path
) -> None:
    ours, theirs = results(tmp_path, lambda matrix: np.copyto(matrix[:, 2], matrix[:, 2] + 5e-4))
    with pytest.raises(ValueError, match="n3: "):
        clicks.agree(ours, theirs, "matrix")
    renamed = theirs.rename(tmp_path / peer)
    assert f"numbers within {within}," in clicks.agree(ours, renamed, "matrix")
    with pytest.raises(ValueError, match="n3: "):
        clicks.agree(ours, renamed, "matrix_zero")  # no medians, no difference


def test_fewer_rows_are_the_first_of_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "GROUP", 64)
    assert list(data.blocks(100, 64)) == [(0, 64), (64, 36)]
    few, many = (pa.concat_tables(clicks.groups(rows)) for rows in (1000, 3000))
    assert many.slice(0, 1000).equals(few)


def test_half_made_rows_are_no_rows(tmp_path: Path) -> None:
    def fail(folder: Path, rows: int) -> None:
        (folder / "rows.parquet").write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        data.made(tmp_path, "clicks", 10, fail)
    assert not list(tmp_path.iterdir())

    def write(folder: Path, rows: int) -> None:
        (folder / "a").write_text(str(rows))

    made = data.made(tmp_path, "clicks", 10, write)
    again = data.made(tmp_path, "clicks", 10, fail)
    assert made == again and (again / "a").read_text() == "10"


def results(tmp_path: Path, change: object = None) -> tuple[Path, Path]:
    """Two folders with equal matrices, the second one changed by `change`."""
    rng = np.random.default_rng(3)
    numbers = rng.normal(size=(60, 13)).astype(np.float32)
    codes = np.repeat(np.array([0, 1, 2, 3, 4, 4], np.float32), 10)[:, None].repeat(26, axis=1)
    for name in ("ours", "theirs"):
        matrix = np.hstack([numbers, codes])
        if name == "theirs" and change is not None:
            change(matrix)  # type: ignore[operator]
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "matrix.npy", matrix)
    return tmp_path / "ours", tmp_path / "theirs"


def test_equal_results_agree(tmp_path: Path) -> None:
    assert "all 39 columns" in clicks.agree(*results(tmp_path), "matrix")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda matrix: np.copyto(matrix[7:8, 4], 9), "n5: 1 of 60 rows differ; row 7"),
        (lambda matrix: np.copyto(matrix[:1, 13], 1), "c1: 1 of 60 rows differ; row 0 is 0.0 and 1.0"),
        (lambda matrix: np.copyto(matrix[:, 38], matrix[:, 38] + 1), "c26: 60 of 60"),
        (lambda matrix: np.copyto(matrix[:, 2], np.nan), "n3: 60 of 60"),
    ],
)
def test_other_results_do_not(tmp_path: Path, change: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        clicks.agree(*results(tmp_path, change), "matrix")


def test_equally_frequent_values_may_change_places(tmp_path: Path) -> None:
    def swap(matrix: np.ndarray) -> None:
        matrix[:, 20] = np.where(matrix[:, 20] == 2, 3, np.where(matrix[:, 20] == 3, 2, matrix[:, 20]))

    assert "in 1 columns but for which" in clicks.agree(*results(tmp_path, swap), "matrix")


def test_fewer_rows_are_another_result(tmp_path: Path) -> None:
    ours, theirs = results(tmp_path)
    np.save(theirs / "matrix.npy", np.load(theirs / "matrix.npy")[:-1])
    with pytest.raises(ValueError, match="60 rows and 59"):
        clicks.agree(ours, theirs, "matrix")


def test_models_are_judged_on_rows_they_have_not_seen(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    label = rng.integers(0, 2, 1000)
    noise = rng.normal(size=(1000, 2)).astype(np.float32)
    train(Task(tmp_path, tmp_path, "models"), noise, label)
    found = clicks.json.loads((tmp_path / "models.json").read_text())
    assert all(0.35 < auc < 0.65 for auc in found.values())  # rows it had seen would be near 1
    noise[:, 0] += 3 * label
    task = Task(tmp_path, tmp_path, "models")
    train(task, noise, label)
    assert all(auc > 0.95 for auc in task.notes.values()) and set(task.notes) == {"logistic auc", "xgboost auc"}


def test_groups_are_written_one_by_one(tmp_path: Path) -> None:
    tables = (pa.table({"x": [at, at + 1]}) for at in range(3))
    data.write_groups(tmp_path / "x.parquet", tables)
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert file.num_row_groups == 3 and file.read()["x"].to_pylist() == [0, 1, 1, 2, 2, 3]
