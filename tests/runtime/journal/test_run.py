"""What is done with a run's folder that is damaged, busy, of something else, or on a disk that is full."""

import errno
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults import FailsFrom, FailsOnce, in_place, no_waiting, open_files
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from xgboost import XGBRegressor

import gpupipe as gp
from gpupipe import cli, col
from gpupipe.errors import (
    FileFormatError,
    ParameterError,
    RunBusyError,
    RunChangedError,
    RunCorruptError,
    RunError,
    RunFolderError,
    StorageError,
)
from gpupipe.runtime.journal import opening
from gpupipe.runtime.journal.packing import packed
from gpupipe.runtime.journal.records import Records
from gpupipe.runtime.journal.results import Results
from gpupipe.storage import disk

FEATURES = [col("x").fill_null("median").standardize(), col("c").fill_null("?").one_hot()]


class Interrupted(Exception):
    """In the middle of a fit."""


def write(path: Path, seed: int, rows: int = 400) -> None:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=rows)
    labels = pa.array(draw.choice(["a", "b", "c"], rows), mask=draw.random(rows) < 0.1)
    table = {"x": pa.array(x, mask=draw.random(rows) < 0.1), "c": labels, "y": x + 1, "l": draw.integers(0, 2, rows)}
    pq.write_table(pa.table(table), path, row_group_size=100)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "rows"
    folder.mkdir()
    for number in range(3):
        write(folder / f"{number}.parquet", number)
    return folder


def ridge(**options: Any) -> gp.Pipeline:
    return gp.Pipeline(FEATURES, target="y", model=Ridge(**options))


def rows(data: Path, **how: Any) -> Any:
    return gp.scan(str(data), **({"partition_bytes": 1_000} | how))


def interrupted(pipeline: gp.Pipeline, source: Any, run: Path, kept: int = 8, **how: Any) -> None:
    """A fit that ended amid the way, when it had kept so many results."""
    keep, left = Results.keep, [None] * kept

    def ending(self: Results, *arguments: Any) -> None:
        if not left:
            raise Interrupted
        left.pop()
        keep(self, *arguments)

    with mock.patch.object(Results, "keep", ending), pytest.raises(Interrupted):
        pipeline.fit(source, run=run, **how)


def results_of(run: Path) -> list[Path]:
    return sorted(path for path in run.iterdir() if path.name.startswith("results-"))


# -- what is left, and who may read it --------------------------------------------------------------------
def test_it_is_gone_on_with_in_the_same_process(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(ridge(), rows(data), run)
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in run.iterdir()} == {0o600}
    found = ridge().fit(rows(data), run=run)
    assert found.report_.resumed == 8
    assert "8 results of partitions read back from the run" in repr(found.report_)
    assert found.report_.rows == 1200
    plain = ridge().fit(rows(data))
    assert found.state_digest() == plain.state_digest()
    assert found.predict(rows(data)).equals(plain.predict(rows(data)))
    assert os.listdir(run) == ["journal"] and not open_files(run)


def test_saved_it_is_the_same_but_for_nothing(data: Path, tmp_path: Path) -> None:
    interrupted(ridge(), rows(data), tmp_path / "run", 1)
    found, plain = ridge().fit(rows(data), run=tmp_path / "run"), ridge().fit(rows(data))
    found.save(tmp_path / "found.gpp")
    plain.save(tmp_path / "plain.gpp")
    for name in os.listdir(tmp_path / "plain.gpp"):
        assert (tmp_path / "found.gpp" / name).read_bytes() == (tmp_path / "plain.gpp" / name).read_bytes(), name


