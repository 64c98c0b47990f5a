"""XXH64 of strings, one after the other: the same as in `gpupipe.kernels.reference.hashing`."""

from typing import Any

import numpy as np

from ... import pool
from ..reference.hashing import PRIME_1, PRIME_2, PRIME_3, PRIME_4, PRIME_5, after_purpose
from .jit import kernel, part
from .memory import eight_bytes

Array = np.ndarray[Any, Any]

_P1, _P2, _P3, _P4, _P5 = (np.uint64(prime) for prime in (PRIME_1, PRIME_2, PRIME_3, PRIME_4, PRIME_5))
_MASK = 2**64 - 1


@part
def _rotate(x, by):
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))


@part
def _four_bytes(data, at):
    word = np.uint64(0)
    for byte in range(4):
        word |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
    return word


@part
def _round(state, lane):
    return _rotate(state + lane * _P2, 31) * _P1


@part
def _merged(total, lane):
    return (total ^ _round(np.uint64(0), lane)) * _P1 + _P4


@part
def hash_bytes(data, first, last, seed):
    """XXH64 of the bytes from `first` to `last`."""
    at, size = first, last - first
    if size >= 32:
        one, two, three, four = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while last - at >= 32:
            one = _round(one, eight_bytes(data, at))
            two = _round(two, eight_bytes(data, at + 8))
            three = _round(three, eight_bytes(data, at + 16))
            four = _round(four, eight_bytes(data, at + 24))
            at += 32
        state = _rotate(one, 1) + _rotate(two, 7) + _rotate(three, 12) + _rotate(four, 18)
        state = _merged(_merged(_merged(_merged(state, one), two), three), four)
    else:
        state = seed + _P5
    state += np.uint64(size)
    while last - at >= 8:
        state = _rotate(state ^ _round(np.uint64(0), eight_bytes(data, at)), 27) * _P1 + _P4
        at += 8
    if last - at >= 4:
        state = _rotate(state ^ _four_bytes(data, at) * _P1, 23) * _P2 + _P3
        at += 4
    while at < last:
        state = _rotate(state ^ np.uint64(data[at]) * _P5, 11) * _P1
        at += 1
    state = (state ^ (state >> np.uint64(33))) * _P2
    state = (state ^ (state >> np.uint64(29))) * _P3
    return state ^ (state >> np.uint64(32))


@kernel
def _hash_strings(data, offsets, seed, hashes):
    for row in range(len(hashes)):
        hashes[row] = hash_bytes(data, offsets[row], offsets[row + 1], seed)


def hash_strings(data: Array, offsets: Array, seed: int = 0) -> Array:
    """XXH64 of each string of an Arrow layout: uint8 bytes, int64 offsets (n + 1,); uint64 (n,)."""
    found = np.empty(len(offsets) - 1, np.uint64)
    _hash_strings(data, offsets, np.uint64(seed & _MASK), found)
    return found


@kernel
def _folds(ids, state, folds, found):
    for row in range(len(ids)):
        hashed = _rotate(state ^ _round(np.uint64(0), ids[row]), 27) * _P1 + _P4
        hashed = (hashed ^ (hashed >> np.uint64(33))) * _P2
        hashed = (hashed ^ (hashed >> np.uint64(29))) * _P3
        found[row] = np.int64((hashed ^ (hashed >> np.uint64(32))) % folds)


def folds_of(purpose: int, ids: Array, folds: int) -> Array:
    """`counter_uniform` of seed 0 modulo `folds`: int64 of shape (n,)."""
    found = pool.empty(len(ids), np.int64)
    _folds(np.ascontiguousarray(ids, np.uint64), after_purpose(0, purpose), np.uint64(folds), found)
    return found
