"""The pages of a Parquet column chunk, found by their headers (Thrift's compact protocol): where each one's bytes are.

Nothing here trusts what it reads: every byte is looked for inside the chunk, every length held against what is left,
and a header that says anything unusual ends the walk. What was read so far stands in a table of one row a page.
"""

from typing import Any

import numpy as np

from .jit import kernel, part
from .unaligned import byte_at

Array = np.ndarray[Any, Any]

#: Columns of the table of pages: the kind of page, its values' encoding, its values (those of null rows too, or the
#: entries of a dictionary), the encoding of its levels, where its bytes begin in the chunk, how many they are there and
#: decompressed, and of version 2 the bytes of levels before the values, and whether the values are compressed.
KIND, ENCODING, VALUES, LEVELS, BEGIN, STORED, SIZE, LEVEL_BYTES, COMPRESSED, REPEATED, WIDTH = range(11)
#: Kinds of pages.
DATA, INDEX, DICTIONARY, DATA_2 = range(4)

_MOST = 2**31 - 1
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _STRUCT = 0, 1, 2, 3, 4, 5, 6, 7, 8, 12


@part
def _number(at):
    """An unsigned varint at the cursor `at` (position, end, whether all went well); 0 where there is none."""
    found, shift = np.uint64(0), 0
    while at[0] < at[1] and shift < 64:
        octet = byte_at(at[0], 0)
        at[0] += 1
        found |= np.uint64(octet & 127) << np.uint64(shift)
        if octet < 128:
            return found
        shift += 7
    at[2] = 0
    return np.uint64(0)


@part
def _signed(at):
    """A zigzag varint."""
    found = _number(at)
    return np.int64(found >> np.uint64(1)) ^ -np.int64(found & np.uint64(1))


@part
def _count(at, kind):
    """A 32-bit number, which must be one and not negative."""
    found = _signed(at) if kind == _I32 else np.int64(-1)
    if found < 0 or found > _MOST:
        at[2] = 0
        return np.int64(0)
    return found


@part
def _field(at, last):
    """(number, kind) of the next field of a structure; kind 0 ends it, and so does whatever is not well."""
    if at[0] >= at[1]:
        at[2] = 0
    if at[2] == 0:
        return np.int64(0), np.int64(0)
    octet = np.int64(byte_at(at[0], 0))
    at[0] += 1
    number = last + (octet >> 4)
    if octet != 0 and octet >> 4 == 0:
        number = _signed(at)
    if octet != 0 and (octet & 15 == 0 or number <= 0 or number > 64):
        at[2] = 0
    return number, octet & 15 if at[2] else np.int64(0)


@part
def _skip(at, kind):
    """Past a field that is no structure."""
    if kind == _BYTE:
        at[0] += 1
    elif kind == _DOUBLE:
        at[0] += 8
    elif kind in (_I16, _I32, _I64):
        _number(at)
    elif kind == _BINARY:
        size = _number(at)
        if size > np.uint64(_MOST):
            at[2] = 0
        else:
            at[0] += np.int64(size)
    elif kind != _TRUE and kind != _FALSE:
        at[2] = 0
    if at[0] > at[1]:
        at[2] = 0


@part
def _skip_structure(at):
    """Past a structure that holds no other: statistics, of which nothing is needed."""
    number = np.int64(0)
    while True:
        number, kind = _field(at, number)
        if kind == _STOP:
            return
        _skip(at, kind)


@part
def _details(at, kind, row):
    """The structure of a page of one kind into its row; not well where a number that it must hold is not there."""
    number, there = np.int64(0), 0
    second = kind == DATA_2
    needed = 2 if kind == DICTIONARY else 6 if second else 4  # the first so many fields are numbers
    while True:
        number, sort = _field(at, number)
        if sort == _STOP:
            break
        if number <= needed:
            found = _count(at, sort)
            there |= 1 << number
            if number == 1:
                row[VALUES] = found
            elif number == (4 if second else 2):
                row[ENCODING] = found
            elif number == 3 and not second:
                row[LEVELS] = found
            elif number == 5:
                row[LEVEL_BYTES] = found
            elif number == 6:
                row[REPEATED] = found
        elif sort == _STRUCT:
            _skip_structure(at)
        elif number == 7 and second:
            row[COMPRESSED] = 1 if sort == _TRUE else 0
            at[2] &= sort in (_TRUE, _FALSE)
        else:
            _skip(at, sort)
    if there != (2 << needed) - 2:
        at[2] = 0


@part
def _header(at, row):
    """One page header into its row."""
    row[:] = -1
    row[COMPRESSED] = 1
    number, seen = np.int64(0), -1
    while True:
        number, sort = _field(at, number)
        if sort == _STOP:
            break
        if number == 1:
            row[KIND] = _count(at, sort)
        elif number == 2:
            row[SIZE] = _count(at, sort)
        elif number == 3:
            row[STORED] = _count(at, sort)
        elif sort == _STRUCT and (number == 5 or number == 7 or number == 8):
            seen = DATA if number == 5 else DICTIONARY if number == 7 else DATA_2
            _details(at, seen, row)
        elif sort == _STRUCT:
            _skip_structure(at)
        else:
            _skip(at, sort)
    _check(at, row, seen)


@part
def _check(at, row, seen):
    """Not well unless all is there that a page of its kind needs."""
    lacking = row[KIND] != seen or row[VALUES] < 0 or row[ENCODING] < 0 or row[SIZE] < 0 or row[STORED] < 0
    if seen == DATA_2:
        lacking |= row[LEVEL_BYTES] < 0 or row[REPEATED] != 0
        lacking |= row[LEVEL_BYTES] > min(row[SIZE], row[STORED])
    if lacking or at[0] + row[STORED] > at[1]:
        at[2] = 0


@kernel
def _pages(address, size, table, spare, at):
    at[0], at[1], at[2] = address, address + size, 1
    found = 0
    while at[0] < at[1]:
        row = table[found] if found < len(table) else spare
        _header(at, row)
        if at[2] == 0 or 12 * found > size:
            return -1
        row[BEGIN] = at[0] - address
        at[0] += row[STORED]
        found += 1
    return found


def pages(address: int, size: int) -> Array | None:
    """The pages of a chunk of `size` bytes at `address`: int64 of shape (pages, WIDTH); None: it is damaged, or odd.

    A page takes a dozen bytes or more; where there seem to be more of them than that, they are odd too.
    """
    table, spare, at = np.empty((64, WIDTH), np.int64), np.empty(WIDTH, np.int64), np.empty(3, np.int64)
    found = _pages(address, size, table, spare, at)
    if found > len(table):
        table = np.empty((found, WIDTH), np.int64)
        found = _pages(address, size, table, spare, at)
    return None if found < 0 else table[:found]


#: Those that Python calls.
KERNELS = (_pages,)
