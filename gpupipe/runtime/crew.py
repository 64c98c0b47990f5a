"""Crews: who carries out orders over partitions. Here threads of this process; a cluster's workers are another crew."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, runtime_checkable

from gpupipe.runtime.halving import once_more
from gpupipe.runtime.orders import Order, Result, Work, numbers
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.streaming import streamed


class Crew(Protocol):
    """Carries out orders over the partitions of rows, from the `first` on; errors are of the first one that fails.

    One of workers with rows of their own may have a method `boosts`, which trains XGBoost there (`clusters/crew.py`),
    and `grows`, whose GPUs train cuml.dask's estimators (`clusters/growing.py`).

    Attributes:
        n_workers: how many partitions are at work at a time.
        is_near: whether it is threads of this process.
        is_here: whether nobody else is told of results besides, so that an order may refer to anything. Of a run that
            is kept they are told, though they are made by threads of this process.
    """

    n_workers: int
    is_near: bool
    is_here: bool

    def take_in(
        self, rows: Rows, order: Order[Result], take: Callable[[Result], None], progress: Progress, first: int = 0
    ) -> None:
        """Give every result to `take`, from any thread, in any order; several as one where the order merges them."""

    def results(
        self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0, *, in_order: bool = False
    ) -> Iterator[tuple[int, Result]]:
        """The number and result of each partition as they come (or in their order), few of them waiting."""

    def listed(self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0) -> list[Result]:
        """The results of all partitions, in their order."""

    def merged(self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0) -> list[Result]:
        """Few results that all others were merged into, where the order merges; else all."""


@runtime_checkable
class Remembers(Protocol):
    """A crew that remembers what orders came to, once all that came of partitions was brought together."""

    def recall(self, rows: Rows, order: Order[Any]) -> Any:
        """What an order came to in an earlier process; None: it was not known there."""

    def remember(self, order: Order[Any], whole: Any) -> None:
        """What it has come to."""


class Threads:
    """Threads of this process.

    Args:
        pool: whose threads.
        count: how many.
    """

    is_near = is_here = True

    def __init__(self, pool: Executor, count: int) -> None:
        self._pool, self.n_workers = pool, count

    def take_in(
        self, rows: Rows, order: Order[Result], take: Callable[[Result], None], progress: Progress, first: int = 0
    ) -> None:
        """As :class:`Crew` says."""
        work = order.ready()
        self._each(rows, order, lambda index, frame: take(work(rows, index, frame)), progress, first)

    def listed(self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0) -> list[Result]:
        """As :class:`Crew` says."""
        work = order.ready()
        return self._each(rows, order, lambda index, frame: work(rows, index, frame), progress, first)

    def merged(self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0) -> list[Result]:
        """As :class:`Crew` says."""
        return self.listed(rows, order, progress, first)

    def _each(
        self, rows: Rows, order: Order[Any], done: Callable[[int, Any], Any], progress: Progress, first: int
    ) -> list[Any]:
        def one(index: int) -> Any:
            return _carried_out(rows, order, lambda _, at, frame: done(at, frame), progress, index)

        return list(self._pool.map(one, numbers(order, rows, first)))

    def results(
        self, rows: Rows, order: Order[Result], progress: Progress, first: int = 0, *, in_order: bool = False
    ) -> Iterator[tuple[int, Result]]:
        """As :class:`Crew` says; always in order."""
        work, chosen = order.ready(), numbers(order, rows, first)

        def one(at: int) -> Result:
            return _carried_out(rows, order, work, progress, chosen[at])

        found = streamed(one, len(chosen), self._pool, ahead=max(self.n_workers - 1, 1))
        yield from zip(chosen, found, strict=True)


def _carried_out(rows: Rows, order: Order[Any], work: Work[Result], progress: Progress, index: int) -> Result:
    frame = once_more(rows, index, lambda: rows.frame(index, order.columns))
    with rows.placed(index, frame):
        result = work(rows, index, frame)
    progress.advance(frame.n_rows)
    return result


@contextmanager
def threads(count: int) -> Iterator[Threads]:
    """A crew of `count` threads of this process."""
    with ThreadPoolExecutor(count, thread_name_prefix="gpupipe") as pool:
        yield Threads(pool, count)


@contextmanager
def here(rows: Rows, stage: str) -> Iterator[Threads]:
    """Threads of this process, for a stage that no cluster can do; where there is one, that is noted of the rows."""
    with crew_for(rows) as current:
        if isinstance(current, Threads):
            yield current
            return
    rows.done_here.append(stage)
    with threads(rows.n_workers) as crew:
        yield crew


class _Current:
    """Whose crews are at work: a cluster's, while there is one."""

    crew_for: Callable[[Rows], AbstractContextManager[Crew] | None] | None = None


def crews_from(crew_for: Callable[[Rows], AbstractContextManager[Crew] | None] | None) -> None:
    """From now on :func:`crew_for` asks this; it may answer None for threads of this process. None: nobody is asked."""
    _Current.crew_for = crew_for


def crew_for(rows: Rows) -> AbstractContextManager[Crew]:
    """Who carries out orders over these rows: the current cluster, else threads of this process."""
    found = None if _Current.crew_for is None else _Current.crew_for(rows)
    return threads(rows.n_workers) if found is None else found
