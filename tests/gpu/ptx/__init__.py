"""A machine that runs PTX, what NVRTC makes of CUDA C++, on NumPy, and finds what a GPU would let pass."""

from .machine import Launch
from .memory import GLOBAL, GlobalMemory
from .parse import Param, PtxError, parse
from .program import Program
from .races import Watch

__all__ = ["GLOBAL", "GlobalMemory", "Launch", "Param", "Program", "PtxError", "Watch", "parse"]
