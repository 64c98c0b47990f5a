"""Functions of one row: arithmetic, choices, casts."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from gpupipe.errors import ParameterError
from gpupipe.expr.conditional import coalesce as coalesce_columns
from gpupipe.expr.conditional import when
from gpupipe.expr.expr import Expr, as_node
from gpupipe.expr.literal import literal, one_type
from gpupipe.expr.node import make
from gpupipe.expr.registry import operator
from gpupipe.features.arguments import is_whole
from gpupipe.schema import DType, parse_dtype

scalar: Callable[..., Any] = partial(operator, family="elementwise")
_MOST_DECIMALS = 300  # 10**308 is about the largest float


def _register(name: str, doc: str, peer: str, op: str | None = None, takes: str = "number") -> None:
    def function(x: Expr) -> Expr:
        return x._call(op or name)

    function.__name__ = name
    function.__doc__ = doc
    scalar(peer=peer, takes=takes)(function)


for _name, _doc, _peer in (
    ("log", "The natural logarithm, within 1 ulp; -inf at 0, NaN below.", "Polars log"),
    ("log1p", "log(1 + x), exact near 0, within 1 ulp.", "Polars log1p"),
    ("exp", "The exponential function, within 1 ulp.", "Polars exp"),
    ("expm1", "exp(x) - 1, exact near 0, within 1 ulp.", "NumPy expm1"),
    ("sqrt", "The square root; NaN below 0.", "Polars sqrt"),
    ("sin", "The sine of radians, within 4 ulp.", "Polars sin"),
    ("cos", "The cosine of radians, within 4 ulp.", "Polars cos"),
    ("tanh", "The hyperbolic tangent, within 4 ulp.", "Polars tanh"),
    ("sigmoid", "1 / (1 + exp(-x)), without overflow.", "SciPy expit"),
    ("arcsin", "The inverse sine, in radians.", "Polars arcsin"),
    ("arctan", "The inverse tangent, in radians.", "Polars arctan"),
    ("floor", "The greatest whole number not above.", "Polars floor"),
    ("ceil", "The least whole number not below.", "Polars ceil"),
    ("trunc", "The whole number towards zero.", "NumPy trunc"),
    ("abs", "The absolute value.", "Polars abs"),
    ("sign", "-1, 0 or 1; NaN stays.", "Polars sign"),
    ("is_nan", "Whether it is NaN (which null is not).", "Polars is_nan"),
    ("is_finite", "Whether it is neither NaN nor infinite.", "Polars is_finite"),
):
    _register(_name, _doc, _peer)
_register("is_null", "Whether it is null.", "Polars is_null", takes="any")
_register("is_not_null", "Whether it is not null.", "Polars is_not_null", takes="any")


@scalar(peer="Polars log10")
def log10(x: Expr) -> Expr:
    """The logarithm to base 10, within 2 ulp: log10(1000) may be the float just below 3."""
    made: Expr = np.log10(x)  # type: ignore[assignment]  # it builds an expression
    return made


@scalar(peer="NumPy log2")
def log2(x: Expr) -> Expr:
    """The logarithm to base 2, within 2 ulp."""
    made: Expr = np.log2(x)  # type: ignore[assignment]
    return made


@scalar(peer="Polars round (half to even)", arguments=(1,))
def round(x: Expr, decimals: int = 0) -> Expr:
    """Rounded to `decimals`, halves to even, as NumPy's round does."""
    if not is_whole(decimals) or abs(decimals) > _MOST_DECIMALS:
        raise ParameterError(
            f"round takes a whole number of decimals, from -{_MOST_DECIMALS} to {_MOST_DECIMALS}, not {decimals!r}."
        )
    if decimals == 0:
        return x._call("rint")
    scale = float(10 ** abs(decimals))
    return (x * scale)._call("rint") / scale if decimals > 0 else (x / scale)._call("rint") * scale


