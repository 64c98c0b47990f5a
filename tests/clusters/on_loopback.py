"""A scheduler and workers as processes of their own, as `dask scheduler` and `dask worker` start them, on loopback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

TTL = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "20s", "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}


@contextmanager
def scheduler(
    folder: Path, environment: Mapping[str, str] = TTL, more: Sequence[str] = ()
) -> Iterator[Path]:
    """The file of a scheduler that runs meanwhile."""
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file"]
    with running(["scheduler", *options, str(file), *more], folder / "scheduler.log", environment):
        yield file


@contextmanager
def worker(file: Path, folder: Path, name: str = "one", options: list[str] | None = None) -> Iterator[int]:
    """The process of a worker (its nanny's) that runs meanwhile."""
    given = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--name", name]
    given += ["--memory-limit", "2GiB", "--local-directory", str(folder), "--death-timeout", "30", *(options or [])]
    with running(["worker", *given], folder / f"worker-{name}.log", {}) as process:
        yield process


@contextmanager
def running(arguments: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """A command of Dask's that runs meanwhile, with all that it starts."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], stdout=out, stderr=out, env={**os.environ, **environment},
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def children(of: int | None = None) -> set[int]:
    """The processes beneath one (None: this one) that have not ended, without what Python's multiprocessing keeps."""
    found: set[int] = set()
    parents = {of or os.getpid()}
    table = {pid: (parent, state) for pid, parent, state in _processes()}
    while parents:
        parents = {pid for pid, (parent, state) in table.items() if parent in parents and state != "Z"} - found
        found |= parents
    return {pid for pid in found if "resource_tracker" not in _command(pid)}


def _processes() -> Iterator[tuple[int, int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        yield int(folder.name), int(parent), state


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def listening(pids: set[int]) -> set[str]:
    """The addresses (IPv4 as 1.2.3.4:5, others as the system writes them) that processes listen on."""
    sockets = {link for pid in pids for link in _links(pid)}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and f"socket:[{columns[9]}]" in sockets:
                found.add(_address(columns[1]))
    return found


def _links(pid: int) -> Iterator[str]:
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            yield os.readlink(entry)
        except OSError:
            continue


def _address(text: str) -> str:
    host, _, port = text.partition(":")
    if len(host) != 8:
        return text
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(host))) + f":{int(port, 16)}"


def eventually(is_so: object, seconds: float = 10.0) -> bool:
    """Whether something callable comes true within some seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