@pytest.mark.parametrize("when", [0, 3, 11, 12, 20, 24, 30, 36])
def test_wherever_it_ended_it_goes_on(data: Path, tmp_path: Path, when: int) -> None:
    def made() -> gp.Pipeline:
        deep = (col("x").fill_null(0) - col("x").mean()).abs().mean().alias("spread")
        return gp.Pipeline([*FEATURES, deep], target="l", model=LogisticRegression())

    interrupted(made(), rows(data), tmp_path / "run", when)
    found = made().fit(rows(data), run=tmp_path / "run")
    assert found.report_.resumed == when
    assert found.state_digest() == made().fit(rows(data)).state_digest()


def test_rows_that_were_filtered_are_counted_and_states_are_kept_for_later(data: Path, tmp_path: Path) -> None:
    def source() -> Any:
        return rows(data).filter(col("x") > 0)

    interrupted(ridge(), source(), tmp_path / "run", keep_state=True)
    found, plain = ridge().fit(source(), run=tmp_path / "run", keep_state=True), ridge().fit(source(), keep_state=True)
    assert found.report_.rows == plain.report_.rows
    assert found.report_.rows_filtered == plain.report_.rows_filtered
    write(data / "3.parquet", 9)
    new = gp.scan(str(data / "3.parquet"))
    assert found.update(new).state_digest() == plain.update(new).state_digest()


@pytest.mark.parametrize(
    ("model", "kept"),
    [(LogisticRegression(), 26), (KMeans(3, n_init=1, random_state=0), 17), (PCA(1), 5)]
    + [pytest.param(LogisticRegression(), kept, marks=pytest.mark.slow) for kept in (5, 17)]
    + [pytest.param(KMeans(3, n_init=1, random_state=0), kept, marks=pytest.mark.slow) for kept in (5, 26)],
)
def test_iterations_of_a_model_that_learns_on_partitions_are_gone_on_with(
    data: Path, tmp_path: Path, model: Any, kept: int
) -> None:
    def made() -> gp.Pipeline:
        target = "l" if isinstance(model, LogisticRegression) else None
        return gp.Pipeline([FEATURES[0], col("y").clip(-1, 2)], target, model, training="partitions")

    interrupted(made(), rows(data), tmp_path / "run", kept)
    found, plain = made().fit(rows(data), run=tmp_path / "run"), made().fit(rows(data))
    assert 0 < found.report_.resumed <= kept
    one, other = ((each.transform if isinstance(model, PCA) else each.predict)(rows(data)) for each in (found, plain))
    assert one.equals(other)
    found.save(tmp_path / "found.gpp")
    plain.save(tmp_path / "plain.gpp")
    names = [name for name in os.listdir(tmp_path / "plain.gpp") if name.startswith("model")]
    assert names
    for name in names:
        assert (tmp_path / "found.gpp" / name).read_bytes() == (tmp_path / "plain.gpp" / name).read_bytes()


def test_a_library_that_goes_over_the_rows_itself_does_it_again(data: Path, tmp_path: Path) -> None:
    def made() -> gp.Pipeline:
        model = XGBRegressor(n_estimators=3)
        return gp.Pipeline(FEATURES[:1], "y", model, training="partitions")

    interrupted(made(), rows(data), tmp_path / "run", 30)
    sizes = sum(path.stat().st_size for path in results_of(tmp_path / "run"))
    found = made().fit(rows(data), run=tmp_path / "run")
    assert found.report_.resumed and sizes < 300_000, "passes of XGBoost are not kept"
    assert found.predict(rows(data)).equals(made().fit(rows(data)).predict(rows(data)))


def test_tables_in_memory_are_known_by_their_values(tmp_path: Path) -> None:
    table = {"x": np.arange(20.0), "c": ["a", "b"] * 10, "y": np.arange(20.0) ** 2}
    interrupted(ridge(), gp.scan(table, partitions=9), tmp_path / "run", 4)
    with pytest.raises(RunChangedError, match="the training rows are others, or in another order"):
        ridge().fit(gp.scan({**table, "x": np.arange(20.0) + 1}, partitions=9), run=tmp_path / "run")
    again = {name: values.copy() if hasattr(values, "copy") else values for name, values in table.items()}
    assert ridge().fit(gp.scan(again, partitions=9), run=tmp_path / "run").report_.resumed == 4


