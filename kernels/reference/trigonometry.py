"""Sine, cosine, inverse sine and inverse tangent; written as `math` says, and offered there."""

from ..coefficients import (
    ARCSIN,
    ARCTAN,
    COS,
    HALF_PI_1,
    HALF_PI_2,
    HALF_PI_3,
    HALF_PI_4,
    HALF_PI_HIGH,
    HALF_PI_LOW,
    INVERSE_HALF_PI,
    ROUNDER,
    SIN,
    TRIG_LIMIT,
)  # fmt: skip
from .primitives import Array, bits_of, horner, root, where

_NAN = float("nan")


def _quadrant(x: Array) -> tuple[Array, Array, Array]:
    """x - q pi/2 as the sum of two numbers, and q modulo 4. Exact to 2^-100 for |x| <= 2^20."""
    shifted = x * INVERSE_HALF_PI + ROUNDER
    n = shifted - ROUNDER
    a = x - n * HALF_PI_1
    part = n * HALF_PI_2
    b = a - part
    back = b - a
    lost = (a - (b - back)) - (part + back)
    part = n * HALF_PI_3
    c = b - part
    back = c - b
    lost = lost + ((b - (c - back)) - (part + back)) - n * HALF_PI_4
    high = c + lost
    return high, (c - high) + lost, bits_of(shifted) & 3


def _sin_or_cos(x: Array, quarter: int) -> Array:
    high, low, quadrant = _quadrant(x)
    quadrant = (quadrant + quarter) & 3
    z = high * high
    sine = high + (z * high * horner(z, SIN) + low * (1.0 - 0.5 * z))
    half = 0.5 * z
    rest = 1.0 - half
    cosine = rest + (((1.0 - rest) - half) + (z * z * horner(z, COS) - high * low))
    result = where((quadrant & 1) == 0, sine, cosine)
    result = where((quadrant & 2) == 0, result, -result)
    return where((x > -TRIG_LIMIT) & (x < TRIG_LIMIT), result, _NAN)


def sin(x: Array) -> Array:
    """The sine of radians, within 1 ulp for |x| <= 2^20; then to within |x| 2^-52 up to 2^30, and NaN beyond.

    >>> import numpy as np
    >>> sin(np.array([0.0, 1.0])).tolist()
    [0.0, 0.8414709848078965]
    """
    return where((x > -(2.0**-27)) & (x < 2.0**-27), x, _sin_or_cos(x, 0))


def cos(x: Array) -> Array:
    """The cosine of radians, within 1 ulp for |x| <= 2^20; then to within |x| 2^-52 up to 2^30, and NaN beyond.

    >>> import numpy as np
    >>> cos(np.array([0.0, 1.0])).tolist()
    [1.0, 0.5403023058681398]
    """
    return _sin_or_cos(x, 1)


def arctan(x: Array) -> Array:
    """The inverse tangent, within 2 ulp.

    >>> import numpy as np
    >>> arctan(np.array([1.0, float("-inf")])).tolist()
    [0.7853981633974483, -1.5707963267948966]
    """
    size = where(x < 0.0, -x, x)
    large, middle = size > 2.414213562373095, size > 0.41421356237309503
    top = where(large, -1.0, where(middle, size - 1.0, size))
    bottom = where(large, size, where(middle, size + 1.0, 1.0))
    t = top / bottom
    z = t * t
    eighths = where(large, 1.0, where(middle, 0.5, 0.0))  # of pi/2
    result = eighths * HALF_PI_HIGH + (t + (t * z * horner(z, ARCTAN) + eighths * HALF_PI_LOW))
    return where(size < 2.0**-27, x, where(x < 0.0, -result, result))


def arcsin(x: Array) -> Array:
    """The inverse sine, within 3 ulp; NaN outside -1..1.

    >>> import numpy as np
    >>> arcsin(np.array([1.0, 0.5, 2.0])).tolist()
    [1.5707963267948966, 0.5235987755982989, nan]
    """
    size = where(x < 0.0, -x, x)
    outer = size > 0.5
    square = where(outer, 0.5 * (1.0 - size), size * size)
    base = where(outer, root(square), size)
    angle = base + base * square * horner(square, ARCSIN)
    result = where(outer, HALF_PI_HIGH - (2.0 * angle - HALF_PI_LOW), angle)
    return where(size < 2.0**-27, x, where(x < 0.0, -result, result))
