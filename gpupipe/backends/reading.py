"""What a scan takes in of a frame: columns as they stand there, and those that must be computed."""

from collections.abc import Mapping, Sequence

import numpy as np

from gpupipe.backends.backend import Backend, Prepared
from gpupipe.backends.categories import Tables
from gpupipe.backends.states.state import State
from gpupipe.columns import AnyColumn, Column, Frame, on_host
from gpupipe.compiler.bind import Output
from gpupipe.compiler.gathering import Intake
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node


class Reading:
    """Bound outputs of any frame, for states to be gathered of. What is a column of the frame is not copied.

    Its arrays are shared with whoever made them, and cannot be written to.
    """

    def __init__(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables, backend: Backend) -> None:
        self._backend = backend
        self._plain = [self._name(output, info) for output in outputs]
        computed = [output for output, name in zip(outputs, self._plain, strict=True) if name is None]
        self._prepared: Prepared | None = backend.prepare(computed, info, tables) if computed else None

    @staticmethod
    def _name(output: Output, info: Mapping[Node, Info]) -> str | None:
        as_it_is = output.node.op == "col" and info[output.node].dtype == output.dtype
        return str(output.node["name"]) if as_it_is else None

    def columns(self, frame: Frame) -> list[Column]:
        """Each output over the rows of `frame`, in the type it leaves in."""
        return [on_host(column) for column in self.resident(frame)]

    def resident(self, frame: Frame) -> list[AnyColumn]:
        """The same, wherever they were computed, or are."""
        frame = self._backend.placed(frame)
        computed = iter(() if self._prepared is None else self._prepared.resident(frame))
        return [next(computed) if name is None else _shared(frame.resident(name)) for name in self._plain]

    def states(
        self, intakes: Sequence[Intake], columns: Sequence[AnyColumn], n_rows: int, last: Sequence[Column] = ()
    ) -> list[State]:
        """The states of what :meth:`resident` gave, as the backend takes it in."""
        return self._backend.states(intakes, columns, n_rows, last)


def _shared(column: AnyColumn) -> AnyColumn:
    if not isinstance(column, Column) or not isinstance(column.values, np.ndarray):
        return column
    values = column.values.view()
    values.flags.writeable = False
    return Column(column.dtype, values, column.valid)
