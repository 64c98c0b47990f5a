"""A crew whose results are kept in a run: what is there already is read back, the rest is done and kept."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gpupipe.columns import Frame
from gpupipe.errors import RunChangedError
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.journal import values
from gpupipe.runtime.journal.results import Results
from gpupipe.runtime.journal.run import Run
from gpupipe.runtime.orders import Local, Merges, Order, Packs, Work
from gpupipe.runtime.progress import Progress, read_back
from gpupipe.runtime.reductions.boosted import Handing
from gpupipe.runtime.rows import Rows

_AT_ONCE = 8
#: What no results are kept of: functions of this process, and passes of a library that goes over all rows as it likes.
_UNKEPT = (Local, Handing)


@dataclass(frozen=True, slots=True, eq=False)
class Keeping:
    """An order whose results are kept by whoever makes them, as soon as they are made.

    Attributes:
        order: what is done.
        results: where what comes of it is kept.
        done: the partitions whose results are kept already.
    """

    order: Any
    results: Results
    done: Collection[int]

    @property
    def stage(self) -> str:
        """As the order's."""
        return str(self.order.stage)

    @property
    def columns(self) -> Sequence[str] | None:
        """As the order's."""
        found: Sequence[str] | None = self.order.columns
        return found

    def ready(self) -> Work[Any]:
        """Does what the order says, and keeps it."""
        work, order, results = self.order.ready(), self.order, self.results

        def kept(rows: Any, index: int, frame: Frame) -> Any:
            result = work(rows, index, frame)
            document, arrays = packed(order, result)
            noted, _ = values.packed(rows.noted(index), arrays)
            results.keep(order.stage, index, {"result": document, "rows": frame.n_rows, "noted": noted}, arrays)
            return result

        return kept


class KeepingMerged(Keeping):
    """The same of an order whose results add up."""

    __slots__ = ()

    def merged(self, results: Sequence[Any]) -> Any:
        """As the order's."""
        return self.order.merged(results)


def packed(order: Any, result: Any) -> tuple[Any, dict[str, Any]]:
    """A result of an order as JSON and arrays."""
    if not isinstance(order, Packs):
        return values.packed(result)
    document, arrays = order.packed(result)
    return document, {f"own.{name}": array for name, array in arrays.items()}


def unpacked(order: Any, document: Any, arrays: dict[str, Any]) -> Any:
    """What :func:`packed` was given."""
    if not isinstance(order, Packs):
        return values.unpacked(document, arrays)
    named = (name.partition(".") for name in arrays)
    return order.unpacked(document, {name: arrays[f"own.{name}"] for whose, _, name in named if whose == "own"})


class Journaled:
    """A crew that keeps in a run what another one does.

    Args:
        crew: who does it.
        run: where it is kept.
    """

    is_here = False  # what is taken in where it is computed, and never told, could not be kept

    def __init__(self, crew: Crew, run: Run) -> None:
        self._crew, self._run = crew, run
        self._noted: set[tuple[int, int]] = set()
        self.n_workers, self.is_near = crew.n_workers, crew.is_near
        self.boosts, self.grows = getattr(crew, "boosts", None), getattr(crew, "grows", None)

    def take_in(
        self, rows: Rows, order: Order[Any], take: Callable[[Any], None], progress: Progress, first: int = 0
    ) -> None:
        """As :class:`gpupipe.runtime.crew.Crew` says."""
        for _, result in self._known(rows, order, progress, first):
            take(result)
        self._crew.take_in(rows, self._kept(order), take, progress, first)

    def results(
        self, rows: Rows, order: Order[Any], progress: Progress, first: int = 0, *, in_order: bool = False
    ) -> Iterator[tuple[int, Any]]:
        """As :class:`gpupipe.runtime.crew.Crew` says."""
        known = self._known(rows, order, progress, first)
        others = self._crew.results(rows, self._kept(order), progress, first, in_order=in_order)
        if not in_order:
            yield from known
            yield from others
            return
        waiting = next(known, None)
        for index, result in others:
            while waiting is not None and waiting[0] < index:
                yield waiting
                waiting = next(known, None)
            yield index, result
        if waiting is not None:
            yield waiting
        yield from known

    def listed(self, rows: Rows, order: Order[Any], progress: Progress, first: int = 0) -> list[Any]:
        """As :class:`gpupipe.runtime.crew.Crew` says."""
        return [result for _, result in self.results(rows, order, progress, first, in_order=True)]

    def merged(self, rows: Rows, order: Order[Any], progress: Progress, first: int = 0) -> list[Any]:
        """As :class:`gpupipe.runtime.crew.Crew` says."""
        found: list[Any] = []
        for _, result in self._known(rows, order, progress, first):
            found.append(result)
            if len(found) == _AT_ONCE and isinstance(order, Merges):
                found = [order.merged(found)]
        return found + self._crew.merged(rows, self._kept(order), progress, first)

    def recall(self, rows: Rows, order: Order[Any]) -> Any:
        """What an order came to in an earlier process, such as an iteration; None: it was not known there."""
        known = self._run.recall(order.stage)
        if known is None:
            return None
        for index in self._done(order):
            if (id(rows), index) not in self._noted:
                self._note(rows, index, *self._run.read(order.stage, index))
        return values.unpacked(*known)

    def remember(self, order: Order[Any], whole: Any) -> None:
        """What an order has come to: one more record."""
        self._run.remember(order.stage, *values.packed(whole))

    def _done(self, order: Order[Any]) -> Collection[int]:
        return () if isinstance(order, _UNKEPT) else self._run.done(order.stage)

    def _kept(self, order: Order[Any]) -> Any:
        """The order, which keeps what it makes; one of this process alone, or whose results are all rows, as it is."""
        if isinstance(order, _UNKEPT):
            return order
        kind = KeepingMerged if isinstance(order, Merges) else Keeping
        return kind(order, self._run.results, frozenset(self._done(order)))

    def _known(self, rows: Rows, order: Order[Any], progress: Progress, first: int) -> Iterator[tuple[int, Any]]:
        """The number and result of each partition whose result was kept, in their order."""
        for index in sorted(number for number in self._done(order) if number >= first):
            document, arrays = self._run.read(order.stage, index)
            self._note(rows, index, document, arrays)
            read_back(progress, document["rows"])
            yield index, unpacked(order, document["result"], arrays)

    def _note(self, rows: Rows, index: int, document: dict[str, Any], arrays: dict[str, Any]) -> None:
        note = values.unpacked(document["noted"], arrays)
        if note is not None and note.left_out is not None and rows.quarantine is None:
            raise RunChangedError(
                f"The run left out partition {index:,}, which could not be read ({note.left_out}). Go on so with "
                "on_bad_partition='quarantine'; or begin anew in another folder."
            )
        rows.note(index, note)
        self._noted.add((id(rows), index))
