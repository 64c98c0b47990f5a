"""From fitted features to the trained model, as was declared: from covariances, on partitions, or on all rows."""

from contextlib import ExitStack
from typing import Any

from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Values
from gpupipe.errors import UnsupportedEstimatorError
from gpupipe.models.estimators import describe
from gpupipe.models.model import Validation
from gpupipe.models.partitions.table import remedies
from gpupipe.runtime.clock import Clock
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.fitting import examples
from gpupipe.runtime.given import for_given
from gpupipe.runtime.linear.fit import LinearFit
from gpupipe.runtime.progress import Progress, during
from gpupipe.runtime.reductions.fit import trained_on_partitions
from gpupipe.runtime.reductions.trips import Trips
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.teaching import (
    FROM_COVARIANCES,
    Taught,
    checked_rows,
    taught,
    training_device,
)
from gpupipe.sources.source import Source

ON_PARTITIONS = "it is trained on partitions, by the host"


def refuse_on_cluster(declared: Any, linear: LinearFit, crew: Crew) -> None:
    """Refuse, before anything is read, to bring all rows of a cluster into this process unless that was asked for.

    Raises:
        UnsupportedEstimatorError: the model needs them.
    """
    if crew.is_near or declared.model is None or declared.training is not None or linear.refused is None:
        return
    name = describe(declared.model).name
    why = f" ({linear.refused})" if linear.on_rows else ""
    raise UnsupportedEstimatorError(
        f"{name} is trained on a matrix of all rows{why}, and the rows are on a cluster. Give training='partitions', "
        f"which trains where the rows are. {remedies()}"
    )


def trained(
    declared: Any,
    features: FittedFeatures,
    rows: Rows,
    validation: Source | None,
    crew: Crew,
    progress: Progress,
    clock: Clock,
    linear: LinearFit,
) -> tuple[Taught, Values | None]:
    """The model, and the identities of the rows it learned from; nothing where none was declared.

    Raises:
        DataError, ModelError: rows, or an estimator, that cannot be trained on or so.
    """
    if declared.model is None:
        return Taught(None, {}), None
    if linear.refused is None:
        with clock.stage("training"):
            solved = linear.trained(features, rows, crew, progress)
        if solved is not None:
            model, notes, row_ids = solved
            how = "from covariances of the first scan" if linear.made_no_trip else "from covariances, one trip"
            return Taught(model, notes, FROM_COVARIANCES, how), row_ids
        refuse_on_cluster(declared, linear, crew)
    if declared.training == "partitions":
        with clock.stage("training"):
            return _on_partitions(declared, features, rows, validation, crew, progress)
    return _on_rows(declared, features, rows, validation, crew, progress, clock)


def _on_partitions(
    declared: Any, features: FittedFeatures, rows: Rows, validation: Source | None, crew: Crew, progress: Progress
) -> tuple[Taught, Values]:
    trips = Trips(features.for_training(), rows, crew, progress)
    keeps_ids = bool(declared.key) or declared.groups is not None
    with ExitStack() as stack:
        held = None
        if validation is not None:
            given = for_given(features, declared.target, validation)
            there = Rows(validation, given.plan.fit_columns, memory=rows.memory, schema=given.plan.schema)
            held = Trips(given, stack.enter_context(there), crew, progress)
        found = trained_on_partitions(declared.model, trips, held, keeps_ids=keeps_ids)
    return Taught(found.model, found.notes, ON_PARTITIONS, found.how, trips.made), found.row_ids


def _on_rows(
    declared: Any,
    features: FittedFeatures,
    rows: Rows,
    validation: Source | None,
    crew: Crew,
    progress: Progress,
    clock: Clock,
) -> tuple[Taught, Values]:
    row = describe(declared.model)
    device, _ = training_device(features.backend, declared.model)
    with clock.stage("features"):
        found = examples(features.for_training(), rows, crew, progress, device=device)
        with rows.all_placed(found.positions):
            checked_rows(found, rows, row, features)
        held: Validation | None = None
        if validation is not None:
            given = for_given(features, declared.target, validation)
            there: dict[str, Any] = {"schema": given.plan.schema, "device": features.backend.device}
            with Rows(validation, given.plan.fit_columns, keep=False, **there) as other:
                unseen = examples(given, other, crew, progress, what="validation", device=device)
                with other.all_placed(unseen.positions):
                    checked_rows(unseen, other, row, features)
            held = (unseen.matrix, unseen.target, unseen.weights, unseen.groups)
    with clock.stage("training"), during(progress, f"training {row.name}"):
        return taught(declared, features, found, rows, held), found.row_ids
