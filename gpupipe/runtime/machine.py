"""What this machine can do, measured in a few milliseconds, once a process: the ruler that speeds are held against."""

import mmap
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from gpupipe.columns import Values

_COPIED = 48 * 2**20  # bytes that all threads copy together: more than caches hold
_LEAST = 2 * 2**20  # bytes of one thread, where there are many
_LONGEST = 0.05  # seconds that all of it may take; one copy is made however long it takes
_WORKED = 2**17  # values of the work that a speed is told by


@cache
def copy_bandwidth(threads: int = 1) -> float:
    """Bytes a second that so many threads copy in memory together, counted once (they are read and written).

    The best of the copies that some hundredths of a second have room for, the first time; from then on what it was.
    Huge pages are asked for, since memory that is new comes page by page: clearing small ones would take three times
    as long as the copies.

    >>> copy_bandwidth() > 1e8
    True
    """
    size = max(_COPIED // max(threads, 1), _LEAST)
    ends = time.perf_counter() + 0.8 * _LONGEST
    pairs: list[tuple[Values, Values]] = [(np.zeros(0, np.uint8),) * 2] * threads

    def touch(at: int) -> None:
        pairs[at] = _new(size), _new(size)

    _together(touch, threads)
    best = 0.0
    while not best or time.perf_counter() < ends:
        best = max(best, threads * size / _together(lambda at: np.copyto(pairs[at][1], pairs[at][0]), threads))
    return best


@cache
def slowness(threads: int = 1) -> float:
    """How many times as long so many threads take, each of them, as one thread of the machine that costs a value were
    measured on (docs/performance.md): above 1 where processors are slower.

    >>> 0.05 < slowness() < 100
    True
    """
    values = np.arange(_WORKED, dtype=np.float64)
    spots = np.arange(_WORKED) * 40_503 % _WORKED  # an odd number: each place once, none after its neighbour

    rooms = [np.ones_like(values) for _ in range(threads)]

    def work(at: int) -> None:  # without Python's lock, and without new memory
        np.take(values, spots, out=rooms[at], mode="clip")
        np.multiply(rooms[at], values, out=rooms[at])
        np.sqrt(rooms[at], out=rooms[at])
        rooms[at].sum()

    work(0)
    return min(_together(work, threads) for _ in range(7)) / _REFERENCE


def crowding(threads: int = 1) -> float:
    """How many times as long so many threads take now since others are at work: by what ran in the last minute, as the
    system tells it, each has an equal share of the processors.

    >>> crowding() >= 1.0
    True
    """
    try:
        others = os.getloadavg()[0]
    except OSError:
        return 1.0
    return max((others + threads) / (os.cpu_count() or 1), 1.0)


_REFERENCE = 0.00033  # seconds of that work on one core of an AMD EPYC, nothing beside it


def _new(size: int) -> Values:
    """Memory that was written to."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    found = np.frombuffer(memory, np.uint8)
    found[:] = 1
    return found


def _together(work: Callable[[int], None], threads: int) -> float:
    """The seconds that `work(number)` takes on so many threads at once, from the first start to the last end."""
    times: list[Sequence[float]] = []
    gate = threading.Barrier(threads)

    def one(at: int) -> None:
        gate.wait()
        started = time.perf_counter()
        work(at)
        times.append((started, time.perf_counter()))

    others = [threading.Thread(target=one, args=(at,), daemon=True) for at in range(1, threads)]
    for other in others:
        other.start()
    one(0)
    for other in others:
        other.join()
    return max(end for _, end in times) - min(start for start, _ in times)
