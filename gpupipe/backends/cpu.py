"""The CPU backend: groups as programs of the tile interpreter, whole-column operations between them.

Nothing is compiled for a pipeline. The interpreter's Numba form runs where Numba is installed and the work is worth its
start; its NumPy form gives the same bits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.backends.categories import Tables
from gpupipe.backends.reference import columnwise, evaluate_all, failure
from gpupipe.backends.registers import fold_numbers, leaving, loaded, spread
from gpupipe.columns import Column, Frame, Values
from gpupipe.compiler.bind import Output
from gpupipe.compiler.groups import Grouping, Store, group, is_tile
from gpupipe.compiler.info import Info
from gpupipe.compiler.stages import Stage, plan_stages
from gpupipe.expr.node import Node, walk
from gpupipe.kernels.reference import interpreter
from gpupipe.kernels.table import CAST_FAILED, Program, Table
from gpupipe.schema import Int64, String

Buffer = tuple[Values, Values | None]
# Below so many values NumPy is done before Numba has started.
_WORTH_NUMBA = 200_000


class CpuBackend:
    """Runs bound outputs by groups.

    Args:
        numba: whether the interpreter's Numba form may run; None: where it is installed.
    """

    name = "cpu"

    def __init__(self, numba: bool | None = None) -> None:
        self._numba = optional.available("numba") if numba is None else numba

    def prepare(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables) -> "CpuProgram":
        """The outputs, ready to run on any number of frames, from any number of threads."""
        return CpuProgram(outputs, info, tables, self._numba)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Stores that one call of the interpreter makes, grouped for the storage of one frame."""

    grouping: Grouping
    table: Table
    leaves: tuple[Node, ...]


