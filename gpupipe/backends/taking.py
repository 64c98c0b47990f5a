"""The states that a partition's computed columns give, on the host."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from gpupipe.backends.named import named
from gpupipe.backends.states.gathering import gather
from gpupipe.backends.states.state import Groups, State, groups_of
from gpupipe.columns import AnyColumn, Column, Frame, on_host
from gpupipe.compiler.gathering import Intake, gathered_type
from gpupipe.compiler.info import Info
from gpupipe.compiler.late import Late
from gpupipe.expr.node import Node
from gpupipe.kernels.gpu.device import Device


class OnHost:
    """How a backend takes in columns whose values are in this process's memory."""

    device: Device | None = None
    named = False
    on_host: Mapping[str, str] = MappingProxyType({})
    takes_narrow = True
    alone = False  # whether states are of use to this process alone, until all of a trip are merged

    def hosted(self, nodes: Sequence[Node], info: Mapping[Node, Info]) -> Mapping[str, str]:
        """None: there is no other place."""
        return {}

    def placed(self, frame: Frame) -> Frame:
        """The frame as it is."""
        return frame

    def states(
        self,
        intakes: Sequence[Intake],
        columns: Sequence[AnyColumn] | Mapping[int, AnyColumn],
        n_rows: int,
        last: Sequence[Column] = (),
    ) -> list[State]:
        """The state of each intake, over `n_rows` rows of `columns`.

        Args:
            columns: by their place.
            last: further keys of every state, after its own.

        Raises:
            NonFiniteError, IntegerOverflowError: as :func:`gather` does; the message names the expression.
        """
        held = Held(columns)
        listed = dict.fromkeys(intake.keys for intake in intakes)
        groups = {} if last else dict(self.numbered(listed, held.wide, n_rows))
        for keys in listed:
            if keys not in groups:
                groups[keys] = groups_of([*(held.wide(place) for place in keys), *last], n_rows)
        alone = [] if last else [intake for intake in intakes if not intake.keys]
        wanted = {
            place: ([intake.gather.state for intake in of_it], held.column(place))
            for place, of_it in by_place(alone).items()
        }
        together = self.together(wanted)
        states = []
        for intake in intakes:
            kind, found = intake.gather.state, {} if last or intake.keys else together.get(intake.value, {})
            if kind in found:
                states.append(found[kind])
                continue
            with named(intake.gather.node, intake.gather.value):
                squares = not (self.alone and intake.keys and is_mean(intake))
                states.append(gather(kind, held.wide(intake.value), groups[intake.keys], squares=squares))
        return states

    def numbered(
        self, keys: Iterable[tuple[int, ...]], column: Callable[[int], Column], n_rows: int
    ) -> Mapping[tuple[int, ...], Groups]:
        """The groups by those keys, given by their places, whose values have numbers that stay for the whole trip."""
        return {}

    def together(self, wanted: Mapping[int, tuple[Sequence[str], Column]]) -> Mapping[int, Mapping[str, State]]:
        """Those states, of columns that are all one group, that one pass over each of them gives.

        Args:
            wanted: by the column's place, of which kinds, and the column.
        """
        return {}


class Held:
    """Columns that states take in; they may stand in a narrower type than they are gathered in."""

    def __init__(self, columns: Sequence[AnyColumn] | Mapping[int, AnyColumn]) -> None:
        self._columns = columns
        self._wide: dict[int, Column] = {}

    def column(self, place: int) -> Column:
        """A column as it is."""
        return on_host(self._columns[place])

    def wide(self, place: int) -> Column:
        """A column in the type that it is gathered in."""
        if place not in self._wide:
            self._wide[place] = widened(self.column(place))
        return self._wide[place]


def widened(column: Column) -> Column:
    """The column in the type that it is gathered in: floats as Float64, integers as Int64."""
    dtype = gathered_type(column.dtype)
    if dtype == column.dtype or column.dtype.name == "Null":
        return column
    return Column(dtype, column.values.astype(dtype.storage), column.valid)


def is_mean(intake: Intake) -> bool:
    """Whether a mean of the rows as they are is all that is asked of a state."""
    return all(slot.node.op == "mean" and slot.late == Late() for slot in intake.gather.slots)


def by_place(intakes: Sequence[Intake]) -> dict[int, list[Intake]]:
    """The intakes by the column that they take in."""
    found: dict[int, list[Intake]] = {}
    for intake in intakes:
        found.setdefault(intake.value, []).append(intake)
    return found
