"""What a scan takes in of a frame: columns as they stand there, and those that must be computed."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gpupipe.backends.backend import Backend
from gpupipe.backends.categories import Tables
from gpupipe.backends.passing import passing_of
from gpupipe.backends.states.state import State
from gpupipe.columns import AnyColumn, Column, Frame, on_host
from gpupipe.compiler.bind import Output
from gpupipe.compiler.gathering import Intake, gathered_type
from gpupipe.compiler.info import Info
from gpupipe.errors import DataError
from gpupipe.expr.node import Node
from gpupipe.schema import DType, UInt64


class Reading:
    """Bound outputs of any frame, for states to be gathered of. What is a column of the frame is not copied.

    Its arrays are shared with whoever made them, and cannot be written to.

    Args:
        narrow: whether a column of the frame may be left in a narrower type than its output's, on a backend whose
            states take in such.
        intakes: those that :meth:`gathered` will be asked for: columns that serve these alone are not all held at once.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        info: Mapping[Node, Info],
        tables: Tables,
        backend: Backend,
        *,
        narrow: bool = False,
        intakes: Sequence[Intake] = (),
    ) -> None:
        self._backend = backend
        self._narrow = narrow and backend.takes_narrow
        self._plain = [self._name(output, info) for output in outputs]
        self._passing = passing_of(outputs, intakes, info, tables, backend) if self._narrow and intakes else None
        away = frozenset() if self._passing is None else self._passing.places
        self._left = [place for place in range(len(outputs)) if place not in away]
        self._make: Callable[[Sequence[int]], Computed] = lambda places: Computed(
            [(place, outputs[place]) for place in places if self._plain[place] is None], info, tables, backend
        )
        self._rest = self._make(self._left)
        self._whole = None if away else self._rest

    def _name(self, output: Output, info: Mapping[Node, Info]) -> str | None:
        dtype = info[output.node].dtype
        as_it_is = dtype == output.dtype or (
            self._narrow and _is_narrow(dtype) and gathered_type(dtype) == output.dtype
        )
        return str(output.node["name"]) if output.node.op == "col" and as_it_is else None

    def columns(self, frame: Frame) -> list[Column]:
        """Each output over the rows of `frame`, in the type it leaves in."""
        return [on_host(column) for column in self.resident(frame)]

    def resident(self, frame: Frame) -> list[AnyColumn]:
        """The same, wherever they were computed, or are."""
        if self._whole is None:
            self._whole = self._make(range(len(self._plain)))
        return list(self._held(frame, range(len(self._plain)), self._whole).values())

    def _held(self, frame: Frame, places: Sequence[int], computed: "Computed") -> dict[int, AnyColumn]:
        frame = self._backend.placed(frame)
        made = computed.of(frame)
        names = ((place, self._plain[place]) for place in places)
        return {place: made[place] if name is None else _shared(frame.resident(name)) for place, name in names}

    def states(
        self, intakes: Sequence[Intake], columns: Sequence[AnyColumn], n_rows: int, last: Sequence[Column] = ()
    ) -> list[State]:
        """The states of what :meth:`resident` gave, as the backend takes it in."""
        return self._backend.states(intakes, columns, n_rows, last)

    def gathered(self, intakes: Sequence[Intake], frame: Frame, last: Sequence[Column] = ()) -> list[State]:
        """The state of each intake over the rows of a frame; `last`: further keys, as of :meth:`states`."""
        if self._passing is None or last:
            return self.states(intakes, self.resident(frame), frame.n_rows, last)
        numbers = [number for number in range(len(intakes)) if number not in self._passing.numbers]
        try:
            found = self._passing.states(frame)
            held = self._held(frame, self._left, self._rest)
            rest = self._passing.backend.states([intakes[number] for number in numbers], held, frame.n_rows)
        except DataError:
            self.states(intakes, self.resident(frame), frame.n_rows)  # of several errors the first is told
            raise
        found |= zip(numbers, rest, strict=True)
        return [found[number] for number in range(len(intakes))]


class Computed:
    """Outputs that must be computed, by their place."""

    def __init__(
        self, outputs: Sequence[tuple[int, Output]], info: Mapping[Node, Info], tables: Tables, backend: Backend
    ) -> None:
        self._places = [place for place, _ in outputs]
        self._prepared = backend.prepare([output for _, output in outputs], info, tables) if outputs else None

    def of(self, frame: Frame) -> dict[int, AnyColumn]:
        """Each over the rows of a frame, wherever it is computed."""
        return {} if self._prepared is None else dict(zip(self._places, self._prepared.resident(frame), strict=True))


def _is_narrow(dtype: DType) -> bool:
    """Whether every value of the type is one of the type it is gathered in."""
    return dtype.is_float or (dtype.is_integer and dtype != UInt64)


def _shared(column: AnyColumn) -> AnyColumn:
    if not isinstance(column, Column) or not isinstance(column.values, np.ndarray):
        return column
    values = column.values.view()
    values.flags.writeable = False
    return Column(column.dtype, values, column.valid)
