"""The orders of a scan: states gathered of each partition, and looks at few of its rows that settle what was open."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from gpupipe.backends.backend import Backend
from gpupipe.backends.categories import Tables
from gpupipe.backends.reading import Reading
from gpupipe.backends.states.state import State
from gpupipe.columns import Column, Frame, on_host
from gpupipe.compiler.bind import Output
from gpupipe.compiler.expand import columns_of
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import BoundScan
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node
from gpupipe.runtime.halving import in_parts
from gpupipe.runtime.looks import Look, Seen
from gpupipe.runtime.merging import divided, together
from gpupipe.runtime.orders import Work

#: (number of the partition, its frame) -> the fold of each row, which becomes every state's last key.
FoldOf = Callable[[int, Frame], Column]


class BesideOrder(Protocol):
    """What is made of rows in the trip of a scan besides its states: data alone, as an order is."""

    def ready(self) -> Callable[[Sequence[Column], Frame], Callable[[], Any]]:
        """(columns, computed as the joined scan says; the rows) -> tells what comes of them; asked once."""

    def merged(self, parts: Sequence[Any]) -> Any:
        """What came of several parts of the rows, as one."""


class Gathered(NamedTuple):
    """The states of some rows, and what came of them besides."""

    states: list[State]
    beside: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Gathering:
    """The states of one trip over all rows, in the order of the scan's intakes.

    Attributes:
        stage, columns: as of any order.
        bound: the scan.
        info: what is known of its nodes.
        fitted: what earlier scans learned.
        backend: the device.
        narrow: as :class:`Reading` takes it.
        beside: takes in the same columns.
        fold_of: of this process alone.
    """

    stage: str
    bound: BoundScan
    info: Mapping[Node, Info]
    fitted: Fitted
    backend: Backend
    narrow: bool = True
    beside: BesideOrder | None = None
    fold_of: FoldOf | None = None
    columns: Sequence[str] | None = None

    def ready(self) -> Work[list[Gathered]]:
        """Gathers the states of a partition, of each part that it was divided into."""
        intakes, fold_of = self.bound.intakes, self.fold_of
        how: dict[str, Any] = {"narrow": self.narrow, "intakes": intakes if self.narrow else ()}
        reading = Reading(self.bound.outputs, self.info, Tables(self.fitted), self.backend, **how)
        beside = None if self.beside is None else self.beside.ready()

        def work(rows: Any, index: int, frame: Frame) -> list[Gathered]:
            last = [] if fold_of is None else [fold_of(index, frame)]

            def computed(start: int, stop: int) -> Callable[[], Gathered]:
                part = frame.rows(start, stop)
                folds = [column.rows(start, stop) for column in last]
                if beside is None:
                    found = Gathered(reading.gathered(intakes, part, folds))
                    return lambda: found
                columns = reading.resident(part)
                states = reading.states(intakes, columns, part.n_rows, folds)
                told = beside([on_host(column) for column in columns], part)
                return lambda: Gathered(states, told())

            return [found() for found in in_parts(rows, index, frame, computed)]

        return work

    def merged(self, results: Sequence[list[Gathered]]) -> list[Gathered]:
        """The states of several partitions."""
        parts = [part for result in results for part in result]
        told = [part.beside for part in parts if part.beside is not None]
        beside = None if self.beside is None or not told else self.beside.merged(told)
        return [Gathered(together(self.bound.intakes, [part.states for part in parts]), beside)]

    def divided(self, result: list[Gathered], count: int) -> list[list[Gathered]]:
        """A result as several that merge to it, none of which shares much with another; how many there are says the
        order alone.
        """
        (whole,) = self.merged([result]) if len(result) != 1 else result
        parts = divided(self.bound.intakes, whole.states, count)
        return [[Gathered(part, whole.beside if at == 0 else None)] for at, part in enumerate(parts)]


@dataclass(frozen=True, slots=True, eq=False)
class Looking:
    """What a look sees in each partition.

    Attributes:
        stage: as of any order.
        outputs: the columns it looks at.
        look: what it looks for.
        others: as :class:`Gathering`.
    """

    stage: str
    outputs: Sequence[Output]
    look: Look
    info: Mapping[Node, Info]
    fitted: Fitted
    backend: Backend
    fold_of: FoldOf | None = None

    @property
    def columns(self) -> list[str]:
        """Those that the outputs are computed of."""
        return columns_of([output.node for output in self.outputs])

    def ready(self) -> Work[list[Seen]]:
        """Looks at a partition, or at each part that it was divided into."""
        reading = Reading(self.outputs, self.info, Tables(self.fitted), self.backend, narrow=True)
        look, fold_of = self.look.ready(), self.fold_of

        def work(rows: Any, index: int, frame: Frame) -> list[Seen]:
            last = [] if fold_of is None else [fold_of(index, frame)]

            def seen(start: int, stop: int) -> Seen:
                columns = reading.resident(frame.rows(start, stop))
                return look(columns, [fold.rows(start, stop) for fold in last], stop - start)

            return in_parts(rows, index, frame, seen)

        return work

    def merged(self, results: Sequence[list[Seen]]) -> list[Seen]:
        """What was seen in several partitions."""
        return [self.look.merged([seen for result in results for seen in result])]
