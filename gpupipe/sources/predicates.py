"""Filters as expressions: their type before a row is read, their columns, their tests, their rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.backends.reference import evaluate
from gpupipe.columns import Frame, Values
from gpupipe.compiler.typing import Typer
from gpupipe.errors import ParameterError, TypeMismatchError
from gpupipe.expr.expr import Expr
from gpupipe.expr.node import Node, show, walk
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.expr.selectors import SELECTORS
from gpupipe.schema import Boolean, DType, Schema, parse_dtype
from gpupipe.sources.partition import Comparison

_FLIPPED = {"eq": "eq", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


@dataclass(frozen=True, slots=True)
class Predicate:
    """A filter: as the user wrote it, and as core nodes that a backend evaluates."""

    node: Node
    core: Node

    def __str__(self) -> str:
        return show(self.node)


def predicate(expression: Any, schema: Schema) -> Predicate:
    """A filter over columns of `schema`.

    Raises:
        ColumnNotFoundError: it names a column that the schema lacks.
        TypeMismatchError: it is no expression, or its type is not Boolean.
        ParameterError: it holds a reduction (a filter sees one row), a selector, or no column.

    >>> from gpupipe.expr import col
    >>> from gpupipe.schema import Int64
    >>> str(predicate(col("age") > 17, Schema({"age": Int64})))
    '(age > 17)'
    """
    if not isinstance(expression, Expr | Node):
        raise TypeMismatchError(
            f"filter takes an expression such as gp.col('age') > 17, not {type(expression).__name__}."
        )
    node = expression if isinstance(expression, Node) else expression._node
    _refuse_what_needs_more_than_a_row(node)
    typer = Typer(schema)
    core = typer.core(node)
    dtype = typer.info[core].dtype
    if dtype != Boolean:
        raise TypeMismatchError(
            f"filter takes a Boolean expression; {show(node)} is {dtype}. Compare it with something."
        )
    return Predicate(node, core)


def _refuse_what_needs_more_than_a_row(node: Node) -> None:
    ops = {part.op: part for part in walk(node)}
    for op, part in ops.items():
        if op in REDUCTIONS:
            raise ParameterError(
                f"A filter sees one row at a time, and {show(part)} needs all of them. Compute it first, "
                "and compare with the number."
            )
        if op in SELECTORS:
            raise ParameterError(f"A filter keeps or drops a row: {show(node)} would be several. Name one column.")
    if "col" not in ops:
        raise ParameterError(f"The filter {show(node)} depends on no column: it would keep or drop every row.")


def columns_of(node: Node) -> list[str]:
    """The columns a node reads.

    >>> from gpupipe.expr import col
    >>> columns_of(((col("a") > 1) & (col("b") > col("a")))._node)
    ['a', 'b']
    """
    return [part["name"] for part in walk(node) if part.op == "col"]


def satisfied(filter: Predicate, frame: Frame) -> Values:
    """The rows of a frame where a filter is true, as a bool mask; a null is not true."""
    if frame.n_rows == 0:
        return np.zeros(0, np.bool_)
    column = evaluate(filter.core, frame)
    values = np.asarray(column.values, dtype=np.bool_)
    return values if column.valid is None else values & column.valid


def comparisons(node: Node, schema: Schema) -> Iterator[Comparison]:
    """The ``column op literal`` tests that every row satisfying the filter satisfies.

    >>> from gpupipe.expr import col
    >>> from gpupipe.schema import Int64
    >>> list(comparisons(((col("a") > 1) & (2 >= col("a")))._node, Schema({"a": Int64})))
    [Comparison(column='a', op='gt', value=1), Comparison(column='a', op='le', value=2)]
    """
    if node.op == "and":
        for arg in node.args:
            yield from comparisons(arg, schema)
    if node.op not in _FLIPPED:
        return
    left, right = node.args
    op = node.op
    if left.op == "lit":
        left, right, op = right, left, _FLIPPED[op]
    known = left.op == "col" and right.op == "lit" and left["name"] in schema
    if known and _same_unit(schema[left["name"]].dtype, parse_dtype(right["dtype"])):
        yield Comparison(left["name"], op, right["value"])


def _same_unit(column: DType, literal: DType) -> bool:
    """Whether a column's and a literal's stored values count the same thing."""
    if column.is_numeric or literal.is_numeric:
        return column.is_numeric and literal.is_numeric
    return column.name == literal.name and (column.time_zone is None) == (literal.time_zone is None)
