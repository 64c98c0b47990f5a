"""Runs a plan: partitions through scans on all cores, states merged as they come."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Protocol, TypeVar

from gpupipe.backends import compiled
from gpupipe.backends.backend import Backend
from gpupipe.backends.categories import Tables
from gpupipe.backends.indexes import same_keys
from gpupipe.backends.late import Waiting
from gpupipe.backends.learn import learned
from gpupipe.backends.named import named
from gpupipe.backends.parts import learned_from
from gpupipe.backends.reading import Reading
from gpupipe.backends.states.state import State
from gpupipe.backends.steps import Steps
from gpupipe.columns import Column, Frame, on_host
from gpupipe.compiler.bind import Binder, Output
from gpupipe.compiler.expand import columns_of, only_column
from gpupipe.compiler.fitted import Fitted, Learned
from gpupipe.compiler.gathering import BoundScan, bind_scan, without_idle_folds
from gpupipe.compiler.info import Info
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.scans import Gather, Scan, Slot
from gpupipe.errors import EmptyDataError, counted
from gpupipe.expr.node import Node, show
from gpupipe.runtime.carried import Carried
from gpupipe.runtime.halving import in_parts, once_more
from gpupipe.runtime.merging import Merging
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.refine import Later, Look, Trip, refined
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.scattered import Scattered

Result = TypeVar("Result")


@contextmanager
def workers(count: int) -> Iterator[Executor]:
    """A pool of `count` threads."""
    with ThreadPoolExecutor(count, thread_name_prefix="gpupipe") as pool:
        yield pool


def over_partitions(
    rows: Rows,
    work: Callable[[int, Frame], Result],
    pool: Executor,
    progress: Progress,
    first: int = 0,
    columns: Sequence[str] | None = None,
) -> list[Result]:
    """`work` on the frame of every partition from the `first` on, on all cores; results in the order of partitions.

    Args:
        columns: those that it needs; None: all.
    """

    def one(index: int) -> Result:
        frame = once_more(rows, index, lambda: rows.frame(index, columns))
        with rows.placed(index, frame):
            result = work(index, frame)
        progress.advance(frame.n_rows)
        return result

    return list(pool.map(one, range(first, rows.n_partitions)))


class Beside(Protocol):
    """What takes in rows in the trip of a scan, beside its states; from any thread."""

    def joined(self, bound: BoundScan, binder: Binder) -> BoundScan:
        """The scan, which computes what is taken in besides."""

    def update(self, columns: Sequence[Column], frame: Frame) -> None:
        """Take in a partition's rows, computed as the joined scan says."""


def run_scans(
    plan: Plan,
    rows: Rows,
    backend: Backend,
    pool: Executor,
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
        taken = {"narrow": watching is None, "intakes": bound.intakes}
        reading = Reading(bound.outputs, binder.info, Tables(fitted), backend, **taken)
        compiled.expect((rows.source.n_rows or 0) * (len(bound.outputs) + len(bound.intakes)))
        again = further_trips(binder, fitted, rows, backend, pool, progress)
        scattered: dict[int, Scattered] = {}
        if carried is None or scan.level > 1:
            states, scattered = taken_in(bound, reading, rows, pool, progress, beside=watching).merged()
        else:
            new = taken_in(bound, reading, rows, pool, progress, first=carried.first)
            states = carried.merged(bound, new.states())
        later = later_rows(plan, bound, states, fitted)
        with nullcontext() if carried is None or scan.level > 1 else carried.believed():
            finish(plan, scan, bound, refined(bound, states, again, later=later), fitted, rows, scattered)
    return fitted


def taken_in(
    bound: BoundScan,
    reading: Reading,
    rows: Rows,
    pool: Executor,
    progress: Progress,
    fold_of: Callable[[int, Frame], Column] | None = None,
    first: int = 0,
    beside: Beside | None = None,
) -> Merging:
    """The states of one trip over all rows, in the order of the scan's intakes, not yet put together.

    Args:
        fold_of: (number of the partition, its frame) -> the fold of each row, which becomes every state's last key.
        first: the first partition to take in.
        beside: takes in the same columns.
    """
    merging = Merging(bound.intakes, rows.memory)

    def work(index: int, frame: Frame) -> None:
        last = [] if fold_of is None else [fold_of(index, frame)]

        def computed(start: int, stop: int) -> tuple[list[State], list[Column], Frame]:
            part = frame.rows(start, stop)
            folds = [column.rows(start, stop) for column in last]
            if beside is None:
                return reading.gathered(bound.intakes, part, folds), [], part
            columns = reading.resident(part)
            states = reading.states(bound.intakes, columns, part.n_rows, folds)
            return states, [on_host(column) for column in columns], part

        for states, columns, part in in_parts(rows, index, frame, computed):
            merging.add(states)
            if beside is not None:
                beside.update(columns, part)

    over_partitions(rows, work, pool, progress, first)
    return merging


def further_trips(
    binder: Binder,
    fitted: Fitted,
    rows: Rows,
    backend: Backend,
    pool: Executor,
    progress: Progress,
    fold_of: Callable[[int, Frame], Column] | None = None,
) -> Trip:
    """Trips over the rows of a scan that take in some of its columns again, grouped as :func:`gathered` had them."""

    def trip(outputs: Sequence[Output], look: Look) -> None:
        rows.refinements += 1
        progress.begin("settling quantiles", rows)
        reading = Reading(outputs, binder.info, Tables(fitted), backend, narrow=True)

        def one(index: int, frame: Frame) -> None:
            last = [] if fold_of is None else [fold_of(index, frame)]

            def seen(start: int, stop: int) -> Callable[[], None]:
                columns = reading.resident(frame.rows(start, stop))
                return look(columns, [fold.rows(start, stop) for fold in last], stop - start)

            for take_in in in_parts(rows, index, frame, seen):
                take_in()

        over_partitions(rows, one, pool, progress, columns=columns_of([output.node for output in outputs]))

    return trip


def later_rows(plan: Plan, bound: BoundScan, states: Sequence[State], fitted: Fitted) -> Later:
    """How many rows will be added to the states of a slot, once their values are known."""
    waiting = Waiting(plan, bound, states, fitted)
    return lambda slot: [rows.times for rows in waiting.rows(slot)]


def finish(
    plan: Plan,
    scan: Scan,
    bound: BoundScan,
    states: Sequence[State],
    fitted: Fitted,
    rows: Rows,
    scattered: Mapping[int, Scattered] | None = None,
) -> None:
    """Put what the merged states of one scan give into `fitted`, slot by slot: later ones may wait for earlier ones.

    Args:
        scattered: by their number, states that were too large for memory; they are closed.
    """
    waiting, apart = Waiting(plan, bound, states, fitted), scattered or {}
    gathers = {slot.index: (slot, planned) for planned in scan.gathers for slot in planned.slots}
    numbers: dict[int, list[int]] = {index: [] for index in gathers}  # none of a wide value that has no columns
    for number, intake in enumerate(bound.intakes):
        for slot in intake.gather.slots:
            numbers[slot.index].append(number)
    for index, (slot, planned) in sorted(gathers.items()):
        fitted.slots[index] = []
        for number in numbers[index]:
            if number in apart:
                found = _learned_by_parts(slot, planned, apart[number], plan.info[slot.node], rows)
                found = _sharing_keys(found, (one for known in fitted.slots.values() for one in known))
            else:
                found = _learned(slot, planned, states[number], waiting, plan.info, rows)
            fitted.slots[index].append(found)
    for state in apart.values():
        state.close()


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
