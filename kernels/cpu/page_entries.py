"""The strings of Parquet's pages put together: each distinct one once, found by hash, in the order they first stand."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .jit import kernel, part
from .unaligned import byte_at, copy_bytes, fetch_soon, put_word4, word4_at, word8_at

Array = np.ndarray[Any, Any]

_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_LOW = np.uint64(2**32 - 1)
#: Places of the table looked at, for each string, before strings count as made to collide.
_MOST_PROBES = 64
#: Strings hashed before they are looked for, so that the memory of the table comes meanwhile.
_AT_ONCE = 64
#: What is kept of the strings so far: how many, and their bytes; and how many bytes the last ones were read from.
COUNT, BYTES, READ = 0, 1, 2


@part
def _mixed(state, word):
    state = (state ^ word) * _FIRST
    return state ^ (state >> _HALF)


@part
def _hash(at, size):
    """A hash of a string's bytes: only whether two are equal is asked of it, in this process."""
    state = _SECOND * np.uint64(size + 1)
    while size >= 8:
        state = _mixed(state, word8_at(at, 0))
        at += 8
        size -= 8
    if size >= 4:
        state = _mixed(state, np.uint64(word4_at(at, 0)) | np.uint64(word4_at(at, size - 4)) << _HALF)
    elif size:
        few = np.uint64(byte_at(at, 0)) | np.uint64(byte_at(at, size >> 1)) << np.uint64(8)
        state = _mixed(state, few | np.uint64(byte_at(at, size - 1)) << np.uint64(16))
    return _mixed(state, _SECOND)


@part
def _same(left, right, size):
    while size >= 8:
        if word8_at(left, 0) != word8_at(right, 0):
            return False
        left += 8
        right += 8
        size -= 8
    same = True
    for k in range(size):
        same &= byte_at(left, k) == byte_at(right, k)
    return same


@part
def _identity(at, size, found, table, ends, data, state):
    """(the number of a string, new or not; the places of the table looked at).

    Up to 8 bytes a string and its hash tell each other, the length given; longer ones are compared.
    """
    mask = np.uint64(len(table) - 1)
    slot, probes = found & mask, 0
    named = np.uint64(size) << _HALF
    while table[slot, 1] != 0 and probes < 4096:
        probes += 1
        if table[slot, 0] == found and (table[slot, 1] >> _HALF << _HALF) == named:
            number = np.int64(table[slot, 1] & _LOW) - 1
            if size <= 8 or _same(data + np.int64(ends[number]), at, size):
                return number, probes
        slot = (slot + np.uint64(1)) & mask
    if table[slot, 1] != 0:
        return np.int64(-1), probes
    number, begin = state[COUNT], state[BYTES]
    copy_bytes(at, data + begin, size)
    state[COUNT], state[BYTES] = number + 1, begin + size
    ends[number + 1] = begin + size
    table[slot, 0], table[slot, 1] = found, named | np.uint64(number + 1)
    return number, probes


@kernel
def _add(address, size, count, table, base, ends, data, state, numbers, begins, sizes, hashes):
    """Gives how many strings were taken in before the table was half full; -1: they are damaged."""
    at, end, probes = address, address + size, 0
    mask = np.uint64(len(table) - 1)
    for first in range(0, count, _AT_ONCE):
        some = min(_AT_ONCE, count - first)
        state[READ] = at - address
        if 2 * (state[COUNT] + some) > len(table):
            return first
        for k in range(some):
            length = np.int64(word4_at(at, 0)) if end - at >= 4 else size
            if length > end - at - 4:
                return -1
            begins[k], sizes[k] = at + 4, length
            hashes[k] = _hash(at + 4, length)
            fetch_soon(base + 16 * np.int64(hashes[k] & mask))
            at += 4 + length
        for k in range(some):
            number, looked = _identity(begins[k], sizes[k], hashes[k], table, ends, data, state)
            probes += looked
            if number < 0 or probes > _MOST_PROBES * (first + k + 64):
                return -1
            put_word4(numbers, 4 * (first + k), np.uint32(number))
    return count


@kernel
def _copied(address, size, count, tags, ends, data):
    """Strings one after the other; 0: damaged, 1: no two the same, 2: perhaps two."""
    at, end, filled, repeats, probes = address, address + size, np.int64(0), False, 0
    mask = np.uint64(len(tags) - 1)
    ends[0] = 0
    for number in range(count):
        length = np.int64(word4_at(at, 0)) if end - at >= 4 else size
        if length > end - at - 4:
            return 0
        found = _hash(at + 4, length)
        tag, slot = np.uint32(found >> _HALF) | np.uint32(1), found & mask
        while tags[slot] != 0 and not repeats:
            repeats = tags[slot] == tag
            slot = (slot + np.uint64(1)) & mask
            probes += 1
        repeats |= probes > _MOST_PROBES * (number + 64)
        tags[slot] = tag
        copy_bytes(at + 4, data + filled, length)
        filled += length
        ends[number + 1] = filled
        at += 4 + length
    return 2 if repeats else 1


