"""How a worker reads one partition: what it is told of it, and what it tells."""

import time
import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from gpupipe.backends import devices
from gpupipe.clusters.sizes import result_bytes
from gpupipe.columns import Frame
from gpupipe.runtime.elsewhere import HEAD, HowRead, Note, as_asked, first_rows
from gpupipe.runtime.fixed import read_only
from gpupipe.runtime.halving import once_more
from gpupipe.runtime.quarantine import Quarantine, load
from gpupipe.schema import Schema
from gpupipe.sources.dask_frames import with_rows
from gpupipe.sources.dask_rows import Columns
from gpupipe.sources.load import loaded
from gpupipe.sources.partition import Partition
from gpupipe.sources.steps import Step


@dataclass(frozen=True, eq=False)
class Recipes:
    """How the partitions of some rows are read; sent to a worker once.

    Attributes:
        steps, schema: of the source.
        how: what is done besides.
        label, n_partitions: of the source, for messages.
        whole: the schema after all steps.
    """

    steps: tuple[Step, ...]
    schema: Schema
    how: HowRead
    label: str
    n_partitions: int
    whole: Schema


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One partition to be read.

    Attributes:
        partition, index: the recipe, and its number.
        needed: the columns needed from the reader, then after each step.
        wanted: those that are kept.
        tells_head: whether its first rows may be those that an artifact keeps.
        may_be_left_out, is_left_out: whether it counts as a partition without rows if it cannot be read; and anyway.
    """

    partition: Partition
    index: int
    needed: tuple[tuple[str, ...], ...]
    wanted: tuple[str, ...]
    tells_head: bool = True
    may_be_left_out: bool = False
    is_left_out: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What the reading of a partition told.

    Attributes:
        index: the partition.
        note, seconds, token: what it told, how long it took, and which reading it was.
        io_retries, retries: how often a read was tried again after a failure, and for want of memory.
    """

    index: int
    note: Note
    seconds: float
    token: str
    io_retries: int
    retries: int


@dataclass(frozen=True, eq=False)
class Held:
    """A partition that was read, on its worker."""

    frame: Frame
    told: Told

    def __sizeof__(self) -> int:
        return 1_000 + result_bytes(self.frame) + self.frame.row_ids.nbytes


def read(recipes: Recipes, asked: Asked, *computed: Columns) -> Held:
    """Read a partition.

    Args:
        computed: of a Dask frame, what it computed of the partition.

    Raises:
        DataError: with its place.
    """
    for columns in computed:
        asked = replace(asked, partition=with_rows(asked.partition, columns))
    rows = WorkerRows(recipes, asked)
    return once_more(rows, asked.index, rows.load)


class WorkerRows:
    """What an order may ask of the rows of a partition, on a worker: see :class:`gpupipe.runtime.orders.PartitionRows`.

    Args:
        held: the partition, where it was read already.
    """

    def __init__(self, recipes: Recipes, asked: Asked, held: Held | None = None) -> None:
        self._recipes, self._asked, self._held = recipes, asked, held
        self.n_partitions = recipes.n_partitions
        self.source: Any = SimpleNamespace(partitions={asked.index: asked.partition}, label=recipes.label)
        self.retries = self.io_retries = 0

    def load(self) -> Held:
        """Read it."""
        asked, recipes = self._asked, self._recipes
        started = time.perf_counter()
        device = devices.gpu().device if recipes.how.on_device else None
        how = (asked.partition, asked.index, asked.needed, recipes.steps, recipes.schema, device)
        quarantine = Quarantine() if asked.may_be_left_out or asked.is_left_out else None
        if quarantine is not None and asked.is_left_out:
            quarantine.add(asked.index, asked.partition, "")
        what = (asked.index, asked.partition, recipes.whole.select(asked.wanted))
        frame, report = load(lambda: loaded(*how), *what, quarantine, self._tried_again)
        frame = as_asked(asked.partition, frame.select(asked.wanted), recipes.how.schema, recipes.how.identity)
        left_out = None if quarantine is None else quarantine.why(asked.index)
        head = first_rows(frame, min(HEAD, frame.n_rows)) if asked.tells_head else None
        note = Note(report, frame.n_rows, head, left_out)
        cost = time.perf_counter() - started, uuid.uuid4().hex, self.io_retries, self.retries
        return Held(read_only(frame), Told(asked.index, note, *cost))

    def _tried_again(self) -> None:
        self.io_retries += 1

    def note_retry(self) -> None:
        """Something is tried again for want of memory."""
        self.retries += 1

    def leave_device(self) -> None:
        """Nothing is kept on a device."""

    def placed(self, index: int, frame: Frame) -> AbstractContextManager[None]:
        """Errors of data inside say where in the source the row of a partition's frame stands."""
        found: AbstractContextManager[None] = self._asked.partition.placed(frame)
        return found

    @property
    def quarantine(self) -> tuple[int, ...]:
        """The partition, if it was left out."""
        note = self.noted(self._asked.index)
        return () if note is None or note.left_out is None else (self._asked.index,)

    def noted(self, index: int) -> Note | None:
        """What reading told."""
        return None if self._held is None else self._held.told.note
