"""Distinct strings, and from strings to their places in a list of distinct ones, by tables with open addressing.

A string has a *mark* of 64 bits. Up to eight bytes of it are the mark, stirred so that no two become one, and nothing
else need be looked at; strings of one mark that are longer are compared.

Anyone can make strings whose marks fall on one place of a table, each of which is sought at the places of all others.
So none stands farther from its own place than `REACH`, which chance does not bring about in a table half full. Where
one would, what was begun is left to Python's own table, whose hashes nobody can foresee.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from .jit import inlined, kernel, part
from .memory import eight_bytes

Array = np.ndarray[Any, Any]

_P1, _P2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
_ALL, _LENGTH = np.uint64(2**64 - 1), np.uint64(56)
_LONG, _ROW = np.int32(-(2**31)), np.int32(2**31 - 1)  # the sign of a row's number: its mark is not all of it
REACH = 255  # places that a string may be away from its own; of a million by chance about 40
_BUCKET = 4096  # strings that are brought together: their tables stay in the nearest cache
_MOST_BUCKETS = 9  # bits of their number: as many places can be written to in turn
_NO_MASK, _NO_TIMES, _NO_IDS = np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, np.int32)


@part
def _stirred(x):
    x = (x ^ (x >> np.uint64(32))) * _P1
    x = (x ^ (x >> np.uint64(29))) * _P2
    return x ^ (x >> np.uint64(32))


@part
def _last_bytes(data, at, size):
    word = np.uint64(0)
    for byte in range(size):
        word |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
    return word


@part
def _long_mark(data, first, size):
    found = np.uint64(size) * _P2
    while size > 8:
        found = (found ^ _stirred(eight_bytes(data, first))) * _P1
        found ^= found >> np.uint64(29)
        first += 8
        size -= 8
    return _stirred((found ^ _last_bytes(data, first, size)) * _P1)


@inlined
def _mark(data, first, size):
    """(the mark, whether the string must be compared besides: it is longer than 8, or ends as if in a length)."""
    if size > 8:
        mark, is_long = _long_mark(data, first, size), True
    else:
        if first <= len(data) - 8 and size > 0:
            word = eight_bytes(data, first) & (_ALL >> np.uint64(64 - 8 * size))
        else:
            word = _last_bytes(data, first, size)
        is_long = size == 8 and (word >> _LENGTH) < np.uint64(8)
        mark = _stirred(word | (np.uint64(size) << _LENGTH) if size < 8 else word)
    return mark, is_long


@part
def _same(data, first, wanted, begin, size):
    done = 0
    while size - done >= 8:
        if eight_bytes(data, first + done) != eight_bytes(wanted, begin + done):
            return False
        done += 8
    while done < size:
        if data[first + done] != wanted[begin + done]:
            return False
        done += 1
    return True


@kernel
def _index(data, offsets, table, most):
    """How far from its own place a string came to stand at most; -1: one would beyond `most`."""
    mask, farthest = np.uint64(len(table) - 1), 0
    for place in range(len(offsets) - 1):
        first, away = offsets[place], 0
        mark, is_long = _mark(data, first, offsets[place + 1] - first)
        at = mark & mask
        while table[at, 1] != 0:
            if away == most:
                return -1
            at = (at + np.uint64(1)) & mask
            away += 1
        farthest = max(farthest, away)
        table[at, 0], table[at, 1] = mark, (np.uint64(place + 1) << np.uint64(1)) | np.uint64(is_long)
    return farthest


@kernel
def _find(table, farthest, data, offsets, wanted, wanted_offsets, found):
    """Gives how many places were looked at."""
    mask, looked = np.uint64(len(table) - 1), 0
    for row in range(len(found)):
        first = wanted_offsets[row]
        size = wanted_offsets[row + 1] - first
        mark, is_long = _mark(wanted, first, size)
        at, away = mark & mask, 0
        found[row] = -1
        while away <= farthest and table[at, 1] != 0:
            away += 1
            if table[at, 0] == mark and (table[at, 1] & np.uint64(1)) == np.uint64(is_long):
                place = np.int64(table[at, 1] >> np.uint64(1)) - 1
                begin = offsets[place]
                alike = not is_long or offsets[place + 1] - begin == size
                if alike and (not is_long or _same(data, begin, wanted, first, size)):
                    found[row] = place
                    break
            at = (at + np.uint64(1)) & mask
        looked += away
    return looked


@kernel
def _marks(data, offsets, valid, bits, marks, rows, sizes):
    """The marks and numbers of valid rows, how many of them there are in each bucket; gives how many there are."""
    has_nulls, many, shift = len(valid) > 0, 0, np.uint64(63 - bits)
    for row in range(len(offsets) - 1):
        if has_nulls and not valid[row]:
            continue
        first = offsets[row]
        mark, is_long = _mark(data, first, offsets[row + 1] - first)
        marks[many] = mark
        rows[many] = np.int32(row) | (_LONG if is_long else np.int32(0))
        sizes[(mark >> np.uint64(1)) >> shift] += 1
        many += 1
    return many


@kernel
def _together(marks, rows, bits, starts, by_bucket, its_rows):
    """Those of one bucket side by side, in the order of rows. Moves `starts` on to the ends."""
    shift = np.uint64(63 - bits)
    for number in range(len(by_bucket)):
        mark = marks[number]
        bucket = (mark >> np.uint64(1)) >> shift
        at = starts[bucket]
        starts[bucket] = at + 1
        by_bucket[at], its_rows[at] = mark, rows[number]


@part
def _same_rows(data, offsets, one, other):
    first, begin = offsets[one & _ROW], offsets[other & _ROW]
    size = offsets[(one & _ROW) + 1] - first
    return offsets[(other & _ROW) + 1] - begin == size and _same(data, first, data, begin, size)


@part
def _of_bucket(marks, rows, data, offsets, times, table, kept, firsts, counts, ids, base):
    """The distinct strings of one bucket, numbered from `base` on; gives how many, -1 if one is beyond `REACH`."""
    size, many = 16, 0
    while size < 2 * len(marks):
        size *= 2
    mask = np.uint64(size - 1)
    table[:size] = 0
    for number in range(len(marks)):
        mark, row = marks[number], rows[number]
        often = times[row & _ROW] if len(times) > 0 else 1
        slot, away = mark & mask, 0
        while table[slot] != 0:
            if away > REACH:
                return -1
            away += 1
            place = table[slot] - 1
            if kept[place] == mark:
                first = firsts[place]
                if (first ^ row) >= 0 and (row >= 0 or _same_rows(data, offsets, first, row)):
                    break
            slot = (slot + np.uint64(1)) & mask
        if table[slot] == 0:
            kept[many], firsts[many], counts[many] = mark, row, 0
            many += 1
            table[slot] = many
        place = table[slot] - 1
        counts[place] += often
        if len(ids) > 0:
            ids[row & _ROW] = base + place
    return many


@kernel
def _each_bucket(marks, rows, starts, data, offsets, times, table, kept, firsts, counts, ids):
    found = 0
    for bucket in range(len(starts) - 1):
        first, last = starts[bucket], starts[bucket + 1]
        many = _of_bucket(
            marks[first:last], rows[first:last], data, offsets, times, table, kept, firsts[found:], counts[found:],
            ids, found,
        )  # fmt: skip
        if many < 0:
            return -1
        found += many
    for place in range(found):
        firsts[place] &= _ROW
    return found


def index(data: Array, offsets: Array) -> tuple[Any, int]:
    """What :func:`find` needs of the distinct strings of an Arrow layout: a table at most half full, and how far from
    its own place a string stands there at most; or Python's table and -1."""
    table = np.zeros((2 << max(len(offsets) - 1, 1).bit_length(), 2), np.uint64)
    farthest = _index(data, offsets, table, REACH)
    if farthest < 0:
        return {text: place for place, text in enumerate(_texts(data, offsets))}, -1
    return table, farthest


