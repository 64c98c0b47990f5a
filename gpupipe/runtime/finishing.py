"""From the merged states of a scan to what they teach, slot by slot."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gpupipe.backends.indexes import same_keys
from gpupipe.backends.late import Waiting
from gpupipe.backends.learn import learned
from gpupipe.backends.named import named
from gpupipe.backends.parts import learned_from
from gpupipe.backends.states.state import State
from gpupipe.backends.steps import Steps
from gpupipe.columns import Values
from gpupipe.compiler.expand import only_column
from gpupipe.compiler.fitted import Fitted, Learned
from gpupipe.compiler.gathering import BoundScan
from gpupipe.compiler.info import Info
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.scans import Gather, Scan, Slot
from gpupipe.errors import EmptyDataError, counted
from gpupipe.expr.node import Node, show, walk
from gpupipe.runtime.looks import Trip
from gpupipe.runtime.refine import divided
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.scattered import Scattered


def finish(
    plan: Plan,
    scan: Scan,
    bound: BoundScan,
    states: Sequence[State],
    fitted: Fitted,
    rows: Rows,
    trip: Trip,
    scattered: Mapping[int, Scattered] | None = None,
) -> None:
    """Put what the merged states of one scan give into `fitted`, slot by slot: later ones may wait for earlier ones.

    Args:
        trip: goes over the rows again, where a value that fills nulls is one that values are clipped by.
        scattered: by their number, states that were too large for memory; they are closed.
    """
    finishing = _Finishing(plan, scan, bound, list(states), fitted, rows, scattered or {})
    left: Collection[int] = sorted(finishing.gathers)
    while left:
        left, bounds = finishing.round(left)
        for number, state in (divided(bound, finishing.states, bounds, trip) if bounds else {}).items():
            finishing.states[number] = state
    for scattered_state in finishing.apart.values():
        scattered_state.close()


class _Finishing:
    def __init__(
        self,
        plan: Plan,
        scan: Scan,
        bound: BoundScan,
        states: list[State],
        fitted: Fitted,
        rows: Rows,
        apart: Mapping[int, Scattered],
    ) -> None:
        self.states, self.apart = states, apart
        self.gathers = {slot.index: (slot, planned) for planned in scan.gathers for slot in planned.slots}
        self._info, self._fitted, self._rows = plan.info, fitted, rows
        self._waiting = Waiting(plan, bound, states, fitted)
        #: Of each slot, the numbers of its states; none of a wide value that has no columns.
        self._numbers: dict[int, list[int]] = {index: [] for index in self.gathers}
        for number, intake in enumerate(bound.intakes):
            for slot in intake.gather.slots:
                self._numbers[slot.index].append(number)

    def round(self, left: Collection[int]) -> tuple[list[int], dict[int, Values]]:
        """Finish what can be finished of the slots `left`.

        Returns:
            (the others; by the number of a state that they wait for, where its rows must be divided).
        """
        put_off: dict[Node, int] = {}
        bounds: dict[int, Values] = {}
        for index in left:
            slot, _ = self.gathers[index]
            if put_off and not put_off.keys().isdisjoint(walk(*slot.node.args)):
                put_off[slot.node] = index
            elif (amid := self._amid(slot)) is not None:
                put_off[slot.node] = index
                bounds |= amid
            else:
                self._finish(slot)
        return list(put_off.values()), bounds

    def _amid(self, slot: Slot) -> dict[int, Values] | None:
        """Where the rows of a slot's states must be divided, by the number of the state; None: nowhere."""
        if slot.late.clip is None or not slot.late.constants:
            return None
        with named(slot.node):
            found = {number: self._waiting.amid(slot, self.states[number]) for number in self._numbers[slot.index]}
        return {number: bounds for number, bounds in found.items() if len(bounds)} or None

    def _finish(self, slot: Slot) -> None:
        self._fitted.slots[slot.index] = []
        for number in self._numbers[slot.index]:
            self._fitted.slots[slot.index].append(self._learned(slot, number))

    def _learned(self, slot: Slot, number: int) -> Learned:
        _, planned = self.gathers[slot.index]
        if number not in self.apart:
            return _learned(slot, planned, self.states[number], self._waiting, self._info, self._rows)
        found = _learned_by_parts(slot, planned, self.apart[number], self._info[slot.node], self._rows)
        return _sharing_keys(found, (one for known in self._fitted.slots.values() for one in known))


def _learned(
    slot: Slot, gather: Gather, state: State, waiting: Waiting, info: Mapping[Node, Info], rows: Rows
) -> Learned:
    with named(slot.node):
        whole = waiting.applied(slot, state)
    if not _holds_values(whole):
        _refuse_empty(slot.node, info[slot.node].nullable, rows)
    with named(slot.node):
        steps = None if slot.late.suffix is None else Steps(slot, whole, waiting, info)
        return learned(slot, gather, whole, info[slot.node].dtype, steps)


def _learned_by_parts(slot: Slot, gather: Gather, scattered: Scattered, info: Info, rows: Rows) -> Learned:
    held = []

    def parts() -> Iterator[State]:
        for part in scattered.parts():
            held.append(_holds_values(part))
            yield part

    with named(slot.node):
        found = learned_from(slot, gather, parts(), info.dtype)
    if not any(held):
        _refuse_empty(slot.node, info.nullable, rows)
    return found


def _sharing_keys(found: Learned, others: Iterable[Learned]) -> Learned:
    """The same, its keys those of another if they are equal: long lists stand in memory once."""
    alike = (other.keys for other in others if same_keys(other.keys, found.keys))
    return replace(found, keys=next(alike, found.keys))


def _holds_values(state: State) -> bool:
    """Whether a row had a value; True where the state does not tell."""
    if state.entries is not None:
        return len(state.entries) > 0
    return "n" not in state.arrays or bool(state.arrays["n"].any())


def _refuse_empty(node: Node, nullable: bool, rows: Rows) -> None:
    """A statistic of the whole table that no row has a value for would make every row null: say so at once."""
    if nullable or node.op in ("count", "null_count", "sum", "n_unique", "vocabulary"):
        return
    if not rows.report.rows_kept:
        raise no_rows(rows)
    raise EmptyDataError(
        f"{show(node)} has no value: there are nothing but nulls in the {counted(rows.report.rows_kept, 'row')} of the "
        "fit. Leave the feature out, or fill its column with a constant first."
    ).at(column=only_column(node))


def no_rows(rows: Rows) -> EmptyDataError:
    """There is nothing to learn from: what was listed, and what dropped it."""
    listed = sum(partition.n_rows for partition in rows.source.partitions)
    dropped = [f"{text} dropped {count:,}" for text, count in rows.report.rows_filtered.items() if count]
    why = f", of which {', '.join(dropped)}" if dropped else ""
    return EmptyDataError(
        f"There are no rows to learn from: {listed:,} in {rows.source.label}{why}. Check the data and the filters."
    )
