"""What the workers of a cluster do, and Dask calls; all can be done again, on another one, and gives the same."""

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from gpupipe.clusters.bound import bound
from gpupipe.clusters.recipes import Asked, Held, Recipes, Told, WorkerRows, read
from gpupipe.clusters.sealed import Sealed, opened, sealed
from gpupipe.clusters.sizes import result_bytes
from gpupipe.columns import AnyColumn, Frame, on_host
from gpupipe.errors import DeviceLostError
from gpupipe.runtime.fixed import read_only
from gpupipe.runtime.halving import in_quarters
from gpupipe.runtime.orders import Order
from gpupipe.sources.dask_rows import Columns

#: The partitions of one task, ascending.
Several = Sequence[Asked] | Sealed[Sequence[Asked]]


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


@dataclass(frozen=True, eq=False)
class Batch:
    """The partitions of a task, on the worker that read them.

    Attributes:
        held: by number.
        came: what came of an order that was carried out as they were read, until that is taken.
    """

    held: Mapping[int, Held]
    came: list[Outcome] = field(default_factory=list)

    def __sizeof__(self) -> int:  # by which Dask knows what a worker holds
        return sum(map(Held.__sizeof__, self.held.values())) + sum(map(Outcome.__sizeof__, self.came))


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


def held(recipes: Recipes, asked: Asked, *computed: Columns) -> Batch:
    """Read a partition that several tasks need."""
    with _ends_without_device():
        return Batch({asked.index: read(recipes, asked, *computed)})


def worked(recipes: Recipes, sent: Sent, asked: Several, batch: Batch, alone: bool = False) -> Outcome:
    """Carry an order out on partitions that were read.

    Args:
        alone: with as little memory as can be: something went wrong with it before.
    """
    with _ends_without_device():
        return merged(sent, [_worked(recipes, sent, one, batch.held[one.index], alone) for one in opened(asked)])


def read_and_worked(recipes: Recipes, sent: Sent, asked: Several, alone: bool = False, *computed: Columns) -> Outcome:
    """Both, of rows that nothing else needs."""
    with _ends_without_device():
        came = [_worked(recipes, sent, one, read(recipes, one, *computed), alone) for one in opened(asked)]
        return merged(sent, came)


def read_to_keep(
    recipes: Recipes, sent: Sent, asked: Several, again: Sequence[str], alone: bool = False, *computed: Columns
) -> Batch:
    """Both, of rows some of whose columns further trips need: those, and beside them what came, for :func:`taken`."""

    def one(asked: Asked) -> tuple[Held, Outcome]:  # of each nothing else stays while the next is read
        whole = read(recipes, asked, *computed)
        came = _worked(recipes, sent, asked, whole, alone)
        return _selected(whole, again), came

    with _ends_without_device():
        each = {partition.index: one(partition) for partition in opened(asked)}
        came = merged(sent, [outcome for _, outcome in each.values()])
        return Batch({index: held for index, (held, _) in each.items()}, [came])


def taken(
    recipes: Recipes, sent: Sent, asked: Several, batch: Batch, alone: bool = False, *computed: Columns
) -> Outcome:
    """What came of the order as partitions were read; from now on it is not kept beside the rows.

    It is made again where it was taken before: that worker told nobody any more.
    """
    try:
        return batch.came.pop()
    except IndexError:
        return read_and_worked(recipes, sent, asked, alone, *computed)


def merged(sent: Sent, outcomes: Sequence[Outcome]) -> Outcome:
    """Several outcomes of an order that adds results up, as one."""
    if len(outcomes) == 1:
        return outcomes[0]
    order: Any = sent.order  # of the kind Merges
    result = order.merged([outcome.result for outcome in outcomes])
    indices = tuple(index for outcome in outcomes for index in outcome.indices)
    told = tuple(one for outcome in outcomes for one in outcome.read)
    return Outcome(result, indices, told, sum(outcome.retries for outcome in outcomes))


def _worked(recipes: Recipes, sent: Sent, asked: Asked, held: Held, alone: bool) -> Outcome:
    rows, work, order = WorkerRows(recipes, asked, held), bound(sent.token, sent.order), sent.order
    frame = held.frame if order.columns is None else held.frame.select(order.columns)
    small: AbstractContextManager[None] = in_quarters() if alone else nullcontext()
    with rows.placed(asked.index, frame), small:
        result = work(rows, asked.index, frame)
    return Outcome(result, (asked.index,), (held.told,), rows.retries)


def _selected(held: Held, columns: Sequence[str]) -> Held:
    """The columns that further trips need, on the host."""
    frame = held.frame.select(columns)
    host: dict[str, AnyColumn] = {name: on_host(frame.resident(name)) for name in frame.columns}
    return replace(held, frame=read_only(Frame(host, frame.n_rows, frame.row_ids, frame.places)))


@contextmanager
def _ends_without_device() -> Iterator[None]:
    """A worker that cannot use its device any more ends, and another takes its place: nothing else makes it usable."""
    try:
        yield
    except DeviceLostError:
        traceback.print_exc()
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
