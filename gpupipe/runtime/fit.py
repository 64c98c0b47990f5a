"""One fit, from declarations and a source to everything a pipeline keeps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpupipe.artifact.pipeline import Fit
from gpupipe.artifact.seen import Provenance
from gpupipe.backends.backend import Backend
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Frame, Values
from gpupipe.compiler.again import columns_again
from gpupipe.compiler.expand import columns_of
from gpupipe.compiler.plan import TASKS, Plan, make_plan
from gpupipe.compiler.words import no_number, noted
from gpupipe.errors import NullableFeatureError, TargetError, counted
from gpupipe.expr.node import Node
from gpupipe.models.partitions.table import refuse_beside, way_of
from gpupipe.optional import later
from gpupipe.runtime.beneath import known_width
from gpupipe.runtime.carried import Carried, with_all_values
from gpupipe.runtime.clock import Clock
from gpupipe.runtime.crew import crew_for
from gpupipe.runtime.execute import run_scans
from gpupipe.runtime.finishing import no_rows
from gpupipe.runtime.fitting import group_identity
from gpupipe.runtime.journal.asked import Asked, begun_as, kept_by, resumed
from gpupipe.runtime.linear.fit import LinearFit, linear_fit
from gpupipe.runtime.prediction import predicted
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.quarantine import Quarantine
from gpupipe.runtime.report import Report, held_memory, report_of, taken_since
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.seen.provenance import keyed_by, provenance
from gpupipe.runtime.seen.twins import refuse_target_elsewhere
from gpupipe.runtime.teaching import training_device, where_computed
from gpupipe.runtime.training import Training, refuse_on_cluster
from gpupipe.schema import Schema
from gpupipe.sources.source import Source

if TYPE_CHECKING:
    from gpupipe.models.estimators import Row, describe, takers_of_nan
    from gpupipe.models.families.ranking import refuse_groups
    from gpupipe.models.targets import refuse_number
    from gpupipe.runtime.journal.identity import identity
else:
    describe, takers_of_nan = later("gpupipe.models.estimators", "describe", "takers_of_nan")
    (refuse_groups,) = later("gpupipe.models.families.ranking", "refuse_groups")
    (refuse_number,) = later("gpupipe.models.targets", "refuse_number")
    (identity,) = later("gpupipe.runtime.journal.identity", "identity")


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """What a pipeline was given, as nodes.

    Attributes:
        features: the features, selectors still in them.
        target, weights: expressions, or None.
        model: an estimator object, or None.
        key: the column that row identity comes from, or None.
        aside: further columns that are no features: the one y was taken from.
        groups: the expression of what a ranker's rows are ranked in, or None.
        fitted_task: without a model, the task of the one that the features were fitted for, or None.
        training: as `Pipeline` takes it.
    """

    features: list[Node]
    target: Node | None
    weights: Node | None
    model: Any
    key: str | None
    aside: tuple[str, ...] = ()
    groups: Node | None = None
    fitted_task: str | None = None
    training: str | None = None

    @property
    def apart(self) -> list[str]:
        """The columns declared for the target, the weights, the groups and the key, which no feature may use."""
        nodes = [node for node in (self.target, self.weights, self.groups) if node is not None]
        return [*columns_of(nodes), *([self.key] if self.key else [])]

    @property
    def row(self) -> "Row | None":
        """The model's row in the table of estimators."""
        return None if self.model is None else describe(self.model)

    @property
    def task(self) -> str | None:
        """What kind of target the model learns; None leaves it to the target's type."""
        kind = None if self.row is None else self.row.kind
        return {"classifier": TASKS[0], "regressor": TASKS[1], "ranker": TASKS[1]}.get(kind or "", self.fitted_task)

    def plan(self, schema: Schema) -> Plan:
        """The plan against a schema.

        Raises:
            PlanError: any of its kinds.
        """
        row = self.row
        if row is not None and row.supervised and self.target is None:
            raise TargetError(
                f"{row.name} needs a target: it requires y to be passed, but the target y is None. "
                "Give Pipeline(target=…), or fit(X, y)."
            )
        aside = [*self.aside, *([self.key] if self.key else [])]
        if row is not None:
            refuse_groups(row, self.groups)
        beside = {"target": self.target, "weights": self.weights, "groups": self.groups}
        plan = make_plan(schema, self.features, **beside, task=self.task, key=aside)
        if row is not None and plan.target is not None:
            refuse_number(row, plan.target_names)
        if row is not None:
            _refuse_text(plan, row)
        if row is not None and not row.accepts_nan:
            _refuse_nullable(plan, row)
        if row is not None and self.training == "partitions":
            refuse_beside(*way_of(self.model), weights=self.weights is not None, targets=len(plan.targets))
        return plan


