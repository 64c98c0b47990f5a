"""What a scan takes in of a frame: columns as they stand there, and those that must be computed."""

from collections.abc import Mapping, Sequence

import numpy as np

from gpupipe.backends.backend import Backend, Prepared
from gpupipe.backends.categories import Tables
from gpupipe.columns import Column, Frame
from gpupipe.compiler.bind import Output
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node


class Reading:
    """Bound outputs of any frame, for states to be gathered of. What is a column of the frame is not copied.

    Its arrays are shared with whoever made them, and cannot be written to.
    """

    def __init__(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables, backend: Backend) -> None:
        self._plain = [self._name(output, info) for output in outputs]
        computed = [output for output, name in zip(outputs, self._plain, strict=True) if name is None]
        self._prepared: Prepared | None = backend.prepare(computed, info, tables) if computed else None

    @staticmethod
    def _name(output: Output, info: Mapping[Node, Info]) -> str | None:
        as_it_is = output.node.op == "col" and info[output.node].dtype == output.dtype
        return str(output.node["name"]) if as_it_is else None

    def columns(self, frame: Frame) -> list[Column]:
        """Each output over the rows of `frame`, in the type it leaves in."""
        computed = iter(() if self._prepared is None else self._prepared.columns(frame))
        return [next(computed) if name is None else _shared(frame[name]) for name in self._plain]


def _shared(column: Column) -> Column:
    if not isinstance(column.values, np.ndarray):
        return column
    values = column.values.view()
    values.flags.writeable = False
    return Column(column.dtype, values, column.valid)
