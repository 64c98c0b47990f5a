"""cvt: between all integer and floating point types, with all ways to round."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .floats import canonical
from .operands import DTYPES, Run, Scope, Value, pure
from .parse import Instruction, PtxError

ROUND: dict[str, Callable[[Any], Value]] = {
    "rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil,
}  # fmt: skip


def convert(scope: Scope, ins: Instruction) -> Run:
    """cvt."""
    to, of = ins.op[-2], ins.op[-1]
    if "ftz" in ins.op:
        raise PtxError(f"unsupported: .ftz in {ins.text} (subnormals are kept)")
    read = scope.reader(ins.args[1], of)
    change = conversion(to, of, ins.op[1:-2])
    return pure(scope.target(ins.args[0]), lambda r: change(read(r)))


def conversion(to: str, of: str, options: tuple[str, ...]) -> Callable[[Value], Value]:
    """What turns values of type `of` into `to`."""
    dtype, way, saturate = DTYPES[to], next((one for one in options if one[0] == "r"), "rn"), "sat" in options
    if of[0] == "f" and to[0] == "f":
        change = _float_to_float(dtype, DTYPES[of], way)
        return (lambda v: _unit(change(v))) if saturate else change
    if of[0] == "f":
        return lambda value: to_integer(ROUND[way](value), dtype)
    if to[0] == "f":
        return _from_integer(dtype, way)
    if saturate:
        return lambda value: _clamped(value, dtype)
    return lambda value: value.astype(dtype)


def _unit(value: Value) -> Value:
    return np.where(value > 0, np.minimum(value, value.dtype.type(1)), value.dtype.type(0))[()]


def to_integer(value: Value, dtype: np.dtype[Any]) -> Value:
    """Whole floats as integers: those beyond the type give its ends; NaN gives 0, or where 64 bits are in play only
    the highest bit (PTX ISA, cvt)."""
    ends = np.iinfo(dtype)
    top = value.dtype.type(2.0 ** (8 * dtype.itemsize - (dtype.kind == "i")))  # the first beyond, exact
    above, below = value >= top, value < ends.min
    empty = value != value
    plain = np.where(above | below | empty, value.dtype.type(0), value).astype(dtype)
    found = np.where(above, dtype.type(ends.max), np.where(below, dtype.type(ends.min), plain))
    size = dtype.itemsize
    wide = size == 8 or value.dtype.itemsize == 8
    nothing = np.dtype(f"u{size}").type(1 << 8 * size - 1 if wide else 0).view(dtype)
    return np.where(empty, nothing, found)[()]


def _clamped(value: Value, dtype: np.dtype[Any]) -> Value:
    ends, own = np.iinfo(dtype), np.iinfo(value.dtype)
    low, high = max(ends.min, own.min), min(ends.max, own.max)
    return np.clip(value, value.dtype.type(low), value.dtype.type(high)).astype(dtype)


def _float_to_float(dtype: np.dtype[Any], own: np.dtype[Any], way: str) -> Callable[[Value], Value]:
    if dtype == own:
        return (lambda v: canonical(ROUND[way](v))) if way in ROUND else (lambda v: v)
    if dtype.itemsize > own.itemsize:
        return lambda value: value.astype(dtype)
    if way == "rn":
        return lambda value: canonical(value.astype(dtype))
    return lambda value: canonical(directed(value.astype(dtype), value, way))


def directed(near: Value, exact: Value, way: str) -> Value:
    """The nearest value moved to the neighbour on the side that is asked for; both sides are exact in `exact`."""
    back = near.astype(exact.dtype)
    zero, top = near.dtype.type(0), near.dtype.type(np.inf)
    goal = {"rz": np.where(exact > 0, zero, -zero), "rm": -top, "rp": top}[way]
    wrong = {"rz": np.abs(back) > np.abs(exact), "rm": back > exact, "rp": back < exact}[way]
    return np.where(wrong, np.nextafter(near, goal), near)[()]


def _from_integer(dtype: np.dtype[Any], way: str) -> Callable[[Value], Value]:
    if way == "rn":
        return lambda value: value.astype(dtype)
    return lambda value: _directed_integer(np.asarray(value), dtype, way)[()]


def _directed_integer(value: Value, dtype: np.dtype[Any], way: str) -> Value:
    """Integers beyond float64 are compared as Python's, lane by lane: rare, and exact."""
    near = value.astype(dtype)
    exact, back = value.astype(object), np.frompyfunc(int, 1, 1)(near.astype(np.float64))
    magnitude = np.frompyfunc(abs, 1, 1)
    wrong = {"rz": magnitude(back) > magnitude(exact), "rm": back > exact, "rp": back < exact}[way].astype(bool)
    goal = {"rz": dtype.type(0), "rm": dtype.type(-np.inf), "rp": dtype.type(np.inf)}[way]
    return np.where(wrong, np.nextafter(near, goal), near)
