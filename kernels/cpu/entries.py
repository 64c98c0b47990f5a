"""Rows of a dictionary in one pass: as `gpupipe.kernels.reference.entries`."""

from typing import Any

import numpy as np

from ... import pool
from .jit import kernel

Array = np.ndarray[Any, Any]


@kernel
def _counted(ids, counts):
    # Two sets of counters: of entries that come again and again, each addition would wait for the one before.
    size = np.uint64(len(counts) // 2)
    for row in range(len(ids)):
        entry = np.uint64(ids[row])
        if entry < size:  # always, unless whoever made the dictionary broke it
            counts[np.uint64(row & 1) * size + entry] += 1
    for place in range(size):
        counts[place] += counts[size + np.uint64(place)]


@kernel
def _counted_valid(ids, valid, counts):
    size = np.uint64(len(counts) // 2)
    for row in range(len(ids)):
        there = np.int64(valid[row])  # multiplied by, since a branch that nulls here and there mislead costs more
        entry = np.uint64(ids[row] * there)
        if entry < size:
            counts[np.uint64(row & 1) * size + entry] += there
    for place in range(size):
        counts[place] += counts[size + np.uint64(place)]


@kernel
def _taken(entries, ids, found):
    last = np.int64(len(entries) - 1)
    for row in range(len(ids)):
        at = np.int64(ids[row])
        at = at if at > 0 else np.int64(0)
        found[row] = entries[np.uint64(at if at < last else last)]


def counted(ids: Array, valid: Array | None, size: int) -> Array:
    """As of the reference."""
    counts = np.zeros(2 * size, np.int64)
    if valid is None:
        _counted(np.ascontiguousarray(ids), counts)
    elif size:
        _counted_valid(np.ascontiguousarray(ids), np.ascontiguousarray(valid), counts)
    return counts[:size]


def taken(entries: Array, ids: Array) -> Array:
    """As of the reference; of int32 and int64."""
    found = pool.empty(len(ids), entries.dtype)
    _taken(np.ascontiguousarray(entries), np.ascontiguousarray(ids), found)
    return found
