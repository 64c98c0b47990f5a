"""`gp.cluster`: where fits and predictions run."""

import html
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from gpupipe import optional
from gpupipe.arguments import named_arguments
from gpupipe.clusters import joining, teardown
from gpupipe.clusters.crew import crew_of
from gpupipe.clusters.cuda import gpus
from gpupipe.clusters.current import entered, left
from gpupipe.clusters.local import Wanted, processes, refuse_dashboard
from gpupipe.clusters.scratch import Scratch
from gpupipe.clusters.settings import advise, count_of, refuse_options
from gpupipe.clusters.versions import refuse_others
from gpupipe.errors import ClusterError, counted
from gpupipe.runtime.crew import Crew, threads
from gpupipe.runtime.rows import Rows

#: Seconds that a scheduler, and its workers, may take to answer.
TIMEOUT = 30.0


class Cluster:
    """Workers that fits and predictions run on; made by :func:`cluster`, current until it is closed.

    Attributes:
        kind: ``threads``, ``processes``, ``cuda``, or ``joined`` for one that was there already.
        client: the ``distributed.Client`` of its scheduler; None of threads.
        closed: whether it was closed.
    """

    def __init__(
        self, kind: str, client: Any, ends: Callable[[], object], n_threads: int = 0, page: bool = False
    ) -> None:
        self.kind, self.client, self.closed = kind, client, False
        self._ends, self._threads, self._page = ends, n_threads, page
        self._lock, self._seen = threading.Lock(), frozenset[str]()
        entered(self)

    # -- what it is ---------------------------------------------------------------------------------------
    @property
    def workers(self) -> dict[str, dict[str, Any]]:
        """What the scheduler knows of each worker that is there now, by address; of threads, and once closed, nothing.

        Raises:
            ClusterTimeoutError: the scheduler does not answer.
        """
        return {} if self.client is None or self.closed else joining.workers_of(self.client)

    @property
    def n_workers(self) -> int:
        """How many workers there are now; of threads, how many of them."""
        return self._threads if self.client is None else len(self.workers)

    @property
    def address(self) -> str | None:
        """Where its scheduler is; None of threads."""
        return None if self.client is None else str(self.client.scheduler.address)

    @property
    def dashboard_link(self) -> str | None:
        """Where Dask shows what its workers do; None where no such page is served."""
        return str(self.client.dashboard_link) if self._page and not self.closed else None

    def crew(self, rows: Rows) -> AbstractContextManager[Crew]:
        """Who carries out orders over these rows.

        Raises:
            ClusterError: workers that came since have other versions than this process.
        """
        if self.client is None:
            return threads(self._threads)
        there = frozenset(self.workers)
        if not there <= self._seen:
            refuse_others(self.client)
        self._seen = there
        return crew_of(self.client, rows)

    # -- its end ------------------------------------------------------------------------------------------
    def close(self) -> None:
        """The cluster before it is current again. One that we made leaves no process, port or file behind, even where
        workers are frozen; one that was joined goes on without us. Twice is once.
        """
        with self._lock:
            was, self.closed = self.closed, True
        left(self)
        if not was:
            self._ends()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- in words -----------------------------------------------------------------------------------------
    def __repr__(self) -> str:
        return f"Cluster({self.kind}: {', '.join(self._told().values())})"

    def _repr_html_(self) -> str:
        rows = {"kind": self.kind, **self._told()}
        if self.dashboard_link:
            rows["dashboard"] = f'<a href="{html.escape(self.dashboard_link)}">{html.escape(self.dashboard_link)}</a>'
        cells = (f"<tr><th>{name}</th><td>{told}</td></tr>" for name, told in rows.items())
        return f"<table><caption>gpupipe.Cluster</caption>{''.join(cells)}</table>"

    def _told(self) -> dict[str, str]:
        if self.closed:
            return {"state": "closed"}
        if self.client is None:
            return {"workers": counted(self._threads, "thread")}
        try:
            workers = self.workers
        except ClusterError as error:
            return {"scheduler": str(self.address), "state": str(error)}
        told = {"workers": counted(len(workers), "worker")}
        told["threads"] = counted(sum(each["nthreads"] for each in workers.values()), "thread")
        told["memory"] = _memory([each["memory_limit"] for each in workers.values()])
        told["scheduler"] = str(self.address)
        return told if self.dashboard_link is None else {**told, "dashboard": self.dashboard_link}


def _memory(limits: list[int]) -> str:
    return f"{sum(limits) / 2**30:.1f} GiB" if all(limits) else "memory without a limit"


