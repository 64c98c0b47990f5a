"""Memory of this process: what it holds, and the most it ever held."""

import re
import resource
import sys
from pathlib import Path


def held_memory() -> tuple[int, int]:
    """(bytes that the process has resident, the most it ever had); the first is 0 where the system does not tell."""
    status = Path("/proc/self/status")
    found = re.search(r"VmRSS:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else 0, peak_memory()


def taken_since(before: tuple[int, int]) -> int:
    """Bytes taken at most since `held_memory` gave `before`; 0 where that is not known."""
    resident, peak = before
    return peak_memory() - resident if resident and peak_memory() > peak else 0


def peak_memory() -> int:
    """The process's peak resident memory in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
