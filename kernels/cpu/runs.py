"""Parquet's runs (its "RLE / bit-packed hybrid"): which rows are null, and the indices into a dictionary."""

import numpy as np

from .jit import part
from .unaligned import byte_at, put_byte, put_word4, put_word8, word8_at

_ONES = np.uint64(0x0101010101010101)
_EACH = np.uint64(0x8040201008040201)
_SEVENS = np.uint64(0x7F7F7F7F7F7F7F7F)


@part
def run_header(at, end):
    """(what the header of a run says, where the run begins); (-1, at) where there is none in time."""
    found, shift = np.int64(0), 0
    while at < end and shift < 35:
        octet = np.int64(byte_at(at, 0))
        at += 1
        found |= (octet & 127) << shift
        if octet < 128:
            return found, at
        shift += 7
    return np.int64(-1), at


@part
def fill_byte(address, value, count):
    """One byte, `count` times."""
    for k in range(count):
        put_byte(address, k, np.uint8(value))


@part
def spread_bits(source, target, count):
    """`count` bits to a byte each; gives how many are set."""
    every = count >> 3
    total = np.uint64(0)
    for k in range(every):
        bits = ((np.uint64(byte_at(source, k)) * _ONES & _EACH) + _SEVENS) >> np.uint64(7) & _ONES
        put_word8(target, 8 * k, bits)
        total += bits * _ONES >> np.uint64(56)
    for k in range(every << 3, count):
        bit = byte_at(source, k >> 3) >> np.uint8(k & 7) & np.uint8(1)
        put_byte(target, k, bit)
        total += np.uint64(bit)
    return np.int64(total)


@part
def all_ones(address, size, count):
    """Whether the first run says `count` ones and nothing is left to say: the levels of a page without nulls."""
    header, begin = run_header(address, address + size)
    if header < 0 or header & 1 or header >> 1 < count or begin >= address + size:
        return False
    return byte_at(begin, 0) == 1


@part
def spread_levels(address, size, target, count):
    """`count` levels of one bit to a byte each; gives how many are 1, or -1 where they are damaged."""
    at, end, done, ones = address, address + size, 0, 0
    while done < count:
        header, at = run_header(at, end)
        if header < 0:
            return -1
        left = count - done
        if header & 1:
            run = min((header >> 1) * 8, left)
            if header >> 1 > end - at:
                return -1
            ones += spread_bits(at, target + done, run)
            at += header >> 1
        else:
            run = min(header >> 1, left)
            if at >= end or byte_at(at, 0) > 1:
                return -1
            fill_byte(target + done, byte_at(at, 0), run)
            ones += run if byte_at(at, 0) else 0
            at += 1
        done += run
    return ones


@part
def _few_bytes(at, end):
    """Up to 8 bytes, little-endian, those beyond the end 0."""
    found = np.uint64(0)
    for k in range(min(np.int64(8), end - at)):
        found |= np.uint64(byte_at(at, k)) << np.uint64(8 * k)
    return found


@part
def _unpack_eights(at, width, target, eights):
    """8 * `eights` numbers of up to 16 bits, 8 at a time: they lie in one word of 8 bytes, or in two; the largest."""
    mask = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    top = np.uint64(0)
    if width <= 8:
        for group in range(eights):
            word = word8_at(at, group * width)
            for k in range(8):
                found = word >> np.uint64(k * width) & mask
                put_word4(target, 32 * group + 4 * k, np.uint32(found))
                top = max(top, found)
    else:
        skipped = np.uint64(4 * width & 7)
        for group in range(eights):
            first = word8_at(at, group * width)
            second = word8_at(at, group * width + (width >> 1)) >> skipped
            for k in range(4):
                found, other = first >> np.uint64(k * width) & mask, second >> np.uint64(k * width) & mask
                put_word4(target, 32 * group + 4 * k, np.uint32(found))
                put_word4(target, 32 * group + 16 + 4 * k, np.uint32(other))
                top = max(top, max(found, other))
    return np.uint32(top)


@part
def _unpack(at, end, width, target, count):
    """`count` numbers of `width` bits each to 4 bytes each; gives the largest."""
    mask = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    top = np.uint32(0)
    words = end - at - 8  # where the last word of 8 bytes that is whole begins
    begin = 0
    if width <= 16:
        eights = max(min(count >> 3, (words - width) // max(width, 1)), 0)
        top = _unpack_eights(at, width, target, eights)
        begin = 8 * eights
    quick = max(min(count, (words * 8 + 7) // max(width, 1)), begin) if words >= 0 else begin
    for k in range(begin, quick):
        bit = k * width
        found = np.uint32(word8_at(at, bit >> 3) >> np.uint64(bit & 7) & mask)
        put_word4(target, 4 * k, found)
        top = max(top, found)
    for k in range(quick, count):
        bit = k * width
        found = np.uint32(_few_bytes(at + (bit >> 3), end) >> np.uint64(bit & 7) & mask)
        put_word4(target, 4 * k, found)
        top = max(top, found)
    return top


@part
def _fill_word(target, value, count):
    for k in range(count):
        put_word4(target, 4 * k, value)


@part
def unpack_runs(address, size, width, target, count, limit):
    """`count` numbers of `width` bits below `limit` to 4 bytes each; gives whether that went well."""
    at, end, done = address, address + size, 0
    octets = (width + 7) >> 3
    while done < count:
        header, at = run_header(at, end)
        if header < 0:
            return False
        left = count - done
        if header & 1:
            run = min((header >> 1) * 8, left)
            if (header >> 1) * width > end - at:
                return False
            top = np.int64(_unpack(at, end, width, target + 4 * done, run))
            at += (header >> 1) * width
        else:
            run = min(header >> 1, left)
            if octets > end - at:
                return False
            top = np.int64(_few_bytes(at, at + octets))
            _fill_word(target + 4 * done, np.uint32(top), run)
            at += octets
        if run and top >= limit:
            return False
        done += run
    return True
