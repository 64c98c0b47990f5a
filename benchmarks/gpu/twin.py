"""The NumPy float64 twin of the fused kernel: the same steps in the same order, so the bits must be equal."""

from decimal import Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

TABLE_BITS = 8
OFFSET = 0x3FE6000000000000 - (1 << (51 - TABLE_BITS))  # 1.0 lies in the middle of a bin
MANTISSA = (1 << 52) - 1
EXPONENT = ~MANTISSA
LN2_HIGH = float.fromhex("0x1.62e42fefa3800p-1")  # 42 bits: times any exponent it is exact
FAR = float(2**30)
LN2_LOW = float.fromhex("0x1.ef35793c76730p-45")
SERIES = (-1 / 2, 1 / 3, -1 / 4, 1 / 5, -1 / 6)  # log(1 + r) = r + r^2 * series(r), |r| < 2^-8.9
FDLIBM = (
    0.6666666666666735130,
    0.3999999999940941908,
    0.2857142874366239149,
    0.2222219843214978396,
    0.1818357216161805012,
    0.1531383769920937332,
    0.1479819860511658591,
)


@cache
def log_table() -> NDArray[np.float64]:
    """Pairs (1/c, log c), one for each bin of the mantissa, shape (2 ** TABLE_BITS, 2).

    1/c has at most 20 bits after the point, so that its products with half a mantissa are exact; among the 64
    candidates nearest to the bin's middle the one whose log c lies closest to a float64 is taken (Gal's accurate
    tables).
    """
    size = 1 << TABLE_BITS
    table = np.empty((size, 2))
    for i in range(size):
        edge = OFFSET + (i << (52 - TABLE_BITS))
        low, high = np.array([edge, edge + (1 << (52 - TABLE_BITS))], np.int64).view(np.float64)
        table[i] = (1.0, 0.0) if low < 1.0 < high else _best_pair(2 / (low + high))
    return table


def _best_pair(inverse: float) -> tuple[float, float]:
    best = (2.0, 0.0, 0.0)
    middle = round(inverse * 2**20)
    with localcontext() as context:
        context.prec = 40
        for j in range(middle - 32, middle + 32):
            exact = -(Decimal(j) / Decimal(2**20)).ln()
            error = abs(float((Decimal(float(exact)) - exact) / abs(exact)))
            best = min(best, (error, j / 2**20, float(exact)))
    return best[1], best[2]


def log1p_table(x: F64, compensated: bool = True) -> F64:
    """log(1 + x) by a table of 256 pairs and a polynomial of degree six; plain + and x only.

    Compensated it carries the rounding errors of the larger sums along: at most 0.6 ulp of float64; without, it has
    nine float64 operations less and at most 1.4 ulp (both measured over some ten million values of all sizes).
    """
    u = 1.0 + x
    bits = u.view(np.int64)
    offset = bits - OFFSET
    exponent = offset >> 52
    pair = log_table()[(offset >> (52 - TABLE_BITS)) & ((1 << TABLE_BITS) - 1)]
    inverse, log_c = pair[..., 0], pair[..., 1]
    reduced = bits - (offset & EXPONENT)
    high = (reduced & ~np.int64(0xFFFFFFFF)).view(np.float64)
    low = reduced.view(np.float64) - high
    first, second = high * inverse - 1.0, low * inverse  # both exact
    exact = first + second
    lost = rounded_away(x, u) * (inverse.view(np.int64) - (exponent << 52)).view(np.float64)
    lost = np.where(x > FAR, 0.0, lost)  # beyond, it is far below the result's last bit
    r = exact + lost
    k = exponent.astype(np.float64)
    s0, s1, s2, s3, s4 = SERIES
    tail = (r * r) * (s0 + r * (s1 + r * (s2 + r * (s3 + r * s4))))
    tail = tail + k * LN2_LOW
    whole = k * LN2_HIGH
    head = whole + log_c
    if not compensated:
        return _special(x, head + (r + tail))
    total = head + r
    tail = tail + ((second - (exact - first)) + (lost - (r - exact)))
    tail = tail + (log_c - (head - whole))
    return _special(x, total + (tail + (r - (total - head))))


def log1p_short(x: F64) -> F64:
    """log1p_table without compensation."""
    return log1p_table(x, compensated=False)


def rounded_away(x: F64, u: F64) -> F64:
    """What u = 1 + x lost by rounding, exactly."""
    return np.where(x > 1.0, 1.0 - (u - x), x - (u - 1.0))


def log1p_division(x: F64) -> F64:
    """log(1 + x) without a table: fdlibm's polynomial in s = f / (2 + f), with one division."""
    u = 1.0 + x
    lost = rounded_away(x, u)
    bits = u.view(np.int64)
    exponent = (bits - 0x3FE6A09E667F3BCD) >> 52
    scale = ((1023 - exponent) << 52).view(np.float64)
    f = (bits - (exponent << 52)).view(np.float64) - 1.0
    f_low = lost * scale
    s = f / (2.0 + f)
    z = s * s
    p = FDLIBM[5] + z * FDLIBM[6]
    for c in FDLIBM[4::-1]:
        p = c + z * p
    half = 0.5 * f * f
    k = exponent.astype(np.float64)
    low = s * (half + z * p) + (k * LN2_LOW + f_low * (1.0 - s))
    return _special(x, k * LN2_HIGH - ((half - low) - f))


def _special(x: F64, y: F64) -> F64:
    y = np.where(x == np.inf, x, y)
    y = np.where(x == -1.0, -np.inf, y)
    return np.where(x > -1.0, y, np.where(x == -1.0, y, np.nan))


LOGS = {"table": log1p_table, "short": log1p_short, "division": log1p_division}


def chain(v: F64, low: float, high: float, shift: float, scale: float, log: str | None, divide: bool) -> F64:
    """clip, log1p if asked, standardize; everything in float64."""
    v = np.where(v < low, low, np.where(v > high, high, v))
    if log is not None:
        v = LOGS[log](v)
    return (v - shift) / scale if divide else (v - shift) * scale
