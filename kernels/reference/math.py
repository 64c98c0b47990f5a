"""Transcendental functions of float64, of + - * /, floor and square roots alone: the same bits on every device.

Each takes an array and gives one. Measured errors, in units in the last place, stand in the docstrings and are asserted
by the tests. No operation may be fused or reordered. Values are computed branch-free and then chosen, so that the same
code runs over whole arrays here and, number by number in a vectorised loop, in `gpupipe.kernels.cpu.math`: write
functions with the primitives, operators and constants alone. Where a result is NaN, its sign and payload are open.
NumPy may warn of overflow or invalid values in the arguments: callers set numpy.errstate.
"""

from ..coefficients import (
    EXP,
    EXPM1,
    EXPONENT_BIAS,
    INVERSE_LN2,
    LN2_HIGH,
    LN2_LOW,
    LOG,
    LOG_TAIL,
    MANTISSA,
    RECIPROCAL_BITS,
    ROOT_HALF_BITS,
    ROUNDER,
    ROUNDER_BITS,
    SPLITTER,
    TWO_THIRDS_HIGH,
    TWO_THIRDS_LOW,
)  # fmt: skip
from .primitives import Array, bits_of, float_of, floor, horner, to_float, where
from .trigonometry import arcsin, arctan, cos, sin

__all__ = [
    "arcsin", "arctan", "cos", "exp", "expm1", "log", "log1p", "power", "sigmoid", "sin", "tanh",
]  # fmt: skip

_INF = float("inf")
_NAN = float("nan")
_SMALLEST_NORMAL = 2.0**-1022
#: Beyond, what 1 + x lost is far below the last bit of its logarithm.
_FAR = 2.0**30


def log(x: Array) -> Array:
    """The natural logarithm, within 1 ulp. log(0) = -inf; NaN below.

    >>> import numpy as np
    >>> log(np.array([1.0, 2.0, 0.0])).tolist()
    [0.0, 0.6931471805599453, -inf]
    """
    subnormal = x < _SMALLEST_NORMAL
    bits = bits_of(where(subnormal, x * 2.0**54, x))
    exponent = (bits - ROOT_HALF_BITS) >> MANTISSA
    f = float_of(bits - (exponent << MANTISSA)) - 1.0
    k = to_float(exponent) - where(subnormal, 54.0, 0.0)
    result = _log_1p(k, f, f / (2.0 + f), 0.0)
    return where((x > 0.0) & (x < _INF), result, where(x == 0.0, -_INF, where(x < 0.0, _NAN, x)))


def _log_1p(k: Array, f: Array, s: Array, correction: Array | float) -> Array:
    """k ln 2 + log(1 + f) + correction, sqrt(1/2) - 1 <= f < sqrt(2) - 1: with s = f/(2 + f) it is 2 atanh(s)."""
    z = s * s
    half = 0.5 * f * f
    tail = s * (half + z * horner(z, LOG)) + (k * LN2_LOW + correction)
    return k * LN2_HIGH - ((half - tail) - f)


def log1p(x: Array) -> Array:
    """log(1 + x), within 1 ulp, also where 1 + x rounds. log1p(-1) = -inf; NaN below.

    >>> import numpy as np
    >>> log1p(np.array([1e-20, -1.0])).tolist()
    [1e-20, -inf]
    """
    u = 1.0 + x
    exponent, exact, f, s = _near_one(x, u)
    lost = where(x >= 1.0, 1.0 - (u - x), x - (u - 1.0))
    correction = where(exact | (x > _FAR), 0.0, lost * float_of(RECIPROCAL_BITS - bits_of(u)))
    return _log1p_ends(x, _log_1p(to_float(exponent), f, s, correction))


def log1p_of_float32(x: Array) -> Array:
    """log1p of numbers that a float32 can be: the same bits with less work, for where 1 + x matters it is exact.

    >>> import numpy as np
    >>> log1p_of_float32(np.array([0.5])) == log1p(np.array([0.5]))
    array([ True])
    """
    exponent, _, f, s = _near_one(x, 1.0 + x)
    return _log1p_ends(x, _log_1p(to_float(exponent), f, s, 0.0))