class CpuProgram:
    """Bound outputs as stages of column operations and tile groups."""

    def __init__(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables, numba: bool) -> None:
        self._outputs, self._info, self._tables, self._numba = tuple(outputs), info, tables, numba
        nodes = [output.node for output in outputs]
        self._stages: tuple[Stage, ...] = plan_stages(nodes, info)
        self._scalars = self._constants(nodes)
        self._batches: dict[Any, _Batch] = {}
        self.columns_read = tuple(dict.fromkeys(n["name"] for n in walk(*nodes) if n.op == "col"))
        self._folds = tuple(node for node in walk(*nodes) if node.op == "fold_of")

    def _constants(self, nodes: Sequence[Node]) -> dict[Node, Column]:
        """Every scalar under `nodes`, computed once by the reference, so that all devices share its bits."""
        scalars = [node for node in walk(*nodes) if node.op != "table" and self._info[node].scalar]
        return evaluate_all(scalars, Frame({}, 1, np.zeros(1, np.uint64)), self._tables)

    def columns(self, frame: Frame) -> list[Column]:
        """Each output over the rows of `frame`, in the type it leaves in."""
        made = self._run_stages(frame)
        tiled = [index for index, output in enumerate(self._outputs) if self._is_stored(output.node)]
        stores = [Store(self._outputs[i].node, str(self._outputs[i].dtype.storage)) for i in tiled]
        results: dict[int, Column] = {}
        for index, values, valid in zip(tiled, *self._stored("columns", stores, made, frame), strict=True):
            results[index] = Column(self._outputs[index].dtype, values, valid)
        for index, output in enumerate(self._outputs):
            if index not in results:
                column = loaded(self._value(output.node, made), output.name)
                results[index] = leaving(column, output.dtype, frame.n_rows)
        return [results[index] for index in range(len(self._outputs))]

    def matrix(self, frame: Frame, out: Values) -> None:
        """The outputs as the columns of `out` (float32, shape (rows, outputs)); null as NaN."""
        made = self._run_stages(frame)
        stores = [Store(output.node, "float32") for output in self._outputs]
        buffers: list[Buffer] = [(out[:, index], None) for index in range(len(stores))]
        self._interpret(("matrix",), stores, made, frame, buffers)

    def _is_stored(self, node: Node) -> bool:
        dtype = self._info[node].dtype
        return dtype != String and not self._info[node].scalar and (is_tile(node, self._info) or node.op == "col")

    def _value(self, node: Node, made: Mapping[Node, Column]) -> Column:
        if node.op == "pick":
            wide = made[node.args[0]]
            return Column(wide.dtype, wide.values[node["index"]], wide.valid)
        return made[node] if node in made else self._scalars[node]

    def _run_stages(self, frame: Frame) -> dict[Node, Column]:
        made: dict[Node, Column] = {Node("col", (), (("name", name),)): frame[name] for name in self.columns_read}
        for fold in self._folds:
            made[fold] = Column(Int64, fold_numbers(frame.row_ids, fold["folds"]))
        for number, stage in enumerate(self._stages):
            for node in stage.columns:
                made[node] = self._column(node, made, frame)
            kept = zip(stage.stores, *self._stored(number, stage.stores, made, frame), strict=True)
            for store, values, valid in kept:
                made[store.node] = Column(self._info[store.node].dtype, values, valid)
        return made

    def _column(self, node: Node, made: Mapping[Node, Column], frame: Frame) -> Column:
        if node.op == "pick":
            return self._value(node, made)
        args = [loaded(self._value(arg, made), "") for arg in node.args if arg.op != "table"]
        with np.errstate(all="ignore"):
            return spread(columnwise(node, args, self._tables), frame.n_rows)

    def _stored(
        self, key: Any, stores: Sequence[Store], made: Mapping[Node, Column], frame: Frame
    ) -> tuple[list[Values], list[Values | None]]:
        size = frame.n_rows
        values = [np.empty(size, store.storage) for store in stores]
        valid = [np.empty(size, bool) if self._info[store.node].nullable else None for store in stores]
        self._interpret((key,), stores, made, frame, list(zip(values, valid, strict=True)))
        return values, [None if mask is None or mask.all() else mask for mask in valid]

    def _interpret(
        self, key: Any, stores: Sequence[Store], made: Mapping[Node, Column], frame: Frame, out: list[Buffer]
    ) -> None:
        if not stores or not frame.n_rows:
            return
        batch = self._batch(key, stores, made)
        buffers = [self._buffer(leaf, made) for leaf in batch.leaves]
        run = self._interpreter(frame.n_rows * len(stores))
        status = run(batch.table, buffers, out, 0, frame.n_rows)
        for store, (code, row) in zip(stores, status.tolist(), strict=True):
            if code:
                raise failure(self._failing(store.node, code), row)

    def _interpreter(self, n_values: int) -> Callable[..., Values]:
        if self._numba and n_values >= _WORTH_NUMBA:
            return optional.load("gpupipe.kernels.cpu.interpreter").run  # type: ignore[no-any-return]
        return interpreter.run

    def _failing(self, root: Node, code: int) -> Node:
        casts = ("to_integer", "narrow")
        for node in walk(root):
            if (node.op in casts) == (code == CAST_FAILED) and (node.op in casts or node.op in _CHECKED):
                return node
        return root

    def _buffer(self, leaf: Node, made: Mapping[Node, Column]) -> Buffer:
        column = self._value(leaf, made)
        return column.values, column.valid

    def _batch(self, key: Any, stores: Sequence[Store], made: Mapping[Node, Column]) -> _Batch:
        inside = [node for node in walk(*(store.node for store in stores)) if node in made or node.op == "pick"]
        leaves = {
            node: str(self._value(node, made).values.dtype) for node in inside if self._info[node].dtype != String
        }
        known = (*key, tuple(leaves.values()))
        if known not in self._batches:
            self._batches[known] = self._build(stores, leaves)
        return self._batches[known]

    def _build(self, stores: Sequence[Store], leaves: Mapping[Node, str]) -> _Batch:
        grouping = group(stores, leaves, self._info)
        programs = [Program(np.array(shape.steps, np.int64), shape.n_registers) for shape in grouping.shapes]
        place = {node: index for index, node in enumerate(leaves)}
        rows = [
            (
                shape,
                [place[node] for node in row.columns],
                [self._parameter(node) for node in row.parameters],
                [index],
            )
            for index, (shape, row) in enumerate(grouping.rows)
        ]
        return _Batch(grouping, Table.build(programs, rows), tuple(leaves))

    def _parameter(self, node: Node) -> float | int | bool | None:
        column = self._scalars[node]
        if column.valid is not None and not column.valid[0]:
            return None
        value: float | int | bool = column.values[0].item()
        return value


_CHECKED = ("add", "sub", "mul", "floordiv", "neg", "abs")
