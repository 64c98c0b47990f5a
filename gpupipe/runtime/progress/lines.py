"""Progress as lines for logs: one at a stage's end, and more and more rarely one while it goes on."""

import threading
import time
from typing import TextIO

from gpupipe.runtime.machine import copy_bandwidth
from gpupipe.runtime.progress.display import Quiet, Ticker
from gpupipe.runtime.progress.stages import Running, Stage
from gpupipe.runtime.progress.words import sentence

_FIRST, _LONGEST = 10.0, 300.0  # seconds from a stage's start to the first line; from one line to the next, at most
_LOOKS = 1.0  # seconds


class Lines:
    """A line a stage as it ends, with the time of day; of a long one also after 10 s, 20 s, 40 s, … and from then on
    every 5 minutes, whether or not a partition was done meanwhile. Each is a line of its own: nothing is rewritten.

    Args:
        stream: None: stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = Quiet(stream)
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._due = 0.0
        self._ticker = Ticker(self.look, _LOOKS)

    def open(self) -> None:
        """As :class:`Display` says."""
        self._ticker = Ticker(self.look, _LOOKS)
        self._ticker.start()

    def begin(self, running: Running) -> None:
        """As :class:`Display` says."""
        if running.over is not None:
            copy_bandwidth(running.threads)  # now, while nothing is at work beside it
        with self._lock:
            self._running, self._due = running, _FIRST

    def advance(self, n_rows: int) -> None: ...

    def note(self, link: str) -> None:
        """As :class:`Display` says."""
        self._write(f"dashboard {link}")

    def look(self) -> None:
        """Write a line, if one is due."""
        with self._lock:
            running = self._running
            if running is not None and (seconds := running.seconds) >= self._due:
                self._due = seconds + min(seconds, _LONGEST)
                self._write(sentence(running, running.now(), ended=False))

    def end(self, running: Running, stage: Stage) -> None:
        """As :class:`Display` says."""
        with self._lock:
            self._running = None
            self._write(sentence(running, stage, ended=True))

    def close(self) -> None:
        """As :class:`Display` says."""
        self._ticker.stop()

    def _write(self, text: str) -> None:
        self._stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} gpupipe: {text}\n")
