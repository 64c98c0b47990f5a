"""The stage that groups: expressions of one shape share a program, over a table of columns and parameters.

A group is the unit of work on every device. This module knows no array; a backend fills in buffers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gpupipe.compiler.info import Info
from gpupipe.compiler.registers import Registers
from gpupipe.expr.elementwise import ELEMENTWISE, OPCODES
from gpupipe.expr.node import Node, walk
from gpupipe.kernels.opcodes import CODES, load_of, store_of
from gpupipe.schema import DType, String

Step = tuple[int, int, int, int, int]
_MOST_JOINED, _MOST_STEPS = 64, 256  # stores, and steps, of one program: registers stay in cache


@dataclass(frozen=True, slots=True)
class Store:
    """One value to be computed and stored.

    Attributes:
        node: the bound node.
        storage: the NumPy dtype it is stored in.
    """

    node: Node
    storage: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A program: what expressions of one shape have in common."""

    steps: tuple[Step, ...]
    n_registers: int


@dataclass(slots=True)
class Row:
    """One expression of a group: its leaves, in the order of the program's slots."""

    columns: list[Node] = field(default_factory=list)
    parameters: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Grouping:
    """Expressions by shape.

    Attributes:
        shapes: the distinct programs.
        rows: for each expression, or several that are computed together, in the order given: (index of its shape, its
            leaves, the positions of what it stores).
    """

    shapes: tuple[Shape, ...]
    rows: tuple[tuple[int, Row, tuple[int, ...]], ...]


def is_tile(node: Node, info: Mapping[Node, Info]) -> bool:
    """Whether the tile interpreter can run the operation: a scalar one with an opcode, over no text."""
    row = ELEMENTWISE.get(node.op)
    if row is None or row.opcode is None:
        return False
    return info[node].dtype != String and all(info[arg].dtype != String for arg in node.args)


def register_kind(dtype: DType) -> str:
    """What a value of the type is inside the interpreter: ``f``, ``i`` or ``b``."""
    if dtype.is_float:
        return "f"
    return "b" if dtype.name in ("Boolean", "Null") else "i"


def group(
    stores: Sequence[Store], leaves: Mapping[Node, str], info: Mapping[Node, Info], *, joined: bool = False
) -> Grouping:
    """Group `stores` by shape.

    Args:
        leaves: nodes that stand in memory when the group runs, with their storage dtype.
        info: what is known of every node; scalar nodes become parameters.
        joined: whether neighbours that have steps in common are one program, which takes those once. Then fewer
            expressions share one.
    """
    shapes: dict[Shape, int] = {}
    rows = []
    for places in _neighbours(stores, leaves, info) if joined else [(at,) for at in range(len(stores))]:
        shape, row = _Linear(leaves, info).program([stores[at] for at in places])
        rows.append((shapes.setdefault(shape, len(shapes)), row, places))
    return Grouping(tuple(shapes), tuple(rows))


def _neighbours(
    stores: Sequence[Store], leaves: Mapping[Node, str], info: Mapping[Node, Info]
) -> list[tuple[int, ...]]:
    """The positions of stores, those together of which each has a step in common with one before it."""
    found: list[tuple[int, ...]] = []
    held: set[Node] = set()
    for at, store in enumerate(stores):
        steps = _Linear(leaves, info).steps(store)
        if held.isdisjoint(steps) or len(found[-1]) == _MOST_JOINED or len(held) > _MOST_STEPS:
            found.append(())
            held = set()
        found[-1] += (at,)
        held |= steps
    return found


class _Linear:
    """Writes expressions as steps over registers that are used again as soon as they are free."""

    def __init__(self, leaves: Mapping[Node, str], info: Mapping[Node, Info]) -> None:
        self._leaves, self._info = leaves, info
        self._row = Row()
        self._steps: list[Step] = []

    def steps(self, store: Store) -> set[Node]:
        """What is computed for a store alone; nothing where it is converted besides."""
        if register_kind(self._info[store.node].dtype) != "f":
            return set()
        return {node for node in self._order(self._through(store.node)) if not self._is_leaf(node)}

    def program(self, stores: Sequence[Store]) -> tuple[Shape, Row]:
        roots = [self._through(store.node) for store in stores]
        order = self._order(*roots)
        registers = Registers(order, self._operands)
        places: dict[Node, list[int]] = {}
        for place, root in enumerate(roots):
            places.setdefault(root, []).append(place)
        for node in order:
            sources = [registers.of(arg) for arg in self._operands(node)]
            self._emit(node, registers.place(node), sources)
            for place in places.get(node, ()):
                self._store(stores[place], place, registers.of(node))
            registers.release(node)
        return Shape(tuple(self._steps), registers.count), self._row

    def _store(self, store: Store, place: int, register: int) -> None:
        if store.storage.startswith("float") and register_kind(self._info[store.node].dtype) != "f":
            self._steps.append((CODES["i_to_f"], register, register, 0, 0))
        self._steps.append((int(store_of(store.storage)), place, register, 0, 0))

    def _is_leaf(self, node: Node) -> bool:
        return node in self._leaves or self._info[node].scalar

    def _operands(self, node: Node) -> tuple[Node, ...]:
        return () if self._is_leaf(node) else tuple(self._through(arg) for arg in node.args)

    def _through(self, node: Node) -> Node:
        """The node whose register holds `node`: a view is the same bits, so it has no step and no register."""
        while node.op == "view" and not self._is_leaf(node):
            node = node.args[0]
        return node

    def _order(self, *roots: Node) -> list[Node]:
        inside: set[Node] = set()
        stack = list(roots)
        while stack:
            node = stack.pop()
            if node not in inside:
                inside.add(node)
                stack.extend(self._operands(node))
        return [node for node in walk(*roots) if node in inside]

    def _emit(self, node: Node, out: int, sources: list[int]) -> None:
        if node in self._leaves:
            self._steps.append((int(load_of(self._leaves[node])), out, _slot(self._row.columns, node), 0, 0))
        elif self._info[node].scalar:
            code = CODES["const_f" if register_kind(self._info[node].dtype) == "f" else "const_i"]
            self._row.parameters.append(node)
            self._steps.append((code, out, len(self._row.parameters) - 1, 0, 0))
        else:
            a, b, c = (*sources, 0, 0, 0)[:3]
            self._steps.append((CODES[self._opcode(node)], out, a, b, c))

    def _opcode(self, node: Node) -> str:
        row = ELEMENTWISE[node.op]
        name = OPCODES.get(node.op, row.opcode or "")
        if row.suffixed:
            name += "_f" if register_kind(self._info[node.args[0]].dtype) == "f" else "_i"
        if node.op in ("to_integer", "narrow") and node["strict"]:
            name += "_strict"
        return name


def _slot(members: list[Node], node: Node) -> int:
    if node not in members:
        members.append(node)
    return members.index(node)
