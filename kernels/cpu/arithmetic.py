"""The float64 and int64 steps over one tile: `o`, `x`, `y` are addresses of `w` 8-byte values, `o` none of the others.

Steps that can fail give the first bad valid row of the tile, or -1; `ok` is the address of the result's validity, or 0
where every row is valid.
"""

from math import copysign, sqrt

import numpy as np

from ..opcodes import Op
from . import floored
from .jit import part
from .memory import f8, i8, u1

_INT_MIN = -(2**63)


@part
def float_unary(op, o, x, w):
    """NEG_F to F_TO_F32."""
    o, x = f8(o), f8(x)
    if op == Op.NEG_F:
        for i in range(w):
            o[i] = -x[i]
    elif op == Op.ABS_F:
        for i in range(w):
            o[i] = abs(x[i])
    elif op == Op.SIGN_F:
        for i in range(w):
            o[i] = 1.0 if x[i] > 0.0 else (-1.0 if x[i] < 0.0 else (0.0 if x[i] == 0.0 else x[i]))
    elif op == Op.SQRT:
        for i in range(w):
            o[i] = sqrt(x[i])
    elif op == Op.FLOOR:
        for i in range(w):
            o[i] = np.floor(x[i])
    elif op == Op.CEIL:
        for i in range(w):
            o[i] = np.ceil(x[i])
    elif op == Op.TRUNC:
        for i in range(w):
            o[i] = np.trunc(x[i])
    elif op == Op.RINT:
        for i in range(w):
            o[i] = np.rint(x[i])
    else:
        for i in range(w):
            o[i] = np.float64(np.float32(x[i]))


@part
def float_binary(op, o, x, y, w):
    """ADD_F to MIN_F."""
    o, x, y = f8(o), f8(x), f8(y)
    if op == Op.ADD_F:
        for i in range(w):
            o[i] = x[i] + y[i]
    elif op == Op.SUB_F:
        for i in range(w):
            o[i] = x[i] - y[i]
    elif op == Op.MUL_F:
        for i in range(w):
            o[i] = x[i] * y[i]
    elif op == Op.DIV_F:
        for i in range(w):
            o[i] = x[i] / y[i]
    elif op == Op.MAX_F:
        for i in range(w):
            o[i] = x[i] if (x[i] > y[i]) | (x[i] != x[i]) else y[i]
    else:
        for i in range(w):
            o[i] = x[i] if (x[i] < y[i]) | (x[i] != x[i]) else y[i]


@part
def float_by_one(op, o, x, y, w):
    """The same by one number."""
    o, x = f8(o), f8(x)
    if op == Op.ADD_F:
        for i in range(w):
            o[i] = x[i] + y
    elif op == Op.SUB_F:
        for i in range(w):
            o[i] = x[i] - y
    elif op == Op.MUL_F:
        for i in range(w):
            o[i] = x[i] * y
    elif op == Op.DIV_F:
        for i in range(w):
            o[i] = x[i] / y
    elif op == Op.MAX_F:
        for i in range(w):
            o[i] = x[i] if (x[i] > y) | (x[i] != x[i]) else y
    else:
        for i in range(w):
            o[i] = x[i] if (x[i] < y) | (x[i] != x[i]) else y


@part
def float_divmod(op, o, x, y, w):
    """FLOORDIV_F and MOD_F, by numpy.floor_divide's and numpy.remainder's rule; fmod is exact."""
    o, x, y = f8(o), f8(x), f8(y)
    for i in range(w):
        a, b = x[i], y[i]
        rest = np.fmod(a, b)
        if b == 0.0:
            o[i] = a / b if op == Op.FLOORDIV_F else rest
            continue
        quotient = (a - rest) / b
        if rest != 0.0:
            if (b < 0.0) != (rest < 0.0):
                rest += b
                quotient -= 1.0
        else:
            rest = copysign(0.0, b)
        if op == Op.MOD_F:
            o[i] = rest
        elif quotient != 0.0:
            whole = np.floor(quotient)
            o[i] = whole + 1.0 if quotient - whole > 0.5 else whole
        else:
            o[i] = copysign(0.0, a / b)


@part
def compare(op, o, x, y, w):
    """EQ to GE, of typed pointers; `op` counts from EQ."""
    if op == 0:
        for i in range(w):
            o[i] = x[i] == y[i]
    elif op == 1:
        for i in range(w):
            o[i] = x[i] != y[i]
    elif op == 2:
        for i in range(w):
            o[i] = x[i] < y[i]
    elif op == 3:
        for i in range(w):
            o[i] = x[i] <= y[i]
    elif op == 4:
        for i in range(w):
            o[i] = x[i] > y[i]
    else:
        for i in range(w):
            o[i] = x[i] >= y[i]


@part
def first_bad(suspect, ok, w):
    """The first row of 0/1 `suspect` that is valid, or -1."""
    suspect, valid = u1(suspect), u1(ok)
    for i in range(w):
        if suspect[i] != 0 and (ok == 0 or valid[i] != 0):
            return i
    return -1


