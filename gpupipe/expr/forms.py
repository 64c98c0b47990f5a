"""NumPy forms of scalar operations that NumPy itself defines otherwise: checked integers, and choices by validity.

A form takes arrays of values and gives values, or a :class:`Checked` where some rows become null or are in error.
"""

from typing import Any, NamedTuple

import numpy as np

Values = np.ndarray[Any, Any]
_LOWEST = np.iinfo(np.int64).min


class Checked(NamedTuple):
    """Values, the rows that become null, and the rows in error (either None: no row)."""

    values: Values
    null: Values | None = None
    error: Values | None = None


def add(a: Values, b: Values) -> Checked:
    """int64 sum; in error where it leaves int64."""
    total = a + b
    return Checked(total, error=((a ^ total) & (b ^ total)) < 0)


def sub(a: Values, b: Values) -> Checked:
    """int64 difference; in error where it leaves int64."""
    rest = a - b
    return Checked(rest, error=((a ^ b) & (a ^ rest)) < 0)


def mul(a: Values, b: Values) -> Checked:
    """int64 product; in error where it leaves int64."""
    product = a * b
    safe = np.where(b == 0, 1, b)
    wrong = ((product // safe) != a) & (b != 0)
    return Checked(product, error=wrong | ((a == _LOWEST) & (b == -1)) | ((b == _LOWEST) & (a == -1)))


def floordiv(a: Values, b: Values) -> Checked:
    """int64 floor division; null where the divisor is 0."""
    overflow = (a == _LOWEST) & (b == -1)
    return Checked(np.where(overflow, a, a // np.where((b == 0) | overflow, 1, b)), null=b == 0, error=overflow)


def mod(a: Values, b: Values) -> Checked:
    """int64 remainder with the divisor's sign; null where the divisor is 0."""
    return Checked(np.where(b == -1, 0, a % np.where((b == 0) | (b == -1), 1, b)), null=b == 0)


def neg(a: Values) -> Checked:
    """int64 negation."""
    return Checked(-a, error=a == _LOWEST)


def absolute(a: Values) -> Checked:
    """int64 absolute value."""
    return Checked(np.abs(a), error=a == _LOWEST)


def to_integer(x: Values) -> Checked:
    """float64 to int64, towards zero; in error where there is no such integer."""
    bad = ~((x >= -(2.0**63)) & (x < 2.0**63))
    return Checked(np.where(bad, 0.0, x).astype(np.int64), error=bad)


def to_float32(x: Values) -> Values:
    """float64 rounded to float32, as float64."""
    with np.errstate(over="ignore"):
        return x.astype(np.float32).astype(np.float64)


def narrow(x: Values, low: Values, high: Values) -> Checked:
    """int64 values; in error outside the bounds of a narrower type."""
    return Checked(x, error=(x < low) | (x > high))
