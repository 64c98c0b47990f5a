"""Which trips over the data a plan needs: reductions by their level, each state gathered once."""

from collections.abc import Iterator
from dataclasses import dataclass

from gpupipe.compiler.folding import Folding
from gpupipe.compiler.info import Info
from gpupipe.compiler.late import Late
from gpupipe.expr.node import Node, walk
from gpupipe.expr.reductions import REDUCTIONS

REFINED = "order"  # the kind of state that a trip over few rows settles
TAILS = "tails"  # the kind that the same trip takes apart, where values are clipped by the quantiles
_NOT_WHOLE = ("values", TAILS)  # may be too large to be held whole, or are taken apart


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one reduction's fitted value.

    Attributes:
        index: its place among the slots.
        node: the reduction's core node.
        level: the scan that gathers it, from 1.
        base: the core node whose values are gathered for it.
        keys: the core nodes they are grouped by.
        late: what is done between the scan and finishing.
    """

    index: int
    node: Node
    level: int
    base: Node
    keys: tuple[Node, ...]
    late: Late

    @property
    def folds(self) -> int:
        """How many folds it is kept by while fitting; 0: none."""
        return int(self.node.get("folds", 0))

    @property
    def counted(self) -> tuple[tuple[Node, tuple[Node, ...]], ...]:
        """The columns whose nulls must be counted for it, and by which keys."""
        keys = dict.fromkeys((*self.keys, *(key.base for constant in self.late.constants for key in constant.keys)))
        return tuple((constant.absent, tuple(keys)) for constant in self.late.constants)


@dataclass(frozen=True, slots=True)
class Gather:
    """One state gathered in a scan, for every slot that is finished from it.

    Attributes:
        state: the kind of state.
        value: the core node whose values it takes in.
        keys: the core nodes it is grouped by.
        folds: how many folds it is kept by; 0: none.
        slots: the slots finished from it; none of one that counts nulls for others.
        tells_nulls: whether slots of others need to know how many of its rows are null, group by group.
    """

    state: str
    value: Node
    keys: tuple[Node, ...]
    folds: int
    slots: tuple[Slot, ...]
    tells_nulls: bool = False

    @property
    def node(self) -> Node:
        """What it is for, as messages show it."""
        return self.slots[0].node if self.slots else self.value


@dataclass(frozen=True, slots=True)
class Scan:
    """One trip over the rows.

    Attributes:
        level: 1 for the first.
        gathers: what it gathers.
    """

    level: int
    gathers: tuple[Gather, ...]


def plan_scans(roots: list[Node], info: dict[Node, Info]) -> tuple[tuple[Slot, ...], tuple[Scan, ...]]:
    """The slots of all reductions under `roots`, and the scans that fill them.

    Args:
        info: what is known of core nodes; those that are gathered in place of others are added.
    """
    levels: dict[Node, int] = {}
    folding = Folding(info, levels)
    slots: list[Slot] = []
    for node in walk(*roots):
        if node.op in REDUCTIONS:
            folded = folding.folded(node)
            levels[node] = folded.level
            slots.append(Slot(len(slots), node, folded.level, folded.base, folded.keys, folded.late))
        else:
            levels[node] = max((levels[arg] for arg in node.args), default=0)
    deepest = max((slot.level for slot in slots), default=0)
    scans = tuple(Scan(level, tuple(_gathers(slots, level))) for level in range(1, deepest + 1))
    return tuple(slots), scans


def _gathers(slots: list[Slot], level: int) -> Iterator[Gather]:
    shared: dict[tuple[str, Node, tuple[Node, ...], int], list[Slot]] = {}
    here = [slot for slot in slots if slot.level == level]
    for slot in here:
        kind = REDUCTIONS[slot.node.op].state_over(slot.keys) if slot.late.clip is None else TAILS
        shared.setdefault((kind, slot.base, slot.keys, slot.folds), []).append(slot)
    asked = dict.fromkeys(pair for slot in here for pair in slot.counted)
    for key, members in shared.items():
        kind, value, keys, folds = key
        tells = (value, keys) in asked and not folds and kind not in _NOT_WHOLE
        if tells:
            del asked[value, keys]
        yield Gather(*key, tuple(members), tells)
    for absent, keys in asked:
        yield Gather("count", absent, keys, 0, (), tells_nulls=True)
