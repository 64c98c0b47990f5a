"""Results as a folder of files: what stands, what is gone on with, what is refused, with each call failing or fatal."""

import errno
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from faults import (
    CHANGING,
    ERRNOS,
    Counting,
    Dies,
    FailsFrom,
    FailsOnce,
    forked,
    in_place,
    no_exchange,
    no_waiting,
    open_files,
)
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import (
    FileFormatError,
    ParameterError,
    RunBusyError,
    RunChangedError,
    SchemaMismatchError,
    StorageError,
)
from gpupipe.runtime.dataset import Writing
from gpupipe.runtime.score import Predicting
from gpupipe.runtime.standing import MANIFEST, About, is_dataset
from gpupipe.sources.snapshot import Snapshot, snapshot
from gpupipe.storage import disk

FILES, ROWS = 5, 20
NAMES = [f"part-{number:05}-of-{FILES:05}.parquet" for number in range(FILES)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small files, 20 rows each."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(7)
    for number in range(FILES):
        first = number * ROWS
        table = {"id": np.arange(first, first + ROWS), "x": rng.normal(size=ROWS), "c": rng.choice(["a", "b"], ROWS)}
        pq.write_table(pa.table({**table, "y": rng.choice(["no", "yes"], ROWS)}), folder / f"{number}.parquet")
    return folder


def rows(data: Path) -> gp.Source:
    return gp.scan(data, partition_bytes=1)


@pytest.fixture(scope="module")
def fitted(data: Path) -> gp.Pipeline:
    features = [col("x").standardize(), col("c").target_mean()]
    return gp.Pipeline(features, target="y", model=LogisticRegression()).fit(rows(data))


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}