def _refuse_text(plan: Plan, row: "Row") -> None:
    for feature in plan.features:
        if feature.dtype.name == "String" or feature.dtype.is_temporal:
            why = noted(columns_of([feature.node]), plan.schema.notes)
            raise no_number(feature.name, feature.dtype, f"{row.name} learns from", why)


def _refuse_nullable(plan: Plan, row: "Row") -> None:
    nullable = [feature.name for feature in plan.features if feature.info.nullable]
    if nullable:
        shown = ", ".join(repr(name) for name in nullable[:8]) + (", …" if len(nullable) > 8 else "")
        raise NullableFeatureError(
            f"{row.name} takes no nulls, and {counted(len(nullable), 'feature')} may hold some: {shown}. (NaN of NumPy "
            f"and pandas is null too.) Use .fill_null(…){takers_of_nan(row.name)}."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A finished fit, what it did, and its rows, which whoever has no more use for them closes."""

    fit: Fit
    report: Report
    rows: Rows


def run_fit(
    declared: Declared,
    source: Source,
    validation: Source | None,
    backend: Backend,
    progress: Progress,
    memory: int | str | None = None,
    *,
    transform: str | None = None,
    carried: Carried | None = None,
    run: Asked | None = None,
    quarantine: Quarantine | None = None,
) -> Outcome:
    """Plan, scan, train. The outcome's rows are open still.

    Args:
        memory: as `Pipeline` takes it.
        transform: what is made next of the training rows' features, of the outcome's rows: ``matrix``, of float32
            on the host, or ``columns``; None: nothing.
        carried: the states of earlier rows, and where those of all are kept.
        quarantine: where partitions go that cannot be read; None: nowhere, their error is raised.
        run: where what comes of partitions is kept, so that another process can go on; None: nowhere.

    Raises:
        PlanError: before anything is read.
        DataError, ModelError: while reading or training.
        RunError: the run is of something else, another process's, or altered.
    """
    clock, before, plan = Clock(), held_memory(), planned(declared, source.schema, carried)
    refuse_target_elsewhere(plan, declared.target, source)
    trains, linear = declared.model is not None, _linear(declared, plan, validation, carried, backend)
    sums = declared.training == "partitions"
    again = columns_again(plan, features=trains and linear.beside is None, given_back=bool(transform) or sums)
    rows = _rows(declared, source, plan, carried, backend, quarantine, needed_again=again, memory=memory)
    parts = carried or run or sums or quarantine
    rows.makes_matrix(None if parts else known_width(plan, transform, trains and bool(linear.refused)))
    besides = _expected(plan, rows, again, None if linear.beside or sums else declared.row, carried)
    of = partial(_identity, declared, plan, source, validation, carried)
    with rows.closed_on_error(), begun_as(run, of) as journal, crew_for(rows) as hands:
        crew = kept_by(hands, journal)
        refuse_on_cluster(declared, linear, crew)
        with clock.stage("statistics"):
            by: dict[str, Any] = {"trains": bool(transform) or trains, "beside": linear.beside}
            features = FittedFeatures(plan, run_scans(plan, rows, backend, crew, progress, carried, **by), backend)
        told, row_ids = Training(declared, features, rows, validation, crew, progress, clock).trained(linear)
        probe = _probe(rows)
    progress.end()
    trips = len(plan.scans) + (0 if not trains or linear.made_no_trip else told.trips)
    besides |= {"memory": taken_since(before), "training": told.how, "resumed": resumed(journal)}
    besides |= where_computed(backend, rows, declared.model, told)
    report = replace(report_of(rows, trips, clock.total(), features.constant_divisors(), linear.on_rows), **besides)
    seen = _seen(declared, source, validation, plan, carried, row_ids)
    beside = declared.target, declared.weights, declared.task, probe, _notes(declared) | told.notes, declared.groups
    return Outcome(Fit(features, told.model, *beside, seen), report, rows)


def _identity(
    declared: Declared, plan: Plan, source: Source, validation: Source | None, carried: Carried | None
) -> dict[str, Any]:
    """What a run is of: what its results depend on, and no more."""
    sources = {"training": source} | ({} if validation is None else {"validation": validation})
    keeps = None if carried is None else "values" if carried.exact else "yes"
    options = {"key": declared.key, "keep_state": keeps, "training": declared.training}
    return identity(plan, declared.target, declared.model, sources, **options)


def _notes(declared: Declared) -> dict[str, Any]:
    return {"key": declared.key} if declared.key else {}


def _expected(
    plan: Plan, rows: Rows, again: Sequence[str], model: "Row | None", carried: Carried | None
) -> dict[str, Any]:
    """What the fit was expected to cost; nothing is told of an update, which reads some of its rows."""
    updates = carried is not None and carried.newest is not None
    return {} if updates else {"predicted": predicted(plan, rows, again, model)}


def _linear(
    declared: Declared, plan: Plan, validation: Source | None, carried: Carried | None, backend: Backend
) -> LinearFit:
    """How the model is fitted if it is a linear one. Refuses, before anything is read, an estimator that needs rows to
    stop early by, or that the GPU was asked to train and cannot as it is.
    """
    if validation is None and declared.row is not None and declared.row.alone is not None:
        declared.row.alone(declared.model)
    how = {"joins": carried is None, "gathers": declared.training == "gather"}
    linear = linear_fit(plan, declared.model, stops_early=validation is not None, **how)
    if declared.model is not None and linear.beside is None:
        training_device(backend, declared.model)
    return linear


def _rows(
    declared: Declared,
    source: Source,
    plan: Plan,
    carried: Carried | None,
    backend: Backend,
    quarantine: Quarantine | None,
    **how: Any,
) -> Rows:
    """The rows to be read: of an update the new ones, and those that came before where a statistic needs them."""
    started: dict[str, Any] = {} if carried is None else {"first": carried.first, "schema": source.schema}
    together = None if declared.key else group_identity(plan, backend)
    rows = Rows(source, plan.fit_columns, device=backend.device, identity=together, **how, **started)
    rows.quarantine = quarantine
    if source.n_rows == 0 and (carried is None or carried.newest is None):  # new ones may be none
        raise no_rows(rows)
    return rows


def _seen(
    declared: Declared,
    source: Source,
    validation: Source | None,
    plan: Plan,
    carried: Carried | None,
    row_ids: Values | None,
) -> Provenance:
    """The rows that this fit has seen: of an update the new ones, as they were given."""
    new = source if carried is None or carried.newest is None else carried.newest.given
    name = keyed_by(new, None if declared.key else declared.groups)
    return provenance(new, validation, plan.fit_columns, (name, row_ids))


def planned(declared: Declared, schema: Schema, carried: Carried | None = None) -> Plan:
    """The plan, with the states that are to be carried over."""
    plan = declared.plan(schema)
    return plan if carried is None or not carried.exact else with_all_values(plan)


def _probe(rows: Rows) -> Frame | None:
    """A few rows to score again at load; their identities do not matter."""
    if rows.head is None and rows.n_partitions:
        rows.frame(0)  # nothing was read so far: there are no statistics and no model
    head = rows.head
    return None if head is None else Frame(dict(head.columns), head.n_rows, np.arange(head.n_rows, dtype=np.uint64))
