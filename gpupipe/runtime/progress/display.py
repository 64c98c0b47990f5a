"""What those who show progress have in common."""

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from gpupipe.runtime.progress.stages import Running, Stage


class Display(Protocol):
    """Shows the stages of a run, one after the other. A stage counts for itself: it may be looked at any time."""

    def open(self) -> None:
        """The run begins."""

    def begin(self, running: Running) -> None:
        """A stage begins."""

    def advance(self, n_rows: int) -> None:
        """A partition of so many rows is done, and counted; from any thread."""

    def note(self, link: str) -> None:
        """More is told at this address."""

    def end(self, running: Running, stage: Stage) -> None:
        """A stage is done, or was stopped."""

    def close(self) -> None:
        """The run is done, or failed."""


class Nothing:
    """Shows nothing."""

    def open(self) -> None: ...

    def begin(self, running: Running) -> None: ...

    def advance(self, n_rows: int) -> None: ...

    def note(self, link: str) -> None: ...

    def end(self, running: Running, stage: Stage) -> None: ...

    def close(self) -> None: ...


class Quiet:
    """A stream that may be closed, full or gone while a run goes on: what it does not take is dropped.

    Args:
        stream: None: stderr, whatever stands there at the time.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write and flush it."""
        stream = self._stream or sys.stderr
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.write(text)
                stream.flush()
        return len(text)

    def flush(self) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream or sys.stderr, name)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream that is open is a terminal."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


class Ticker:
    """Calls `tick` every so many seconds on a thread of its own, until it is stopped."""

    def __init__(self, tick: Callable[[], None], seconds: float) -> None:
        self._tick, self._seconds = tick, seconds
        self._stopped = threading.Event()

    def start(self) -> None:
        """From now on."""
        threading.Thread(target=self._run, name="gpupipe progress", daemon=True).start()

    def stop(self) -> None:
        """No more; a call that goes on is not waited for."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._tick()
