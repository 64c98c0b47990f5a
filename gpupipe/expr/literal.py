"""Python values as literal nodes."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gpupipe.errors import IntegerOverflowError, ParameterError, TypeMismatchError
from gpupipe.expr.node import Node, make

_EPOCH = dt.datetime(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)


def literal(value: Any) -> Node:
    """The node of a constant; dates count days, timestamps and durations microseconds since 1970.

    Raises:
        TypeMismatchError: `value` is of a type no column can hold.
        IntegerOverflowError: an integer beyond int64.

    >>> literal(2.5).params
    (('dtype', 'Float64'), ('value', 2.5))
    >>> import datetime
    >>> literal(datetime.date(1970, 1, 3))["value"]
    2
    """
    plain = value.item() if isinstance(value, np.generic) else value
    dtype, stored = _typed(plain)
    return make("lit", value=stored, dtype=dtype)


def one_type(name: str, values: Iterable[Any], nodes: Sequence[Node]) -> str:
    """The type that the literals `nodes` of `values` share, whole numbers among floats being floats.

    Raises:
        ParameterError: there is none.

    >>> one_type("is_in", [1, 2.5], [literal(1), literal(2.5)])
    'Float64'
    """
    kinds = {node["dtype"] for node in nodes}
    if len(kinds) > 1 and kinds != {"Int64", "Float64"}:
        raise ParameterError(f"{name} takes values of one type, not {sorted(kinds)}: {list(values)!r}.")
    return "Float64" if "Float64" in kinds else next(iter(kinds), "Null")


def _typed(value: Any) -> tuple[str, Any]:
    if value is None:
        return "Null", None
    if isinstance(value, bool):
        return "Boolean", value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise IntegerOverflowError(f"The literal {value} is beyond int64. Write it as a float.")
        return "Int64", value
    if isinstance(value, float):
        return "Float64", value
    if isinstance(value, str):
        return "String", value
    if isinstance(value, dt.datetime):
        return _timestamp(value)
    if isinstance(value, dt.date):
        return "Date", (value - _EPOCH.date()).days
    if isinstance(value, dt.timedelta):
        return "Duration", value // _MICROSECOND
    raise TypeMismatchError(
        f"{value!r} ({type(value).__name__}) is no literal. There are None, bool, int, float, str, date, "
        "datetime and timedelta."
    )


def _timestamp(value: dt.datetime) -> tuple[str, int]:
    if value.tzinfo is None:
        return "Datetime", (value - _EPOCH) // _MICROSECOND
    utc = value.astimezone(dt.UTC).replace(tzinfo=None)
    return "Datetime(UTC)", (utc - _EPOCH) // _MICROSECOND
