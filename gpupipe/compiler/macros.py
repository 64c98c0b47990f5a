"""Operations that are others written out; each becomes core nodes when its operands' types are known."""

from collections.abc import Callable

from gpupipe.compiler.casts import MICROSECONDS_A_DAY, cast, convert, local, view
from gpupipe.compiler.info import Info, Typing
from gpupipe.errors import TypeMismatchError
from gpupipe.expr.node import Node, make
from gpupipe.schema import Date, DType, Float64, Int32, Int64

Macro = Callable[[Typing, Node, tuple[Node, ...]], Node]
_LARGEST_PRODUCT = 8


def _number(typer: Typing, value: int | float) -> Node:
    dtype = Float64 if isinstance(value, float) else Int64
    return typer.note(make("lit", value=value, dtype=str(dtype)), Info(dtype, False, scalar=True))


def _nonzero(typer: Typing, node: Node, args: tuple[Node, ...]) -> Node:
    is_zero = typer.elementwise("eq", args[0], _number(typer, 0.0))
    return typer.elementwise("select", is_zero, _number(typer, 1.0), args[0])


def _days_of(typer: Typing, node: Node, args: tuple[Node, ...]) -> Node:
    dtype = typer.info[args[0]].dtype
    if dtype == Date:
        return view(typer, args[0], Int64)
    _wants_datetime(node, dtype, "Date or Datetime")
    ticks = view(typer, local(typer, args[0]), Int64)
    return typer.elementwise("floordiv", ticks, _number(typer, MICROSECONDS_A_DAY))


def _time_of(typer: Typing, node: Node, args: tuple[Node, ...]) -> Node:
    _wants_datetime(node, typer.info[args[0]].dtype, "Datetime")
    ticks = view(typer, local(typer, args[0]), Int64)
    return typer.elementwise("mod", ticks, _number(typer, MICROSECONDS_A_DAY))


def _wants_datetime(node: Node, dtype: DType, wanted: str) -> None:
    if dtype.name == "Datetime":
        return
    hints = {"String": " Read it first: .str.to_datetime(format).", "Date": " A date has no time of day."}
    raise TypeMismatchError(f"{node.op} takes {wanted}, not {dtype}.{hints.get(dtype.name, '')}")


def _ticks(typer: Typing, node: Node, args: tuple[Node, ...]) -> Node:
    dtype = typer.info[args[0]].dtype
    if not dtype.is_temporal:
        raise TypeMismatchError(f"{node.op} takes a date, a time or a duration, not {dtype}.")
    if dtype == Date:
        return typer.elementwise("mul", view(typer, args[0], Int64), _number(typer, MICROSECONDS_A_DAY))
    return view(typer, args[0], Int64)


def _power(typer: Typing, node: Node, args: tuple[Node, ...]) -> Node:
    base, exponent = args
    value = exponent.get("value") if exponent.op == "lit" else None
    if isinstance(value, int | float) and value in range(1, _LARGEST_PRODUCT + 1):
        # A whole exponent written as a float makes the result a float, as in Python.
        factor = convert(typer, base, Float64) if isinstance(value, float) else base
        return _product(typer, factor, int(value))
    return typer.elementwise("power", base, exponent)


def _product(typer: Typing, base: Node, exponent: int) -> Node:
    if exponent == 1:
        return base
    half = _product(typer, base, exponent // 2)
    square = typer.elementwise("mul", half, half)
    return typer.elementwise("mul", square, base) if exponent % 2 else square


def codes_within(typer: Typing, node: Node, args: tuple[Node, ...]) -> Node:
    """Codes within a group: as `codes`, from the place of the value in its group's vocabulary."""
    value, place = args
    buckets = node["other_buckets"]
    other = _number(typer, 1)
    if buckets > 1:
        other = typer.elementwise("add", typer.apply(make("hash_bucket", buckets=buckets, seed=0), (value,)), other)
    known = typer.elementwise("coalesce", typer.elementwise("add", place, _number(typer, 1 + buckets)), other)
    code = typer.elementwise("select", typer.elementwise("is_null", value), _number(typer, 0), known)
    return cast(typer, code, Int32, strict=True)


MACROS: dict[str, Macro] = {
    "nonzero": _nonzero,
    "days_of": _days_of,
    "time_of": _time_of,
    "ticks": _ticks,
    "power": _power,
}
