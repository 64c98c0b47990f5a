"""Exact sums and sums of squares in Numba. Same names, signatures and results as `gpupipe.kernels.reference.exact`.

Slices are cut in `cut`, which is compiled as written; the sums around it are exact, so LLVM may reorder and
vectorise them.
"""

from functools import lru_cache

import numpy as np

from ..reference.exact import ROWS, magic_of, pairs_of, units_of, width_of
from .jit import kernel, part, summing

_LIMIT, _SUM_LIMIT = 2.0**52, 2.0**51  # as in the reference
_MASK = 0xFFFF_FFFF


@part
def cut(x, magic):
    return (x + magic) - magic


@part
def without(x, slice_of_it):
    return x - slice_of_it


@part
def _add(totals, tile, per_unit):
    """The sums of one tile, in whole units, to the totals."""
    for place in range(len(totals)):
        totals[place] += np.int64(tile[place] * per_unit[place])


@summing
def _squares_of_two(values, magic, per_unit, totals, tile, wrong):
    for first in range(0, len(values), ROWS):
        sa = sb = aa = ab = bb = left = 0.0
        for row in range(first, min(first + ROWS, len(values))):
            x = np.float64(values[row])
            a = cut(x, magic[0])
            x = without(x, a)
            b = cut(x, magic[1])
            left += abs(without(x, b))
            sa += a
            sb += b
            aa += a * a
            ab += a * b
            bb += b * b
        if aa * per_unit[2] < _LIMIT and left == 0.0:
            tile[0], tile[1], tile[2], tile[3], tile[4] = sa, sb, aa, ab, bb
            _add(totals, tile, per_unit)
        else:
            wrong[first // ROWS] = True


@summing
def _squares_of_three(values, magic, per_unit, totals, tile, wrong):
    for first in range(0, len(values), ROWS):
        sa = sb = sc = aa = ab = bb = ac = bc = cc = left = 0.0
        for row in range(first, min(first + ROWS, len(values))):
            x = np.float64(values[row])
            a = cut(x, magic[0])
            x = without(x, a)
            b = cut(x, magic[1])
            x = without(x, b)
            c = cut(x, magic[2])
            left += abs(without(x, c))
            sa += a
            sb += b
            sc += c
            aa += a * a
            ab += a * b
            bb += b * b
            ac += a * c
            bc += b * c
            cc += c * c
        if aa * per_unit[3] < _LIMIT and left == 0.0:
            tile[0], tile[1], tile[2], tile[3], tile[4], tile[5] = sa, sb, sc, aa, ab, bb
            tile[6], tile[7], tile[8] = ac, bc, cc
            _add(totals, tile, per_unit)
        else:
            wrong[first // ROWS] = True


@summing
def _squares_of_four(values, magic, per_unit, totals, tile, wrong):
    for first in range(0, len(values), ROWS):
        sa = sb = sc = sd = aa = ab = bb = ac = bc = cc = ad = bd = cd = dd = left = 0.0
        for row in range(first, min(first + ROWS, len(values))):
            x = np.float64(values[row])
            a = cut(x, magic[0])
            x = without(x, a)
            b = cut(x, magic[1])
            x = without(x, b)
            c = cut(x, magic[2])
            x = without(x, c)
            d = cut(x, magic[3])
            left += abs(without(x, d))
            sa += a
            sb += b
            sc += c
            sd += d
            aa += a * a
            ab += a * b
            bb += b * b
            ac += a * c
            bc += b * c
            cc += c * c
            ad += a * d
            bd += b * d
            cd += c * d
            dd += d * d
        if aa * per_unit[4] < _LIMIT and left == 0.0:
            tile[0], tile[1], tile[2], tile[3], tile[4], tile[5], tile[6] = sa, sb, sc, sd, aa, ab, bb
            tile[7], tile[8], tile[9], tile[10], tile[11], tile[12], tile[13] = ac, bc, cc, ad, bd, cd, dd
            _add(totals, tile, per_unit)
        else:
            wrong[first // ROWS] = True


@summing
def _sums_of_two(values, magic, per_unit, totals, tile, wrong):
    for first in range(0, len(values), ROWS):
        sa = sb = size = left = 0.0
        for row in range(first, min(first + ROWS, len(values))):
            x = np.float64(values[row])
            a = cut(x, magic[0])
            x = without(x, a)
            b = cut(x, magic[1])
            left += abs(without(x, b))
            sa += a
            sb += b
            size += abs(a)
        if size * per_unit[0] < _SUM_LIMIT and left == 0.0:
            tile[0], tile[1] = sa, sb
            _add(totals, tile, per_unit)
        else:
            wrong[first // ROWS] = True


@part
def squares_of(slices, values, magic, per_unit, totals, tile, wrong):
    """Add the sums of all tiles that are exact on a grid of 2 to 4 slices, and of their squares; mark the others."""
    if slices == 2:
        _squares_of_two(values, magic, per_unit, totals, tile, wrong)
    elif slices == 3:
        _squares_of_three(values, magic, per_unit, totals, tile, wrong)
    else:
        _squares_of_four(values, magic, per_unit, totals, tile, wrong)


@kernel
def _tile_sums(squares, values, magic, per_unit, totals, tile, wrong):
    if squares:
        squares_of(len(magic), values, magic, per_unit, totals, tile, wrong)
    else:
        _sums_of_two(values, magic, per_unit, totals, tile, wrong)


@lru_cache(maxsize=512)
def constants(low, slices, squares):
    """What rounds to each slice, and what makes sums of slices, then of products, count their units."""
    units = units_of(low, slices, squares)
    per_unit = [1 / unit for unit in units]
    if squares:
        per_unit += [1 / units[i] / units[j] for i, j in pairs_of(slices)]
    return np.array(magic_of(low, slices, squares)), np.array(per_unit)


def tile_sums(values, low, slices, squares, totals):
    """As the reference says."""
    wrong = np.zeros(-(-len(values) // ROWS), bool)
    _tile_sums(squares, values, *constants(low, slices, squares), totals, np.empty(len(totals)), wrong)
    return np.flatnonzero(wrong)


@kernel
def _by_group(values, groups, magic, per_unit, limit, squares, totals, off, whole):
    slices = len(magic)
    count = 0
    for row in range(len(values)):
        x = values[row]
        on_grid = True
        for place in range(slices):
            cut = (x + magic[place]) - magic[place]
            x -= cut
            on_grid &= abs(cut) * per_unit[place] <= limit
            whole[place] = np.int64(cut * per_unit[place]) if on_grid else 0
        if not on_grid or x != 0.0:
            off[count] = row
            count += 1
            continue
        target = totals[groups[row]]
        for place in range(slices):
            target[place] += whole[place]
        if squares:
            for i in range(slices):
                target[slices + 2 * i] += whole[i] * whole[i]
                for j in range(i + 1, slices):
                    target[slices + i + j] += 2 * whole[i] * whole[j]
    return count


def group_sums(values, groups, low, slices, squares, totals):
    """As the reference says."""
    off = np.empty(len(values), np.int64)
    magic, per_unit = constants(low, slices, squares)
    limit, whole = 2.0 ** width_of(squares), np.zeros(slices, np.int64)
    count = _by_group(values, groups, magic, per_unit, limit, squares, totals, off, whole)
    return off[:count]


@part
def _digits_of(size, shift, digits):
    """size * 2^shift in three digits."""
    digits[0] = (size << shift) & _MASK
    digits[1] = (size >> (32 - shift)) & _MASK
    digits[2] = (size >> 32) >> (32 - shift)


@part
def _product(a, b, n_a, n_b, result):
    """result = a * b, in digits."""
    result[:] = 0
    for i in range(n_a):
        carry = np.uint64(0)
        for j in range(n_b):
            carry += result[i + j] + a[i] * b[j]
            result[i + j] = carry & _MASK
            carry >>= np.uint64(32)
        result[i + n_b] = carry


@kernel
def _add_digits(whole, exponents, times, groups, base, squares, totals, one, two, product, often):
    for row in range(len(whole)):
        value = whole[row]
        if value == 0:
            continue
        _digits_of(np.uint64(-value if value < 0 else value), np.uint64(exponents[row] & 31), one)
        count, place = 3, exponents[row] >> 5
        for number in range(3):
            two[number] = one[number]
        if squares:
            _product(one, one, 3, 3, two)
            count, place = 6, 2 * place
        if len(times):
            often[0], often[1] = np.uint64(times[row]) & np.uint64(_MASK), np.uint64(times[row]) >> np.uint64(32)
            _product(two, often, count, 2, product)
            count += 2
            for number in range(count):
                two[number] = product[number]
        negative = value < 0 and not squares
        for number in range(count):
            if two[number]:
                digit = np.int64(two[number])
                totals[place - base + number, groups[row]] += -digit if negative else digit


def digit_sums(whole, exponents, times, groups, base, squares, totals):
    """As the reference says."""
    often = np.zeros(0, np.int64) if times is None else times
    digits = [np.zeros(size, np.uint64) for size in (3, 8, 8, 2)]
    _add_digits(whole, exponents, often, groups, base, squares, totals, *digits)
