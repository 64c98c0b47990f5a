"""The values of Parquet's data pages, a row each: numbers, and a number for each index into a dictionary.

Of text, that number is the identity of a distinct string. A row that is null gets 0.
"""

from typing import Any

import numpy as np

from .jit import kernel, part
from .runs import all_ones, fill_byte, spread_bits, spread_levels, unpack_runs
from .unaligned import (
    byte_at,
    put_byte,
    put_word4,
    put_word8,
    spread_sixteen,
    spreads_sixteen,
    word4_at,
    word8_at,
)

Array = np.ndarray[Any, Any]

#: Columns of the table of data pages that are decompressed: where levels stand and how many bytes they are (-1: before
#: the values, their length before them), where values stand and how many bytes, the rows, and the encoding.
LEVELS_AT, LEVELS_SIZE, VALUES_AT, VALUES_SIZE, ROWS, ENCODING, PLACES = range(7)
#: Encodings.
PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY = 0, 2, 3, 8
#: What is kept while the pages of a partition are decoded: its rows so far, and whether one was null.
ROW, SOME_NULL = 0, 1


@part
def page_levels(page, optional, valid, state):
    """(rows of the page that are not null, where its values begin, their bytes); -1 where it is damaged.

    `valid` (the address of a byte a row of the partition) is not written to before a row is null.
    """
    values, size, rows, begin = page[VALUES_AT], page[VALUES_SIZE], page[ROWS], state[ROW]
    if not optional:
        return rows, values, size
    levels, n_levels = page[LEVELS_AT], page[LEVELS_SIZE]
    if n_levels < 0:
        n_levels = np.int64(word4_at(values, 0)) if size >= 4 else size
        if n_levels > size - 4:
            return np.int64(-1), values, size
        levels, values, size = values + 4, values + 4 + n_levels, size - 4 - n_levels
    if all_ones(levels, n_levels, rows):
        if state[SOME_NULL]:
            fill_byte(valid + begin, 1, rows)
        return rows, values, size
    found = spread_levels(levels, n_levels, valid + begin, rows)
    if 0 <= found < rows and not state[SOME_NULL]:
        fill_byte(valid, 1, begin)
        state[SOME_NULL] = 1
    return found, values, size


@part
def _lay4(out, source, row, rows, found, valid):
    """Numbers of 4 bytes that stand side by side to their rows, 0 to the others.

    Multiplied, not chosen: LLVM would make a choice a branch, which nulls here and there mislead.
    """
    if found == rows:
        for i in range(rows):
            put_word4(out, 4 * (row + i), word4_at(source, 4 * i))
        return
    i, k = 0, 0
    if spreads_sixteen():
        while i + 16 <= rows:
            k += spread_sixteen(out + 4 * (row + i), source + 4 * k, valid + row + i)
            i += 16
    while k < found:
        has = byte_at(valid, row + i)
        put_word4(out, 4 * (row + i), np.uint32(word4_at(source, 4 * k) * has))
        k += has
        i += 1
    for rest in range(i, rows):
        put_word4(out, 4 * (row + rest), np.uint32(0))


@part
def _lay8(out, source, row, rows, found, valid):
    """The same of 8 bytes."""
    if found == rows:
        for i in range(rows):
            put_word8(out, 8 * (row + i), word8_at(source, 8 * i))
        return
    i, k = 0, 0
    while k < found:
        has = byte_at(valid, row + i)
        put_word8(out, 8 * (row + i), word8_at(source, 8 * k) * np.uint64(has))
        k += has
        i += 1
    for rest in range(i, rows):
        put_word8(out, 8 * (row + rest), np.uint64(0))


@part
def _look_up4(out, indices, row, rows, found, valid, entries):
    """The entries of 4 bytes that indices name to their rows, 0 to the others."""
    if found == rows:
        for i in range(rows):
            put_word4(out, 4 * (row + i), word4_at(entries, 4 * np.int64(word4_at(indices, 4 * i))))
        return
    i, k = 0, 0
    while k < found:
        has = byte_at(valid, row + i)
        entry = word4_at(entries, 4 * np.int64(word4_at(indices, 4 * k)))
        put_word4(out, 4 * (row + i), np.uint32(entry * has))
        k += has
        i += 1
    for rest in range(i, rows):
        put_word4(out, 4 * (row + rest), np.uint32(0))


