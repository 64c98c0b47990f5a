"""What the workers of a cluster do, and Dask calls; all can be done again, on another one, and gives the same."""

import os
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from gpupipe.backends import devices
from gpupipe.clusters.bound import bound
from gpupipe.clusters.sealed import Sealed, opened, sealed
from gpupipe.clusters.sizes import result_bytes
from gpupipe.columns import AnyColumn, Frame, on_host
from gpupipe.errors import DeviceLostError
from gpupipe.runtime.elsewhere import HEAD, HowRead, Note, as_asked, first_rows
from gpupipe.runtime.fixed import read_only
from gpupipe.runtime.halving import in_quarters, once_more
from gpupipe.runtime.orders import Order
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
    """A partition that was read, on its worker.

    Attributes:
        frame, told: its rows, and what reading told.
        came: what came of an order that was carried out as it was read, until that is taken.
    """

    frame: Frame
    told: Told
    came: "list[Outcome]" = field(default_factory=list)

    def __sizeof__(self) -> int:  # by which Dask knows what a worker holds
        came = sum(map(Outcome.__sizeof__, self.came))
        return 1_000 + result_bytes(self.frame) + self.frame.row_ids.nbytes + came


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of an order, of one or several partitions.

    Attributes:
        result: that.
        indices: the partitions.
        read: of each what its reading told.
        retries: how many times something was tried again for want of memory.
    """

    result: Any
    indices: tuple[int, ...]
    read: tuple[Told, ...]
    retries: int = 0

    @cached_property
    def _size(self) -> int:  # asked for several times: counting hundreds of states takes a millisecond
        return 1_000 + result_bytes(self.result)

    def __sizeof__(self) -> int:
        return self._size


class Sent:
    """An order as it is sent: once to each worker, which unpacks it once."""

    def __init__(self, token: str, order: Order[Any]) -> None:
        self.token, self._packed = token, sealed(order)

    @cached_property
    def order(self) -> Order[Any]:
        """The order."""
        return self._packed.opened()

    def __getstate__(self) -> dict[str, Any]:
        return {"token": self.token, "_packed": self._packed}


def kept(thing: Any) -> Any:
    """What was sent, as it is: a worker keeps it for the tasks that take it."""
    return thing


def read(recipes: Recipes, asked: Asked | Sealed[Asked], *computed: Columns) -> Held:
    """Read a partition.

    Args:
        computed: of a Dask frame, what it computed of the partition.

    Raises:
        DataError: with its place.
    """
    asked = opened(asked)
    for columns in computed:
        asked = replace(asked, partition=with_rows(asked.partition, columns))
    rows = WorkerRows(recipes, asked)
    with _ends_without_device():
        return once_more(rows, asked.index, rows.load)


def selected(held: Held, columns: Sequence[str]) -> Held:
    """The columns that further trips need, on the host."""
    frame = held.frame.select(columns)
    host: dict[str, AnyColumn] = {name: on_host(frame.resident(name)) for name in frame.columns}
    return replace(held, frame=read_only(Frame(host, frame.n_rows, frame.row_ids, frame.places)))


def worked(recipes: Recipes, sent: Sent, asked: Asked | Sealed[Asked], held: Held, alone: bool = False) -> Outcome:
    """Carry an order out on a partition.

    Args:
        alone: with as little memory as can be: something went wrong with it before.
    """
    asked = opened(asked)
    rows, work, order = WorkerRows(recipes, asked, held), bound(sent.token, sent.order), sent.order
    frame = held.frame if order.columns is None else held.frame.select(order.columns)
    small: AbstractContextManager[None] = in_quarters() if alone else nullcontext()
    with _ends_without_device(), rows.placed(asked.index, frame), small:
        result = work(rows, asked.index, frame)
    return Outcome(result, (asked.index,), (held.told,), rows.retries)


@contextmanager
def _ends_without_device() -> Iterator[None]:
    """A worker that cannot use its device any more ends, and another takes its place: nothing else makes it usable."""
    try:
        yield
    except DeviceLostError:
        traceback.print_exc()
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def read_and_worked(
    recipes: Recipes, sent: Sent, asked: Asked | Sealed[Asked], alone: bool = False, *computed: Columns
) -> Outcome:
    """Both, of rows that nothing else needs."""
    asked = opened(asked)
    return worked(recipes, sent, asked, read(recipes, asked, *computed), alone)


def read_to_keep(
    recipes: Recipes, sent: Sent, sealed_asked: Sealed[Asked], again: Sequence[str], alone: bool = False,
    *computed: Columns,
) -> Held:  # fmt: skip
    """Both, of rows some of whose columns further trips need: those, and beside them what came, for :func:`taken`."""
    asked = sealed_asked.opened()
    whole = read(recipes, asked, *computed)
    return replace(selected(whole, again), came=[worked(recipes, sent, asked, whole, alone)])


def taken(
    recipes: Recipes, sent: Sent, asked: Sealed[Asked], held: Held, alone: bool = False, *computed: Columns
) -> Outcome:
    """What came of the order as a partition was read; from now on it is not kept beside the rows.

    It is made again where it was taken before: that worker told nobody any more.
    """
    try:
        return held.came.pop()
    except IndexError:
        return read_and_worked(recipes, sent, asked, alone, *computed)


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
