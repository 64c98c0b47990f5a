"""Run by Dask in each worker of ours as it starts (a preload): no worker outlives the process that made its cluster.

Dask's own watch is a thread of the worker, which cannot end one that is stopped, or held up in native code. The system
can.
"""

import ctypes
import os
import signal
import sys
from typing import Any

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2)


def dask_setup(worker: Any) -> None:
    """From now on the system kills this process as soon as the one that started it has ended.

    Ctrl-C in a terminal goes to all processes there: the one that made the cluster acts on it, and ends this one.
    """
    signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which programs started here would inherit
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended in between
        os._exit(1)
