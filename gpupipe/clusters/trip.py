"""One order over partitions, on a cluster: few tasks at a time, results as they come, and what fails again."""

import queue
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from weakref import WeakSet

from gpupipe.clusters import tasks
from gpupipe.clusters.current import current
from gpupipe.clusters.failures import (
    NO_ANSWER,
    Account,
    is_killed,
    is_of_cluster,
    is_of_rows,
    poison,
    stuck_scheduler,
    worker_of,
)
from gpupipe.clusters.gathering import Gathering
from gpupipe.clusters.reading import GONE, Reading
from gpupipe.clusters.task import Task, cancel, release
from gpupipe.clusters.waiting import Waiting
from gpupipe.clusters.watch import LOOK, Watch
from gpupipe.errors import PoisonPartitionError, counted
from gpupipe.runtime.orders import Order
from gpupipe.runtime.progress import Progress, carried_out

# Tasks for each thread: where no more than the first are left, they are filled up to the second. More would be blamed
# for a lost worker before they began, which `Account.forgives`, and would each be done in a process of its own.
_LEAST, _AHEAD = 2, 3
_TRIES = 12  # of one task, whatever failed
_APART = 4  # for so many threads of the workers, one process of its own: it may take as much memory as a worker


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
        self.chosen, self._gathering = list(chosen), Gathering(reading, order)
        goes_with = partial(reading.goes_with, order)
        self._waiting, self._alone = Waiting(chosen, reading.at_once if merges else 1, goes_with), deque[int]()
        self._running, self._futures, self._told = dict[str, Task](), WeakSet[Any](), set[int]()
        self._came: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._errors: dict[int, BaseException] = {}
        self._account, self._tries = Account(str(reading.client.id)), Counter[tuple[int, ...]]()
        self._watch, self._stuck = Watch(reading.client), 0
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
            ClusterTimeoutError: the scheduler gives nobody what it is asked for.
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
        while self._is_going_on() or self._gathering:
            while self._is_going_on():
                self._submit(order[0] if self._in_order else None)
                task = self._next()
                if task is not None and self._merges:
                    self._finish(task)
                elif task is not None and (outcome := self._fetched(task)) is not None:
                    yield outcome
            self._refuse()
            begun, whole = self._gathering.ended(self._sent)
            for task in begun:
                self._watch_over(task)
            for task in whole:
                if (outcome := self._fetched(task)) is not None:
                    yield outcome
        self._refuse()

    def _refuse(self) -> None:
        for _, error in sorted(self._errors.items())[:1]:
            raise error

    def _is_going_on(self) -> bool:
        return bool(self._waiting or self._alone or self._running)

    def close(self) -> None:
        """Nothing of it goes on."""
        self._drop(list(self._running.values()))
        release([*self._futures, self._sent])
        self._gathering.clear()

    # -- what is begun ------------------------------------------------------------------------------------
    def _submit(self, head: int | None) -> None:
        threads = self._watch.n_threads()
        if self._alone and not self._reading.does_apart:
            if not self._running:
                self._begin((self._alone.popleft(),), alone=True)
            return
        while self._alone and sum(task.alone for task in self._running.values()) < max(threads // _APART, 1):
            self._begin((self._alone.popleft(),), alone=True)
        if len(self._running) <= _LEAST * threads:
            with self._reading.as_one():
                self._begin_more(head, threads)

    def _begin_more(self, head: int | None, threads: int) -> None:
        most = _AHEAD * threads
        share = self._waiting.share(max(most - len(self._running), threads))
        while self._waiting and len(self._running) < most and (head is None or self._waiting.first <= head + most):
            self._begin(self._waiting.taken(share))

    def _begin(self, indices: tuple[int, ...], *, alone: bool = False) -> None:
        if self._sent.status in GONE:
            self._sent = self._reading.sent(self._order)
        future = self._reading.begun(self._order, self._sent, indices, alone)
        self._watch_over(Task(future, indices, alone=alone))

    def _watch_over(self, task: Task) -> None:
        key = task.future.key
        self._running[key] = task
        self._futures.add(task.future)
        task.future.add_done_callback(lambda future: self._came.put((key, future)))

    # -- what comes ---------------------------------------------------------------------------------------
    def _next(self) -> Task | None:
        """A task that is done well; None while there is none, or where one failed that was taken care of."""
        try:
            key, future = self._came.get(timeout=LOOK)
        except queue.Empty:
            self._watch.look()
            self._see_to_hung()
            self._see_to_stuck()
            return None
        task = self._running.pop(key, None)
        if task is None or future is not task.future:
            return None
        self._watch.lives()
        self._stuck = 0
        if future.status == "finished":
            return task
        self._recover(task, future.exception(timeout=NO_ANSWER) if future.status == "error" else None)
        return None

    def _fetched(self, task: Task) -> tasks.Outcome | None:
        """The outcome of a task, here; None where that failed, which is taken care of."""
        try:
            outcome: tasks.Outcome = task.future.result(timeout=NO_ANSWER)
        except Exception as error:  # its worker was lost before it could be told
            self._recover(task, error)
            return None
        if not task.level:
            self._done(task)
        return outcome

    def _done(self, task: Task) -> None:
        for index in task.indices:
            self._account.done(index)
            if index not in self._told:  # what is lost afterwards is done again, and was told of
                self._told.add(index)
                self._progress.advance(self._reading.rows.source.partitions[index].n_rows)

    def _finish(self, task: Task) -> None:
        if not task.level:
            self._done(task)
        for further in self._gathering.put(task, self._sent):
            self._watch_over(further)

    # -- what fails ---------------------------------------------------------------------------------------
    def _recover(self, task: Task, error: BaseException | None) -> None:
        """Do what failed again, or say why it failed for good."""
        self._tries[task.indices] += 1
        if isinstance(error, PoisonPartitionError) and not task.level:
            if self._account.forgives(task.indices[0]):
                self._alone.append(task.indices[0])
            else:
                self._leave_out(task, error)
            return
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
            self._leave_out(task, self._account_of(task.indices[0]))
        elif killed:
            self._alone.extend(task.indices)
        else:
            self._waiting.back(task.indices)

    def _account_of(self, index: int) -> PoisonPartitionError:
        rows, deaths = self._reading.rows, self._account.deaths(index)
        why = f"made {counted(deaths, 'worker')} that were lost"
        return poison(rows.source.partitions[index], index, rows.n_partitions, why)

    def _see_to_hung(self) -> None:
        """Nothing came for as long as one partition may take: those under way are done again, each by itself."""
        hung = [task for task in self._running.values() if not task.level and not task.alone]
        if not hung or not self._watch.is_silent(self._reading.seconds):
            return
        for index in (index for task in hung for index in task.indices):
            self._alone.append(index)
            self._reading.held.pop(index, None)
        self._watch.begin_anew(self._reading.token)
        self._drop(hung)

    def _see_to_stuck(self) -> None:
        """The scheduler waits for what it gives to nobody: that is done again, by other tasks.

        Dask leaves a result alone that is lost with its worker while something it was made from has failed.
        """
        if not self._running or not self._watch.is_stuck(self._reading.token):
            return
        stuck = list(self._running.values())
        self._drop(stuck)
        if any(task.bucket is not None for task in stuck):  # parts of partitions: all, or some are added twice
            stuck += self._gathering.taken()
        indices = sorted({index for task in stuck for index in task.indices})
        self._reading.ask_anew(indices)
        if self._sent.status != "finished":
            self._sent = self._reading.sent(self._order)
        self._waiting.back(indices)
        self._stuck += 1
        if self._stuck > _TRIES:
            raise stuck_scheduler(self._reading.client.scheduler.address, self._stuck)

    def _leave_out(self, task: Task, error: PoisonPartitionError) -> None:
        """A partition ends its workers: it is told, or counts as one without rows, where none of it was taken in."""
        rows, (index,) = self._reading.rows, task.indices
        if rows.quarantine is None or index in self._reading.known:
            self._give_up(task, error)
            return
        rows.quarantine.add(index, rows.source.partitions[index], str(error))
        self._waiting.back((index,))

    def _again(self, task: Task) -> None:
        """Merge anew: of what is merged, that is done again which was lost."""
        client = self._reading.client
        for key in client.sync(client.scheduler.retry, keys=[task.future.key], client=client.id):
            known = client.futures.get(key)
            if known is not None:
                known.retry()
        self._watch_over(task)

    def _give_up(self, task: Task, error: BaseException) -> None:
        """It failed for good. What stands before it is seen through: of several errors the first is told."""
        first = min([*self._errors, task.indices[0]])
        self._errors[task.indices[0]] = error
        self._waiting.leave(first)
        self._alone = deque(index for index in self._alone if index < first)
        beyond = [one for one in self._running.values() if one.level or one.indices[0] > first]
        self._gathering.clear()
        self._drop(beyond)

    def _drop(self, those: Sequence[Task]) -> None:
        """Nobody waits for these any more."""
        for task in those:
            del self._running[task.future.key]
        cancel(self._reading.client, [task.future for task in those])
