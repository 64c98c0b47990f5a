"""The cluster that is current: the last one made that is not closed yet. Crews come from it."""

import atexit
import os
import threading
from contextlib import AbstractContextManager
from typing import Any, Protocol

from gpupipe.runtime.crew import Crew, crews_from
from gpupipe.runtime.rows import Rows
from gpupipe.sources.dask_rows import computes_with


class Current(Protocol):
    """What can be current."""

    @property
    def client(self) -> Any: ...

    def crew(self, rows: Rows) -> AbstractContextManager[Crew] | None: ...

    def close(self) -> None: ...


_open: list[Current] = []
_lock = threading.Lock()
_process = os.getpid()


def current() -> Current | None:
    """The cluster that fits and predictions run on; None: threads of this process."""
    with _lock:
        return _open[-1] if _open else None


def entered(cluster: Current) -> None:
    """From now on this cluster is current, until it is closed."""
    with _lock:
        _open.append(cluster)
    _see_to(cluster)


def left(cluster: Current) -> None:
    """This cluster is not current any more; the one before it is again. Twice is once."""
    with _lock:
        if cluster in _open:
            _open.remove(cluster)
    _see_to(current())


def _see_to(cluster: Current | None) -> None:
    """From now on crews come from this cluster, and partitions of Dask frames are computed there."""
    crews_from(None if cluster is None else _crew_for)
    client = None if cluster is None else cluster.client
    computes_with(None if client is None else client.get)


def _crew_for(rows: Rows) -> AbstractContextManager[Crew] | None:
    cluster = current()
    return None if cluster is None else cluster.crew(rows)


@atexit.register
def _close_all() -> None:
    """Nothing is left of clusters that nobody closed. A forked process has none of its own."""
    while os.getpid() == _process and (cluster := current()) is not None:
        left(cluster)
        cluster.close()
