"""How the kernels here are compiled: without fast-math, so that LLVM neither contracts nor reorders; GIL released.

Compiled code is kept on disk: in NUMBA_CACHE_DIR if that is set, else in this folder's __pycache__, else (a read-only
installation) in the user's cache folder. Where none of them can be written, code is compiled anew in each process.
Numba looks only at the file of the kernel itself to see whether its cache is stale, so the name of each kernel carries
a digest of every source that may be compiled into it.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ... import optional

numba = optional.load("numba")


def _digest_of_sources() -> str:
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *sorted(here.parent.glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


_DIGEST = _digest_of_sources()


def part(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call: no Python entry, not cached by itself."""
    options = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(fastmath=False, **options)(function)  # said, or it would take its caller's rules


def inlined(function: Callable[..., Any]) -> Any:
    """The same, but made part of its one caller before types are inferred: less to compile for a mere switch."""
    return numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, inline="always")(
        function
    )


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, and keep the code on disk where that can be done."""
    function.__qualname__ = f"{function.__qualname__}_{_DIGEST}"
    try:
        return numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # no folder to cache in
        return numba.njit(nogil=True, error_model="numpy")(function)


def summing(function: Callable[..., Any]) -> Any:
    """A kernel in which LLVM may add in any order: only where every sum is exact, so that the order cannot show.

    What must round as written stands in a `part`, whose operations keep their own rules where they are inlined.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "nsz", "contract"}}
    function.__qualname__ = f"{function.__qualname__}_{_DIGEST}"
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to cache in
        return numba.njit(**options)(function)