@part
def _look_up8(out, indices, row, rows, found, valid, entries):
    """The same of 8 bytes."""
    if found == rows:
        for i in range(rows):
            put_word8(out, 8 * (row + i), word8_at(entries, 8 * np.int64(word4_at(indices, 4 * i))))
        return
    i, k = 0, 0
    while k < found:
        has = byte_at(valid, row + i)
        entry = word8_at(entries, 8 * np.int64(word4_at(indices, 4 * k)))
        put_word8(out, 8 * (row + i), entry * np.uint64(has))
        k += has
        i += 1
    for rest in range(i, rows):
        put_word8(out, 8 * (row + rest), np.uint64(0))


@part
def _indices(at, size, page, found, entries, n_entries, wide, out, valid, row, scratch):
    """The rows of a page of indices, or without `entries` the indices themselves; gives whether all were in range."""
    rows = page[ROWS]
    width = np.int64(byte_at(at, 0)) if size else np.int64(99)
    straight = entries == 0 and found == rows
    target = out + 4 * row if straight else scratch
    if width > 32 or not unpack_runs(at + 1, size - 1, width, target, found, n_entries):
        return False
    if straight:
        return True
    if entries == 0:
        _lay4(out, scratch, row, rows, found, valid)
    elif wide:
        _look_up8(out, scratch, row, rows, found, valid, entries)
    else:
        _look_up4(out, scratch, row, rows, found, valid, entries)
    return True


@kernel
def _numbers(places, optional, wide, entries, n_entries, out, valid, state, scratch):
    for number in range(len(places)):
        page = places[number]
        row, rows = state[ROW], page[ROWS]
        found, at, size = page_levels(page, optional, valid, state)
        if found < 0:
            return 0
        if page[ENCODING] != PLAIN and size and byte_at(at, 0) > 32:
            return 0
        if found and page[ENCODING] != PLAIN:
            if not _indices(at, size, page, found, entries, n_entries, wide, out, valid, row, scratch):
                return 0
        elif found * (8 if wide else 4) > size:
            return 0
        elif wide:
            _lay8(out, at, row, rows, found, valid)
        else:
            _lay4(out, at, row, rows, found, valid)
        state[ROW] += rows
    return 1


@kernel
def _booleans(places, optional, out, valid, state, scratch):
    for number in range(len(places)):
        page = places[number]
        row, rows = state[ROW], page[ROWS]
        found, at, size = page_levels(page, optional, valid, state)
        if found < 0:
            return 0
        if page[ENCODING] == RLE:
            n_runs = np.int64(word4_at(at, 0)) if size >= 4 else size
            if n_runs > size - 4 or spread_levels(at + 4, n_runs, scratch, found) < 0:
                return 0
        else:
            if (found + 7) >> 3 > size:
                return 0
            spread_bits(at, scratch, found)
        k = 0
        for i in range(rows):
            has = found == rows or byte_at(valid, row + i) != 0
            put_byte(out, row + i, byte_at(scratch, k) if has else np.uint8(0))
            k += has
        state[ROW] += rows
    return 1


def numbers(
    places: Array, optional: bool, entries: Array | int, out: Array, valid: Array, state: Array, scratch: Array
) -> bool:
    """Decode pages of numbers of 4 or 8 bytes; gives whether they were whole.

    Args:
        places: int64 of shape (pages, PLACES).
        optional: whether the rows of the column may be null.
        entries: the dictionary, numbers as wide as those of `out`; or how many entries there are, where the indices
            themselves are wanted.
        out: the rows of the partition.
        valid: a bool a row; not written to where no row is null.
        state: int64 (2,), where in the partition the pages begin; moved on.
        scratch: uint32, as many as a page has rows.
    """
    address, size = (0, entries) if isinstance(entries, int) else (entries.ctypes.data, len(entries))
    return bool(_numbers(
        places, optional, out.itemsize == 8, address, size, out.ctypes.data, valid.ctypes.data, state,
        scratch.ctypes.data,
    ))  # fmt: skip


def booleans(places: Array, optional: bool, out: Array, valid: Array, state: Array, scratch: Array) -> bool:
    """Decode pages of booleans, a byte each; as :func:`numbers`."""
    return bool(_booleans(places, optional, out.ctypes.data, valid.ctypes.data, state, scratch.ctypes.data))


@kernel
def _located(page, optional, scratch, state, found):
    found[0], found[1], found[2] = page_levels(page, optional, scratch, state)


def located(page: Array, optional: bool, scratch: Array) -> tuple[int, int, int]:
    """(rows of a page that are not null, or -1; the address of its values; their bytes)."""
    found = np.empty(3, np.int64)
    _located(page, optional, scratch.ctypes.data, np.array([0, 1]), found)
    return int(found[0]), int(found[1]), int(found[2])


#: Those that Python calls.
KERNELS = (_numbers, _booleans, _located)
