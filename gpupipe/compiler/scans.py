"""Which trips over the data a plan needs: reductions by their level, each state gathered once."""

from dataclasses import dataclass

from gpupipe.compiler.late import NOT_LATE, Late
from gpupipe.expr.node import Node, walk
from gpupipe.expr.reductions import REDUCTIONS


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one reduction's fitted value.

    Attributes:
        index: its place among the slots.
        node: the reduction's core node.
        level: the scan that gathers it, from 1.
        late: what is done between the scan and finishing.
    """

    index: int
    node: Node
    level: int
    late: Late = NOT_LATE

    @property
    def folds(self) -> int:
        """How many folds it is kept by while fitting; 0: none."""
        return int(self.node.get("folds", 0))


@dataclass(frozen=True, slots=True)
class Gather:
    """One state gathered in a scan, for every slot that is finished from it.

    Attributes:
        state: the kind of state.
        value: the core node whose values it takes in.
        keys: the core nodes it is grouped by.
        folds: how many folds it is kept by; 0: none.
        slots: the slots finished from it.
    """

    state: str
    value: Node
    keys: tuple[Node, ...]
    folds: int
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """One trip over the rows.

    Attributes:
        level: 1 for the first.
        gathers: what it gathers.
    """

    level: int
    gathers: tuple[Gather, ...]


def operands(node: Node) -> tuple[Node, tuple[Node, ...]]:
    """A reduction's value and keys."""
    n_keys = int(node["keys"])
    return node.args[0], node.args[len(node.args) - n_keys :] if n_keys else ()


def plan_scans(roots: list[Node]) -> tuple[tuple[Slot, ...], tuple[Scan, ...]]:
    """The slots of all reductions under `roots`, and the scans that fill them."""
    levels: dict[Node, int] = {}
    slots: list[Slot] = []
    for node in walk(*roots):
        below = max((levels[arg] for arg in node.args), default=0)
        levels[node] = below
        if node.op in REDUCTIONS:
            levels[node] = below + 1
            slots.append(Slot(len(slots), node, below + 1))
    deepest = max((slot.level for slot in slots), default=0)
    scans = tuple(Scan(level, _gathers(slots, level)) for level in range(1, deepest + 1))
    return tuple(slots), scans


def _gathers(slots: list[Slot], level: int) -> tuple[Gather, ...]:
    shared: dict[tuple[str, Node, tuple[Node, ...], int], list[Slot]] = {}
    for slot in slots:
        if slot.level == level:
            value, keys = operands(slot.node)
            kind = REDUCTIONS[slot.node.op].state_over(keys)
            shared.setdefault((kind, value, keys, slot.folds), []).append(slot)
    return tuple(Gather(*key, tuple(members)) for key, members in shared.items())
