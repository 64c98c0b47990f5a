"""The scalar operations: one row each. A row makes a value from the values of the same row of the table.

To add one: a row here with its dtype rule and NumPy form. With the name of an opcode of the tile interpreter it
fuses with its neighbours; without, it runs over whole columns by its NumPy form.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.errors import TypeMismatchError
from gpupipe.expr import forms
from gpupipe.kernels.opcodes import CODES
from gpupipe.kernels.reference import calendar, math
from gpupipe.schema import Boolean, Date, Datetime, DType, Duration, Float64, Int64

Types = Sequence[DType]
Rule = Callable[[str, Types], tuple[list[DType], DType]]  # (name, operands) -> operands wanted, result


@dataclass(frozen=True, slots=True)
class Elementwise:
    """One scalar operation.

    Attributes:
        name: the node's ``op``.
        rule: from the operands' types to the types they are cast to, and the result's.
        numpy: the NumPy form over float64 values (and integers, booleans, where `integer` is None).
        integer: the NumPy form over int64 values, where it differs.
        opcode: its name in the tile interpreter; with `integer` given, suffixed ``_f`` or ``_i``.
        suffixed: whether the opcode is suffixed by its operands' kind.
        nulls: ``propagate``, or the name of the exception.
        monotone: for each operand ``+`` where the result never falls as it rises, ``-`` where it never rises, ``*``
            where that is the sign of the other operand, ``.`` else; to the last bit, wherever the result is no NaN.
    """

    name: str
    rule: Rule
    numpy: Callable[..., Any] | None
    integer: Callable[..., Any] | None = None
    opcode: str | None = None
    suffixed: bool = False
    nulls: str = "propagate"
    monotone: str = ""

    def direction(self, at: int) -> str:
        """How the result goes with the operand `at`: ``+``, ``-``, ``*`` (by the sign of the other), or nothing."""
        return self.monotone[at : at + 1].replace(".", "")


ANOTHER_TYPE = " Use .cast(…) or another operator."


def _refuse(name: str, types: Types, wanted: str) -> TypeMismatchError:
    shown = " and ".join(str(dtype) for dtype in types)
    return TypeMismatchError(f"{name} takes {wanted}, not {shown}.{ANOTHER_TYPE}")


def unify(name: str, types: Types) -> DType:
    """The type that several values of one column share: numbers widen, null takes any type, instants the first zone."""
    kinds = {dtype for dtype in types if dtype.name != "Null"}
    if len(kinds) == 1:
        return _wide_number(kinds.pop())
    if not kinds:
        return types[0]
    if all(dtype.is_numeric or dtype == Boolean for dtype in kinds):
        return Float64 if any(dtype.is_float for dtype in kinds) else Int64
    if all(dtype.time_zone for dtype in kinds):
        return next(dtype for dtype in types if dtype.time_zone)
    if kinds == {Date, Datetime()}:
        return Datetime()
    raise _refuse(name, types, "values of one type")


def _wide_number(dtype: DType) -> DType:
    if dtype.is_integer:
        return Int64
    return Float64 if dtype.is_float else dtype


def _numbers(name: str, types: Types) -> tuple[list[DType], DType]:
    if not all(dtype.is_numeric or dtype.name in ("Boolean", "Null") for dtype in types):
        raise _refuse(name, types, "numbers")
    common = Float64 if any(dtype.is_float or dtype.name == "Null" for dtype in types) else Int64
    return [common] * len(types), common


def _floats(name: str, types: Types) -> tuple[list[DType], DType]:
    _numbers(name, types)
    return [Float64] * len(types), Float64


def _divide(name: str, types: Types) -> tuple[list[DType], DType]:
    if all(dtype == Duration for dtype in types):
        return [Float64, Float64], Float64
    return _floats(name, types)


def _sum(name: str, types: Types) -> tuple[list[DType], DType]:
    if not any(dtype.is_temporal for dtype in types):
        return _numbers(name, types)
    left, right = types
    if left == right == Duration:
        return [Duration, Duration], Duration
    first, second = _moment(left), _moment(right)
    moment = first or second
    if name == "sub" and first and second and (first.time_zone is None) == (second.time_zone is None):
        return [first, second], Duration
    if moment and right == Duration:
        return [moment, Duration], moment
    if moment and left == Duration and name == "add":
        return [Duration, moment], moment
    raise _refuse(name, types, "numbers, or dates and durations")


def _moment(dtype: DType) -> DType | None:
    if dtype.name == "Date":
        return Datetime()
    return dtype if dtype.name == "Datetime" else None


def _compare(name: str, types: Types) -> tuple[list[DType], DType]:
    common = unify(name, types)
    return [common] * len(types), Boolean


def _logic(name: str, types: Types) -> tuple[list[DType], DType]:
    if not all(dtype.name in ("Boolean", "Null") for dtype in types):
        raise _refuse(name, types, "booleans (compare first: (x > 0) & (y > 0))")
    return [Boolean] * len(types), Boolean


def _select(name: str, types: Types) -> tuple[list[DType], DType]:
    if types[0].name not in ("Boolean", "Null"):
        raise TypeMismatchError(f"when takes a condition, not {types[0]}. Compare it with something: gp.when(x > 0).")
    common = unify(name, types[1:])
    return [Boolean, common, common], common


def _same(name: str, types: Types) -> tuple[list[DType], DType]:
    common = unify(name, types)
    return [common] * len(types), common


def _null_test(name: str, types: Types) -> tuple[list[DType], DType]:
    return [_wide_number(types[0])], Boolean


def _float_test(name: str, types: Types) -> tuple[list[DType], DType]:
    return _floats(name, types)[0], Boolean


def _null_if(name: str, types: Types) -> tuple[list[DType], DType]:
    return [_wide_number(types[0]), Boolean], _wide_number(types[0])


def _days(name: str, types: Types) -> tuple[list[DType], DType]:
    return [Int64], Int64


def _arithmetic(name: str, function: Any, integer: Any, rule: Rule = _numbers, **more: Any) -> Elementwise:
    return Elementwise(name, rule, function, integer, opcode=name, suffixed=True, **more)


def _comparison(name: str, function: Any) -> Elementwise:
    return Elementwise(name, _compare, function, opcode=name, suffixed=True)


def _function(name: str, function: Any, monotone: str = "") -> Elementwise:
    # A function the interpreter has no step for runs over whole columns.
    return Elementwise(name, _floats, function, opcode=name if name in CODES else None, monotone=monotone)


ROWS = [
    _arithmetic("add", np.add, forms.add, _sum, monotone="++"),
    _arithmetic("sub", np.subtract, forms.sub, _sum, monotone="+-"),
    _arithmetic("mul", np.multiply, forms.mul, monotone="**"),
    Elementwise("div", _divide, np.divide, opcode="div_f", monotone="*."),
    _arithmetic("floordiv", np.floor_divide, forms.floordiv),
    _arithmetic("mod", np.remainder, forms.mod),
    _arithmetic("neg", np.negative, forms.neg, monotone="-"),
    _arithmetic("abs", np.abs, forms.absolute),
    _arithmetic("max_horizontal", np.maximum, np.maximum, monotone="++"),
    _arithmetic("min_horizontal", np.minimum, np.minimum, monotone="++"),
    _arithmetic("sign", np.sign, np.sign, monotone="+"),
    *(
        _comparison(name, function)
        for name, function in (
            ("eq", np.equal), ("ne", np.not_equal), ("lt", np.less),
            ("le", np.less_equal), ("gt", np.greater), ("ge", np.greater_equal),
        )
    ),
    Elementwise("and", _logic, None, opcode="and_b", nulls="Kleene: false & null is false"),
    Elementwise("or", _logic, None, opcode="or_b", nulls="Kleene: true | null is true"),
    Elementwise("xor", _logic, np.logical_xor, opcode="xor_b"),
    Elementwise("not", _logic, np.logical_not, opcode="not_b"),
    Elementwise("select", _select, None, opcode="select", nulls="a null condition takes otherwise"),
    Elementwise("coalesce", _same, None, opcode="coalesce", nulls="null takes the next value"),
    Elementwise("is_null", _null_test, None, opcode="is_null", nulls="null gives true"),
    Elementwise("is_not_null", _null_test, None, opcode="is_not_null", nulls="null gives false"),
    Elementwise("null_if", _null_if, None, opcode="null_if", nulls="null where the condition holds"),
    Elementwise("is_nan", _float_test, np.isnan, opcode="is_nan"),
    Elementwise("is_finite", _float_test, np.isfinite, opcode="is_finite"),
    _function("log", math.log, "+"),
    _function("log1p", math.log1p, "+"),
    _function("exp", math.exp, "+"),
    _function("expm1", math.expm1, "+"),
    _function("sqrt", np.sqrt, "+"),
    _function("sin", math.sin),
    _function("cos", math.cos),
    _function("tanh", math.tanh),
    _function("sigmoid", math.sigmoid),
    _function("arcsin", math.arcsin),
    _function("arctan", math.arctan),
    _function("power", math.power),
    _function("floor", np.floor, "+"),
    _function("ceil", np.ceil, "+"),
    _function("trunc", np.trunc, "+"),
    _function("rint", np.rint, "+"),
    Elementwise("year", _days, calendar.year, opcode="year"),
    Elementwise("month", _days, calendar.month, opcode="month"),
    Elementwise("day", _days, calendar.day, opcode="day"),
    # Casts between what registers hold; the planner writes them.
    Elementwise("view", lambda name, types: ([types[0]], types[0]), None, opcode=""),
    Elementwise("to_float", lambda name, types: ([types[0]], Float64), None, opcode="i_to_f", monotone="+"),
    Elementwise("to_integer", lambda name, types: ([Float64], Int64), forms.to_integer, opcode="f_to_i"),
    Elementwise("narrow", lambda name, types: ([Int64] * 3, Int64), forms.narrow, opcode="narrow"),
    Elementwise("to_float32", _floats, forms.to_float32, opcode="f_to_f32", monotone="+"),
]  # fmt: skip

ELEMENTWISE: dict[str, Elementwise] = {row.name: row for row in ROWS}

# Opcodes whose name in the interpreter is another than the operation's.
OPCODES = {"max_horizontal": "max", "min_horizontal": "min"}
