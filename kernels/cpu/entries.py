"""Rows of a dictionary in one pass: as `gpupipe.kernels.reference.entries`."""

import threading
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
def _used(ids, valid, has_nulls, sets, counts, found, times):
    """Gives how many entries are used. `counts` is zero before and after."""
    size, odd = np.uint64(len(counts) // sets), np.int64(sets - 1)
    for row in range(len(ids)):
        there = np.int64(valid[row]) if has_nulls else np.int64(1)
        entry = np.uint64(ids[row] * there)
        if entry < size:
            counts[np.uint64(row & odd) * size + entry] += there
    many = 0
    for place in range(size):
        often = counts[place]
        counts[place] = 0
        if odd:
            often += counts[size + np.uint64(place)]
            counts[size + np.uint64(place)] = 0
        if often:
            found[many], times[many] = place, often
            many += 1
    return many


@kernel
def _add(counts, entries, times):
    for number in range(len(entries)):
        counts[np.uint64(entries[number])] += times[number]


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


def used(ids: Array, valid: Array | None, size: int) -> tuple[Array, Array]:
    """As of the reference."""
    sets, most = 2 if size <= _MANY else 1, min(len(ids), size)
    counters, found, times = (_room(*each) for each in (("counters", sets * size), ("found", most), ("times", most)))
    mask = _NONE if valid is None else np.ascontiguousarray(valid)
    many = _used(np.ascontiguousarray(ids), mask, valid is not None, sets, counters, found, times)
    return _copy(found[:many]), _copy(times[:many])


def _copy(array: Array) -> Array:
    made = pool.empty(len(array), array.dtype)
    made[:] = array
    return made


def add(counts: Array, entries: Array, times: Array) -> None:
    """As of the reference."""
    _add(counts, entries, times)


_ROOMS = threading.local()
_MANY = 8_192  # entries: of more, so few rows have the same that none waits for another's addition
_MOST_HELD = 2**21
_NONE = np.zeros(0, np.bool_)


def _room(name: str, size: int) -> Array:
    """int32, this thread's by that name: zero but for what its user left there; what is larger than most is new."""
    held = _ROOMS.__dict__
    if size > _MOST_HELD:
        return np.zeros(size, np.int32)
    if name not in held or len(held[name]) < size:
        held[name] = np.zeros(min(2 * size, _MOST_HELD), np.int32)
    return held[name][:size]


def taken(entries: Array, ids: Array) -> Array:
    """As of the reference; of int32 and int64."""
    found = pool.empty(len(ids), entries.dtype)
    _taken(np.ascontiguousarray(entries), np.ascontiguousarray(ids), found)
    return found
