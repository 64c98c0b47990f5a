"""A partition in a process of its own, which a worker starts: if that ends, the partition ended it, and nobody else.

A worker may be lost because of a partition, or because a machine failed or somebody ended it; and several partitions
were on it. So each of them is done again here. Whatever happens to workers meanwhile says nothing of the partition.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from gpupipe import optional
from gpupipe.clusters import parent, tasks
from gpupipe.clusters.failures import ended, poison
from gpupipe.clusters.recipes import Asked, Recipes
from gpupipe.errors import GpupipeError, WorkerLostError

_LOOK = 0.1  # seconds between two looks at how much memory it takes
_TO_BEGIN = 600.0  # seconds for its modules, on a machine that has much else to do
_LATE, _BEGUN = "late", b"begun"
_SHARE = 0.95  # of a worker's memory, as Dask lets a worker take
_RUN = f"from {__name__} import main; main()"

#: What the process is given: a function, and its arguments.
Given = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Came:
    """What came of it: a result, or an error."""

    result: Any = None
    error: BaseException | None = None


def worked_apart(
    recipes: Recipes, sent: tasks.Sent, asked: Asked, seconds: float | None, *computed: Any
) -> tasks.Outcome:
    """Read a partition and carry an order out on it, in a process of its own, with as little memory as can be.

    Args:
        seconds: that it may take; None: any number.

    Raises:
        PoisonPartitionError: it ended that process.
        WorkerLostError: that process did not come to its work.
    """
    came, why = in_process((tasks.read_and_worked, (recipes, sent, (asked,), True, *computed)), _most_memory(), seconds)
    if came is None:
        raise poison(asked.partition, asked.index, recipes.n_partitions, why)
    if came.error is not None:
        raise came.error
    result: tasks.Outcome = came.result
    return result


def in_process(given: Given, most: int, seconds: float | None) -> tuple[Came | None, str]:
    """(what came of a call in a process of its own; None and why not: it ended).

    Args:
        most: bytes that the process may take; 0: any number.
        seconds: that the call may take, from when the process says that it begins; None: any number.

    Raises:
        WorkerLostError: it did not begin for long.
    """
    ours, its = Pipe()
    with ours, its:
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(its.fileno())], pass_fds=[its.fileno()], env=_environment(),
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        its.close()
        try:
            return _heard(ours, process, given, most, seconds)
        finally:
            process.kill()
            process.wait()


def _heard(
    ours: Connection, process: "subprocess.Popen[bytes]", given: Given, most: int, seconds: float | None
) -> tuple[Came | None, str]:
    with suppress(EOFError, OSError):
        ours.send_bytes(optional.load("distributed.protocol.pickle").dumps(given))
        if why := _awaited(ours, process, most, _TO_BEGIN):
            if why != _LATE:
                return None, why
            raise WorkerLostError(
                f"A process of its own for a partition had not begun {_TO_BEGIN:,.0f} seconds after it was started: "
                "its machine has too much to do, or hangs. Fit again when it is well."
            )
        ours.recv_bytes()  # it begins
        if why := _awaited(ours, process, most, seconds):
            return None, f"was not done after {seconds:,.0f} seconds" if why == _LATE else why
        came: Came = ours.recv()
        return came, ""
    return None, ended(process.wait())


def _awaited(ours: Connection, process: "subprocess.Popen[bytes]", most: int, seconds: float | None) -> str:
    """Wait until it says something; why it is not waited for any longer, else nothing."""
    began = time.monotonic()
    while not ours.poll(_LOOK):
        if most and _resident(process.pid) > most:
            return f"took more than {most:,} bytes of memory"
        if seconds is not None and time.monotonic() - began > seconds:
            return _LATE
    return ""


def _environment() -> Mapping[str, str]:
    """That of this process; modules are found as here."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _most_memory() -> int:
    """What Dask lets this worker take."""
    with suppress(ValueError):  # there is none
        worker = optional.load("distributed").get_worker()
        return int(_SHARE * (worker.memory_manager.memory_limit or 0))
    return 0


def _resident(pid: int) -> int:
    """Bytes of memory that a process has now; 0 where the system does not tell."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def main() -> None:
    """What the process does: a call that it is sent, whose result it sends back."""
    parent.dask_setup(None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError), Connection(int(sys.argv[1])) as its:  # nobody may want it any more
        function, arguments = its.recv()
        dumps = optional.load("distributed.protocol.pickle").dumps  # imported before its time begins
        its.send_bytes(_BEGUN)
        try:
            came = Came(function(*arguments))
        except BaseException as error:
            came = Came(error=error)
        its.send_bytes(_packed(came, dumps))


def _packed(came: Came, dumps: Callable[[Came], bytes]) -> bytes:
    try:
        return dumps(came)
    except Exception:  # an error of somebody else's that does not pickle
        return dumps(Came(error=GpupipeError(f"{type(came.error).__name__}: {came.error}")))
