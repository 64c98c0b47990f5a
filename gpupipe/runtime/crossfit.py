"""One trip over the rows, a fitted pipeline for each fold: states by fold, put together and finished for each."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np

from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.backend import Backend
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Column, Frame
from gpupipe.compiler.again import columns_again
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.plan import TASKS, Plan
from gpupipe.errors import ParameterError
from gpupipe.expr.node import show
from gpupipe.models.estimators import describe
from gpupipe.models.model import Validation
from gpupipe.models.scoring import refuse_nan, takes_nan
from gpupipe.runtime.clock import Clock
from gpupipe.runtime.dealing import Dealing, deal, identity_of, refuse_unknown
from gpupipe.runtime.execute import no_rows, workers
from gpupipe.runtime.fit import Declared, checked_rows, taught
from gpupipe.runtime.fitting import Examples, examples, group_identity, target_column
from gpupipe.runtime.fold_scans import ScansByFold, within
from gpupipe.runtime.folds import Fold, Folds, RowsOf
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.provenance import provenance_at
from gpupipe.runtime.report import Report
from gpupipe.runtime.rows import Rows
from gpupipe.sources.source import Source

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, eq=False)
class FoldFit(Generic[Found]):
    """One fold: what it is called, how many rows it trained with, its fit, and what was found of its own rows."""

    name: Any
    n_trained: int
    fit: Fit
    found: Found


def cross_fit(
    declared: Declared,
    source: Source,
    asked: Dealing,
    backend: Backend,
    progress: Progress,
    judge: Callable[[Fit, Examples], Found],
    models: Sequence[Any],
    memory: int | str | None = None,
) -> tuple[list[list[FoldFit[Found]]], Report]:
    """Every fold's features learned from one scan, each of `models` trained, and `judge` asked about the fold's rows.

    One training matrix is held at a time.

    Args:
        judge: (the fold's fit, its own rows with their features) -> whatever is to be kept of them.
        models: estimator objects, trained on the same features one after the other.
        memory: as `Pipeline` takes it.

    Returns:
        For each fold a list, one of each model; and what was done.

    Raises:
        PlanError: before anything is read.
        DataError, ModelError: while reading or training.
    """
    clock = Clock()
    plan = _checked_plan(declared, source, asked)
    rows = _rows(declared, source, asked, plan, backend, memory)
    if source.n_rows == 0:
        raise no_rows(rows)
    with rows, workers(rows.n_workers) as pool:
        run = _Run(declared, plan, rows, backend, pool, progress, clock)
        with clock.stage("statistics"):
            folds = deal(asked, rows, run.labels(asked), _together(declared, asked), pool, progress)
            fitted = run.scans.learned(folds)
        each = [run.trained(folds, fold, one, judge, models) for fold, one in zip(folds.folds, fitted, strict=True)]
        kept, spilled = rows.kept_bytes, rows.spilled_bytes
    progress.end()
    clock.seconds["total"] = sum(clock.seconds.values())
    report = Report(
        scans=run.scans.trips + run.trips + asked.looks_first,
        source_reads=rows.source_reads,
        bytes_read=rows.bytes_read,
        seconds=clock.seconds,
        refinements=run.scans.refinements,
        rows=rows.report.rows_kept,
        rows_filtered=rows.report.rows_filtered,
        rows_without_key=rows.report.rows_without_key,
        kept_bytes=kept,
        spilled_bytes=spilled,
        read_again=rows.read_again,
    )
    return each, report


def _rows(
    declared: Declared, source: Source, asked: Dealing, plan: Plan, backend: Backend, memory: int | str | None
) -> Rows:
    identity = identity_of(asked.groups) if asked.groups else None
    if identity is None and not declared.key:
        identity = group_identity(plan, backend)
    columns = list(dict.fromkeys([*plan.fit_columns, *asked.columns]))
    again = columns_again(plan, features=True) if plan.scans and not asked.looks_first else None
    return Rows(source, columns, needed_again=again, memory=memory, identity=identity)


def _checked_plan(declared: Declared, source: Source, asked: Dealing) -> Plan:
    asked.check_columns(source.schema)
    if isinstance(asked.folds, str):  # no feature: nothing of the kind is known of later rows
        declared = replace(declared, aside=(*declared.aside, asked.folds))
    plan = declared.plan(source.schema)
    row = describe(declared.model)
    if asked.stratify is True and (declared.task != TASKS[0] or plan.target_names is not None):
        raise ParameterError(
            f"stratify=True deals equal shares of the target's classes, and {row.name} learns "
            f"{'several targets' if plan.target_names is not None else 'no classes'}. "
            "Leave it out, or name the column to stratify by."
        )
    own = declared.key or (None if declared.groups is None else show(declared.groups))
    if asked.groups and own not in (None, asked.groups):
        raise ParameterError(
            f"groups={asked.groups!r} was given, and the pipeline keeps rows of one {own!r} together. Leave groups= "
            f"out, or declare Pipeline(key={asked.groups!r})."
        )
    if asked.validation is None and row.alone is not None:
        _refuse_alone(row.alone, declared.model)
    if asked.validation is not None and row.early_stopping is None:
        raise ParameterError(f"validation= was given, and {row.name} does not stop early. Leave it out.")
    return plan


def _refuse_alone(alone: Callable[[Any], None], model: Any) -> None:
    try:
        alone(model)
    except ParameterError as error:
        raise ParameterError(
            f"{type(model).__name__} stops early, and needs rows to stop by. A fold's own rows would judge what they "
            "chose: give validation=0.1, and so many of each fold's training rows are kept apart for it."
        ) from error


def _together(declared: Declared, asked: Dealing) -> str:
    """What rows of one identity have in common; empty: each has its own."""
    if declared.key or (asked.groups and declared.groups is None):
        return "key" if declared.key else "group"
    return "group" if declared.groups is not None else ""


@dataclass(eq=False)
class _Run:
    """A cross-validation under way; `trips` counts those over rows."""

    declared: Declared
    plan: Plan
    rows: Rows
    backend: Backend
    pool: Executor
    progress: Progress
    clock: Clock
    trips: int = 0

    @cached_property
    def scans(self) -> ScansByFold:
        """The trips that statistics need."""
        return ScansByFold(self.plan, self.rows, self.backend, self.pool, self.progress)

    def labels(self, asked: Dealing) -> Callable[[Frame], Column] | None:
        """A frame to what is stratified by."""
        if isinstance(asked.stratify, str):
            return lambda frame: _known(frame[str(asked.stratify)], str(asked.stratify))
        if asked.stratify:
            return target_column(self.plan, self.backend)
        return None

    def trained(
        self,
        folds: Folds,
        fold: Fold,
        fitted: Fitted,
        judge: Callable[[Fit, Examples], Found],
        models: Sequence[Any],
    ) -> list[FoldFit[Found]]:
        """Each of `models` trained on the fold's training rows, and asked about its own."""
        features = FittedFeatures(self.plan, fitted, self.backend)
        training = RowsOf(self.rows, folds, fold.trains)
        with within(fold):
            with self.clock.stage("features"):
                learned = self._examples(features.for_training(), training)
                stopping = self._examples(features, RowsOf(self.rows, folds, fold.stops)) if fold.stops else None
            fits = [self._taught(model, features, learned, training, stopping) for model in models]
            positions = [*learned.positions, *([] if stopping is None else stopping.positions)]
            keys = self.declared.key, learned.row_ids
            seen = provenance_at(self.rows.source, self.plan.fit_columns, positions, keys)
            fits = [replace(fit, seen=seen) for fit in fits]
            n_trained = len(learned.matrix)
            del learned, stopping  # no two folds' matrices at once
            with self.clock.stage("judging"):
                return self._judged(fold, features, fits, n_trained, folds, judge)

    def _judged(
        self,
        fold: Fold,
        features: FittedFeatures,
        fits: Sequence[Fit],
        n_trained: int,
        folds: Folds,
        judge: Callable[[Fit, Examples], Found],
    ) -> list[FoldFit[Found]]:
        rows = RowsOf(self.rows, folds, fold.tests)
        unseen = self._examples(features, rows, checked=False)
        if not all(takes_nan(fit.model) for fit in fits if fit.model is not None):
            with rows.all_placed(unseen.positions):
                refuse_nan(unseen.matrix, features.names, type(self.declared.model).__name__)
        return [FoldFit(fold.name, n_trained, fit, judge(fit, unseen)) for fit in fits]

    def _examples(self, features: FittedFeatures, rows: Rows, *, checked: bool = True) -> Examples:
        self.trips += 1
        found = examples(features, rows, self.pool, self.progress)
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
            trained, notes = taught(declared, features, found, rows, held)
        key = {"key": declared.key} if declared.key else {}
        return Fit(
            features, trained, declared.target, declared.weights, declared.task, _probe(self.rows),
            {**key, **notes}, declared.groups,
        )  # fmt: skip


def _known(column: Column, name: str) -> Column:
    refuse_unknown(column, name, "stratify")
    return column


def _probe(rows: Rows) -> Frame | None:
    """A few rows to score again at load; their identities do not matter."""
    head = rows.head
    return None if head is None else Frame(dict(head.columns), head.n_rows, np.arange(head.n_rows, dtype=np.uint64))
