"""Why a plan needs more than one scan, in the user's words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gpupipe.compiler.folding import BY_ORDER, BY_SUMS, operands
from gpupipe.compiler.info import Info
from gpupipe.compiler.late import is_affine, is_monotone, own_clip, rows_of, steps_of
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.rewrite import Decomposer
from gpupipe.expr.node import Node, called, show
from gpupipe.expr.reductions import REDUCTIONS


@dataclass(frozen=True, slots=True)
class Forced:
    """What made a further scan necessary.

    Attributes:
        scan: its number, from 2.
        value: the expression whose values it gathers or groups by.
        needs: the statistic that must be known before.
        why: why the two cannot be gathered together.
    """

    scan: int
    value: Node
    needs: Node
    why: str

    @property
    def what(self) -> str:
        """Which expression waits for which."""
        return f"{show(self.value)} needs {show(self.needs)} first"

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def forced(plan: Plan) -> Iterator[Forced]:
    """Every expression that forced a further scan, once."""
    reasons = _Reasons(plan)
    told: set[tuple[int, Node]] = set()
    for slot in plan.slots:
        found = reasons.of(slot.node, slot.level)
        if found is not None and (found.scan, found.value) not in told:
            told.add((found.scan, found.value))
            yield found


class _Reasons:
    def __init__(self, plan: Plan) -> None:
        self._info: dict[Node, Info] = plan.info
        levels = {slot.node: slot.level for slot in plan.slots}
        self._taken = Decomposer(plan.info, levels)

    def of(self, node: Node, scan: int) -> Forced | None:
        value, keys = operands(node)
        if scan == 1 or self._taken.level(value, *keys) != scan - 1:
            return None  # nothing beneath, or gathered together with what it depends on
        for key in keys:
            if self._taken.level(key) == scan - 1 and self._taken.key(key, scan - 1) is None:
                return self._forced(key, scan, f"which group a row is in depends on it{self._where(key, scan)}")
        if self._taken.level(value) < scan - 1:
            return None
        return self._forced(value, scan, self._why(node, value, keys, scan))

    def _forced(self, value: Node, scan: int, why: str) -> Forced:
        needs = [part for part in rows_of(value) if part.op in REDUCTIONS and self._taken.level(part) == scan - 1]
        return Forced(scan, value, needs[0], why)

    def _why(self, node: Node, value: Node, keys: tuple[Node, ...], scan: int) -> str:
        if any(part.op in REDUCTIONS and part.get("folds") for part in rows_of(value)):
            return "a row's value comes from the folds it is not in"
        if self._info[value].wide:
            return "how many columns it has, and what each is, a scan must tell"
        found = self._taken.split(value, scan - 1, keys)
        if found is None:
            return f"it is no step that is the same for all rows{self._where(value, scan)}"
        suffix = found[1].suffix
        if suffix is None:
            return f"the {node.op} could be any of many values, one for each group of rows that is filled"
        if keys and node.op in BY_SUMS and is_affine(suffix, self._info):
            return "steps are taken with the sums of all rows, not with those of each group"
        clip = own_clip(suffix) if node.op in BY_SUMS and not keys else None
        if clip is not None and self._taken.own(clip[1], found[0], scan - 1) is not None:
            suffix = self._taken.after(suffix, clip[0]) or suffix
        step = called(_first_unfit(node.op, suffix, self._info))
        if node.op in BY_SUMS:
            return f"the {node.op} after {step} does not follow from the sums before it"
        if node.op in BY_ORDER:
            return f"the {node.op} after {step} does not follow from the order before it"
        return f"the {node.op} takes the values after {step}, not those before it"

    def _where(self, value: Node, scan: int) -> str:
        """The innermost part that cannot be taken out."""
        for part in rows_of(value):
            late = part.args and part.op not in REDUCTIONS and self._taken.level(part) == scan - 1
            if late and not self._info[part].scalar and self._taken.split(part, scan - 1) is None:
                return f" ({show(part)})" if part != value else ""
        return ""


def _first_unfit(op: str, suffix: Node, info: Mapping[Node, Info]) -> str:
    """The step, from the values outwards, that keeps a statistic from being known before the steps."""
    for step, _ in steps_of(suffix):
        fits = is_affine(step, info) if op in BY_SUMS else op in BY_ORDER and is_monotone(step)
        if not fits:
            return step.op
    return steps_of(suffix)[-1][0].op
