"""The operator codes of the tile interpreter: one table that the compiler and both interpreters read.

Types inside the interpreter are ``f`` (float64), ``i`` (int64) and ``b`` (int64, 0 or 1); ``*`` takes and gives
whatever 8 bytes it finds. Null rule, unless a row below says otherwise: the result is valid where every operand is.
"""

from enum import IntEnum


class Op(IntEnum):
    """Every step a program may hold. Families stand together: the interpreters dispatch by their last member."""

    LOAD_BOOL = 0
    LOAD_I1 = 1
    LOAD_I2 = 2
    LOAD_I4 = 3
    LOAD_I8 = 4
    LOAD_U1 = 5
    LOAD_U2 = 6
    LOAD_U4 = 7
    LOAD_U8 = 8  # beyond int64: INT_OVERFLOW
    LOAD_F4 = 9
    LOAD_F8 = 10

    CONST_F = 11
    CONST_I = 12

    STORE_BOOL = 13
    STORE_I1 = 14  # integer stores out of range: CAST_FAILED
    STORE_I2 = 15
    STORE_I4 = 16
    STORE_I8 = 17
    STORE_U1 = 18
    STORE_U2 = 19
    STORE_U4 = 20
    STORE_U8 = 21
    STORE_F4 = 22
    STORE_F8 = 23

    NEG_F = 24
    ABS_F = 25
    SIGN_F = 26  # of -0.0 and 0.0: 0.0
    SQRT = 27
    FLOOR = 28
    CEIL = 29
    TRUNC = 30
    RINT = 31
    F_TO_F32 = 32  # rounded to float32's precision and range, stays f

    LOG = 33
    LOG1P = 34
    EXP = 35
    EXPM1 = 36
    SIN = 37
    COS = 38
    TANH = 39
    SIGMOID = 40
    ARCSIN = 41
    ARCTAN = 42

    ADD_F = 43
    SUB_F = 44
    MUL_F = 45
    DIV_F = 46
    MAX_F = 47  # a where a > b or a is NaN, else b; min likewise
    MIN_F = 48
    FLOORDIV_F = 49  # as numpy.floor_divide and numpy.remainder
    MOD_F = 50
    POWER = 51

    EQ_F = 52
    NE_F = 53
    LT_F = 54
    LE_F = 55
    GT_F = 56
    GE_F = 57

    EQ_I = 58
    NE_I = 59
    LT_I = 60
    LE_I = 61
    GT_I = 62
    GE_I = 63

    NEG_I = 64  # integer results beyond int64: INT_OVERFLOW, and the value wraps
    ABS_I = 65
    SIGN_I = 66
    YEAR = 67  # of int64 days since 1970-01-01, proleptic Gregorian
    MONTH = 68
    DAY = 69

    ADD_I = 70
    SUB_I = 71
    MUL_I = 72
    MAX_I = 73
    MIN_I = 74
    FLOORDIV_I = 75  # towards minus infinity; by zero: null
    MOD_I = 76  # the divisor's sign; by zero: null

    I_TO_F = 77
    F_TO_I_STRICT = 78  # truncates; NaN, infinite or beyond int64: CAST_FAILED
    F_TO_I = 79  # the same, but null
    NARROW_STRICT = 80  # a where b <= a <= c, else CAST_FAILED
    NARROW = 81  # the same, but null
    IS_NAN = 82
    IS_FINITE = 83

    AND_B = 84  # Kleene
    OR_B = 85  # Kleene
    XOR_B = 86
    NOT_B = 87

    SELECT = 88  # b where a is true, else (false or null) c
    COALESCE = 89
    IS_NULL = 90
    IS_NOT_NULL = 91
    NULL_IF = 92  # null where b is true


def _signatures() -> dict[Op, tuple[str, str]]:
    families: dict[tuple[str, str], list[Op]] = {
        ("", "i"): [*(op for op in Op if Op.LOAD_I1 <= op <= Op.LOAD_U8), Op.CONST_I],
        ("", "b"): [Op.LOAD_BOOL],
        ("", "f"): [Op.LOAD_F4, Op.LOAD_F8, Op.CONST_F],
        ("b", ""): [Op.STORE_BOOL],
        ("i", ""): [op for op in Op if Op.STORE_I1 <= op <= Op.STORE_U8],
        ("f", ""): [Op.STORE_F4, Op.STORE_F8],
        ("f", "f"): [op for op in Op if Op.NEG_F <= op <= Op.ARCTAN],
        ("ff", "f"): [op for op in Op if Op.ADD_F <= op <= Op.POWER],
        ("ff", "b"): [op for op in Op if Op.EQ_F <= op <= Op.GE_F],
        ("ii", "b"): [op for op in Op if Op.EQ_I <= op <= Op.GE_I],
        ("i", "i"): [op for op in Op if Op.NEG_I <= op <= Op.DAY],
        ("ii", "i"): [op for op in Op if Op.ADD_I <= op <= Op.MOD_I],
        ("i", "f"): [Op.I_TO_F],
        ("f", "i"): [Op.F_TO_I_STRICT, Op.F_TO_I],
        ("iii", "i"): [Op.NARROW_STRICT, Op.NARROW],
        ("f", "b"): [Op.IS_NAN, Op.IS_FINITE],
        ("bb", "b"): [Op.AND_B, Op.OR_B, Op.XOR_B],
        ("b", "b"): [Op.NOT_B],
        ("b**", "*"): [Op.SELECT],
        ("**", "*"): [Op.COALESCE],
        ("*", "b"): [Op.IS_NULL, Op.IS_NOT_NULL],
        ("*b", "*"): [Op.NULL_IF],
    }
    return {op: signature for signature, ops in families.items() for op in ops}


#: Op -> (types of its operand registers, type of its result). Loads and constants take a slot, no register;
#: stores give an output, no register.
SIGNATURES: dict[Op, tuple[str, str]] = _signatures()

#: Lower-case name -> code: ``CODES["add_f"]``.
CODES: dict[str, int] = {op.name.lower(): int(op) for op in Op}

#: The NumPy dtypes in the order of the LOAD_* and STORE_* codes.
STORAGE: tuple[str, ...] = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
)  # fmt: skip


def load_of(dtype: str) -> Op:
    """The load of a storage dtype.

    >>> load_of("float32").name
    'LOAD_F4'
    """
    return Op(Op.LOAD_BOOL + STORAGE.index(dtype))


def store_of(dtype: str) -> Op:
    """The store to a storage dtype.

    >>> store_of("int32").name
    'STORE_I4'
    """
    return Op(Op.STORE_BOOL + STORAGE.index(dtype))