def find(known: tuple[Any, int], data: Array, offsets: Array, wanted: Array, wanted_offsets: Array) -> Array:
    """The place of each wanted string among those that were indexed, int64 (wanted,); -1 where it is not."""
    table, farthest = known
    if farthest < 0:
        return np.array([table.get(text, -1) for text in _texts(wanted, wanted_offsets)], np.int64)
    found = np.empty(len(wanted_offsets) - 1, np.int64)
    _find(table, farthest, data, offsets, wanted, wanted_offsets, found)
    return found


def _texts(data: Array, offsets: Array) -> list[bytes]:
    whole = data.tobytes()
    return [whole[first:last] for first, last in pairwise(offsets.tolist())]


def distinct(
    data: Array, offsets: Array, valid: Array | None = None, times: Array | None = None, ids: Array | None = None
) -> tuple[Array, Array]:
    """The distinct strings of an Arrow layout of less than 2^31, in some order that is the same for the same strings.

    Args:
        valid: bool (n,), False where a string counts for nothing; None: nowhere.
        times: int64 (n,), how often each counts; None: once.
        ids: int32 (n,), which gets the number of each string that counts.

    Returns:
        (int32, the first row of each, int64, how often it occurs).

    >>> firsts, counts = distinct(np.frombuffer(b"abca", "u1"), np.array([0, 1, 3, 4]), None, np.array([1, 2, 4]))
    >>> sorted(zip(firsts.tolist(), counts.tolist()))
    [(0, 5), (1, 2)]
    """
    size = len(offsets) - 1
    bits = min((size // _BUCKET).bit_length(), _MOST_BUCKETS)
    marks, rows, starts = np.empty(size, np.uint64), np.empty(size, np.int32), np.zeros((1 << bits) + 1, np.int64)
    many = _marks(data, offsets, _NO_MASK if valid is None else valid, bits, marks, rows, starts[1:])
    most = int(starts.max())
    np.cumsum(starts, out=starts)
    if bits:
        alone, apart = marks, rows
        marks, rows = np.empty(many, np.uint64), np.empty(many, np.int32)
        _together(alone, apart, bits, starts[:-1].copy(), marks, rows)
    firsts, counts = np.empty(many, np.int32), np.empty(many, np.int64)
    found = _each_bucket(
        marks, rows, starts, data, offsets, _NO_TIMES if times is None else times, np.empty(4 * most + 16, np.int32),
        np.empty(most, np.uint64), firsts, counts, _NO_IDS if ids is None else ids,
    )  # fmt: skip
    return _by_python(data, offsets, valid, times, ids) if found < 0 else (firsts[:found], counts[:found])


def _by_python(
    data: Array, offsets: Array, valid: Array | None, times: Array | None, ids: Array | None
) -> tuple[Array, Array]:
    """What :func:`distinct` gives, in the order of the first rows."""
    numbers: dict[bytes, int] = {}
    kept = np.arange(len(offsets) - 1) if valid is None else np.flatnonzero(valid)
    texts = _texts(data, offsets)
    of_kept = np.array([numbers.setdefault(texts[row], len(numbers)) for row in kept.tolist()], np.int64)
    counts = np.zeros(len(numbers), np.int64)
    np.add.at(counts, of_kept, 1 if times is None else times[kept])
    if ids is not None:
        ids[kept] = of_kept
    firsts = np.full(len(numbers), len(offsets), np.int64)
    np.minimum.at(firsts, of_kept, kept)
    return firsts.astype(np.int32), counts