@named_arguments
def cluster(
    what: Any = None,
    *,
    n_workers: int | None = None,
    threads_per_worker: int = 1,
    memory_limit: int | str | None = None,
    dashboard: bool = False,
    security: Any = None,
    timeout: float = TIMEOUT,
    **options: Any,
) -> Cluster:
    """Where fits and predictions run from now on: workers of a Dask cluster, made here or joined; with the same bits.

    Args:
        what: ``"threads"``: threads of this process, as without a cluster. ``"processes"``: workers on this machine,
            each a process of its own. ``"cuda"``: a worker for each of its GPUs. One that is there already: its address
            (``"tcp://…"``, ``"tls://…"``), the path of its scheduler's file, a ``distributed.Client``, or a cluster
            object of one of Dask's packages. None: what Dask's configuration says under ``gpupipe.cluster``, else
            ``scheduler-address``.
        n_workers: how many; None: one for each core, or GPU. Of a cluster that is there: how many to wait for.
        threads_per_worker: partitions that a worker is at work on at a time.
        memory_limit: of each worker, bytes or text such as ``"4GiB"``; one that takes more is ended, and begins anew.
            None: an equal share of three quarters of what is free. 0: any amount.
        dashboard: serve Dask's page of what workers do, on this machine alone; needs the package bokeh.
        security: a ``distributed.Security`` for TLS.
        timeout: seconds that a scheduler and its first workers may take to answer.
        options: further ones of ``distributed.LocalCluster``, or of ``dask_cuda.LocalCUDACluster``.

    Returns:
        The cluster, which is current until it is closed: by ``with``, by :meth:`Cluster.close`, or as the process ends.

    Raises:
        ParameterError: `what` is no cluster, or an option outside its range.
        ArgumentError: an option that this kind of cluster does not take.
        ClusterError: a cluster that does not start, workers with other versions of gpupipe, Python or NumPy, or a
            configuration that names none.
        ClusterTimeoutError: no scheduler, or no worker, within `timeout`.
        DeviceError: ``"cuda"`` where no GPU works.
        MissingDependencyError: Dask is not installed.

    >>> with cluster("threads", n_workers=2) as two:
    ...     print(two)
    Cluster(threads: 2 threads)
    """
    what = joining.configured() if what is None else what
    what = os.fspath(what) if isinstance(what, os.PathLike) else what
    joining.refuse_unknown(what)
    count = None if n_workers is None else count_of("n_workers", n_workers)
    per_worker = count_of("threads_per_worker", threads_per_worker)
    if isinstance(what, str) and what in _MAKERS:
        more = options if security is None else {**options, "security": security}
        return _made(what, Wanted(count, per_worker, memory_limit, dashboard, Path(), more))
    usual = {"threads_per_worker": per_worker == 1, "memory_limit": memory_limit is None, "dashboard": not dashboard}
    given = [*options, *(name for name, is_usual in usual.items() if not is_usual)]
    if what == "threads":
        refuse_options("threads", [*given, *([] if security is None else ["security"])], ("n_workers",))
        return Cluster("threads", None, lambda: None, count or os.cpu_count() or 1)
    refuse_options("workers that are there already", given, ("n_workers", "security", "timeout"))
    return _joined(what, count or 1, security, timeout)


_MAKERS: dict[str, Callable[[Wanted], Any]] = {"processes": processes, "cuda": gpus}


def _made(kind: str, wanted: Wanted) -> Cluster:
    """A cluster on this machine. What was begun of it ends where a step fails."""
    if wanted.dashboard:
        refuse_dashboard()
    with ExitStack() as begun:
        scratch = Scratch()
        begun.callback(scratch.remove)
        made = _MAKERS[kind](replace(wanted, folder=scratch.path))
        begun.callback(teardown.end, made)
        # Of processes results come straight from the worker that has them, not by way of the scheduler.
        how = {"set_as_default": False, "name": "gpupipe", "direct_to_workers": True if kind == "processes" else None}
        client = optional.load("distributed").Client(made, **how)
        begun.callback(teardown.leave, client)
        refuse_others(client)
        return Cluster(kind, client, begun.pop_all().close, page=wanted.dashboard)


def _joined(what: Any, count: int, security: Any, timeout: float) -> Cluster:
    """A cluster that is there. A client that was given stays its owner's."""
    with ExitStack() as begun:
        client = what
        if not joining.is_client(what):
            client = joining.connected(what, security, timeout)
            begun.callback(teardown.leave, client)
        joining.wait_for_workers(client, count, timeout)
        refuse_others(client)
        advise(client)
        page = joining.serves_page(client)
        return Cluster("joined", client, begun.pop_all().close, page=page)
