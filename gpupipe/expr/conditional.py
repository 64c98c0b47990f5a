"""``when(…).then(…).otherwise(…)`` and ``coalesce``."""

from typing import Any

from gpupipe.errors import ParameterError, UnknownNameError
from gpupipe.expr.expr import Expr, as_column, as_node
from gpupipe.expr.literal import literal
from gpupipe.expr.node import make


class When:
    """A condition waiting for its value."""

    def __init__(self, cases: tuple[tuple[Expr, Expr], ...], condition: Any) -> None:
        self._cases, self._condition = cases, Expr(as_node(condition))

    def __getattr__(self, name: str) -> Any:
        raise UnknownNameError(
            f"After when(…) comes .then(value), and .{name} only after that: gp.when(…).then(…).otherwise(…).",
            name=name,
            obj=None,
        )

    def then(self, value: Any) -> "Then":
        """The value of rows where the condition holds."""
        return Then((*self._cases, (self._condition, Expr(as_node(value)))))


class Then(Expr):
    """Cases decided so far; rows of no case are null. An expression already, which more cases extend."""

    __slots__ = ("_cases",)

    def __init__(self, cases: tuple[tuple[Expr, Expr], ...]) -> None:
        self._cases = cases
        super().__init__(self._select(Expr(literal(None)))._node)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Then, (self._cases,))

    def when(self, condition: Any) -> When:
        """A further condition, for rows that no earlier one took."""
        return When(self._cases, condition)

    def otherwise(self, value: Any) -> Expr:
        """The value of all other rows, and of those whose condition is null."""
        return self._select(Expr(as_node(value)))

    def _select(self, rest: Expr) -> Expr:
        for condition, value in reversed(self._cases):
            rest = Expr(make("select", condition._node, value._node, rest._node))
        return rest


def when(condition: Any) -> When:
    """Begin a choice by rows; a null condition counts as false.

    >>> from gpupipe.expr import col
    >>> when(col("x") > 0).then(1).otherwise(col("y"))
    when(x > 0).then(1).otherwise(y)
    """
    return When((), condition)


def coalesce(*values: Any) -> Expr:
    """The first of `values` that is not null; strings name columns, as in Polars.

    >>> coalesce("a", "b", 0)
    a.coalesce(b).coalesce(0)
    """
    if not values:
        raise ParameterError("coalesce takes one value or more.")
    first, *others = (as_column(value) for value in values)
    for other in others:
        first = make("coalesce", first, other)
    return Expr(first)
