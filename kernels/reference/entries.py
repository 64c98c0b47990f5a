"""Rows of a dictionary: how many have each of its entries, and what stands for the entry of each."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def counted(ids: Array, valid: Array | None, size: int) -> Array:
    """int64 of shape (size,): how many rows have each entry.

    Args:
        ids: int32 of shape (n,), the entry of each row that counts, and anything in the others. What is no entry
            counts for none.
        valid: bool of shape (n,), which rows count; None: all do.

    >>> counted(np.array([0, 2, 9], np.int32), np.array([True, True, False]), 3).tolist()
    [1, 0, 1]
    """
    used = ids if valid is None else ids[valid]
    if len(used) and not 0 <= used.min() <= used.max() < size:
        used = used[(used >= 0) & (used < size)]
    return np.bincount(used, minlength=size).astype(np.int64, copy=False)


def taken(entries: Array, ids: Array) -> Array:
    """What stands in `entries`, of which there is at least one, for each row; the first for what is below 0, the last
    for what is beyond.

    >>> taken(np.array([5, 6]), np.array([1, 0, -3, 7], np.int32)).tolist()
    [6, 5, 5, 6]
    """
    return entries.take(ids, mode="clip")
