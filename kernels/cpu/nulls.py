"""Steps over validity, and choices between values: addresses of tiles of `w` rows, as in `arithmetic`.

An `ok` address is a tile of bytes, 1 where the row is valid; 0 instead of an address says that all are valid. Raw
values are 8 bytes of any type.
"""

import numpy as np

from ..opcodes import Op
from .jit import part
from .memory import f8, i8, u1


@part
def fill_bytes(o, value, w):
    """A tile of one byte value."""
    o = u1(o)
    for i in range(w):
        o[i] = value


@part
def fill_raw(o, bits, w):
    """A tile of one 8-byte value."""
    o = i8(o)
    for i in range(w):
        o[i] = bits


@part
def copy_raw(o, x, w):
    """A tile copied."""
    o, x = i8(o), i8(x)
    for i in range(w):
        o[i] = x[i]


@part
def copy_valid(o, source, stride, w):
    """Validity copied from `source`, one byte every `stride`; gives whether any row is null."""
    o, source = u1(o), u1(source)
    every = 1
    if stride == 1:
        for i in range(w):
            o[i] = source[i]
            every &= source[i]
    else:
        for i in range(w):
            o[i] = source[i * stride]
            every &= source[i * stride]
    return every == 0


@part
def both_valid(o, a, b, w):
    """Valid where `a` and `b` are; gives whether `o` was written, that is whether any can be null."""
    if a == 0 and b == 0:
        return False
    o, x, y = u1(o), u1(a), u1(b)
    if a == 0 or b == 0:
        x = y if a == 0 else x
        for i in range(w):
            o[i] = x[i]
    else:
        for i in range(w):
            o[i] = x[i] & y[i]
    return True


@part
def clear_valid(ok, suspect, w):
    """Null where `suspect` is 1."""
    ok, suspect = u1(ok), u1(suspect)
    for i in range(w):
        ok[i] &= suspect[i] ^ 1


@part
def and_valid(ok, other, w):
    """Null also where `other` is."""
    ok, other = u1(ok), u1(other)
    for i in range(w):
        ok[i] &= other[i]


@part
def first_null(ok, w):
    """The first null row, or -1."""
    ok = u1(ok)
    for i in range(w):
        if ok[i] == 0:
            return i
    return -1


@part
def keep_valid(o, ok, x, otherwise, w):
    """x where it is valid, else the 8 bytes `otherwise`."""
    o, ok, x = i8(o), u1(ok), i8(x)
    for i in range(w):
        o[i] = x[i] if ok[i] != 0 else otherwise


@part
def choose(o, chosen, x, y, w):
    """x where the byte `chosen` is not 0, else y; raw."""
    o, chosen, x, y = i8(o), u1(chosen), i8(x), i8(y)
    for i in range(w):
        o[i] = x[i] if chosen[i] != 0 else y[i]


@part
def choose_valid(o, chosen, a, b, w):
    """The same for validity; `a` and `b` may be 0 for all valid."""
    o, chosen, x, y = u1(o), u1(chosen), u1(a), u1(b)
    for i in range(w):
        left = a == 0 or x[i] != 0
        right = b == 0 or y[i] != 0
        o[i] = left if chosen[i] != 0 else right


@part
def truth(o, x, ok, w):
    """Bytes: 1 where x is valid and not 0."""
    o, x, valid = u1(o), i8(x), u1(ok)
    if ok == 0:
        for i in range(w):
            o[i] = x[i] != 0
    else:
        for i in range(w):
            o[i] = (x[i] != 0) & (valid[i] != 0)


@part
def logic(op, o, x, y, w):
    """AND_B to NOT_B of valid values."""
    o, x, y = i8(o), i8(x), i8(y)
    if op == Op.AND_B:
        for i in range(w):
            o[i] = (x[i] != 0) & (y[i] != 0)
    elif op == Op.OR_B:
        for i in range(w):
            o[i] = (x[i] != 0) | (y[i] != 0)
    elif op == Op.XOR_B:
        for i in range(w):
            o[i] = (x[i] != 0) != (y[i] != 0)
    else:
        for i in range(w):
            o[i] = x[i] == 0


@part
def kleene(op, o, x, y, ok_o, ok_x, ok_y, w):
    """AND_B and OR_B with nulls; all three validities are there."""
    o, x, y, ok_o, ok_x, ok_y = i8(o), i8(x), i8(y), u1(ok_o), u1(ok_x), u1(ok_y)
    decides = np.int64(op == Op.OR_B)
    for i in range(w):
        valid_x, valid_y = np.int64(ok_x[i] != 0), np.int64(ok_y[i] != 0)
        decided = (valid_x & (np.int64(x[i] != 0) ^ decides ^ 1)) | (valid_y & (np.int64(y[i] != 0) ^ decides ^ 1))
        o[i] = decides ^ decided ^ 1
        ok_o[i] = (valid_x & valid_y) | decided


@part
def null_test(op, o, ok, w):
    """IS_NULL and IS_NOT_NULL."""
    o, valid = i8(o), u1(ok)
    null = 1 if op == Op.IS_NULL else 0
    for i in range(w):
        o[i] = null ^ 1 if ok == 0 or valid[i] != 0 else null


@part
def float_test(op, o, x, w):
    """IS_NAN and IS_FINITE."""
    o, x = i8(o), f8(x)
    if op == Op.IS_NAN:
        for i in range(w):
            o[i] = x[i] != x[i]
    else:
        for i in range(w):
            o[i] = x[i] - x[i] == 0.0
