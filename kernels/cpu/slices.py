"""The exact sums of a tile of float32 values and of their squares, added to digits of 32 bits that are not yet carried.

From the least and the greatest size among the values of a tile it is known how far the last bits of one lie below the
first of the other. Values are so cut into the fewest slices of 42 bits (one, if they span no more), their squares,
which float64 holds as they are, into two slices for each of these. Sums of slices over a tile round nothing. Tiles that
span more than 84 bits are added value by value.
"""

import numpy as np

from .exact import cut, without
from .jit import part, summing
from .memory import f4, float_of, u4

#: Digits of a sum and of a sum of squares, and what the first of them counts: 2^(32 base).
SUM_DIGITS, SUM_BASE = 11, -5
SQUARE_DIGITS, SQUARE_BASE = 21, -10
_SLICE = 42  # bits: sums of 2,048 slices stay below 2^53
_SIZE = 0x7FFF_FFFF
_MASK = 0xFFFF_FFFF


@part
def _power(exponent):
    """2^exponent, of a normal float64."""
    return float_of((exponent + 1023) << 52)


@part
def _magic(unit):
    """What, added and taken away again, rounds to whole units of 2^unit."""
    return 1.5 * _power(unit + 52)


@summing
def _in_one(tile, w, magic):
    """The sum of the values, and of both slices of their squares."""
    x = f4(tile)
    total = high = low = 0.0
    for i in range(w):
        value = np.float64(x[i])
        square = value * value
        first = cut(square, magic)
        total += value
        high += first
        low += without(square, first)
    return total, high, low


@summing
def _in_two(tile, w, of_value, first, second, third):
    """The sums of both slices of the values, and of the four of their squares."""
    x = f4(tile)
    high = low = a = b = c = d = 0.0
    for i in range(w):
        value = np.float64(x[i])
        left = value * value
        upper = cut(value, of_value)
        high += upper
        low += without(value, upper)
        part_of_it = cut(left, first)
        a += part_of_it
        left = without(left, part_of_it)
        part_of_it = cut(left, second)
        b += part_of_it
        left = without(left, part_of_it)
        part_of_it = cut(left, third)
        c += part_of_it
        d += without(left, part_of_it)
    return high, low, a, b, c, d


@part
def _put(digits, whole, unit):
    """whole * 2^unit, 2^unit being no less than what the first digit counts."""
    at, shift = unit >> 5, unit & 31
    above = whole >> (32 - shift)
    digits[at] += (whole << shift) & _MASK
    digits[at + 1] += above & _MASK
    digits[at + 2] += above >> 32


@part
def _put_slice(digits, value, unit, base):
    """A sum of slices of so many units."""
    _put(digits, np.int64(value * _power(-unit)), unit - 32 * base)


@part
def _put_each(tile, w, sums, squares):
    """Each value of a tile by itself."""
    x = u4(tile)
    for i in range(w):
        bits = np.int64(x[i])
        exponent, whole = (bits & _SIZE) >> 23, bits & 0x7F_FFFF
        if exponent:
            whole, exponent = whole + 0x80_0000, exponent - 1
        unit = exponent - 149
        _put(sums, -whole if bits >> 31 else whole, unit - 32 * SUM_BASE)
        _put(squares, whole * whole, 2 * unit - 32 * SQUARE_BASE)


@part
def _unit_of(size):
    """The last bit that a float32 of these bits, without their sign, may have."""
    return max(size >> 23, 1) - 150


@part
def add_tile(tile, w, greatest, least, sums, squares):
    """The sums of a tile of finite values, whose greatest and least size but 0 (less 1) are these."""
    if greatest == 0:
        return
    top, last = _unit_of(greatest) + 24, _unit_of(least + 1)  # all sizes are below 2^top
    if top - last <= _SLICE:
        unit = 2 * top - _SLICE
        total, high, low = _in_one(tile, w, _magic(unit))
        _put_slice(sums, total, last, SUM_BASE)
        _put_slice(squares, high, unit, SQUARE_BASE)
        _put_slice(squares, low, 2 * last, SQUARE_BASE)
    elif top - last <= 2 * _SLICE:
        of_value, first, second = top - _SLICE, 2 * top - _SLICE, 2 * (top - _SLICE)
        third = max(2 * top - 3 * _SLICE, 2 * last)
        high, low, a, b, c, d = _in_two(tile, w, _magic(of_value), _magic(first), _magic(second), _magic(third))
        _put_slice(sums, high, of_value, SUM_BASE)
        _put_slice(sums, low, last, SUM_BASE)
        _put_slice(squares, a, first, SQUARE_BASE)
        _put_slice(squares, b, second, SQUARE_BASE)
        _put_slice(squares, c, third, SQUARE_BASE)
        _put_slice(squares, d, 2 * last, SQUARE_BASE)
    else:
        _put_each(tile, w, sums, squares)
