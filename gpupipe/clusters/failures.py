"""What is done about workers that are lost: who is to blame, what is tried again, and when it is given up."""

import signal
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress

from gpupipe import optional
from gpupipe.errors import ClusterTimeoutError, GpupipeError, ParameterError, PoisonPartitionError, WorkerLostError
from gpupipe.sources.partition import Partition

#: Workers that a partition may end: once beside others, once alone.
MOST_DEATHS = 2
#: The same while workers end on partitions too that are not to blame, or on none: then the machines fail.
MOST_AMID_OTHERS = 5
_LATELY = 120.0  # seconds
#: What Dask's scheduler says of a result that was lost with what it was made of, though it is none of an actor.
_LOST_RESULT = "Worker holding Actor was lost"
APART = "gpupipe-apart-"  # how tasks are named whose partition is in a process of its own
#: Seconds without any worker, without a scheduler, and without a sign of life of a worker that has work.
NO_WORKERS, NO_ANSWER, FROZEN = 60.0, 60.0, 30.0


#: When workers of a cluster, by its client, were lost for no fault of a partition.
_HISTORY: dict[str, deque[float]] = {}


def task_timeout() -> float | None:
    """Seconds that a partition may take, by Dask's configuration (``gpupipe.task-timeout``: "1 hour"); None: any.

    Raises:
        ParameterError: it is no time.
    """
    return _seconds("task-timeout", "1 hour")


def training_timeout() -> float | None:
    """Seconds that workers may train together, by Dask's configuration (``gpupipe.training-timeout``: "12 hours").

    Raises:
        ParameterError: it is no time.
    """
    return _seconds("training-timeout", "12 hours")


def _seconds(name: str, usually: str) -> float | None:
    said = optional.load("dask.config").get(f"gpupipe.{name}", usually)
    if not said:
        return None
    try:
        seconds = float(optional.load("dask.utils").parse_timedelta(said))
    except (KeyError, TypeError, ValueError):
        seconds = 0.0
    if seconds <= 0:
        raise ParameterError(
            f"Dask's configuration says gpupipe.{name}: {said!r}, which is no time. It takes one such as "
            "'10 minutes', or null for any number."
        )
    return seconds


class Account:
    """Which partitions were at work on workers that were lost, in one trip.

    Deaths count where partitions cannot be done in a process of their own (see `apart.py`): on a device, and in what
    Dask computes. A worker that was lost is put down to the partitions that were on it. When all of those have gone
    through since, it was none of them: machines fail, or somebody ends workers. That is remembered from trip to trip.

    Args:
        cluster: which one it is; None: one that nothing is remembered of.
    """

    def __init__(self, cluster: str | None = None) -> None:
        self._suspects: dict[str, set[int]] = {}  # by worker
        self._deaths: Counter[int] = Counter()
        self._unexplained: deque[float] = deque(maxlen=16)  # when
        if cluster is not None:
            self._unexplained = _HISTORY.setdefault(cluster, self._unexplained)
        self._lost: set[str] = set()
        self._among, self._forgiven = set[int](), set[int]()

    @property
    def lost(self) -> int:
        """How many workers were lost."""
        return len(self._lost)

    def died(self, worker: str, indices: Iterable[int]) -> None:
        """A worker was lost while these partitions were on it."""
        self._lost.add(worker)
        suspects = self._suspects.setdefault(worker, set())
        self._deaths.update(set(indices) - suspects)
        suspects.update(indices)
        if len(suspects) > 1:
            self._among.update(suspects)

    def forgives(self, index: int) -> bool:
        """Whether a partition that ended a process of its own is done in one once more, which is so once. Of several
        that were on a lost worker some had not begun: none has ended two by that alone.
        """
        forgives = index in self._among and index not in self._forgiven
        self._forgiven.add(index)
        return forgives

    def done(self, index: int) -> None:
        """A partition went through: what ended workers before was something else."""
        del self._deaths[index]
        for worker, suspects in list(self._suspects.items()):
            suspects.discard(index)
            if not suspects:
                del self._suspects[worker]
                self._unexplained.append(time.monotonic())

    def is_poison(self, index: int) -> bool:
        """Whether a partition is to be given up."""
        lately = time.monotonic() - _LATELY
        amid_others = any(when > lately for when in self._unexplained)
        return self._deaths[index] >= (MOST_AMID_OTHERS if amid_others else MOST_DEATHS)

    def deaths(self, index: int) -> int:
        """How many workers were lost on a partition."""
        return self._deaths[index]


def poison(partition: Partition, index: int, n_partitions: int, why: str) -> PoisonPartitionError:
    """The error of a partition that ends workers.

    Args:
        why: what the process did that had it last, which had nothing else.
    """
    named = partition.named(index, n_partitions)
    return PoisonPartitionError(
        f"P{named.removeprefix('p')} ended the worker that had it, and then a process that had "
        f"nothing else: that {why}. It needs more memory than a worker has, or what reads it crashes or hangs. Try a "
        "smaller partition_bytes in gp.scan(…), workers with more memory, or on_bad_partition='quarantine', which "
        "leaves it out and says so."
    )


def ended(status: int) -> str:
    """How a process ended, in words.

    >>> ended(-9), ended(3)
    ('was ended by signal 9 (SIGKILL)', 'ended with status 3')
    """
    if status >= 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        return f"was ended by signal {-status} ({signal.Signals(-status).name})"
    return f"was ended by signal {-status}"


def no_workers(address: str, seconds: float) -> WorkerLostError:
    """The error of a cluster without workers."""
    return WorkerLostError(
        f"The cluster at {address} has had no worker for {seconds:.0f} seconds. See why they ended (the logs of the "
        "workers say), start new ones, and fit again; fit(…, run='folder') would go on from where this one was."
    )


def no_scheduler(address: str) -> WorkerLostError:
    """The error of a scheduler that went away."""
    return WorkerLostError(
        f"The scheduler at {address} is gone, or cannot be reached any more. Start it again with its workers, and fit "
        "again; fit(…, run='folder') would go on from where this one was."
    )


def stuck_scheduler(address: str, times: int) -> ClusterTimeoutError:
    """The error of a scheduler that gives nobody what it is asked for."""
    return ClusterTimeoutError(
        f"The scheduler at {address} gave no worker what it was asked for, though some were free, {times} times in a "
        "row. See what its log says, start it and its workers again, and fit again; fit(…, run='folder') would go on "
        "from where this one was."
    )


def is_killed(error: BaseException | None) -> bool:
    """Whether a worker was lost while it had a task."""
    return error is not None and type(error).__name__ == "KilledWorker"


def worker_of(error: BaseException | None) -> str:
    """The worker that was lost."""
    return str(getattr(getattr(error, "last_worker", None), "address", ""))


def is_of_rows(error: BaseException | None) -> bool:
    """Whether a worker was lost on something of a partition: not on what all partitions need, which is put there anew,
    and not while the partition was in a process of its own, which had nothing to do with it.
    """
    key = str(getattr(error, "task", ""))
    return not key.startswith(("gpupipe-order-", "gpupipe-how-", APART))


def is_of_cluster(error: BaseException) -> bool:
    """Whether an error says something of workers, and nothing of the rows."""
    module = type(error).__module__.partition(".")[0]
    if isinstance(error, GpupipeError):
        return False
    if isinstance(error, RuntimeError) and str(error) == _LOST_RESULT:
        return True
    return module in ("distributed", "dask", "tornado") or isinstance(error, TimeoutError | ConnectionError)
