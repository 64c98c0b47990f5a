"""Strings of Parquet's pages that are not all in its dictionary, laid out as Arrow holds them.

A string is a word of 8 bytes first: how far from the beginning of its page it stands, and in the low half its length.
"""

from typing import Any

import numpy as np

from .jit import kernel
from .unaligned import copy_bytes, word4_at

Array = np.ndarray[Any, Any]

_HALF, _LOW = np.uint64(32), np.uint64(2**32 - 1)


@kernel
def _found(address, size, count, words):
    at = np.int64(0)
    for number in range(count):
        length = np.int64(word4_at(address, at)) if size - at >= 4 else size
        if length > size - at - 4:
            return 0
        words[number] = np.uint64(at + 4) << _HALF | np.uint64(length)
        at += 4 + length
    return 1


@kernel
def _gather(words, base, ends, first, data):
    filled = np.int64(ends[first])
    for row in range(len(words)):
        length = np.int64(words[row] & _LOW)
        copy_bytes(base + np.int64(words[row] >> _HALF), data + filled, length)
        filled += length
        ends[first + row + 1] = filled


def found(address: int, size: int, count: int) -> Array | None:
    """Where `count` strings stand in `size` bytes, a length of 4 bytes before each; uint64. None: they are damaged."""
    if 4 * count > size or size >= 2**31:
        return None
    words = np.empty(count, np.uint64)
    return words if _found(address, size, count, words) else None


def lengths(words: Array) -> int:
    """The bytes of all strings together."""
    return int((words & _LOW).sum())


def gather(words: Array, base: int, ends: Array, first: int, data: Array) -> None:
    """The strings of some rows, beyond those of rows before.

    Args:
        words: a string a row, of the page at `base`.
        ends: int32, where each row's string ends; written from `first` + 1 on.
        data: uint8, room for all.
    """
    _gather(words, base, ends, first, data.ctypes.data)


#: Those that Python calls.
KERNELS = (_found, _gather)
