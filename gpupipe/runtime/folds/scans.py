"""The scans of a cross-validation: the first keeps its states by cell of folds, and so is one trip for all folds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gpupipe.backends.backend import Backend
from gpupipe.backends.states.folds import ByFold
from gpupipe.backends.states.state import State
from gpupipe.columns import Column, Frame
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import BoundScan, bind_scan
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.scans import Scan
from gpupipe.errors import CovarianceError, DataError, InternalError, ModelError
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.execute import further_trips, gathering, later_rows, taken_in
from gpupipe.runtime.finishing import finish
from gpupipe.runtime.folds.rows import CELL, Fold, Folds, RowsOf
from gpupipe.runtime.linear.components import CovariancePath
from gpupipe.runtime.linear.sums import SumsOf, SumsOrder
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


class Joint:
    """Covariances gathered in a scan of statistics: what is computed of a partition is taken in by both."""

    def __init__(self, path: CovariancePath) -> None:
        self.path = path
        self.refused: str | None = None

    def joined(self, bound: BoundScan, binder: Binder) -> BoundScan:
        """The scan, which computes what covariances are gathered of besides."""
        return self.path.joined(bound, binder)

    def update(self, columns: Sequence[Column], frame: Frame) -> None:
        """Take in a partition's rows; the frame has the cell of each."""
        if self.refused is None:
            try:
                self.path.update(columns, frame[CELL].values)
            except CovarianceError as error:  # told in the result: then models are trained on rows
                self.refused = str(error)

    def order(self) -> SumsOrder:
        """None of it is for other processes: cells are of this one."""
        raise InternalError("Folds were to be gathered in another process. Please report this.")

    def add(self, part: SumsOf) -> None:
        """Nothing comes of an order."""


@dataclass(eq=False)
class ScansByFold:
    """What each fold's training rows teach; `trips` counts those over rows."""

    plan: Plan
    rows: Rows
    backend: Backend
    crew: Crew
    progress: Progress
    trips: int = 0

    def learned(
        self, folds: Folds, path: CovariancePath | str = "not asked for"
    ) -> tuple[list[Fitted], CovariancePath | str]:
        """What each fold's training rows teach: the first scan for all of them at once.

        Args:
            path: gathers covariances in that scan; a text: none are gathered.

        Returns:
            What each fold knows, and the path; or why rows are needed after all.
        """
        fitted = [Fitted() for _ in folds.folds]
        joint = None if isinstance(path, str) else Joint(path)
        for scan in self.plan.scans or ([Scan(1, ())] if joint else []):
            if scan.level == 1:
                self._together(scan, folds, fitted, joint)
            else:
                self._apart(scan, folds, fitted)
        folds.refuse_empty(self.rows)
        return fitted, path if joint is None or joint.refused is None else joint.refused

    def _together(self, scan: Scan, folds: Folds, fitted: Sequence[Fitted], joint: Joint | None) -> None:
        """Nothing stands beneath the first scan, so that it is the same for all folds: states are kept by cell."""
        rows = RowsOf(self.rows, folds, folds.training if joint is None else folds.every)
        bound, states = self._trip(scan, Fitted(), rows, folds, joint)
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
        self, scan: Scan, fitted: Fitted, rows: RowsOf, by: Folds | None = None, joint: Joint | None = None
    ) -> tuple[BoundScan, list[State]]:
        """The scan, bound, and its settled states; `by`: kept by cell, for each of those folds."""
        self.trips += 1
        self.progress.begin(f"scan {scan.level} of {len(self.plan.scans)}", rows)
        binder = Binder(self.plan.slots, fitted, self.plan.info, training=True)
        bound = bind_scan(scan, binder)
        if joint is not None:
            bound = joint.joined(bound, binder)
        fold_of = None if by is None else rows.column
        stage = f"scan {scan.level} by folds {self.trips}"
        order = gathering(stage, bound, binder, fitted, self.backend, self.crew, beside=joint, fold_of=fold_of)
        seen = rows if joint is None else rows.celled()
        states = taken_in(order, seen, self.crew, self.progress, beside=joint).states()
        again = further_trips(binder, fitted, rows, self.backend, self.crew, self.progress, fold_of)
        training = () if by is None else [fold.trains for fold in by.folds]
        settled = refined(bound, states, again, training, later_rows(self.plan, bound, states, fitted))
        self.rows.refinements += rows.refinements
        return bound, settled

    def _finish(
        self, scan: Scan, bound: BoundScan, states: list[State], folds: Folds, fold: Fold, fitted: Fitted
    ) -> None:
        rows = RowsOf(self.rows, folds, fold.trains)
        binder = Binder(self.plan.slots, fitted, self.plan.info, training=True)
        with within(fold):
            again = further_trips(binder, fitted, rows, self.backend, self.crew, self.progress)
            finish(self.plan, scan, bound, states, fitted, rows, again)
        self.rows.refinements += rows.refinements
