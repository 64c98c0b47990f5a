"""The models of one fold: trained on the rows of others, or solved from covariances, and asked about its own rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.backend import Backend
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Frame
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.plan import Plan
from gpupipe.models.estimators import describe
from gpupipe.models.fitted import Model
from gpupipe.models.model import Validation
from gpupipe.models.scoring import refuse_nan, takes_nan
from gpupipe.runtime.clock import Clock
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.fit import Declared
from gpupipe.runtime.fitting import Examples, examples
from gpupipe.runtime.folds.rows import Fold, Folds, RowsOf
from gpupipe.runtime.folds.scans import within
from gpupipe.runtime.linear.components import CovariancePath, Projected
from gpupipe.runtime.linear.path import Solved
from gpupipe.runtime.progress import Progress, during
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.seen.provenance import provenance_at
from gpupipe.runtime.teaching import Taught, checked_rows, taught, training_device

Found = TypeVar("Found")
Kept = TypeVar("Kept", covariant=True)


class Judge(Protocol[Kept]):
    """Says what is to be kept of a fold's own rows."""

    def of_rows(self, fit: Fit, rows: Examples) -> Kept:
        """What the fit's model makes of them."""

    def of_scores(self, solved: Solved | Projected, number: int) -> Kept:
        """How well the model of that number predicts them, known without them."""


@dataclass(frozen=True, slots=True, eq=False)
class FoldFit(Generic[Found]):
    """One fold: what it is called, how many rows it trained with and was judged on, its fit, and what was found."""

    name: Any
    n_trained: int
    n_rows: int
    fit: Fit
    found: Found


@dataclass(eq=False)
class Training:
    """Trains the folds of a cross-validation; `trips` counts those over rows, `told` is what each training gave."""

    declared: Declared
    plan: Plan
    rows: Rows
    backend: Backend
    crew: Crew
    progress: Progress
    clock: Clock
    trips: int = 0
    told: list[Taught] = field(default_factory=list)

    def trained(
        self, folds: Folds, fold: Fold, fitted: Fitted, judge: Judge[Found], models: Sequence[Any]
    ) -> list[FoldFit[Found]]:
        """Each of `models` trained on the fold's training rows, and asked about its own."""
        features = FittedFeatures(self.plan, fitted, self.backend)
        training = RowsOf(self.rows, folds, fold.trains)
        with within(fold):
            with self.clock.stage("features"):
                what = f"fold {fold.name}, "
                learned = self._examples(features.for_training(), training, f"{what}features")
                stops = RowsOf(self.rows, folds, fold.stops)
                stopping = self._examples(features, stops, f"{what}validation") if fold.stops else None
            with during(self.progress, f"{what}training {describe(self.declared.model).name}"):
                fits = [self._taught(model, features, learned, training, stopping) for model in models]
            positions = [*learned.positions, *([] if stopping is None else stopping.positions)]
            keys = self.declared.key, learned.row_ids
            seen = provenance_at(self.rows.source, self.plan.fit_columns, positions, keys)
            n_trained = len(learned.matrix)
            del learned, stopping  # no two folds' matrices at once
            with self.clock.stage("judging"):
                unseen = self.own_rows(folds, fold, features, fits)
                rows = n_trained, len(unseen.matrix)
                return [FoldFit(fold.name, *rows, replace(fit, seen=seen), judge.of_rows(fit, unseen)) for fit in fits]

    def solved(
        self, folds: Folds, fold: Fold, fitted: Fitted, judge: Judge[Found], path: CovariancePath
    ) -> list[FoldFit[Found]]:
        """Every model of the path, solved and judged without a row."""
        features = FittedFeatures(self.plan, fitted, self.backend)
        with within(fold), self.clock.stage("training"):
            found = path.solved(fold.trains, fold.tests, fitted, features.names)
        keys = self.declared.key, folds.identities(fold.trains)
        seen = provenance_at(self.rows.source, self.plan.fit_columns, folds.positions(fold.trains), keys)
        fits = [replace(self._fit(features, model, found.notes), seen=seen) for model in found.models]
        return [
            FoldFit(fold.name, found.n_trained, found.n_judged, fit, judge.of_scores(found, number))
            for number, fit in enumerate(fits)
        ]

    def own_rows(self, folds: Folds, fold: Fold, features: FittedFeatures, fits: Sequence[Fit]) -> Examples:
        """The features of the rows that a fold is judged on, which its models take."""
        rows = RowsOf(self.rows, folds, fold.tests)
        unseen = self._examples(features, rows, f"fold {fold.name}, judging", checked=False)
        if not all(takes_nan(fit.model) for fit in fits if fit.model is not None):
            with rows.all_placed(unseen.positions):
                refuse_nan(unseen.matrix, features.names, type(self.declared.model).__name__)
        return unseen

    def _examples(self, features: FittedFeatures, rows: Rows, what: str, *, checked: bool = True) -> Examples:
        self.trips += 1
        device = training_device(features.backend, self.declared.model)[0] if checked else None
        found = examples(features, rows, self.crew, self.progress, what=what, device=device)
        if checked:
            with rows.all_placed(found.positions):
                checked_rows(found, rows, describe(self.declared.model), features)
        return found

    def _taught(
        self, model: Any, features: FittedFeatures, found: Examples, rows: Rows, stopping: Examples | None
    ) -> Fit:
        declared = replace(self.declared, model=model)
        held: Validation | None = None
        if stopping is not None:
            held = (stopping.matrix, stopping.target, stopping.weights, stopping.groups)
        with self.clock.stage("training"):
            told = taught(declared, features, found, rows, held)
        self.told.append(told)
        return self._fit(features, told.model, told.notes)

    def _fit(self, features: FittedFeatures, model: Model | None, notes: dict[str, Any]) -> Fit:
        own = self.declared
        key = {"key": own.key} if own.key else {}
        probe = _probe(self.rows)
        return Fit(features, model, own.target, own.weights, own.task, probe, {**key, **notes}, own.groups)


def _probe(rows: Rows) -> Frame | None:
    """A few rows to score again at load; their identities do not matter."""
    head = rows.head
    return None if head is None else Frame(dict(head.columns), head.n_rows, np.arange(head.n_rows, dtype=np.uint64))
