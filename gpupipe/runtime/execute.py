"""Runs a plan: partitions through scans on all cores, states merged as they come."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from gpupipe.backends import compiled
from gpupipe.backends.backend import Backend
from gpupipe.backends.cpu import CpuBackend
from gpupipe.backends.late import Waiting
from gpupipe.backends.states.state import State
from gpupipe.backends.states.values import VALUES
from gpupipe.columns import Column, Frame
from gpupipe.compiler.bind import Binder, Output
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import BoundScan, bind_scan, without_idle_folds
from gpupipe.compiler.plan import Plan
from gpupipe.runtime.carried import Carried
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.ends import ends_of
from gpupipe.runtime.finishing import finish
from gpupipe.runtime.looks import Look, Seen, Trip
from gpupipe.runtime.merging import Merging
from gpupipe.runtime.progress import Progress, expecting
from gpupipe.runtime.refine import Later, refined
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.scanning import BesideOrder, FoldOf, Gathered, Gathering, Looking
from gpupipe.runtime.scattered import Scattered
from gpupipe.schema import String


class Beside(Protocol):
    """What takes in rows in the trip of a scan, beside its states; from any thread."""

    def joined(self, bound: BoundScan, binder: Binder) -> BoundScan:
        """The scan, which computes what is taken in besides."""

    def update(self, columns: Sequence[Column], frame: Frame) -> None:
        """Take in a partition's rows, computed as the joined scan says."""

    def order(self) -> BesideOrder:
        """The same as data, for other processes."""

    def add(self, part: Any) -> None:
        """Take in what came of such an order."""


@dataclass(frozen=True, slots=True, eq=False)
class _AtOnce:
    """Rows are taken in where they are computed: what is told of them besides is nothing."""

    update: Callable[[Sequence[Column], Frame], None]

    def ready(self) -> Callable[[Sequence[Column], Frame], Callable[[], None]]:
        return lambda columns, frame: lambda: self.update(columns, frame)

    def merged(self, _: Sequence[Any]) -> None:
        return None


def run_scans(
    plan: Plan,
    rows: Rows,
    backend: Backend,
    crew: Crew,
    progress: Progress,
    carried: Carried | None = None,
    *,
    trains: bool = True,
    beside: Beside | None = None,
) -> Fitted:
    """What all scans of the plan learn.

    Args:
        carried: the states of the first scan that earlier rows left, and where this one's are kept.
        trains: whether features of the training rows are wanted: their out-of-fold values are kept for nothing else.
        beside: takes in the rows of the first scan too.

    Raises:
        EmptyDataError: a statistic of a column that holds no value, or of no rows.
        NonFiniteError: NaN in a reduction, or an infinity in moments.
    """
    fitted = Fitted()
    for scan in plan.scans if trains or carried is not None else without_idle_folds(plan.scans, plan.slots):
        progress.begin(f"scan {scan.level} of {len(plan.scans)}", rows)
        binder = Binder(plan.slots, fitted, plan.info, training=True)
        watching = beside if scan.level == 1 else None
        bound = bind_scan(scan, binder) if watching is None else watching.joined(bind_scan(scan, binder), binder)
        how: dict[str, Any] = {"narrow": watching is None, "beside": watching}
        taking, is_first = backend, carried is not None and scan.level == 1
        if isinstance(backend, CpuBackend) and crew.is_here and watching is None and not is_first:
            taking = backend.keeping(ends_of(bound, binder.info, rows))
            rows.number_texts(counted_texts(bound))
        order = gathering(f"scan {scan.level}", bound, binder, fitted, taking, crew, **how)
        compiled.expect((rows.source.n_rows or 0) * (len(bound.outputs) + len(bound.intakes)))
        again = further_trips(binder, fitted, rows, backend, crew, progress)
        scattered: dict[int, Scattered] = {}
        if carried is None or scan.level > 1:
            states, scattered = taken_in(order, rows, crew, progress, beside=watching).merged(rows.n_workers)
        else:
            expecting(progress, rows.n_partitions - carried.first)
            new = taken_in(order, rows, crew, progress, first=carried.first)
            states = carried.merged(bound, new.states())
        later = later_rows(plan, bound, states, fitted)
        with nullcontext() if carried is None or scan.level > 1 else carried.believed():
            settled = refined(bound, states, again, later=later, threads=rows.n_workers)
            finish(plan, scan, bound, settled, fitted, rows, again, scattered)
    return fitted


def gathering(
    stage: str,
    bound: BoundScan,
    binder: Binder,
    fitted: Fitted,
    backend: Backend,
    crew: Crew,
    *,
    narrow: bool = False,
    beside: Beside | None = None,
    fold_of: FoldOf | None = None,
) -> Gathering:
    """The order that gathers a scan's states.

    Args:
        fold_of: (number of the partition, its frame) -> the fold of each row, which becomes every state's last key.
        beside: takes in the same columns.
    """
    order = None if beside is None else beside.order() if not crew.is_here else _AtOnce(beside.update)
    return Gathering(stage, bound, binder.info, fitted, backend, narrow, order, fold_of)


def taken_in(
    order: Gathering, rows: Rows, crew: Crew, progress: Progress, first: int = 0, beside: Beside | None = None
) -> Merging:
    """The states of one trip over all rows, in the order of the scan's intakes, not yet put together.

    Args:
        first: the first partition to take in.
        beside: takes in the same columns.
    """
    merging = Merging(order.bound.intakes, rows.memory)

    def take(parts: list[Gathered]) -> None:
        for part in parts:
            merging.add(part.states)
            if beside is not None and part.beside is not None:
                beside.add(part.beside)

    crew.take_in(rows, order, take, progress, first)
    return merging


def further_trips(
    binder: Binder,
    fitted: Fitted,
    rows: Rows,
    backend: Backend,
    crew: Crew,
    progress: Progress,
    fold_of: FoldOf | None = None,
) -> Trip:
    """Trips over the rows of a scan that take in some of its columns again, grouped as :func:`gathered` had them."""

    def trip(outputs: Sequence[Output], look: Look, take: Callable[[Seen], None]) -> None:
        rows.refinements += 1
        progress.begin("settling quantiles", rows)
        stage = f"settling quantiles {rows.refinements}"
        order = Looking(stage, outputs, look, binder.info, fitted, backend, fold_of)

        def take_all(parts: list[Seen]) -> None:
            for seen in parts:
                take(seen)

        crew.take_in(rows, order, take_all, progress)

    return trip


def later_rows(plan: Plan, bound: BoundScan, states: Sequence[State], fitted: Fitted) -> Later:
    """How many rows will be added to the states of a slot, once their values are known."""
    waiting = Waiting(plan, bound, states, fitted)
    return lambda slot: [rows.times for rows in waiting.rows(slot)]


def counted_texts(bound: BoundScan) -> list[str]:
    """The columns of text of which a scan counts the distinct values of all rows, and that are no keys besides."""
    keys = {key for intake in bound.intakes for key in intake.keys}
    values = {intake.value for intake in bound.intakes if intake.gather.state == VALUES.name and not intake.keys}
    outputs = [bound.outputs[place] for place in sorted(values - keys)]
    return [str(output.node["name"]) for output in outputs if output.node.op == "col" and output.dtype == String]
