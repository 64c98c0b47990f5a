"""From exact sums to statistics: rational numbers, rounded once to the nearest float64 (ties to even).

`means`, `variances` and `deviations` do it for all groups of a state. What wants to compute on before the one rounding
(an affine step, say) takes :func:`exact_moments` of a group, and :func:`rounded` or :func:`rounded_root` at last.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from gpupipe.backends.exact.number import Exact
from gpupipe.backends.states.state import State
from gpupipe.columns import Values

_ROOT_BITS = 128  # of the number whose whole root is taken: 64 bits of root, then a bit for what is left
_FEW = 16  # up to so many groups, whole numbers of Python are quicker than arrays
_NEAR = 2.0**-40  # far more than the error of a correction, far less than the distance of most results to a tie


@dataclass(frozen=True, slots=True)
class ExactMoments:
    """The moments of one group, unrounded.

    Attributes:
        n: how many values.
        total: their sum.
        squares: the sum of their squares.
    """

    n: int
    total: Fraction
    squares: Fraction

    def mean(self) -> Fraction:
        """The exact mean, of n > 0 values."""
        return self.total / self.n

    def var(self, ddof: int = 0) -> Fraction:
        """The exact variance, of n > ddof values.

        >>> ExactMoments(2, Fraction(3), Fraction(5)).var()
        Fraction(1, 4)
        """
        return (self.n * self.squares - self.total**2) / (self.n * (self.n - ddof))

    def affine(self, scale: float | Fraction, shift: float | Fraction) -> "ExactMoments":
        """The moments of scale * value + shift, unrounded, as if no value had been rounded either."""
        a, b = Fraction(scale), Fraction(shift)
        squares = a * a * self.squares + 2 * a * b * self.total + b * b * self.n
        return ExactMoments(self.n, a * self.total + b * self.n, squares)


def exact_moments(state: State, group: int = 0) -> ExactMoments:
    """The moments of one group of a merged state of the kind ``moments``."""
    (moments,) = each_moments(state, slice(group, group + 1))
    return moments


def each_moments(state: State, groups: slice = slice(None)) -> Iterator[ExactMoments]:
    """The moments of each group, in order."""
    total, squares = total_of(state), squares_of(state)
    parts = [Exact(numbers.digits[groups], numbers.scale[groups]).fractions() for numbers in (total, squares)]
    return map(ExactMoments, state.arrays["n"][groups].tolist(), *parts)


def total_of(state: State) -> Exact:
    """The exact sum of each group: of a state of the kind ``sum`` or ``moments``."""
    return Exact(state.arrays["sum"], state.arrays["sum_scale"])


def squares_of(state: State) -> Exact:
    """The exact sum of squares of each group: of a state of the kind ``moments``."""
    return Exact(state.arrays["squares"], state.arrays["squares_scale"])


def rounded(value: Fraction) -> float:
    """The nearest float64, ties to even; beyond float64 an infinity.

    >>> rounded(Fraction(1, 10))
    0.1
    """
    return _ratio(value.numerator, value.denominator, 0)


def rounded_root(value: Fraction) -> float:
    """The float64 nearest to the root of a value not negative.

    >>> rounded_root(Fraction(2))
    1.4142135623730951
    """
    return _root(value.numerator, value.denominator, 0)


def _ratio(numerator: int, denominator: int, exponent: int) -> float:
    """numerator * 2^exponent / denominator, rounded once: Python divides whole numbers so."""
    try:
        if exponent >= 0:
            return (numerator << exponent) / denominator
        return numerator / (denominator << -exponent)
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


def _root(numerator: int, denominator: int, exponent: int) -> float:
    """The root of numerator * 2^exponent / denominator, rounded once."""
    if numerator == 0:
        return 0.0
    shift = max(0, _ROOT_BITS - numerator.bit_length() + denominator.bit_length())
    shift += (exponent - shift) % 2
    whole, left = divmod(numerator << shift, denominator)
    root = math.isqrt(whole)
    inexact = left != 0 or root * root != whole
    return _ratio(2 * root + inexact, 1, (exponent - shift) // 2 - 1)


def totals(numbers: Exact) -> Values:
    """Each number as float64."""
    return means(np.ones(len(numbers), np.int64), numbers)


def means(n: Values, total: Exact) -> Values:
    """The mean of each group, float64; 0 where a group has no value."""
    result, usual = _quick_means(n, total) if len(n) > _FEW else _none(n)
    for group in np.flatnonzero(~usual & (n > 0)).tolist():
        whole, exponent = number(total, group)
        result[group] = _ratio(whole, int(n[group]), exponent)
    return result


def _quick_means(n: Values, total: Exact) -> tuple[Values, Values]:
    """(the mean, where it is surely rounded as it should be), by the sum of two floats that each sum is close to."""
    count = np.maximum(n, 1).astype(np.float64)
    with np.errstate(all="ignore"):  # of what is not usual
        high, low, usual = _in_two(total)
        quotient = high / count
        product, lost = _product(quotient, count)
        result, near = _corrected(quotient, (((high - product) - lost) + low) / count)
    return result, usual & ~near


def _in_two(numbers: Exact) -> tuple[Values, Values, Values]:
    """(high, low, where high + low is within 2^-100 of the number, and of ordinary size)."""
    digits = numbers.digits
    high, low = digits[:, -1].view(np.int32).astype(np.float64), np.zeros(len(digits))
    for place in reversed(range(digits.shape[1] - 1)):
        high, low, digit = high * 2.0**32, low * 2.0**32, digits[:, place].astype(np.float64)
        added = high + digit
        back = added - high
        low += (high - (added - back)) + (digit - back)
        high = added + low
        low -= high - added
    usual = (np.abs(numbers.scale) <= 8) & (np.abs(high) < 2.0**256)
    unit = 2.0 ** (32 * np.clip(numbers.scale, -8, 8))
    return high * unit, low * unit, usual


def _corrected(rounded: Values, step: Values) -> tuple[Values, Values]:
    """(rounded + step, where that is too near to a tie for so small a correction to tell the side)."""
    result = rounded + step
    return result, (rounded + step * (1 + _NEAR) != result) | (rounded + step * (1 - _NEAR) != result)


def variances(n: Values, total: Exact, squares: Exact, ddof: int) -> Values:
    """The variance of each group, float64; 0 where a group has no more than `ddof` values."""
    result, usual = _none(n)
    if len(n) > _FEW:
        spread, divisor, usual = _small_spread(n, total, squares, ddof)
        result = spread / divisor
    for group in np.flatnonzero(~usual & (n > ddof)).tolist():
        result[group] = _ratio(*_exact_spread(int(n[group]), total, squares, group, ddof))
    return result


def deviations(n: Values, total: Exact, squares: Exact, ddof: int) -> Values:
    """The standard deviation of each group, float64: the root of the exact variance, rounded once."""
    result, usual = _none(n)
    if len(n) > _FEW:
        spread, divisor, usual = _small_spread(n, total, squares, ddof)
        with np.errstate(all="ignore"):
            result, near = _small_root(spread, divisor)
        usual &= ~near
    for group in np.flatnonzero(~usual & (n > ddof)).tolist():
        result[group] = _root(*_exact_spread(int(n[group]), total, squares, group, ddof))
    return result


def _none(n: Values) -> tuple[Values, Values]:
    """No group's value known yet."""
    return np.zeros(len(n)), np.zeros(len(n), bool)


