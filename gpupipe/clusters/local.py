"""A cluster of processes on this machine: a scheduler here, a process a worker, all on the loopback interface."""

import functools
import inspect
import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpupipe import optional
from gpupipe.clusters.settings import TTL_LOOK, configuration, memory_of_worker, refuse_options
from gpupipe.clusters.teardown import end
from gpupipe.errors import ClusterError, MissingDependencyError

LOOPBACK = "127.0.0.1"
# What follows the first two is imported for the first task, which would do it in the thread that gives signs of life.
_PRELOADED = (
    "gpupipe.clusters.parent", "gpupipe.clusters.heartbeat", "gpupipe.clusters.tasks", "gpupipe.clusters.merges",
    "gpupipe.backends.cpu", "gpupipe.runtime.scanning", "gpupipe.clusters.garbage",
)  # fmt: skip

_GUARD = (
    "Each worker imports the file that was run: see that the line that makes the cluster does not run there too, by "
    "putting it under `if __name__ == '__main__':`."
)
_DECIDED = {
    "asynchronous", "config", "dashboard_address", "host", "interface", "ip", "local_directory", "loop", "memory_limit",
    "n_workers", "nthreads", "name", "processes", "scheduler_file", "scheduler_ip", "self", "start",
    "threads_per_worker", "worker_dashboard_address",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the workers on this machine should be.

    Attributes:
        n_workers: how many; None: one for each core, or GPU.
        threads: of each.
        memory_limit: bytes or text, of each; None: a share of what is free.
        dashboard: whether Dask's page is served, on the loopback interface.
        folder: where they write.
        options: further ones of Dask's class.
    """

    n_workers: int | None
    threads: int
    memory_limit: int | str | None
    dashboard: bool
    folder: Path
    options: Mapping[str, Any]


def processes(wanted: Wanted) -> Any:
    """A ``distributed.LocalCluster`` of processes, each with a nanny, at ports of the loopback interface alone.

    Raises:
        ArgumentError: an option that it does not take.
        ParameterError: more memory than there is.
        ClusterError: it does not start.
    """
    refuse_in_worker()
    distributed = optional.load("distributed")
    refuse_options("processes", wanted.options, options_of(distributed.LocalCluster))
    count = wanted.n_workers or max(optional.load("dask.system").CPU_COUNT // wanted.threads, 1)
    limit = memory_of_worker(wanted.memory_limit, count)
    return started(distributed.LocalCluster, wanted, n_workers=count, memory_limit=limit, processes=True)


def started(make: Any, wanted: Wanted, **given: Any) -> Any:
    """A cluster of one of Dask's classes, with what all of ours have.

    Raises:
        ClusterError: it does not start.
    """
    options = {**given, **wanted.options}
    page = {"dashboard": wanted.dashboard, "dashboard_address": f"{LOOPBACK}:0"}
    scheduler = {**page, **options.pop("scheduler_kwargs", {})}
    preload = [*_PRELOADED, *_listed(options.pop("preload", None))]
    preload_nanny = ["gpupipe.clusters.starting", *_listed(options.pop("preload_nanny", None))]
    made = make.__new__(make)  # apart from __init__, so that it can be ended where that fails halfway
    _keep_nannies(made)
    settings = {**configuration(wanted.threads, wanted.dashboard), "temporary-directory": str(wanted.folder)}
    with optional.load("dask.config").set(settings):
        try:
            made.__init__(
                threads_per_worker=wanted.threads,
                local_directory=str(wanted.folder),
                host=LOOPBACK,
                dashboard_address=f"{LOOPBACK}:0" if wanted.dashboard else None,
                scheduler_kwargs=scheduler,
                preload=preload,
                preload_nanny=preload_nanny,
                **options,
            )
        except BaseException as error:
            end(made)
            if isinstance(error, ImportError):
                raise MissingDependencyError(f"This cluster needs a package that is not installed: {error}.") from error
            if not isinstance(error, RuntimeError | OSError):
                raise
            raise ClusterError(f"The workers did not start: {' '.join(str(error).split())} {_GUARD}") from error
    # Read at each look, of which the first comes after a whole worker-ttl: nothing can have been silent for longer.
    made.scheduler.periodic_callbacks["worker-ttl"].callback_time = TTL_LOOK * 1000
    return made


def _keep_nannies(made: Any) -> None:
    """Dask ends the nanny of a worker that is not there 15 seconds after one of its name was lost: it may just be
    starting, for the second time. A nanny starts workers until the cluster is closed.
    """
    usual = optional.load("distributed.deploy.cluster").Cluster._update_worker_status
    made._update_worker_status = functools.partial(usual, made)


def _listed(preload: Any) -> list[Any]:
    return [preload] if isinstance(preload, str) else list(preload or ())


def refuse_in_worker() -> None:
    """See that this is not a worker that imports the file it was started from.

    Raises:
        ClusterError: it is.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ClusterError(_GUARD)


def refuse_dashboard() -> None:
    """See that Dask's page can be served.

    Raises:
        MissingDependencyError: it needs a package that is not installed.
    """
    if not optional.available("bokeh"):
        raise MissingDependencyError(
            "Dask's dashboard needs 'bokeh', which is not installed. Try: pip install bokeh; or no dashboard."
        )


def options_of(*makes: Any) -> tuple[str, ...]:
    """The options that Dask's classes take, and those of the workers that they make, without what we decide."""
    distributed = optional.load("distributed")
    parameters = [inspect.signature(make).parameters for make in (*makes, distributed.Nanny, distributed.Worker)]
    named = {name for each in parameters for name, known in each.items() if known.kind != known.VAR_KEYWORD}
    return tuple(sorted(named - _DECIDED))
