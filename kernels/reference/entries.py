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


def used(ids: Array, valid: Array | None, size: int) -> tuple[Array, Array]:
    """(int32, the entries that some row has, ascending; int32, how many rows have each); as :func:`counted`.

    >>> [array.tolist() for array in used(np.array([2, 0, 2], np.int32), None, 5)]
    [[0, 2], [1, 2]]
    """
    counts = counted(ids, valid, size)
    found = np.flatnonzero(counts)
    return found.astype(np.int32), counts[found].astype(np.int32)


def add(counts: Array, entries: Array, times: Array) -> None:
    """Add to the counts of some entries, int64, what :func:`used` gave of further rows.

    >>> counts = np.array([5, 0, 1])
    >>> add(counts, np.array([0, 2], np.int32), np.array([1, 2], np.int32))
    >>> counts.tolist()
    [6, 0, 3]
    """
    counts[entries] += times


def taken(entries: Array, ids: Array) -> Array:
    """What stands in `entries`, of which there is at least one, for each row; the first for what is below 0, the last
    for what is beyond.

    >>> taken(np.array([5, 6]), np.array([1, 0, -3, 7], np.int32)).tolist()
    [6, 5, 5, 6]
    """
    return entries.take(ids, mode="clip")
