"""The order of work on one partition: whole-column operations, and tile groups between them.

A value stands in memory if a whole-column operation makes it or takes it, or if several expressions share it and it
costs more than a load; everything else lives in registers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpupipe.compiler.groups import Store, is_tile, register_kind
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node, walk

# Operations worth computing once when several expressions use them.
_COSTLY = frozenset({"log", "log1p", "exp", "expm1", "sin", "cos", "tanh", "sigmoid", "arcsin", "arctan", "power",
                     "year", "month", "day", "floordiv", "mod"})  # fmt: skip
_SOURCES = ("col", "fold_of")
_STORAGE = {"f": "float64", "i": "int64", "b": "bool"}


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the order.

    Attributes:
        columns: whole-column operations to run, each by itself.
        stores: tile expressions whose values are then stored, in one call of the interpreter.
    """

    columns: tuple[Node, ...]
    stores: tuple[Store, ...]


def in_memory(node: Node, info: Mapping[Node, Info]) -> bool:
    """Whether a whole-column operation makes the node (a source column does not count)."""
    return node.op not in (*_SOURCES, "lit", "state", "table") and not info[node].scalar and not is_tile(node, info)


def plan_stages(roots: Sequence[Node], info: Mapping[Node, Info]) -> tuple[Stage, ...]:
    """What must stand in memory before `roots` can be computed, in order."""
    made = _materialised(roots, info)
    level: dict[Node, int] = {}
    for node in walk(*roots):
        if node.op == "table":
            continue
        below = max((level[arg] + (arg in made) for arg in node.args if arg.op != "table"), default=0)
        level[node] = below
    last = max((level[node] for node in made), default=-1)
    return tuple(_stage(made, level, number, info) for number in range(last + 1))


def _stage(made: dict[Node, None], level: dict[Node, int], number: int, info: Mapping[Node, Info]) -> Stage:
    here = [node for node in made if level[node] == number]
    columns = tuple(node for node in here if in_memory(node, info))
    stores = tuple(Store(node, _STORAGE[register_kind(info[node].dtype)]) for node in here if not in_memory(node, info))
    return Stage(columns, stores)


def _materialised(roots: Sequence[Node], info: Mapping[Node, Info]) -> dict[Node, None]:
    """Nodes that stand in memory, in the order they can be made."""
    uses = Counter(root for root in roots)
    made: dict[Node, None] = {}
    nodes = [node for node in walk(*roots) if node.op != "table"]
    for node in nodes:
        uses.update(arg for arg in dict.fromkeys(node.args))
    wanted = {arg for node in nodes if in_memory(node, info) for arg in node.args}
    for node in nodes:
        shared = uses[node] > 1 and _costs(node, info)
        if in_memory(node, info) or (is_tile(node, info) and not info[node].scalar and (node in wanted or shared)):
            made[node] = None
    return made


def _costs(node: Node, info: Mapping[Node, Info]) -> bool:
    return node.op in _COSTLY and is_tile(node, info)
