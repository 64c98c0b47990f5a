"""What the GPUs of a cluster learn together, of the matrices that lie on its workers: see `clusters/growing.py`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gpupipe import optional
from gpupipe.columns import Values
from gpupipe.errors import counted
from gpupipe.models.fitted import Model
from gpupipe.models.model import model_of
from gpupipe.models.partitions.table import without_gpus
from gpupipe.runtime.progress import during
from gpupipe.runtime.reductions.boosted import Handing
from gpupipe.runtime.reductions.models import Task
from gpupipe.runtime.reductions.trips import Trips
from gpupipe.runtime.rows import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """What came out.

    Attributes:
        learned: as training on one GPU gives it.
        few: float32, some rows of the features: those that the library was asked about.
        n_workers: that took part.
    """

    learned: Any
    few: Values
    n_workers: int


class Grows(Protocol):
    """The workers of a cluster, where they have a GPU each."""

    def why_not(self) -> str | None:
        """Why they cannot, in a sentence; None: they can."""

    def learn(self, wanted: Any, rows: Rows, order: Any) -> Grown:
        """Train there on what an order makes of each partition."""


def refuse_no_gpus(crew: Any, row: Any, way: Any) -> None:
    """See that there are GPUs, for what they alone train on partitions.

    Raises:
        UnsupportedEstimatorError: there are none.
    """
    grows: Callable[[], Grows] | None = getattr(crew, "grows", None)
    why = "There is no cluster here." if grows is None else grows().why_not()
    if why is not None:
        raise without_gpus(row, way, why)


def grown(task: Task, trips: Trips) -> tuple[Model, str]:
    """The model, and how it was trained, in words.

    Raises:
        DeviceMemoryError: a GPU has not enough memory.
        TrainingError: cuml.dask refused.
        WorkerLostError, ClusterTimeoutError: workers were lost again and again, or it took too long.
    """
    together, training = optional.load("gpupipe.models.gpu.together"), optional.load("gpupipe.models.gpu.training")
    row, lesson, features = task.row, task.lesson, trips.features
    classes = None if lesson.classes is None else len(lesson.classes)
    params = task.clone.get_params(deep=False)
    wanted = together.Wanted(row.path, params, task.facts.n, len(features.names), classes)
    order = Handing("features on the workers", replace(lesson, resident=True))
    trips.made += 1
    crew: Any = trips.crew  # one that was seen to have it
    with during(trips.progress, f"training {row.name}"):
        found: Grown = crew.grows().learn(wanted, trips.rows, order)
    model = model_of(row, found.learned.body, found.learned.link, features.names, lesson.classes, None)
    training.compare_few(row, found.learned, model, found.few)
    return model, f"cuml.dask, on {counted(found.n_workers, 'worker')} with a GPU each; on them its bits hang"