@kernel
def _refill(table, old):
    mask = np.uint64(len(table) - 1)
    for k in range(len(old)):
        if old[k, 1] != 0:
            slot = old[k, 0] & mask
            while table[slot, 1] != 0:
                slot = (slot + np.uint64(1)) & mask
            table[slot, 0], table[slot, 1] = old[k, 0], old[k, 1]


class Entries:
    """Distinct strings, numbered in the order they were first met.

    Args:
        empty: (length, dtype) -> an array that holds anything, as `numpy.empty`.

    Attributes:
        data: uint8, the bytes of all, one after the other; more room than they need.
        ends: int32, where each begins and the last ends.
        state: int64 (3,), how many there are, and their bytes.
    """

    def __init__(self, empty: Callable[[int, Any], Array]) -> None:
        self._empty = empty
        self.data = np.empty(0, np.uint8)
        self.ends = np.zeros(1, np.int32)
        self.state = np.zeros(3, np.int64)
        self._table = np.zeros((2, 2), np.uint64)

    @property
    def count(self) -> int:
        return int(self.state[COUNT])

    @property
    def n_bytes(self) -> int:
        return int(self.state[BYTES])

    @property
    def nbytes(self) -> int:
        """The memory that they take."""
        return int(self.data.nbytes + self.ends.nbytes + self._table.nbytes)

    def add(self, address: int, size: int, count: int, numbers: Array) -> bool:
        """Take in `count` strings, a length of 4 bytes before each, from `size` bytes at `address`.

        Args:
            numbers: uint32, at least `count`: gets the number of each string.

        Gives whether they were whole; they are not either where their bytes come to 2 GiB with those before.
        """
        if 4 * count > size or self.n_bytes + size >= 2**31:
            return False
        self._reserve(count, size - 4 * count)
        scratch = [np.empty(_AT_ONCE, dtype) for dtype in (np.int64, np.int64, np.uint64)]
        at, end, taken = address, address + size, 0
        self._widen(count)  # those of a dictionary are no two the same; how many of them are new is not known
        while taken < count:
            self._widen(self.count + min(_AT_ONCE, count - taken))
            some = _add(
                at, end - at, count - taken, self._table, self._table.ctypes.data, self.ends, self.data.ctypes.data,
                self.state, numbers.ctypes.data + 4 * taken, *scratch,
            )  # fmt: skip
            if some < 0:
                return False
            at, taken = at + int(self.state[READ]), taken + some
        return True

    def copy(self, address: int, size: int, count: int) -> bool:
        """Take in strings to which no others come; gives whether they are whole, and no two the same.

        Where it gives False, nothing is taken in: :meth:`add` tells what they are.
        """
        if 4 * count > size or size >= 2**31:
            return False
        ends, data = self._empty(count + 1, np.int32), self._empty(size - 4 * count, np.uint8)
        tags = self._empty(1 << (2 * count).bit_length(), np.uint32)
        tags.fill(0)
        if _copied(address, size, count, tags, ends, data.ctypes.data) != 1:
            return False
        self.ends, self.data = ends, data
        self.state[:2] = count, ends[count]
        return True

    def _reserve(self, count: int, n_bytes: int) -> None:
        wanted = self.count + count
        if wanted >= len(self.ends):
            self.ends = self._longer(self.ends, max(wanted, 2 * self.count) + 1, self.count + 1)
        if self.n_bytes + n_bytes > len(self.data):
            self.data = self._longer(self.data, max(self.n_bytes + n_bytes, 2 * self.n_bytes), self.n_bytes)

    def _widen(self, wanted: int) -> None:
        """Have a table that is at most half full of so many strings."""
        if 2 * wanted > len(self._table):
            old, self._table = self._table, self._empty(2 << (2 * wanted - 1).bit_length(), np.uint64).reshape(-1, 2)
            self._table.fill(0)
            _refill(self._table, old)

    def _longer(self, array: Array, length: int, kept: int) -> Array:
        found = self._empty(length, array.dtype)
        found[:kept] = array[:kept]
        return found


#: Those that Python calls.
KERNELS = (_add, _copied, _refill)
