"""Run by Dask in each nanny of ours (a preload): a worker's process that stands still as it starts is ended.

Until a worker has told the scheduler of itself, nobody sees that it gives no sign of life: Dask's nanny waits for it
without end. When its process ends, the nanny starts another. One that is merely slow, as others are at work or its
modules come from a slow disk, uses some of the processor now and then, and is waited for.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpupipe import optional

LOOK = 1.0  # seconds between two looks
#: Looks in a row at which the process had used none of the processor since the one before; and looks altogether. They
#: are counted, not timed: a process that waits for this one while this one is held up does not stand still.
STILL, LATE = 30, 600


class Start:
    """Looks at how a worker starts.

    Args:
        nanny: that starts it.
    """

    def __init__(self, nanny: Any) -> None:
        self._nanny = nanny
        self._pid, self._used = 0, ""
        self._still = self._looks = 0

    def look(self) -> None:
        """See how far it is; a process that stands still is ended."""
        pid = self._starting()
        used = _used(pid) if pid else ""
        self._looks = self._looks + 1 if pid == self._pid else 0
        self._still = self._still + 1 if pid == self._pid and used and used == self._used else 0
        self._pid, self._used = pid, used
        if pid and (self._still >= STILL or self._looks >= LATE):
            with suppress(OSError):  # it ended just now
                os.kill(pid, signal.SIGKILL)

    def _starting(self) -> int:
        """The number of the process that starts; 0: none does."""
        held = self._nanny.process
        return (held.pid or 0) if held is not None and held.status.name == "starting" else 0


def _used(pid: int) -> str:
    """What a process has used of the processor, as the system writes it; "" where it does not tell."""
    with suppress(OSError, IndexError):
        return " ".join(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])  # utime, stime
    return ""


def dask_setup(nanny: Any) -> None:
    """From now on its starts are looked at, until it is closed."""
    looks = optional.load("distributed.core").PeriodicCallback(Start(nanny).look, LOOK * 1000)
    nanny.periodic_callbacks["gpupipe-start"] = looks
    looks.start()
