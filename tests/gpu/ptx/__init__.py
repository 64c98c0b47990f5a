"""A machine that runs PTX, what NVRTC makes of CUDA C++, on NumPy, and finds what a GPU would let pass."""

from .machine import Launch
from .memory import GlobalMemory
from .parse import Module, Param, PtxError, parse
from .program import Program
from .races import Watch

__all__ = ["GlobalMemory", "Launch", "Module", "Param", "Program", "PtxError", "Watch", "parse"]
