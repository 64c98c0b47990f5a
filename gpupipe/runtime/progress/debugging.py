"""``GPUPIPE_DEBUG=1``: what each stage of a run took, beside what the machine could do, as lines on stderr."""

import os
from typing import TextIO

from gpupipe.runtime.machine import copy_bandwidth
from gpupipe.runtime.progress.display import Quiet
from gpupipe.runtime.progress.stages import Running, Stage
from gpupipe.runtime.progress.words import of_bandwidth


def debugging() -> bool:
    """Whether ``GPUPIPE_DEBUG`` asks for it: set, and neither empty nor 0."""
    return os.environ.get("GPUPIPE_DEBUG", "") not in ("", "0")


class Debugging:
    """Tells at each stage's end: seconds, of processors and of reading too, rows a second, decoded bytes a second and
    their share of what memory gives.

    Args:
        stream: None: stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = Quiet(stream)

    def open(self) -> None: ...

    def begin(self, running: Running) -> None:
        """As :class:`Display` says."""
        if running.over is not None:
            copy_bandwidth(running.threads)  # now, while nothing is at work beside it

    def advance(self, n_rows: int) -> None: ...

    def note(self, link: str) -> None: ...

    def end(self, running: Running, stage: Stage) -> None:
        """As :class:`Display` says."""
        speed = f", {_speed(running, stage)}" if running.over is not None else ""
        rows = f"{stage.rows:,} rows in " if running.over is not None else ""
        reading = f", {stage.reading_seconds:.2f} s of threads reading" if running.over is not None else ""
        stopped = "" if stage.finished else "stopped: "
        self._stream.write(
            f"gpupipe: {stage.name}: {stopped}{rows}{stage.seconds:.3f} s{speed}; {stage.cpu_seconds:.2f} CPU "
            f"s{reading}\n"
        )

    def close(self) -> None: ...


def _speed(running: Running, stage: Stage) -> str:
    rate = f"{stage.rows_a_second / 1e6:,.2f} million a second"
    return f"{rate}, {stage.decoded_a_second / 1e9:.2f} GB/s of decoded columns, {of_bandwidth(running, stage)}"
