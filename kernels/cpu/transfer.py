"""Between tables and tiles: loads, stores, and the transposition of stored tiles into row-major matrices.

A store first makes a contiguous tile in the output's type. Where the output is contiguous that is the output itself;
else it is a row of the stage, and rows that fill neighbouring columns of a matrix are written together, so that whole
cache lines are.
"""

import numpy as np

from ..opcodes import Op
from . import memory
from .jit import part

#: Rows of a tile. Tiles stand _SPACING bytes apart, no power of two, so that they do not compete for cache sets.
TILE = 512
SPACING = 8 * (TILE + 16)
#: Tiles the stage holds.
STAGE = 16


@part
def gather(o, source, step, w):
    """`w` items of a typed pointer, one every `step`, converted to the type of `o`."""
    if step == 1:
        for i in range(w):
            o[i] = source[i]
    else:
        for i in range(w):
            o[i] = source[i * step]


@part
def load(op, o, address, stride, w):
    """LOAD_BOOL to LOAD_F8: w values, one every `stride` bytes."""
    if op == Op.LOAD_F4:
        gather(memory.f8(o), memory.f4(address), stride // 4, w)
    elif op == Op.LOAD_F8:
        gather(memory.f8(o), memory.f8(address), stride // 8, w)
    elif op == Op.LOAD_I4:
        gather(memory.i8(o), memory.i4(address), stride // 4, w)
    elif op == Op.LOAD_I8 or op == Op.LOAD_U8:
        gather(memory.i8(o), memory.i8(address), stride // 8, w)
    elif op == Op.LOAD_I1:
        gather(memory.i8(o), memory.i1(address), stride, w)
    elif op == Op.LOAD_I2:
        gather(memory.i8(o), memory.i2(address), stride // 2, w)
    elif op == Op.LOAD_U2:
        gather(memory.i8(o), memory.u2(address), stride // 2, w)
    elif op == Op.LOAD_U4:
        gather(memory.i8(o), memory.u4(address), stride // 4, w)
    else:
        gather(memory.i8(o), memory.u1(address), stride, w)


@part
def first_outside(x, low, high, w):
    """The first row whose value is not in low..high, or -1."""
    x = memory.i8(x)
    count = 0
    for i in range(w):
        count += (x[i] < low) | (x[i] > high)
    if count == 0:
        return -1
    for i in range(w):
        if (x[i] < low) | (x[i] > high):
            return i
    return -1


@part
def convert(o, x, w):
    """Integers to the type of the pointer `o`; x has been checked."""
    for i in range(w):
        o[i] = x[i]


@part
def convert_float(o, x, w):
    """Floats to the type of the pointer `o`, rounded once; every NaN becomes the one NaN."""
    for i in range(w):
        o[i] = x[i] if x[i] == x[i] else np.nan


@part
def size_of(op):
    """Bytes of an item of a store."""
    kind = op - Op.STORE_BOOL
    if kind == 0:
        return 1
    return 4 if kind == 9 else 8 if kind == 10 else 1 << ((kind - 1) & 3)


@part
def store(op, o, x, w):
    """STORE_BOOL to STORE_F8 into a contiguous tile; gives the first row out of range, or -1."""
    values = memory.i8(x)
    bad = -1
    if op == Op.STORE_F4:
        convert_float(memory.f4(o), memory.f8(x), w)
    elif op == Op.STORE_F8:
        convert_float(memory.f8(o), memory.f8(x), w)
    elif op == Op.STORE_BOOL:
        target = memory.u1(o)
        for i in range(w):
            target[i] = values[i] != 0
    elif op == Op.STORE_I8 or op == Op.STORE_U8:
        convert(memory.i8(o), values, w)
        bad = first_outside(x, 0, 2**63 - 1, w) if op == Op.STORE_U8 else -1
    else:
        bits = 8 * size_of(op)
        high = (1 << (bits - 1 if op <= Op.STORE_I8 else bits)) - 1
        bad = first_outside(x, -high - 1 if op <= Op.STORE_I8 else 0, high, w)
        if bits == 8:
            convert(memory.u1(o), values, w)
        elif bits == 16:
            convert(memory.u2(o), values, w)
        else:
            convert(memory.u4(o), values, w)
    return bad


@part
def store_valid(address, stride, ok, w):
    """Validity to one byte every `stride`; `ok` 0 for all valid."""
    target, source = memory.u1(address), memory.u1(ok)
    if ok == 0:
        for i in range(w):
            target[i * stride] = 1
    else:
        for i in range(w):
            target[i * stride] = source[i]


@part
def scatter(target, source, step, w):
    """A contiguous tile to one item every `step`; typed pointers."""
    for i in range(w):
        target[i * step] = source[i]


@part
def scatter_block(target, source, step, apart, w):
    """STAGE tiles, `apart` items from each other, as neighbouring columns."""
    for i in range(w):
        for j in range(STAGE):
            target[i * step + j] = source[j * apart + i]


@part
def where_to_store(op, target, first, stage, count, pending):
    """Whether (1 or 0) a store goes through the stage, noted in `pending` (targets, strides, sizes), and its tile."""
    size, begin = size_of(op), target[0] + first * target[1]
    if target[1] == size:
        return 0, begin
    pending[0, count], pending[1, count], pending[2, count] = begin, target[1], size
    return 1, stage + count * SPACING


@part
def flush_when_full(stage, count, pending, w):
    """Write a full stage; gives how many tiles are staged now."""
    if count < STAGE:
        return count
    flush(stage, count, pending, w)
    return 0


@part
def is_run(targets, strides, sizes):
    """Whether a full stage fills neighbouring columns of one matrix of 4- or 8-byte items."""
    if sizes[0] < 4:
        return False
    for k in range(1, STAGE):
        if sizes[k] != sizes[0] or strides[k] != strides[0] or targets[k] != targets[0] + k * sizes[0]:
            return False
    return True


@part
def flush(stage, count, pending, w):
    """Write the first `count` tiles of the stage to where they belong."""
    targets, strides, sizes = pending[0], pending[1], pending[2]
    size = sizes[0]
    if count == STAGE and is_run(targets, strides, sizes):
        if size == 4:
            scatter_block(memory.i4(targets[0]), memory.i4(stage), strides[0] // 4, SPACING // 4, w)
        else:
            scatter_block(memory.i8(targets[0]), memory.i8(stage), strides[0] // 8, SPACING // 8, w)
        return
    for k in range(count):
        source, size = stage + k * SPACING, sizes[k]
        step = strides[k] // size
        if size == 1:
            scatter(memory.u1(targets[k]), memory.u1(source), step, w)
        elif size == 2:
            scatter(memory.u2(targets[k]), memory.u2(source), step, w)
        elif size == 4:
            scatter(memory.i4(targets[k]), memory.i4(source), step, w)
        else:
            scatter(memory.i8(targets[k]), memory.i8(source), step, w)
