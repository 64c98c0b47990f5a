"""What came of partitions, gathered on the workers: several outcomes are merged into one where they are."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from gpupipe.clusters import merges
from gpupipe.clusters.failures import NO_ANSWER
from gpupipe.clusters.reading import Reading
from gpupipe.clusters.task import Task
from gpupipe.runtime.orders import Divides, Order

_AT_ONCE = 8  # outcomes that are merged into one
_BUCKETS = 8  # parts that states of many groups are merged by
LARGE = 64 * 2**20  # bytes of states that one worker merges


class Gathering:
    """Tasks that are done and whose outcomes wait to be merged.

    Args:
        reading: submits the tasks that merge.
        order: what the outcomes are of.
    """

    def __init__(self, reading: Reading, order: Order[Any]) -> None:
        self._reading, self._order, self._buckets = reading, order, 0
        self._done: defaultdict[tuple[int | None, int], list[Task]] = defaultdict(list)

    def __bool__(self) -> bool:
        return any(self._done.values())

    def clear(self) -> None:
        """None of it is wanted any more."""
        self._done.clear()

    def taken(self) -> list[Task]:
        """All of it; none is to be found here any more."""
        found = self._all()
        self.clear()
        return found

    def put(self, task: Task, sent: Any) -> Iterator[Task]:
        """Put a task with others of its level; what is begun with them, where they are enough.

        Args:
            sent: the future of the order.
        """
        if self._buckets and task.bucket is None:
            yield from self._divided(task, sent)
            return
        parts = self._done[task.bucket, task.level]
        parts.append(task)
        if len(parts) < _AT_ONCE:
            return
        self._done[task.bucket, task.level] = []
        if task.bucket is None and self._are_large(parts):
            self._buckets = _BUCKETS
            for part in [*parts, *self.taken()]:
                yield from self._divided(part, sent)
        else:
            yield from self._merged(self._near(parts) or [parts], sent)

    def ended(self, sent: Any) -> tuple[list[Task], list[Task]]:
        """What is begun when no partition is left, and what is whole, or so few that they are merged by the driver.
        None of it is to be found here any more, but what waits for those that are begun.
        """
        found = defaultdict[int | None, list[Task]](list)
        for task in self.taken():
            found[task.bucket].append(task)
        begun, whole = list[Task](), list[Task]()
        for bucket, parts in found.items():
            near = self._near(parts) if len(parts) > 1 else []
            few = len(parts) == 1 or (bucket is None and len(parts) <= _AT_ONCE and not self._are_large(parts))
            if near or not few:
                begun += self._merged(near or [parts], sent)
            else:
                whole += parts
        return begun, whole

    def _near(self, parts: Sequence[Task]) -> list[list[Task]]:
        """Those that are on one worker, where several are: they need not travel. The others wait further."""
        client, found = self._reading.client, defaultdict[tuple[str, ...], list[Task]](list)
        where: Mapping[str, Sequence[str]] = {}
        with suppress(OSError, TimeoutError):  # a scheduler that does not answer: whoever waits for what comes sees it
            keys = [part.future.key for part in parts]
            where = client.sync(client.scheduler.who_has, keys=keys, callback_timeout=NO_ANSWER)
        for part in parts:
            found[tuple(where.get(part.future.key, ()))].append(part)
        near = [some for some in found.values() if len(some) > 1]
        for (alone,) in (some for some in found.values() if near and len(some) == 1):
            self._done[alone.bucket, alone.level].append(alone)
        return near

    def _merged(self, groups: Sequence[Sequence[Task]], sent: Any) -> Iterator[Task]:
        """Tasks each of which makes one outcome of several."""
        for parts in groups:
            future = self._reading.submit("merge", merges.merged, sent, *(part.future for part in parts))
            indices = tuple(index for part in parts for index in part.indices)
            yield Task(future, indices, 1 + max(part.level for part in parts), parts, parts[0].bucket)

    def _all(self) -> list[Task]:
        return [part for parts in self._done.values() for part in parts]

    def _are_large(self, parts: Sequence[Task]) -> bool:
        """Whether states of many groups are better merged group by group than all by one worker."""
        if not isinstance(self._order, Divides):
            return False
        client, keys = self._reading.client, [part.future.key for part in parts]
        sizes = client.sync(client.scheduler.nbytes, keys=keys, summary=False)
        return sum(sizes.values()) > LARGE

    def _divided(self, task: Task, sent: Any) -> Iterator[Task]:
        whole = self._reading.submit("divide", merges.divided, sent, self._buckets, task.future)
        for bucket in range(self._buckets + 1):
            future = self._reading.submit("pick", merges.picked, whole, bucket)
            yield Task(future, task.indices, 1, (task,), bucket)
