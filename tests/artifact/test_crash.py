"""Artifacts when a call fails, a disk fills, a process is killed, or writers race: the old or the new one, whole."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from faults import (
    CHANGING,
    ERRNOS,
    GROWING,
    Counting,
    FailsFrom,
    FailsOnce,
    exit_of,
    in_child,
    in_place,
    no_exchange,
    no_waiting,
    open_files,
)

import gpupipe as gp
from gpupipe import artifact
from gpupipe.errors import (
    ArtifactCorruptError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    ParameterError,
    StorageError,
)

WAYS = ["new", "replace", "replace, no exchange"]


def save(path: Path, version: int) -> str:
    """An artifact whose every part says `version`, so that a mixture would show."""
    arrays = {"state": {"version": np.full(50, version)}}
    return artifact.write(
        path, document={"version": version}, arrays=arrays, blobs={"model.ubj": b"%d" % version * 99}, overwrite=True
    )


def version(path: Path) -> int | None:
    """The version that stands whole; None: nothing stands."""
    try:
        contents = artifact.read(path)
    except ArtifactNotFoundError:
        return None
    found = contents.document["version"]
    assert (contents.arrays["state"]["version"] == found).all() and contents.blobs["model.ubj"] == b"%d" % found * 99
    return int(found)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    no_waiting(monkeypatch)
    if "no exchange" in request.param:
        no_exchange(monkeypatch)
    return str(request.param)


def prepared(folder: Path, way: str) -> Path:
    """A folder where nothing stands, or version 1 does."""
    path = folder / "a.gpp"
    if path.exists():
        for entry in path.iterdir():
            entry.unlink()
        path.rmdir()
    folder.mkdir(exist_ok=True)
    if way != "new":
        save(path, 1)
    assert os.listdir(folder) == ([] if way == "new" else ["a.gpp"])
    return path


def attempt(storage: Counting, work: Callable[[], object]) -> StorageError | None:
    with in_place(storage):
        try:
            work()
        except StorageError as error:
            return error
    return None


def calls_of(work: Callable[[], object]) -> Counting:
    with in_place(Counting()) as counted:
        work()
    return counted


def old(way: str) -> int | None:
    return None if way == "new" else 1


# -- one call fails -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done, answer lost"])
def test_any_one_call_of_a_save_failing(tmp_path: Path, way: str, done: bool) -> None:
    every_call_of_a_save(tmp_path / "f", way, done, (errno.EIO, errno.ENOSPC, errno.EACCES))


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done, answer lost"])
def test_any_one_call_of_a_save_failing_in_every_way(tmp_path: Path, way: str, done: bool) -> None:
    calls, runs, failed = every_call_of_a_save(tmp_path / "f", way, done, ERRNOS)
    print(f"\nsave, {way}, {'done' if done else 'not done'}: {calls} calls, {runs} runs, {failed} failed")


def every_call_of_a_save(folder: Path, way: str, done: bool, codes: tuple[int, ...]) -> tuple[int, int, int]:
    """Each call of a save fails, with each code, or (where there are few) one of them in turn."""
    path = prepared(folder, way)
    clean = calls_of(lambda: save(path, 2))
    runs = failed = 0
    for at in range(1, clean.count + 1):
        for code in codes if len(codes) == len(ERRNOS) else (codes[at % len(codes)],):
            path = prepared(folder, way)
            storage = FailsOnce(at, code, done)
            error = attempt(storage, partial(save, path, 2))
            runs, failed = runs + 1, failed + (error is not None)
            check_after(path, way, error, code, storage.log[at - 1])
    assert failed > runs / 2
    return clean.count, runs, failed


def check_after(path: Path, way: str, error: StorageError | None, code: int, name: str) -> None:
    assert open_files(path.parent) == []
    if error is not None:
        assert error.errno == code and f"The artifact {path}" in str(error) and os.strerror(code) in str(error)
    left = [entry for entry in os.listdir(path.parent) if entry != "a.gpp"]
    # Only what could not be removed, since removing is what failed, is left; and it goes with the next visit.
    assert not left or name in ("unlink", "rmdir", "listdir", "lstat", "rename"), (left, name)
    found = version(path)
    assert found == 2 or (found == old(way) and error is not None), (found, error)
    assert os.listdir(path.parent) == ([] if found is None else ["a.gpp"])


@pytest.mark.parametrize("kinds", [GROWING, CHANGING], ids=["full", "read-only"])
def test_a_disk_that_is_full_or_read_only_from_some_call_on(tmp_path: Path, way: str, kinds: tuple[str, ...]) -> None:
    code = errno.EROFS if kinds == CHANGING else errno.ENOSPC
    path = prepared(tmp_path / "f", way)
    left = 0
    clean = calls_of(partial(save, path, 2))
    for at in range(1, clean.count + 1):
        path = prepared(tmp_path / "f", way)
        error = attempt(FailsFrom(at, code, kinds), partial(save, path, 2))
        assert error is None or error.errno == code
        if error is not None and code == errno.ENOSPC and "is saved, whole" not in str(error):
            assert "bytes are to be written and" in str(error)
        left += len(set(os.listdir(path.parent)) - {"a.gpp"})
        found = version(path)  # a reader puts right whatever the writer could not
        assert found == 2 or (found == old(way) and error is not None)
        assert os.listdir(path.parent) == ([] if found is None else ["a.gpp"])
    assert left > 0 or code != errno.EROFS


def test_after_a_failed_fsync_of_data_nothing_is_published(tmp_path: Path, way: str) -> None:
    path = prepared(tmp_path / "f", way)
    log = calls_of(lambda: save(path, 2)).log
    swap = next(at for at, name in enumerate(log) if name in ("renameat2", "rename"))
    syncs = [at for at, name in enumerate(log) if name == "fsync"]
    assert sum(at < swap for at in syncs) == 4  # two files, the manifest, the folder
    for at in syncs:
        path = prepared(tmp_path / "f", way)
        error = attempt(FailsOnce(at + 1, errno.EIO), partial(save, path, 2))
        assert error is not None
        if at < swap:
            assert version(path) == old(way) and f"{path} was not saved" in str(error)
        else:
            assert version(path) == 2 and f"{path} is saved, whole, but may be lost if the power fails" in str(error)


def test_what_fails_while_sweeping_is_no_failure_and_is_swept_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_waiting(monkeypatch)

    def leftover() -> None:
        dead = tmp_path / ".b.gpp.gpupipe-temp-0123456789abcdef"
        dead.mkdir(exist_ok=True)
        (dead / "manifest.json").write_bytes(b"{}")
        (dead / "state.safetensors").write_bytes(b"x")

    path = tmp_path / "a.gpp"
    clean = calls_of(lambda: save(path, 2)).count
    leftover()
    calls = calls_of(lambda: save(path, 3)).count - clean
    assert calls > 10
    for at in range(2, calls):
        leftover()
        attempt(FailsOnce(at, errno.EIO), lambda: save(path, 4))
        save(path, 5)
        assert os.listdir(tmp_path) == ["a.gpp"] and version(path) == 5


def test_any_one_call_of_a_load_failing(tmp_path: Path) -> None:
    path = tmp_path / "a.gpp"
    save(path, 1)
    clean = calls_of(lambda: artifact.read(path))
    failed = runs = 0
    for at in range(1, clean.count + 1):
        for code in ERRNOS:
            storage = FailsOnce(at, code)
            error = attempt(storage, lambda: artifact.read(path))
            assert error is None or (error.errno == code and f"The artifact {path} was not read" in str(error))
            assert (error is None) == (at == 1 or storage.log[at - 1] == "close")  # sweeping, and closing what was read
            assert open_files(tmp_path) == []
            runs, failed = runs + 1, failed + (error is not None)
    print(f"\nload: {clean.count} calls, {runs} runs, {failed} failed")
    assert version(path) == 1


def test_parents_made_for_an_artifact_go_again_if_it_was_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_waiting(monkeypatch)
    clean = calls_of(lambda: save(tmp_path / "x" / "y" / "a.gpp", 1))
    for at in range(1, clean.count + 1):
        folder = tmp_path / str(at)
        folder.mkdir()
        error = attempt(FailsOnce(at, errno.ENOSPC), partial(save, folder / "x" / "y" / "a.gpp", 1))
        stands = (folder / "x" / "y" / "a.gpp").exists()
        assert stands or error is not None
        assert list(folder.rglob(".*")) == [] and (stands or os.listdir(folder) == [])


def test_places_that_are_no_place_for_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    cases = {
        "file/a.gpp": (errno.ENOTDIR, f"Not a directory, at {tmp_path}/file. A part of the path is a file"),
        "x" * 300: (errno.ENAMETOOLONG, "Choose a shorter name"),
        "x" * 240: (errno.ENAMETOOLONG, "Choose a shorter name: at most 220 bytes"),
    }
    for name, (code, words) in cases.items():
        with pytest.raises(StorageError) as caught:
            save(tmp_path / name, 1)
        assert caught.value.errno == code and words in str(caught.value)
    with pytest.raises(ParameterError, match="NUL"):
        save(tmp_path / "a\0b", 1)
    with pytest.raises(ArtifactExistsError, match="is not an artifact"):
        save(tmp_path / "file", 1)
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_damaged_says_so_names_the_artifact_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.gpp"
    save(path, 1)
    with open(path / "model.ubj", "ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactCorruptError) as caught:
        artifact.read(path)
    assert str(caught.value) == (
        f"{path} is no whole artifact: model.ubj holds 100 bytes; at most 99 were expected. "
        "If it was one, it is damaged: restore a copy, or save it again."
    )


# -- a disk that is really full, read-only, or limited ----------------------------------------------------------
SAVE = """
import resource, sys
import numpy as np
from gpupipe import artifact
from gpupipe.errors import StorageError
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    artifact.write(sys.argv[1], document={"version": 2}, arrays={"state": {"x": np.zeros(20_000)}}, overwrite=True)
except StorageError as error:
    print(error.errno, error)
