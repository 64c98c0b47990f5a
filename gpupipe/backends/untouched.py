"""New memory for a matrix, in small pages.

NumPy asks for huge pages where an array is large. On a virtual machine whose host takes back what is free, the first
touch of a huge page then costs several times that of the small ones it is made of: 2.3 to 3.4 s of a processor for a
matrix of 2 GB, 0.7 to 0.9 in small pages (2-core AMD EPYC; two threads). A matrix is written once, from top to bottom.
"""

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

import numpy as np

from gpupipe.columns import Values

_NO_HUGE_PAGES = 15  # MADV_NOHUGEPAGE of Linux
_LEAST = 4 * 2**20  # from here on NumPy asks for huge pages


def untouched(shape: tuple[int, ...], dtype: Any = np.float32) -> Values:
    """As ``numpy.empty``: a C-ordered array that holds anything.

    >>> untouched((3, 2)).shape
    (3, 2)
    """
    made = np.empty(shape, dtype)
    advise = _advise()
    if made.nbytes >= _LEAST and advise is not None:
        page, at = mmap.PAGESIZE, made.ctypes.data
        first, last = -(-at // page) * page, (at + made.nbytes) // page * page
        advise(first, last - first, _NO_HUGE_PAGES)  # a wish: whether it is granted shows in time alone
    return made


@cache
def _advise() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function