@scalar(peer="Polars pow", arguments=(2,))
def pow(x: Expr, exponent: Any) -> Expr:
    """`x` to the power `exponent`; small whole powers are products, so integers stay integers."""
    return x**exponent


@scalar(peer="Polars clip", arguments=(0, 10))
def clip(x: Expr, lower_bound: Any = None, upper_bound: Any = None) -> Expr:
    """Held between the bounds; None leaves a side open, null and NaN stay."""
    if lower_bound is None and upper_bound is None:
        raise ParameterError("clip takes a lower bound, an upper bound, or both.")
    for bound in (lower_bound, upper_bound):
        if isinstance(bound, float) and math.isnan(bound):
            raise ParameterError("clip cannot use NaN as a bound; None leaves a side open.")
    if _is_number(lower_bound) and _is_number(upper_bound) and lower_bound > upper_bound:
        raise ParameterError(f"clip takes lower_bound <= upper_bound, not {lower_bound} and {upper_bound}.")
    low = x if lower_bound is None else x._call("max_horizontal", lower_bound)
    return low if upper_bound is None else low._call("min_horizontal", upper_bound)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@scalar(peer="Polars is_in", takes="any", arguments=([1, 2],))
def is_in(x: Expr, values: Iterable[Any]) -> Expr:
    """Whether it is one of `values`; null where it is null.

    Values are taken in the column's type: a date is midnight of a naive time, an instant the same in every time zone,
    a number the same number exactly. What the column cannot hold equals nothing; what cannot be compared is an error.
    """
    listed = list(values)
    if not listed or any(value is None for value in listed):
        raise ParameterError("is_in takes one value or more, none of them null; for null there is .is_null().")
    nodes = [literal(value) for value in listed]
    dtype = one_type("is_in", listed, nodes)
    return x._call("is_in", values=tuple(node["value"] for node in nodes), dtype=dtype)


@scalar(peer="Polars fill_nan(None)")
def nan_to_null(x: Expr) -> Expr:
    """NaN made null."""
    return x._call("null_if", x._call("is_nan"))


@scalar(peer="scikit-learn's _handle_zeros_in_scale")
def nonzero(x: Expr) -> Expr:
    """1 where it is exactly 0, else itself: for a divisor that a constant column makes 0."""
    return x._call("nonzero")


@scalar(peer="Polars coalesce", takes="any", arguments=(0,))
def coalesce(x: Expr, *others: Any) -> Expr:
    """The first that is not null of this and `others`; strings name columns."""
    return coalesce_columns(x, *others)


@scalar(peer="Polars cast", takes="any", arguments=("Float64",))
def cast(x: Expr, dtype: DType | str, strict: bool = True) -> Expr:
    """Of another type; what does not fit is an error, or null with ``strict=False``."""
    wanted = dtype if isinstance(dtype, DType) else parse_dtype(dtype)
    return x._call("cast", dtype=str(wanted), strict=bool(strict))


@scalar(peer="NumPy maximum (Polars max_horizontal skips nulls)", arguments=(0,))
def max_horizontal(x: Expr, other: Any) -> Expr:
    """The greater of two, row by row; NaN wins, as in NumPy's maximum."""
    return x._call("max_horizontal", other)


@scalar(peer="NumPy minimum (Polars min_horizontal skips nulls)", arguments=(0,))
def min_horizontal(x: Expr, other: Any) -> Expr:
    """The lesser of two, row by row; NaN wins, as in NumPy's minimum."""
    return x._call("min_horizontal", other)


@scalar(peer="Polars when/then/otherwise", arguments=(True,))
def where(x: Expr, condition: Any, otherwise: Any = None) -> Expr:
    """Itself where `condition` holds, else `otherwise`."""
    return when(condition).then(x).otherwise(otherwise)


def several(*expressions: Expr) -> Expr:
    """Several expressions as one, to which further operators apply one by one."""
    return Expr(make("columns", *(as_node(expression) for expression in expressions)))
