"""The language: expressions as pure data."""

from gpupipe.expr.conditional import coalesce, when
from gpupipe.expr.expr import Expr, col, lit, target
from gpupipe.expr.node import Node
from gpupipe.expr.registry import operator
from gpupipe.expr.selectors import Selector, all_columns, booleans, cols, dates, numeric, strings

__all__ = [
    "Expr",
    "Node",
    "Selector",
    "all_columns",
    "booleans",
    "coalesce",
    "col",
    "cols",
    "dates",
    "lit",
    "numeric",
    "operator",
    "strings",
    "target",
    "when",
]
