"""Scratch files without a name: where they stand, whose they are, and what a process leaves that dies making one."""

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults import Counting, Dies, FailsOnce, forked, in_place, open_files

from gpupipe.storage import disk, nameless, scratch, scratch_folder
from gpupipe.storage.scratch import in_memory


@pytest.fixture(params=[True, False], ids=["without a name", "unlinked"])
def named(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the system lacks files that never had a name."""
    if not request.param:
        monkeypatch.delattr(os, "O_TMPFILE")
    return not request.param


def test_a_file_that_its_descriptor_alone_leads_to(tmp_path: Path, named: bool) -> None:
    descriptor = nameless(tmp_path)
    try:
        assert os.listdir(tmp_path) == []
        status = os.fstat(descriptor)
        assert stat.S_ISREG(status.st_mode) and status.st_mode & 0o777 == 0o600 and status.st_nlink == 0
        assert not os.get_inheritable(descriptor)
        assert disk.pwrite(descriptor, b"abc", 5) == 3 and disk.pread(descriptor, 9, 4) == b"\0abc"
    finally:
        disk.close(descriptor)
    assert open_files(tmp_path) == []


def test_a_file_system_that_needs_a_name(tmp_path: Path) -> None:
    class Old(Counting):
        def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name == "open" and args[1] & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return do()

    with in_place(Old()):
        descriptor = nameless(tmp_path)
    assert os.listdir(tmp_path) == [] and os.fstat(descriptor).st_nlink == 0
    os.close(descriptor)


def test_any_one_call_failing_leaves_nothing(tmp_path: Path, named: bool) -> None:
    with in_place(Counting()) as counting:
        os.close(nameless(tmp_path))
    failed = 0
    for at in range(1, counting.count + 1):
        for code in (errno.ENOSPC, errno.EACCES, errno.EMFILE):
            with in_place(FailsOnce(at, code)):
                try:
                    os.close(nameless(tmp_path))
                except OSError as error:
                    assert error.errno == code
                    failed += 1
            assert open_files(tmp_path) == []
            os.close(nameless(tmp_path))  # whatever was left goes with the next one
            assert os.listdir(tmp_path) == []
    assert failed >= 3


def test_killed_before_every_call(tmp_path: Path, named: bool) -> None:
    for at in range(1, 20):

        def doomed(at: int = at) -> None:
            with in_place(Dies(at)):
                nameless(tmp_path)

        code = forked(doomed)
        assert [path.stat().st_size for path in tmp_path.iterdir()] in ([], [0])
        assert named or not os.listdir(tmp_path)
        os.close(nameless(tmp_path))
        assert os.listdir(tmp_path) == []
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert at > 1


def test_a_folder_that_is_none(tmp_path: Path, named: bool) -> None:
    with pytest.raises(FileNotFoundError):
        nameless(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        nameless(tmp_path / "file")


def mounts(folder: Path, device: int, system: str) -> Path:
    path = folder / "mountinfo"
    number = f"{os.major(device)}:{os.minor(device)}"
    path.write_text(
        f"1 0 254:77 / / rw - ext4 /dev/vda rw\n36 35 {number} / /tmp rw,nosuid shared:1 - {system} none rw\n"
    )
    return path


def test_what_is_held_in_memory(tmp_path: Path) -> None:
    device = os.stat(tmp_path).st_dev
    assert in_memory(tmp_path, mounts(tmp_path, device, "tmpfs")) and in_memory(
        tmp_path, mounts(tmp_path, device, "ramfs")
    )
    assert not in_memory(tmp_path, mounts(tmp_path, device, "xfs"))
    assert not in_memory(tmp_path, mounts(tmp_path, device + 1, "tmpfs"))  # another place is
    assert not in_memory(tmp_path, tmp_path / "none") and not in_memory(tmp_path / "none")


def test_where_large_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def place(held: bool, chosen: bool) -> Path:
        monkeypatch.setattr(scratch, "in_memory", lambda folder: held and folder == tmp_path)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        for name in ("TMPDIR", "TEMP", "TMP"):
            monkeypatch.delenv(name, raising=False)
        if chosen:
            monkeypatch.setenv("TMPDIR", str(tmp_path))
        return scratch_folder()

    assert place(held=False, chosen=False) == tmp_path
    assert place(held=True, chosen=True) == tmp_path, "who says so has it so"
    assert place(held=True, chosen=False) == Path("/var/tmp")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert place(held=True, chosen=False) == tmp_path


_WITHOUT = """
import os, sys
del os.posix_fallocate, os.O_TMPFILE  # macOS has neither
import gpupipe as gp

def fit(**options):
    return gp.Pipeline([gp.col("x").median().alias("m")], **options).fit(gp.scan("x.parquet", partitions=2))
spilled, kept = fit(memory=0), fit()
assert spilled.report_.spilled_bytes and spilled.report_.source_reads == 1
assert spilled.state_digest() == kept.state_digest()
assert os.listdir(os.environ["TMPDIR"]) == []
"""


def test_a_system_without_the_calls_of_linux(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [float(n * n % 997) for n in range(5_000)]}), tmp_path / "x.parquet")
    (tmp_path / "scratch").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    subprocess.run([sys.executable, "-c", _WITHOUT], cwd=tmp_path, env=environment, check=True)
