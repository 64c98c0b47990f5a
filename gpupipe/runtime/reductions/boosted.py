"""XGBoost on partitions: batches of features go to its data iterator as they are made."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from gpupipe.columns import Frame
from gpupipe.memory import memory_bytes
from gpupipe.models.partitions.boosted import BINS, Batch, Rounds, learn, rounds_of
from gpupipe.runtime.halving import in_parts
from gpupipe.runtime.reductions.lesson import Lesson, Part
from gpupipe.runtime.reductions.trips import Trips
from gpupipe.storage import scratch_folder

_SHARE = 4  # of the memory, that bins may take: columns kept for further trips take the most of it


@dataclass(frozen=True, eq=False)
class Handing:
    """The parts of each partition, as they are.

    Attributes:
        lesson: how they are made.
    """

    stage: str
    lesson: Lesson
    columns: Sequence[str] | None = None

    def ready(self) -> Callable[[Any, int, Frame], list[Part]]:
        """As any order's."""
        part = self.lesson.ready()
        return lambda rows, index, frame: in_parts(
            rows, index, frame, lambda start, stop: part(frame.rows(start, stop))
        )


@dataclass(slots=True, eq=False)
class Passes:
    """The batches of all rows, again and again."""

    lesson: Lesson
    trips: Trips
    what: str

    def __call__(self) -> Iterator[Batch]:
        """One pass, which begins when the first batch is asked for."""
        order = self.begun()
        for _, parts in self.trips.crew.results(self.trips.rows, order, self.trips.progress, in_order=True):
            for part in parts:
                yield part.X, part.y, part.weights

    def begun(self) -> Handing:
        """The order of a pass that begins."""
        order = Handing(f"{self.what} {self.trips.made}", self.lesson)
        self.trips.begin(order.stage)
        return order


def boosted(clone: Any, lesson: Lesson, trips: Trips, held: Trips | None, n_rows: int) -> str:
    """Train the clone; gives how, in words.

    Args:
        lesson: what partitions teach, the classes known.
        held: over the rows to stop early by.
        n_rows: to learn from.
    """
    rounds = rounds_of(clone, None if lesson.classes is None else len(lesson.classes), held=held is not None)
    unseen = None if held is None else Passes(replace(lesson, features=held.features), held, "validation, pass")
    boosts = getattr(trips.crew, "boosts", None)
    if boosts is not None:
        return _elsewhere(boosts, clone, rounds, Passes(lesson, trips, "features"), unseen)
    bins = n_rows * len(lesson.features.names) * (1 if rounds.max_bin <= BINS else 2)
    on_disk = bins > memory_bytes(trips.rows.memory) // _SHARE
    folder: AbstractContextManager[str | None] = nullcontext(None)
    if on_disk:
        folder = tempfile.TemporaryDirectory(prefix="gpupipe-bins-", dir=scratch_folder())
    with folder as path:
        learn(clone, rounds, Passes(lesson, trips, "features, pass"), unseen, path)
    where = "in temporary files" if on_disk else "in memory"
    return f"XGBoost's data iterator, {bins / 1e6:,.1f} MB of bins {where}"


def _elsewhere(boosts: Any, clone: Any, rounds: Rounds, training: Passes, held: Passes | None) -> str:
    """On the workers that the crew has."""
    handed = [None if some is None else (some.trips.rows, some.begun()) for some in (training, held)]
    boosts(clone, rounds, *handed)
    return "xgboost.dask, on the workers that have the partitions"
