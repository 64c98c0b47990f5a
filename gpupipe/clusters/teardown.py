"""The end of a cluster: nothing of it is left, whatever state its workers are in."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gpupipe import optional

#: Seconds that each step of an orderly end may take; then what is left is ended.
PATIENCE = 4.0


def end(cluster: Any) -> None:
    """Close a cluster that this process made, as far as it was made.

    A stopped process (SIGSTOP) is let go on first, so that it can end as others do; what has not ended after some
    seconds is killed. Workers are closed without moving what they hold to others, as it is not needed any more.
    """
    processes = _processes(cluster)
    _signal(processes, signal.SIGCONT)
    with optional.load("distributed.utils").silence_logging_cmgr(logging.CRITICAL):  # of connections that end
        with suppress(Exception):
            cluster.sync(_close_workers, cluster, callback_timeout=3 * PATIENCE)
        with suppress(Exception):
            cluster.close(timeout=3 * PATIENCE)
    _signal(processes, signal.SIGKILL)
    wait_until(lambda: not any(process.is_alive() for process in processes), PATIENCE)


def leave(client: Any) -> None:
    """Close a client of ours, as far as it was made. The cluster goes on."""
    with suppress(Exception):
        client.close(timeout=PATIENCE)
    with suppress(Exception):
        client._loop_runner.stop()  # one that never reached its scheduler counts as closed, and leaves its thread


async def _close_workers(cluster: Any) -> None:
    """Each nanny ends its process: asked first, then killed."""
    nannies = [nanny for nanny in cluster.workers.values() if hasattr(nanny, "close")]
    await asyncio.gather(*(nanny.close(timeout=PATIENCE) for nanny in nannies), return_exceptions=True)


def _processes(cluster: Any) -> list[Any]:
    """The processes of its workers, as Dask's nannies hold them."""
    held = [getattr(worker, "process", None) for worker in getattr(cluster, "workers", {}).values()]
    return [found for each in held if (found := getattr(each, "process", None)) is not None]


def _signal(processes: list[Any], number: signal.Signals) -> None:
    for process in processes:
        with suppress(OSError):
            if process.is_alive():  # so its number has not been given to another one
                os.kill(process.pid, number)


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes true within some seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