@part
def int_unary(op, o, x, ok, w):
    """NEG_I to DAY."""
    to, at = o, x
    valid, o, x = u1(ok), i8(o), i8(x)
    if op <= Op.ABS_I:
        for i in range(w):
            o[i] = -x[i] if (op == Op.NEG_I) | (x[i] < 0) else x[i]
        for i in range(w):
            if x[i] == _INT_MIN and (ok == 0 or valid[i] != 0):
                return i
    elif op == Op.SIGN_I:
        for i in range(w):
            o[i] = np.int64(x[i] > 0) - np.int64(x[i] < 0)
    elif floored.are_near(at, w):
        floored.calendar(op, to, at, w)
    else:
        for i in range(w):
            shifted = x[i] + 719_468
            cycle = shifted // 146_097
            day = shifted - cycle * 146_097
            year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
            day -= 365 * year + year // 4 - year // 100
            month = (5 * day + 2) // 153
            if op == Op.YEAR:
                o[i] = year + 400 * cycle + (day >= 306)
            elif op == Op.MONTH:
                o[i] = month + (3 if month < 10 else -9)
            else:
                o[i] = day - (153 * month + 2) // 5 + 1
    return -1


@part
def int_binary(op, o, x, y, ok, w):
    """ADD_I to MIN_I; gives the first overflowing row."""
    o, x, y = i8(o), i8(x), i8(y)
    sign = np.int64(0)
    if op == Op.ADD_I:
        for i in range(w):
            o[i] = x[i] + y[i]
            sign |= (x[i] ^ o[i]) & (y[i] ^ o[i])
    elif op == Op.SUB_I:
        for i in range(w):
            o[i] = x[i] - y[i]
            sign |= (x[i] ^ y[i]) & (x[i] ^ o[i])
    elif op == Op.MUL_I:
        for i in range(w):
            o[i] = x[i] * y[i]
            sign |= -np.int64(abs(np.float64(x[i]) * np.float64(y[i])) >= 9.2e18)
    elif op == Op.MAX_I:
        for i in range(w):
            o[i] = max(x[i], y[i])
    else:
        for i in range(w):
            o[i] = min(x[i], y[i])
    return first_overflow(op, o, x, y, ok, w) if sign < 0 else -1


@part
def first_overflow(op, o, x, y, ok, w):
    """The first valid row whose sum, difference or product `o` has wrapped."""
    valid = u1(ok)
    for i in range(w):
        if op == Op.ADD_I:
            wrapped = ((x[i] ^ o[i]) & (y[i] ^ o[i])) < 0
        elif op == Op.SUB_I:
            wrapped = ((x[i] ^ y[i]) & (x[i] ^ o[i])) < 0
        elif x[i] == -1 or y[i] == -1:
            wrapped = (x[i] == _INT_MIN) | (y[i] == _INT_MIN)
        else:
            wrapped = x[i] != 0 and o[i] // x[i] != y[i]
        if wrapped and (ok == 0 or valid[i] != 0):
            return i
    return -1


@part
def int_divmod(op, o, x, y, ok, w):
    """FLOORDIV_I and MOD_I where the divisor is not zero; marks the others invalid in `ok`, which must be there."""
    if floored.divides_well(x, y, w):
        floored.divmod_by(op, o, x, i8(y)[0], w)
        return -1
    o, x, y, ok = i8(o), i8(x), i8(y), u1(ok)
    bad = -1
    for i in range(w):
        a, b = x[i], y[i]
        if b == 0:
            ok[i], o[i] = 0, 0
        elif b == -1:
            o[i] = -a if op == Op.FLOORDIV_I else 0
            if op == Op.FLOORDIV_I and a == _INT_MIN and bad < 0 and ok[i] != 0:
                bad = i
        else:
            o[i] = a // b if op == Op.FLOORDIV_I else a % b
    return bad


@part
def float_to_int(o, x, suspect, w):
    """Truncation; 0, and 1 in the tile of bytes `suspect`, where the value is no int64. Gives how many."""
    o, x, suspect = i8(o), f8(x), u1(suspect)
    count = 0
    for i in range(w):
        fits = (x[i] >= -9223372036854775808.0) & (x[i] < 9223372036854775808.0)
        o[i] = np.int64(x[i] if fits else 0.0)
        suspect[i] = not fits
        count += not fits
    return count


@part
def narrow(o, x, low, high, suspect, w):
    """A copy; 1 in the tile of bytes `suspect` where a value lies outside low..high. Gives how many."""
    o, x, low, high, suspect = i8(o), i8(x), i8(low), i8(high), u1(suspect)
    count = 0
    for i in range(w):
        outside = (x[i] < low[i]) | (x[i] > high[i])
        o[i] = x[i]
        suspect[i] = outside
        count += outside
    return count
