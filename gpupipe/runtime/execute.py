"""Runs a plan: partitions through scans on all cores, states merged as they come."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Protocol, TypeVar

from gpupipe.backends import compiled
from gpupipe.backends.backend import Backend
from gpupipe.backends.categories import Tables
from gpupipe.backends.late import Waiting
from gpupipe.backends.reading import Reading
from gpupipe.backends.states.state import State
from gpupipe.columns import Column, Frame, on_host
from gpupipe.compiler.bind import Binder, Output
from gpupipe.compiler.expand import columns_of
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import BoundScan, bind_scan, without_idle_folds
from gpupipe.compiler.plan import Plan
from gpupipe.runtime.carried import Carried
from gpupipe.runtime.finishing import finish
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
        intakes, tables = bound.intakes, Tables(fitted)
        reading = Reading(bound.outputs, binder.info, tables, backend, narrow=watching is None, intakes=intakes)
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
            finish(plan, scan, bound, refined(bound, states, again, later=later), fitted, rows, again, scattered)
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
