"""One order over partitions, on a cluster: few tasks at a time, results as they come, and what fails again."""

import queue
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gpupipe.clusters import tasks
from gpupipe.clusters.current import current
from gpupipe.clusters.failures import NO_ANSWER, Account, is_killed, is_of_cluster, is_of_rows, poison, worker_of
from gpupipe.clusters.reading import GONE, Reading
from gpupipe.clusters.watch import LOOK, Watch
from gpupipe.errors import counted
from gpupipe.runtime.orders import Order
from gpupipe.runtime.progress import Progress, carried_out

_AHEAD = 3  # tasks for each thread of the workers: one that runs, and two that wait there
_AT_ONCE = 8  # outcomes that are merged into one
_BUCKETS = 8  # parts that states of many groups are merged by
LARGE = 64 * 2**20  # bytes of states that one worker merges
_TRIES = 12  # of one task, whatever failed


@dataclass(eq=False)
class _Task:
    """A task that is under way: of one partition, or a merge of several.

    Attributes:
        future: of its outcome.
        indices: the partitions.
        level: how often they were merged.
        parts: what is merged.
        bucket: of which states it is, where they are merged by parts of their groups; None: of all.
        alone: whether nothing else runs beside it.
    """

    future: Any
    indices: tuple[int, ...]
    level: int = 0
    parts: Sequence["_Task"] = ()
    bucket: int | None = None
    alone: bool = False


