"""The scans of a cross-validation: the first keeps its states by cell of folds, and so is one trip for all folds."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

from gpupipe.backends.backend import Backend, Prepared
from gpupipe.backends.categories import Tables
from gpupipe.backends.states.folds import ByFold
from gpupipe.backends.states.state import State
from gpupipe.columns import Column, Frame
from gpupipe.compiler.bind import Binder, Output
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import BoundScan, bind_scan
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.scans import Scan
from gpupipe.errors import DataError, ModelError
from gpupipe.runtime.execute import finish, gathered, over_partitions
from gpupipe.runtime.folds import Fold, Folds, RowsOf
from gpupipe.runtime.progress import Progress, Silent
from gpupipe.runtime.refine import refined
from gpupipe.runtime.rows import Rows


@contextmanager
def within(fold: Fold) -> Iterator[None]:
    """Errors of data and of training inside say which fold they are of."""
    try:
        yield
    except (DataError, ModelError) as error:
        error.args = (f"(Fold {fold.name!r} of the cross-validation.) {' '.join(map(str, error.args))}",)
        raise


@dataclass(eq=False)
class ScansByFold:
    """What each fold's training rows teach; `trips` counts those over rows, `refinements` those that settle it."""

    plan: Plan
    rows: Rows
    backend: Backend
    pool: Executor
    progress: Progress
    trips: int = 0
    refinements: int = 0

    def learned(self, folds: Folds) -> list[Fitted]:
        """What each fold's training rows teach: the first scan for all of them at once."""
        fitted = [Fitted() for _ in folds.folds]
        for scan in self.plan.scans:
            if scan.level == 1:
                self._together(scan, folds, fitted)
            else:
                self._apart(scan, folds, fitted)
        folds.refuse_empty(self.rows)
        return fitted

    def _together(self, scan: Scan, folds: Folds, fitted: Sequence[Fitted]) -> None:
        """Nothing stands beneath the first scan, so that it is the same for all folds: states are kept by cell."""
        trip = self._trip(scan, Fitted(), RowsOf(self.rows, folds, folds.training), folds)
        states = trip.states([fold.trains for fold in folds.folds])
        folds.refuse_empty(self.rows)
        kept = [ByFold(state) for state in states]
        for fold, one in zip(folds.folds, fitted, strict=True):
            self._finish(scan, trip.bound, [state.among(fold.trains) for state in kept], folds, fold, one)

    def _apart(self, scan: Scan, folds: Folds, fitted: Sequence[Fitted]) -> None:
        """What a later scan gathers stands over statistics that differ from fold to fold."""
        for fold, one in zip(folds.folds, fitted, strict=True):
            with within(fold):
                trip = self._trip(scan, one, RowsOf(self.rows, folds, fold.trains))
                states = trip.states()
            self._finish(scan, trip.bound, states, folds, fold, one)

    def _trip(self, scan: Scan, fitted: Fitted, rows: Rows, by: Folds | None = None) -> "_Trip":
        self.trips += 1
        self.progress.begin(f"scan {scan.level} of {len(self.plan.scans)}", rows)
        return _Trip(self, scan, fitted, rows, by)

    def _finish(
        self, scan: Scan, bound: BoundScan, states: list[State], folds: Folds, fold: Fold, fitted: Fitted
    ) -> None:
        with within(fold):
            finish(self.plan, scan, bound, states, fitted, RowsOf(self.rows, folds, fold.trains))


class _Trip:
    """One scan over some rows, and the trips that settle what it leaves open."""

    def __init__(self, run: ScansByFold, scan: Scan, fitted: Fitted, rows: Rows, by: Folds | None) -> None:
        self._run, self._fitted, self._rows, self._by = run, fitted, rows, by
        self._binder = Binder(run.plan.slots, fitted, run.plan.info, training=True)
        self.bound = bind_scan(scan, self._binder)

    def states(self, training: Sequence[Collection[int]] = ()) -> list[State]:
        """The merged states, by cell where rows are kept so; `training`: the cells that each fold trains with."""
        run, prepared = self._run, self._prepared(self.bound.outputs)
        fold_of = None if self._by is None else self._by.column
        found = gathered(self.bound, prepared, self._rows, run.pool, run.progress, fold_of)
        return refined(self.bound, found, self._again, training)

    def _prepared(self, outputs: Sequence[Output]) -> Prepared:
        return self._run.backend.prepare(outputs, self._binder.info, Tables(self._fitted))

    def _again(self, outputs: Sequence[Output], work: Callable[[Sequence[Column], list[Column], int], None]) -> None:
        self._run.refinements += 1
        prepared = self._prepared(outputs)

        def one(index: int, frame: Frame) -> None:
            last = [] if self._by is None else [self._by.column(index, frame)]
            work(prepared.columns(frame), last, frame.n_rows)

        over_partitions(self._rows, one, self._run.pool, Silent())
