"""From fitted features to the trained model, as was declared: from covariances, on partitions, or on all rows."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Values
from gpupipe.errors import UnsupportedEstimatorError
from gpupipe.kernels.gpu.device import Device
from gpupipe.models.partitions.table import remedies, way_of
from gpupipe.optional import later
from gpupipe.runtime.clock import Clock
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.fitting import Examples, examples
from gpupipe.runtime.given import for_given
from gpupipe.runtime.linear.fit import LinearFit
from gpupipe.runtime.progress import Progress, during
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.teaching import (
    FROM_COVARIANCES,
    Taught,
    checked_rows,
    taught,
    training_device,
)
from gpupipe.sources.source import Source

if TYPE_CHECKING:
    from gpupipe.models.estimators import describe
    from gpupipe.models.model import Validation
    from gpupipe.runtime.reductions.fit import trained_on_partitions
    from gpupipe.runtime.reductions.grown import refuse_no_gpus
    from gpupipe.runtime.reductions.trips import Trips
else:
    (describe,) = later("gpupipe.models.estimators", "describe")
    (trained_on_partitions,) = later("gpupipe.runtime.reductions.fit", "trained_on_partitions")
    (refuse_no_gpus,) = later("gpupipe.runtime.reductions.grown", "refuse_no_gpus")
    (Trips,) = later("gpupipe.runtime.reductions.trips", "Trips")

ON_PARTITIONS = "it is trained on partitions, by the host"


def refuse_on_cluster(declared: Any, linear: LinearFit, crew: Crew) -> None:
    """Refuse, before anything is read, to bring all rows of a cluster into this process unless that was asked for.

    Raises:
        UnsupportedEstimatorError: the model needs them; or it is trained by GPUs of a cluster, and there are none.
    """
    if declared.model is not None and declared.training == "partitions":
        row, way = way_of(declared.model)
        if way.on_gpus:
            refuse_no_gpus(crew, row, way)
    if crew.is_near or declared.model is None or declared.training is not None or linear.refused is None:
        return
    name = describe(declared.model).name
    why = f" ({linear.refused})" if linear.on_rows else ""
    raise UnsupportedEstimatorError(
        f"{name} is trained on a matrix of all rows{why}, and the rows are on a cluster. Give training='partitions', "
        f"which trains where the rows are. {remedies()}"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What a model is trained with: what was declared, the fitted features, the rows, and who goes over them.

    Attributes:
        validation: rows for a model that stops early, or None.
    """

    declared: Any
    features: FittedFeatures
    rows: Rows
    validation: Source | None
    crew: Crew
    progress: Progress
    clock: Clock

    def trained(self, linear: LinearFit) -> tuple[Taught, Values | None]:
        """The model, and the identities of the rows it learned from; nothing where none was declared.

        Raises:
            DataError, ModelError: rows, or an estimator, that cannot be trained on or so.
        """
        if self.declared.model is None:
            return Taught(None, {}), None
        if linear.refused is None:
            with self.clock.stage("training"):
                solved = linear.trained(self.features, self.rows, self.crew, self.progress)
            if solved is not None:
                model, notes, row_ids = solved
                how = "from covariances of the first scan" if linear.made_no_trip else "from covariances, one trip"
                return Taught(model, notes, FROM_COVARIANCES, how), row_ids
            refuse_on_cluster(self.declared, linear, self.crew)
        if self.declared.training == "partitions":
            with self.clock.stage("training"):
                return self._on_partitions()
        return self._on_rows()

    def _on_partitions(self) -> tuple[Taught, Values]:
        trips = Trips(self.features.for_training(), self.rows, self.crew, self.progress)
        keeps_ids = bool(self.declared.key) or self.declared.groups is not None
        with ExitStack() as stack:
            held = None
            if self.validation is not None:
                given = for_given(self.features, self.declared.target, self.validation)
                there: dict[str, Any] = {"schema": given.plan.schema, "memory": self.rows.memory}
                unseen = stack.enter_context(Rows(self.validation, given.plan.fit_columns, **there))
                held = Trips(given, unseen, self.crew, self.progress)
            found = trained_on_partitions(self.declared.model, trips, held, keeps_ids=keeps_ids)
        why = ON_PARTITIONS if found.by_host else None
        return Taught(found.model, found.notes, why, found.how, trips.made), found.row_ids

    def _on_rows(self) -> tuple[Taught, Values]:
        row = describe(self.declared.model)
        device, _ = training_device(self.features.backend, self.declared.model)
        with self.clock.stage("features"):
            found = self._examples(self.features.for_training(), self.rows, "features", device)
            held: Validation | None = None
            if self.validation is not None:
                given = for_given(self.features, self.declared.target, self.validation)
                there: dict[str, Any] = {"schema": given.plan.schema, "device": self.features.backend.device}
                with Rows(self.validation, given.plan.fit_columns, keep=False, **there) as other:
                    unseen = self._examples(given, other, "validation", device)
                held = (unseen.matrix, unseen.target, unseen.weights, unseen.groups)
        with self.clock.stage("training"), during(self.progress, f"training {row.name}"):
            return taught(self.declared, self.features, found, self.rows, held), found.row_ids

    def _examples(self, features: FittedFeatures, rows: Rows, what: str, device: Device | None) -> Examples:
        """All rows in one place, seen to be such that the model takes them."""
        found = examples(features, rows, self.crew, self.progress, what=what, device=device)
        with rows.all_placed(found.positions):
            checked_rows(found, rows, describe(self.declared.model), self.features)
        return found
