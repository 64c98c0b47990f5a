"""The workers of a Dask cluster as a crew: partitions are read, orders carried out, and results merged there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gpupipe import optional
from gpupipe.clusters import interrupts
from gpupipe.clusters.boosting import Matrices, boost
from gpupipe.clusters.joining import workers_of
from gpupipe.clusters.reading import Reading
from gpupipe.clusters.trip import Trip
from gpupipe.runtime.crew import Threads, threads
from gpupipe.runtime.orders import Local, Merges, Order, Result, numbers
from gpupipe.runtime.progress import Progress, carried_out
from gpupipe.runtime.rows import Rows

#: Rows, and the order that makes their parts.
Handed = tuple[Rows, Order[Any]]


class OnCluster:
    """Carries out orders on the workers of a cluster. See :class:`gpupipe.runtime.crew.Crew`.

    Frames that further trips need stay on the workers as futures, which Dask spills, finds, and reads again where a
    worker was lost. They are released when the crew's work is over.

    Args:
        client: of the cluster's scheduler.
        here: threads of this process, for what no other process can do.
    """

    is_near = is_here = False

    def __init__(self, client: Any, here: Threads) -> None:
        self.client, self._here = client, here
        self.n_workers = max(sum(worker["nthreads"] for worker in workers_of(client).values()), 1)
        self._reading: dict[int, Reading] = {}

    def take_in(
        self, rows: Rows, order: Order[Result], take: Callable[[Result], None], progress: Progress, first: int = 0
    ) -> None:
        """As the crew says; from the thread that asks."""
        if isinstance(order, Local):
            self._alone_here(rows, order, progress)
            return self._here.take_in(rows, order, take, progress, first)
        for _, result in self._outcomes(rows, order, progress, first, merges=isinstance(order, Merges)):
            take(result)
        return None

    def results(
        self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0, *, in_order: bool = False
    ) -> Iterator[tuple[int, Result]]:
        """As the crew says."""
        if isinstance(order, Local):
            self._alone_here(rows, order, progress)
            yield from self._here.results(rows, order, progress, first, in_order=in_order)
        else:
            for found in self._outcomes(rows, order, progress, first, in_order=in_order):
                yield found
                interrupts.told()  # of one that came meanwhile whoever asks for results has heard

    def listed(self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0) -> list[Result]:
        """As the crew says."""
        found = dict(self.results(rows, order, progress, first))
        return [found[index] for index in sorted(found)]

    def merged(self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0) -> list[Result]:
        """As the crew says."""
        if isinstance(order, Local):
            return self.listed(rows, order, progress, first)
        return [result for _, result in self._outcomes(rows, order, progress, first, merges=isinstance(order, Merges))]

    def _outcomes(
        self,
        rows: Rows,
        order: Order[Any],
        progress: Progress,
        first: int,
        *,
        merges: bool = False,
        in_order: bool = False,
    ) -> Iterator[tuple[int, Any]]:
        reading = self._reading_of(rows)
        trip = Trip(reading, order, progress, numbers(order, rows, first), merges=merges, in_order=in_order)
        try:
            for outcome in trip.outcomes():
                reading.note(outcome)
                yield outcome.indices[0], outcome.result
            reading.known.update(trip.chosen)
        finally:
            trip.close()

    def _reading_of(self, rows: Rows) -> Reading:
        found = self._reading.get(id(rows))
        if found is None:
            found = self._reading[id(rows)] = Reading(self.client, rows)
        return found

    def _alone_here(self, rows: Rows, order: Local, progress: Progress) -> None:
        rows.done_here.append(order.stage)
        carried_out(progress, lambda: "in this process", rows.n_workers)

    def boosts(self, clone: Any, rounds: Any, training: Handed, held: Handed | None) -> None:
        """Train XGBoost on the workers: see :func:`gpupipe.clusters.boosting.boost`."""
        watched = None if held is None else Matrices(self._reading_of(held[0]), held[1])
        boost(self.client, clone, rounds, Matrices(self._reading_of(training[0]), training[1]), watched)

    def grows(self) -> Any:
        """The workers as ones whose GPUs learn together: a :class:`gpupipe.clusters.growing.Growing`."""
        return optional.load("gpupipe.clusters.growing").Growing(self.client, self._reading_of)

    def close(self) -> None:
        """The workers forget all of it."""
        for reading in self._reading.values():
            reading.close()
        self._reading.clear()


@contextmanager
def crew_of(client: Any, rows: Rows) -> Iterator[OnCluster]:
    """The workers of a cluster as a crew."""
    with interrupts.written_down(), threads(rows.n_workers) as here:
        crew = OnCluster(client, here)
        try:
            yield crew
        finally:
            crew.close()
