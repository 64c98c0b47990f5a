"""What is left to do to a statistic after its scan, once the values that its rows waited for are known."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gpupipe.compiler.info import Info
from gpupipe.expr.elementwise import ELEMENTWISE
from gpupipe.expr.node import Node, make, walk
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.schema import DType


@dataclass(frozen=True, slots=True)
class Key:
    """A grouping key as a scan can compute it.

    Attributes:
        node: the core node of the key itself.
        base: the core node that rows are grouped by in its place.
        fill: the core node of the value that the null group of `base` takes; None: `base` is the key.
    """

    node: Node
    base: Node
    fill: Node | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """Rows that all have one value, which is known only after the scan: those that a fill fills.

    Attributes:
        absent: the core node whose null rows they are, less those of the constants before it (which are null here too).
        keys: the keys of the groups that each have a value of their own; none: one value for all.
        value: the core node of that value, over reductions and `keys` alone.
    """

    absent: Node
    keys: tuple[Key, ...]
    value: Node


@dataclass(frozen=True, slots=True)
class Late:
    """What is done to a merged state before it is finished, by values known only after its own scan.

    Attributes:
        constants: rows to add, each class once; their nulls were counted.
        suffix: steps over :func:`gathered_value` that act on the finished statistic's exact ingredients; None: none.
        keys: for each grouping key, the core node of the value that its null group takes, or None; empty: none is late.
        clip: steps over :func:`gathered_value`, before those of `suffix`, that clip values by quantiles of their own;
            None: none.
    """

    constants: tuple[Constant, ...] = ()
    suffix: Node | None = None
    keys: tuple[Node | None, ...] = ()
    clip: Node | None = None

    @property
    def values(self) -> tuple[Node, ...]:
        """The core nodes of all values that are waited for."""
        found = [*(constant.value for constant in self.constants), self.clip, self.suffix, *self.keys]
        found += [key.fill for constant in self.constants for key in constant.keys]
        return tuple(node for node in found if node is not None)


NOT_LATE = Late()


def rows_of(*roots: Node) -> Iterator[Node]:
    """Every distinct node under `roots` that is computed row by row, operands first; a statistic is a leaf."""
    return walk(*roots, leaves=REDUCTIONS)


# -- steps after the scan --------------------------------------------------------------------------------------
_PARTIAL = ("log", "log1p", "sqrt", "mul")  # an infinity times a statistic that is 0 is NaN
CLIPS = ("max_horizontal", "min_horizontal")
_AFFINE = ("add", "sub", "mul", "div", "neg", "to_float")


def gathered_value(dtype: DType) -> Node:
    """The leaf that stands, in a suffix, for the value that was gathered."""
    return make("gathered", dtype=str(dtype)).as_written("value")


def steps_of(suffix: Node) -> list[tuple[Node, int]]:
    """The steps of a suffix from the gathered value outwards: each, and which of its operands is the value."""
    holding = {node for node in rows_of(suffix) if node.op == "gathered"}
    steps = []
    for node in rows_of(suffix):
        for at, arg in enumerate(node.args if node.op not in REDUCTIONS else ()):
            if arg in holding:
                holding.add(node)
                steps.append((node, at))
    return steps


def is_affine(suffix: Node, info: Mapping[Node, Info]) -> bool:
    """Whether every step adds, subtracts, multiplies or divides by one value for all rows."""
    steps = steps_of(suffix)
    numbers = all(node.op in _AFFINE and info[node].dtype.is_numeric for node, _ in steps)
    return numbers and not any(node.op == "div" and at for node, at in steps)


def own_clip(suffix: Node) -> tuple[Node, Node] | None:
    """The first steps of a suffix where they clip values by quantiles of all rows.

    Returns:
        (the last of these steps, the core node that the quantiles are of), or None: the first step is another.
    """
    found = None
    for step, at in steps_of(suffix):
        of = _quantiles_of(step.args[1 - at]) if step.op in CLIPS and len(step.args) == 2 else None
        if of is None or (found and found[1] != of):
            break
        found = step, of
    return found


def gathered_as(of: Node, base: Node) -> bool:
    """Whether the values of the core node `base` are those of `of`, as they are or as floats."""
    return base == of or (base.op, base.args) == ("to_float", (of,))


def _quantiles_of(node: Node) -> Node | None:
    """What a quantile is of, if it is one of all rows."""
    whole = node.op in ("median", "quantile") and not node["keys"] and not node.get("folds")
    return node.args[0] if whole else None


def is_monotone(suffix: Node) -> bool:
    """Whether no step reverses an order but by the sign of a number: what rises stays rising, or falls throughout."""
    return all(node.op in ELEMENTWISE and ELEMENTWISE[node.op].direction(at) for node, at in steps_of(suffix))


def needs_ends(suffix: Node) -> bool:
    """Whether a row may become NaN though a quantile of all rows does not: the least and the greatest value tell."""
    return any(node.op in _PARTIAL for node, _ in steps_of(suffix))


def keeps_nulls(suffix: Node, info: Mapping[Node, Info]) -> bool:
    """Whether a value is null after the steps exactly where it was before, and no infinity NaN by a 0."""
    steps = [node for node, _ in steps_of(suffix)]
    known = all(node.op in ELEMENTWISE and ELEMENTWISE[node.op].nulls == "propagate" for node in steps)
    return known and not any(info[node].nullable or node.op == "mul" for node in steps)