"""


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    save(tmp_path / "a.gpp", 1)
    command = [sys.executable, "-c", SAVE, str(tmp_path / "a.gpp"), "5000"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.stdout.startswith(f"{errno.EFBIG} The artifact") and "ulimit -f" in ran.stdout, ran
    assert os.listdir(tmp_path) == ["a.gpp"] and version(tmp_path / "a.gpp") == 1


@pytest.mark.parametrize("disk_is", ["full", "read-only"])
def test_a_real_small_disk(tmp_path: Path, disk_is: str) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no mounting here")
    (tmp_path / "save.py").write_text(SAVE)
    (tmp_path / "disk").mkdir()
    save(tmp_path / "a.gpp", 1)
    script = f"""
set -e
cd {tmp_path}
mount -t tmpfs -o size=100k none disk
cp -r a.gpp disk
if [ {disk_is} = read-only ]; then mount -o remount,ro disk; fi
{sys.executable} save.py disk/a.gpp
ls -A disk
{sys.executable} -c "from gpupipe import artifact; print(artifact.read('disk/a.gpp').document)"
"""
    ran = subprocess.run(["unshare", "-rm", "bash", "-c", script], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    said, *rest = ran.stdout.splitlines()
    assert rest == ["a.gpp", "{'version': 1}"]
    assert f"The artifact {tmp_path}/disk/a.gpp was not saved" in said
    assert ("No space left" in said and "bytes are free" in said) if disk_is == "full" else "is read-only" in said


# -- kills ------------------------------------------------------------------------------------------------------
def pipelines() -> list[gp.Pipeline]:
    columns = [gp.col(name).fill_null("mean").standardize() for name in "abc"]
    tables = [{name: np.arange(9.0) * scale + at for at, name in enumerate("abc")} for scale in (1, 2, 3)]
    return [gp.Pipeline(columns).fit(table) for table in tables]


def kill_saving(folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill, at random instants, a process that saves one version after the other over what stands there."""
    versions = pipelines()
    digests = [pipeline.state_digest() for pipeline in versions]
    path, chance = folder / "a.gpp", random.Random(seed)
    outcomes = {"the last finished": 0, "the one under way": 0, "left over": 0}
    for _ in range(kills):
        versions[0].save(path, overwrite=True)
        assert os.listdir(folder) == ["a.gpp"], "the next one leaves no leftovers"
        reader, writer = os.pipe()

        def again(writer: int = writer) -> None:
            for number in range(1, 100_000):
                versions[number % 3].save(path, overwrite=True)
                os.write(writer, b".")

        child = in_child(again)
        os.close(writer)
        finished = len(os.read(reader, 1))  # it is under way
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        assert exit_of(child) == -signal.SIGKILL
        while more := os.read(reader, 100_000):
            finished += len(more)
        os.close(reader)
        left = len(os.listdir(folder)) > 1
        found = digests.index(gp.load(path).state_digest())
        assert os.listdir(folder) == ["a.gpp"], "the next load leaves no leftovers"
        assert found in (finished % 3, (finished + 1) % 3)
        outcomes["the last finished" if found == finished % 3 else "the one under way"] += 1
        outcomes["left over"] += left
    return outcomes


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "no exchange"])
def test_saves_killed_at_random_instants(tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exchange:
        no_exchange(monkeypatch)
    outcomes = kill_saving(tmp_path, 10, seed=3)
    assert outcomes["the last finished"] + outcomes["the one under way"] == 10


@pytest.mark.slow
@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "no exchange"])
def test_200_saves_killed_at_random_instants(tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exchange:
        no_exchange(monkeypatch)
    outcomes = kill_saving(tmp_path, 200, seed=4)
    print(f"\n200 kills of save, {'' if exchange else 'no '}exchange: {outcomes}")
    assert outcomes["the last finished"] + outcomes["the one under way"] == 200
    assert outcomes["left over"] > 50, "the instants did not fall into the saving"


# -- races ------------------------------------------------------------------------------------------------------
WRITERS = 4


@pytest.fixture(params=["exchange", "no exchange"])
def renames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "no exchange":
        no_exchange(monkeypatch)
    return str(request.param)


def race(work: Callable[[int], None]) -> list[int]:
    """`work` in four processes that start together; their exit statuses."""
    reader, writer = os.pipe()

    def wait_and_work(number: int) -> None:
        os.close(writer)
        os.read(reader, 1)  # until the other end closes
        work(number)

    children = [in_child(partial(wait_and_work, number)) for number in range(WRITERS)]
    os.close(reader)
    os.close(writer)
    return [exit_of(child) for child in children]


def race_for_new_paths(folder: Path, rounds: int) -> dict[str, int]:
    """Four writers race for each of `rounds` paths that do not exist yet: one each gets it."""

    def work(number: int) -> None:
        won = []
        for at in range(rounds):
            try:
                artifact.write(folder / f"{at}.gpp", document={"version": number}, overwrite=False)
                won.append(at)
            except ArtifactExistsError:
                pass
        (results / str(number)).write_text(" ".join(map(str, won)))

    results = folder.with_name("results")
    results.mkdir()
    folder.mkdir()
    assert race(work) == [0] * WRITERS
    won = {number: {int(at) for at in (results / str(number)).read_text().split()} for number in range(WRITERS)}
    assert sorted(at for mine in won.values() for at in mine) == list(range(rounds)), "one winner each"
    assert all(artifact.read(folder / f"{at}.gpp").document["version"] == n for n, mine in won.items() for at in mine)
    assert sorted(os.listdir(folder)) == sorted(f"{at}.gpp" for at in range(rounds))
    return {f"writer {number}": len(mine) for number, mine in won.items()}


def race_for_one_path(folder: Path, commits: int) -> dict[str, int]:
    """Four writers replace one artifact, a reader loads it meanwhile: always whole, and the last one stays."""
    path = folder / "a.gpp"
    save(path, 0)

    def work(number: int) -> None:
        for at in range(commits // WRITERS):
            save(path, 1 + number + WRITERS * at)

    def read() -> None:
        loads = versions = 0
        last = None
        while not stop.exists():
            found = version(path)
            assert found is not None, "nothing was found"
            loads, versions, last = loads + 1, versions + (found != last), found
        (folder.with_name("loads")).write_text(f"{loads} {versions}")

    stop = folder.with_name("stop")
    reader = in_child(read)
    assert race(work) == [0] * WRITERS
    stop.touch()
    assert exit_of(reader) == 0
    assert version(path) in range(1 + commits - WRITERS, 1 + commits), "what stands is some writer's last"
    assert os.listdir(folder) == ["a.gpp"]
    loads, versions = map(int, folder.with_name("loads").read_text().split())
    return {"commits": commits, "loads meanwhile": loads, "versions seen": versions}


def test_four_writers_race(tmp_path: Path, renames: str) -> None:
    race_for_new_paths(tmp_path / "new", 20)
    (tmp_path / "one").mkdir()
    assert race_for_one_path(tmp_path / "one", 40)["loads meanwhile"] > 0


@pytest.mark.slow
def test_four_writers_race_a_thousand_times(tmp_path: Path, renames: str) -> None:
    print(f"\n1,000 races for new paths, {renames}: {race_for_new_paths(tmp_path / 'new', 1000)}")
    (tmp_path / "one").mkdir()
    print(f"1,000 commits over one path, {renames}: {race_for_one_path(tmp_path / 'one', 1000)}")
