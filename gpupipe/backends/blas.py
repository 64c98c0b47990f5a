"""How many threads BLAS takes."""

import threading
from contextlib import nullcontext
from typing import Any

from gpupipe import optional


class _OneThread:
    """Inside, BLAS takes one thread a call, where it can be told: its threads would wait for each other's cores.

    Products of tiles are small and many; with two threads a call, on cores that others use too, they took 10 times as
    long as with one. The limit is the process's, so the first to enter sets it and the last to leave lifts it.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._limit: Any = nullcontext()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside and optional.available("threadpoolctl"):
                self._limit = optional.load("threadpoolctl").threadpool_limits(1, user_api="blas")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                limit, self._limit = self._limit, nullcontext()
                limit.__exit__(None, None, None)


ONE_THREAD = _OneThread()
