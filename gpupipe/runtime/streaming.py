"""Results of partitions one after the other, in their order, few of them waiting: memory stays flat however many."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Result = TypeVar("Result")


def streamed(work: Callable[[int], Result], count: int, pool: Executor, ahead: int) -> Iterator[Result]:
    """``work(0)``, ``work(1)``, … ``work(count - 1)`` from the threads of `pool`, in that order.

    Args:
        ahead: so many are begun, or wait to be taken, beside the one that is taken.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(streamed(lambda index: index * index, 4, pool, ahead=2))
    [0, 1, 4, 9]
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for index in range(count):
            waiting.append(pool.submit(work, index))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
