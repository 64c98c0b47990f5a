"""Rows grouped by key, in Numba, over an open-addressing hash table; as `gpupipe.kernels.reference.keyed`."""

from typing import Any

import numpy as np

from ..reference.keyed import check_ids
from .jit import kernel, part

Array = np.ndarray[Any, Any]


@part
def slot_of(first, second, mask):
    """Where a pair is looked for first: two multiplications and a fold, since keys are often small numbers."""
    mixed = (np.uint64(first) * np.uint64(0x9E3779B97F4A7C15)) ^ (np.uint64(second) * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(mask))


@part
def find(slots, firsts, seconds, first, second):
    """The slot that holds the pair's number, or the free slot where it belongs."""
    mask = slots.size - 1
    at = slot_of(first, second, mask)
    while slots[at] >= 0 and (firsts[slots[at]] != first or seconds[slots[at]] != second):
        at = (at + 1) & mask
    return at


@part
def rehashed(firsts, seconds, count, size):
    """A table of `size` slots over the first `count` pairs."""
    slots = np.full(size, -1, np.int64)
    for number in range(count):
        slots[find(slots, firsts, seconds, firsts[number], seconds[number])] = number
    return slots


@part
def grown(values):
    """The array, twice as long."""
    longer = np.empty(2 * values.size, np.int64)
    for i in range(values.size):
        longer[i] = values[i]
    return longer


@kernel
def _number_pairs(first, second, numbers):
    """Number the distinct pairs in order of appearance; how many, their firsts, seconds, counts (and room behind)."""
    slots = np.full(1024, -1, np.int64)
    firsts, seconds, counts = np.empty(512, np.int64), np.empty(512, np.int64), np.empty(512, np.int64)
    count = 0
    for i in range(first.size):
        a, b = first[i], second[i % second.size]
        at = find(slots, firsts, seconds, a, b)
        if slots[at] < 0:
            if count == firsts.size:
                firsts, seconds, counts = grown(firsts), grown(seconds), grown(counts)
                slots = rehashed(firsts, seconds, count, 2 * slots.size)
                at = find(slots, firsts, seconds, a, b)
            slots[at] = count
            firsts[count], seconds[count], counts[count] = a, b, 0
            count += 1
        counts[slots[at]] += 1
        numbers[i] = slots[at]
    return count, firsts, seconds, counts


@kernel
def _lookup(keys, table, zeros, out):
    size = 1024
    while size < 2 * table.size:
        size *= 2
    slots = rehashed(table, zeros, table.size, size)
    for i in range(keys.size):
        out[i] = slots[find(slots, table, zeros, keys[i], 0)]


@kernel
def _count(ids, out):
    for i in range(ids.size):
        if ids[i] >= 0:
            out[ids[i]] += 1


@kernel
def _sum(ids, values, out):
    for i in range(ids.size):
        if ids[i] >= 0:
            out[ids[i]] += values[i]


@kernel
def _least(ids, values, sign, out):
    for i in range(ids.size):
        value = sign * values[i]
        if ids[i] >= 0 and (value < out[ids[i]] or value != value):
            out[ids[i]] = value


def _ints(values: Array) -> Array:
    return np.array(values, dtype=np.int64, order="C", copy=None if values.flags.writeable else True)


def _floats(values: Array) -> Array:
    return np.array(values, dtype=np.float64, order="C", copy=None if values.flags.writeable else True)


def factorize(keys: Array) -> tuple[Array, Array]:
    """Each key's position among the distinct keys, and these, ascending; both int64."""
    keys = _ints(np.asarray(keys))
    numbers = np.empty(len(keys), dtype=np.int64)
    count, uniques, _, _ = _number_pairs(keys, np.zeros(1, dtype=np.int64), numbers)
    uniques = uniques[:count]
    order = np.argsort(uniques)
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return position[numbers], uniques[order]


def lookup(keys: Array, table: Array) -> Array:
    """Each key's position in `table`, int64, ascending and distinct; -1 where it is not there."""
    out = np.empty(len(keys), dtype=np.int64)
    _lookup(_ints(keys), _ints(table), np.zeros(len(table), dtype=np.int64), out)
    return out


def keyed_count(ids: Array, n_groups: int) -> Array:
    """The number of rows of each group, int64 (n_groups,)."""
    check_ids(ids, n_groups)
    out = np.zeros(n_groups, dtype=np.int64)
    _count(_ints(ids), out)
    return out


def keyed_sum(ids: Array, values: Array, n_groups: int) -> Array:
    """The sum of each group's float64 values, added in row order from 0.0."""
    check_ids(ids, n_groups)
    out = np.zeros(n_groups)
    _sum(_ints(ids), _floats(values), out)
    return out


def keyed_min(ids: Array, values: Array, n_groups: int) -> Array:
    """The smallest of each group's float64 values; inf for an empty group, NaN where there is one, 0.0 for -0.0."""
    return _extreme(ids, values, n_groups, 1.0)


def keyed_max(ids: Array, values: Array, n_groups: int) -> Array:
    """The largest of each group's float64 values; -inf for an empty group, NaN where there is one, 0.0 for -0.0."""
    return _extreme(ids, values, n_groups, -1.0)


def _extreme(ids: Array, values: Array, n_groups: int, sign: float) -> Array:
    check_ids(ids, n_groups)
    out = np.full(n_groups, np.inf)
    _least(_ints(ids), _floats(values), sign, out)
    return np.where(np.isnan(out), np.nan, sign * out + 0.0)


def value_counts(ids: Array, values: Array) -> tuple[Array, Array, Array]:
    """How often each int64 value stands in each group: (ids, values, counts), int64, ordered by id, then value."""
    numbers = np.empty(len(ids), dtype=np.int64)
    count, *pairs = _number_pairs(_ints(ids), _ints(values), numbers)
    first, second, counts = (part[:count] for part in pairs)
    order = np.lexsort((second, first))
    order = order[first[order] >= 0]
    return first[order], second[order], counts[order]
