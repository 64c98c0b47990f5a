"""Values that stand in a parameter (`is_in`, `ordinal`), in the type of the column they are looked up in."""

from typing import Any

from gpupipe.compiler.casts import MICROSECONDS_A_DAY
from gpupipe.errors import ParameterError
from gpupipe.expr.elementwise import unify
from gpupipe.expr.node import Node
from gpupipe.schema import Boolean, DType, parse_dtype

# The operations that list values, and the parameter that holds them.
LISTED = {"is_in": "values", "ordinal": "order"}


def with_listed(node: Node, column: DType) -> Node:
    """The node with its values in the type of `column`, exactly; None where the column can hold no such value.

    A number equals a number of another type where both are the same number: 2**53 + 1 is not 2.0**53.

    Raises:
        TypeMismatchError: the values are of a type that cannot be compared with the column's.
        ParameterError: a value is not of the type that the node says.
    """
    name = LISTED[node.op]
    dtype = parse_dtype(node["dtype"])
    unify(node.op, [column, dtype])
    _check(node, name, dtype)
    kind = dtype if column.name == "Null" else column
    values = tuple(_as(value, dtype, kind) for value in node[name])
    return node.with_params(**{name: values}, dtype=str(_computed(kind)))


def _check(node: Node, name: str, dtype: DType) -> None:
    stored: type | tuple[type, ...] = {"String": str, "Boolean": bool}.get(dtype.name, (int, float))
    for value in node[name]:
        if not isinstance(value, stored) or (isinstance(value, bool) and dtype != Boolean):
            raise ParameterError(f"{node.op} lists {value!r}, which is no {dtype}.")


def _computed(dtype: DType) -> DType:
    if dtype.is_integer:
        return DType("Int64")
    return DType("Float64") if dtype.is_float else dtype


def _as(value: Any, dtype: DType, wanted: DType) -> Any:
    if wanted.is_float:
        return _equal(float(value), value)
    if wanted.is_integer or wanted == Boolean:
        return _whole(value, wanted)
    if dtype.name == wanted.name:
        return value
    if wanted.name == "Datetime":
        return value * MICROSECONDS_A_DAY
    days, rest = divmod(value, MICROSECONDS_A_DAY)
    return None if rest else days


def _whole(value: Any, wanted: DType) -> Any:
    if not -(2.0**63) <= value < 2.0**63:  # neither is NaN
        return None
    return _equal(bool(value) if wanted == Boolean else int(value), value)


def _equal(converted: Any, value: Any) -> Any:
    return converted if converted == value else None
