"""Integer, logic and data movement instructions."""

from collections.abc import Callable

import numpy as np

from .operands import DTYPES, UNSIGNED, Get, Run, Scope, Value, pure, widened, words
from .parse import Instruction, PtxError

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


def bits_of(kind: str) -> int:
    """How many bits a type has."""
    return 8 * DTYPES[kind].itemsize


def quotient(a: Value, b: Value) -> Value:
    """Integer division towards 0; all ones for a division by 0, as the hardware gives."""
    if a.dtype.kind == "u":
        found = a // b
    else:
        rest = np.fmod(a, b)
        found = (a - rest) // b
    return np.where(b == 0, a.dtype.type(-1) if a.dtype.kind == "i" else np.iinfo(a.dtype).max, found)[()]


def remainder(a: Value, b: Value) -> Value:
    """What integer division leaves, with the sign of the dividend."""
    return np.where(b == 0, a, np.fmod(a, b))[()]


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


def shift(scope: Scope, ins: Instruction) -> Run:
    """shl and shr; a count beyond the width gives 0 (of a signed value: its sign)."""
    kind, left = ins.op[-1], ins.op[0] == "shl"
    dtype, bits = DTYPES[kind], bits_of(kind)
    a, target = scope.reader(ins.args[1], kind), scope.target(ins.args[0])
    count = scope.reader(ins.args[2], "u32")

    def compute(r: list[Value]) -> Value:
        value, by = a(r), count(r)
        if by.ndim == 0 and by < bits:
            return value << dtype.type(by) if left else value >> dtype.type(by)
        clamped = np.minimum(by, np.uint32(bits - 1)).astype(dtype)
        moved = value << clamped if left else value >> clamped
        return moved if dtype.kind == "i" and not left else np.where(by < bits, moved, dtype.type(0))[()]

    return pure(target, compute)


def funnel(scope: Scope, ins: Instruction) -> Run:
    """shf.l / shf.r with .wrap or .clamp: 32 of the 64 bits of two registers."""
    left, clamp = ins.op[1] == "l", ins.op[2] == "clamp"
    a, b, c = (scope.reader(arg, "u32") for arg in ins.args[1:])

    def compute(r: list[Value]) -> Value:
        count = c(r)
        count = np.minimum(count, np.uint32(32)) if clamp else count & np.uint32(31)
        both = b(r).astype(np.uint64) << np.uint64(32) | a(r).astype(np.uint64)
        by = count.astype(np.uint64)
        return (both << by >> np.uint64(32) if left else both >> by).astype(np.uint32)

    return pure(scope.target(ins.args[0]), compute)


def count_bits(value: Value) -> Value:
    """popc."""
    return np.bitwise_count(value).astype(np.uint32)


def leading_zeros(value: Value) -> Value:
    """clz."""
    bits = 8 * value.dtype.itemsize
    return (np.uint32(bits - 1) - highest_bit(value)).astype(np.uint32)


def highest_bit(value: Value) -> Value:
    """bfind of an unsigned value: the place of the highest bit that is set, 0xffffffff for none."""
    for by in (1, 2, 4, 8, 16, 32):
        if by < 8 * value.dtype.itemsize:
            value = value | value >> value.dtype.type(by)
    return np.bitwise_count(value).astype(np.uint32) - np.uint32(1)


def find_highest(scope: Scope, ins: Instruction) -> Run:
    """bfind, of signed values the highest bit that is not the sign; .shiftamt: how far it is from the top."""
    kind = ins.op[-1]
    a, top = scope.reader(ins.args[1], kind), np.uint32(bits_of(kind) - 1)
    unsigned = UNSIGNED[DTYPES[kind].itemsize]

    def compute(r: list[Value]) -> Value:
        value = a(r)
        place = highest_bit(np.where(value < 0, ~value, value).view(unsigned)[()] if kind[0] == "s" else value)
        return np.where(place == 0xFFFFFFFF, place, top - place)[()] if "shiftamt" in ins.op else place

    return pure(scope.target(ins.args[0]), compute)


def reversed_bits(value: Value) -> Value:
    """brev."""
    dtype = value.dtype
    for by in (1, 2, 4, 8, 16, 32):
        if by < 8 * dtype.itemsize:
            pattern = sum(((1 << by) - 1) << at for at in range(0, 8 * dtype.itemsize, 2 * by))
            mask, step = dtype.type(pattern), dtype.type(by)
            value = (value & mask) << step | (value >> step) & mask
    return value


def extract(scope: Scope, ins: Instruction) -> Run:
    """bfe: a run of bits; of signed values with the sign carried on."""
    kind = ins.op[-1]
    dtype, bits = DTYPES[kind], bits_of(kind)
    wide = UNSIGNED[dtype.itemsize]
    a = scope.reader(ins.args[1], kind)
    start, length = (scope.reader(arg, "u32") for arg in ins.args[2:])

    def compute(r: list[Value]) -> Value:
        value, first, n = a(r), start(r) & np.uint32(255), length(r) & np.uint32(255)
        kept = np.minimum(np.minimum(n, np.uint32(bits)), np.uint32(bits) - np.minimum(first, np.uint32(bits)))
        fill = np.where(kind[0] == "s", value < 0, False)
        if kind[0] == "s":
            last = np.minimum(first + n - np.uint32(1), np.uint32(bits - 1)).astype(wide)
            fill = np.where(n == 0, False, (value.view(wide) >> last & wide.type(1)) != 0)
        low = np.where(first < bits, value.view(wide) >> np.minimum(first, np.uint32(bits - 1)).astype(wide), 0)
        mask = _ones(kept, wide)
        wanted = _ones(np.minimum(n, np.uint32(bits)), wide)
        full = np.where(fill, ~wide.type(0), wide.type(0))
        result = low.astype(wide) & mask | full & ~(mask if kind[0] == "s" else wanted)
        return np.where(n == 0, wide.type(0), result)[()].view(dtype)

    return pure(scope.target(ins.args[0]), compute)


