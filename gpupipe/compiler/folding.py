"""Folds reductions that depend on others into one scan, where algebra allows; else they wait for a further scan.

Which rule fires is decided by the expression alone: the folded value is the definition, on every device.
"""

from dataclasses import dataclass

from gpupipe.compiler.info import Info
from gpupipe.compiler.late import NOT_LATE, Late, is_affine, is_monotone, keeps_nulls, own_clip
from gpupipe.compiler.rewrite import Decomposer
from gpupipe.expr.node import Node

FOLDS = True  # tests plan without folding, to compare

BY_SUMS = ("sum", "mean", "std", "var")
BY_ORDER = ("min", "max", "median", "quantile")
_BY_NULLS = ("count", "null_count")
_BY_RANKS = ("median", "quantile")
_MOST_FILLS = 4  # under a quantile: each doubles the ranks that may be asked for


@dataclass(frozen=True, slots=True)
class Folded:
    """How a reduction is gathered.

    Attributes:
        level: the scan, from 1.
        base: the core node whose values are gathered.
        keys: the core nodes they are grouped by.
        late: what is done after the scan.
    """

    level: int
    base: Node
    keys: tuple[Node, ...]
    late: Late


def operands(node: Node) -> tuple[Node, tuple[Node, ...]]:
    """A reduction's value and keys."""
    n_keys = int(node["keys"])
    return node.args[0], node.args[len(node.args) - n_keys :] if n_keys else ()


class Folding:
    """Finds for each reduction the first scan that can gather it.

    Args:
        info: what is known of core nodes; made ones are added.
        levels: the scan of every reduction beneath, and of nodes after how many scans they can be computed.
    """

    def __init__(self, info: dict[Node, Info], levels: dict[Node, int]) -> None:
        self._info = info
        self._taken = Decomposer(info, levels)

    def folded(self, node: Node) -> Folded:
        """How `node` is gathered."""
        value, keys = operands(node)
        beneath = self._taken.level(value, *keys)
        found = self._at(beneath, node) if beneath and FOLDS else None
        return found or Folded(beneath + 1, value, keys, NOT_LATE)

    def _at(self, level: int, node: Node) -> Folded | None:
        """The same if the scan `level`, the last of what stands beneath, can gather it."""
        value, keys = operands(node)
        by = [found for found in (self._taken.key(key, level) for key in keys) if found is not None]
        found = self._value(node, value, keys, level)
        if found is None or len(by) < len(keys):
            return None
        base, late = found
        if any(key.fill for key in by):
            late = Late(late.constants, late.suffix, tuple(key.fill for key in by))
        return Folded(level, base, tuple(key.base for key in by), late)

    def _value(self, node: Node, value: Node, keys: tuple[Node, ...], level: int) -> tuple[Node, Late] | None:
        if self._taken.level(value) < level:
            return value, NOT_LATE
        found = None if node.get("folds") else self._taken.split(value, level, keys)
        if found is None or self._fits(node, found[1], keyed=bool(keys)):
            return found
        return None if keys else self._clipped(node, *found, level)

    def _clipped(self, node: Node, base: Node, late: Late, level: int) -> tuple[Node, Late] | None:
        """The same with values that are clipped by their own quantiles: the trip that settles these sums the tails."""
        if late.suffix is None or node.op not in BY_SUMS:
            return None
        clip = own_clip(late.suffix)
        of = None if clip is None else self._taken.own(clip[1], base, level)
        if clip is None or of is None:
            return None
        suffix = self._taken.after(late.suffix, clip[0])
        affine = suffix is None or is_affine(suffix, self._info)
        return (of, Late(late.constants, suffix, clip=clip[0])) if affine else None

    def _fits(self, node: Node, late: Late, *, keyed: bool) -> bool:
        """Whether what is left to do after the scan can be done to a state of the reduction `node`."""
        # Which ranks to settle must be known before the values of the fills are.
        ranked = node.op in _BY_RANKS and not keyed
        if ranked and (len(late.constants) > _MOST_FILLS or any(constant.keys for constant in late.constants)):
            return False
        if late.suffix is None:
            return True
        if node.op in BY_SUMS:  # by group it would be rational numbers for each of them: a further scan takes less time
            return not keyed and is_affine(late.suffix, self._info)
        if node.op in BY_ORDER:
            return is_monotone(late.suffix)
        # Affine: a count refuses NaN, which other steps may make of some rows, and no count of nulls tells.
        return node.op in _BY_NULLS and is_affine(late.suffix, self._info) and keeps_nulls(late.suffix, self._info)
