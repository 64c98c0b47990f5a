"""What a measurement ran on."""

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

LIBRARIES = ("numpy", "pyarrow", "numba", "scikit-learn", "pandas")


def facts() -> dict[str, str]:
    """Processor, cores, memory, versions, commit and load, as text."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "libraries": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES),
        "commit": commit(),
    }


def processor() -> str:
    """The processor's name; where the system hides its model, its family and model numbers too."""
    path = Path("/proc/cpuinfo")
    told = dict(re.findall(r"^(.+?)\s*: (.*)$", path.read_text(), re.MULTILINE)) if path.exists() else {}
    name = told.get("model name") or platform.processor() or platform.machine()
    numbered = any(letter.isdigit() for letter in name)
    return name if numbered else f"{name} family {told.get('cpu family')} model {told.get('model')}"


def short_name() -> str:
    """A file name for this machine: ``amd-epyc-2-cores``."""
    words = re.sub(r"\(r\)|\(tm\)|cpu|processor|@.*", "", processor().lower())
    return re.sub(r"[^a-z0-9]+", "-", f"{words} {os.cpu_count()} cores").strip("-")


def commit() -> str:
    """Short hash of the checkout, ``unknown`` outside one."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def load() -> float:
    """Processes that want a core, averaged over a minute."""
    return os.getloadavg()[0]
