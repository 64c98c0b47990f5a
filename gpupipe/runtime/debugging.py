"""``GPUPIPE_DEBUG=1``: what each stage of a run took, beside what the machine could do, as lines on stderr."""

import os
import sys
import time
from functools import cache
from typing import TYPE_CHECKING, TextIO

import numpy as np

if TYPE_CHECKING:
    from gpupipe.runtime.rows import Rows

_COPIED = 2**26  # bytes: far more than caches hold


def debugging() -> bool:
    """Whether ``GPUPIPE_DEBUG`` asks for it: set, and neither empty nor 0."""
    return os.environ.get("GPUPIPE_DEBUG", "") not in ("", "0")


class Debugging:
    """A progress that tells at each stage's end: seconds, rows a second, decoded bytes a second and their share of what
    one thread copies in memory.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._what: str | None = None
        self._rows: Rows | None = None
        self._done, self._started, self._read_before, self._cpu = 0, 0.0, 0.0, 0.0

    def begin(self, what: str, rows: "Rows") -> None:
        self.end()
        self._what, self._rows, self._done = what, rows, 0
        self._started, self._read_before, self._cpu = time.perf_counter(), rows.seconds_reading, time.process_time()

    def advance(self, n_rows: int) -> None:
        self._done += n_rows

    def end(self) -> None:
        if self._what is None or self._rows is None:
            return
        line = _line(self._what, self._rows, self._done, time.perf_counter() - self._started)
        reading = self._rows.seconds_reading - self._read_before
        threads = f"; {time.process_time() - self._cpu:.2f} CPU s, {reading:.2f} s of threads reading"
        print(f"gpupipe: {line}{threads}", file=self._stream, flush=True)
        self._what = self._rows = None


def _line(what: str, rows: "Rows", n_rows: int, seconds: float) -> str:
    every = max(sum(part.n_rows for part in rows.source.partitions), 1)
    rate = n_rows / max(seconds, 1e-9)
    decoded = rows.decoded_bytes() / every * rate
    return (
        f"{what}: {n_rows:,} rows in {seconds:.3f} s, {rate / 1e6:,.2f} million a second, {decoded / 1e9:.2f} GB/s "
        f"decoded, {decoded / copy_bandwidth():.0%} of the {copy_bandwidth() / 1e9:.1f} GB/s that one thread copies"
    )


@cache
def copy_bandwidth() -> float:
    """Bytes a second that one thread copies in memory: the best of three tries, counted once (read and written)."""
    source, target = np.ones(_COPIED, np.uint8), np.zeros(_COPIED, np.uint8)
    best = 0.0
    for _ in range(3):
        started = time.perf_counter()
        np.copyto(target, source)
        best = max(best, _COPIED / (time.perf_counter() - started))
    return best
