"""A look at the workers now and then: that there are some, and that they live."""

import time
from contextlib import suppress
from typing import Any

from gpupipe.clusters import interrupts
from gpupipe.clusters.failures import APART, FROZEN, NO_ANSWER, NO_WORKERS, no_scheduler, no_workers
from gpupipe.clusters.joining import workers_of
from gpupipe.errors import ClusterError

LOOK = 1.0  # seconds between two looks, while nothing comes
STUCK = 10.0  # seconds for which no worker has a task of a trip, though one is free


class Watch:
    """Sees that there are workers, and that they live."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._looked, self._came = 0.0, time.monotonic()
        self._threads, self.n_workers = 1, 0
        self._without: float | None = None
        self._idle: float | None = None
        self._workers: dict[str, dict[str, Any]] = {}
        self._quiet: dict[str, tuple[float, float]] = {}  # since when each worker has given no further sign of life
        self.look(at_once=True)

    def n_threads(self) -> int:
        """Of all workers."""
        return self._threads

    def lives(self) -> None:
        """Something came; a Ctrl-C that was dropped meanwhile is raised."""
        interrupts.raise_dropped()
        self._without, self._idle, self._came = None, None, time.monotonic()

    def is_silent(self, seconds: float | None) -> bool:
        """Whether nothing came for so long (None: never); asked again, that counts from now."""
        now = time.monotonic()
        silent = seconds is not None and now - self._came > seconds
        self._came = now if silent else self._came
        return silent

    def is_stuck(self, token: str) -> bool:
        """Whether for long nobody has had a task that bears a token, while a worker was free; asked again, that counts
        from now. What a scheduler waits for without giving it to anyone never comes.
        """
        processing, now = dict[str, list[Any]](), time.monotonic()
        with suppress(OSError, TimeoutError):  # a scheduler that does not answer is seen by `look`
            asked = self._client.scheduler.processing
            processing = self._client.sync(asked, workers=None, callback_timeout=NO_ANSWER)
        had = any(token in str(key) for keys in processing.values() for key in keys)
        free = any(not keys and self._runs(address) for address, keys in processing.items())
        self._idle = None if had or not free else self._idle or now
        stuck = self._idle is not None and now - self._idle > STUCK
        self._idle = None if stuck else self._idle
        return stuck

    def _runs(self, address: str) -> bool:
        """Whether a worker takes tasks: one with little memory left pauses, and takes them later."""
        return bool(self._workers.get(address, {}).get("status") == "running")

    def begin_anew(self, token: str) -> None:
        """The workers with tasks that bear a token begin anew: nothing else ends what one of their threads is at."""
        for address, keys in self._client.processing().items():
            if any(token in str(key) and not str(key).startswith(APART) for key in keys):
                self._client.loop.add_callback(self._restart, address)

    def look(self, *, at_once: bool = False) -> None:
        """See how many there are; those that gave no sign of life for long are begun anew.

        Raises:
            KeyboardInterrupt: Ctrl-C came, and was dropped.
            WorkerLostError: no workers, or no scheduler, for long.
        """
        interrupts.raise_dropped()
        now = time.monotonic()
        if self._client.status not in ("running", "connecting"):
            raise no_scheduler(self._client.scheduler.address if self._client.scheduler else "…")
        if not at_once and now - self._looked < LOOK:
            return
        self._looked = now
        try:
            workers = workers_of(self._client)
        except ClusterError:
            self._missing(now, NO_ANSWER, no_scheduler(self._client.scheduler.address))
            return
        self._workers, self.n_workers = workers, len(workers)
        self._threads = max(sum(worker["nthreads"] for worker in workers.values()), 1)
        if not workers:
            self._missing(now, NO_WORKERS, no_workers(self._client.scheduler.address, NO_WORKERS))
            return
        self._without = None
        self._end_frozen(workers, now)

    def _missing(self, now: float, most: float, error: ClusterError) -> None:
        self._without = self._without or now
        if now - self._without > most:
            raise error

    def _end_frozen(self, workers: dict[str, dict[str, Any]], now: float) -> None:
        """What the scheduler does itself after its worker-ttl, where that is set to minutes, as it is by default."""
        for address, worker in workers.items():
            since = self._quiet.setdefault(address, (worker["last_seen"], now))
            if since[0] != worker["last_seen"] or not worker["last_seen"]:
                self._quiet[address] = (worker["last_seen"], now)
            elif now - since[1] > FROZEN:
                self._quiet[address] = (worker["last_seen"], now)
                self._client.loop.add_callback(self._restart, address)

    async def _restart(self, address: str) -> None:
        with suppress(Exception):  # it is gone already, or will be asked again
            await self._client.restart_workers([address], timeout=30, raise_for_error=False)
