"""The scans of a cross-validation: the first keeps its states by cell of folds, and so is one trip for all folds."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

from gpupipe.backends.backend import Backend
from gpupipe.backends.categories import Tables
from gpupipe.backends.states.folds import ByFold
from gpupipe.backends.states.state import State
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import BoundScan, bind_scan
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.scans import Scan
from gpupipe.errors import DataError, ModelError
from gpupipe.runtime.execute import finish, further_trips, gathered, later_rows
from gpupipe.runtime.folds import Fold, Folds, RowsOf
from gpupipe.runtime.progress import Progress
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
        bound, states = self._trip(scan, Fitted(), RowsOf(self.rows, folds, folds.training), folds)
        folds.refuse_empty(self.rows)
        kept = [ByFold(state) for state in states]
        for fold, one in zip(folds.folds, fitted, strict=True):
            self._finish(scan, bound, [state.among(fold.trains) for state in kept], folds, fold, one)

    def _apart(self, scan: Scan, folds: Folds, fitted: Sequence[Fitted]) -> None:
        """What a later scan gathers stands over statistics that differ from fold to fold."""
        for fold, one in zip(folds.folds, fitted, strict=True):
            with within(fold):
                bound, states = self._trip(scan, one, RowsOf(self.rows, folds, fold.trains))
            self._finish(scan, bound, states, folds, fold, one)

    def _trip(
        self, scan: Scan, fitted: Fitted, rows: RowsOf, by: Folds | None = None
    ) -> tuple[BoundScan, list[State]]:
        """The scan, bound, and its settled states; `by`: kept by cell, for each of those folds."""
        self.trips += 1
        self.progress.begin(f"scan {scan.level} of {len(self.plan.scans)}", rows)
        binder = Binder(self.plan.slots, fitted, self.plan.info, training=True)
        bound = bind_scan(scan, binder)
        prepared = self.backend.prepare(bound.outputs, binder.info, Tables(fitted))
        fold_of = None if by is None else rows.column
        states = gathered(bound, prepared, rows, self.pool, self.progress, fold_of)
        again = further_trips(binder, fitted, rows, self.backend, self.pool, self.progress, fold_of)
        training = () if by is None else [fold.trains for fold in by.folds]
        settled = refined(bound, states, again, training, later_rows(self.plan, bound, states, fitted))
        self.refinements += rows.refinements
        return bound, settled

    def _finish(
        self, scan: Scan, bound: BoundScan, states: list[State], folds: Folds, fold: Fold, fitted: Fitted
    ) -> None:
        with within(fold):
            finish(self.plan, scan, bound, states, fitted, RowsOf(self.rows, folds, fold.trains))
