"""What each step of a program does to a block of registers: shape (expressions, rows), in plain NumPy.

A register is any array that broadcasts to the block; its 8 bytes are read as float64 or int64 as the step asks, and
booleans are kept as NumPy bools until a step reads them otherwise. Validity is a bool array, or None for all valid.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..opcodes import Op
from ..table import CAST_FAILED, INT_OVERFLOW
from . import calendar, math

Array = np.ndarray[Any, Any]
Valid = Array | None
Function = Callable[..., Array]
#: Takes a bad-row mask, the validity of the result, and the code to report.
Report = Callable[[Array, Valid, int], None]
#: (values, valid) of each operand, and the report -> values and valid of the result.
Step = Callable[..., tuple[Array, Valid]]

_INT_MIN = -(2**63)


def floats(x: Array) -> Array:
    """The register read as float64."""
    return x if x.dtype == np.float64 else ints(x).view(np.float64)


def ints(x: Array) -> Array:
    """The register read as int64."""
    if x.dtype == np.int64:
        return x
    return x.astype(np.int64) if x.dtype == np.bool_ else x.view(np.int64)


def bools(x: Array) -> Array:
    """The register read as bool."""
    return x if x.dtype == np.bool_ else ints(x) != 0


def both(a: Valid, b: Valid) -> Valid:
    """Valid where both are."""
    if a is None or b is None:
        return a if b is None else b
    return a & b


def _elementwise(read: Callable[[Array], Array], function: Function) -> tuple[Step, Step]:
    def one(report: Report, x: Array, vx: Valid) -> tuple[Array, Valid]:
        return function(read(x)), vx

    def two(report: Report, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
        return function(read(x), read(y)), both(vx, vy)

    return one, two


def maximum(x: Array, y: Array) -> Array:
    """x where x > y or x is NaN, else y: numpy.maximum leaves open which of 0.0 and -0.0 it gives."""
    best = np.maximum(x, y)
    return np.where((x > y) | (x != x), x, y) if (best == 0).any() else best


def minimum(x: Array, y: Array) -> Array:
    """x where x < y or x is NaN, else y."""
    best = np.minimum(x, y)
    return np.where((x < y) | (x != x), x, y) if (best == 0).any() else best


def to_float32(x: Array) -> Array:
    """Rounded to float32, still float64."""
    return x.astype(np.float32).astype(np.float64)


def _neg(report: Report, x: Array, vx: Valid) -> tuple[Array, Valid]:
    report(ints(x) == _INT_MIN, vx, INT_OVERFLOW)
    return np.negative(ints(x)), vx


def _abs(report: Report, x: Array, vx: Valid) -> tuple[Array, Valid]:
    report(ints(x) == _INT_MIN, vx, INT_OVERFLOW)
    return np.abs(ints(x)), vx


def _add(report: Report, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
    x, y, valid = ints(x), ints(y), both(vx, vy)
    total = x + y
    report(((x ^ total) & (y ^ total)) < 0, valid, INT_OVERFLOW)
    return total, valid


def _sub(report: Report, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
    x, y, valid = ints(x), ints(y), both(vx, vy)
    difference = x - y
    report(((x ^ y) & (x ^ difference)) < 0, valid, INT_OVERFLOW)
    return difference, valid


def _mul(report: Report, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
    x, y, valid = ints(x), ints(y), both(vx, vy)
    product = x * y
    near = np.abs(x.astype(np.float64) * y.astype(np.float64)) >= 9.2e18  # 2^63 is 9.22e18
    if near.any():
        wide = np.broadcast_to(x, near.shape)[near].astype(object) * np.broadcast_to(y, near.shape)[near]
        near[near] = (wide < _INT_MIN) | (wide > -_INT_MIN - 1)
        report(near, valid, INT_OVERFLOW)
    return product, valid


def _floordiv(report: Report, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
    x, y = ints(x), ints(y)
    valid = both(both(vx, vy), _unless(y == 0))
    report((x == _INT_MIN) & (y == -1), valid, INT_OVERFLOW)
    return np.floor_divide(x, y), valid


def _mod(report: Report, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
    x, y = ints(x), ints(y)
    return np.remainder(x, y), both(both(vx, vy), _unless(y == 0))


def _unless(bad: Array) -> Valid:
    return ~bad if bad.any() else None


def _fits_int64(x: Array) -> Array:
    return (x >= -(2.0**63)) & (x < 2.0**63)


def _f_to_i_strict(report: Report, x: Array, vx: Valid) -> tuple[Array, Valid]:
    x = floats(x)
    fits = _fits_int64(x)
    report(~fits, vx, CAST_FAILED)
    return np.where(fits, x, 0.0).astype(np.int64), vx


def _f_to_i(report: Report, x: Array, vx: Valid) -> tuple[Array, Valid]:
    x = floats(x)
    fits = _fits_int64(x)
    return np.where(fits, x, 0.0).astype(np.int64), both(vx, _unless(~fits))


def _outside(x: Array, low: Array, high: Array) -> Array:
    return (ints(x) < ints(low)) | (ints(x) > ints(high))


def _narrow_strict(report: Report, x: Array, vx: Valid, *bounds: Any) -> tuple[Array, Valid]:
    low, vlow, high, vhigh = bounds
    valid = both(vx, both(vlow, vhigh))
    report(_outside(x, low, high), valid, CAST_FAILED)
    return ints(x), valid


def _narrow(report: Report, x: Array, vx: Valid, *bounds: Any) -> tuple[Array, Valid]:
    low, vlow, high, vhigh = bounds
    return ints(x), both(both(vx, both(vlow, vhigh)), _unless(_outside(x, low, high)))


def _and(report: Report, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
    x, y = bools(x), bools(y)
    if vx is None and vy is None:
        return x & y, None
    valid_x, valid_y = _mask(vx), _mask(vy)
    value = (x | ~valid_x) & (y | ~valid_y)  # a null counts as true: only a false decides alone
    return value, (valid_x & valid_y) | (valid_x & ~x) | (valid_y & ~y)


def _or(report: Report, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
    x, y = bools(x), bools(y)
    if vx is None and vy is None:
        return x | y, None
    valid_x, valid_y = _mask(vx), _mask(vy)
    value = (x & valid_x) | (y & valid_y)
    return value, (valid_x & valid_y) | value


def _mask(valid: Valid) -> Array:
    return np.ones((1, 1), dtype=np.bool_) if valid is None else valid


def _choose(chosen: Array, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
    if x.dtype != y.dtype:
        x, y = ints(x), ints(y)
    valid = None if vx is None and vy is None else np.where(chosen, _mask(vx), _mask(vy))
    return np.where(chosen, x, y), valid


def _select(report: Report, cond: Array, vcond: Valid, *sides: Any) -> tuple[Array, Valid]:
    chosen = bools(cond)
    return _choose(chosen if vcond is None else chosen & vcond, *sides)


def _coalesce(report: Report, x: Array, vx: Valid, y: Array, vy: Valid) -> tuple[Array, Valid]:
    return (x, None) if vx is None else _choose(vx, x, None, y, vy) if vy is None else _choose(vx, x, vx, y, vy)


def _is_null(report: Report, x: Array, vx: Valid) -> tuple[Array, Valid]:
    return ~_mask(vx), None


def _is_not_null(report: Report, x: Array, vx: Valid) -> tuple[Array, Valid]:
    return _mask(vx), None


def _null_if(report: Report, x: Array, vx: Valid, cond: Array, vcond: Valid) -> tuple[Array, Valid]:
    drop = bools(cond) if vcond is None else bools(cond) & vcond
    return x, both(vx, ~drop)


def _i_to_f(x: Array) -> Array:
    return x.astype(np.float64)


def _table() -> dict[Op, Step]:
    one_float: dict[Op, Function] = {
        Op.NEG_F: np.negative, Op.ABS_F: np.abs, Op.SIGN_F: np.sign, Op.SQRT: np.sqrt, Op.FLOOR: np.floor,
        Op.CEIL: np.ceil, Op.TRUNC: np.trunc, Op.RINT: np.rint, Op.F_TO_F32: to_float32, Op.LOG: math.log,
        Op.LOG1P: math.log1p, Op.EXP: math.exp, Op.EXPM1: math.expm1, Op.SIN: math.sin, Op.COS: math.cos,
        Op.TANH: math.tanh, Op.SIGMOID: math.sigmoid, Op.ARCSIN: math.arcsin, Op.ARCTAN: math.arctan,
        Op.IS_NAN: np.isnan, Op.IS_FINITE: np.isfinite,
    }  # fmt: skip
    two_floats: dict[Op, Function] = {
        Op.ADD_F: np.add, Op.SUB_F: np.subtract, Op.MUL_F: np.multiply, Op.DIV_F: np.divide, Op.MAX_F: maximum,
        Op.MIN_F: minimum, Op.FLOORDIV_F: np.floor_divide, Op.MOD_F: np.remainder, Op.POWER: math.power,
        Op.EQ_F: np.equal, Op.NE_F: np.not_equal, Op.LT_F: np.less, Op.LE_F: np.less_equal, Op.GT_F: np.greater,
        Op.GE_F: np.greater_equal,
    }  # fmt: skip
    one_int: dict[Op, Function] = {
        Op.SIGN_I: np.sign, Op.YEAR: calendar.year, Op.MONTH: calendar.month, Op.DAY: calendar.day,
        Op.I_TO_F: _i_to_f,
    }  # fmt: skip
    two_ints: dict[Op, Function] = {
        Op.EQ_I: np.equal, Op.NE_I: np.not_equal, Op.LT_I: np.less, Op.LE_I: np.less_equal, Op.GT_I: np.greater,
        Op.GE_I: np.greater_equal, Op.MAX_I: np.maximum, Op.MIN_I: np.minimum,
    }  # fmt: skip
    table: dict[Op, Step] = {
        Op.NEG_I: _neg, Op.ABS_I: _abs, Op.ADD_I: _add, Op.SUB_I: _sub, Op.MUL_I: _mul, Op.FLOORDIV_I: _floordiv,
        Op.MOD_I: _mod, Op.F_TO_I_STRICT: _f_to_i_strict, Op.F_TO_I: _f_to_i, Op.NARROW_STRICT: _narrow_strict,
        Op.NARROW: _narrow, Op.AND_B: _and, Op.OR_B: _or, Op.SELECT: _select, Op.COALESCE: _coalesce,
        Op.IS_NULL: _is_null, Op.IS_NOT_NULL: _is_not_null, Op.NULL_IF: _null_if,
        Op.XOR_B: _elementwise(bools, np.logical_xor)[1], Op.NOT_B: _elementwise(bools, np.logical_not)[0],
    }  # fmt: skip
    for read, ones, twos in ((floats, one_float, two_floats), (ints, one_int, two_ints)):
        table |= {op: _elementwise(read, function)[0] for op, function in ones.items()}
        table |= {op: _elementwise(read, function)[1] for op, function in twos.items()}
    return table


#: What every step between the loads and the stores does.
STEPS: dict[Op, Step] = _table()
