"""Integer, logic and data movement instructions."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .bits import (
    bits_of,
    count_bits,
    extract,
    find_highest,
    funnel,
    insert,
    leading_zeros,
    logic3,
    permute,
    reversed_bits,
    shift,
)  # fmt: skip
from .memory import Fault
from .operands import DTYPES, UNSIGNED, Get, Run, Scope, Value, pure, widened, words
from .parse import Instruction

if TYPE_CHECKING:
    from .batch import Batch

Build = Callable[[Scope, Instruction], Run]
Plain = Callable[..., Value]


def plain(function: Plain, kinds: tuple[str, ...] | None = None) -> Build:
    """An instruction whose result is `function` of its operands, all of its type (or of `kinds`)."""

    def build(scope: Scope, ins: Instruction) -> Run:
        kind = ins.op[-1]
        read = [scope.reader(arg, kinds[i] if kinds else kind) for i, arg in enumerate(ins.args[1:])]
        target = scope.target(ins.args[0])
        if len(read) == 1:
            (a,) = read
            return pure(target, lambda r: function(a(r)))
        if len(read) == 2:
            a, b = read
            return pure(target, lambda r: function(a(r), b(r)))
        a, b, c = read
        return pure(target, lambda r: function(a(r), b(r), c(r)))

    return build


def quotient(a: Value, b: Value) -> Value:
    """Integer division towards 0."""
    if a.dtype.kind == "u":
        found = a // b
    else:
        rest = np.fmod(a, b)
        found = (a - rest) // b
    return np.asarray(found)[()]


def remainder(a: Value, b: Value) -> Value:
    """What integer division leaves, with the sign of the dividend."""
    return np.fmod(a, b)


def divide(function: Plain) -> Build:
    """div and rem; what a GPU gives for a division by 0 is not said, so it is an error."""

    def build(scope: Scope, ins: Instruction) -> Run:
        by, run = scope.reader(ins.args[2], ins.op[-1]), plain(function)(scope, ins)

        def checked(batch: "Batch") -> None:
            wrong = np.atleast_1d(batch.active(by(batch.r)) == 0)
            if wrong.any():
                raise Fault("divides an integer by 0", int(wrong.argmax()))
            run(batch)

        return checked

    return build


def high(a: Value, b: Value) -> Value:
    """The upper half of a product."""
    bits = 8 * a.dtype.itemsize
    if bits < 64:
        wide = np.dtype(f"{a.dtype.kind}{bits // 4}")
        return ((a.astype(wide) * b.astype(wide)) >> wide.type(bits)).astype(a.dtype)
    x, y = a.view(np.uint64), b.view(np.uint64)
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    x0, x1, y0, y1 = x & low, x >> half, y & low, y >> half
    cross = x1 * y0 + (x0 * y0 >> half)
    other = x0 * y1 + (cross & low)
    top = x1 * y1 + (cross >> half) + (other >> half)
    if a.dtype.kind == "i":
        top = top - np.where(a < 0, y, np.uint64(0)) - np.where(b < 0, x, np.uint64(0))
    return top.view(a.dtype)


def _product(part: str, kind: str) -> Plain:
    if part == "lo":
        return lambda a, b: a * b
    if part == "hi":
        return high
    wide = np.dtype(f"{DTYPES[kind].kind}{bits_of(kind) // 4}")
    return lambda a, b: a.astype(wide) * b.astype(wide)


def multiply(scope: Scope, ins: Instruction) -> Run:
    """mul and mad of integers, with .lo, .hi and .wide."""
    part, kind = ins.op[1], ins.op[-1]
    a, b = (scope.reader(arg, kind) for arg in ins.args[1:3])
    product = _product(part, kind)
    target = scope.target(ins.args[0])
    if len(ins.args) == 3:
        return pure(target, lambda r: product(a(r), b(r)))
    c = scope.reader(ins.args[3], f"{kind[0]}{bits_of(kind) * (2 if part == 'wide' else 1)}")
    return pure(target, lambda r: product(a(r), b(r)) + c(r))


def carried(scope: Scope, ins: Instruction) -> Run:
    """add.cc, addc, sub.cc, subc: sums with the carry of the one before."""
    kind = ins.op[-1]
    wide = UNSIGNED[DTYPES[kind].itemsize]
    a, b = (scope.reader(arg, f"u{bits_of(kind)}") for arg in ins.args[1:])
    add, takes, gives = ins.op[0].startswith("add"), ins.op[0].endswith("c"), "cc" in ins.op
    flag = scope.number("carry flag", "pred")
    to = scope.target(ins.args[0])

    def run(batch: "Batch") -> None:
        r = batch.r
        x, y = a(r), b(r)
        carry = r[flag].astype(wide) if takes else wide.type(0)
        first = x + y if add else x - y
        total = first + carry if add else first - carry
        over = ((first < x) | (total < first)) if add else ((x < y) | (first < carry))
        pure(to, lambda r: total)(batch)
        if gives:
            pure((flag, 1), lambda r: over)(batch)

    return run


def add(scope: Scope, ins: Instruction) -> Run:
    """add of integers, .sat of s32 included."""
    if "cc" in ins.op or ins.op[0] != "add":
        return carried(scope, ins)
    if "sat" in ins.op:
        return plain(lambda a, b: np.clip(a.astype(np.int64) + b, -(2**31), 2**31 - 1).astype(np.int32))(scope, ins)
    return plain(lambda a, b: a + b)(scope, ins)


def subtract(scope: Scope, ins: Instruction) -> Run:
    """sub of integers, .sat of s32 included."""
    if "cc" in ins.op or ins.op[0] != "sub":
        return carried(scope, ins)
    if "sat" in ins.op:
        return plain(lambda a, b: np.clip(a.astype(np.int64) - b, -(2**31), 2**31 - 1).astype(np.int32))(scope, ins)
    return plain(lambda a, b: a - b)(scope, ins)


def move(scope: Scope, ins: Instruction) -> Run:
    """mov: a register, a constant, an address, or two halves as one value and back."""
    kind, to, of = ins.op[-1], ins.args[0], ins.args[1]
    if of.startswith("{"):
        return _joined(scope, ins, words(of))
    if to.startswith("{"):
        return _parted(scope, ins, words(to))
    return pure(scope.target(to), scope.reader(of, kind))


def _joined(scope: Scope, ins: Instruction, parts: tuple[str, ...]) -> Run:
    bits = bits_of(ins.op[-1]) // len(parts)
    wide = UNSIGNED[bits * len(parts) // 8]
    read = [scope.reader(part, f"b{bits}") for part in parts]

    def compute(r: list[Value]) -> Value:
        result = read[0](r).astype(wide)
        for number, get in enumerate(read[1:], 1):
            result = result | get(r).astype(wide) << wide.type(number * bits)
        return result

    return pure(scope.target(ins.args[0]), compute)


def _parted(scope: Scope, ins: Instruction, parts: tuple[str, ...]) -> Run:
    whole, bits = scope.reader(ins.args[1], f"b{bits_of(ins.op[-1])}"), bits_of(ins.op[-1]) // len(parts)
    wide, narrow = DTYPES[f"b{bits * len(parts)}"], UNSIGNED[bits // 8]

    def part(number: int) -> Get:
        return lambda r: (whole(r) >> wide.type(number * bits)).astype(narrow)

    runs = [pure(scope.target(word), part(number)) for number, word in enumerate(parts)]

    def run(batch: "Batch") -> None:
        for one in runs:
            one(batch)

    return run


def select(scope: Scope, ins: Instruction) -> Run:
    """selp."""
    a, b = (scope.reader(arg, ins.op[-1]) for arg in ins.args[1:3])
    p = scope.reader(ins.args[3], "pred")

    def compute(r: list[Value]) -> Value:
        chosen = p(r)
        if chosen.ndim == 0:
            return a(r) if chosen else b(r)
        return np.where(chosen, a(r), b(r))

    return pure(scope.target(ins.args[0]), compute)


def dot(scope: Scope, ins: Instruction) -> Run:
    """sad: the distance of two integers, added to a third."""
    return plain(lambda a, b, c: widened(np.where(a < b, b - a, a - b)[()], c.dtype.itemsize) + c)(scope, ins)


INTEGERS: dict[str, Build] = {
    "mul": multiply, "mad": multiply, "add": add, "addc": add, "sub": subtract, "subc": subtract,
    "div": divide(quotient), "rem": divide(remainder), "min": plain(np.minimum), "max": plain(np.maximum),
    "and": plain(lambda a, b: a & b), "or": plain(lambda a, b: a | b), "xor": plain(lambda a, b: a ^ b),
    "not": plain(lambda a: ~a), "cnot": plain(lambda a: (a == 0).astype(a.dtype)), "neg": plain(lambda a: -a),
    "abs": plain(np.abs), "shl": shift, "shr": shift, "shf": funnel, "popc": plain(count_bits),
    "clz": plain(leading_zeros), "bfind": find_highest, "brev": plain(reversed_bits), "bfe": extract, "bfi": insert,
    "prmt": permute, "lop3": logic3, "sad": dot, "mov": move, "selp": select,
}  # fmt: skip
