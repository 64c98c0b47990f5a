"""Conversions between types, as core nodes."""

import numpy as np

from gpupipe.compiler.checks import check_zone
from gpupipe.compiler.info import Info, Typing
from gpupipe.errors import TypeMismatchError
from gpupipe.expr.node import Node, make
from gpupipe.schema import Boolean, DType, Duration, Float32, Float64, Int64, String

MICROSECONDS_A_DAY = 86_400_000_000


def convert(typer: Typing, node: Node, wanted: DType) -> Node:
    """`node` as an operand of type `wanted`; only conversions that lose nothing a chain keeps."""
    info = typer.info[node]
    if info.dtype == wanted or (info.dtype.is_integer and wanted == Int64):
        return node
    if node.op == "lit":
        return _literal(typer, node, info, wanted)
    if wanted == String:  # only null is of another type, and null text has no registers to be viewed in
        return typer.note(make("lit", value=None, dtype=str(String)), Info(String, True, scalar=True))
    if wanted == Float64:
        return node if info.dtype == Float32 else _noted(typer, "to_float", node, info.of(Float64))
    if info.dtype.name == "Date" and wanted.name == "Datetime":
        days = view(typer, node, Int64)
        ticks = typer.elementwise("mul", days, _integer(typer, MICROSECONDS_A_DAY))
        return view(typer, ticks, wanted)
    return view(typer, node, wanted)


def view(typer: Typing, node: Node, dtype: DType) -> Node:
    """The same 64 bits as another type: a date's days as a number, a boolean as 0 and 1."""
    return _noted(typer, "view", node, typer.info[node].of(dtype), dtype=str(dtype))


def _noted(typer: Typing, op: str, node: Node, info: Info, **params: object) -> Node:
    return typer.note(make(op, node, **params), info)


def _integer(typer: Typing, value: int) -> Node:
    return typer.note(make("lit", value=value, dtype="Int64"), Info(Int64, False, scalar=True))


def _literal(typer: Typing, node: Node, info: Info, wanted: DType) -> Node:
    value = node["value"]
    if value is not None and wanted == Float64:
        value = float(value)
    elif value is not None and wanted == Int64:
        value = int(value)
    elif value is not None and info.dtype.name == "Date" and wanted.name == "Datetime":
        value *= MICROSECONDS_A_DAY
    return typer.note(make("lit", value=value, dtype=str(wanted)), info.of(wanted))


def cast(typer: Typing, node: Node, wanted: DType, strict: bool) -> Node:
    """`node` as the user's ``cast(wanted)``."""
    have = typer.info[node].dtype
    if have == wanted:
        return node
    for zone in {have.time_zone, wanted.time_zone} - {None}:
        check_zone(str(zone))
    if String in (have, wanted):
        if Duration in (have, wanted):
            raise TypeMismatchError(f"{have} cannot be cast to {wanted}. Cast to Int64, microseconds, between them.")
        info = Info(wanted, typer.info[node].nullable or not strict, typer.info[node].scalar)
        return _noted(typer, "convert", node, info, dtype=str(wanted), strict=strict)
    if wanted.is_float:
        number = convert(typer, _number(typer, node, have, wanted), Float64)
        if wanted == Float64:
            return number
        return _noted(typer, "to_float32", number, typer.info[number].of(Float32))
    if wanted.is_integer:
        return _to_integer(typer, node, have, wanted, strict)
    if wanted == Boolean:
        return typer.elementwise("ne", _number(typer, node, have, wanted), _integer(typer, 0))
    return _to_time(typer, node, have, wanted)


def _number(typer: Typing, node: Node, have: DType, wanted: DType) -> Node:
    if have.is_numeric or have == Boolean or have.name == "Null":
        return node
    if have.is_temporal:
        return view(typer, node, Int64)
    raise TypeMismatchError(f"{have} cannot be cast to {wanted}.")


def _to_integer(typer: Typing, node: Node, have: DType, wanted: DType, strict: bool) -> Node:
    number = _number(typer, node, have, wanted)
    info = typer.info[number]
    whole = Info(Int64, info.nullable or not strict, info.scalar, info.wide)
    if have.is_float:
        number = _noted(typer, "to_integer", number, whole, strict=strict)
    elif have == Boolean or have.name == "Null":
        number = view(typer, number, Int64)
    if wanted == Int64:
        return number
    bounds = np.iinfo(wanted.storage)
    high = min(int(bounds.max), 2**63 - 1)
    limits = (_integer(typer, int(bounds.min)), _integer(typer, high))
    return typer.note(make("narrow", number, *limits, strict=strict), whole.of(wanted))


def _to_time(typer: Typing, node: Node, have: DType, wanted: DType) -> Node:
    if have.name == "Date" and wanted.name == "Datetime" and wanted.time_zone is None:
        return convert(typer, node, wanted)
    if have.time_zone and wanted.time_zone:
        return view(typer, node, wanted)
    if have.name == "Datetime" and wanted.name == "Date":
        days = typer.elementwise(
            "floordiv", view(typer, local(typer, node), Int64), _integer(typer, MICROSECONDS_A_DAY)
        )
        return view(typer, days, wanted)
    if have.is_integer:
        return view(typer, node, wanted)
    raise TypeMismatchError(f"{have} cannot be cast to {wanted}. For text there are .str.to_datetime and .str.to_date.")


def local(typer: Typing, node: Node) -> Node:
    """Local time of a time-zone-aware timestamp; others as they are."""
    info = typer.info[node]
    if info.dtype.time_zone is None:
        return node
    check_zone(info.dtype.time_zone)
    return _noted(typer, "to_local", node, info.of(DType("Datetime")), zone=info.dtype.time_zone)
