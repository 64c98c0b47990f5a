"""What clusters that we make are set to, and what a cluster of someone else's should be set to."""

import warnings
from typing import Any

from gpupipe import optional
from gpupipe.errors import ArgumentError, ParameterError, counted, nearest
from gpupipe.memory import memory_bytes, memory_free

#: Seconds without a sign of life after which a worker is given up, as many as can be: one that imports or spills may
#: give none for a while. A frozen one is noticed within 45, as the schedulers of our clusters look often; those of
#: others look once in such a time, but the driver of a fit sees it too.
WORKER_TTL, TTL_LOOK = 30, 2
#: How many workers may end on a task before Dask gives it up: none, as gpupipe tries again itself, on its own account.
ALLOWED_FAILURES = 0
#: Of the memory that is free, what the workers of this machine get; the rest is for this process.
SHARE = 0.75

#: A user's own cluster: beyond these, frozen workers and partitions that end workers are noticed late.
_MOST_TTL, _MOST_FAILURES = 60, 3
_UNTOLD = "untold"

#: What a worker keeps of memory that was freed, and from which size on an array is given back at once. With Dask's own
#: 64 KB (from which 128 KB follow) the system cleared a quarter more pages than for threads.
_MALLOC = {"MALLOC_TRIM_THRESHOLD_": str(64 * 2**20), "MALLOC_MMAP_THRESHOLD_": str(4 * 2**20)}

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


def configuration(threads_per_worker: int, dashboard: bool) -> dict[str, Any]:
    """Dask's configuration while a cluster of ours is made; its workers are given it.

    >>> configuration(2, False)["distributed.scheduler.worker-ttl"]
    '30s'
    """
    set_to: dict[str, Any] = {
        "distributed.scheduler.worker-ttl": f"{WORKER_TTL}s",
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
        "distributed.nanny.pre-spawn-environ": thread_limits(threads_per_worker),
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.worker.daemon": True,
        "distributed.worker.profile.enabled": dashboard,  # looks at every thread a hundred times a second
        "distributed.admin.tick.interval": "1s",  # a look at how late the loop is, of each scheduler, worker and nanny
        "distributed.worker.http.routes": [],
    }
    return set_to if dashboard else {**set_to, "distributed.scheduler.http.routes": []}


def thread_limits(count: int) -> dict[str, str]:
    """The environment of a worker, in which every library that starts threads keeps to those of the worker.

    Arrow's threads follow OMP_NUM_THREADS too.
    """
    return {**dict.fromkeys(_THREADS, str(count)), **_MALLOC}


def count_of(name: str, value: Any) -> int:
    """A number of workers or threads.

    Raises:
        ParameterError: it is no whole number of at least 1.

    >>> count_of("n_workers", 4)
    4
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(f"{name}={value!r} is no count. It takes an integer of at least 1.")
    return value


def memory_of_worker(memory_limit: int | str | None, n_workers: int) -> int:
    """Bytes that a worker may take before Dask ends it; 0 for any number.

    Raises:
        ParameterError: no amount, or more than there is on this machine.

    >>> memory_of_worker("2GiB", 1)
    2147483648
    """
    free = memory_free()
    if memory_limit is None:
        return max(int(SHARE * free) // n_workers, 1)
    asked = memory_bytes(memory_limit)
    if asked * n_workers > free:
        raise ParameterError(
            f"memory_limit={memory_limit!r} for {counted(n_workers, 'worker')} is {asked * n_workers / 2**30:.1f} GiB, "
            f"and {free / 2**30:.1f} GiB are free on this machine. Ask for less, or for fewer workers."
        )
    return asked


def refuse_options(what: str, given: Any, taken: tuple[str, ...]) -> None:
    """See that a kind of cluster takes these options.

    Raises:
        ArgumentError: it does not; the message names the nearest that it does.
    """
    for name in given:
        if name not in taken:
            hint = nearest(name, taken) if taken else "It takes none of this kind."
            raise ArgumentError(f"A cluster of {what} has no option {name!r}. {hint}")


def advise(client: Any) -> None:
    """Warn, once for each cluster, of settings of someone's cluster with which failures are noticed late."""
    told = [*_late(client), *_without_nanny(client)]
    if told:
        warnings.warn(
            f"The cluster at {client.scheduler.address} works, but {'; '.join(told)}. A scheduler reads settings as it "
            "starts, from its own configuration (docs/clusters.md lists them).",
            UserWarning,
            stacklevel=4,
        )


def _late(client: Any) -> list[str]:
    """The settings of its scheduler that are beyond what we need, in words."""
    parsed = optional.load("dask.utils").parse_timedelta
    ttl = _asked(client, "distributed.scheduler.worker-ttl")
    failures = _asked(client, "distributed.scheduler.allowed-failures")
    told = []
    if ttl != _UNTOLD and (not ttl or parsed(ttl) > _MOST_TTL):
        told.append(
            f"distributed.scheduler.worker-ttl is {ttl or 'off'}, so that a frozen worker is noticed late "
            f"({WORKER_TTL}s is better)"
        )
    if failures != _UNTOLD and failures > _MOST_FAILURES:
        told.append(
            f"distributed.scheduler.allowed-failures is {failures}: a partition that ends its worker will end "
            f"{failures + 1:,} of them before that is told"
        )
    return told


def _asked(client: Any, key: str) -> Any:
    """A setting of a scheduler, where it tells: it may refuse to run functions."""
    try:
        return client.run_on_scheduler(optional.load("dask.config").get, key, _UNTOLD)
    except Exception:  # whatever the scheduler answers instead
        return _UNTOLD


def _without_nanny(client: Any) -> list[str]:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    bare = [address for address, told in workers.items() if not told.get("nanny")]
    if not bare:
        return []
    return [
        f"{len(bare):,} of its {counted(len(workers), 'worker')} have no nanny (`--no-nanny`): nothing ends one that "
        "takes too much memory, and none comes back"
    ]
