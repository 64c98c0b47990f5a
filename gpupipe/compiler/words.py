"""Errors of planning in the user's words: the operation as it was written, where it stands, and what was meant."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping

from gpupipe.compiler.expand import columns_of
from gpupipe.errors import ColumnNotFoundError, PlanError, TypeMismatchError, nearest
from gpupipe.expr.columnwise import COLUMNWISE
from gpupipe.expr.elementwise import ANOTHER_TYPE, ELEMENTWISE
from gpupipe.expr.node import Node, called, show, walk
from gpupipe.expr.reductions import FILLS, REDUCTIONS
from gpupipe.schema import DType


def in_words(
    error: PlanError, node: Node, root: Node, types: Mapping[Node, DType], notes: Mapping[str, str]
) -> PlanError:
    """The error that `node` of the expression `root` met, its operation named as the user wrote it.

    Args:
        types: the types of the node's operands.
        notes: why columns have the types they have, where that may surprise.
    """
    text = str(error)
    first, blank, rest = text.partition(" ")
    if first == node.op or first in ELEMENTWISE or first in COLUMNWISE or first in REDUCTIONS:
        text = word_of(node, root, first) + blank + rest
    if text.startswith("fill_null takes a number") and node.op in FILLS and "String" in map(str, types.values()):
        text = f"fill_null({node.op!r}) takes a number, not String. Text is filled by 'mode', or by a text of your own."
    meant = next(filter(None, (hint(error, node, types) for hint in _HINTS)), "")
    why = noted(columns_of([node]), notes) if isinstance(error, TypeMismatchError) else ""
    text = text.removesuffix(ANOTHER_TYPE) if meant else text
    return type(error)(f"{text}{meant} In: {show(root)}{why and '.'}{why}")


def noted(names: Iterable[str], notes: Mapping[str, str]) -> str:
    """What is noted of the named columns, to stand after a message."""
    return "".join(f" {notes[name]}" for name in names if name in notes)


def no_number(feature: str, dtype: DType, who: str, why: str = "") -> TypeMismatchError:
    """A feature of text or times where numbers alone can stand.

    >>> print(no_number("city", DType("String"), "a matrix holds"))
    The feature 'city' is String; a matrix holds numbers. For text: .codes(), .one_hot() or .target_mean().
    """
    hints = {"String": "For text: .codes(), .one_hot() or .target_mean()."}
    hint = hints.get(dtype.name, "For times: .dt parts.")
    return TypeMismatchError(f"The feature {feature!r} is {dtype}; {who} numbers. {hint}{why}")


def word_of(node: Node, root: Node, op: str) -> str:
    """What the user wrote that `node` of `root` comes from: a sign, or the name of the outermost call that made it.

    >>> from gpupipe.expr import col
    >>> import gpupipe.features
    >>> scaled = (col("x") * 2).standardize()._node
    >>> word_of(scaled.args[1].args[0], scaled, "std"), word_of(scaled.args[0].args[0], scaled, "mul")
    ('standardize', '*')
    """
    known: set[Node] = set()
    above: set[Node] = set()  # `node`, and all of the known ones that use it
    names = []
    for part in walk(root):
        known.add(part)
        if part == node or not above.isdisjoint(part.args):
            above.add(part)
            if part.written and not any(_uses(piece, node, known, above) for piece in _nodes(part)):
                names.append(_name(part))
    return next(filter(None, reversed(names)), called(op))


def _uses(piece: Node, node: Node, known: set[Node], above: set[Node]) -> bool:
    return piece in above if piece in known else node in walk(piece)


def _nodes(part: Node) -> list[Node]:
    return [piece for piece in part.written or () if isinstance(piece, Node)]


def _name(part: Node) -> str:
    """The method's name in what was written: ``.str.contains(`` is ``str.contains``."""
    calls = [piece for piece in part.written or () if isinstance(piece, str) and piece.startswith(".")]
    return calls[0][1:].partition("(")[0] if calls else ""


# -- what was meant -------------------------------------------------------------------------------------------
def _date_as_text(error: PlanError, node: Node, types: Mapping[Node, DType]) -> str:
    if not any(dtype.is_temporal for dtype in types.values()):
        return ""
    listed = [node.get("values") or (), node.get("order") or ()]
    texts = [value for values in listed for value in values if isinstance(value, str)]
    texts += [str(arg["value"]) for arg in types if arg.op == "lit" and arg["dtype"] == "String"]
    found = next(filter(None, map(_written_date, texts)), "datetime.date(2025, 1, 31)")
    return f" A date is written {found}." if texts else ""


def _date_as_column(error: PlanError, node: Node, types: Mapping[Node, DType]) -> str:
    found = _written_date(str(node.get("name"))) if isinstance(error, ColumnNotFoundError) else ""
    return f" If a date is meant, write {found}." if found else ""


def _strategy(error: PlanError, node: Node, types: Mapping[Node, DType]) -> str:
    texts = [arg for arg in node.args[1:] if arg.op == "lit" and arg["dtype"] == "String"]
    if not texts or _name(node) != "fill_null":
        return ""
    guess = nearest(str(texts[0]["value"]), FILLS)
    return f" {guess}" if guess.startswith("Did") else f" Strategies are {', '.join(map(repr, FILLS))}."


_HINTS: tuple[Callable[[PlanError, Node, Mapping[Node, DType]], str], ...] = (
    _date_as_text,
    _date_as_column,
    _strategy,
)


def _written_date(text: str) -> str:
    """``2025-01-31`` as Python writes it; empty where it is no ISO 8601 date or time."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return ""
    whole = moment.time() == dt.time() and len(text) <= len("2025-01-31")
    return repr(moment.date() if whole else moment)
