"""Statistics of values that steps are still to be taken with: the steps act on exact sums, or on order statistics."""

from collections.abc import Mapping
from fractions import Fraction
from math import isfinite

import numpy as np

from gpupipe.backends.exact.rational import exact_moments, rounded, rounded_root, total_of
from gpupipe.backends.finish import FINISH, interpolated, order_statistics
from gpupipe.backends.late import Waiting
from gpupipe.backends.states.state import State
from gpupipe.columns import Column, Values
from gpupipe.compiler.folding import operands
from gpupipe.compiler.info import Info
from gpupipe.compiler.late import CLIPS, needs_ends, rows_of, steps_of
from gpupipe.compiler.scans import Slot
from gpupipe.errors import IntegerOverflowError, InternalError, NonFiniteError
from gpupipe.expr.elementwise import ELEMENTWISE
from gpupipe.expr.node import Node, show
from gpupipe.schema import DType, Float64, Int64

_NAN = "NaN stands among the values. Use .nan_to_null() before, then .fill_null(…) if needed."
Affine = tuple[Fraction, Fraction]  # (a, b) of a x + b


class Steps:
    """The steps that a slot's values are still to be taken through, with what they wait for known.

    Args:
        state: the slot's merged state; steps may differ by its groups.
    """

    def __init__(self, slot: Slot, state: State, waiting: Waiting, info: Mapping[Node, Info]) -> None:
        if slot.late.suffix is None:
            raise InternalError("There are no steps to take. Please report this.")
        self._suffix, self._waiting, self._info = slot.late.suffix, waiting, info
        (self._leaf,) = (node for node in rows_of(self._suffix) if node.op == "gathered")
        self._keys = dict(zip(operands(slot.node)[1], state.keys, strict=True))
        self._size = state.n_groups
        self._steps = [(node, at, self._other(node, at)) for node, at in steps_of(self._suffix)]

    def _other(self, node: Node, at: int) -> Column | None:
        """The other operand of a step, for each group."""
        if len(node.args) == 1:
            return None
        other = node.args[1 - at]
        found = self._waiting.values(other, self._keys, self._size, self._info[other].dtype)
        valid = np.ones(self._size, bool) if found.valid is None else found.valid
        finite = found.values.dtype.kind != "f" or np.isfinite(found.values[valid]).all()
        if not finite and node.op not in CLIPS:
            raise NonFiniteError(f"{show(other)}, which values are put together with, is not finite.")
        if node.op == "div" and not found.values[valid].all():
            raise NonFiniteError(f"values are divided by {show(other)}, which is 0. Divide by .nonzero() of it.")
        return found

    @property
    def known(self) -> Values:
        """bool, which groups have no null among what their steps take."""
        valid = [other.valid for _, _, other in self._steps if other is not None and other.valid is not None]
        return np.logical_and.reduce([np.ones(self._size, bool), *valid])

    def affine(self) -> Affine:
        """What all steps together do to a value, exactly: of all rows in one group."""
        a, b = Fraction(1), Fraction(0)
        for node, at, other in self._steps:
            by = Fraction(0) if other is None else Fraction(other.values[0].item())
            a, b = _AFFINE[node.op](a, b, by, at)
        return a, b

    @property
    def need_ends(self) -> bool:
        """Whether the least and the greatest value must be taken through the steps too: these may make NaN of some."""
        return needs_ends(self._suffix)

    @property
    def falls(self) -> Values:
        """bool, in which groups the result falls as the value rises."""
        falls = np.zeros(self._size, bool)
        for node, at, other in self._steps:
            direction = ELEMENTWISE[node.op].direction(at)
            falls ^= (other.values < 0) if direction == "*" and other is not None else (direction == "-")
        return falls

    def taken(self, column: Column) -> Column:
        """The value of each group, all steps taken.

        Raises:
            NonFiniteError: it is NaN.
        """
        groups = np.flatnonzero(self.known if column.valid is None else self.known & column.valid)
        by = {self._leaf: column.take(groups), **{key: values.take(groups) for key, values in self._keys.items()}}
        found = self._waiting.values(self._suffix, by, len(groups), self._info[self._suffix].dtype)
        if found.values.dtype.kind == "f" and np.isnan(found.values).any():
            raise NonFiniteError(_NAN)
        values = np.zeros(self._size, found.values.dtype)
        values[groups] = found.values + found.values.dtype.type(0)  # as values gathered are: -0.0 is 0.0
        valid = np.zeros(self._size, bool)
        valid[groups] = True
        return Column(found.dtype, values, valid)


