"""Columns of which a scan keeps the values at both ends, since quantiles are asked for there alone."""

from collections.abc import Mapping

from gpupipe.backends.states.ends import Ends
from gpupipe.compiler.gathering import BoundScan, Intake
from gpupipe.compiler.info import Info
from gpupipe.compiler.late import needs_ends
from gpupipe.compiler.scans import REFINED
from gpupipe.expr.node import Node
from gpupipe.memory import memory_bytes
from gpupipe.runtime.rows import Rows

LEAST_ROWS = 2**17  # of fewer a further trip costs next to nothing
_MEMORY_SHARE = 32  # of the memory may be kept values, if no more lie at the ends than was guessed
_GUESSED = 0.05


def ends_of(bound: BoundScan, info: Mapping[Node, Info], rows: Rows) -> dict[int, Ends]:
    """The ends to be kept, by the place of the column among the scan's outputs; none where there would be too many."""
    n_rows = rows.source.n_rows or 0
    if n_rows < LEAST_ROWS:
        return {}
    found = {
        intake.value: _of(intake)
        for intake in bound.intakes
        if intake.gather.state == REFINED and not intake.keys and info[bound.outputs[intake.value].node].dtype.is_float
        and _is_simple(intake)
    }  # fmt: skip
    most = memory_bytes(rows.memory) // _MEMORY_SHARE if found else 0
    return found if len(found) * n_rows * _GUESSED * 8 <= most else {}


def _is_simple(intake: Intake) -> bool:
    """Whether rows that are added later are those that are null in the column itself."""
    constants = [constant for slot in intake.gather.slots for constant in slot.late.constants]
    return all(constant.absent == intake.gather.value for constant in constants)


def _of(intake: Intake) -> Ends:
    slots = intake.gather.slots
    fractions = [float(slot.node.get("q", 0.5)) for slot in slots]
    suffixes = [slot.late.suffix for slot in slots if slot.late.suffix is not None]
    if any(map(needs_ends, suffixes)):
        fractions += [0.0, 1.0]
    return Ends(fractions, later=any(slot.late.constants for slot in slots), mirrored=bool(suffixes))
