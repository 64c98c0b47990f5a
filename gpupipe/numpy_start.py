"""NumPy, imported so that it takes its own time alone.

The threads of its OpenBLAS look for work as they start, and for 2^26 ticks of the processor more: one for each further
core, .1 s of it in a process that multiplies nothing. They are told to look for 2^20 ticks (under a millisecond) and
to sleep then, as they would anyway; one that is woken begins some microseconds later. Nothing is changed where NumPy is
imported already, or where the environment says how long they look.
"""

import os
import sys

from gpupipe.collection import paused

_LOOKS = "OPENBLAS_THREAD_TIMEOUT"  # read once, when the library is loaded; an exponent of two
_TICKS = "20"

if "numpy" not in sys.modules and _LOOKS not in os.environ:
    os.environ[_LOOKS] = _TICKS
    try:
        with paused():
            import numpy  # noqa: F401
    finally:
        del os.environ[_LOOKS]
