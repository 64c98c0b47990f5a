"""The one data structure of the language: a frozen node, compared by structure."""

import datetime as dt
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Param = Any  # str, int, float, bool, None, or a tuple of these
Written = tuple["str | Node", ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Node:
    """An operation over other nodes. Pure data: it overloads no operator and holds no array.

    Attributes:
        op: the name of a row in one of the tables (elementwise, columnwise, reductions), or of a structural node
            (``col``, ``lit``, ``alias``, ``suffix``, ``columns``, ``selector``, ``target``, ``state``, …).
        args: the operands.
        params: constants of the operation, as (name, value) pairs sorted by name.
        written: what the user wrote for it, text between nodes, where its operation says less; no part of equality.

    >>> Node("add", (Node("col", (), (("name", "a"),)), Node("lit", (), (("value", 1),))))
    (a + 1)
    """

    op: str
    args: tuple["Node", ...] = ()
    params: tuple[tuple[str, Param], ...] = ()
    written: Written | None = None
    _key: str = field(init=False)
    _hash: int = field(init=False)

    def __post_init__(self) -> None:
        # By repr, since 1 == 1.0 == True and 0.0 == -0.0 in Python, and NaN equals nothing.
        object.__setattr__(self, "_key", repr(self.params))
        object.__setattr__(self, "_hash", hash((self.op, self.args, self._key)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Node) or self._hash != other._hash:
            return False
        if self.args is other.args:  # leaves, and what has been compared before: planning compares hardly anything else
            return self.op == other.op and self._key == other._key
        if not _same(self, other):
            return False
        # Equal operands become the same ones, so that comparing what stands above ends here: those that were written.
        left, right = (self, other) if any(arg.written for arg in self.args) else (other, self)
        object.__setattr__(right, "args", left.args)
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        # Flat, so that depth is no limit; and made anew, since the hash of text differs by process.
        place: dict[Node, int] = {}
        for node in walk(self):
            place[node] = len(place)
        rows = [
            (node.op, tuple(place[arg] for arg in node.args), node.params, _placed(node.written, place, at))
            for node, at in place.items()
        ]
        return _rebuilt, (rows,)

    def __deepcopy__(self, memo: Any) -> "Node":
        return self

    def __getitem__(self, name: str) -> Param:
        """The parameter `name`; KeyError where there is none."""
        for key, value in self.params:
            if key == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Param = None) -> Param:
        """The parameter `name`, or `default`."""
        return next((value for key, value in self.params if key == name), default)

    def with_args(self, args: tuple["Node", ...]) -> "Node":
        """The same operation over other operands."""
        return self if args == self.args else Node(self.op, args, self.params)

    def with_params(self, **params: Param) -> "Node":
        """The same operation with parameters replaced or added."""
        return make(self.op, *self.args, **{**dict(self.params), **params})

    def as_written(self, *pieces: "str | Node") -> "Node":
        """The same node, which shows as `pieces`."""
        return Node(self.op, self.args, self.params, pieces)

    def __repr__(self) -> str:
        return show(self)


def _same(left: Node, right: Node) -> bool:
    """Equal structure, each pair of nodes compared once: a shared node stands beneath many paths."""
    stack, seen = [(left, right)], set()
    while stack:
        a, b = stack.pop()
        if a is b or (id(a), id(b)) in seen:
            continue
        if a._hash != b._hash or a.op != b.op or a._key != b._key or len(a.args) != len(b.args):
            return False
        seen.add((id(a), id(b)))
        stack.extend(zip(a.args, b.args, strict=True))
    return True


_Row = tuple[str, tuple[int, ...], tuple[tuple[str, Param], ...], tuple[str | int, ...] | None]


def _placed(written: Written | None, place: dict[Node, int], at: int) -> tuple[str | int, ...] | None:
    """What was written, its nodes by position; None where one is not among those before the node itself."""
    pieces = tuple(piece if isinstance(piece, str) else place.get(piece, at) for piece in written or ())
    return None if not pieces or any(isinstance(piece, int) and piece >= at for piece in pieces) else pieces


def _rebuilt(rows: list[_Row]) -> Node:
    """The last of nodes that name their operands by position."""
    nodes: list[Node] = []
    for op, args, params, written in rows:
        pieces = None if written is None else tuple(p if isinstance(p, str) else nodes[p] for p in written)
        nodes.append(Node(op, tuple(nodes[at] for at in args), params, pieces))
    return nodes[-1]


def make(op: str, *args: Node, **params: Param) -> Node:
    """A node from operands and named parameters.

    >>> make("clip", make("col", name="x"), low=0.0, high=None)
    x.clip(high=None, low=0.0)
    """
    return Node(op, tuple(args), tuple(sorted(params.items())))


def walk(*roots: Node, leaves: Container[str] = ()) -> Iterator[Node]:
    """Every distinct node under `roots`, operands before what uses them; nothing beneath operations among `leaves`."""
    seen: set[Node] = set()
    stack: list[Node | None] = list(reversed(roots))
    while stack:
        node = stack.pop()
        if node is None:  # what stands below has had its operands
            yield stack.pop()  # type: ignore[misc]
            continue
        size = len(seen)
        seen.add(node)  # one hash a node, since planning does little else
        if len(seen) == size:
            continue
        if node.args and node.op not in leaves:
            stack += (node, None, *reversed(node.args))
        else:
            yield node


def rewrite(roots: list[Node], step: Callable[[Node], Node]) -> list[Node]:
    """`roots` with `step` applied to every node, operands first, each distinct node once."""
    done: dict[Node, Node] = {}
    for node in walk(*roots):
        done[node] = step(node.with_args(tuple(done[arg] for arg in node.args)))
    return [done[root] for root in roots]


# What Python writes between or before operands.
INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "power": "**",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "and": "&", "or": "|", "xor": "^",
}  # fmt: skip
PREFIX = {"neg": "-", "not": "~"}
_SETS = {"difference": "-", "union": "|", "intersection": "&"}  # of selectors
_TEXT = ("contains", "starts_with", "ends_with", "slice", "strip_chars", "replace", "replace_all", "to_lowercase",
         "to_uppercase", "len_chars", "len_bytes", "word_ngrams", "to_date", "to_datetime")  # fmt: skip
