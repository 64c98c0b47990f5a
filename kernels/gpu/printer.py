"""Programs of the tile interpreter as CUDA C++: straight-line code over one row, in the order of their steps.

What is printed hangs on the programs alone, not on parameters or columns: expressions of one shape share their code,
and tables of the same shapes a compiled kernel.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from ..opcodes import SIGNATURES, STORAGE, Op
from ..table import CAST_FAILED, INT_OVERFLOW, NULL_IN_OUTPUT
from .variants import Variant

#: The C++ type of each storage type, as its bits travel.
CARRIED = {"bool": "u8", "float32": "float", "float64": "double"} | {
    f"{sign}int{8 * size}": f"u{8 * size}" for sign in ("", "u") for size in (1, 2, 4, 8)
}
_SIGNED = {"int8": "(i64)(signed char)", "int16": "(i64)(short)", "int32": "(i64)(int)"}
_KINDS = {"f": "double", "i": "i64", "b": "bool"}
_CONVERTED = {
    "fi": "__double_as_longlong({})", "fb": "is_true(__double_as_longlong({}))", "if": "__longlong_as_double({})",
    "ib": "is_true({})", "bi": "(i64){}", "bf": "__longlong_as_double((i64){})",
}  # fmt: skip

_NAMED: dict[str, tuple[Op, ...]] = {
    "fabs": (Op.ABS_F,), "sign": (Op.SIGN_F, Op.SIGN_I), "sqrt": (Op.SQRT,), "floor": (Op.FLOOR,), "ceil": (Op.CEIL,),
    "trunc": (Op.TRUNC,), "rint": (Op.RINT,), "rounded_to_float32": (Op.F_TO_F32,), "greater": (Op.MAX_F, Op.MAX_I),
    "smaller": (Op.MIN_F, Op.MIN_I), "floor_divided": (Op.FLOORDIV_F, Op.FLOORDIV_I),
    "remainder_of": (Op.MOD_F, Op.MOD_I), "negative": (Op.NEG_I,), "absolute": (Op.ABS_I,), "added": (Op.ADD_I,),
    "less": (Op.SUB_I,), "times": (Op.MUL_I,), "to_int64": (Op.F_TO_I, Op.F_TO_I_STRICT), "is_finite": (Op.IS_FINITE,),
}  # fmt: skip
_INFIX = {
    "+": (Op.ADD_F,), "-": (Op.SUB_F,), "*": (Op.MUL_F,), "/": (Op.DIV_F,), "==": (Op.EQ_F, Op.EQ_I),
    "!=": (Op.NE_F, Op.NE_I, Op.XOR_B), "<": (Op.LT_F, Op.LT_I), "<=": (Op.LE_F, Op.LE_I), ">": (Op.GT_F, Op.GT_I),
    ">=": (Op.GE_F, Op.GE_I),
}  # fmt: skip
_FORMULAS = (*(op for op in Op if Op.LOG <= op <= Op.ARCTAN), Op.POWER, Op.YEAR, Op.MONTH, Op.DAY)


def _forms() -> dict[Op, str]:
    forms = {
        Op.NEG_F: "-{0}", Op.NOT_B: "!{0}", Op.IS_NAN: "{0} != {0}", Op.I_TO_F: "(double){0}", Op.NARROW: "{0}",
        Op.NARROW_STRICT: "{0}",
    }  # fmt: skip
    calls = {**_NAMED, **{f"f_{op.name.lower()}": (op,) for op in _FORMULAS}}
    for name, ops in calls.items():
        forms |= {op: f"{name}({', '.join(f'{{{i}}}' for i in range(len(SIGNATURES[op][0])))})" for op in ops}
    return forms | {op: f"{{0}} {sign} {{1}}" for sign, ops in _INFIX.items() for op in ops}


#: Op -> the value of the result, of its operands.
_FORMS: dict[Op, str] = _forms()
#: Op -> when a row with all operands fails, and its code.
_FAILURES: dict[Op, tuple[str, int]] = {
    Op.NEG_I: ("{0} == INT64_LOW", INT_OVERFLOW), Op.ABS_I: ("{0} == INT64_LOW", INT_OVERFLOW),
    Op.ADD_I: ("added_wraps({0}, {1})", INT_OVERFLOW), Op.SUB_I: ("less_wraps({0}, {1})", INT_OVERFLOW),
    Op.MUL_I: ("times_wraps({0}, {1})", INT_OVERFLOW),
    Op.FLOORDIV_I: ("({0} == INT64_LOW && {1} == -1)", INT_OVERFLOW),
    Op.F_TO_I_STRICT: ("!fits_int64({0})", CAST_FAILED), Op.NARROW_STRICT: ("outside({0}, {1}, {2})", CAST_FAILED),
}  # fmt: skip
#: Op -> when a row with all operands has a result.
_RESULTS: dict[Op, str] = {
    Op.FLOORDIV_I: "{1} != 0", Op.MOD_I: "{1} != 0", Op.F_TO_I: "fits_int64({0})", Op.NARROW: "!outside({0}, {1}, {2})",
}  # fmt: skip
_KEEP_NARROW = frozenset({Op.NEG_F, Op.ABS_F, Op.SIGN_F, Op.FLOOR, Op.CEIL, Op.TRUNC, Op.RINT})


@dataclass(frozen=True, slots=True)
class Register:
    """What a register holds: C++ of its value, the value's kind, C++ of whether there is one, and whether the value is
    known to be one that float32 holds."""

    value: str
    kind: str
    valid: str
    narrow: bool = False

    def read(self, kind: str) -> str:
        """The value, its eight bytes read as `kind`."""
        return self.value if kind in (self.kind, "*") else _CONVERTED[self.kind + kind].format(self.value)


def conjunction(*conditions: str) -> str:
    """All of the conditions, without those known already."""
    if "false" in conditions:
        return "false"
    unknown = list(dict.fromkeys(c for c in conditions if c != "true"))
    return " && ".join(unknown) if unknown else "true"


class Rows:
    """Prints what a program does to one row.

    Args:
        folded: whether rows that are null have their outcome from elsewhere: then every column has a value.
        bare: C++ of whether an output slot has no validity.
    """

    def __init__(self, variant: Variant, folded: bool, bare: Callable[[int], str]) -> None:
        self.variant, self.folded, self.bare = variant, folded, bare
        self.registers: dict[int, Register] = {}
        self.lines: list[str] = []
        self.outputs: dict[int, tuple[str, str, str]] = {}
        self.fails = False
        for number, (code, out, *operands) in enumerate(variant.steps):
            if number in variant.clip.steps:
                self.registers[out] = self.registers[operands[0]]
            else:
                self._step(number, Op(code), out, operands)

    def _step(self, number: int, op: Op, out: int, operands: list[int]) -> None:
        if Op.STORE_BOOL <= op <= Op.STORE_F8:
            self._store(op, out, self.registers[operands[0]])
            return
        if op <= Op.LOAD_F8:
            made = self._load(op, operands[0])
        elif op <= Op.CONST_I:
            kind = "f" if op == Op.CONST_F else "i"
            made = Register(f"p{operands[0]}", kind, "false" if self.variant.null[operands[0]] else "true")
        else:
            made = self._made(op, [self.registers[r] for r in operands[: len(SIGNATURES[op][0])]])
        self.registers[out] = self._named(number, made)

    def _named(self, number: int, made: Register) -> Register:
        """The register as variables, so that nothing is printed twice."""
        self.lines.append(f"const {_KINDS[made.kind]} v{number} = {made.value};")
        valid = made.valid
        if valid not in ("true", "false") and not valid.isidentifier():
            self.lines.append(f"const bool k{number} = {valid};")
            valid = f"k{number}"
        return Register(f"v{number}", made.kind, valid, made.narrow)

    def _fail(self, condition: str, valid: str, code: int) -> None:
        wanted = conjunction(valid, condition)
        if wanted != "false":
            self.fails = True
            self.lines.append(f"if (!failed && {wanted}) failed = {code};")

    def _load(self, op: Op, slot: int) -> Register:
        kind = STORAGE[op - Op.LOAD_BOOL]
        value = f"rows.x{slot}[j]"
        valid = "true" if self.folded else f"(rows.k{slot} >> j & 1)"
        if kind == "bool":
            return Register(f"{value} != 0", "b", valid)
        if op >= Op.LOAD_F4:
            return Register(f"(double){value}", "f", valid, op == Op.LOAD_F4)
        if op == Op.LOAD_U8:
            self._fail(f"(i64){value} < 0", valid, INT_OVERFLOW)
        return Register(f"{_SIGNED.get(kind, '(i64)')}{value}", "i", valid)

    def _made(self, op: Op, operands: list[Register]) -> Register:
        if op in _SPECIAL:
            return _SPECIAL[op](*operands)
        reads, gives = SIGNATURES[op]
        values = [operand.read(kind) for operand, kind in zip(operands, reads, strict=True)]
        valid = conjunction(*(operand.valid for operand in operands))
        if op in _RESULTS:
            valid = conjunction(valid, _RESULTS[op].format(*values))
        if op in _FAILURES:
            condition, code = _FAILURES[op]
            self._fail(condition.format(*values), valid, code)
        form, narrow = _FORMS[op], operands[0].narrow
        if op == Op.LOG1P and narrow:
            form = form.replace("log1p", "log1p_of_float32")
        return Register(form.format(*values), gives, valid, op == Op.F_TO_F32 or (narrow and op in _KEEP_NARROW))

    def _store(self, op: Op, slot: int, source: Register) -> None:
        kind = STORAGE[op - Op.STORE_BOOL]
        carried = CARRIED[kind]
        if op >= Op.STORE_F4:
            value, none = f"stored({source.read('f')}, {carried}(0))", f"({self.bare(slot)} ? nan_of({carried}(0)) : 0)"
        else:
            whole = source.read("b" if kind == "bool" else "i")
            self._in_range(kind, whole, source.valid)
            self._fail(conjunction(f"!{source.valid}" if source.valid != "true" else "false", self.bare(slot)), "true",
                       NULL_IN_OUTPUT)  # fmt: skip
            value, none = f"({carried}){whole}", "0"
        if source.valid != "true":
            value = f"{source.valid} ? {value} : {carried}({none})"
        self.outputs[slot] = (carried, value, source.valid)

    def _in_range(self, kind: str, whole: str, valid: str) -> None:
        if kind in ("bool", "int64"):
            return
        bits = int(kind.lstrip("uint"))
        low, high = (0, min(2**bits, 2**63) - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        self._fail(f"outside({whole}, {low}LL, {high}LL)", valid, CAST_FAILED)


@lru_cache(maxsize=1024)
def may_fail(variant: Variant, bare: tuple[bool, ...], nulls: bool) -> bool:
    """Whether a row may fail, as far as its program tells.

    Args:
        bare: of each output slot, whether it has no validity.
        nulls: of a row that has no value in some column; else of one that has all.
    """
    return Rows(variant, not nulls, lambda slot: "true" if bare[slot] else "false").fails


def _and(x: Register, y: Register) -> Register:
    a, b, ka, kb = x.read("b"), y.read("b"), x.valid, y.valid
    if ka == kb == "true":
        return Register(f"{a} && {b}", "b", "true")
    value = f"({a} || !{ka}) && ({b} || !{kb})"
    return Register(value, "b", f"(({ka} && {kb}) || ({ka} && !{a}) || ({kb} && !{b}))")


def _or(x: Register, y: Register) -> Register:
    a, b, ka, kb = x.read("b"), y.read("b"), x.valid, y.valid
    if ka == kb == "true":
        return Register(f"{a} || {b}", "b", "true")
    return Register(f"({a} && {ka}) || ({b} && {kb})", "b", f"(({ka} && {kb}) || ({a} && {ka}) || ({b} && {kb}))")


def _choice(chosen: str, x: Register, y: Register) -> Register:
    kind = x.kind if x.kind == y.kind else "i"
    valid = x.valid if x.valid == y.valid else f"({chosen} ? {x.valid} : {y.valid})"
    return Register(f"{chosen} ? {x.read(kind)} : {y.read(kind)}", kind, valid, x.narrow and y.narrow)


def _select(condition: Register, x: Register, y: Register) -> Register:
    return _choice(f"({conjunction(condition.valid, condition.read('b'))})", x, y)


def _coalesce(x: Register, y: Register) -> Register:
    return x if x.valid == "true" else _choice(x.valid, replace(x, valid="true"), y)


def _is_null(x: Register) -> Register:
    return Register(f"!{x.valid}", "b", "true")


def _is_not_null(x: Register) -> Register:
    return Register(x.valid, "b", "true")


def _null_if(x: Register, condition: Register) -> Register:
    drop = conjunction(condition.valid, condition.read("b"))
    return replace(x, valid=conjunction(x.valid, f"!({drop})"))


_SPECIAL: dict[Op, Callable[..., Register]] = {
    Op.AND_B: _and, Op.OR_B: _or, Op.SELECT: _select, Op.COALESCE: _coalesce, Op.IS_NULL: _is_null,
    Op.IS_NOT_NULL: _is_not_null, Op.NULL_IF: _null_if,
}  # fmt: skip