def _near_one(x: Array, u: Array) -> tuple[Array, Array, Array, Array]:
    """u = 1 + x as 2^k (1 + f): k, whether it is 0 and f therefore x, whatever u lost; f, and f/(2 + f)."""
    bits = bits_of(u)
    exponent = (bits - ROOT_HALF_BITS) >> MANTISSA
    exact = exponent == 0
    f = where(exact, x, float_of(bits - (exponent << MANTISSA)) - 1.0)
    return exponent, exact, f, f / (2.0 + f)


def _log1p_ends(x: Array, result: Array) -> Array:
    """What log1p is where it is not `result`."""
    result = where((x > -(2.0**-54)) & (x < 2.0**-54), x, result)
    return where((x > -1.0) & (x < _INF), result, where(x == -1.0, -_INF, where(x < -1.0, _NAN, x)))


def exp(x: Array) -> Array:
    """e to the x, within 1 ulp, subnormal results too.

    >>> import numpy as np
    >>> exp(np.array([0.0, 1.0, 710.0, -746.0])).tolist()
    [1.0, 2.7182818284590455, inf, 0.0]
    """
    clamped = where(x > 710.0, 710.0, where(x < -746.0, -746.0, x))
    return _exp(clamped, 0.0 * clamped)


def _exp(high: Array, low: Array) -> Array:
    """e to the (high + low), -746 <= high <= 710."""
    shifted = high * INVERSE_LN2 + ROUNDER
    k = shifted - ROUNDER
    whole = bits_of(shifted) - ROUNDER_BITS
    r_high = high - k * LN2_HIGH
    r_low = k * LN2_LOW - low
    r = r_high - r_low
    z = r * r
    tail = 0.5 * z + z * r * horner(r, EXP)
    return _times_power_of_2(1.0 + (r_high + (tail - r_low)), whole)


def _times_power_of_2(x: Array, exponent: Array) -> Array:
    """In two steps, so that the result may be subnormal and is rounded once."""
    half = exponent >> 1
    first = float_of((half + EXPONENT_BIAS) << MANTISSA)
    return x * first * float_of((exponent - half + EXPONENT_BIAS) << MANTISSA)


def expm1(x: Array) -> Array:
    """e to the x, less 1, within 1 ulp.

    >>> import numpy as np
    >>> expm1(np.array([1e-20, -50.0, 710.0])).tolist()
    [1e-20, -1.0, inf]
    """
    clamped = where(x > 710.0, 710.0, where(x < -50.0, -50.0, x))
    near = (x > -0.53) & (x < 0.53)
    shifted = where(near, 0.0, clamped) * INVERSE_LN2 + ROUNDER
    k = shifted - ROUNDER
    whole = bits_of(shifted) - ROUNDER_BITS
    r_high = clamped - k * LN2_HIGH
    r_low = k * LN2_LOW
    r = r_high - r_low
    z = r * r
    tail = 0.5 * z + z * r * horner(r, EXPM1)
    lifted = where(whole > 1000, 1000, whole)
    inverse = float_of((EXPONENT_BIAS - lifted) << MANTISSA)
    offset = 1.0 - inverse  # the result is 2^k (1 - 2^-k + e^r - 1)
    total = offset + r_high
    lost = (offset - total) + r_high + ((1.0 - offset) - inverse)
    result = _times_power_of_2(total + (lost + (tail - r_low)), whole)
    return where((x > -(2.0**-54)) & (x < 2.0**-54), x, result)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent, within 3 ulp.

    >>> import numpy as np
    >>> tanh(np.array([0.0, 100.0])).tolist()
    [0.0, 1.0]
    """
    size = where(x < 0.0, -x, x)
    t = expm1(2.0 * where(size > 22.0, 22.0, size))
    result = t / (t + 2.0)
    return where(size < 2.0**-27, x, where(x < 0.0, -result, result))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), within 3 ulp, from the exponential of -|x|.

    >>> import numpy as np
    >>> sigmoid(np.array([0.0, -800.0, 800.0])).tolist()
    [0.5, 0.0, 1.0]
    """
    e = exp(where(x < 0.0, x, -x))
    return where(x < 0.0, e, 1.0) / (1.0 + e)


