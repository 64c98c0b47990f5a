"""One step, all or nothing: writers that race, writers that die, readers in between."""

import hashlib
import os
import signal
import time
from pathlib import Path

import pytest
from faults import Dies, in_place, no_exchange, no_waiting

from gpupipe import artifact
from gpupipe.artifact import commit, folder
from gpupipe.artifact.folder import MANIFEST
from gpupipe.errors import ArtifactError, ArtifactExistsError, ArtifactNotFoundError, ParameterError
from gpupipe.storage import disk


def files(tag):
    """A folder whose files all say `tag`, so that a mixture shows."""
    return {MANIFEST: tag, "state.safetensors": tag * 3, "model.ubj": tag * 5}


def found(path):
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def in_child(work):
    """Run `work` in a forked process; its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except ArtifactExistsError:
        os._exit(3)
    except BaseException:
        os._exit(1)


def exit_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(params=["renameat2", "plain rename"])
def renames(request, monkeypatch):
    """Both ways to publish: with the kernel's help, and as on a file system that lacks it."""
    if request.param == "plain rename":
        no_exchange(monkeypatch)
    return request.param


def test_publish_and_replace(tmp_path, renames):
    target = tmp_path / "deep" / "er" / "model.gpp"
    commit.publish(target, files(b"a"))
    assert found(target) == files(b"a")
    with pytest.raises(ArtifactExistsError, match=r"Something stands at .*model\.gpp"):
        commit.publish(target, files(b"b"))
    assert found(target) == files(b"a")
    commit.publish(target, files(b"b"), overwrite=True)
    assert found(target) == files(b"b")
    assert os.listdir(target.parent) == ["model.gpp"]


def test_overwrite_where_nothing_stands(tmp_path, renames):
    commit.publish(tmp_path / "a", files(b"a"), overwrite=True)
    assert found(tmp_path / "a") == files(b"a")


def test_overwrite_an_empty_folder(tmp_path, renames):
    (tmp_path / "a").mkdir()
    commit.publish(tmp_path / "a", files(b"a"), overwrite=True)
    assert found(tmp_path / "a") == files(b"a")


