"""Floating point instructions, comparisons and conversions: IEEE 754 in the width that is asked for.

A NaN that a float32 instruction makes is 0x7fffffff on a GPU, whatever NaN went in; so here.
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from .integers import INTEGERS, Build, Plain, plain
from .operands import DTYPES, UNSIGNED, Run, Scope, Value, pure
from .parse import Instruction, PtxError

if TYPE_CHECKING:
    from .batch import Batch

NAN32 = np.uint32(0x7FFFFFFF).view(np.float32)


def canonical(value: Value) -> Value:
    """float32 results with the one NaN that the hardware makes."""
    if value.dtype.itemsize != 4:
        return value
    wrong = value != value
    return np.where(wrong, NAN32, value)[()] if wrong.any() else value


def rounded(function: Plain) -> Build:
    """An instruction that rounds to nearest; the other ways, and what is only nearly right, are refused."""

    def build(scope: Scope, ins: Instruction) -> Run:
        unknown = {"rz", "rm", "rp", "approx", "full", "ftz"} & set(ins.op)
        if unknown:
            raise PtxError(f"unsupported: .{min(unknown)} in {ins.text} (results are promised to the bit)")
        if "sat" in ins.op:
            return plain(lambda *of: _saturated(function(*of)))(scope, ins)
        return plain(lambda *of: canonical(function(*of)))(scope, ins)

    return build


def _saturated(value: Value) -> Value:
    return np.where(value > 0, np.minimum(value, value.dtype.type(1)), value.dtype.type(0))[()]


def least(a: Value, b: Value) -> Value:
    """min: NaN only if both are; -0 is below 0."""
    bits = UNSIGNED[a.dtype.itemsize]
    both = (a.view(bits) | b.view(bits)).view(a.dtype)
    return np.where(a == b, both, np.fmin(a, b))[()]


def greatest(a: Value, b: Value) -> Value:
    """max: NaN only if both are; 0 is above -0."""
    bits = UNSIGNED[a.dtype.itemsize]
    both = (a.view(bits) & b.view(bits)).view(a.dtype)
    return np.where(a == b, both, np.fmax(a, b))[()]


def extreme(function: Plain) -> Build:
    """min and max, with .NaN too."""

    def build(scope: Scope, ins: Instruction) -> Run:
        if "NaN" not in ins.op:
            return rounded(function)(scope, ins)
        return plain(lambda a, b: canonical(np.where((a != a) | (b != b), a + b, function(a, b))[()]))(scope, ins)

    return build


def fused(a: Value, b: Value, c: Value) -> Value:
    """a * b + c, rounded once."""
    if a.dtype.itemsize == 4:
        return _fused32(a, b, c)
    shape = np.broadcast_shapes(a.shape, b.shape, c.shape)
    values = (np.broadcast_to(v, shape).ravel().tolist() for v in (a, b, c))
    found = np.array([_fused64(x, y, z) for x, y, z in zip(*values, strict=True)], dtype=np.float64)
    return found.reshape(shape)[()]


def _fused32(a: Value, b: Value, c: Value) -> Value:
    """In float64 the product is exact; its sum with c is rounded to odd, so the last rounding is the only one."""
    product, other = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = product + other
    part = total - product
    error = (product - (total - part)) + (other - part)
    bits = np.asarray(total).view(np.int64)
    even = (error != 0) & np.isfinite(error) & (bits & 1 == 0)
    towards = np.where((error > 0) == (total > 0), 1, -1)
    return np.where(even, bits + towards, bits).view(np.float64).astype(np.float32)[()]


def _fused64(a: float, b: float, c: float) -> float:
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return float(np.float64(a) * np.float64(b) + np.float64(c)) if math.isfinite(c) else _with_infinity(a, b, c)
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if not exact:
        return 0.0 if a and b else math.copysign(0.0, a) * math.copysign(1.0, b) + c
    sign = 1.0 if exact > 0 else -1.0
    try:
        return math.copysign(float(exact), sign)
    except OverflowError:
        return math.copysign(math.inf, sign)


def _with_infinity(a: float, b: float, c: float) -> float:
    infinite = not (math.isfinite(a) and math.isfinite(b))
    return float(np.float64(a) * np.float64(b) + np.float64(c)) if infinite else c


def float_bits(change: Plain) -> Build:
    """neg, abs and copysign: bits alone, also of NaN."""

    def build(scope: Scope, ins: Instruction) -> Run:
        dtype = DTYPES[ins.op[-1]]
        bits = UNSIGNED[dtype.itemsize]
        sign = bits.type(1 << 8 * dtype.itemsize - 1)
        return plain(lambda *of: change(sign, *(v.view(bits) for v in of)).view(dtype))(scope, ins)

    return build


COMPARE: dict[str, Plain] = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "lo": lambda a, b: a < b, "ls": lambda a, b: a <= b,
    "hi": lambda a, b: a > b, "hs": lambda a, b: a >= b,
    "equ": lambda a, b: ~((a < b) | (a > b)), "neu": lambda a, b: a != b, "ltu": lambda a, b: ~(a >= b),
    "leu": lambda a, b: ~(a > b), "gtu": lambda a, b: ~(a <= b), "geu": lambda a, b: ~(a < b),
    "num": lambda a, b: (a == a) & (b == b), "nan": lambda a, b: (a != a) | (b != b),
}  # fmt: skip
JOIN: dict[str, Plain] = {"and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b}


def _compared(name: str, kind: str) -> Plain:
    if name == "ne" and kind[0] == "f":  # ordered: false for NaN
        return lambda a, b: (a < b) | (a > b)
    return COMPARE[name]


def set_predicate(scope: Scope, ins: Instruction) -> Run:
    """setp: one or two predicates of a comparison, joined with a third."""
    kind, test = ins.op[-1], _compared(ins.op[1], ins.op[-1])
    a, b = (scope.reader(arg, kind) for arg in ins.args[1:3])
    names = ins.args[0].split("|")
    join = JOIN.get(ins.op[2])
    if join is None:
        first = pure(scope.target(names[0]), lambda r: test(a(r), b(r)))
        runs = [first] + [pure(scope.target(name), lambda r: ~test(a(r), b(r))) for name in names[1:]]
    else:
        c = scope.reader(ins.args[3], "pred")
        runs = [pure(scope.target(names[0]), lambda r: join(test(a(r), b(r)), c(r)))]
        runs += [pure(scope.target(name), lambda r: join(~test(a(r), b(r)), c(r))) for name in names[1:]]
    if len(runs) == 1:
        return runs[0]

    def run(batch: "Batch") -> None:
        for one in reversed(runs):
            one(batch)

    return run


def set_value(scope: Scope, ins: Instruction) -> Run:
    """set: a comparison as all ones (of .f32: 1.0) or 0."""
    to, kind = ins.op[-2], ins.op[-1]
    test = _compared(ins.op[1], kind)
    a, b = (scope.reader(arg, kind) for arg in ins.args[1:3])
    join, dtype = JOIN.get(ins.op[2]), DTYPES[to]
    c = scope.reader(ins.args[3], "pred") if join else None
    yes = dtype.type(1) if to[0] == "f" else np.array(-1).astype(dtype)[()]

    def compute(r: list[Value]) -> Value:
        found = test(a(r), b(r))
        return np.where(join(found, c(r)) if join and c else found, yes, dtype.type(0))[()]

    return pure(scope.target(ins.args[0]), compute)


TESTS: dict[str, Plain] = {
    "finite": np.isfinite, "infinite": np.isinf, "number": lambda a: a == a, "notanumber": lambda a: a != a,
    "normal": lambda a: np.isfinite(a) & (np.abs(a) >= np.finfo(a.dtype).tiny),
    "subnormal": lambda a: (a != 0) & (np.abs(a) < np.finfo(a.dtype).tiny),
}  # fmt: skip


def test_property(scope: Scope, ins: Instruction) -> Run:
    """testp."""
    return plain(TESTS[ins.op[1]])(scope, ins)


def _float_move(scope: Scope, ins: Instruction) -> Run:
    return INTEGERS[ins.op[0]](scope, ins)


FLOATS: dict[str, Build] = {
    "add": rounded(lambda a, b: a + b), "sub": rounded(lambda a, b: a - b), "mul": rounded(lambda a, b: a * b),
    "div": rounded(lambda a, b: a / b), "fma": rounded(fused), "mad": rounded(fused), "sqrt": rounded(np.sqrt),
    "rcp": rounded(lambda a: a.dtype.type(1) / a), "min": extreme(least), "max": extreme(greatest),
    "neg": float_bits(lambda sign, a: a ^ sign), "abs": float_bits(lambda sign, a: a & ~sign),
    "copysign": float_bits(lambda sign, a, b: b & ~sign | a & sign), "testp": test_property, "mov": _float_move,
    "selp": _float_move,
}  # fmt: skip
