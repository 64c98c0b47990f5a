"""Exact sums and sums of squares, in plain NumPy: every float operation here is one that rounds nothing.

A *grid* is a power of two, 2^low, and a number of slices. A value on the grid is cut into slices of `width` bits, each
a whole number of units: value = slice[0] 2^(low + width (slices-1)) + … + slice[-1] 2^low. Sums of slices, and of
products of two, over a tile of `ROWS` values stay below 2^53, so float64 adds them exactly in any order; sums over
tiles are int64. Nothing is looked at beforehand: a tile is exact if its first slices stayed small and nothing was left
below the last, and is else reported, to be summed on another grid, or by digits.

*Digits* are sums over groups in units of 2^32: any exponent, one value at a time.

`gpupipe.kernels.cpu.exact` has the same functions with the same results.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

ROWS = 2048  # 2^11: products of two slices of 21 bits, or slices of 42, add up to less than 2^53
TILES_AT_ONCE = 512  # whose sums, each below 2^53, fit int64 together
GROUP_ROWS = 2**18  # the same of rows by group, whose products are below 2^44
_BLOCK = 8  # tiles computed together, so that the scratch stays in cache
_MASK = np.uint64(0xFFFF_FFFF)
_SQUARES_LIMIT = 2.0**52
_SUM_LIMIT = 2.0**51  # beyond, adding the constant of `magic_of` to a negative value does not round to whole units
_ONES = np.ones(ROWS)  # a product with which adds up quicker than a sum


def width_of(squares: bool) -> int:
    """Bits of a slice: half as many where products are summed."""
    return 21 if squares else 42


def pairs_of(slices: int) -> list[tuple[int, int]]:
    """The products that make up a square, in the order of their totals.

    >>> pairs_of(2)
    [(0, 0), (0, 1), (1, 1)]
    """
    return [(i, j) for j in range(slices) for i in range(j + 1)]


def units_of(low: int, slices: int, squares: bool) -> list[float]:
    """The unit of each slice, the greatest first."""
    return [2.0 ** (low + width_of(squares) * (slices - 1 - place)) for place in range(slices)]


def magic_of(low: int, slices: int, squares: bool) -> list[float]:
    """What, added and taken away again, rounds a value to whole units of each slice."""
    return [1.5 * 2.0**52 * unit for unit in units_of(low, slices, squares)]


def n_totals(slices: int, squares: bool) -> int:
    """How many totals `tile_sums` adds to: one a slice, then one a pair of `pairs_of`."""
    return slices + (len(pairs_of(slices)) if squares else 0)


def tile_sums(values: Array, low: int, slices: int, squares: bool, totals: Array) -> Array:
    """Add the sums of slices, and of products of slices, of all tiles that are exact on this grid to `totals`.

    Args:
        values: float32 or float64 of shape (n,), n at most TILES_AT_ONCE * ROWS; the last tile may be short.
        low, slices: the grid. `low` from -500 to 400, `slices` 2 to 4 (2 without squares).
        totals: int64 of shape (n_totals,), in units of the slice, or of the product of both slices.

    Returns:
        int64, the tiles that are not exact, and were left out.
    """
    bad = []
    scratch = np.empty((slices + 1, _BLOCK * ROWS))
    with np.errstate(all="ignore"):
        for first in range(0, len(values), _BLOCK * ROWS):
            block = values[first : first + _BLOCK * ROWS]
            tiles = scratch[:, : -(-len(block) // ROWS) * ROWS]
            tiles[0, : len(block)], tiles[0, len(block) :] = block, 0.0
            parts = tiles.reshape(len(tiles), -1, ROWS)
            wrong = _add_block(parts[0], parts[1:], low, squares, totals)
            bad.append(np.flatnonzero(wrong) + first // ROWS)
    return np.concatenate(bad) if bad else np.zeros(0, np.int64)


def _add_block(rest: Array, parts: Array, low: int, squares: bool, totals: Array) -> Array:
    slices = len(parts)
    units = units_of(low, slices, squares)
    _cut(rest, magic_of(low, slices, squares), parts)
    wrong = rest.any(axis=1)
    sums = [(np.vecdot(part, _ONES), unit) for part, unit in zip(parts, units, strict=True)]
    if squares:
        sums += [(np.vecdot(parts[i], parts[j]), units[i] * units[j]) for i, j in pairs_of(slices)]
        size = sums[slices][0] / sums[slices][1]
    else:
        size = np.abs(parts[0], out=rest).sum(axis=1) / units[0]
    wrong |= ~(size < (_SQUARES_LIMIT if squares else _SUM_LIMIT))
    for place, (found, unit) in enumerate(sums):
        whole = np.where(wrong, 0.0, found / unit) if wrong.any() else found / unit
        totals[place] += whole.astype(np.int64).sum()
    return wrong


def _cut(rest: Array, magic: list[float], parts: Array) -> None:
    """Take the slices of each value out of `rest`: what stays is 0 where the value lies on the grid."""
    for part, constant in zip(parts, magic, strict=True):
        np.add(rest, constant, out=part)
        part -= constant
        rest -= part


def group_sums(values: Array, groups: Array, low: int, slices: int, squares: bool, totals: Array) -> Array:
    """Add the sums of slices, and of products of slices by the product's unit, to the totals of each value's group.

    Args:
        values: float64 of shape (n,), n at most GROUP_ROWS.
        groups: int64 of shape (n,).
        low, slices: the grid; `slices` from 1 to 4 (at most 2 without squares).
        totals: int64 of shape (n_groups, slices) or, with squares, (n_groups, 3 slices - 1): first the sums of the
            slices, then those of the products i + j = 0, 1, …, in units of the slice, or of the product.

    Returns:
        int64, the positions of the values that do not lie on the grid, and were left out.
    """
    parts, wrong = _cut_on_grid(values, low, slices, squares)
    off = np.flatnonzero(wrong)
    for part, unit in zip(parts, units_of(low, slices, squares), strict=True):
        part[off] = 0.0
        part /= unit
    whole = [part.astype(np.int64) for part in parts]
    for place, part in enumerate(whole):
        np.add.at(totals[:, place], groups, part)
    if squares:
        for weight in range(2 * slices - 1):
            pairs = [(i, j) for i, j in pairs_of(slices) if i + j == weight]
            products = sum((whole[i] * whole[j] * (1 + (i != j)) for i, j in pairs), np.zeros(1, np.int64))
            np.add.at(totals[:, slices + weight], groups, products)
    return off


def off_grid(values: Array, low: int, slices: int, squares: bool) -> Array:
    """Which values (float32 or float64) do not lie on the grid, or far above most of what does; NaN and infinities too.

    >>> off_grid(np.array([1.0, 3.0, 0.1, 2.0**30]), 0, 1, True)
    array([False, False,  True,  True])
    """
    return _cut_on_grid(values, low, slices, squares)[1]


def _cut_on_grid(values: Array, low: int, slices: int, squares: bool) -> tuple[Array, Array]:
    limit = units_of(low, slices, squares)[0] * 2.0 ** width_of(squares)
    parts, rest = np.empty((slices, len(values))), values.astype(np.float64)
    with np.errstate(all="ignore"):
        _cut(rest, magic_of(low, slices, squares), parts)
        return parts, ~((rest == 0) & (np.abs(parts[0]) <= limit))


def digit_sums(
    whole: Array, exponents: Array, times: Array | None, groups: Array, base: int, squares: bool, totals: Array
) -> None:
    """Add whole * 2^exponent, or its square, as often as `times` says, to the digits of each value's group.

    Args:
        whole: int64 of shape (n,).
        exponents: int64 of shape (n,).
        times: int64 of shape (n,), none negative; None: once each.
        groups: int64 of shape (n,).
        base: the digit of row 0: row k is in units of 2^(32 (base + k)).
        totals: int64 of shape (width, n_groups). A value adds less than 2^32 to each row: 2^31 values fit.
    """
    size = np.abs(whole).view(np.uint64)
    shift, place = (exponents & 31).view(np.uint64), exponents >> 5
    digits = [(size << shift) & _MASK, (size >> (32 - shift)) & _MASK, (size >> 32) >> (32 - shift)]
    sign = np.sign(whole)
    if squares:
        digits, place, sign = _product(digits, digits), 2 * place, np.abs(sign)
    if times is not None:
        often = times.view(np.uint64)
        digits = _product(digits, [often & _MASK, often >> 32])
    for number, digit in enumerate(digits):
        at = np.flatnonzero(digit)
        np.add.at(totals, (place[at] + (number - base), groups[at]), digit[at].view(np.int64) * sign[at])


def _product(a: list[Array], b: list[Array]) -> list[Array]:
    """Digits of a * b, of digits below 2^32 with the least first."""
    sums = [np.zeros(len(a[0]), np.uint64) for _ in range(len(a) + len(b))]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product = x * y
            sums[i + j] += product & _MASK
            sums[i + j + 1] += product >> 32
    return carried(sums)


def carried(sums: list[Array]) -> list[Array]:
    """The same number in digits 0 to 2^32 - 1: two's complement, of signed sums; what leaves the last digit is lost."""
    digits, carry = [], sums[0] * 0
    mask = sums[0].dtype.type(_MASK)
    for column in sums:
        column = column + carry
        digits.append(column & mask)
        carry = column >> 32
    return digits
