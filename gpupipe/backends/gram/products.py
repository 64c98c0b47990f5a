"""Exact sums of products of columns whose largest values are known: on a grid of each column's own, by BLAS.

As covariances are gathered (`gatherer.py`), but with the grids settled before the first row: values are cut, from the
top of their column down, into a fixed number of digits, and what is below the last is rounded off. That is a function
of the value alone, and all after it is exact, so the sums are the same for any order and any parts of the rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ldexp

import numpy as np

from gpupipe.columns import Values
from gpupipe.kernels.reference.gram import DIGIT, ROWS

_HALF = 40  # bits
_FITS = 512  # tiles, each sum at most 2**53, that int64 holds
_NEXT, _POWERS = 2.0**DIGIT, 1000
NO_TOP = -(2**20)  # of a column of zeros


def tops_of(values: Values) -> Values:
    """The least whole numbers t so that all of a column's values are below 2**t; NO_TOP where they are all 0.

    Args:
        values: finite, of shape (rows, columns).

    >>> tops_of(np.array([[0.0, 4.0, -0.3], [0.0, 1.0, 0.2]])).tolist()
    [-1048576, 3, -1]
    """
    largest = np.maximum(values.max(axis=0, initial=0.0), -values.min(axis=0, initial=0.0)).astype(np.float64)
    return np.where(largest > 0, np.frexp(largest)[1], NO_TOP).astype(np.int64)


def depth_of(tops: Values, last_bits: Values, most: int) -> int:
    """How many digits hold every value of all columns, `most` at most; `last_bits`: exponents of the least bit set."""
    live = tops > NO_TOP
    return int(min(most, max(1, (-(-(tops[live] - last_bits[live]) // DIGIT)).max(initial=1))))


def digits(values: Values, tops: Values, depth: int) -> Iterator[Values]:
    """The digits of values, the greatest first: whole numbers of at most 2**21, in units of 2**(top - 21 k).

    Each is there until the next is asked for.

    Args:
        values: float64 of shape (columns, rows), below 2**top.

    >>> next(digits(np.array([[0.75]]), np.array([0]), 1)).tolist(), 0.75 * 2**21
    ([[1572864.0]], 1572864.0)
    """
    rest = _scaled(values, DIGIT - tops)
    digit = np.empty_like(rest)
    for place in range(depth):
        yield np.rint(rest, out=digit)
        if place + 1 < depth:
            rest -= digit
            rest *= _NEXT


def _scaled(values: Values, exponents: Values) -> Values:
    """values * 2**exponent: by products, a tenth of the time of `ldexp`, where these powers are numbers."""
    if (np.abs(exponents) < _POWERS).all():
        found: Values = values * np.ldexp(1.0, exponents.astype(np.intc))[:, None]
        return found
    return np.ldexp(values, exponents.astype(np.intc)[:, None])


class Adding:
    """Whole numbers of at most 2**53, tile by tile, added up to `halves`: low and high, of low + 2**40 high."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.halves = np.zeros((2, *shape), np.int64)
        self._tiles = 0

    def add(self, products: Values) -> None:
        """Of one tile of at most `ROWS` rows."""
        self.halves[0] += products.astype(np.int64)
        self._tiles += 1
        if self._tiles % _FITS == 0:
            self.carry()

    def carry(self) -> None:
        """Bring what the low half holds beyond 40 bits up: 2**22 sums of halves then fit."""
        self.halves[1] += self.halves[0] >> _HALF
        self.halves[0] &= (1 << _HALF) - 1


def wholes(halves: Values) -> Values:
    """The whole numbers, as Python's."""
    found: Values = halves[0].astype(object) + halves[1].astype(object) * (1 << _HALF)
    return found


def as_floats(whole: Values, exponents: Values) -> Values:
    """whole * 2**exponent, rounded once.

    >>> as_floats(np.array([3], object), np.array([-1])).tolist()
    [1.5]
    """
    flat = zip(whole.ravel().tolist(), np.broadcast_to(exponents, whole.shape).ravel().tolist(), strict=True)
    return np.array([ldexp(float(number), exponent) for number, exponent in flat]).reshape(whole.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Across:
    """The sums of the products of each column of one matrix with each of another.

    Attributes:
        tops, other_tops: of the columns; at most 2**top.
        depth, other_depth: how many digits they have.
    """

    tops: Values
    other_tops: Values
    depth: int
    other_depth: int

    @property
    def shape(self) -> tuple[int, int]:
        """Of the products of digits."""
        return self.depth * len(self.tops), self.other_depth * len(self.other_tops)

    def products(self, values: Values, other: Values) -> Values:
        """Of at most `ROWS` rows: float64 of shape `shape`, exact.

        Args:
            values: float64 of shape (columns, rows); other: the same of the other columns.
        """
        assert values.shape[1] <= ROWS
        right = np.concatenate([digit.copy() for digit in digits(other, _live(self.other_tops), self.other_depth)]).T
        return np.concatenate([digit @ right for digit in digits(values, _live(self.tops), self.depth)])

    def square(self, values: Values) -> Values:
        """The same of a matrix with itself: half the work."""
        assert values.shape[1] <= ROWS
        parts = digits(values, _live(self.tops), self.depth)
        left = next(parts) if self.depth == 1 else np.concatenate([digit.copy() for digit in parts])
        found: Values = left @ left.T
        return found

    def sums(self, halves: Values) -> Values:
        """float64 of shape (columns, other columns), rounded once."""
        a, b = len(self.tops), len(self.other_tops)
        each = wholes(halves).reshape(self.depth, a, self.other_depth, b)
        total = np.zeros((a, b), object)
        for i in range(self.depth):
            for j in range(self.other_depth):
                total += each[i, :, j] * (1 << DIGIT * (self.depth - 1 - i + self.other_depth - 1 - j))
        low, other_low = _live(self.tops) - DIGIT * self.depth, _live(self.other_tops) - DIGIT * self.other_depth
        return as_floats(total, low[:, None] + other_low[None, :])


def _live(tops: Values) -> Values:
    """Where a column is all zeros any grid will do."""
    return np.where(tops > NO_TOP, tops, 0)
