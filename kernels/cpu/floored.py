"""Floor division of whole numbers, and the calendar made of it, in float64: LLVM vectorises that, and no division of
int64. The same numbers: every quotient here is told from the next whole number by more than float64 rounds away.
"""

import numpy as np

from ..opcodes import Op
from .jit import part
from .memory import i8

#: A quotient of numbers below 2^53 that is no whole number is at least half a unit in the last place away from any.
_EXACT = 2**53
#: Days so near to 1970 that, less than half a day off, they are far from rounding to another multiple of anything here.
_NEAR = 2**40


@part
def are_within(x, most, w):
    """Whether all lie between -most and most."""
    x = i8(x)
    beyond = 0
    for i in range(w):
        beyond += (x[i] >= most) | (x[i] <= -most)
    return beyond == 0


@part
def are_near(x, w):
    """Whether :func:`calendar` takes all these days."""
    return are_within(x, _NEAR, w)


@part
def divides_well(x, y, w):
    """Whether :func:`divmod_by` takes `x` and `y`: one divisor above 0, and dividends that float64 holds."""
    divisors = i8(y)
    first, others = divisors[0], 0
    for i in range(w):
        others += divisors[i] != first
    return others == 0 and 0 < first < _EXACT and are_within(x, _EXACT, w)


@part
def divmod_by(op, o, x, divisor, w):
    """FLOORDIV_I and MOD_I by one divisor."""
    o, x, by = i8(o), i8(x), float(divisor)
    if op == Op.FLOORDIV_I:
        for i in range(w):
            o[i] = np.int64(np.floor(float(x[i]) / by))
    else:
        for i in range(w):
            o[i] = x[i] - np.int64(np.floor(float(x[i]) / by)) * divisor


@part
def _march_year(day):
    """As of `gpupipe.kernels.reference.calendar`: the year beginning in March, and the day within it."""
    shifted = float(day) + 719_468.0
    cycle = np.floor((shifted + 0.5) * (1 / 146_097))
    rest = shifted - cycle * 146_097.0
    leaps = np.floor((rest + 0.5) * (1 / 1460)) - np.floor((rest + 0.5) * (1 / 36_524))
    year = np.floor((rest - leaps - np.floor((rest + 0.5) * (1 / 146_096)) + 0.5) * (1 / 365))
    leaps = np.floor((year + 0.5) * (1 / 4)) - np.floor((year + 0.5) * (1 / 100))
    return year + 400.0 * cycle, rest - (365.0 * year + leaps)


@part
def _month(day_of_year):
    """The month, counted from March as 0."""
    return np.floor((5.0 * day_of_year + 2.5) * (1 / 153))


@part
def calendar(op, o, x, w):
    """YEAR, MONTH and DAY of days that are `_NEAR`."""
    o, x = i8(o), i8(x)
    if op == Op.YEAR:
        for i in range(w):
            year, day = _march_year(x[i])
            o[i] = np.int64(year) + (day >= 306.0)
    elif op == Op.MONTH:
        for i in range(w):
            month = _month(_march_year(x[i])[1])
            o[i] = np.int64(month) + (3 if month < 10.0 else -9)
    else:
        for i in range(w):
            day = _march_year(x[i])[1]
            o[i] = np.int64(day - np.floor((153.0 * _month(day) + 2.5) * (1 / 5))) + 1
