"""One step of a program over one tile: where its operands lie, which are null, and what it reports.

A register is a slot: a tile of values and behind it a tile of validity, which counts only where `masked` says that any
row may be null. Where `single` says so its first value stands for all rows: a parameter is written out only for steps
that need it in every row. `base` is the address of slot 0. Steps give the first offending row of the tile (-1: none)
and a code.
"""

import numpy as np

from ..opcodes import Op
from ..table import CAST_FAILED, INT_OVERFLOW, NULL_IN_OUTPUT
from . import arithmetic, math, nulls, transfer
from .jit import inlined, part
from .memory import f8, i8, u1
from .transfer import SPACING, TILE

#: Bytes of a slot.
SLOT = SPACING + TILE + 64
_NAN_BITS = int(np.array(np.nan).view(np.int64))


@part
def values_of(base, slot):
    """The address of a slot's values."""
    return base + slot * SLOT


@part
def valid_of(base, slot):
    """The address of a slot's validity."""
    return base + slot * SLOT + SPACING


@part
def ok_of(base, slot, masked):
    """The address of a slot's validity, or 0 where all rows are valid."""
    return valid_of(base, slot) if masked[slot] else 0


@part
def require_mask(base, slot, masked, w):
    """Make sure that the slot's validity is written out."""
    if not masked[slot]:
        nulls.fill_bytes(valid_of(base, slot), 1, w)
        masked[slot] = True


@part
def spread_single(base, slot, single, w):
    """Make sure that the slot's value is written out in every row."""
    if single[slot]:
        nulls.fill_raw(values_of(base, slot), i8(values_of(base, slot))[0], w)
        single[slot] = False


@inlined
def load_step(op, base, slot, masked, single, source, first, w):
    """A column's values and validity; uint64 beyond int64 is an overflow."""
    single[slot] = False
    o, ok = values_of(base, slot), valid_of(base, slot)
    transfer.load(op, o, source[0] + first * source[1], source[1], w)
    masked[slot] = source[2] != 0 and nulls.copy_valid(ok, source[2] + first * source[3], source[3], w)
    if op != Op.LOAD_U8:
        return -1
    return first_valid_negative(o, ok_of(base, slot, masked), w)


@part
def first_valid_negative(x, ok, w):
    """The first valid row below 0, or -1."""
    x, valid = i8(x), u1(ok)
    for i in range(w):
        if x[i] < 0 and (ok == 0 or valid[i] != 0):
            return i
    return -1


@inlined
def const_step(base, slot, masked, single, bits, valid, w):
    """A parameter in every row."""
    i8(values_of(base, slot))[0] = bits
    masked[slot], single[slot] = valid == 0, True
    if valid == 0:
        nulls.fill_bytes(valid_of(base, slot), 0, w)


@inlined
def store_step(op, base, slot, masked, single, clean, target, first, tile, w):
    """A register to a contiguous tile of the output's type, and its validity to the output's. Null rows hold 0, or
    NaN where a float output has no validity. Gives row and code."""
    spread_single(base, slot, single, w)
    x, ok = values_of(base, slot), ok_of(base, slot, masked)
    null_row = -1
    if ok != 0:
        bare_float = target[2] == 0 and op >= Op.STORE_F4
        nulls.keep_valid(values_of(base, clean), ok, x, _NAN_BITS if bare_float else 0, w)
        x = values_of(base, clean)
        if target[2] == 0 and not bare_float:
            null_row = nulls.first_null(ok, w)
    if target[2] != 0:
        transfer.store_valid(target[2] + first * target[3], target[3], ok, w)
    bad = transfer.store(op, tile, x, w)
    if bad >= 0 and (null_row < 0 or bad < null_row):
        return bad, CAST_FAILED
    return null_row, NULL_IN_OUTPUT


@part
def single_step(op, base, out, a, b, masked, w):
    """ADD_F to MIN_F, and COALESCE, where the second operand is one number for all rows."""
    o, x, y = values_of(base, out), values_of(base, a), f8(values_of(base, b))[0]
    ok = ok_of(base, a, masked)
    if op != Op.COALESCE:
        masked[out] = nulls.both_valid(valid_of(base, out), ok, 0, w)
        arithmetic.float_by_one(op, o, x, y, w)
        return
    masked[out] = False
    if ok != 0:
        nulls.keep_valid(o, ok, x, i8(values_of(base, b))[0], w)
    else:
        nulls.copy_raw(o, x, w)


@part
def takes_one(op, base, out, a, b, c, masked, single, w):
    """Whether the second operand is one number for all rows, which the step takes so; else all are written out."""
    single[out] = False
    spread_single(base, a, single, w)
    if single[b] and not masked[b] and (Op.ADD_F <= op <= Op.MIN_F or op == Op.COALESCE):
        return True
    spread_single(base, b, single, w)
    spread_single(base, c, single, w)
    return False


