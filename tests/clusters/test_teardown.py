"""The end of a cluster that we made: no process, no port, no thread and no file is left, whatever happened to it."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from on_loopback import children, eventually, listening

import gpupipe as gp
from gpupipe.clusters import teardown
from gpupipe.clusters.scratch import Scratch, sweep


@pytest.fixture(autouse=True)
def settled() -> None:
    """What other tests closed has ended, and what they leave open is at rest."""

    def at_rest() -> bool:
        before = left()
        time.sleep(0.1)
        return left() == before

    assert eventually(at_rest)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of this test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    tempfile.tempdir = None


def left(of: int | None = None) -> tuple[set[int], set[str], int]:
    """The processes, the ports and the threads of Dask that there are."""
    mine = {of or os.getpid(), *children(of)}
    threads = [each.name for each in threading.enumerate() if "AsyncProcess" in each.name or "IO loop" in each.name]
    return children(of), listening(mine), len(threads)


def pids_of(cluster: gp.Cluster) -> list[int]:
    return list(cluster.client.run(os.getpid).values())


NOTHING_DONE, FROZEN, KILLED, ONE_OF_EACH, AT_WORK = "nothing done", "frozen", "killed", "one of each", "at work"
MORE = [pytest.param(state, marks=pytest.mark.slow) for state in (NOTHING_DONE, FROZEN, KILLED)]


@pytest.mark.parametrize("state", [ONE_OF_EACH, AT_WORK, *MORE])
def test_nothing_is_left(state: str, temporary: Path) -> None:
    before = left()
    cluster = gp.cluster("processes", n_workers=2, memory_limit="512MiB")
    pids = pids_of(cluster)
    assert len(left()[1]) > len(before[1]) and list(temporary.glob("gpupipe-cluster-*"))
    kept = cluster.client.submit(bytearray, 10**6)  # held by a worker; nobody waits for it to be moved
    cluster.client.gather(kept)
    if state == AT_WORK:
        kept = cluster.client.submit(time.sleep, 60)
        assert eventually(lambda: any(cluster.client.processing().values()))
    for pid, number in zip(pids, SIGNALS.get(state, ()), strict=False):
        os.kill(pid, number)
    started = time.monotonic()
    cluster.close()
    cluster.close()
    assert time.monotonic() - started < 10
    assert left() == before and not list(temporary.iterdir())
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


SIGNALS = {
    FROZEN: (signal.SIGSTOP, signal.SIGSTOP),
    KILLED: (signal.SIGKILL, signal.SIGKILL),
    ONE_OF_EACH: (signal.SIGSTOP, signal.SIGKILL),
}


def test_what_cannot_be_let_go_on_is_killed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a process is stopped again and again: only being killed ends it."""
    before = left()
    cluster = gp.cluster("processes", n_workers=1, memory_limit="512MiB")
    (pid,) = pids_of(cluster)
    monkeypatch.setattr(teardown, "PATIENCE", 1.0)
    monkeypatch.setattr(os, "kill", lambda pid, number: None if number == signal.SIGCONT else KILL(pid, number))
    os.kill(pid, signal.SIGSTOP)
    cluster.close()
    assert left() == before and not list(temporary.iterdir())


KILL = os.kill


def test_a_cluster_that_did_not_start_leaves_nothing(temporary: Path) -> None:
    before = left()
    with pytest.raises(gp.GpupipeError):
        gp.cluster("processes", n_workers=2, memory_limit="512MiB", preload=["surely_no_such_module"])
    assert left() == before and not list(temporary.iterdir())


DRIVER = """
import os, sys, time
import gpupipe as gp
if __name__ == "__main__":
    cluster = gp.cluster("processes", n_workers=2, memory_limit="512MiB")
    print(*cluster.client.run(os.getpid).values(), flush=True)
    kept = cluster.client.submit(time.sleep, 60)
    if sys.argv[1] == "wait":
        time.sleep(60)
    if sys.argv[1] == "fails":
        raise ValueError("of their own")
"""


def driver(temporary: Path, then: str) -> tuple[subprocess.Popen[str], list[int]]:
    file = temporary / "driver.py"
    file.write_text(DRIVER)
    process = subprocess.Popen(
        [sys.executable, str(file), then], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    return process, [int(pid) for pid in process.stdout.readline().split()]


@pytest.mark.parametrize(("then", "code"), [("fails", 1), pytest.param("ends", 0, marks=pytest.mark.slow)])
def test_a_driver_that_ends_closes_what_it_left_open(temporary: Path, then: str, code: int) -> None:
    process, pids = driver(temporary, then)
    assert len(pids) == 2 and process.wait(30) == code
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert [path.name for path in temporary.iterdir()] == ["driver.py"]


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_workers_of_a_driver_that_is_killed_end_at_once(temporary: Path, number: signal.Signals) -> None:
    process, pids = driver(temporary, "wait")
    os.kill(pids[0], signal.SIGSTOP)  # even one that cannot see it
    process.send_signal(number)
    process.wait(10)
    assert len(pids) == 2
    assert eventually(lambda: not any(is_running(pid) for pid in pids), 5)
    assert len(list(temporary.glob("gpupipe-cluster-*"))) == 1  # nobody was left to remove it,
    sweep()  # as the next cluster does
    assert not list(temporary.glob("gpupipe-cluster-*"))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_folders_in_use_stay(temporary: Path) -> None:
    mine = Scratch()
    assert mine.path.stat().st_mode & 0o777 == 0o700
    other = temporary / "gpupipe-cluster-of-someone"
    other.mkdir()  # without our lock, so none of ours
    sweep()
    assert mine.path.exists() and other.exists()
    mine.remove()
    mine.remove()
    assert [path.name for path in temporary.iterdir()] == [other.name]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_left_whenever_signals_come(seed: int, temporary: Path) -> None:
    """Stopped, let go on and killed, before the cluster is closed and while it is."""
    draw = random.Random(seed)
    before = left()
    cluster = gp.cluster("processes", n_workers=3, memory_limit="512MiB")
    pids = pids_of(cluster)
    kept = [cluster.client.submit(time.sleep, draw.random() * 3, key=f"{seed}-{at}") for at in range(6)]
    signals = [(draw.random() * 2, draw.choice(pids), draw.choice(SENT)) for _ in range(6)]
    sender = threading.Thread(target=send, args=(sorted(signals),))
    sender.start()
    time.sleep(draw.random() * 2)
    started = time.monotonic()
    cluster.close()
    assert time.monotonic() - started < 30 and len(kept) == 6
    sender.join()
    assert eventually(lambda: left() == before) and not list(temporary.iterdir())


SENT = (signal.SIGSTOP, signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL, signal.SIGTERM)


def send(signals: list[tuple[float, int, signal.Signals]]) -> None:
    started = time.monotonic()
    for at, pid, number in signals:
        time.sleep(max(started + at - time.monotonic(), 0))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def test_workers_leave_ctrl_c_to_the_process_that_made_them() -> None:
    with gp.cluster("processes", n_workers=1, memory_limit="512MiB") as cluster:
        (before,) = pids_of(cluster)
        os.kill(before, signal.SIGINT)
        assert pids_of(cluster) == [before] and cluster.client.submit(sum, [1, 2]).result(timeout=20) == 3
        (started_there,) = cluster.client.run(handler_of_a_program).values()
    assert started_there == "default_int_handler"


def handler_of_a_program() -> str:
    code = "import signal; print(signal.getsignal(signal.SIGINT).__name__)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
