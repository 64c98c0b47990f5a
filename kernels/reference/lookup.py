"""From strings to their places in a list of distinct ones: by hash, each candidate compared byte by byte."""

from typing import Any

import numpy as np

from .hashing import hash_strings

Array = np.ndarray[Any, Any]


def index(data: Array, offsets: Array) -> tuple[Array, Array]:
    """What :func:`find` needs of the distinct strings of an Arrow layout: their hashes, sorted, and whose each is.

    Args:
        data: uint8, all bytes.
        offsets: int64 (n + 1,), where each string begins; the last is where the last ends.
    """
    hashes = hash_strings(data, offsets)
    order = np.argsort(hashes, kind="stable")
    return hashes[order], order


def find(known: tuple[Array, Array], data: Array, offsets: Array, wanted: Array, wanted_offsets: Array) -> Array:
    """The place of each wanted string among those of `data` and `offsets`, which were indexed; -1 where it is not.

    Returns:
        int64 (wanted,).

    >>> words = np.frombuffer(b"abcd", "u1"), np.array([0, 1, 3, 4])  # a, bc, d
    >>> find(index(*words), *words, np.frombuffer(b"bcx", "u1"), np.array([0, 2, 3])).tolist()
    [1, -1]
    """
    hashes, order = known
    found = np.full(len(wanted_offsets) - 1, -1, np.int64)
    if not len(hashes):
        return found
    looked = hash_strings(wanted, wanted_offsets)
    at = np.searchsorted(hashes, looked)
    some = np.arange(len(found))
    while len(some):  # further rounds only for hashes that several strings share
        inside = at[some] < len(hashes)
        some = some[inside]
        some = some[hashes[at[some]] == looked[some]]
        place = order[at[some]]
        same = _same(data, offsets, place, wanted, wanted_offsets, some)
        found[some[same]] = place[same]
        some = some[~same]
        at[some] += 1
    return found


def _same(data: Array, offsets: Array, left: Array, wanted: Array, wanted_offsets: Array, right: Array) -> Array:
    sizes = offsets[left + 1] - offsets[left]
    same = np.asarray(sizes == wanted_offsets[right + 1] - wanted_offsets[right])
    some = np.flatnonzero(same)
    for byte in range(int(sizes[some].max(initial=0))):
        some = some[sizes[some] > byte]
        differ = data[offsets[left[some]] + byte] != wanted[wanted_offsets[right[some]] + byte]
        same[some[differ]] = False
        some = some[~differ]
    return same
