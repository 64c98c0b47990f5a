"""The storage layer, and results written through it: every call failing, writing half, or being the last one."""

import contextlib
import errno
import os
import random
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults import CHANGING, ERRNOS, GROWING, Counting, Dies, FailsFrom, FailsOnce, forked, in_place, open_files

import gpupipe as gp
from gpupipe import cli
from gpupipe.errors import StorageError
from gpupipe.sources.write import write_parquet
from gpupipe.storage import ONE_FILE, Output, disk, failing, made_folders, read_all, sweep, temporary, write_all

OLD, NEW = pa.table({"a": [1, 2], "s": ["x", None]}), pa.table({"a": [7, 8, 9], "s": ["new", "newer", None]})


def leave(folder: Path, name: str = "out.parquet", content: bytes = b"PAR1 cut sh") -> Path:
    """What a killed writer leaves."""
    path = folder / f".{name}.gpupipe-temp-0123456789abcdef"
    path.write_bytes(content)
    return path


# -- the parts ------------------------------------------------------------------------------------------------
def test_everything_is_written_and_read_however_short_the_calls_are(tmp_path: Path) -> None:
    data = os.urandom(10_000)

    class Short(Counting):
        def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name == "write":
                return os.write(args[0], args[1][:777])
            if name == "read":
                return os.read(args[0], min(args[1], 777))
            return do()

    with in_place(Short()) as short:
        descriptor = disk.open(tmp_path / "f", os.O_RDWR | os.O_CREAT, 0o600)
        write_all(descriptor, np.frombuffer(data, np.uint16))
        os.lseek(descriptor, 0, os.SEEK_SET)
        assert read_all(descriptor, len(data)) == data
        os.lseek(descriptor, -10, os.SEEK_END)
        assert read_all(descriptor, 100) == data[-10:]
        disk.close(descriptor)
    assert short.tally["write"] == 13 and short.tally["read"] == 15


def test_an_output_writes_in_order_and_no_more_after_an_error(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT, 0o600)
    output = Output(descriptor, contextlib.nullcontext)
    parts = [os.urandom(size) for size in (3, 700_000, 0, 400_000, 5)]
    assert [output.write(part) for part in parts] == [len(part) for part in parts]
    output.flush()
    assert (tmp_path / "f").read_bytes() == b"".join(parts)
    with in_place(FailsOnce(1, errno.EIO)):
        output.write(b"lost")
        with pytest.raises(OSError, match="Input/output"):
            output.flush()
        output.write(b"not tried")
        output.flush()
    assert (tmp_path / "f").stat().st_size == sum(map(len, parts))
    os.close(descriptor)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "12 bytes are to be written and [0-9,]+ bytes are free. The disk is full: free some space"),
        (errno.EDQUOT, "Your quota is used up"),
        (errno.EROFS, "is read-only: choose another place"),
        (errno.EACCES, "You may not do that there: change the permissions"),
        (errno.EMFILE, "too many files open"),
        (errno.EIO, "disk or the way to it fails"),
        (errno.ETIMEDOUT, "Try again, or choose another place"),
    ],
)
def test_a_failure_says_what_where_why_and_what_to_try(tmp_path: Path, code: int, words: str) -> None:
    place = tmp_path / "a.gpp"
    with pytest.raises(StorageError) as caught, failing("a.gpp was not saved", place, 12):
        raise OSError(code, os.strerror(code), f"{tmp_path}/.a.gpp.gpupipe-temp-00/x")
    assert re.match(rf"a\.gpp was not saved: {os.strerror(code)}\. .*{words}", str(caught.value))
    assert (caught.value.errno, caught.value.filename) == (code, str(place))
    assert isinstance(caught.value, OSError) and isinstance(caught.value.__cause__, OSError)


