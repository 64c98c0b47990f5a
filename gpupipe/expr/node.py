"""The one data structure of the language: a frozen node, compared by structure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Param = Any  # str, int, float, bool, None, or a tuple of these


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Node:
    """An operation over other nodes. Pure data: it overloads no operator and holds no array.

    Attributes:
        op: the name of a row in one of the tables (elementwise, columnwise, reductions), or of a structural node
            (``col``, ``lit``, ``alias``, ``suffix``, ``columns``, ``selector``, ``target``, ``state``, …).
        args: the operands.
        params: constants of the operation, as (name, value) pairs sorted by name.

    >>> Node("add", (Node("col", (), (("name", "a"),)), Node("lit", (), (("value", 1),))))
    (a + 1)
    """

    op: str
    args: tuple["Node", ...] = ()
    params: tuple[tuple[str, Param], ...] = ()
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
        if not isinstance(other, Node) or not _same(self, other):
            return False
        # Equal operands become the same ones, so that comparing what stands above ends here.
        object.__setattr__(other, "args", self.args)
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        # Flat, so that depth is no limit; and made anew, since the hash of text differs by process.
        place: dict[Node, int] = {}
        for node in walk(self):
            place[node] = len(place)
        return _rebuilt, ([(node.op, tuple(place[arg] for arg in node.args), node.params) for node in place],)

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


def _rebuilt(rows: list[tuple[str, tuple[int, ...], tuple[tuple[str, Param], ...]]]) -> Node:
    """The last of nodes that name their operands by position."""
    nodes: list[Node] = []
    for op, args, params in rows:
        nodes.append(Node(op, tuple(nodes[at] for at in args), params))
    return nodes[-1]


def make(op: str, *args: Node, **params: Param) -> Node:
    """A node from operands and named parameters.

    >>> make("clip", make("col", name="x"), low=0.0, high=None)
    x.clip(high=None, low=0.0)
    """
    return Node(op, tuple(args), tuple(sorted(params.items())))


def walk(*roots: Node) -> Iterator[Node]:
    """Every distinct node under `roots`, operands before what uses them."""
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(node.args) if arg not in seen)


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


_MOST_NODES, _DEEPEST, _LONGEST = 400, 40, 4000  # what a message or a page can show


def show(node: Node) -> str:
    """The expression as a user could have written it; what is too large or too deep to read becomes an ellipsis.

    >>> show(make("mean", make("col", name="x"), make("col", name="g"), keys=1))
    'x.mean().over(g)'
    """
    return _cut(_Shown().text(node, 0), _LONGEST)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


class _Shown:
    """Writes one expression, within a number of nodes: shared operands are written where each is used."""

    def __init__(self) -> None:
        self._left = _MOST_NODES

    def text(self, node: Node, depth: int) -> str:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            return "…"
        if node.op == "col":
            return str(node.get("name"))
        if node.op == "lit":
            return _cut(repr(node.get("value")), _LONGEST)
        if node.args:
            return self._operation(node, depth + 1)
        return f"{node.op}({self._arguments(node, (), depth)})"

    def _operation(self, node: Node, depth: int) -> str:
        first, *others = node.args
        head = self.text(first, depth)
        if node.op in INFIX and others:
            return f"({head} {INFIX[node.op]} {self.text(others[0], depth)})"
        if node.op in PREFIX:
            return f"{PREFIX[node.op]}{head}"
        if node.op == "suffix":
            return head
        if node.op == "alias":
            return f"{head}.alias({node.get('name')!r})"
        keys = node.get("keys") or 0
        inner, by = others[: len(others) - keys], others[len(others) - keys :]
        called = f"{head}.{node.op}({self._arguments(node, inner, depth)})"
        return f"{called}.over({', '.join(self.text(key, depth) for key in by)})" if by else called

    def _arguments(self, node: Node, operands: Sequence[Node], depth: int) -> str:
        """Operands, then parameters, as a call shows them."""
        shown = [self.text(operand, depth) for operand in operands[:_MOST_NODES]]
        shown += [f"{name}={_cut(repr(value), _LONGEST)}" for name, value in node.params if name != "keys"]
        return ", ".join(shown)