@pytest.mark.parametrize("kind", ["file", "home", "nested", "link", "dangling link", "no manifest"])
def test_what_is_not_an_artifact_is_never_replaced(tmp_path, renames, kind):
    target, other = tmp_path / "thing", tmp_path / "other"
    if kind == "file":
        target.write_text("mine")
    elif kind == "dangling link":
        target.symlink_to("nowhere")
    else:
        home = other if kind == "link" else target
        home.mkdir()
        name = {"home": "thesis.docx", "no manifest": "state.arrow"}.get(kind, "manifest.json")
        (home / name).write_text("mine")
        if kind == "nested":
            (home / "folder").mkdir()
        if kind == "link":
            target.symlink_to(other)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ArtifactExistsError, match="is not an artifact, so it is not replaced"):
        commit.publish(target, files(b"a"), overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_path_without_a_name():
    with pytest.raises(ParameterError, match="new folder"):
        commit.publish(Path("/"), files(b"a"))


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commit.publish(Path("a.gpp"), files(b"a"))
    assert found(tmp_path / "a.gpp") == files(b"a")


def test_everything_is_on_the_disk_before_the_rename(tmp_path, monkeypatch):
    log, original = [], disk.renameat2
    monkeypatch.setitem(
        vars(disk), "fsync", lambda fd: log.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
    )
    monkeypatch.setitem(vars(disk), "renameat2", lambda *args: log.append("rename") or original(*args))
    commit.publish(tmp_path / "a", files(b"a"))
    at = log.index("rename")
    assert log[: at - 1] == ["model.ubj", "state.safetensors", MANIFEST]
    assert log[at - 1].startswith(".a.gpupipe-temp-")
    assert log[at + 1 :] == [tmp_path.name]


# Writers that die before one call of the storage, so also just after the one before.


def kill_everywhere(tmp_path, prepare, work, check):
    """Do `work` in a child killed at its first call, its second…, until it gets through; `check` each time."""
    for step in range(1, 500):
        parent = tmp_path / str(step)
        parent.mkdir()
        prepare(parent)

        def doomed(step=step, parent=parent):
            with in_place(Dies(step)):
                work(parent)

        code = exit_of(in_child(doomed))
        check(parent)
        if code == 0:
            return step
        assert code == -signal.SIGKILL
    raise AssertionError("it never got through")


def test_killed_while_writing(tmp_path, renames, monkeypatch):
    no_waiting(monkeypatch)

    def check(parent):
        if (parent / "a").exists():
            assert found(parent / "a") == files(b"a")
        commit.recover(parent)
        assert os.listdir(parent) in ([], ["a"])

    steps = kill_everywhere(
        tmp_path, lambda parent: None, lambda parent: commit.publish(parent / "a", files(b"a")), check
    )
    assert steps > 25


def test_killed_while_replacing(tmp_path, renames, monkeypatch):
    no_waiting(monkeypatch)

    def check(parent):
        if renames == "renameat2":
            assert found(parent / "a") in (files(b"old"), files(b"new"))
        commit.recover(parent)
        assert found(parent / "a") in (files(b"old"), files(b"new"))
        assert os.listdir(parent) == ["a"]

    steps = kill_everywhere(
        tmp_path,
        lambda parent: commit.publish(parent / "a", files(b"old")),
        lambda parent: commit.publish(parent / "a", files(b"new"), overwrite=True),
        check,
    )
    assert steps > 40


def test_killed_while_sweeping(tmp_path):
    def prepare(parent):
        leave(parent, "temp", files(b"dead"))
        leave(parent, "aside", files(b"old"))

    def check(parent):
        commit.recover(parent)
        assert os.listdir(parent) == ["a"]
        assert found(parent / "a") == files(b"old")

    kill_everywhere(tmp_path, prepare, commit.recover, check)


def leave(parent, role, content, target="a"):
    path = parent / f".{target}.gpupipe-{role}-{hashlib.md5(role.encode()).hexdigest()[:16]}"
    path.mkdir()
    for name, data in content.items():
        (path / name).write_bytes(data)
    return path


@pytest.mark.parametrize("visit", ["write", "read", "read another"])
def test_leftovers_are_swept_at_the_next_visit(tmp_path, visit):
    artifact.write(tmp_path / "b", document={})
    leave(tmp_path, "temp", files(b"dead"))
    leave(tmp_path, "temp", {}, target="c")
    leave(tmp_path, "aside", files(b"dead"), target="b")
    if visit == "write":
        artifact.write(tmp_path / "d", document={})
    elif visit == "read":
        artifact.read(tmp_path / "b")
    else:
        with pytest.raises(ArtifactNotFoundError):
            artifact.read(tmp_path / "none")
    assert sorted(os.listdir(tmp_path)) == (["b", "d"] if visit == "write" else ["b"])


def test_what_only_looks_like_a_leftover_stays(tmp_path):
    mine = leave(tmp_path, "temp", {"thesis.docx": b"mine"})
    nested = leave(tmp_path, "temp", {MANIFEST: b"x"}, target="b")
    (nested / "folder").mkdir()
    plain = tmp_path / ".c.gpupipe-temp-0123456789abcdef"
    plain.write_text("a file")
    (tmp_path / "real").mkdir()
    link = tmp_path / ".d.gpupipe-temp-0123456789abcdef"
    link.symlink_to("real")
    other = leave(tmp_path, "temporary", files(b"x"))
    before = set(tmp_path.rglob("*"))
    commit.recover(tmp_path)
    assert set(tmp_path.rglob("*")) == before
    assert all(path.exists() for path in (mine, nested, plain, link, other))


def test_a_leftover_of_another_user_stays(tmp_path, monkeypatch):
    leave(tmp_path, "temp", files(b"dead"))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    commit.recover(tmp_path)
    assert len(os.listdir(tmp_path)) == 1


def test_a_live_writer_is_never_swept(tmp_path, monkeypatch):
    seen = []
    original = folder.fill

    def fill(path, content, manifest):
        original(path, content, manifest)
        exit_of(in_child(lambda: commit.recover(tmp_path)))  # another process
        commit.recover(tmp_path)  # another thread of this one
        seen.append(sorted(found(path)) == sorted(content))

    monkeypatch.setattr(commit, "fill", fill)
    commit.publish(tmp_path / "a", files(b"a"))
    assert seen == [True]
    assert found(tmp_path / "a") == files(b"a")


def test_a_writer_swept_before_it_held_its_lock_takes_another_name(tmp_path, monkeypatch):
    original, swept = disk.open, []

    def open_(path, flags, *args, **kwargs):
        if str(path).endswith(MANIFEST) and flags & os.O_CREAT and len(swept) < 3:
            swept.append(path)
            if len(swept) == 1:  # before the manifest is made
                commit.recover(tmp_path)
                return original(path, flags, *args, **kwargs)
            descriptor = original(path, flags, *args, **kwargs)
            if len(swept) == 2:  # before it is locked
                exit_of(in_child(lambda: commit.recover(tmp_path)))
            return descriptor
        return original(path, flags, *args, **kwargs)

    monkeypatch.setitem(vars(disk), "open", open_)
    commit.publish(tmp_path / "a", files(b"a"))
    assert len(swept) == 3
    assert found(tmp_path / "a") == files(b"a")
    assert os.listdir(tmp_path) == ["a"]


def test_without_locks_nothing_is_swept_and_writing_works(tmp_path, monkeypatch):
    def flock(*args):
        raise OSError(95, "Operation not supported")

    monkeypatch.setitem(vars(disk), "lock", flock)
    leave(tmp_path, "temp", files(b"someone"))
    commit.publish(tmp_path / "a", files(b"a"))
    assert len(os.listdir(tmp_path)) == 2
    assert found(tmp_path / "a") == files(b"a")


# Writers and readers at once.


def test_of_many_writers_one_wins(tmp_path, renames):
    tags = [bytes([65 + i]) * 1000 for i in range(8)]
    children = [in_child(lambda tag=tag: commit.publish(tmp_path / "a", files(tag))) for tag in tags]
    codes = [exit_of(child) for child in children]
    assert sorted(codes) == [0] + [3] * 7
    assert found(tmp_path / "a") == files(tags[codes.index(0)])
    assert os.listdir(tmp_path) == ["a"]


def test_readers_see_one_whole_version_while_it_is_replaced(tmp_path, renames):
    artifact.write(tmp_path / "a", document={"by": -1}, blobs={"model.ubj": b"-1"})

    def rewrite(writer):
        end = time.monotonic() + 0.7
        while time.monotonic() < end:
            tag = str(writer).encode()
            artifact.write(tmp_path / "a", document={"by": writer}, blobs={"model.ubj": tag}, overwrite=True)

    children = [in_child(lambda writer=writer: rewrite(writer)) for writer in range(2)]
    seen, missed, reads = set(), 0, 0
    end = time.monotonic() + 0.7
    while time.monotonic() < end:
        reads += 1
        try:
            contents = artifact.read(tmp_path / "a")
        except ArtifactNotFoundError:
            missed += 1
            continue
        assert str(contents.document["by"]).encode() == contents.blobs["model.ubj"]
        seen.add(contents.document["by"])
    assert [exit_of(child) for child in children] == [0, 0]
    assert seen >= {0, 1}
    assert missed == 0 or renames == "plain rename", f"{missed} of {reads} reads found nothing"
    artifact.read(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_that_keeps_being_replaced_is_an_error_not_a_hang(tmp_path, monkeypatch):
    artifact.write(tmp_path / "a", document={})
    monkeypatch.setattr(folder, "_is_current", lambda path, descriptor: False)
    with pytest.raises(ArtifactError, match="replaced 100 times"):
        artifact.read(tmp_path / "a")
