"""XXH64, vectorised: hashes of numbers and strings, of pairs, and counter-based random numbers.

Numbers are hashed as their 8 little-endian bytes, strings as their UTF-8 bytes, so any XXH64 gives the same values.
All arithmetic is modulo 2^64. Seeds are any int, taken modulo 2^64.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

PRIME_1, PRIME_2, PRIME_3 = 11400714785074694791, 14029467366897019727, 1609587929392839161
PRIME_4, PRIME_5 = 9650029242287828579, 2870177450012600261
_MASK = 2**64 - 1


def _u8(value: int) -> np.uint64:
    return np.uint64(value & _MASK)


_P1, _P2, _P3, _P4, _P5 = (_u8(prime) for prime in (PRIME_1, PRIME_2, PRIME_3, PRIME_4, PRIME_5))


def _rotate(x: Array, by: int) -> Array:
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))


def _round(state: Array | np.uint64, lane: Array) -> Array:
    return _rotate(state + lane * _P2, 31) * _P1


def _take_eight(state: Array | np.uint64, lane: Array) -> Array:
    return _rotate(state ^ _round(np.uint64(0), lane), 27) * _P1 + _P4


def _finish(state: Array) -> Array:
    state = (state ^ (state >> np.uint64(33))) * _P2
    state = (state ^ (state >> np.uint64(29))) * _P3
    return state ^ (state >> np.uint64(32))


def hash_int64(values: Array, seed: int = 0) -> Array:
    """XXH64 of each int64; uint64 of the same shape.

    >>> hash_int64(np.array([0, 1])).tolist()
    [3803688792395291579, 11468921228449061269]
    """
    lanes = np.ascontiguousarray(values, dtype=np.int64).view(np.uint64)
    return _finish(_take_eight(_u8(seed + PRIME_5 + 8), lanes))


def canonical_bits(values: Array) -> Array:
    """The bits of float64 as int64, -0.0 as 0.0 and every NaN as one.

    >>> canonical_bits(np.array([-0.0, 1.0])).tolist()
    [0, 4607182418800017408]
    """
    values = np.ascontiguousarray(values, dtype=np.float64) + 0.0
    return np.where(values == values, values, np.nan).view(np.int64)


def hash_float64(values: Array, seed: int = 0) -> Array:
    """XXH64 of each float64's canonical bits; uint64 of the same shape.

    >>> bool(np.equal(*hash_float64(np.array([0.0, -0.0]))))
    True
    """
    return hash_int64(canonical_bits(values), seed)


def mix(first: Array, second: Array) -> Array:
    """One hash of two, in order: XXH64, seed 0, of the 16 bytes of `first` and then `second`, both uint64.

    >>> mix(np.array([1], "u8"), np.array([2], "u8")).tolist() == mix(np.array([2], "u8"), np.array([1], "u8")).tolist()
    False
    """
    return _two_lanes(0, np.asarray(first, dtype=np.uint64), np.asarray(second, dtype=np.uint64))


def _two_lanes(seed: int, first: Array, second: Array) -> Array:
    return _finish(_take_eight(_take_eight(_u8(seed + PRIME_5 + 16), first), second))


def counter_uniform(seed: int, purpose: int, ids: Array) -> Array:
    """Random uint64, uniform, that depend on seed, purpose and id alone: XXH64 with this seed of the 16 bytes of
    `purpose` and the id. Streams of different purposes are independent.

    >>> counter_uniform(7, 1, np.arange(2, dtype="u8")).dtype
    dtype('uint64')
    """
    ids = np.asarray(ids, dtype=np.uint64)
    return _two_lanes(seed, np.full(ids.shape, purpose & _MASK, dtype=np.uint64), ids)


def after_purpose(seed: int, purpose: int) -> np.uint64:
    """The state of `counter_uniform` before it takes in the id."""
    with np.errstate(over="ignore"):
        return np.uint64(_take_eight(_u8(seed + PRIME_5 + 16), np.array([purpose & _MASK], np.uint64))[0])


def folds_of(purpose: int, ids: Array, folds: int) -> Array:
    """`counter_uniform` of seed 0 modulo `folds`: int64 of the same shape.

    >>> folds_of(1, np.arange(4, dtype="u8"), 5).dtype
    dtype('int64')
    """
    return (counter_uniform(0, purpose, ids) % np.uint64(folds)).astype(np.int64)


def hash_strings(data: Array, offsets: Array, seed: int = 0) -> Array:
    """XXH64 of each string of an Arrow layout.

    Args:
        data: uint8, all bytes.
        offsets: int64 (n + 1,), where each string begins; the last is where the last ends.
        seed: any int.

    Returns:
        uint64 (n,).

    >>> [hex(value) for value in hash_strings(np.frombuffer(b"abc", "u1"), np.array([0, 0, 3])).tolist()]
    ['0xef46db3751d8e999', '0x44bc2cf5ad770999']
    """
    at = np.array(offsets[:-1], dtype=np.int64)
    size = np.asarray(offsets[1:], dtype=np.int64) - at
    padded = np.concatenate([np.asarray(data, dtype=np.uint8), np.zeros(8, dtype=np.uint8)])
    left = size.copy()
    state = _stripes(padded, at, left, seed) + size.astype(np.uint64)
    while (some := np.flatnonzero(left >= 8)).size:
        state[some] = _take_eight(state[some], _read(padded, at[some], 8))
        at[some], left[some] = at[some] + 8, left[some] - 8
    some = np.flatnonzero(left >= 4)
    state[some] = _rotate(state[some] ^ _read(padded, at[some], 4) * _P1, 23) * _P2 + _P3
    at[some], left[some] = at[some] + 4, left[some] - 4
    while (some := np.flatnonzero(left)).size:
        state[some] = _rotate(state[some] ^ _read(padded, at[some], 1) * _P5, 11) * _P1
        at[some], left[some] = at[some] + 1, left[some] - 1
    return _finish(state)


def _read(padded: Array, at: Array, size: int) -> Array:
    """`size` bytes at each position, little-endian, as uint64."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)
    return windows[at].view(f"<u{size}")[:, 0].astype(np.uint64)


def _stripes(padded: Array, at: Array, left: Array, seed: int) -> Array:
    """The state after all whole stripes of 32 bytes; moves `at` and `left` on."""
    state = np.full(len(at), _u8(seed + PRIME_5))
    some = np.flatnonzero(left >= 32)
    if not some.size:
        return state
    starts = (seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1)
    lanes = [np.full(len(at), _u8(start)) for start in starts]
    going = some
    while going.size:
        for number, lane in enumerate(lanes):
            lane[going] = _round(lane[going], _read(padded, at[going] + 8 * number, 8))
        at[going], left[going] = at[going] + 32, left[going] - 32
        going = going[left[going] >= 32]
    total = sum((_rotate(lane[some], by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)), np.uint64(0))
    for lane in lanes:
        total = (total ^ _round(np.uint64(0), lane[some])) * _P1 + _P4
    state[some] = total
    return state