def number(numbers: Exact, group: int) -> tuple[int, int]:
    """(whole, exponent) of one group's number."""
    raw = numbers.digits[group].astype("<u4").tobytes()
    return int.from_bytes(raw, "little", signed=True), 32 * int(numbers.scale[group])


def _exact_spread(n: int, total: Exact, squares: Exact, group: int, ddof: int) -> tuple[int, int, int]:
    """(numerator, denominator, exponent) of the exact variance of one group."""
    (first, of_first), (second, of_second) = number(total, group), number(squares, group)
    exponent = min(2 * of_first, of_second)
    parts = (n * second) << (of_second - exponent), (first * first) << (2 * of_first - exponent)
    return parts[0] - parts[1], n * (n - ddof), exponent


def small(numbers: Exact) -> tuple[Values, Values]:
    """Each number as float64 where that is exact and of ordinary size (else something), and where it is."""
    digits = numbers.digits
    low = digits[:, 0].astype(np.int64)
    if digits.shape[1] == 1:
        whole, usual = low.astype(np.uint32).view(np.int32).astype(np.int64), np.ones(len(low), bool)
    else:
        whole = (digits[:, 1].astype(np.int64) << 32) | low
        sign = (whole >> 63).astype(np.uint32)
        usual = (digits[:, 2:] == sign[:, None]).all(axis=1) & (np.abs(whole) <= 2**53)
    usual &= np.abs(numbers.scale) <= 8  # so that products of three are far from both ends of float64
    return np.ldexp(whole.astype(np.float64), 32 * np.clip(numbers.scale, -8, 8)), usual


def _small_spread(n: Values, total: Exact, squares: Exact, ddof: int) -> tuple[Values, Values, Values]:
    """(n squares - total^2, n (n - ddof) but at least 1, where both are exact float64), each by group."""
    (first, usual), (second, also) = small(total), small(squares)
    count = n.astype(np.float64)
    divisor = np.maximum(count * (count - ddof), 1.0)
    left, left_lost = _product(count, second)
    right, right_lost = _product(first, first)
    spread = left - right
    back = spread - left
    lost = (left - (spread - back)) + (-right - back)
    exact = (left_lost == 0) & (right_lost == 0) & (lost == 0) & (divisor < 2.0**53)
    return np.where(n > ddof, spread, 0.0), divisor, usual & also & exact


def _product(a: Values, b: Values) -> tuple[Values, Values]:
    """(a * b rounded, what rounding lost): Dekker 1971, with Veltkamp's halves."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(x: Values) -> tuple[Values, Values]:
    scaled = x * 134217729.0  # 2^27 + 1
    high = scaled - (scaled - x)
    return high, x - high


def _small_root(spread: Values, divisor: Values) -> tuple[Values, Values]:
    """(root of spread / divisor, where it is too near to a tie for its correction to tell the side)."""
    quotient = spread / divisor
    product, lost = _product(quotient, divisor)
    root = np.sqrt(quotient)
    square, square_lost = _product(root, root)
    # Newton's step from the rounded root, for the unrounded quotient.
    step = (((quotient - square) - square_lost) + ((spread - product) - lost) / divisor) / (2 * root)
    return _corrected(root, np.where(spread > 0, step, 0.0))