def _product(x: Array, y: Array) -> tuple[Array, Array]:
    """x y as the sum of two numbers, exactly."""
    wide = SPLITTER * x
    x_high = wide - (wide - x)
    x_low = x - x_high
    wide = SPLITTER * y
    y_high = wide - (wide - y)
    y_low = y - y_high
    product = x * y
    return product, ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


def _log_in_two(x: Array) -> tuple[Array, Array]:
    """log(x) of a positive finite number as the sum of two, to about 2^-64 of it."""
    subnormal = x < _SMALLEST_NORMAL
    bits = bits_of(where(subnormal, x * 2.0**54, x))
    exponent = (bits - ROOT_HALF_BITS) >> MANTISSA
    f = float_of(bits - (exponent << MANTISSA)) - 1.0
    k = to_float(exponent) - where(subnormal, 54.0, 0.0)
    bottom = 2.0 + f
    bottom_low = f - (bottom - 2.0)
    s = f / bottom
    back, back_low = _product(s, bottom)
    s_low = ((f - back) - back_low - s * bottom_low) / bottom
    z, z_low = _product(s, s)
    z_low = z_low + 2.0 * s * s_low
    rest = z * horner(z, LOG_TAIL) + TWO_THIRDS_LOW
    p = TWO_THIRDS_HIGH + rest
    p_low = (TWO_THIRDS_HIGH - p) + rest
    zp, zp_low = _product(z, p)
    zp_low = zp_low + (z * p_low + z_low * p)
    szp, szp_low = _product(s, zp)
    szp_low = szp_low + (s * zp_low + s_low * zp)
    base = k * LN2_HIGH
    a = base + 2.0 * s
    back = a - base
    lost = (base - (a - back)) + (2.0 * s - back)
    b = a + szp
    lost = lost + ((a - b) + szp) + (2.0 * s_low + szp_low + k * LN2_LOW)
    high = b + lost
    return high, (b - high) + lost


def power(x: Array, y: Array) -> Array:
    """x to the y, within 1 ulp, with C99's special cases: anything to the 0 and 1 to anything are 1, a negative
    number to a fraction is NaN.

    >>> import numpy as np
    >>> power(np.array([2.0, -2.0, -8.0, 0.0]), np.array([0.5, 3.0, 0.5, -1.0])).tolist()
    [1.414213562373095, -8.0, nan, inf]
    """
    size = where(x < 0.0, -x, x)
    ends = (size == 0.0) | (size == _INF)
    log_high, log_low = _log_in_two(where(ends, 1.0, size))
    bound = where(y > 2.0**65, 2.0**65, where(y < -(2.0**65), -(2.0**65), y))
    high, low = _product(bound, log_high)
    low = low + bound * log_low
    far = (high > 710.0) | (high < -746.0)
    low = where(far, 0.0, low)
    high = where(high > 710.0, 710.0, where(high < -746.0, -746.0, high))
    result = where(ends, where((size == _INF) == (y > 0.0), _INF, 0.0), _exp(high, low))
    broken, odd = _parity(y)
    result = where(odd & (bits_of(x) < 0), -result, result)
    result = where((x < 0.0) & (size < _INF) & broken, _NAN, result)
    result = where((x != x) | (y != y), _NAN, result)
    return where((y == 0.0) | (x == 1.0), 1.0, result)


def _parity(y: Array) -> tuple[Array, Array]:
    """Whether y has a fraction, and whether it is an odd whole number. From 2^53 on every number is even."""
    half = 0.5 * y
    return floor(y) != y, (floor(y) == y) & (floor(half) != half)