# -- something else ---------------------------------------------------------------------------------------
def touched(data: Path) -> None:
    write(data / "1.parquet", 77)


def gone(data: Path) -> None:
    (data / "1.parquet").unlink()


def more(data: Path) -> None:
    write(data / "3.parquet", 3)


OTHER: dict[str, tuple[Callable[[Path], Any], Callable[[], gp.Pipeline], dict[str, Any], str]] = {
    "a file written anew": (touched, ridge, {}, r"the file .*/1.parquet was changed since \([0-9,]+ bytes then"),
    "a file that is gone": (gone, ridge, {}, r"the file .*/1.parquet is not among the training rows any more"),
    "another file": (more, ridge, {}, r"the file .*/3.parquet was not among the training rows"),
    "another feature": (
        lambda data: None,
        lambda: gp.Pipeline([col("x").fill_null("mean").standardize(), FEATURES[1]], target="y", model=Ridge()),
        {},
        r"a feature was x = x.fill_null\('median'\).standardize\(\), and is x = x.fill_null\('mean'\)",
    ),
    "a feature less": (
        lambda data: None, lambda: gp.Pipeline(FEATURES[:1], target="y", model=Ridge()), {},
        r"the feature c = c.fill_null.* is not there any more",
    ),
    "another target": (
        lambda data: None, lambda: gp.Pipeline(FEATURES, target="l", model=Ridge()), {}, "target was y, and is l now"
    ),
    "another parameter": (lambda data: None, lambda: ridge(alpha=2.0), {}, "model's alpha was 1.0, and is 2.0 now"),
    "another model": (
        lambda data: None, lambda: gp.Pipeline(FEATURES, target="y"), {}, "model's class was .*Ridge, and is not there"
    ),
    "other partitions": (lambda data: None, ridge, {"partition_bytes": 10_000_000}, "were cut into 12 partitions, and"),
    "another filter": (
        lambda data: None, ridge, {"filter": col("x") > 1}, r"went through no step, and go through filter \(x > 1\)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_a_run_of_something_else_is_refused_or_begun_anew(data: Path, tmp_path: Path, name: str) -> None:
    change, made, how, message = OTHER[name]
    run = tmp_path / "run"
    interrupted(ridge(), rows(data), run)
    change(data)
    test = how.pop("filter", None)
    source = rows(data, **how) if test is None else rows(data).filter(test)
    with pytest.raises(RunChangedError, match=message) as caught:
        made().fit(source, run=run)
    assert "on_change='recompute'" in str(caught.value)
    assert results_of(run), "a refusal leaves the run as it was"
    found = made().fit(source, run=run, on_change="recompute")
    assert found.report_.resumed == 0 and os.listdir(run) == ["journal"]
    assert found.state_digest() == made().fit(source).state_digest()


def test_recompute_goes_on_where_nothing_changed(data: Path, tmp_path: Path) -> None:
    interrupted(ridge(), rows(data), tmp_path / "run")
    assert ridge().fit(rows(data), run=tmp_path / "run", on_change="recompute").report_.resumed == 8


def test_another_version_is_something_else(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(ridge(), rows(data), tmp_path / "run")
    monkeypatch.setattr("gpupipe.runtime.journal.identity.metadata.version", lambda name: "99.0")
    with pytest.raises(RunChangedError, match=r"begun by gpupipe .*, and this is 99.0"):
        ridge().fit(rows(data), run=tmp_path / "run")


def test_rows_that_no_other_process_can_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    source = rows(data)
    monkeypatch.setattr(type(source.partitions[0]), "origin", lambda self: None)
    with pytest.raises(ParameterError, match="Write them to Parquet files"):
        ridge().fit(source, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("run", "on_change", "message"), [
    (3, "refuse", "A path is text"), ("x", "recomputed", "on_change is 'refuse' or 'recompute'.*Did you mean"),
    (None, "recompute", "on_change='recompute' says what to do about a run: give run= too"),
])  # fmt: skip
def test_what_is_no_run(data: Path, run: Any, on_change: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ridge().fit(rows(data), run=run, on_change=on_change)


def test_folders_that_are_no_runs_are_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(RunError, match=r"mine is no folder of a run: 'notes.txt' stands there"):
        ridge().fit(rows(data), run=tmp_path / "mine", on_change="recompute")
    assert os.listdir(tmp_path / "mine") == ["notes.txt"]
    with pytest.raises(RunError, match="is a file"):
        ridge().fit(rows(data), run=data / "0.parquet")


def test_a_folder_of_another_user_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(ridge(), rows(data), tmp_path / "run")
    monkeypatch.setattr(opening.os, "geteuid", lambda: 12345)
    with pytest.raises(RunError, match="belongs to another user"):
        ridge().fit(rows(data), run=tmp_path / "run")


# -- damage -----------------------------------------------------------------------------------------------
def test_a_journal_that_was_altered_is_refused_or_begun_anew(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(ridge(), rows(data), run)
    whole = (run / "journal").read_bytes()
    for at in (0, 20, 40, 100, len(whole) // 2):
        altered = bytearray(whole)
        altered[at] ^= 4
        (run / "journal").write_bytes(altered)
        with pytest.raises(RunCorruptError, match=r"journal was altered.*Remove the folder to begin anew"):
            ridge().fit(rows(data), run=run)
        assert (run / "journal").read_bytes() == altered
    found = ridge().fit(rows(data), run=run, on_change="recompute")
    assert found.report_.resumed == 0 and os.listdir(run) == ["journal"]


def test_results_that_were_altered_are_refused_or_begun_anew(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(ridge(), rows(data), run)
    (results,) = results_of(run)
    altered = bytearray(results.read_bytes())
    altered[len(altered) // 2] ^= 1
    results.write_bytes(altered)
    with pytest.raises(RunCorruptError, match=r"results-[\w-]+ was altered: the record at its byte"):
        ridge().fit(rows(data), run=run)
    assert ridge().fit(rows(data), run=run, on_change="recompute").report_.resumed == 0


def test_results_that_are_missing_or_cut_short_are_made_again(data: Path, tmp_path: Path) -> None:
    digest = ridge().fit(rows(data)).state_digest()
    for number, damage in enumerate((Path.unlink, lambda path: os.truncate(path, path.stat().st_size // 2))):
        run = tmp_path / f"run{number}"
        interrupted(ridge(), rows(data), run)
        damage(results_of(run)[0])
        found = ridge().fit(rows(data), run=run)
        assert found.report_.resumed == (0, 3)[number] or 0 < found.report_.resumed < 8
        assert found.state_digest() == digest


def test_a_torn_end_of_the_journal_anywhere_loses_nothing_but_that(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_waiting(monkeypatch)
    run = tmp_path / "run"
    interrupted(ridge(), rows(data), run)
    name, results = results_of(run)[0].name, results_of(run)[0].read_bytes()
    interrupted(ridge(), rows(data), run, 0)
    whole = (run / "journal").read_bytes()
    begun = whole.rindex(b'"at work"')
    for size in [*range(begun, len(whole), 17), len(whole) - 1]:
        for path in run.iterdir():
            path.unlink()
        (run / "journal").write_bytes(whole[:size])
        (run / name).write_bytes(results)
        interrupted(ridge(), rows(data), run, 0)
        assert b'"at work"' in (run / "journal").read_bytes()[begun - 10 :]
    assert ridge().fit(rows(data), run=run).report_.resumed >= 8


def test_what_was_kept_for_something_else_is_not_read(data: Path, tmp_path: Path) -> None:
    """A worker may keep what it was still at after the run it was asked for was begun anew, as another one."""
    run, other = tmp_path / "run", tmp_path / "other"
    interrupted(gp.Pipeline(FEATURES[::-1], target="l"), rows(data), other)
    interrupted(ridge(), rows(data), run)
    stray = results_of(other)[0]
    (run / stray.name).write_bytes(stray.read_bytes())
    found = ridge().fit(rows(data), run=run)
    assert found.report_.resumed == 8 and found.state_digest() == ridge().fit(rows(data)).state_digest()
    assert os.listdir(run) == ["journal"]


def test_a_folder_that_stood_there_is_made_private(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o755)
    run.chmod(0o777)
    ridge().fit(rows(data), run=run)
    assert stat.S_IMODE(run.stat().st_mode) == 0o700


def test_a_partition_that_was_left_out_stays_out(data: Path, tmp_path: Path) -> None:
    """Killed after it was, and readable by then: what later stages kept was made without it."""
    made, run = gp.Pipeline(FEATURES), tmp_path / "run"
    with_it = made.fit(str(data)).state_digest()
    whole = gp.scan([str(path) for path in sorted(data.iterdir())])
    bad = whole.partitions[1]
    read = type(bad).read

    def failing(self: Any, *arguments: Any) -> Any:
        if self == bad:
            raise FileFormatError("A page of it cannot be decoded.").of(str(data / "1.parquet"))
        return read(self, *arguments)

    with mock.patch.object(type(bad), "read", failing):
        expected = made.fit(whole, on_bad_partition="quarantine").state_digest()
        interrupted(made, whole, run, 4, on_bad_partition="quarantine")
    found = made.fit(whole, run=tmp_path / "run", on_bad_partition="quarantine")
    assert found.report_.resumed == 4 and found.state_digest() == expected != with_it
    (left,) = found.report_.quarantined
    assert (left.file, left.rows) == (str(data / "1.parquet"), 400) and "cannot be decoded" in left.why
    again = tmp_path / "again"
    with mock.patch.object(type(bad), "read", failing):
        interrupted(made, whole, again, 4, on_bad_partition="quarantine")
    with pytest.raises(RunChangedError, match=r"left out partition 1, which could not be read \(.*Go on so with"):
        made.fit(whole, run=again)


# -- busy -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_without_locks_there_is_no_run(code: int, data: Path, tmp_path: Path) -> None:
    def lock(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    error, told = (StorageError, "was not written") if code == errno.EIO else (RunFolderError, "has no locks, which")
    with mock.patch.dict(vars(disk), {"lock": lock}), pytest.raises(error, match=told):
        ridge().fit(rows(data), run=tmp_path / "run")
    assert not open_files(tmp_path / "run")


def test_two_at_one_run(data: Path, tmp_path: Path) -> None:
    started, end = threading.Event(), threading.Event()

    class Waiting:
        def begin(self, what: str, rows: Any) -> None: ...

        def advance(self, n_rows: int) -> None:
            started.set()
            assert end.wait(30)

        def end(self) -> None: ...

    first = threading.Thread(target=lambda: ridge().fit(rows(data), run=tmp_path / "run", progress=Waiting()))
    first.start()
    assert started.wait(30)
    with pytest.raises(RunBusyError, match=rf"Another process \({os.getpid()} on .*\) is at work on the run"):
        ridge().fit(rows(data), run=tmp_path / "run", on_change="recompute")
    end.set()
    first.join()
    assert os.listdir(tmp_path / "run") == ["journal"]


def test_two_processes_at_one_run(data: Path, tmp_path: Path) -> None:
    """The second is refused by the system's lock, whichever way the first one ends then."""
    waits = PIPELINE.replace("os.kill(os.getpid(), 9)", "print('at it', flush=True) or input()")
    (tmp_path / "own.py").write_text(waits)
    words = ["fit", "own.py:made", "--data", "rows", "--run", "run", "--out", "out.gpp", "--quiet"]
    first = subprocess.Popen(
        [sys.executable, "-m", "gpupipe", *words], cwd=tmp_path, env={**os.environ, "KILLED": "1"}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert first.stdin is not None and first.stdout is not None and first.stdout.readline() == "at it\n"
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(RunBusyError, match=rf"Another process \({first.pid} on .*\) is at work on the run"):
        ridge().fit(rows(data), run=tmp_path / "run", on_change="recompute")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    first.kill()
    first.wait()
    first.stdin.close()
    first.stdout.close()
    with pytest.raises(RunChangedError):  # free at once
        ridge().fit(rows(data), run=tmp_path / "run")


FORGED = {
    "no document": [b"\0\0"],
    "deep": [struct.pack("<I", 200_000), b"[" * 200_000],
    "a longer text than there is": [struct.pack("<I", 2**31), b"[]"],
    "more values than bytes": [struct.pack("<I", 33), b'[{"stage":"x"},{},[["a","F64",[9999999999]]]]'],
    "of no partition": packed({"stage": 4, "number": "../1", "rows": 3}),
    "without rows": packed({"stage": "scan 1 of 1", "number": 0, "result": []}),
    "a list for a document": [struct.pack("<I", 10), b"[[],{},[]]"],
}


@pytest.mark.parametrize("name", FORGED)
def test_records_that_were_forged_are_errors(data: Path, tmp_path: Path, name: str) -> None:
    """Whole by their checksum: whoever may write there can make such, and gets no more than an error."""
    run = tmp_path / "run"
    interrupted(ridge(), rows(data), run)
    forged = Records.at(results_of(run)[0])
    assert len(list(forged.whole())) == 8
    forged.append(FORGED[name])
    forged.close()
    with pytest.raises(RunCorruptError, match=r"cannot be read|was altered"):
        ridge().fit(rows(data), run=run)


# -- disks ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "step"),
    [("full", 4), ("once", 4)] + [pytest.param(kind, 1, marks=pytest.mark.slow) for kind in ("full", "once")],
)
def test_a_disk_that_fails_at_any_call_leaves_a_run_that_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, step: int
) -> None:
    """At every call of the file system in turn: an error that says so, and then the fit goes on to the same bits."""
    source, failed = rows(data / "0.parquet", partition_bytes=6_000), 0
    digest = gp.Pipeline(FEATURES).fit(source).state_digest()
    no_waiting(monkeypatch)
    for at in range(1, 200, step):
        run = tmp_path / f"run{at}"
        storage = (
            FailsFrom(at, errno.ENOSPC, ("open", "pwrite", "fsync", "mkdir", "ftruncate"))
            if kind == "full"
            else FailsOnce(at, errno.EIO)
        )
        try:
            with in_place(storage):
                gp.Pipeline(FEATURES).fit(source, run=run)
        except StorageError as error:
            failed += 1
            assert str(run) in str(error) and ("disk" in str(error) or "Try again" in str(error)), error
        if at > storage.count:
            break
        assert not open_files(run)
        if run.exists() and not (run / "journal").exists():
            assert os.listdir(run) == []
        try:
            assert gp.Pipeline(FEATURES).fit(source, run=run).state_digest() == digest
        except RunError as error:
            assert "is finished" in str(error)
        assert os.listdir(run) == ["journal"]
    else:
        raise AssertionError("there is no end of calls")
    assert failed > 15 // step


# -- the command line -------------------------------------------------------------------------------------
PIPELINE = """
import os
import gpupipe as gp
from gpupipe import col
from sklearn.linear_model import Ridge

class Ending:
    left = 5
    def begin(self, what, rows): ...
    def end(self): ...
    def advance(self, n_rows):
        self.left -= 1
        if self.left < 0 and "KILLED" in os.environ:
            os.kill(os.getpid(), 9)

class Killed(gp.Pipeline):
    def fit(self, X, **options):
        return super().fit(gp.scan("rows", partition_bytes=1000), **{**options, "progress": Ending()})

made = Killed([col("x").fill_null("median").standardize()], target="y", model=Ridge())
"""


def test_the_command_line_goes_on_from_the_folder_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(PIPELINE)
    words = ["fit", "own.py:made", "--data", "rows", "--run", "kept/run", "--out", "out.gpp", "--quiet"]
    command = [sys.executable, "-m", "gpupipe", *words]
    killed = subprocess.run(command, cwd=tmp_path, env={**os.environ, "KILLED": "1"}, timeout=60)
    assert killed.returncode == -9 and results_of(tmp_path / "kept" / "run")
    monkeypatch.chdir(tmp_path / "kept")  # not where it was begun
    assert cli.main(["fit", "--resume", "run", "--quiet"]) == 0, capsys.readouterr().err
    saved = capsys.readouterr().out
    told = re.fullmatch(r"saved to out.gpp, (\d+) results? of partitions read back from (.*)\n", saved)
    assert told and int(told[1]) > 0 and told[2] == str(tmp_path / "kept" / "run")
    assert gp.load(tmp_path / "out.gpp").predict(gp.scan(str(data))).num_rows == 1200
    assert os.listdir(tmp_path / "kept" / "run") == ["journal"]
    assert cli.main(["fit", "--resume", str(tmp_path / "kept" / "run")]) == 1
    assert "is finished" in capsys.readouterr().err


def test_a_kill_between_the_save_and_the_end_of_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    words = ["fit", "own.py:made", "--data", "rows", "--run", "run", "--out", "out.gpp", "--quiet"]
    with mock.patch("gpupipe.commands.learning.end", side_effect=Interrupted), pytest.raises(Interrupted):
        cli.main([*words, "--keep-state", "yes"])
    stood = {name: Path("out.gpp", name).read_bytes() for name in os.listdir("out.gpp")}
    shutil.move("out.gpp", "aside")
    gp.Pipeline(FEATURES).fit(rows(data)).save("out.gpp")
    Path("out.gpp.state").rename("aside.state")
    assert cli.main(["fit", "--resume", "run", "--quiet"]) == 1  # something else stands there by now
    assert "out.gpp" in capsys.readouterr().err
    shutil.rmtree("out.gpp")
    shutil.move("aside", "out.gpp")
    shutil.move("aside.state", "out.gpp.state")
    assert cli.main(["fit", "--resume", "run", "--quiet"]) == 0, capsys.readouterr().err
    assert {name: Path("out.gpp", name).read_bytes() for name in os.listdir("out.gpp")} == stood
    assert os.listdir("run") == ["journal"] and Path("out.gpp.state").exists()


@pytest.mark.parametrize(("words", "message"), [
    (["--resume", "nowhere"], "There is no run of `gpupipe fit` to resume at .*nowhere. Is the path right?"),
    (["--resume", "run", "--out", "x"], "Leave --out out"),
    (["own.py", "--resume", "run"], "Leave FILE.py out"),
    (["own.py", "--data", "d", "--out", "o", "--on-change", "recompute"], "give --run RUN too"),
    (["--run", "run"], "FILE.py and --data and --out must be given, or --resume RUN alone"),
])  # fmt: skip
def test_wrong_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fit", *words]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_run_of_a_program_is_not_resumed_by_the_command_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(ridge(), rows(data), tmp_path / "run")
    assert cli.main(["fit", "--resume", str(tmp_path / "run")]) == 2
    assert "begun by Pipeline.fit(run=…): run that again" in capsys.readouterr().err


def test_the_journal_says_what_it_was_of(data: Path, tmp_path: Path) -> None:
    ridge().fit(rows(data), run=tmp_path / "run")
    text = (tmp_path / "run" / "journal").read_bytes()
    assert str(data / "0.parquet").encode() in text and b"Ridge" in text
    assert json.dumps("x = x.fill_null('median').standardize()").encode() in text
