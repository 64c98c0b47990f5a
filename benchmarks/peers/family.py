"""What a peer's own processes took: those it started, for the numbers of the whole (Linux)."""

import os
import re
import time
from pathlib import Path

from ..measure import peak_memory, read_so_far
from .command import Task


def note_family(task: Task) -> None:
    """CPU seconds, MiB read and MiB resident at most, of this process and all that came of it and still run.

    The peak is the sum of each one's own, which may be more than they had at any one time.
    """
    members = _descendants(os.getpid())
    ticks = os.sysconf("SC_CLK_TCK")
    cpu = time.process_time() + sum(_ticks(member) for member in members) / ticks
    peak = peak_memory() + sum(_number(member / "status", r"VmHWM:\s*(\d+) kB") for member in members) / 1024
    read = read_so_far() + sum(_number(member / "io", r"rchar: (\d+)") for member in members) / 2**20
    task.clock.phases["process"] = {"cpu": cpu, "peak": peak, "read": read}


def _descendants(root: int) -> list[Path]:
    children: dict[int, list[Path]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if fields := _stat(folder):
            children.setdefault(int(fields[1]), []).append(folder)
    found: list[Path] = []
    waiting = [root]
    while waiting:
        new = children.get(waiting.pop(), [])
        found += new
        waiting += [int(folder.name) for folder in new]
    return found


def _stat(folder: Path) -> list[str]:
    """The fields after the name: state, parent, …; none of a process that has ended."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _ticks(folder: Path) -> int:
    """Of itself, and of those it waited for."""
    return sum(map(int, _stat(folder)[11:15]))


def _number(path: Path, pattern: str) -> int:
    try:
        counted = re.search(pattern, path.read_text())
    except OSError:
        return 0
    return int(counted[1]) if counted else 0
