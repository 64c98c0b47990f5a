"""The one data structure of the language: a frozen node, compared by structure."""

from collections.abc import Callable, Iterator
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
        return isinstance(other, Node) and _same(self, other)

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


def _arguments(node: Node, first: int) -> str:
    """Operands from position `first` on, then parameters, as a call shows them."""
    shown = [show(arg) for arg in node.args[first:]]
    shown += [f"{name}={value!r}" for name, value in node.params if name != "keys"]
    return ", ".join(shown)


def show(node: Node) -> str:
    """The expression as a user could have written it.

    >>> show(make("mean", make("col", name="x"), make("col", name="g"), keys=1))
    'x.mean().over(g)'
    """
    if node.op == "col":
        return str(node["name"])
    if node.op == "lit":
        return repr(node["value"])
    if node.op in INFIX:
        return f"({show(node.args[0])} {INFIX[node.op]} {show(node.args[1])})"
    if node.op in PREFIX:
        return f"{PREFIX[node.op]}{show(node.args[0])}"
    if node.op == "suffix":
        return show(node.args[0])
    if node.op == "alias":
        return f"{show(node.args[0])}.alias({node['name']!r})"
    if not node.args:
        return f"{node.op}({_arguments(node, 0)})"
    if keys := node.get("keys"):
        bare = Node(node.op, node.args[:-keys], tuple(pair for pair in node.params if pair[0] != "keys"))
        return f"{show(bare)}.over({', '.join(show(key) for key in node.args[-keys:])})"
    return f"{show(node.args[0])}.{node.op}({_arguments(node, 1)})"