# -- what is written ------------------------------------------------------------------------------------------
def test_a_folder_has_a_file_a_partition_in_the_order_of_rows_and_a_manifest(
    data: Path, fitted: gp.Pipeline, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "scores"
    assert fitted.predictions(rows(data), keep=["id"], out=f"{out}/") == FILES * ROWS
    assert sorted(os.listdir(out)) == [MANIFEST, *NAMES]
    expected = list(fitted.predictions(rows(data), keep=["id"]))
    for name, table in zip(NAMES, expected, strict=True):
        assert pq.read_table(out / name).equals(table)
        assert os.stat(out / name).st_mode & 0o777 == 0o600
    manifest = json.loads((out / MANIFEST).read_text())
    assert manifest["rows"] == FILES * ROWS and manifest["keep"] == ["id"] and manifest["what"] == "predictions"
    assert manifest["columns"]["probability_yes"] == "double"
    for number, file in enumerate(manifest["files"]):
        stored = (out / file["name"]).read_bytes()
        assert (file["name"], file["rows"], file["bytes"]) == (NAMES[number], ROWS, len(stored))
        assert file["sha256"] == hashlib.sha256(stored).hexdigest()
        assert file["from"]["file"] == str(data / f"{number}.parquet")


def test_every_reader_of_folders_sees_the_data_and_nothing_else(
    data: Path, fitted: gp.Pipeline, tmp_path: Path
) -> None:
    duckdb = pytest.importorskip("duckdb")
    fitted.predictions(rows(data), keep=["id"], out=f"{tmp_path}/s/")
    expected = pa.concat_tables(fitted.predictions(rows(data), keep=["id"]))
    assert pq.read_table(tmp_path / "s").equals(expected)
    assert ds.dataset(tmp_path / "s").to_table().equals(expected)
    assert pl.read_parquet(tmp_path / "s" / "*.parquet").to_arrow()["id"].to_pylist() == list(range(FILES * ROWS))
    assert pl.scan_parquet(tmp_path / "s", hidden_file_prefix="_").collect().height == FILES * ROWS
    counted = duckdb.sql(f"select count(*), sum(id) from '{tmp_path}/s/*.parquet'").fetchall()
    assert counted == [(FILES * ROWS, sum(range(FILES * ROWS)))]
    assert gp.scan(tmp_path / "s").n_rows == FILES * ROWS


def test_features_and_those_of_the_training_rows(data: Path, tmp_path: Path) -> None:
    pipeline = gp.Pipeline([col("x").standardize(), col("c").target_mean()], target="y")
    assert pipeline.fit_transform(rows(data), out=f"{tmp_path}/train/") == FILES * ROWS
    (tmp_path / "later").mkdir()
    assert pipeline.transform(rows(data), out=tmp_path / "later") == FILES * ROWS
    training = gp.Pipeline([col("x").standardize(), col("c").target_mean()], target="y").fit_transform(rows(data))
    assert pq.read_table(tmp_path / "train").equals(training)
    assert pq.read_table(tmp_path / "later").equals(pipeline.transform(rows(data), output="arrow"))
    assert not pq.read_table(tmp_path / "train").equals(pq.read_table(tmp_path / "later"))
    before = contents(tmp_path / "train")
    (tmp_path / "train" / NAMES[2]).unlink()
    assert pipeline.fit_transform(rows(data), out=tmp_path / "train") == FILES * ROWS
    assert contents(tmp_path / "train") == before
    with pytest.raises(RunChangedError, match="they are features of the training rows, and these are features"):
        pipeline.transform(rows(data), out=tmp_path / "train")


def test_components_rows_in_memory_and_rows_that_filters_leave(data: Path, tmp_path: Path) -> None:
    clusters = gp.Pipeline([col("x")], model=KMeans(2, n_init=1, random_state=0)).fit(rows(data))
    table = pq.read_table(data)
    source = gp.scan(table, partitions=3).filter(col("id") >= 60)
    assert clusters.transform(source, out=f"{tmp_path}/s/") == 40
    heights = [pq.read_metadata(tmp_path / "s" / name).num_rows for name in sorted(os.listdir(tmp_path / "s"))[1:]]
    assert heights == [0, 7, 33]
    found = pq.read_table(tmp_path / "s").to_pandas().to_numpy()
    np.testing.assert_array_equal(found, clusters.transform(source, output="numpy"))
    other = table.set_column(1, "x", pa.array(np.arange(FILES * ROWS, dtype=np.float64)))
    again = gp.scan(pa.concat_tables([table.slice(0, 50), table.slice(50)]), partitions=3).filter(col("id") >= 60)
    made = os.stat(tmp_path / "s" / "part-00000-of-00003.parquet").st_mtime_ns
    clusters.transform(again, out=tmp_path / "s")
    assert os.stat(tmp_path / "s" / "part-00000-of-00003.parquet").st_mtime_ns == made, "the same rows, known again"
    with pytest.raises(RunChangedError, match="of other rows"):
        clusters.transform(gp.scan(other, partitions=3).filter(col("id") >= 60), out=tmp_path / "s")


def test_a_path_without_a_slash_where_nothing_stands_is_one_file(
    data: Path, fitted: gp.Pipeline, tmp_path: Path
) -> None:
    assert fitted.predictions(rows(data), out=tmp_path / "s") == FILES * ROWS
    assert (tmp_path / "s").is_file() and pq.read_table(tmp_path / "s").num_rows == FILES * ROWS


# -- what stands ----------------------------------------------------------------------------------------------
class Reads(Counting):
    """Counts the files that are made."""

    @property
    def made(self) -> int:
        return self.tally.get("renameat2", 0)


def made(work: Callable[[], object]) -> int:
    reads = Reads()
    with in_place(reads):
        work()
    return reads.made


def test_what_stands_is_kept_and_only_the_rest_made(data: Path, fitted: gp.Pipeline, tmp_path: Path) -> None:
    out = tmp_path / "s"

    def score() -> int:
        return fitted.predictions(rows(data), out=f"{out}/")

    assert made(score) == FILES
    whole = contents(out)
    assert made(score) == 0 and contents(out) == whole
    for gone in ([MANIFEST], [MANIFEST, NAMES[0], NAMES[3]], [NAMES[4]], [MANIFEST, *NAMES]):
        for name in gone:
            (out / name).unlink()
        assert made(score) == sum(name != MANIFEST for name in gone)
        assert contents(out) == whole


def test_what_a_power_failure_damaged_is_made_anew(data: Path, fitted: gp.Pipeline, tmp_path: Path) -> None:
    fitted.predictions(rows(data), out=f"{tmp_path}/s/")
    whole = contents(tmp_path / "s")
    (tmp_path / "s" / MANIFEST).unlink()
    stored = whole[NAMES[1]]
    (tmp_path / "s" / NAMES[0]).write_bytes(b"")
    (tmp_path / "s" / NAMES[1]).write_bytes(stored[:40] + b"\0" * 40 + stored[80:])
    (tmp_path / "s" / NAMES[2]).write_bytes(whole[NAMES[2]][:-9])
    (tmp_path / "s" / f".{NAMES[3]}.gpupipe-temp-0123456789abcdef").write_bytes(b"PAR1")
    assert made(lambda: fitted.predictions(rows(data), out=f"{tmp_path}/s/")) == 3
    assert contents(tmp_path / "s") == whole


def test_names_and_bytes_are_those_of_any_number_of_threads_and_of_halves(
    data: Path, fitted: gp.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.predictions(rows(data), keep=["c"], out=f"{tmp_path}/one/")
    with gp.cluster("threads", n_workers=3):
        fitted.predictions(rows(data), keep=["c"], out=f"{tmp_path}/three/")
    assert contents(tmp_path / "one") == contents(tmp_path / "three")
    monkeypatch.setattr("gpupipe.runtime.halving.FEWEST", 2)
    monkeypatch.setattr("gpupipe.runtime.halving._LEAST_EVEN", 8)
    failed: list[int] = []
    features = type(fitted._fitted().features)
    matrix = features.matrix

    def scarce(self: Any, frame: Any, *rest: Any) -> Any:
        if frame.n_rows > 15:
            failed.append(frame.n_rows)
            raise MemoryError
        return matrix(self, frame, *rest)

    monkeypatch.setattr(features, "matrix", scarce)
    fitted.predictions(rows(data), keep=["c"], out=f"{tmp_path}/halves/")
    assert len(failed) == 2 * FILES
    assert contents(tmp_path / "one") == contents(tmp_path / "halves")


# -- what is refused ------------------------------------------------------------------------------------------
def test_other_results_are_refused_by_what_differs_and_replaced_if_asked(
    data: Path, fitted: gp.Pipeline, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in os.listdir(data):
        os.link(data / name, folder / name)
    out = f"{tmp_path}/s/"
    fitted.predictions(rows(folder), out=out)
    before = contents(tmp_path / "s")
    other = gp.Pipeline(col("x").standardize(), target="y", model=LogisticRegression()).fit(rows(folder))

    def refused(says: str, pipeline: gp.Pipeline = fitted, source: Any = None, **options: Any) -> None:
        with pytest.raises(RunChangedError, match=says):
            pipeline.predictions(rows(folder) if source is None else source, out=out, **options)
        assert contents(tmp_path / "s") == before

    refused("another pipeline, or of another fit of it", other)
    refused("they keep no column of the data, and these id, x", keep=["id", "x"])
    refused("of other rows, or something else was done", source=rows(folder).filter(col("x") > 0))
    refused(r"2\.parquet \(and 2 others\) is not among", source=gp.scan(f"{folder}/[01].parquet", partition_bytes=1))
    refused("other rows", source=gp.scan([folder / f"{at}.parquet" for at in (1, 0, 2, 3, 4)], partition_bytes=1))
    pq.write_table(pq.read_table(data / "0.parquet"), folder / "5.parquet")
    refused(r"5\.parquet is new among the inputs")
    (folder / "5.parquet").unlink()
    (folder / "3.parquet").unlink()
    pq.write_table(pq.read_table(data / "0.parquet"), folder / "3.parquet")
    refused(r"3\.parquet is changed since")
    assert made(lambda: fitted.predictions(rows(folder), out=out, overwrite=True)) == FILES
    assert (
        pq.read_table(tmp_path / "s")["prediction"].to_pylist()
        == fitted.predict(rows(folder))["prediction"].to_pylist()
    )
    assert made(lambda: fitted.predictions(rows(folder), out=out, overwrite=True)) == 0, "the same: nothing to replace"


def test_what_a_killed_run_of_something_else_left_is_refused_too(
    data: Path, fitted: gp.Pipeline, tmp_path: Path
) -> None:
    fitted.predictions(rows(data), out=f"{tmp_path}/s/")
    for name in (MANIFEST, NAMES[0]):
        (tmp_path / "s" / name).unlink()
    with pytest.raises(RunChangedError, match="they keep no column of the data, and these id"):
        fitted.predictions(rows(data), keep=["id"], out=f"{tmp_path}/s/")
    assert fitted.predictions(rows(data), keep=["id"], out=f"{tmp_path}/s/", overwrite=True) == FILES * ROWS
    assert pq.read_table(tmp_path / "s")["id"].to_pylist() == list(range(FILES * ROWS))


@pytest.mark.parametrize("name", ["mine.parquet", "notes.txt", "year=2024", "part-1-of-5.parquet"])
def test_a_folder_with_anything_else_is_left_alone(name: str, data: Path, fitted: gp.Pipeline, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ParameterError, match=f"holds {name}: whoever reads the folder"):
            fitted.predictions(rows(data), out=tmp_path, overwrite=overwrite)
    assert os.listdir(tmp_path) == [name]


def test_a_manifest_and_parts_of_another_program_are_left_alone(
    data: Path, fitted: gp.Pipeline, tmp_path: Path
) -> None:
    for text in ("[]", "not JSON", '{"entries": []}', '{"gpupipe": 1, "digest": "x", "files": [{}]}'):
        (tmp_path / MANIFEST).write_text(text)
        with pytest.raises(ParameterError, match="is no manifest of results"):
            fitted.predictions(rows(data), out=tmp_path, overwrite=True)
        assert (tmp_path / MANIFEST).read_text() == text
    (tmp_path / MANIFEST).unlink()
    pq.write_table(pa.table({"a": [1]}), tmp_path / NAMES[1])
    with pytest.raises(RunChangedError, match=f"{NAMES[1]} is damaged, or was not written by gpupipe"):
        fitted.predictions(rows(data), out=tmp_path)
    assert is_dataset(tmp_path) and not is_dataset(tmp_path / "nowhere")


def with_a_bad_page(data: Path, folder: Path) -> gp.Source:
    """The same files, one of which got a page that cannot be decoded after it was listed."""
    folder.mkdir()
    for name in os.listdir(data):
        (folder / name).write_bytes((data / name).read_bytes())
    source = rows(folder)
    stored = bytearray((folder / "3.parquet").read_bytes())
    start = pq.read_metadata(folder / "3.parquet").row_group(0).column(1).data_page_offset
    stored[start : start + 60] = bytes(60)
    changed = os.stat(folder / "3.parquet").st_mtime_ns
    with open(folder / "3.parquet", "r+b") as file:
        file.write(stored)
    os.utime(folder / "3.parquet", ns=(changed, changed))
    return source


def test_an_error_of_the_data_names_its_file_and_what_was_made_stays(
    data: Path, fitted: gp.Pipeline, tmp_path: Path
) -> None:
    source = with_a_bad_page(data, tmp_path / "data")
    with pytest.raises(FileFormatError, match=r"3\.parquet"):
        fitted.predictions(source, out=f"{tmp_path}/s/")
    assert NAMES[0] in os.listdir(tmp_path / "s") and MANIFEST not in os.listdir(tmp_path / "s")


@pytest.mark.parametrize("method", ["transform", "predictions"])
def test_data_of_another_kind_replace_nothing(method: str, data: Path, fitted: gp.Pipeline, tmp_path: Path) -> None:
    out = f"{tmp_path}/s/"
    getattr(fitted, method)(rows(data), out=out)
    before = sorted(os.listdir(out))
    table = pq.read_table(data)
    for name in fitted._fitted().features.plan.columns:
        other = table.set_column(table.column_names.index(name), name, pa.array([date(2024, 1, 1)] * len(table)))
        with pytest.raises(SchemaMismatchError, match=f"Column '{name}': it is Date here"):
            getattr(fitted, method)(other, out=out, overwrite=True)
    assert sorted(os.listdir(out)) == before


@pytest.mark.parametrize("method", ["transform", "predictions"])
def test_what_cannot_be_read_is_left_out_and_told(method: str, data: Path, fitted: gp.Pipeline, tmp_path: Path) -> None:
    source = with_a_bad_page(data, tmp_path / "data")
    n_rows = getattr(fitted, method)(source, out=f"{tmp_path}/s/", on_bad_partition="quarantine")
    (left,) = json.loads((tmp_path / "s" / MANIFEST).read_text())["left_out"]
    assert left["file"].endswith("3.parquet") and n_rows == source.n_rows - left["rows"]
    report = fitted.last_report_
    assert report is not None and report.quarantined[0]._asdict() == left and "left out: " in repr(report)
    assert pq.read_table(tmp_path / "s").num_rows == n_rows


def test_a_quarantine_takes_a_folder(data: Path, fitted: gp.Pipeline, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="takes a folder"):
        fitted.predictions(rows(data), out=tmp_path / "one.parquet", on_bad_partition="quarantine")
    with pytest.raises(ParameterError, match="takes a folder"):
        fitted.predictions(rows(data), on_bad_partition="quarantine")
    for out in (None, np.empty((1, 1), np.float32), tmp_path / "one.parquet"):
        with pytest.raises(ParameterError, match="takes a folder"):
            fitted.transform(rows(data), out=out, on_bad_partition="quarantine")
    for method in (fitted.predictions, fitted.transform):
        with pytest.raises(ParameterError, match="'skip' is no policy"):
            method(rows(data), out=f"{tmp_path}/s/", on_bad_partition="skip")
    assert os.listdir(tmp_path) == []


# -- two at once ----------------------------------------------------------------------------------------------
def test_a_second_run_is_refused_while_one_is_at_work(data: Path, fitted: gp.Pipeline, tmp_path: Path) -> None:
    out = f"{tmp_path}/s/"
    told: list[str] = []

    class Second(Counting):
        def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name == "renameat2" and not told:
                told.append("asked")
                refused(fitted, data, out)
            return do()

    with in_place(Second()):
        assert fitted.predictions(rows(data), out=out) == FILES * ROWS
    assert sorted(os.listdir(out)) == [MANIFEST, *NAMES] and told


def refused(fitted: gp.Pipeline, data: Path, out: str) -> None:
    with pytest.raises(RunBusyError, match="Another process is writing results to"):
        fitted.predictions(rows(data), out=out)


def test_without_locks_two_at_once_make_each_file_once_and_never_mix(
    data: Path, fitted: gp.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock(descriptor: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setitem(vars(disk), "lock", lock)
    fitted.predictions(rows(data), out=f"{tmp_path}/alone/")
    done: list[int] = []
    keep: list[str] = []

    class Beside(Counting):
        def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name == "renameat2" and not done:
                done.append(0)
                done[0] = fitted.predictions(rows(data), keep=keep, out=f"{tmp_path}/s/")
            return do()

    with in_place(Beside()):
        assert fitted.predictions(rows(data), out=f"{tmp_path}/s/") == FILES * ROWS
    assert done == [FILES * ROWS] and contents(tmp_path / "s") == contents(tmp_path / "alone")
    done.clear()
    keep.append("id")
    emptied(tmp_path / "s")
    with in_place(Beside()), pytest.raises(RunChangedError, match="was written meanwhile by something else"):
        fitted.predictions(rows(data), out=f"{tmp_path}/s/")
    assert pq.read_table(tmp_path / "s")["id"].to_pylist() == list(range(FILES * ROWS))


def test_without_renames_that_refuse_links_do(
    data: Path, fitted: gp.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.predictions(rows(data), out=f"{tmp_path}/a/")
    no_exchange(monkeypatch)
    fitted.predictions(rows(data), out=f"{tmp_path}/b/")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


# -- failures -------------------------------------------------------------------------------------------------
def emptied(folder: Path) -> None:
    for name in os.listdir(folder) if folder.exists() else ():
        (folder / name).unlink()


def check_after(out: Path, whole: dict[str, bytes]) -> None:
    """What stands is whole, and with a manifest all of it does; nothing temporary does."""
    found = contents(out) if out.exists() else {}
    assert found.items() <= whole.items()
    assert MANIFEST not in found or found == whole
    assert open_files(out) == []


def every_call(fitted: gp.Pipeline, data: Path, folder: Path, codes: tuple[int, ...]) -> tuple[int, int]:
    """Each call failing once, and a second run after it; how many runs failed, of how many."""
    source, out = rows(data), folder / "s"
    fitted.predictions(source, out=f"{folder}/whole/")
    whole = contents(folder / "whole")
    with in_place(Counting()) as clean:
        fitted.predictions(source, out=f"{out}/")
    failed = runs = 0
    for at in range(1, clean.count + 1):
        for number, code in enumerate(codes):
            emptied(out)
            with in_place(FailsOnce(at, code, done=bool((at + number) % 2))):
                try:
                    fitted.predictions(source, out=f"{out}/")
                except StorageError:
                    failed += 1
                    check_after(out, whole)
            assert fitted.predictions(source, out=f"{out}/") == FILES * ROWS
            assert contents(out) == whole, (at, code)
            runs += 1
    return failed, runs


def test_any_one_call_failing_leaves_what_the_next_run_goes_on_from(
    data: Path, fitted: gp.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_waiting(monkeypatch)
    failed, runs = every_call(fitted, data, tmp_path, (errno.EIO,))
    assert failed > runs * 0.5


@pytest.mark.slow
def test_any_one_call_failing_in_every_way(
    data: Path, fitted: gp.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_waiting(monkeypatch)
    failed, runs = every_call(fitted, data, tmp_path, ERRNOS)
    print(f"{runs} runs, {failed} failed")
    assert failed > runs * 0.5


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
def test_a_disk_that_is_full_from_some_call_on(
    code: int, data: Path, fitted: gp.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_waiting(monkeypatch)
    source, out = rows(data), tmp_path / "s"
    fitted.predictions(source, out=f"{tmp_path}/whole/")
    whole = contents(tmp_path / "whole")
    with in_place(Counting()) as clean:
        fitted.predictions(source, out=f"{out}/")
    for at in range(1, clean.count + 1, 3):
        emptied(out)
        with in_place(FailsFrom(at, code, CHANGING if code == errno.EROFS else ("write", "fsync", "mkdir"))):
            try:
                fitted.predictions(source, out=f"{out}/")
            except StorageError as error:
                assert error.errno == code and ("full" in str(error) or "read-only" in str(error).lower())
        check = contents(out)
        assert {name: check[name] for name in check if not name.startswith(".")}.items() <= whole.items()
        assert fitted.predictions(source, out=f"{out}/") == FILES * ROWS and contents(out) == whole


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_before_any_call_the_next_run_has_the_same_bytes(
    step: int, data: Path, fitted: gp.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_waiting(monkeypatch)
    source, out = rows(data), tmp_path / "s"
    fitted.predictions(source, out=f"{tmp_path}/whole/")
    whole = contents(tmp_path / "whole")
    out.mkdir()
    with in_place(Counting()) as clean:
        fitted.predictions(source, out=f"{out}/")
    for at in range(1, clean.count + 1, step):
        emptied(out)

        def killed(at: int = at) -> None:
            with in_place(Dies(at)):
                fitted.predictions(source, out=f"{out}/")

        assert forked(killed) == -9
        stands = (
            {name: data for name, data in contents(out).items() if not name.startswith(".")} if out.exists() else {}
        )
        assert stands.items() <= whole.items()
        assert made(lambda: fitted.predictions(source, out=f"{out}/")) == FILES - sum(name in NAMES for name in stands)
        assert contents(out) == whole


# -- the parts ------------------------------------------------------------------------------------------------
def test_the_order_goes_to_other_processes(data: Path, fitted: gp.Pipeline, tmp_path: Path) -> None:
    source = rows(data)
    about = About("predictions", "p", (), snapshot(source, ["x", "c"]))
    order = Writing("predictions", tmp_path, about, Predicting(fitted._fitted()), None)
    sent = pickle.loads(pickle.dumps(order))
    part = sent.ready()(gp.runtime.score.predicted_rows(fitted._fitted(), source), 2, source.load(2))
    assert (part.number, part.rows, os.listdir(tmp_path)) == (2, ROWS, [NAMES[2]])
    again = order.ready()(gp.runtime.score.predicted_rows(fitted._fitted(), source), 2, source.load(2))
    assert again == part, "done twice, it is the same file"


def test_a_snapshot_knows_rows_again_and_tells_others_apart(data: Path, tmp_path: Path) -> None:
    def digest(source: gp.Source, *columns: str) -> str:
        return snapshot(source, columns or ("x",)).digest

    cities = pa.table({"c": ["a", "b"], "size": [1, 2]})
    one = rows(data)
    sources = {
        "files": one,
        "filtered": one.filter(col("x") > 0),
        "filtered otherwise": one.filter(col("x") > 1),
        "one side": one.split(test=0.5)[0],
        "the other": one.split(test=0.5)[1],
        "another seed": one.split(test=0.5, seed=1)[1],
        "fewer": one.head(7),
        "keyed": one.with_key("id"),
        "joined": one.join(cities, on="c"),
        "joined with others": one.join(cities.set_column(1, "size", pa.array([1, 3])), on="c"),
        "inner": one.join(cities, on="c", how="inner"),
        "in memory": gp.scan(pq.read_table(data)),
    }
    found = {name: digest(source) for name, source in sources.items()}
    assert len(set(found.values())) == len(found), found
    assert digest(rows(data).join(cities, on="c")) == found["joined"]
    assert digest(gp.scan(pq.read_table(data))) == found["in memory"]
    assert snapshot(one, ["x"]) == Snapshot(
        tuple((str(data / f"{at}.parquet"), os.stat(data / f"{at}.parquet").st_size,
               os.stat(data / f"{at}.parquet").st_mtime_ns) for at in range(FILES)),
        found["files"], FILES,
    )  # fmt: skip
