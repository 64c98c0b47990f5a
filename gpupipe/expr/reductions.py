"""The reductions: what needs all training rows, and freezes at fit. One row each.

A row names the mergeable state it is finished from (``backends/states/``); its finishing function has its name in
``backends/finish.py``. Reductions of one column that share a state are gathered once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gpupipe.errors import ParameterError, TypeMismatchError
from gpupipe.expr.expr import Expr
from gpupipe.expr.node import make
from gpupipe.expr.registry import operator
from gpupipe.schema import DType, Float64, Int64

FILLS = ("mean", "median", "mode", "min", "max")  # those that a missing value may be filled with
FOLDS = 5  # by how many folds statistics of the target are kept while fitting


@dataclass(frozen=True, slots=True)
class Reduction:
    """One reduction.

    Attributes:
        name: the node's ``op``.
        state: the state it is finished from.
        rule: from the column's type to the result's.
        takes: the types it takes, as a word: number, ordered, any.
        empty_is_null: whether it is null where no value was seen.
        ungrouped: the state it is finished from where it has no keys; None: the same.
        table: whether it gives a list of values rather than one.
    """

    name: str
    state: str
    rule: Callable[[DType], DType]
    takes: str = "number"
    empty_is_null: bool = True
    table: bool = False
    ungrouped: str | None = None

    def state_over(self, keys: Sequence[object]) -> str:
        """The state it is finished from, by what it is grouped by."""
        return self.state if keys or self.ungrouped is None else self.ungrouped

    def result(self, dtype: DType) -> DType:
        """The result's type.

        Raises:
            TypeMismatchError: the column is of a type it cannot take.
        """
        numeric = dtype.is_numeric or dtype.name in ("Boolean", "Null")
        if self.takes == "number" and not numeric:
            text = "For text there are .mode(), .str parts and .codes()."
            instead = text if dtype.name == "String" else "Take .dt or .str parts, or .codes(), of it first."
            raise TypeMismatchError(f"{self.name} takes a number, not {dtype}. {instead}")
        if self.takes == "ordered" and not (numeric or dtype.is_temporal):
            raise TypeMismatchError(f"{self.name} takes numbers or times, not {dtype}. For text there is .mode().")
        return self.rule(dtype)


def _same(dtype: DType) -> DType:
    if dtype.is_numeric:
        return Int64 if dtype.is_integer else Float64
    return dtype


def _total(dtype: DType) -> DType:
    return Float64 if dtype.is_float else Int64


ROWS = [
    Reduction("count", "count", lambda dtype: Int64, "any", empty_is_null=False),
    Reduction("null_count", "count", lambda dtype: Int64, "any", empty_is_null=False),
    Reduction("sum", "sum", _total, empty_is_null=False),
    Reduction("mean", "moments", lambda dtype: Float64),
    Reduction("std", "moments", lambda dtype: Float64),
    Reduction("var", "moments", lambda dtype: Float64),
    Reduction("min", "extremes", _same, "ordered"),
    Reduction("max", "extremes", _same, "ordered"),
    Reduction("median", "values", lambda dtype: Float64, ungrouped="order"),
    Reduction("quantile", "values", lambda dtype: Float64, ungrouped="order"),
    Reduction("mode", "values", _same, "any"),
    Reduction("n_unique", "values", lambda dtype: Int64, "any", empty_is_null=False),
    Reduction("vocabulary", "values", _same, "any", empty_is_null=False, table=True),
    # What a vocabulary over keys becomes: the place of each row's value in the list of its group, from 0.
    Reduction("place", "values", lambda dtype: Int64, "any", empty_is_null=False),
]

REDUCTIONS: dict[str, Reduction] = {row.name: row for row in ROWS}


def reduce(x: Expr, op: str, **params: Any) -> Expr:
    """The reduction `op` of `x` over all training rows; ``.over(keys)`` makes it one for each group."""
    return Expr(make(op, x._node, keys=0, **params))


@operator(peer="Polars count", takes="any", family="reductions")
def count(x: Expr) -> Expr:
    """The number of values that are not null."""
    return reduce(x, "count")


@operator(peer="Polars null_count", takes="any", family="reductions")
def null_count(x: Expr) -> Expr:
    """The number of nulls."""
    return reduce(x, "null_count")


@operator(peer="Polars sum", family="reductions")
def sum(x: Expr) -> Expr:  # the field's name for it
    """The sum of the values; 0 where there is none."""
    return reduce(x, "sum")


@operator(peer="Polars mean", family="reductions")
def mean(x: Expr) -> Expr:
    """The arithmetic mean."""
    return reduce(x, "mean")


@operator(peer="NumPy std", family="reductions")
def std(x: Expr, ddof: int = 0) -> Expr:
    """The standard deviation; `ddof` = 0 divides by n, as scikit-learn does (Polars: 1)."""
    return reduce(x, "std", ddof=_ddof(ddof))


@operator(peer="NumPy var", family="reductions")
def var(x: Expr, ddof: int = 0) -> Expr:
    """The variance; `ddof` = 0 divides by n, as scikit-learn does (Polars: 1)."""
    return reduce(x, "var", ddof=_ddof(ddof))


def _ddof(ddof: int) -> int:
    if not isinstance(ddof, int) or ddof < 0:
        raise ParameterError(f"ddof is a whole number from 0 on, not {ddof!r}.")
    return ddof


@operator(peer="Polars min", family="reductions")
def min(x: Expr) -> Expr:
    """The least value."""
    return reduce(x, "min")


@operator(peer="Polars max", family="reductions")
def max(x: Expr) -> Expr:
    """The greatest value."""
    return reduce(x, "max")


@operator(peer="Polars median", family="reductions")
def median(x: Expr) -> Expr:
    """The exact median; between two values, halfway."""
    return reduce(x, "median")


@operator(peer="NumPy quantile (linear)", arguments=(0.25,), family="reductions")
def quantile(x: Expr, q: float) -> Expr:
    """The exact quantile, with NumPy's linear interpolation (Hyndman and Fan 1996, type 7)."""
    if isinstance(q, bool) or not isinstance(q, int | float) or not 0 <= q <= 1:
        raise ParameterError(f"quantile takes a fraction between 0 and 1, not {q!r}.")
    return reduce(x, "quantile", q=float(q))


@operator(peer="Polars mode", takes="any", family="reductions")
def mode(x: Expr) -> Expr:
    """The most frequent value; the least of those that tie."""
    return reduce(x, "mode")


@operator(peer="Polars n_unique (which counts null)", takes="any", family="reductions")
def n_unique(x: Expr) -> Expr:
    """The number of distinct values, null not among them."""
    return reduce(x, "n_unique")


@operator(peer="tf.Transform vocabulary", takes="any", family="reductions")
def vocabulary(x: Expr, min_count: int = 1, max_size: int | None = None, order: str = "count") -> Expr:
    """The distinct values that occur `min_count` times or more: most frequent first, ties by value.

    Takes `max_size` of them at most; ``order="value"`` lists the chosen ones by value. With ``.over(keys)`` each group
    has a list of its own, and ``.codes()`` of it counts within the group.
    """
    if not isinstance(min_count, int) or min_count < 1:
        raise ParameterError(f"min_count is a whole number from 1 on, not {min_count!r}.")
    if max_size is not None and (not isinstance(max_size, int) or max_size < 1):
        raise ParameterError(f"max_size is a whole number from 1 on, or None, not {max_size!r}.")
    if order not in ("count", "value"):
        raise ParameterError(f"order is 'count' or 'value', not {order!r}.")
    return reduce(x, "vocabulary", min_count=min_count, max_size=max_size, order=order)
