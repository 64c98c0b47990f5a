"""What a scan takes in of a frame: columns as they stand there, and those that must be computed."""

from collections.abc import Mapping, Sequence

import numpy as np

from gpupipe.backends.backend import Backend, Prepared
from gpupipe.backends.categories import Tables
from gpupipe.backends.states.state import State
from gpupipe.columns import AnyColumn, Column, Frame, on_host
from gpupipe.compiler.bind import Output
from gpupipe.compiler.gathering import Intake, gathered_type
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node
from gpupipe.schema import DType, UInt64


class Reading:
    """Bound outputs of any frame, for states to be gathered of. What is a column of the frame is not copied.

    Its arrays are shared with whoever made them, and cannot be written to.

    Args:
        narrow: whether a column of the frame may be left in a narrower type than its output's, on a backend whose
            states take in such.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        info: Mapping[Node, Info],
        tables: Tables,
        backend: Backend,
        *,
        narrow: bool = False,
    ) -> None:
        self._backend = backend
        self._narrow = narrow and backend.takes_narrow
        self._plain = [self._name(output, info) for output in outputs]
        computed = [output for output, name in zip(outputs, self._plain, strict=True) if name is None]
        self._prepared: Prepared | None = backend.prepare(computed, info, tables) if computed else None

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
        frame = self._backend.placed(frame)
        computed = iter(() if self._prepared is None else self._prepared.resident(frame))
        return [next(computed) if name is None else _shared(frame.resident(name)) for name in self._plain]

    def states(
        self, intakes: Sequence[Intake], columns: Sequence[AnyColumn], n_rows: int, last: Sequence[Column] = ()
    ) -> list[State]:
        """The states of what :meth:`resident` gave, as the backend takes it in."""
        return self._backend.states(intakes, columns, n_rows, last)


def _is_narrow(dtype: DType) -> bool:
    """Whether every value of the type is one of the type it is gathered in."""
    return dtype.is_float or (dtype.is_integer and dtype != UInt64)


def _shared(column: AnyColumn) -> AnyColumn:
    if not isinstance(column, Column) or not isinstance(column.values, np.ndarray):
        return column
    values = column.values.view()
    values.flags.writeable = False
    return Column(column.dtype, values, column.valid)
