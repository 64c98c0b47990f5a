"""XXH64 in Numba; as `gpupipe.kernels.reference.hashing`."""

from typing import Any

import numpy as np

from ..reference.hashing import NULL_HASH, PRIME_1, PRIME_2, PRIME_3, PRIME_4, PRIME_5, canonical_bits
from .jit import kernel, part
from .memory import u1, u4, u8

Array = np.ndarray[Any, Any]

__all__ = ["NULL_HASH", "canonical_bits", "counter_uniform", "hash_float64", "hash_int64", "hash_strings", "mix"]

_P1, _P2, _P3, _P4, _P5 = (np.uint64(prime) for prime in (PRIME_1, PRIME_2, PRIME_3, PRIME_4, PRIME_5))
_MASK = 2**64 - 1


@part
def rotate(x, by):
    """`x` turned left by 0 < `by` < 64 bits."""
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))


@part
def take_lane(state, lane):
    """One 8-byte lane into the running value of a stripe."""
    return rotate(state + lane * _P2, 31) * _P1


@part
def take_eight(state, lane):
    """Eight bytes of the tail."""
    return rotate(state ^ take_lane(np.uint64(0), lane), 27) * _P1 + _P4


@part
def finish(state):
    """The final avalanche."""
    state = (state ^ (state >> np.uint64(33))) * _P2
    state = (state ^ (state >> np.uint64(29))) * _P3
    return state ^ (state >> np.uint64(32))


@part
def hash_bytes(at, size, seed):
    """XXH64 of `size` bytes at an address."""
    state, left = seed + _P5, size
    if left >= 32:
        a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while left >= 32:
            lanes = u8(at)
            a, b = take_lane(a, lanes[0]), take_lane(b, lanes[1])
            c, d = take_lane(c, lanes[2]), take_lane(d, lanes[3])
            at, left = at + 32, left - 32
        state = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)
        for lane in (a, b, c, d):
            state = (state ^ take_lane(np.uint64(0), lane)) * _P1 + _P4
    state += np.uint64(size)
    while left >= 8:
        state = take_eight(state, u8(at)[0])
        at, left = at + 8, left - 8
    if left >= 4:
        state = rotate(state ^ np.uint64(u4(at)[0]) * _P1, 23) * _P2 + _P3
        at, left = at + 4, left - 4
    for i in range(left):
        state = rotate(state ^ np.uint64(u1(at)[i]) * _P5, 11) * _P1
    return finish(state)


@kernel
def _one_lane(values, seed, out):
    for i in range(values.size):
        out[i] = finish(take_eight(seed + _P5 + np.uint64(8), values[i]))


@kernel
def _two_lanes(first, second, seed, out):
    for i in range(out.size):
        state = take_eight(seed + _P5 + np.uint64(16), first[i % first.size])
        out[i] = finish(take_eight(state, second[i]))


@kernel
def _strings(data, offsets, seed, out):
    begin = data.ctypes.data
    for i in range(out.size):
        out[i] = hash_bytes(begin + offsets[i], offsets[i + 1] - offsets[i], seed)


def hash_int64(values: Array, seed: int = 0) -> Array:
    """XXH64 of each int64; uint64 of the same shape."""
    lanes = np.array(values, dtype=np.int64, order="C").view(np.uint64)
    out = np.empty(lanes.shape, dtype=np.uint64)
    _one_lane(lanes.reshape(-1), np.uint64(seed & _MASK), out.reshape(-1))
    return out


def hash_float64(values: Array, seed: int = 0) -> Array:
    """XXH64 of each float64's canonical bits; uint64 of the same shape."""
    return hash_int64(canonical_bits(values), seed)


def _of_pairs(first: Array, second: Array, seed: int) -> Array:
    out = np.empty(second.shape, dtype=np.uint64)
    _two_lanes(first.reshape(-1), second.reshape(-1), np.uint64(seed & _MASK), out.reshape(-1))
    return out


def mix(first: Array, second: Array) -> Array:
    """One hash of two, in order: XXH64, seed 0, of the 16 bytes of `first` and then `second`, both uint64."""
    pair = np.broadcast_arrays(np.asarray(first, dtype=np.uint64), np.asarray(second, dtype=np.uint64))
    return _of_pairs(np.array(pair[0], order="C"), np.array(pair[1], order="C"), 0)


def counter_uniform(seed: int, purpose: int, ids: Array) -> Array:
    """Random uint64 that depend on seed, purpose and id alone."""
    return _of_pairs(np.array([purpose & _MASK], dtype=np.uint64), np.array(ids, dtype=np.uint64, order="C"), seed)


def hash_strings(data: Array, offsets: Array, seed: int = 0) -> Array:
    """XXH64 of each string of an Arrow layout."""
    out = np.empty(len(offsets) - 1, dtype=np.uint64)
    whole, starts = np.array(data, dtype=np.uint8), np.array(offsets, dtype=np.int64)
    _strings(whole, starts, np.uint64(seed & _MASK), out)
    return out