def test_a_failure_of_reading_does_not_advise_another_place(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=rf"denied, at {tmp_path}/x\. You may not read it") as caught, \
            failing("a.gpp was not read", tmp_path, reading=True):  # fmt: skip
        raise PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/x")
    assert caught.value.filename == f"{tmp_path}/x"


def test_folders_that_were_made_go_again_if_what_follows_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), made_folders(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    with contextlib.suppress(ZeroDivisionError), made_folders(tmp_path / "a" / "b"):
        (tmp_path / "a" / "other").touch()
        raise ZeroDivisionError
    assert os.listdir(tmp_path / "a") == ["other"]


def test_what_lives_is_not_swept_and_what_died_is(tmp_path: Path) -> None:
    (tmp_path / ".thesis.gpupipe-temp-0123").write_text("mine")
    dead = leave(tmp_path)
    with temporary(tmp_path / "out.parquet", ONE_FILE) as (path, _):
        forked(lambda: sweep(tmp_path, ONE_FILE))
        assert path.exists() and not dead.exists()
    assert os.listdir(tmp_path) == [".thesis.gpupipe-temp-0123"]


def test_what_is_of_another_user_or_no_file_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".a.gpupipe-temp-0123456789abcdef").mkdir()
    (tmp_path / ".b.gpupipe-temp-0123456789abcdef").symlink_to("nowhere")
    (tmp_path / ".c.gpupipe-aside-0123456789abcdef").mkdir()
    sweep(tmp_path, ONE_FILE)
    assert len(os.listdir(tmp_path)) == 3
    leave(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    sweep(tmp_path, ONE_FILE)
    assert len(os.listdir(tmp_path)) == 4


def test_a_writer_swept_before_it_held_its_lock_takes_another_name(tmp_path: Path) -> None:
    class Swept(Counting):
        def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name == "lock" and self.tally["lock"] == 1:
                forked(lambda: sweep(tmp_path, ONE_FILE))
            return do()

    with in_place(Swept()) as swept:
        assert write_parquet([NEW], tmp_path / "out.parquet") == 3
    assert swept.tally["lock"] == 2
    assert os.listdir(tmp_path) == ["out.parquet"]


def test_without_locks_writing_works_and_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lock(descriptor: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setitem(vars(disk), "lock", lock)
    leave(tmp_path)
    write_parquet([NEW], tmp_path / "out.parquet")
    assert len(os.listdir(tmp_path)) == 2


# -- write_parquet --------------------------------------------------------------------------------------------
@pytest.fixture(params=["new", "replace"])
def before(request: pytest.FixtureRequest) -> pa.Table | None:
    return OLD if request.param == "replace" else None


def prepared(folder: Path, table: pa.Table | None) -> Path:
    folder.mkdir(exist_ok=True)
    target = folder / "out.parquet"
    target.unlink(missing_ok=True)
    if table is not None:
        pq.write_table(table, target)
    return target


def standing(target: Path) -> pa.Table | None:
    """The table at `target`, read without a file that pyarrow would close when it likes."""
    return pq.read_table(pa.BufferReader(target.read_bytes())) if target.exists() else None


def check_whole(target: Path, before: pa.Table | None, succeeded: bool) -> None:
    """The old or the new result stands, whole; nothing else does."""
    found = standing(target)
    assert found == NEW or (found == before and not succeeded), found
    assert os.listdir(target.parent) == ([] if found is None else ["out.parquet"])


def count(folder: Path, work: Callable[[], object]) -> Counting:
    with in_place(Counting()) as counted:
        work()
    return counted


def fails(storage: Counting, work: Callable[[], object]) -> StorageError | None:
    with in_place(storage):
        try:
            work()
        except StorageError as error:
            return error
    return None


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done, answer lost"])
def test_any_one_call_failing_leaves_the_old_or_the_new_table(
    tmp_path: Path, before: pa.Table | None, done: bool
) -> None:
    def work() -> int:
        return write_parquet([NEW], target)

    target = prepared(tmp_path / "out", before)
    clean = count(tmp_path, work)
    errors = 0
    for at in range(1, clean.count + 1):
        for code in ERRNOS:
            target = prepared(tmp_path / "out", before)
            storage = FailsOnce(at, code, done)
            error = fails(storage, work)
            name = storage.log[at - 1]
            if name == "unlink":  # the temporary name, gone by then: nothing to remove
                assert error is None
            errors += error is not None
            if error is not None:
                assert error.errno == code and "out.parquet" in str(error) and os.strerror(code) in str(error), error
            assert open_files(tmp_path) == []
            check_whole(target, before, error is None)
    assert errors > clean.count * len(ERRNOS) * 0.6


def test_what_fails_while_sweeping_is_no_failure(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    leave(tmp_path)
    sweeping = count(tmp_path, lambda: sweep(tmp_path, ONE_FILE)).count
    for at in range(3, 3 + sweeping):  # after the two looks at the place
        leave(tmp_path)
        assert fails(FailsOnce(at, errno.EIO), lambda: write_parquet([NEW], target)) is None
        assert standing(target) == NEW
        write_parquet([NEW], target)
        assert os.listdir(tmp_path) == ["out.parquet"]


@pytest.mark.parametrize("kinds", [GROWING, CHANGING], ids=["full", "read-only"])
def test_a_disk_that_is_full_or_read_only_from_some_call_on(
    tmp_path: Path, before: pa.Table | None, kinds: tuple[str, ...]
) -> None:
    code = errno.EROFS if kinds == CHANGING else errno.ENOSPC
    target = prepared(tmp_path / "out", before)
    clean = count(tmp_path, lambda: write_parquet([NEW], target))
    left = 0
    for at in range(1, clean.count + 1):
        target = prepared(tmp_path / "out", before)
        error = fails(FailsFrom(at, code, kinds), partial(write_parquet, [NEW], target))
        assert error is None or error.errno == code
        others = [name for name in os.listdir(target.parent) if name != "out.parquet"]
        left += len(others)
        assert not others or code == errno.EROFS  # what may not be removed waits for the next writer
        found = standing(target)
        assert found == NEW or (found == before and error is not None)
        write_parquet([OLD], target)
        assert os.listdir(target.parent) == ["out.parquet"]
    assert (left > 0) == (code == errno.EROFS)


def test_killed_before_every_call(tmp_path: Path, before: pa.Table | None) -> None:
    for at in range(1, 100):
        target = prepared(tmp_path / "out", before)

        def doomed(at: int = at, target: Path = target) -> None:
            with in_place(Dies(at)):
                write_parquet([NEW], target)

        code = forked(doomed)
        found = standing(target)
        assert found == NEW or (found == before and code != 0)
        sweep(target.parent, ONE_FILE)
        assert set(os.listdir(target.parent)) <= {"out.parquet"}
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert at > 15


def test_an_error_of_the_tables_is_not_one_of_the_storage(tmp_path: Path) -> None:
    asked: list[int] = []

    def tables() -> Iterator[pa.Table]:
        try:
            yield NEW
            raise OSError(errno.EIO, "the source's own")
        finally:
            asked.append(1)

    with pytest.raises(OSError, match="the source's own") as caught:
        write_parquet(tables(), tmp_path / "out.parquet")
    assert not isinstance(caught.value, StorageError) and asked == [1] and os.listdir(tmp_path) == []


def test_when_the_disk_is_full_no_more_tables_are_asked_for(tmp_path: Path) -> None:
    made: list[int] = []

    def tables() -> Iterator[pa.Table]:
        for number in range(100):
            made.append(number)
            yield pa.table({"x": np.random.default_rng(number).normal(size=200_000)})

    error = fails(FailsFrom(1, errno.ENOSPC, ("write",)), lambda: write_parquet(tables(), tmp_path / "out.parquet"))
    assert error is not None and error.errno == errno.ENOSPC and "bytes are free" in str(error)
    assert len(made) == 1 and os.listdir(tmp_path) == []


def test_places_that_are_no_place_for_a_table(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    cases = {
        "folder": (errno.EISDIR, "Is a directory. A folder stands there: choose another path"),
        "none/out": (errno.ENOENT, f"No such file or directory, at {tmp_path}/none. Make the folder first"),
        "file/out": (errno.ENOTDIR, "A part of the path is a file and no folder"),
        "pipe": (errno.EEXIST, "What stands there is no file of data"),
        "x" * 240: (errno.ENAMETOOLONG, "Choose a shorter name: at most 220 bytes"),
        "x" * 300: (errno.ENAMETOOLONG, "Choose a shorter name: at most 220 bytes"),
    }
    for name, (code, words) in cases.items():
        asked: list[int] = []
        with pytest.raises(StorageError) as caught:
            write_parquet((asked.append(1) or NEW for _ in range(1)), tmp_path / name)
        assert caught.value.errno == code and words in str(caught.value), str(caught.value)
        assert not asked, "rows were made for a place that cannot take them"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "pipe"]


def test_a_name_of_220_bytes_will_do_and_a_link_is_replaced(tmp_path: Path) -> None:
    write_parquet([NEW], tmp_path / ("x" * 220))
    (tmp_path / "link").symlink_to("nowhere")
    write_parquet([NEW], tmp_path / "link")
    assert not (tmp_path / "link").is_symlink() and stat.S_IMODE((tmp_path / "link").stat().st_mode) == 0o600
    assert len(os.listdir(tmp_path)) == 2


# -- gpupipe predict ------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an artifact and two tables to score, of 40 and of 70 rows."""
    folder = tmp_path_factory.mktemp("predict")
    for rows in (40, 70):
        data = pa.table({"id": np.arange(rows), "x": np.linspace(-1, 1, rows), "c": ["a", "b"] * (rows // 2)})
        pq.write_table(data, folder / f"{rows}.parquet")
    gp.Pipeline([gp.col("x").standardize(), gp.col("c").codes()]).fit(folder / "40.parquet").save(folder / "a.gpp")
    return folder


def predict(work: Path, rows: int, out: Path, *words: str) -> int:
    data = f"{work}/{rows}.parquet"
    return cli.main(["predict", f"{work}/a.gpp", "--data", data, "--out", str(out), "--one-file", *words])


def test_predict_keeps_columns_as_they_are(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(work, 40, tmp_path / "s", "--keep", "id") == 0
    found, data = pq.read_table(tmp_path / "s" / "scores.parquet"), pq.read_table(work / "40.parquet")
    assert found.column_names == ["id", "x", "c"] and found["id"] == data["id"]
    plain = gp.load(work / "a.gpp").transform(data)
    assert found.drop_columns("id") == plain
    assert predict(work, 40, tmp_path / "t", "--keep", "ids") == 1
    assert "There is no column 'ids'. Did you mean 'id'?" in capsys.readouterr().err
    assert predict(work, 40, tmp_path / "t", "--keep", "x") == 1
    assert "Column 'x' is to be kept, and the results have a column of that name" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["s"]


def test_columns_kept_are_those_of_the_data_and_not_of_the_fit(work: Path, tmp_path: Path) -> None:
    data = pa.table({"x": [1, 3], "c": ["b", "zzz"], "when": pa.array([0, 1], pa.timestamp("us", "UTC"))})
    pq.write_table(data, tmp_path / "d.parquet")
    model = gp.Pipeline(gp.col("x").cast("Float64").alias("f")).fit({"x": [1.5, 2.5]})
    model.save(tmp_path / "m.gpp")
    words = ["predict", f"{tmp_path}/m.gpp", "--data", f"{tmp_path}/d.parquet", "--out", f"{tmp_path}/s", "--one-file"]
    assert cli.main([*words, "--keep", "x", "--keep", "when", "--keep", "c", "--keep", "x"]) == 0
    found = pq.read_table(tmp_path / "s/scores.parquet")
    assert found.column_names == ["x", "when", "c", "f"] and found.select(["x", "c", "when"]) == data


def test_strings_kept_are_strings_in_every_partition(work: Path, tmp_path: Path) -> None:
    few, many = ["a", "b"] * 100, [str(number) for number in range(200)]
    pq.write_table(pa.table({"x": [0.5] * 400, "c": ["a"] * 400, "t": few + many}), tmp_path / "d.parquet")
    source = gp.scan(tmp_path / "d.parquet", partitions=2)
    tables = list(gp.load(work / "a.gpp").predictions(source, keep=["t"]))
    assert {str(table.schema.field("t").type) for table in tables} == {"string"}
    assert pa.concat_tables(tables)["t"].to_pylist() == few + many


def test_predict_says_what_is_wrong_with_the_place(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "out" / "scores.parquet").mkdir(parents=True)
    for out, words in {
        "file": f"not written to {tmp_path}/file/scores.parquet: Not a directory, at {tmp_path}/file. A part",
        "out": f"not written to {tmp_path}/out/scores.parquet: Is a directory. A folder stands there",
        "new/" + "x" * 300: "Choose a shorter name",
    }.items():
        assert predict(work, 40, tmp_path / out) == 1
        assert words in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["file", "out"]


def scores(out: Path) -> int | None:
    """The rows of the scores that stand; None: none stand."""
    path = out / "scores.parquet"
    return pq.read_table(path).num_rows if path.exists() else None


def every_call_of_predict(work: Path, out: Path, codes: tuple[int, ...], old: bool) -> tuple[int, int]:
    """Each call of one `gpupipe predict` failing; how many runs failed, of how many."""

    def reset() -> None:
        (out / "scores.parquet").unlink(missing_ok=True)
        if out.exists():
            out.rmdir()
        if old:
            assert predict(work, 40, out) == 0

    reset()
    clean = count(out, lambda: predict(work, 70, out))
    failed = runs = 0
    for at in range(1, clean.count + 1):
        for code in codes[at % len(codes) :][:1] if len(codes) < len(ERRNOS) else codes:
            reset()
            with in_place(FailsOnce(at, code)):
                status = predict(work, 70, out)
            assert scores(out) == 70 or (status == 1 and scores(out) == (40 if old else None)), (at, code)
            assert os.listdir(out) == ["scores.parquet"] if out.exists() else not old
            failed, runs = failed + status, runs + 1
    return failed, runs


@pytest.mark.parametrize("old", [False, True], ids=["new", "replace"])
def test_any_one_call_of_predict_failing(
    work: Path, tmp_path: Path, old: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    failed, runs = every_call_of_predict(work, tmp_path / "s", (errno.ENOSPC, errno.EIO, errno.EACCES), old)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gpupipe: ")]  # no progress
    assert len(said) == failed > runs * 0.6
    assert all(line.startswith(("gpupipe: The scores", "gpupipe: The table", "gpupipe: The artifact")) for line in said)


@pytest.mark.slow
@pytest.mark.parametrize("old", [False, True], ids=["new", "replace"])
def test_any_one_call_of_predict_failing_in_every_way(work: Path, tmp_path: Path, old: bool) -> None:
    failed, runs = every_call_of_predict(work, tmp_path / "s", ERRNOS, old)
    print(f"predict, {'replace' if old else 'new'}: {runs} runs, {failed} failed")
    assert failed > runs * 0.6


def test_what_a_killed_predict_left_goes_with_the_next_one(work: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("s").mkdir()
    leave(tmp_path / "s", "scores.parquet")
    assert predict(work, 40, tmp_path / "s") == 0
    assert os.listdir(tmp_path / "s") == ["scores.parquet"]


def kill_predicting(work: Path, out: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill, at random instants, a process that predicts again and again; what stood there then."""
    chance, outcomes = random.Random(seed), {"the last finished": 0, "the one under way": 0, "left over": 0}
    for _ in range(kills):
        assert predict(work, 40, out) == 0
        assert os.listdir(out) == ["scores.parquet"], "the next one leaves no leftovers"
        reader, writer = os.pipe()

        def again(writer: int = writer) -> None:
            for number in range(10_000):
                assert predict(work, (70, 40)[number % 2], out) == 0
                os.write(writer, b".")

        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            again()
            os._exit(1)
        os.close(writer)
        finished = len(os.read(reader, 1))  # one whole run: it is warm
        time.sleep(chance.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while more := os.read(reader, 10_000):
            finished += len(more)
        os.close(reader)
        last, next_ = ((40, 70)[finished % 2], (70, 40)[finished % 2])
        assert scores(out) in (last, next_)
        outcomes["the last finished" if scores(out) == last else "the one under way"] += 1
        outcomes["left over"] += len(os.listdir(out)) > 1
    return outcomes


def test_predict_killed_at_random_instants(work: Path, tmp_path: Path) -> None:
    outcomes = kill_predicting(work, tmp_path / "s", 10, seed=1)
    assert outcomes["the last finished"] + outcomes["the one under way"] == 10


@pytest.mark.slow
def test_200_predicts_killed_at_random_instants(work: Path, tmp_path: Path) -> None:
    outcomes = kill_predicting(work, tmp_path / "s", 200, seed=2)
    print(f"200 kills of predict: {outcomes}")
    assert outcomes["the last finished"] + outcomes["the one under way"] == 200
    assert outcomes["left over"] > 5, "the instants did not fall into the writing"


# -- a disk that is really full, read-only, or limited -----------------------------------------------------------
LIMITED = """
import resource, sys
from gpupipe import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(cli.main(sys.argv[2:]))
"""


def test_a_limit_on_the_size_of_files(work: Path, tmp_path: Path) -> None:
    assert predict(work, 40, tmp_path / "s") == 0
    given = ["--data", f"{work}/70.parquet", "--out", f"{tmp_path}/s"]
    words = ["predict", f"{work}/a.gpp", *given, "--one-file", "--quiet"]
    ran = subprocess.run([sys.executable, "-c", LIMITED, "500", *words], capture_output=True, text=True)
    assert ran.returncode == 1, ran.stderr  # and not killed by SIGXFSZ, which Python ignores
    assert "File too large" in ran.stderr and "ulimit -f" in ran.stderr and ran.stderr.count("\n") == 1
    assert scores(tmp_path / "s") == 40 and os.listdir(tmp_path / "s") == ["scores.parquet"]


def test_a_real_disk_that_is_full_and_then_read_only(work: Path, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no mounting here")
    (tmp_path / "disk").mkdir()
    script = f"""
set -e
cd {tmp_path}
mount -t tmpfs -o size=64k none disk
predict() {{ {sys.executable} -m gpupipe predict {work}/a.gpp --data {work}/$1.parquet --out disk --one-file; }}
predict 40
head -c 1m /dev/zero > disk/filler || true
predict 70 || echo exit $?
rm disk/filler
mount -o remount,ro disk
predict 70 || echo exit $?
ls -A disk
cp disk/scores.parquet .
"""
    ran = subprocess.run(["unshare", "-rm", "bash", "-c", script], capture_output=True, text=True)
    assert ran.stdout.splitlines()[1:] == ["exit 1", "exit 1", "scores.parquet"], ran.stdout + ran.stderr
    assert scores(tmp_path) == 40
    full, readonly = (line for line in ran.stderr.splitlines() if line.startswith("gpupipe: "))
    where = f"gpupipe: The table was not written to {tmp_path}/disk/scores.parquet: "
    assert full.startswith(where) and "0 bytes are free. The disk is full: free some space" in full
    assert readonly.startswith(where) and "The file system is read-only: choose another place" in readonly
