"""Sets of columns by type or name, expanded once against the schema before any row is read."""

from collections.abc import Callable, Iterable
from typing import Any

from gpupipe.errors import ParameterError
from gpupipe.expr.expr import Expr
from gpupipe.expr.node import Node, make, show
from gpupipe.schema import DType, Schema

_KINDS: dict[str, Callable[[DType], bool]] = {
    "numeric": lambda dtype: dtype.is_numeric,
    "strings": lambda dtype: dtype.name == "String",
    "booleans": lambda dtype: dtype.name == "Boolean",
    "dates": lambda dtype: dtype.name in ("Date", "Datetime"),
    "all": lambda dtype: True,
}


class Selector(Expr):
    """Several columns at once: an operator applied to it is applied to each.

    ``-``, ``|``, ``&`` and ``~`` between selectors, names and lists of names are those of sets; with numbers and
    expressions they are arithmetic.

    >>> numeric() - ["a", "b"]
    numeric() - cols('a', 'b')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        text = show(self._node)
        return text[1:-1] if text.startswith("(") else text

    def __sub__(self, other: Any) -> Expr:
        return self._combined("difference", other) or super().__sub__(other)

    def __or__(self, other: Any) -> Expr:
        return self._combined("union", other) or super().__or__(other)

    def __and__(self, other: Any) -> Expr:
        return self._combined("intersection", other) or super().__and__(other)

    def __invert__(self) -> "Selector":
        return Selector(make("difference", make("selector", kind="all"), self._node))

    def _combined(self, op: str, other: Any) -> "Selector | None":
        node = _as_selection(other)
        return None if node is None else Selector(make(op, self._node, node))

    def __bool__(self) -> bool:
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return (Selector, (self._node,))


def _as_selection(other: Any) -> Node | None:
    if isinstance(other, Selector):
        return other._node
    if isinstance(other, str):
        return make("selector", names=(other,))
    if isinstance(other, Iterable) and not isinstance(other, Expr):
        return cols(*other)._node
    return None


def numeric() -> Selector:
    """All integer and float columns."""
    return Selector(make("selector", kind="numeric"))


def strings() -> Selector:
    """All text columns."""
    return Selector(make("selector", kind="strings"))


def booleans() -> Selector:
    """All boolean columns."""
    return Selector(make("selector", kind="booleans"))


def dates() -> Selector:
    """All Date and Datetime columns."""
    return Selector(make("selector", kind="dates"))


def all_columns() -> Selector:
    """Every column."""
    return Selector(make("selector", kind="all"))


def cols(*names: str) -> Selector:
    """The named columns, in the order given.

    >>> cols("a", "b") | "c"
    cols('a', 'b') | cols('c')
    """
    if not names or not all(isinstance(name, str) for name in names):
        raise ParameterError(f"cols takes columns' names, not {names!r}.")
    return Selector(make("selector", names=tuple(names)))


_SETS: dict[str, Callable[[str, list[str]], bool]] = {
    "difference": lambda name, other: name not in other,
    "intersection": lambda name, other: name in other,
}
_SETS["union"] = _SETS["difference"]
SELECTORS = frozenset({"selector", *_SETS})


def select_names(node: Node, schema: Schema, excluded: frozenset[str]) -> list[str]:
    """The columns a selector node stands for, in the schema's order (named ones in the order named).

    Columns in `excluded` (target, weights, key) are never selected by kind; naming one is left to the caller
    to refuse.

    Raises:
        ColumnNotFoundError: a name that is not in the schema.
        TypeMismatchError: the name of a column that cannot be used.
    """
    if node.op == "union":
        left, right = (select_names(arg, schema, excluded) for arg in node.args)
        return left + [name for name in right if name not in left]
    if node.op in _SETS:
        left, right = (select_names(arg, schema, excluded) for arg in node.args)
        return [name for name in left if _SETS[node.op](name, right)]
    names = node.get("names")
    if names is None:
        wanted = _KINDS[node["kind"]]
        return [name for name, field in schema.items() if wanted(field.dtype) and name not in excluded]
    for name in names:
        schema[name]  # which says what is wrong with a name
    return list(names)
