"""The workers of a Dask cluster as a crew: partitions are read, orders carried out, and results merged there."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from gpupipe.clusters import tasks
from gpupipe.clusters.joining import workers_of
from gpupipe.clusters.trip import Trip
from gpupipe.runtime.crew import Threads, threads
from gpupipe.runtime.orders import Local, Merges, Order, Result, numbers
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.rows import Rows
from gpupipe.sources.memory import TablePartition
from gpupipe.sources.partition import Partition


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
            self._alone_here(rows, order)
            return self._here.take_in(rows, order, take, progress, first)
        for _, result in self._outcomes(rows, order, progress, first, merges=isinstance(order, Merges)):
            take(result)
        return None

    def results(
        self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0, *, in_order: bool = False
    ) -> Iterator[tuple[int, Result]]:
        """As the crew says."""
        if isinstance(order, Local):
            self._alone_here(rows, order)
            yield from self._here.results(rows, order, progress, first, in_order=in_order)
        else:
            yield from self._outcomes(rows, order, progress, first, in_order=in_order)

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
        finally:
            trip.close()

    def _reading_of(self, rows: Rows) -> "Reading":
        found = self._reading.get(id(rows))
        if found is None:
            found = self._reading[id(rows)] = Reading(self.client, rows)
        return found

    def _alone_here(self, rows: Rows, order: Local) -> None:
        rows.done_here.append(order.stage)

    def close(self) -> None:
        """The workers forget all of it."""
        for reading in self._reading.values():
            reading.close()
        self._reading.clear()


class Reading:
    """How the partitions of some rows are read on workers, and which of them are there.

    Attributes:
        held: by number the future of a partition that further trips need.
    """

    def __init__(self, client: Any, rows: Rows) -> None:
        self.client, self.rows = client, rows
        self.held: dict[int, Any] = {}
        self._seen: set[str] = set()  # readings whose cost was counted
        self._token = uuid.uuid4().hex[:12]
        source, how = rows.source, rows.how_read
        self._recipes = tasks.Recipes(source._steps, source._listing.schema, how, source.label, rows.n_partitions)
        self.recipes: Any = None

    def submit(self, what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """A task of this fit's own, whose name begins with what it does."""
        key = f"gpupipe-{what}-{self._token}-{uuid.uuid4().hex[:8]}"
        return self.client.submit(function, *arguments, key=key, pure=False, **options)

    def see_recipes(self) -> None:
        """What says how partitions are read is there, or sent anew."""
        if self.recipes is None or self.recipes.status in ("error", "cancelled", "lost"):
            self.recipes = self.submit("how", tasks.kept, self._recipes)

    def asked(self, index: int, columns: tuple[str, ...], *, rows: bool = True) -> tasks.Asked:
        """A partition to be read with these columns; without its rows, what names it in messages."""
        source = self.rows.source
        needed = tuple(tuple(level) for level in source._needed(list(columns)))
        return tasks.Asked(_sent(source.partitions[index], needed[0] if rows else ()), index, needed, columns)

    def held_at(self, index: int) -> Any:
        """The future of a partition that is held on a worker, or is made again there; None: it is to be read."""
        found = self.held.get(index)
        if found is not None and found.status in ("error", "cancelled", "lost"):
            return self.held.pop(index, None) and None
        return found

    def hold(self, index: int, columns: tuple[str, ...], again: tuple[str, ...]) -> Any:
        """The future of a partition with all its columns, of which those that are needed again stay there."""
        whole = self.submit("read", tasks.read, self.recipes, self.asked(index, columns))
        same = set(again) == set(columns)
        self.held[index] = whole if same else self.submit("keep", tasks.selected, whole, again)
        return whole

    def note(self, outcome: tasks.Outcome) -> None:
        """Count what an outcome's reading cost, once for each reading."""
        for index, note, seconds, token, io_retries in outcome.read:
            if token not in self._seen:
                self._seen.add(token)
                self.rows.note(index, note, seconds)
                self.rows.io_retries += io_retries
        self.rows.retries += outcome.retries

    def close(self) -> None:
        """The workers forget the partitions."""
        self.held.clear()
        self.recipes = None


def _sent(partition: Partition, columns: tuple[str, ...]) -> Partition:
    """A partition as it is sent: of a table in memory the slice and the columns alone."""
    if not isinstance(partition, TablePartition):
        return partition
    sink, table = pa.BufferOutputStream(), partition.table.select(columns)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return replace(partition, table=pa.ipc.open_stream(sink.getvalue()).read_all(), memory=None)


@contextmanager
def crew_of(client: Any, rows: Rows) -> Iterator[OnCluster]:
    """The workers of a cluster as a crew."""
    with threads(rows.n_workers) as here:
        crew = OnCluster(client, here)
        try:
            yield crew
        finally:
            crew.close()
