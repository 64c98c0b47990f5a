"""One order over partitions, on a cluster: few tasks at a time, results as they come, and what fails again."""

import queue
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gpupipe.clusters import tasks
from gpupipe.clusters.current import current
from gpupipe.clusters.failures import NO_ANSWER, Account, is_killed, is_of_cluster, is_of_rows, poison, worker_of
from gpupipe.clusters.reading import Reading
from gpupipe.clusters.watch import LOOK, Watch
from gpupipe.errors import counted
from gpupipe.runtime.orders import Order
from gpupipe.runtime.progress import Progress, carried_out

_AHEAD = 3  # tasks for each thread of the workers: one that runs, and two that wait there
_AT_ONCE = 8  # outcomes that are merged into one
_TRIES = 12  # of one task, whatever failed
_GONE = ("error", "cancelled", "lost")


@dataclass(eq=False)
class _Task:
    """A task that is under way: of one partition, or a merge of several.

    Attributes:
        future: of its outcome.
        indices: the partitions.
        level: how often they were merged.
        parts: what is merged.
        alone: whether nothing else runs beside it.
    """

    future: Any
    indices: tuple[int, ...]
    level: int = 0
    parts: Sequence["_Task"] = ()
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
        self._finished: defaultdict[int, list[_Task]] = defaultdict(list)
        self._errors: dict[int, BaseException] = {}
        self._account, self._tries = Account(str(reading.client.id)), Counter[tuple[int, ...]]()
        self._watch = Watch(reading.client)
        self._sent = reading.submit("order", tasks.kept, tasks.Sent(uuid.uuid4().hex, order))
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
                raise self._errors[min(self._errors)]
            left = self._gathered()
            self._finished.clear()
            if len(left) > 1:
                self._merge(left)
            elif left and (outcome := self._fetched(left[0])) is not None:
                yield outcome

    def _is_going_on(self) -> bool:
        return bool(self._waiting or self._alone or self._running)

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
        reading, how = self._reading, self._reading.rows.how_read
        reading.see_recipes()
        if self._sent.status in _GONE:
            self._sent = reading.submit("order", tasks.kept, tasks.Sent(uuid.uuid4().hex, self._order))
        name, columns = self._order.stage.replace(" ", "-"), self._columns(index)
        held = reading.held_at(index, columns)
        if held is None and not how.keeps:
            asked = reading.asked(index, columns)
            computed = reading.computed(asked)
            future = reading.submit(name, tasks.read_and_worked, reading.recipes, self._sent, asked, alone, *computed)
        else:
            whole = tuple(dict.fromkeys([*columns, *how.again]))
            held = reading.hold(index, whole, how.again) if held is None else held
            asked = reading.asked(index, columns, rows=False)
            future = reading.submit(name, tasks.worked, reading.recipes, self._sent, asked, held, alone)
        self._watch_over(_Task(future, (index,), alone=alone))

    def _columns(self, index: int) -> tuple[str, ...]:
        """What the order needs of a partition, and what the first trip reads besides."""
        how = self._reading.rows.how_read
        later = index < how.begins or index in self._reading.known
        own = how.again or how.columns if self._order.columns is None else tuple(self._order.columns)
        return tuple(dict.fromkeys(own if later and how.identity is None else [*own, *how.columns]))

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
        parts = self._finished[task.level]
        parts.append(task)
        if len(parts) >= _AT_ONCE:
            self._finished[task.level] = []
            self._merge(parts)

    def _merge(self, parts: list[_Task]) -> None:
        level = 1 + max(part.level for part in parts)
        future = self._reading.submit("merge", tasks.merged, self._sent, *(part.future for part in parts))
        indices = tuple(index for part in parts for index in part.indices)
        self._watch_over(_Task(future, indices, level, parts))

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
