"""Progress: nothing, plain lines for batch logs, or a bar in a terminal."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from gpupipe.runtime.debugging import Debugging, debugging

if TYPE_CHECKING:
    from gpupipe.runtime.rows import Rows


class Progress(Protocol):
    """Hears of each stage, and of each partition done."""

    def begin(self, what: str, rows: "Rows") -> None:
        """A trip over `rows` begins."""

    def advance(self, n_rows: int) -> None:
        """A partition of so many rows is done."""

    def end(self) -> None:
        """All is done."""


class Silent:
    """No progress."""

    def begin(self, what: str, rows: "Rows") -> None: ...

    def advance(self, n_rows: int) -> None: ...

    def end(self) -> None: ...


class Lines:
    """A line a stage on `stream`, rewritten in a terminal, written once at the stage's end in a log."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._lock = threading.Lock()
        self._what: str | None = None
        self._rows = self._done = self._total = 0
        self._started = 0.0

    def begin(self, what: str, rows: "Rows") -> None:
        self.end()
        self._what, self._rows, self._done, self._total = what, 0, 0, rows.n_partitions
        self._started = time.perf_counter()

    def advance(self, n_rows: int) -> None:
        with self._lock:
            self._rows += n_rows
            self._done += 1
            if self._live:
                self._stream.write("\r" + self._line())
                self._stream.flush()

    def end(self) -> None:
        if self._what is not None:
            self._stream.write(("\r" if self._live else "") + self._line() + "\n")
            self._stream.flush()
            self._what = None

    def _line(self) -> str:
        seconds = time.perf_counter() - self._started
        filled = 20 * self._done // max(self._total, 1)
        bar = "#" * filled + "." * (20 - filled)
        rate = self._rows / max(seconds, 1e-9)
        return (
            f"{self._what:<14} [{bar}] {self._done}/{self._total} partitions  {self._rows:,} rows  {rate:,.0f} rows/s"
        )


def progress_for(progress: "bool | Progress | None") -> Progress:
    """What `progress=` stands for: False silent, True lines, None lines in a terminal only, or one of your own.

    With GPUPIPE_DEBUG=1 what is silent tells what each stage took.
    """
    if progress is None:
        progress = sys.stderr.isatty()
    if isinstance(progress, bool):
        return Lines() if progress else Debugging() if debugging() else Silent()
    return progress


@contextmanager
def told(what: str, rows: "Rows") -> Iterator[Progress]:
    """A stage that is told with GPUPIPE_DEBUG=1 alone."""
    progress = progress_for(False)
    progress.begin(what, rows)
    yield progress
    progress.end()
