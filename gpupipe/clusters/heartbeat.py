"""Run by Dask in each worker of ours (a preload): a worker that is closed does not end amid a sign of life.

Dask's would: it closes the connection on which the scheduler is about to answer, and tells that as an error.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

#: Seconds that the scheduler has to answer; of those that a worker has to end (`teardown.PATIENCE`).
PATIENCE = 2.0


class Whole:
    """Signs of life, each of which can be waited for.

    Args:
        sign: gives one.
    """

    def __init__(self, sign: Callable[[], Awaitable[None]]) -> None:
        self._sign = sign
        self._under_way: asyncio.Task[Any] | None = None

    async def __call__(self) -> None:
        """Give one."""
        self._under_way = asyncio.current_task()
        try:
            await self._sign()
        finally:
            self._under_way = None

    async def over(self, seconds: float) -> None:
        """Wait until none is under way; not for so long, nor where it is what asks: told that it is not known to the
        scheduler, a worker closes amid its sign.
        """
        under_way = self._under_way
        if under_way is not None and under_way is not asyncio.current_task():
            await asyncio.wait([under_way], timeout=seconds)


def dask_setup(worker: Any) -> None:
    """From now on each sign of life can be waited for."""
    signs = worker.periodic_callbacks["heartbeat"]
    signs.callback = Whole(signs.callback)


async def dask_teardown(worker: Any) -> None:
    """No further one is given, and the last is answered."""
    signs = worker.periodic_callbacks["heartbeat"]
    signs.stop()
    await signs.callback.over(PATIENCE)