@inlined
def compute_step(op, base, out, a, b, c, masked, single, suspect, w):
    """Any step between loads and stores; `out` is none of the operands' slots. Gives row and code."""
    if takes_one(op, base, out, a, b, c, masked, single, w):
        single_step(op, base, out, a, b, masked, w)
        return -1, 0
    o, x, y = values_of(base, out), values_of(base, a), values_of(base, b)
    if op >= Op.SELECT or op == Op.AND_B or op == Op.OR_B:
        null_aware(op, base, out, a, b, c, masked, suspect, w)
        return -1, 0
    one = op <= Op.ARCTAN or (Op.NEG_I <= op <= Op.DAY) or op == Op.NOT_B or Op.I_TO_F <= op <= Op.F_TO_I
    one |= op == Op.IS_NAN or op == Op.IS_FINITE
    ok_b = 0 if one else ok_of(base, b, masked)
    masked[out] = nulls.both_valid(valid_of(base, out), ok_of(base, a, masked), ok_b, w)
    if op <= Op.F_TO_F32:
        arithmetic.float_unary(op, o, x, w)
    elif op <= Op.ARCTAN:
        math.unary(op, o, x, w)
    elif op <= Op.MIN_F:
        arithmetic.float_binary(op, o, x, y, w)
    elif op <= Op.MOD_F:
        arithmetic.float_divmod(op, o, x, y, w)
    elif op == Op.POWER:
        math.binary(o, x, y, w)
    elif op <= Op.GE_F:
        arithmetic.compare(op - Op.EQ_F, i8(o), f8(x), f8(y), w)
    elif op <= Op.GE_I:
        arithmetic.compare(op - Op.EQ_I, i8(o), i8(x), i8(y), w)
    elif op >= Op.XOR_B:
        nulls.logic(op, o, x, y, w)
    elif op >= Op.IS_NAN:
        nulls.float_test(op, o, x, w)
    elif op == Op.I_TO_F:
        transfer.gather(f8(o), i8(x), 1, w)
    elif op >= Op.F_TO_I_STRICT:
        return convert_step(op, base, out, a, b, c, masked, suspect, w), CAST_FAILED
    else:
        return integer_step(op, base, out, a, b, masked, w), INT_OVERFLOW
    return -1, 0


@inlined
def integer_step(op, base, out, a, b, masked, w):
    """NEG_I to MOD_I; gives the first overflowing row."""
    o, x, y = values_of(base, out), values_of(base, a), values_of(base, b)
    if op >= Op.FLOORDIV_I:
        require_mask(base, out, masked, w)
        return arithmetic.int_divmod(op, o, x, y, valid_of(base, out), w)
    ok = ok_of(base, out, masked)
    if op <= Op.DAY:
        return arithmetic.int_unary(op, o, x, ok, w)
    return arithmetic.int_binary(op, o, x, y, ok, w)


@inlined
def convert_step(op, base, out, a, b, c, masked, suspect, w):
    """F_TO_I_STRICT to NARROW; gives the first row that a strict cast refuses."""
    o, x, bad = values_of(base, out), values_of(base, a), values_of(base, suspect)
    if op <= Op.F_TO_I:
        count = arithmetic.float_to_int(o, x, bad, w)
    else:
        if masked[c]:
            require_mask(base, out, masked, w)
            nulls.and_valid(valid_of(base, out), valid_of(base, c), w)
        count = arithmetic.narrow(o, x, values_of(base, b), values_of(base, c), bad, w)
    if count == 0:
        return -1
    if op == Op.F_TO_I_STRICT or op == Op.NARROW_STRICT:
        return arithmetic.first_bad(bad, ok_of(base, out, masked), w)
    require_mask(base, out, masked, w)
    nulls.clear_valid(valid_of(base, out), bad, w)
    return -1


@inlined
def null_aware(op, base, out, a, b, c, masked, chosen, w):
    """AND_B, OR_B, and SELECT to NULL_IF: the steps with a null rule of their own."""
    o, x, ok_x = values_of(base, out), values_of(base, a), ok_of(base, a, masked)
    masked[out] = False
    if op <= Op.OR_B:
        if not masked[a] and not masked[b]:
            nulls.logic(op, o, x, values_of(base, b), w)
            return
        require_mask(base, a, masked, w)
        require_mask(base, b, masked, w)
        masked[out] = True
        nulls.kleene(op, o, x, values_of(base, b), valid_of(base, out), valid_of(base, a), valid_of(base, b), w)
    elif op == Op.SELECT:
        nulls.truth(values_of(base, chosen), x, ok_x, w)
        choose_step(base, out, values_of(base, chosen), b, c, masked, w)
    elif op == Op.COALESCE:
        if masked[a]:
            choose_step(base, out, ok_x, a, b, masked, w)
        else:
            nulls.copy_raw(o, x, w)
    elif op == Op.NULL_IF:
        nulls.copy_raw(o, x, w)
        masked[out] = nulls.both_valid(valid_of(base, out), ok_x, 0, w)
        require_mask(base, out, masked, w)
        nulls.truth(values_of(base, chosen), values_of(base, b), ok_of(base, b, masked), w)
        nulls.clear_valid(valid_of(base, out), values_of(base, chosen), w)
    else:
        nulls.null_test(op, o, ok_x, w)


@part
def choose_step(base, out, chosen, a, b, masked, w):
    """Slot a where the byte `chosen` is not 0, else slot b, with its validity."""
    nulls.choose(values_of(base, out), chosen, values_of(base, a), values_of(base, b), w)
    ok_a, ok_b = ok_of(base, a, masked), ok_of(base, b, masked)
    if ok_b == 0 and (ok_a == 0 or ok_a == chosen):  # COALESCE: what is chosen is valid
        return
    nulls.choose_valid(valid_of(base, out), chosen, ok_a, ok_b, w)
    masked[out] = True