_CALLED = {**{name: f"str.{name}" for name in _TEXT}, **{name: f"dt.{name}" for name in ("year", "month", "day")}}
_TICKS = {"Date": 86_400 * 10**6, "Datetime": 1, "Duration": 1}  # in microseconds
_UNSEEN = ("suffix", "named_as", "days_of", "time_of", "ticks")  # what operators add and no user writes
_MOST_NODES, _DEEPEST, _LONGEST = 400, 40, 4000  # what a message or a page can show


def show(node: Node, *, core: bool = False) -> str:
    """The expression as a user wrote it, or could have; what is too large or too deep to read becomes an ellipsis.

    Args:
        core: show the operations themselves, not what was written for them.

    >>> show(make("mean", make("col", name="x"), make("col", name="g"), keys=1))
    'x.mean().over(g)'
    """
    return _cut(_Shown(core).text(node, 0), _LONGEST)


def called(op: str) -> str:
    """The name of an operation as users call it.

    >>> called("add"), called("contains"), called("select")
    ('+', 'str.contains', 'when')
    """
    signs = {**INFIX, **PREFIX, "neg": "-", "select": "when"}
    return signs.get(op) or _CALLED.get(op, op)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


class _Shown:
    """Writes one expression, within a number of nodes: shared operands are written where each is used."""

    def __init__(self, core: bool = False) -> None:
        self._left = _MOST_NODES
        self._core = core

    def text(self, node: Node, depth: int) -> str:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            return "…"
        if node.written and not self._core:
            deeper = depth + (len(node.written) > 1)
            return "".join(piece if isinstance(piece, str) else self.text(piece, deeper) for piece in node.written)
        if node.op == "col":
            return str(node.get("name"))
        if node.op == "lit":
            return _constant(node)
        if node.op == "selector":
            return _selector(node)
        if node.args:
            return self._operation(node, depth + 1)
        return f"{node.op}({self._arguments(node, (), depth)})"

    def _operation(self, node: Node, depth: int) -> str:
        first, *others = node.args
        if node.op == "select" and len(others) == 2 and not self._core:
            return self._choice(node, depth)
        head = self.text(first, depth)
        if node.op in INFIX and others:
            return f"({head} {INFIX[node.op]} {self.text(others[0], depth)})"
        if node.op in _SETS and others:
            return f"({head} {_SETS[node.op]} {self.text(others[0], depth)})"
        if node.op in PREFIX:
            return f"{PREFIX[node.op]}{head}"
        if node.op == "suffix" or (node.op in _UNSEEN and not self._core):
            return head
        if node.op == "alias":
            return f"{head}.alias({node.get('name')!r})"
        keys = node.get("keys") or 0
        inner, by = others[: len(others) - keys], others[len(others) - keys :]
        name = node.op if self._core else _CALLED.get(node.op, node.op)
        shown = f"{head}.{name}({self._arguments(node, inner, depth)})"
        return f"{shown}.over({', '.join(self.text(key, depth) for key in by)})" if by else shown

    def _choice(self, node: Node, depth: int) -> str:
        """``when(…).then(…).otherwise(…)``, as deep as choices follow each other."""
        parts: list[str] = []
        while node.op == "select" and not node.written:
            condition, value, node = node.args
            asked = self.text(condition, depth)
            asked = asked[1:-1] if condition.op in INFIX and not condition.written else asked
            parts.append(f"when({asked}).then({self.text(value, depth)})")
        rest = "" if node.op == "lit" and node.get("value") is None else f".otherwise({self.text(node, depth)})"
        return ".".join(parts) + rest

    def _arguments(self, node: Node, operands: Sequence[Node], depth: int) -> str:
        """Operands, then parameters, as a call shows them."""
        shown = [self.text(operand, depth) for operand in operands[:_MOST_NODES]]
        shown += [f"{name}={_cut(repr(value), _LONGEST)}" for name, value in node.params if name != "keys"]
        return ", ".join(shown)


def _constant(node: Node) -> str:
    """A literal as Python writes it; a time counts microseconds since 1970, a date days."""
    value, kind = node.get("value"), str(node.get("dtype")).partition("(")[0]
    if kind in _TICKS and type(value) is int:
        span = dt.timedelta(microseconds=1) * _TICKS[kind]
        with suppress(OverflowError):
            epoch: dt.timedelta | dt.datetime = dt.timedelta() if kind == "Duration" else dt.datetime(1970, 1, 1)
            moment = epoch + value * span
            return repr(moment.date() if kind == "Date" and isinstance(moment, dt.datetime) else moment)
    return _cut(repr(value), _LONGEST)


def _selector(node: Node) -> str:
    names = node.get("names")
    return f"{node.get('kind')}()" if names is None else f"cols({', '.join(map(repr, names))})"