class Trip:
    """An order over some partitions.

    Args:
        reading: how they are read.
        chosen: their numbers, ascending.
        merges: whether outcomes are merged on the workers.
        in_order: whether they are wanted in the order of partitions.
    """

    def __init__(
        self, reading: Reading, order: Order[Any], progress: Progress, chosen: Sequence[int], *, merges: bool,
        in_order: bool,
    ) -> None:  # fmt: skip
        self._reading, self._order, self._progress = reading, order, progress
        self._merges, self._in_order = merges, in_order
        self._waiting, self._alone = deque(chosen), deque[int]()
        self.chosen = list(chosen)
        self._running: dict[str, _Task] = {}
        self._came: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._finished: defaultdict[tuple[int | None, int], list[_Task]] = defaultdict(list)
        self._buckets = 0
        self._errors: dict[int, BaseException] = {}
        self._account, self._tries = Account(str(reading.client.id)), Counter[tuple[int, ...]]()
        self._watch = Watch(reading.client)
        self._sent = reading.sent(order)
        carried_out(progress, self._who, self._watch.n_threads(), getattr(current(), "dashboard_link", None))

    def _who(self) -> str:
        lost = f", {self._account.lost:,} lost" if self._account.lost else ""
        return counted(self._watch.n_workers, "worker") + lost

    # -- outcomes -----------------------------------------------------------------------------------------
    def outcomes(self) -> Iterator[tasks.Outcome]:
        """What comes of the order.

        Raises:
            DataError, ModelError, …: what a worker raised: of the first partition that fails.
            PoisonPartitionError: a partition ended its workers.
            WorkerLostError: there are no workers any more.
        """
        order = deque(self.chosen)
        ready: dict[int, tasks.Outcome] = {}
        for outcome in self._as_they_come(order):
            if not self._in_order:
                yield outcome
                continue
            ready[outcome.indices[0]] = outcome
            while order and order[0] in ready:
                yield ready.pop(order.popleft())

    def _as_they_come(self, order: "deque[int]") -> Iterator[tasks.Outcome]:
        while self._is_going_on() or self._gathered():
            while self._is_going_on():
                self._submit(order[0] if self._in_order else None)
                task = self._next()
                if task is not None and self._merges:
                    self._finish(task)
                elif task is not None and (outcome := self._fetched(task)) is not None:
                    yield outcome
            if self._errors:
                first = self._errors[min(self._errors)]
                raise first
            for some in self._left():
                if len(some) > 1:
                    self._merge(some)
                elif (outcome := self._fetched(some[0])) is not None:
                    yield outcome

    def _is_going_on(self) -> bool:
        return bool(self._waiting or self._alone or self._running)

    def _left(self) -> list[list[_Task]]:
        """What is merged so far: those that are to be merged with each other, not to be found any more."""
        found: defaultdict[int | None, list[_Task]] = defaultdict(list)
        for task in self._gathered():
            found[task.bucket].append(task)
        self._finished.clear()
        return list(found.values())

    def _gathered(self) -> list[_Task]:
        """What is merged so far, and not further."""
        return [part for parts in self._finished.values() for part in parts]

    def close(self) -> None:
        """Nothing of it goes on."""
        self._cancel(list(self._running.values()))
        self._running.clear()
        self._finished.clear()
        self._sent = None

    # -- what is begun ------------------------------------------------------------------------------------
    def _submit(self, head: int | None) -> None:
        if self._alone:
            if not self._running:
                self._begin(self._alone.popleft(), alone=True)
            return
        most = _AHEAD * self._watch.n_threads()
        while self._waiting and len(self._running) < most:
            if head is not None and self._waiting[0] > head + most:
                return
            self._begin(self._waiting.popleft())

    def _begin(self, index: int, *, alone: bool = False) -> None:
        if self._sent.status in GONE:
            self._sent = self._reading.sent(self._order)
        future = self._reading.begun(self._order, self._sent, index, alone)
        self._watch_over(_Task(future, (index,), alone=alone))

    def _watch_over(self, task: _Task) -> None:
        key = task.future.key
        self._running[key] = task
        task.future.add_done_callback(lambda future: self._came.put((key, future)))

    # -- what comes ---------------------------------------------------------------------------------------
    def _next(self) -> _Task | None:
        """A task that is done well; None while there is none, or where one failed that was taken care of."""
        try:
            key, future = self._came.get(timeout=LOOK)
        except queue.Empty:
            self._watch.look()
            return None
        task = self._running.pop(key, None)
        if task is None or future is not task.future:
            return None
        self._watch.lives()
        if future.status == "finished":
            return task
        self._failed(task)
        return None

    def _fetched(self, task: _Task) -> tasks.Outcome | None:
        """The outcome of a task, here; None where that failed, which is taken care of."""
        try:
            outcome: tasks.Outcome = task.future.result(timeout=NO_ANSWER)
        except Exception as error:  # its worker was lost before it could be told
            self._recover(task, error)
            return None
        if not task.level:
            self._done(task)
        return outcome

    def _done(self, task: _Task) -> None:
        for index in task.indices:
            self._account.done(index)
            self._progress.advance(self._reading.rows.source.partitions[index].n_rows)

    def _finish(self, task: _Task) -> None:
        """Put what is done with others of its level, and merge them where they are enough."""
        if not task.level:
            self._done(task)
        if self._buckets and task.bucket is None:
            self._divide(task)
            return
        parts = self._finished[task.bucket, task.level]
        parts.append(task)
        if len(parts) < _AT_ONCE:
            return
        self._finished[task.bucket, task.level] = []
        if task.bucket is None and self._are_large(parts):
            self._buckets = _BUCKETS
            parts = [*parts, *self._gathered()]
            self._finished.clear()
            for part in parts:
                self._divide(part)
        else:
            self._merge(parts)

    def _are_large(self, parts: Sequence[_Task]) -> bool:
        """Whether states of many groups are better merged group by group than all by one worker."""
        if not hasattr(self._order, "divided"):
            return False
        client, keys = self._reading.client, [part.future.key for part in parts]
        sizes = client.sync(client.scheduler.nbytes, keys=keys, summary=False)
        return sum(sizes.values()) > LARGE

    def _divide(self, task: _Task) -> None:
        whole = self._reading.submit("divide", tasks.divided, self._sent, self._buckets, task.future)
        for bucket in range(self._buckets + 1):
            future = self._reading.submit("pick", tasks.picked, whole, bucket)
            self._watch_over(_Task(future, task.indices, 1, (task,), bucket))

    def _merge(self, parts: list[_Task]) -> None:
        level = 1 + max(part.level for part in parts)
        future = self._reading.submit("merge", tasks.merged, self._sent, *(part.future for part in parts))
        indices = tuple(index for part in parts for index in part.indices)
        self._watch_over(_Task(future, indices, level, parts, parts[0].bucket))

    # -- what fails ---------------------------------------------------------------------------------------
    def _failed(self, task: _Task) -> None:
        if task.future.status == "error":
            self._recover(task, task.future.exception(timeout=NO_ANSWER))
        else:
            self._recover(task, None)

    def _recover(self, task: _Task, error: BaseException | None) -> None:
        """Do what failed again, or say why it failed for good."""
        self._tries[task.indices] += 1
        if error is not None and (not is_of_cluster(error) or self._tries[task.indices] > _TRIES):
            self._give_up(task, error)
            return
        killed = is_killed(error)
        if killed:
            self._account.died(worker_of(error), task.indices if is_of_rows(error) and not task.level else ())
        self._watch.look(at_once=True)
        if task.level:
            self._again(task)
        elif self._account.is_poison(task.indices[0]):
            self._leave_out(task)
        elif killed:
            self._alone.append(task.indices[0])
        else:
            self._waiting.appendleft(task.indices[0])

    def _leave_out(self, task: _Task) -> None:
        """A partition ends its workers: it is told, or counts as one without rows, where none of it was taken in."""
        rows, (index,) = self._reading.rows, task.indices
        error = poison(rows.source.partitions[index], index, rows.n_partitions, self._account.deaths(index))
        if rows.quarantine is None or index in self._reading.known:
            self._give_up(task, error)
            return
        rows.quarantine.add(index, rows.source.partitions[index], str(error))
        self._waiting.appendleft(index)

    def _again(self, task: _Task) -> None:
        """Merge anew: of what is merged, that is done again which was lost."""
        client = self._reading.client
        for key in client.sync(client.scheduler.retry, keys=[task.future.key], client=client.id):
            known = client.futures.get(key)
            if known is not None:
                known.retry()
        self._watch_over(task)

    def _give_up(self, task: _Task, error: BaseException) -> None:
        """It failed for good. What stands before it is seen through: of several errors the first is told."""
        first = min([*self._errors, task.indices[0]])
        self._errors[task.indices[0]] = error
        self._waiting = deque(index for index in self._waiting if index < first)
        self._alone = deque(index for index in self._alone if index < first)
        beyond = [one for one in self._running.values() if one.level or one.indices[0] > first]
        self._finished.clear()
        for one in beyond:
            del self._running[one.future.key]
        self._cancel(beyond)

    def _cancel(self, those: Sequence[_Task]) -> None:
        client = self._reading.client
        if those and client.status == "running":
            client.cancel([task.future for task in those], force=True, reason="gpupipe has no use for it any more")