def _ones(n: Value, wide: np.dtype[np.generic]) -> Value:
    """n ones in the lowest bits, n up to the width."""
    bits = 8 * wide.itemsize
    by = np.minimum(n, np.uint32(bits - 1)).astype(wide)
    return np.where(n >= bits, ~wide.type(0), (wide.type(1) << by) - wide.type(1))


def insert(scope: Scope, ins: Instruction) -> Run:
    """bfi: a run of bits of the first operand put into the second."""
    kind = ins.op[-1]
    wide, bits = UNSIGNED[DTYPES[kind].itemsize], bits_of(kind)
    a, b = (scope.reader(arg, kind) for arg in ins.args[1:3])
    start, length = (scope.reader(arg, "u32") for arg in ins.args[3:])

    def compute(r: list[Value]) -> Value:
        first, n = start(r) & np.uint32(255), length(r) & np.uint32(255)
        by = np.minimum(first, np.uint32(bits - 1)).astype(wide)
        mask = np.where(first < bits, _ones(n, wide) << by, wide.type(0))
        return (a(r) << by & mask | b(r) & ~mask)[()]

    return pure(scope.target(ins.args[0]), compute)


def permute(scope: Scope, ins: Instruction) -> Run:
    """prmt: four bytes chosen among eight."""
    if len(ins.op) != 2:
        raise PtxError(f"unsupported: {ins.text}")
    a, b, c = (scope.reader(arg, "u32") for arg in ins.args[1:])

    def compute(r: list[Value]) -> Value:
        both, chosen = b(r).astype(np.uint64) << np.uint64(32) | a(r).astype(np.uint64), c(r).astype(np.uint64)
        result = np.uint64(0)
        for byte in range(4):
            pick = chosen >> np.uint64(4 * byte)
            value = both >> (pick & np.uint64(7)) * np.uint64(8) & np.uint64(255)
            sign = (value >> np.uint64(7)) * np.uint64(255)
            result = result | np.where(pick & np.uint64(8), sign, value) << np.uint64(8 * byte)
        return result.astype(np.uint32)[()]

    return pure(scope.target(ins.args[0]), compute)


def logic3(scope: Scope, ins: Instruction) -> Run:
    """lop3: any logic of three operands, by its table of 8 bits."""
    a, b, c = (scope.reader(arg, "u32") for arg in ins.args[1:4])
    table = int(ins.args[4], 0)

    def compute(r: list[Value]) -> Value:
        x, y, z = a(r), b(r), c(r)
        result = np.uint32(0)
        for row in range(8):
            if table >> row & 1:
                result = result | (x if row & 4 else ~x) & (y if row & 2 else ~y) & (z if row & 1 else ~z)
        return result

    return pure(scope.target(ins.args[0]), compute)


def carried(scope: Scope, ins: Instruction) -> Run:
    """add.cc, addc, sub.cc, subc: sums with the carry of the one before."""
    kind = ins.op[-1]
    wide = UNSIGNED[DTYPES[kind].itemsize]
    a, b = (scope.reader(arg, f"u{bits_of(kind)}") for arg in ins.args[1:])
    add, takes, gives = ins.op[0].startswith("add"), ins.op[0].endswith("c"), "cc" in ins.op
    flag = scope.number("carry flag", "pred")
    to = scope.target(ins.args[0])

    def run(batch: "object") -> None:
        r = batch.r  # type: ignore[attr-defined]
        x, y = a(r), b(r)
        carry = r[flag].astype(wide) if takes else wide.type(0)
        first = x + y if add else x - y
        total = first + carry if add else first - carry
        over = ((first < x) | (total < first)) if add else ((x < y) | (first < carry))
        pure(to, lambda r: total)(batch)  # type: ignore[arg-type]
        if gives:
            pure((flag, 1), lambda r: over)(batch)  # type: ignore[arg-type]

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

    def run(batch: "object") -> None:
        for one in runs:
            one(batch)  # type: ignore[arg-type]

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
    "div": plain(quotient), "rem": plain(remainder), "min": plain(np.minimum), "max": plain(np.maximum),
    "and": plain(lambda a, b: a & b), "or": plain(lambda a, b: a | b), "xor": plain(lambda a, b: a ^ b),
    "not": plain(lambda a: ~a), "cnot": plain(lambda a: (a == 0).astype(a.dtype)), "neg": plain(lambda a: -a),
    "abs": plain(np.abs), "shl": shift, "shr": shift, "shf": funnel, "popc": plain(count_bits),
    "clz": plain(leading_zeros), "bfind": find_highest, "brev": plain(reversed_bits), "bfe": extract, "bfi": insert,
    "prmt": permute, "lop3": logic3, "sad": dot, "mov": move, "selp": select,
}  # fmt: skip
