"""Places by a table, and what stands there, in one pass: as `gpupipe.kernels.reference.places`."""

from typing import Any

import numpy as np

from ... import pool
from .jit import kernel

Array = np.ndarray[Any, Any]

_NO_PARTS = np.zeros(0, np.int64)


@kernel
def _find(table, numbers, low, found):
    size = np.uint64(len(table) - 2)
    for row in range(len(numbers)):
        number = numbers[row] - low
        found[row] = table[number + 1] if np.uint64(number) < size else -1


@kernel
def _find_both(table, first, second, size, found):
    most = len(table) - 2
    for row in range(len(first)):
        both = first[row] * size + second[row]
        inside = (first[row] >= 0) & (second[row] >= 0) & (both < most)
        found[row] = table[both + 1] if inside else -1


@kernel
def _taken(values, places, parts, height, found, seen):
    """Gives how many have no place."""
    has_parts, missing = len(parts) > 0, 0
    for row in range(len(places)):
        place = places[row]
        there = place >= 0
        if has_parts:
            place += parts[row] * height
        found[row] = values[place if there else 0]
        seen[row] = there
        missing += not there
    return missing


@kernel
def _mark(numbers, low, present):
    for row in range(len(numbers)):
        present[numbers[row] - low] = True


@kernel
def _mark_pairs(first, second, size, present, both):
    for row in range(len(first)):
        if (first[row] >= 0) & (second[row] >= 0):
            both[row] = first[row] * size + second[row]
            present[both[row]] = True
        else:
            both[row] = -1


@kernel
def _ranked(numbers, low, rank_of, found):
    for row in range(len(numbers)):
        number = numbers[row] - low
        found[row] = rank_of[number] if number >= 0 else -1


def find(table: Array, numbers: Array, low: int) -> Array:
    """As of the reference."""
    found = pool.empty(len(numbers), np.int64)
    _find(table, np.ascontiguousarray(numbers), int(low), found)
    return found


def find_both(table: Array, first: Array, second: Array, size: int) -> Array:
    """As of the reference."""
    found = pool.empty(len(first), np.int64)
    _find_both(table, np.ascontiguousarray(first), np.ascontiguousarray(second), int(size), found)
    return found


def taken(values: Array, places: Array, parts: Array | None, height: int) -> tuple[Array, Array | None]:
    """As of the reference."""
    values = np.ascontiguousarray(values)
    found, seen = pool.empty(len(places), values.dtype), pool.empty(len(places), np.bool_)
    if values.dtype == np.bool_:
        of, to = values.view(np.uint8), found.view(np.uint8)
    else:
        of, to = values.view(np.int64), found.view(np.int64)
    parts = _NO_PARTS if parts is None else np.ascontiguousarray(parts)
    missing = _taken(of, np.ascontiguousarray(places), parts, int(height), to, seen)
    return found, seen if missing else None


def ranks(numbers: Array, low: int, span: int) -> tuple[Array, Array]:
    """As of the reference."""
    numbers, present = np.ascontiguousarray(numbers), np.zeros(span, np.bool_)
    _mark(numbers, int(low), present)
    return _ranks_among(numbers, low, present)


def ranks_of_pairs(first: Array, second: Array, size: int, span: int) -> tuple[Array, Array]:
    """As of the reference."""
    both, present = pool.empty(len(first), np.int64), np.zeros(span, np.bool_)
    _mark_pairs(np.ascontiguousarray(first), np.ascontiguousarray(second), int(size), present, both)
    return _ranks_among(both, 0, present)


def _ranks_among(numbers: Array, low: int, present: Array) -> tuple[Array, Array]:
    found = pool.empty(len(numbers), np.int64)
    _ranked(numbers, int(low), np.cumsum(present) - 1, found)
    return found, np.flatnonzero(present) + low
