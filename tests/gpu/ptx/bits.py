"""Instructions on bits: shifts, fields, counts, and any logic of three operands."""

from typing import Any

import numpy as np

from .operands import DTYPES, UNSIGNED, Run, Scope, Value, pure
from .parse import Instruction, PtxError


def bits_of(kind: str) -> int:
    """How many bits a type has."""
    return 8 * DTYPES[kind].itemsize


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


def _ones(n: Value, wide: np.dtype[Any]) -> Value:
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
        result: Value = np.uint64(0)
        for byte in range(4):
            pick = chosen >> np.uint64(4 * byte)
            value = both >> (pick & np.uint64(7)) * np.uint64(8) & np.uint64(255)
            sign = (value >> np.uint64(7)) * np.uint64(255)
            result = result | np.where(pick & np.uint64(8), sign, value) << np.uint64(8 * byte)
        return np.asarray(result).astype(np.uint32)[()]

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
