"""What is there: device, driver, packages, which imports work and how long they take."""

import importlib.metadata
import platform
import subprocess
import sys
from typing import Any

from .report import Record, load

PACKAGES = [
    "numpy",
    "pandas",
    "pyarrow",
    "numba",
    "numba-cuda",
    "cupy-cuda13x",
    "cupy-cuda12x",
    "cudf-cu13",
    "cudf-cu12",
    "pylibcudf-cu13",
    "cuml-cu13",
    "cuml-cu12",
    "nvforest-cu13",
    "rmm-cu13",
    "dask-cudf-cu13",
    "dask-cuda",
    "dask",
    "distributed",
    "xgboost",
    "scikit-learn",
    "treelite",
    "cuda-core",
    "cuda-bindings",
]
IMPORTS = [
    "cupy",
    "numba.cuda",
    "rmm",
    "pylibcudf",
    "cudf",
    "dask_cudf",
    "dask_cuda",
    "cuml",
    "nvforest",
    "xgboost",
    "treelite",
]
TIMED_IMPORT = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"


def run(record: Record, rows: int) -> None:
    """Record the facts of this machine."""
    record.put("python", platform.python_version())
    record.put("packages", {name: version(name) for name in PACKAGES if version(name)})
    record.attempt("driver", driver)
    record.attempt("device", device)
    for name in IMPORTS:
        record.attempt(f"import {name}, s", lambda name=name: timed_import(name))  # type: ignore[misc]


def version(package: str) -> str | None:
    """Installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def timed_import(name: str) -> float:
    """Seconds of one import in a new process; its error otherwise."""
    code = TIMED_IMPORT.format(name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90)
    if done.returncode:
        raise ImportError(done.stderr[-1000:])
    return float(done.stdout.split()[-1])


def driver() -> str:
    """Name, memory and driver as nvidia-smi gives them."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def device() -> dict[str, Any]:
    """Properties of device 0."""
    runtime = load("cupy").cuda.runtime
    p = runtime.getDeviceProperties(0)
    return {
        "name": p["name"].decode(),
        "multiprocessors": p["multiProcessorCount"],
        "memory_bytes": p["totalGlobalMem"],
        "l2_bytes": p["l2CacheSize"],
        "shared_bytes_block": p["sharedMemPerBlockOptin"],
        "clock_khz": p.get("clockRate"),
        "capability": f"{p['major']}.{p['minor']}",
        "driver_cuda": runtime.driverGetVersion(),
        "runtime_cuda": runtime.runtimeGetVersion(),
    }
