"""A fit of linear regression or ridge from covariances: gathered beside statistics, with no matrix of features."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Column, Frame, Values
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import BoundScan
from gpupipe.compiler.plan import Plan
from gpupipe.errors import CovarianceError
from gpupipe.models.fitted import Model
from gpupipe.optional import later
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.execute import Beside, gathering, taken_in
from gpupipe.runtime.finishing import no_rows
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.rows import Rows

if TYPE_CHECKING:
    from gpupipe.runtime.linear.path import LinearPath, is_linear, linear_path
    from gpupipe.runtime.linear.sums import SumsOf, SumsOrder
    from gpupipe.runtime.seen.identities import few, hashes_of, together
else:
    is_linear, linear_path = later("gpupipe.runtime.linear.path", "is_linear", "linear_path")
    few, hashes_of, together = later("gpupipe.runtime.seen.identities", "few", "hashes_of", "together")


class LinearFit(Beside):
    """The model of all rows, to the bit that of any order of them.

    Args:
        path: over one model; or why there is none.
        linear: whether the model is one that there could be a path for.
        joins: whether it is gathered in the first scan; else in a trip of its own.

    Attributes:
        refused: why the model must be trained on rows.
    """

    def __init__(self, path: "LinearPath | str", *, linear: bool, joins: bool) -> None:
        self._path, self._linear, self._joins = path, linear, joins
        self.refused = path if isinstance(path, str) else None
        self._hashes: tuple[Values, ...] = ()
        self._lock = threading.Lock()

    @property
    def on_rows(self) -> str | None:
        """Why a linear model was trained on rows; None: it was not, or the model is another."""
        return self.refused if self._linear else None

    @property
    def beside(self) -> Beside | None:
        """What the first scan takes with it."""
        return self if self._joins and self.refused is None else None

    @property
    def made_no_trip(self) -> bool:
        """Whether the model was had from the scans alone."""
        return self._joins and self.refused is None

    def joined(self, bound: BoundScan, binder: Binder) -> BoundScan:
        assert not isinstance(self._path, str)
        return self._path.joined(bound, binder)

    def update(self, columns: Sequence[Column], frame: Frame) -> None:
        self._keep(hashes_of(frame))
        if self.refused is None and not isinstance(self._path, str):
            try:
                self._path.update(columns, np.zeros(frame.n_rows, np.int8))
            except CovarianceError as error:
                self.refused = str(error)

    def order(self) -> "SumsOrder":
        assert not isinstance(self._path, str)
        return self._path.order()

    def add(self, part: "SumsOf") -> None:
        self._keep(part.row_ids)
        self.refused = self.refused or part.refused
        if not isinstance(self._path, str):
            self._path.add(part.states)

    def _keep(self, hashes: Values) -> None:
        if len(hashes):
            with self._lock:
                self._hashes = few((*self._hashes, hashes))

    def trained(
        self, features: FittedFeatures, rows: Rows, crew: Crew, progress: Progress
    ) -> tuple[Model, dict[str, Any], Values] | None:
        """The model, what is noted of it, and the hashes of its rows' keys; None if it was refused.

        Raises:
            DataError: no rows, or a null target.
        """
        assert not isinstance(self._path, str)
        if not self._joins:
            self._trip(features, rows, crew, progress)
        if not rows.report.rows_kept:
            raise no_rows(rows)
        if self.refused is None:
            try:
                found = self._path.solved([0], [0], features.fitted, features.names)
            except CovarianceError as error:
                self.refused = str(error)
        if self.refused is not None:
            return None
        return found.models[0], found.notes, together(self._hashes)

    def _trip(self, features: FittedFeatures, rows: Rows, crew: Crew, progress: Progress) -> None:
        fitted = Fitted()
        binder = Binder(features.plan.slots, fitted, features.plan.info)
        bound = self.joined(BoundScan((), ()), binder)
        progress.begin("covariances", rows)
        order = gathering("covariances", bound, binder, fitted, features.backend, crew, beside=self)
        taken_in(order, rows, crew, progress, beside=self)


def linear_fit(plan: Plan, model: Any, *, stops_early: bool, joins: bool, gathers: bool = False) -> LinearFit:
    """How `model` is fitted from covariances, if it is.

    Args:
        model: None: nothing is.
        stops_early: whether rows are given for that.
        joins: whether the first scan may gather them.
        gathers: whether a matrix of all rows was asked for.
    """
    if model is None:
        return LinearFit("there is nothing to train", linear=False, joins=False)
    if gathers:
        return LinearFit("training='gather' was asked for", linear=is_linear(model), joins=False)
    path = "rows are given to stop early by" if stops_early else linear_path(plan, [model])
    return LinearFit(path, linear=is_linear(model), joins=joins and bool(plan.scans))
