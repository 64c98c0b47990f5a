"""cuml.dask on a cluster of GPUs: its estimators learn where the partitions' matrices are made, of all of them.

One worker calls cuml.dask, so that this process needs neither a GPU nor RAPIDS. Its GPUs add up what each knows of its
rows, so each waits for the others: when one is lost, the others are begun anew, and all is done again.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import reduce
from operator import add
from typing import Any

from gpupipe import optional
from gpupipe.clusters import together
from gpupipe.clusters.boosting import rows_of
from gpupipe.clusters.failures import NO_ANSWER, is_of_cluster, training_timeout
from gpupipe.clusters.joining import workers_of
from gpupipe.clusters.reading import Reading
from gpupipe.clusters.task import cancel
from gpupipe.clusters.together import About, Ended, Gpu, Lesson
from gpupipe.clusters.watch import LOOK, Watch
from gpupipe.errors import ClusterTimeoutError, DeviceLostError, TrainingError, WorkerLostError, counted
from gpupipe.models.gpu.together import Wanted
from gpupipe.runtime.orders import Order
from gpupipe.runtime.reductions.grown import Grown
from gpupipe.runtime.rows import Rows

_TRIES = 3
#: Workers, each by its address and a folder that no other process has.
There = dict[str, str]


class _LostError(Exception):
    """Workers were lost amid it; never seen outside."""


class Growing:
    """The workers of a cluster as ones that learn together.

    Args:
        client: of the cluster's scheduler.
        reading_of: how partitions of some rows are read there.
    """

    def __init__(self, client: Any, reading_of: Callable[[Rows], Reading]) -> None:
        self._client, self._reading_of = client, reading_of

    def why_not(self) -> str | None:
        """Why they cannot, in a sentence; None: each has a GPU of its own, with cuML.

        Raises:
            ClusterTimeoutError: one does not answer.
        """
        found = self._gpus()
        without = {address: gpu.why for address, gpu in found.items() if not gpu.place}
        if without:
            address, why = next(iter(without.items()))
            told = f"{len(without):,} of {counted(len(found), 'worker')} cannot train on a GPU"
            return f"{told}. {address}: {why}" if why.endswith(".") else f"{told}. {address}: {why}."
        places: dict[str, str] = {}
        for address, gpu in found.items():
            other = places.setdefault(gpu.place, address)
            if other != address:
                return f"The workers {other} and {address} have the same GPU, and each needs one of its own."
        return None

    def _gpus(self) -> dict[str, Gpu]:
        client = self._client
        there = {address: str(worker["host"]) for address, worker in workers_of(client).items()}
        asked = {
            address: client.submit(together.gpu_here, host, key=f"gpupipe-gpu-{uuid.uuid4().hex}", workers=[address])
            for address, host in there.items()
        }
        try:
            _wait(client, list(asked.values()), NO_ANSWER)
        except TimeoutError as error:
            raise ClusterTimeoutError(
                f"Not every worker says within {NO_ANSWER:.0f} seconds whether it has a GPU: they are busy, or hang. "
                "See what they do, and fit again."
            ) from error
        return {address: future.result() for address, future in asked.items()}

    def learn(self, wanted: Wanted, rows: Rows, order: Order[Any]) -> Grown:
        """Train there on what an order makes of each partition; again where workers are lost.

        Raises:
            DeviceMemoryError, DeviceError: a GPU has not the memory, or failed.
            TrainingError: cuml.dask refused, or what it is to learn is nothing for it.
            WorkerLostError: workers were lost each time, or cannot be begun anew.
            ClusterTimeoutError: it takes longer than ``gpupipe.training-timeout`` of Dask's configuration.
        """
        reading = self._reading_of(rows)
        for _ in range(_TRIES):
            with suppress(_LostError):
                return _Attempt(self._client, reading).made(wanted, order)
        raise WorkerLostError(
            f"Workers were lost {_TRIES} times while cuml.dask trained {wanted.row.name} on all of them. See why they "
            "ended (the logs of the workers say), and fit again; fit(…, run='folder') would keep what came before."
        )


class _Attempt:
    """One time that it is tried."""

    def __init__(self, client: Any, reading: Reading) -> None:
        self._client, self._reading = client, reading
        self._watch = Watch(client)
        self._seconds = training_timeout()
        self._ends = None if self._seconds is None else time.monotonic() + self._seconds

    def made(self, wanted: Wanted, order: Order[Any]) -> Grown:
        """As `Growing.learn` says."""
        reading, submit = self._reading, self._reading.submit
        reading.see_recipes()
        sent = reading.sent(order)
        parts = [self._part(index, sent) for index in range(reading.rows.n_partitions)]
        told = self._results([submit("about", together.about, part) for part in parts])
        kept = [(part, one) for part, one in zip(parts, told, strict=True) if one.rows]
        _refuse_targets(wanted, [one for _, one in kept])
        arrays = [[submit(name, together.of, part, name) for name in ("X", "y")] for part, _ in kept]
        (few,) = self._results([submit("few", together.few, kept[0][0])])
        named = [(one.rows, X.key, y.key) for (_, one), (X, y) in zip(kept, arrays, strict=True)]
        self._results([submit("there", _nothing, *pair) for pair in arrays], fetch=False)
        there = self._there()
        training = submit("training", together.learn, Lesson(wanted, tuple(there), named, few))
        ended = self._ended(training, there)
        if ended.error is None:
            return Grown(ended.learned, few, len(there))
        if ended.hangs or isinstance(ended.error, DeviceLostError):
            self._begin_anew(there)
        if isinstance(ended.error, DeviceLostError):
            raise _LostError from ended.error
        raise ended.error

    def _part(self, index: int, sent: Any) -> Any:
        asked, batch = rows_of(self._reading, index)
        return self._reading.submit("features", together.stood, self._reading.recipes, sent, asked, batch)

    def _there(self) -> There:
        return {address: str(worker["local_directory"]) for address, worker in workers_of(self._client).items()}

    # -- waiting ------------------------------------------------------------------------------------------
    def _results(self, futures: Sequence[Any], *, fetch: bool = True) -> list[Any]:
        """What comes of tasks that Dask does again where a worker is lost."""
        self._wait(futures, lambda: None)
        for future in futures:
            error = None if future.status == "finished" else _error_of(future)
            if error is not None:
                raise error
        return list(self._client.gather(futures)) if fetch else []

    def _ended(self, training: Any, there: There) -> Ended:
        """How the training ended; where a worker was lost, the others are begun anew."""
        try:
            self._wait([training], lambda: self._refuse_lost(there))
            self._refuse_lost(there)
            if training.status != "finished":
                raised = _error_of(training)
                raise raised
            ended: Ended = training.result(timeout=NO_ANSWER)
        except (_LostError, ClusterTimeoutError, TimeoutError) as error:
            cancel(self._client, [training])
            self._begin_anew(there)
            if isinstance(error, ClusterTimeoutError):
                raise
            raise _LostError from error
        return ended

    def _wait(self, futures: Sequence[Any], look: Callable[[], None]) -> None:
        while True:
            with suppress(TimeoutError):
                return _wait(self._client, futures, LOOK)
            self._watch.look()
            look()
            if self._ends is not None and time.monotonic() > self._ends:
                raise ClusterTimeoutError(
                    f"Training by cuml.dask was not over after {self._seconds:,.0f} seconds, which is "
                    "gpupipe.training-timeout of Dask's configuration (DASK_GPUPIPE__TRAINING_TIMEOUT). Give it "
                    "longer, or look what the workers wait for: their logs say."
                )

    def _refuse_lost(self, there: There) -> None:
        if not there.items() <= self._there().items():
            raise _LostError

    def _begin_anew(self, there: There) -> None:
        """End what workers wait for: nothing else ends it.

        Raises:
            WorkerLostError: nobody is there who could start them again.
        """
        left = [address for address, folder in self._there().items() if there.get(address) == folder]
        try:
            if left:
                self._client.restart_workers(left, timeout=NO_ANSWER, raise_for_error=False)
        except ValueError as error:  # without a nanny
            raise WorkerLostError(
                "A worker failed while cuml.dask trained on all of them, and the others wait for it. They were started "
                f"without a nanny, so they cannot be begun anew from here: {', '.join(left[:3])}. End them, start new "
                "ones, and fit again."
            ) from error


def _wait(client: Any, futures: Sequence[Any], seconds: float) -> None:
    """Raises TimeoutError while some are not done."""
    with client.as_current():
        optional.load("distributed").wait(list(futures), timeout=seconds)


def _nothing(*_: Any) -> None:
    """What it was given is there."""


def _error_of(future: Any) -> BaseException:
    error = future.exception(timeout=NO_ANSWER) if future.status == "error" else None
    if error is None or is_of_cluster(error):
        return _LostError()
    found: BaseException = error
    return found


def _refuse_targets(wanted: Wanted, parts: Sequence[About]) -> None:
    """Refuse numbers that cuML's forests cannot learn, which on one GPU brings the CPU to train."""
    targets = [one.targets for one in parts if one.targets is not None]
    why = reduce(add, targets).unsuited(wanted.params) if targets else None
    if why is not None:
        raise TrainingError(
            f"{wanted.path} is not trained by cuml.dask here: {why}. Give other targets, or training='gather', which "
            "trains it on a matrix of all rows in this process."
        )
