"""What is known of an expression before any row is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gpupipe.expr.columnwise import COLUMNWISE
from gpupipe.expr.node import Node
from gpupipe.schema import DType

_NEVER_NULL = {
    "is_null",
    "is_not_null",
    "codes",
    "one_hot",
    "hash_bucket",
    "word_ngrams",
    "fold_of",
}
_NULL_BY_ZERO = {"floordiv", "mod"}


@dataclass(frozen=True, slots=True)
class Info:
    """What planning knows of a node.

    Attributes:
        dtype: its type.
        nullable: whether a row may be null.
        scalar: whether it is one value for the whole table: literals, reductions, and what is made of them.
        wide: the node whose fitted width is the number of columns it stands for; None: one.
    """

    dtype: DType
    nullable: bool = True
    scalar: bool = False
    wide: Node | None = None

    def __reduce__(self) -> tuple[type["Info"], tuple[DType, bool, bool, Node | None]]:
        """As dataclasses do, in a tenth of the time: an order for another process holds hundreds."""
        return Info, (self.dtype, self.nullable, self.scalar, self.wide)

    def of(self, dtype: DType) -> "Info":
        """The same, of another type."""
        return replace(self, dtype=dtype)


class Typing(Protocol):
    """What casts and macros need of the stage that types: what is known, and typed scalar operations."""

    info: dict[Node, Info]

    def note(self, node: Node, info: Info) -> Node:
        """Record what is known of a core node, and give it back."""

    def apply(self, node: Node, args: tuple[Node, ...]) -> Node:
        """The core node of any operation over core nodes."""

    def elementwise(self, op: str, *args: Node) -> Node:
        """The typed node of a scalar operation over core nodes."""


def may_be_null(node: Node, operands: Sequence[Info]) -> bool:
    """Whether an operation over such operands can give null: the null rules, in one place."""
    if node.op in _NEVER_NULL:
        return False
    if node.op == "coalesce":
        return all(info.nullable for info in operands)
    if node.op == "select":
        return any(info.nullable for info in operands[1:])
    row = COLUMNWISE.get(node.op)
    makes_null = node.op in ("null_if", "lookup") or not node.get("strict", True)
    makes_null = makes_null or (row is not None and row.may_be_null and "strict" not in dict(node.params))
    makes_null = makes_null or node.get("unknown") == "null"
    divides = node.op in _NULL_BY_ZERO and not operands[0].dtype.is_float and not _nonzero_literal(node.args[1])
    return makes_null or divides or any(info.nullable for info in operands)


def _nonzero_literal(node: Node) -> bool:
    return node.op == "lit" and bool(node["value"])
