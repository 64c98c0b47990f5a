"""How workers read the partitions of some rows, and which of them they hold for further trips."""

import math
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import Any
from weakref import WeakSet

import pyarrow as pa

from gpupipe import optional
from gpupipe.clusters import apart, tasks
from gpupipe.clusters.failures import task_timeout
from gpupipe.clusters.joining import workers_of
from gpupipe.clusters.recipes import Asked, Recipes
from gpupipe.clusters.sealed import sealed
from gpupipe.clusters.task import release
from gpupipe.runtime.orders import Order
from gpupipe.runtime.rows import Rows
from gpupipe.sources.dask_frames import DaskPartition
from gpupipe.sources.memory import TablePartition
from gpupipe.sources.partition import Partition

HELD = 0.30  # of the workers' memory: what Dask begins to spill at 0.6 of, together with what it works on
# Bytes decoded that one task takes, and their share of what a thread has: Dask needs some milliseconds for a task.
TOGETHER, _SHARE = 256 * 2**20, 1 / 16
GONE = ("error", "cancelled", "lost")  # what a future may be that gives nothing any more


class Reading:
    """How the partitions of some rows are read on workers, and which of them are there.

    Attributes:
        held: by number the future of the task that read a partition which further trips need, and its columns.
    """

    def __init__(self, client: Any, rows: Rows) -> None:
        self.client, self.rows = client, rows
        self.held: dict[int, tuple[Any, frozenset[str]]] = {}
        self.known: set[int] = set()  # partitions whose first trip is over
        self._seen: set[str] = set()  # readings whose cost was counted
        self.token, self._numbers = uuid.uuid4().hex[:12], count()
        source, how = rows.source, rows.how_read
        listed = source._listing.schema
        self._recipes = Recipes(source._steps, listed, how, source.label, rows.n_partitions, source.schema)
        self.recipes: Any = None
        self._heads = _heads(rows)
        self._graph: dict[str, Any] | None = None
        self.seconds = task_timeout()
        self._futures = WeakSet[Any]()  # of all its tasks that somebody knows of

    @property
    def does_apart(self) -> bool:
        """Whether what ended a worker is done again in a process of its own: a device has one process at a time."""
        return not self.rows.how_read.on_device

    def submit(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """A task of this fit's own, whose name begins with what it does."""
        key = f"gpupipe-{what}-{self.token}-{next(self._numbers)}"
        if self._graph is None:
            return self._known(self.client.submit(function, *arguments, key=key, pure=False))
        future = self._known(optional.load("distributed").Future(key, self.client))
        names = optional.load("dask.task_spec")
        given = [names.Alias(each.key) if isinstance(each, type(future)) else each for each in arguments]
        self._graph[key] = names.Task(key, function, *given)
        return future

    @contextmanager
    def as_one(self) -> Iterator[None]:
        """Tasks that are submitted inside go to the scheduler as one graph: it has as much to do for ten as for one."""
        self._graph = {}
        try:
            yield
            if self._graph:
                self.client.get(self._graph, list(self._graph), sync=False, fifo_timeout="0s")
        finally:
            self._graph = None

    def see_recipes(self) -> None:
        """What says how partitions are read is there, or sent anew."""
        if self.recipes is None or self.recipes.status in GONE:
            self.recipes = self.submit("how", tasks.kept, self._recipes)

    def asked(self, index: int, columns: tuple[str, ...], *, rows: bool = True) -> Asked:
        """A partition to be read with these columns; without its rows, what names it in messages."""
        source = self.rows.source
        needed = tuple(tuple(level) for level in source._needed(list(columns)))
        quarantine = self.rows.quarantine
        left = (quarantine is not None and index not in self.known, quarantine is not None and index in quarantine)
        head = self._heads is None or index in self._heads
        partition = _sent(source.partitions[index], needed[0] if rows else ())
        return Asked(partition, index, needed, columns, head, *left)

    def computed(self, asked: Asked) -> list[Any]:
        """Of a Dask frame, the future of what Dask computes of a partition, for the task that reads it."""
        partition = self.rows.source.partitions[asked.index]
        if not isinstance(partition, DaskPartition):
            return []
        return [self._known(self.client.get(*partition.task(asked.needed[0]), sync=False))]

    def _known(self, future: Any) -> Any:
        self._futures.add(future)
        return future

    def sent(self, order: Order[Any]) -> Any:
        """The future of an order: each worker is sent it once."""
        return self.submit("order", tasks.kept, tasks.Sent(uuid.uuid4().hex, order))

    def begun(self, order: Order[Any], sent: Any, indices: Sequence[int], alone: bool) -> Any:
        """The future of what comes of an order on partitions, which are read where they are not held."""
        how = self.rows.how_read
        self.see_recipes()
        name, columns = order.stage.replace(" ", "-"), self._columns(order, indices[0])
        apart_ = alone and self.does_apart
        held = None if apart_ else self.held_at(indices[0], columns)
        if held is not None:
            named = sealed([self.asked(index, columns, rows=False) for index in indices])
            return self.submit(name, tasks.worked, self.recipes, sent, named, held, alone)
        again = how.again if how.keeps and not apart_ and self._has_room(indices) else ()
        each = [self.asked(index, tuple(dict.fromkeys([*columns, *again]))) for index in indices]
        computed = self.computed(each[0])
        if apart_:
            return self.submit("apart", apart.worked_apart, self.recipes, sent, each[0], self.seconds, *computed)
        given = self.recipes, sent, sealed(each)
        if not again:
            return self.submit(name, tasks.read_and_worked, *given, alone, *computed)
        held = self.submit(name, tasks.read_to_keep, *given, again, alone, *computed)
        self.held.update((index, (held, frozenset(again))) for index in indices)
        return self.submit("outcome", tasks.taken, *given, held, alone, *computed)

    def goes_with(self, order: Order[Any], first: int, index: int) -> bool:
        """Whether one task can take both partitions: the same columns of them, from the same place."""
        columns = self._columns(order, first)
        return columns == self._columns(order, index) and self.held_at(first, columns) is self.held_at(index, columns)

    @cached_property
    def at_once(self) -> int:
        """How many partitions a task may take. One where none is done in a process of its own after its worker was
        lost, which says whose doing that was: on a device, or where Dask computes them.
        """
        computed = any(isinstance(one, DaskPartition) for one in self.rows.source.partitions)
        if computed or not self.does_apart:
            return 1
        each = self._partition_bytes(self.rows.how_read.columns)
        threads = [worker["memory_limit"] / worker["nthreads"] for worker in self._workers if worker["memory_limit"]]
        return max(int(min([TOGETHER, *(_SHARE * thread for thread in threads)]) / each), 1)

    def _has_room(self, indices: Sequence[int]) -> bool:
        """Whether the workers hold partitions more: writing and reading what Dask spills costs more than decoding."""
        stored = not isinstance(self.rows.source.partitions[indices[0]], DaskPartition | TablePartition)
        more = sum(index not in self.held for index in indices)
        return not more or not stored or self.rows.how_read.on_device or len(self.held) + more < self._most_held + 1

    @cached_property
    def _most_held(self) -> float:
        """How many partitions of files the workers hold."""
        limits = [worker["memory_limit"] for worker in self._workers]
        each = self._partition_bytes(self.rows.how_read.again)
        return HELD * sum(limits) / each if limits and all(limits) else math.inf

    @cached_property
    def _workers(self) -> list[dict[str, Any]]:
        return list(workers_of(self.client).values())

    def _partition_bytes(self, columns: Sequence[str]) -> float:
        return max(self.rows.decoded_bytes(columns) / self.rows.n_partitions, 1.0)

    def _columns(self, order: Order[Any], index: int) -> tuple[str, ...]:
        """What the order needs of a partition, and what the first trip reads besides."""
        how = self.rows.how_read
        later = index < how.begins or index in self.known
        own = how.again or how.columns if order.columns is None else tuple(order.columns)
        return tuple(dict.fromkeys(own if later and how.identity is None else [*own, *how.columns]))

    def held_at(self, index: int, columns: Collection[str]) -> Any:
        """The future of a partition that is held on a worker, or is made again there; None: it is to be read.

        Args:
            columns: that it has to have.
        """
        found, has = self.held.get(index, (None, frozenset()))
        if found is not None and found.status in GONE:
            del self.held[index]
            return None
        return found if has.issuperset(columns) else None

    def hold(self, index: int, columns: tuple[str, ...]) -> Any:
        """The future of a partition with these columns, which stays there."""
        asked = self.asked(index, columns)
        future = self.submit("read", tasks.held, self.recipes, asked, *self.computed(asked))
        self.held[index] = future, frozenset(columns)
        return future

    def ask_anew(self, indices: Iterable[int]) -> None:
        """What is not there of these is read anew, and not waited for."""
        for index in indices:
            found, _ = self.held.get(index, (None, None))
            if found is not None and found.status != "finished":
                del self.held[index]
        if self.recipes is not None and self.recipes.status != "finished":
            self.recipes = None

    def note(self, outcome: tasks.Outcome) -> None:
        """Count what an outcome's reading cost, once for each reading."""
        for told in outcome.read:
            if told.token not in self._seen:
                self._seen.add(told.token)
                self.rows.note(told.index, told.note, told.seconds)
                self.rows.io_retries += told.io_retries
                self.rows.retries += told.retries
                if told.note.left_out is not None and self.rows.quarantine is not None:
                    partition = self.rows.source.partitions[told.index]
                    self.rows.quarantine.add(told.index, partition, told.note.left_out)
        self.rows.retries += outcome.retries

    def close(self) -> None:
        """The workers forget the partitions, and all that was made of them."""
        release(self._futures)
        self.held.clear()
        self.recipes = None


def _heads(rows: Rows) -> set[int] | None:
    """The partitions whose first rows may be those of all rows that are read; None: any of them."""
    if rows.source.drops_rows or rows.quarantine is not None:
        return None
    filled = [index for index, partition in enumerate(rows.source.partitions) if partition.n_rows]
    return {*filled[:1], *[index for index in filled if index >= rows.how_read.begins][:1]}


def _sent(partition: Partition, columns: tuple[str, ...]) -> Partition:
    """A partition as it is sent: of a table in memory the slice and the columns alone."""
    if isinstance(partition, DaskPartition):
        return partition.apart(columns)
    if not isinstance(partition, TablePartition):
        return partition
    sink, table = pa.BufferOutputStream(), partition.table.select(columns)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return replace(partition, table=pa.ipc.open_stream(sink.getvalue()).read_all(), memory=None)
