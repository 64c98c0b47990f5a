"""One measurement is one job in a process of its own: what others imported, cached or allocated has no part in it.

A job is a module of this folder with ``main(words)``. It marks its phases with a `Clock` and prints what it found as
one line of JSON; the parent adds what the operating system counted for the whole process.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The first two tune one machine's BLAS by hand; with the third a checkout, unlike what pip installed, would be compiled
# anew in every process (the uncounted first run writes its bytecode).
_UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True, slots=True)
class Row:
    """One number, tidy.

    Attributes:
        part: which benchmark.
        case: on what.
        side: who did the work.
        phase: which part of the job.
        measure: ``cpu`` or ``wall`` (seconds), ``peak`` (MiB), ``rows``, or a metric's name.
        repeat: which repetition, from 0.
        value: the number.
    """

    part: str
    case: str
    side: str
    phase: str
    measure: str
    repeat: int
    value: float


@dataclass(slots=True)
class Clock:
    """CPU seconds (user and system, all threads) and wall seconds of a process's phases."""

    phases: dict[str, dict[str, float]] = field(default_factory=dict)
    _since: tuple[float, float] = field(default_factory=lambda: (time.process_time(), time.perf_counter()))

    def lap(self, phase: str) -> None:
        """Everything since the last lap (or the clock's making) was `phase`."""
        now = time.process_time(), time.perf_counter()
        self.phases[phase] = {"cpu": now[0] - self._since[0], "wall": now[1] - self._since[1]}
        self._since = time.process_time(), time.perf_counter()

    def since_start(self, phase: str) -> None:
        """The CPU seconds of this process so far were `phase`: the interpreter's start and the imports."""
        self.phases[phase] = {"cpu": time.process_time()}
        self._since = time.process_time(), time.perf_counter()


def tell(phases: Mapping[str, Mapping[str, float]]) -> None:
    """Print what a job found, its peak memory and what it read, for `run` to read.

    A job that starts processes of its own says their ``peak``, ``read`` or ``cpu`` in the phase ``process``, together
    with its own.
    """
    whole = {"peak": peak_memory(), "read": read_so_far(), **phases.get("process", {})}
    print(json.dumps({**phases, "process": whole}))


def peak_memory() -> float:
    """MiB: the most this process had resident.

    Linux's own count comes first: getrusage's begins with what the parent had when it started this process.
    """
    status = Path("/proc/self/status")
    counted = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    kib = int(counted[1]) if counted else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / 1024


def read_so_far() -> float:
    """MiB that this process has read by calls, from files and the cache of them; what it mapped does not count."""
    counts = Path("/proc/self/io")
    counted = re.search(r"rchar: (\d+)", counts.read_text()) if counts.exists() else None
    return int(counted[1]) / 2**20 if counted else 0.0


def run(
    module: str, words: Sequence[str], python: str | Path = sys.executable, limit: float | None = None
) -> dict[str, dict[str, float]]:
    """``python -m benchmarks.MODULE WORDS`` in a new process: its phases, and ``process``, the whole of it.

    Args:
        python: the interpreter of the environment that the module needs.
        limit: seconds after which the process and those it started are ended.

    Raises:
        RuntimeError: the job failed or took longer; its last words are quoted.
    """
    command = [str(python), "-W", "ignore", "-m", f"benchmarks.{module}", *words]
    return _phases(command, limit)


def run_statement(statement: str) -> dict[str, dict[str, float]]:
    """``python -c STATEMENT`` in a new process: ``process``, and what it told, if it did."""
    return _phases([sys.executable, "-c", statement])


def _phases(command: Sequence[str], limit: float | None = None) -> dict[str, dict[str, float]]:
    environment = {name: value for name, value in os.environ.items() if name not in _UNSET}
    began = time.perf_counter()
    with tempfile.TemporaryFile() as file:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        stop = threading.Timer(limit or 0, os.killpg, (child.pid, signal.SIGKILL))
        if limit is not None:
            stop.start()
        try:
            _, status, used = os.wait4(child.pid, 0)
        finally:
            stop.cancel()
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        file.seek(0)
        said = file.read().decode(errors="replace")
    if child.returncode:
        late = f" after its limit of {limit:g} s" if limit is not None and wall >= limit else ""
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}{late}:\n{said[-2000:]}")
    told = _told(command, said)
    process = told.get("process", {})
    cpu = max(used.ru_utime + used.ru_stime, process.get("cpu", 0))
    return {**told, "process": {**process, "cpu": cpu, "wall": wall}}


def _told(command: Sequence[str], said: str) -> dict[str, dict[str, float]]:
    """The last line of what a job said; it may have said nothing."""
    try:
        told: dict[str, dict[str, float]] = json.loads(said.strip().rpartition("\n")[2] or "{}")
    except json.JSONDecodeError:
        raise RuntimeError(f"{' '.join(command)} ended without its line of JSON:\n{said[-2000:]}") from None
    return told


def rows_of(part: str, case: str, side: str, repeat: int, phases: Mapping[str, Mapping[str, float]]) -> Iterable[Row]:
    """The tidy rows of one measurement."""
    for phase, numbers in phases.items():
        for measure, value in numbers.items():
            yield Row(part, case, side, phase, measure, repeat, float(value))
