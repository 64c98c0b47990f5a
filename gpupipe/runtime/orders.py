"""Orders: what is done with the rows of each partition, as data, so that another process can do it, and do it again.

An order is given to a crew (`crew.py`), which carries it out: threads of this process, or the workers of a cluster. To
write one:

    @dataclass(frozen=True, eq=False)
    class Counting:
        stage: str                          # unique in a run: "counting 2" where there was one before
        backend: Backend                    # fields are data that pickle: expressions, arrays, what was learned
        columns: Sequence[str] | None = None

        def ready(self) -> Work[list[int]]:
            prepared = …                    # tables and programs are made here, once a process

            def work(rows: Rows, index: int, frame: Frame) -> list[int]:
                return in_parts(rows, index, frame, lambda start, stop: count(frame.rows(start, stop)))

            return work

and then ``crew.take_in(rows, Counting("counting", backend), sums.append, progress)``. What `work` gives must follow
from the order and the rows of the partition alone, and nothing outside may change by it: it may be done twice, of which
one result counts, and in any thread. It goes through :func:`gpupipe.runtime.halving.in_parts`, so that little memory
means halves, and so gives a list with an entry for each part. Of `rows` it uses what :class:`PartitionRows` has: in
another process there is no more. Whoever takes results in holds a lock of its own: they come from several threads.

What only this process can do (a function, something that refers to arrays to be written) is a :class:`Local`.
"""

from collections.abc import Callable, Collection, Container, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from gpupipe.columns import Frame, Values
from gpupipe.sources.source import Source

Result = TypeVar("Result")
Given = TypeVar("Given", covariant=True)


class PartitionRows(Protocol):
    """What an order may ask of the rows that a partition is of."""

    @property
    def source(self) -> Source: ...

    @property
    def n_partitions(self) -> int: ...

    @property
    def quarantine(self) -> Container[int] | None:
        """The partitions that could not be read and count as ones without rows; None: there are none."""

    def note_retry(self) -> None:
        """Something is tried again."""

    def leave_device(self) -> None:
        """The device's memory is needed: what is kept there goes."""

    def placed(self, index: int, frame: Frame) -> AbstractContextManager[None]:
        """Errors of data inside say where in the source the row of a partition's frame stands."""


#: (rows, number of the partition, its frame) -> what comes of it.
Work = Callable[[Any, int, Frame], Result]


class Order(Protocol[Given]):
    """What is done with the rows of each partition.

    Attributes:
        stage: what it is called, unique in a run.
        columns: those of the frame that it needs; None: all of the trip.
    """

    @property
    def stage(self) -> str: ...

    @property
    def columns(self) -> Sequence[str] | None: ...

    def ready(self) -> Callable[[Any, int, Frame], Given]:
        """Bound, once a process. What it gives may be called from any thread."""


@runtime_checkable
class Merges(Protocol):
    """An order whose results add up, in any tree: exactly, so that nobody can tell in which."""

    def merged(self, results: Sequence[Any]) -> Any:
        """Several results as one."""


@runtime_checkable
class Divides(Protocol):
    """An order whose results, large ones of many groups, can be merged by parts of their groups."""

    def divided(self, result: Any, count: int) -> list[Any]:
        """A result as some that merge to it, each of which is merged with others at its place."""


@runtime_checkable
class Packs(Protocol):
    """An order whose results can be kept in a journal, as a JSON document and arrays."""

    def packed(self, result: Any) -> tuple[dict[str, Any], dict[str, Values]]:
        """A result as data."""

    def unpacked(self, document: dict[str, Any], arrays: dict[str, Values]) -> Any:
        """The result of such data."""


@runtime_checkable
class Resumes(Protocol):
    """An order that was carried out on some partitions before, whose results are known.

    Attributes:
        done: their numbers.
    """

    @property
    def done(self) -> Collection[int]: ...


def numbers(order: Order[Any], rows: PartitionRows, first: int = 0) -> list[int]:
    """The partitions that an order is to be carried out on, from the `first` on."""
    done = order.done if isinstance(order, Resumes) else ()
    return [number for number in range(first, rows.n_partitions) if number not in done]


@dataclass(frozen=True, slots=True, eq=False)
class Local:
    """A function of this process as an order: no other process can be given it."""

    stage: str
    work: Work[Any]
    columns: Sequence[str] | None = None

    def ready(self) -> Work[Any]:
        """The function itself."""
        return self.work