_AFFINE = {
    "add": lambda a, b, by, at: (a, b + by),
    "sub": lambda a, b, by, at: (-a, by - b) if at else (a, b - by),
    "mul": lambda a, b, by, at: (a * by, b * by),
    "div": lambda a, b, by, at: (a / by, b / by),
    "neg": lambda a, b, by, at: (-a, -b),
    "to_float": lambda a, b, by, at: (a, b),
}


def finished(slot: Slot, state: State, dtype: DType, steps: Steps) -> Column:
    """A reduction's values, as :data:`gpupipe.backends.finish.FINISH` gives them where there are no steps."""
    op = slot.node.op
    if op in ("count", "null_count"):
        return FINISH[op](state, slot.node, dtype)
    if op in ("min", "max"):
        return _extreme(op, state, slot.node, steps)
    if op in ("median", "quantile"):
        return _quantile(state, slot.node, steps)
    return _by_sums(op, state, slot.node, dtype, steps)


def _extreme(op: str, state: State, node: Node, steps: Steps) -> Column:
    dtype = Float64 if state.arrays["min"].dtype.kind == "f" else Int64
    least, greatest = (steps.taken(FINISH[name](state, node, dtype)) for name in ("min", "max"))
    swapped = steps.falls if op == "max" else ~steps.falls
    return Column(least.dtype, np.where(swapped, least.values, greatest.values), least.valid)


def _quantile(state: State, node: Node, steps: Steps) -> Column:
    q = float(node.get("q", 0.5))
    if steps.need_ends:
        for end in (0.0, 1.0):
            steps.taken(order_statistics(state, end).low)
    rising, falling = (order_statistics(state, q, mirrored=mirrored) for mirrored in (False, True))
    ends = []
    for up, down in ((rising.low, falling.low), (rising.high, falling.high)):
        ends.append(steps.taken(Column(up.dtype, np.where(steps.falls, down.values, up.values), up.valid)))
    low, high = (end.values.astype(np.float64) for end in ends)
    return Column(Float64, interpolated(low, high, rising.fraction), ends[0].valid)


def _by_sums(op: str, state: State, node: Node, dtype: DType, steps: Steps) -> Column:
    """Exact, and rounded once: the sums of a x + b come from those of x."""
    needed = {"sum": 0, "mean": 1}.get(op, node.get("ddof", 0) + 1)
    valid = steps.known & (state.arrays["n"] >= needed)
    if not valid[0]:
        return Column(dtype, np.zeros(1, dtype.storage), valid)
    value = _sum(state, dtype, *steps.affine()) if op == "sum" else _moment(op, node, state, *steps.affine())
    return Column(dtype, np.array([value], dtype.storage))


def _sum(state: State, dtype: DType, a: Fraction, b: Fraction) -> float | int:
    if "infinite" in state.arrays and state.arrays["infinite"].any():
        raise NonFiniteError("an infinite value has no place in a sum that steps are taken with. Clip it before.")
    (total,) = total_of(state).fractions()
    value = a * total + b * int(state.arrays["n"][0])
    if dtype != Int64:
        return _within_float64(rounded(value))
    if not -(2**63) <= value < 2**63:
        raise IntegerOverflowError("the sum of its integers leaves int64. Cast the column to Float64 before summing.")
    return int(value)


def _moment(op: str, node: Node, state: State, a: Fraction, b: Fraction) -> float:
    moments = exact_moments(state).affine(a, b)
    if op == "mean":
        return _within_float64(rounded(moments.mean()))
    spread = moments.var(node["ddof"])
    return _within_float64(rounded_root(spread) if op == "std" else rounded(spread))


def _within_float64(value: float) -> float:
    if isfinite(value):
        return value
    raise NonFiniteError(
        "it is beyond float64: the values are too large, or too far apart. Clip them, or divide them first."
    )
