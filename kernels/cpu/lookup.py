"""From strings to their places in a list of distinct ones, by a table of hashes with open addressing."""

from typing import Any

import numpy as np

from .hashing import hash_bytes, word
from .jit import kernel, part

Array = np.ndarray[Any, Any]


@part
def _same(data, at, wanted, first, size):
    done = 0
    while size - done >= 8:
        if word(data, at + done, 8) != word(wanted, first + done, 8):
            return False
        done += 8
    while done < size:
        if data[at + done] != wanted[first + done]:
            return False
        done += 1
    return True


@kernel
def _index(data, offsets, table):
    mask = np.uint64(len(table) - 1)
    for place in range(len(offsets) - 1):
        at = hash_bytes(data, offsets[place], offsets[place + 1], np.uint64(0)) & mask
        while table[at] >= 0:
            at = (at + np.uint64(1)) & mask
        table[at] = place


@kernel
def _find(table, data, offsets, wanted, wanted_offsets):
    mask = np.uint64(len(table) - 1)
    found = np.full(len(wanted_offsets) - 1, -1, np.int64)
    for row in range(len(found)):
        first, last = wanted_offsets[row], wanted_offsets[row + 1]
        at = hash_bytes(wanted, first, last, np.uint64(0)) & mask
        while table[at] >= 0:
            place = table[at]
            alike = offsets[place + 1] - offsets[place] == last - first
            if alike and _same(data, offsets[place], wanted, first, last - first):
                found[row] = place
                break
            at = (at + np.uint64(1)) & mask
    return found


def index(data: Array, offsets: Array) -> tuple[Array]:
    """What :func:`find` needs of the distinct strings of an Arrow layout: a table at most half full."""
    n = len(offsets) - 1
    table = np.full(2 << max(n, 1).bit_length(), -1, np.int32 if n < 2**31 else np.int64)
    _index(data, offsets, table)
    return (table,)


def find(known: tuple[Array], data: Array, offsets: Array, wanted: Array, wanted_offsets: Array) -> Array:
    """The place of each wanted string among those that were indexed, int64 (wanted,); -1 where it is not."""
    found: Array = _find(known[0], data, offsets, wanted, wanted_offsets)
    return found
