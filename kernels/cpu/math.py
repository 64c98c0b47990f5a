"""The transcendental functions in Numba: the very formulas of `gpupipe.kernels.reference.math`, compiled for one number
at a time and run in loops that LLVM vectorises. Written once, they cannot differ.
"""

from collections.abc import Callable
from math import sqrt
from types import FunctionType
from typing import Any

import numpy as np

from ..opcodes import Op
from ..reference import math as formulas
from ..reference import trigonometry
from .jit import kernel, part
from .memory import bits_of, f8, float_of, where

Array = np.ndarray[Any, Any]

_NAMES = (
    "_log_1p", "log", "_near_one", "_log1p_ends", "log1p", "_times_power_of_2", "_exp", "exp", "expm1", "tanh",
    "sigmoid", "_quadrant", "_sin_or_cos", "sin", "cos", "arctan", "arcsin", "_product", "_log_in_two", "_parity",
    "power",
)  # fmt: skip


@part
def _horner(x, coefficients):
    total = x * coefficients[-1]
    for i in range(len(coefficients) - 2, 0, -1):
        total = (total + coefficients[i]) * x
    return total + coefficients[0]


def _compiled() -> dict[str, Any]:
    """Each formula with its globals replaced: the primitives over one number, and the formulas compiled before."""
    names: dict[str, Any] = {
        **vars(trigonometry), **vars(formulas), "where": where, "bits_of": bits_of, "float_of": float_of,
        "to_float": float, "root": sqrt, "floor": np.floor, "horner": _horner,
    }  # fmt: skip
    for name in _NAMES:
        names[name] = part(FunctionType(names[name].__code__, names, name))
    return names


_FORMULAS = _compiled()
_log, _log1p, _exp, _expm1 = (_FORMULAS[name] for name in ("log", "log1p", "exp", "expm1"))
_sin, _cos, _tanh, _sigmoid = (_FORMULAS[name] for name in ("sin", "cos", "tanh", "sigmoid"))
_arcsin, _arctan, _power = (_FORMULAS[name] for name in ("arcsin", "arctan", "power"))


@part
def unary(op, o, x, w):
    """LOG to ARCTAN over `w` values at the addresses x and o."""
    o, x = f8(o), f8(x)
    if op == Op.LOG:
        for i in range(w):
            o[i] = _log(x[i])
    elif op == Op.LOG1P:
        for i in range(w):
            o[i] = _log1p(x[i])
    elif op == Op.EXP:
        for i in range(w):
            o[i] = _exp(x[i])
    elif op == Op.EXPM1:
        for i in range(w):
            o[i] = _expm1(x[i])
    elif op == Op.SIN:
        for i in range(w):
            o[i] = _sin(x[i])
    elif op == Op.COS:
        for i in range(w):
            o[i] = _cos(x[i])
    elif op == Op.TANH:
        for i in range(w):
            o[i] = _tanh(x[i])
    elif op == Op.SIGMOID:
        for i in range(w):
            o[i] = _sigmoid(x[i])
    elif op == Op.ARCSIN:
        for i in range(w):
            o[i] = _arcsin(x[i])
    else:
        for i in range(w):
            o[i] = _arctan(x[i])


@part
def binary(o, x, y, w):
    """POWER over `w` values."""
    o, x, y = f8(o), f8(x), f8(y)
    for i in range(w):
        o[i] = _power(x[i], y[i])


@kernel
def _apply(op, o, x, y):
    if op == Op.POWER:
        binary(o.ctypes.data, x.ctypes.data, y.ctypes.data, o.size)
    else:
        unary(op, o.ctypes.data, x.ctypes.data, o.size)


def _over_arrays(op: Op) -> Callable[..., Array]:
    def function(x: Array, y: Array | None = None) -> Array:
        operands = np.broadcast_arrays(x, x if y is None else y)
        first, second = (np.ascontiguousarray(operand, dtype=np.float64).ravel() for operand in operands)
        result = np.empty(first.size)
        _apply(int(op), result, first, second)
        return result.reshape(operands[0].shape)

    function.__name__ = op.name.lower()
    function.__doc__ = f"As gpupipe.kernels.reference.math.{function.__name__}."
    return function


log, log1p, exp, expm1 = (_over_arrays(op) for op in (Op.LOG, Op.LOG1P, Op.EXP, Op.EXPM1))
sin, cos, tanh, sigmoid = (_over_arrays(op) for op in (Op.SIN, Op.COS, Op.TANH, Op.SIGMOID))
arcsin, arctan, power = (_over_arrays(op) for op in (Op.ARCSIN, Op.ARCTAN, Op.POWER))
