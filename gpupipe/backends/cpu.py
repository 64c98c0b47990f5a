"""The CPU backend: groups as programs of the tile interpreter, whole-column operations between them.

Nothing is compiled for a pipeline. The interpreter's Numba form runs where Numba is installed and the work is worth its
start; its NumPy form gives the same bits.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from gpupipe import optional, pool
from gpupipe.backends import compiled
from gpupipe.backends.batches import Batch, Buffer, Run
from gpupipe.backends.categories import Tables
from gpupipe.backends.keys import is_nan
from gpupipe.backends.one_row import Coding, OneRow
from gpupipe.backends.reference import as_made
from gpupipe.backends.registers import fold_numbers, leaving, loaded, refuse_beyond_int64, spread
from gpupipe.backends.staged import Staged
from gpupipe.backends.states import singles, together
from gpupipe.backends.states.ends import Ends, state_by_rows
from gpupipe.backends.states.numbered import Numbered
from gpupipe.backends.states.orders import ORDER
from gpupipe.backends.states.state import Groups, State
from gpupipe.backends.taking import OnHost
from gpupipe.columns import AnyColumn, Column, Frame, Values
from gpupipe.compiler.bind import Output
from gpupipe.compiler.groups import Store
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node
from gpupipe.kernels.reference import interpreter
from gpupipe.kernels.table import MatrixColumns
from gpupipe.schema import Int32, Int64

#: Number of an array among those wanted, its length and dtype -> the array, which holds anything.
Room = Callable[[int, int, str], Values]


def _new(number: int, size: int, storage: str) -> Values:
    return pool.empty(size, storage)


class CpuBackend(OnHost):
    """Runs bound outputs by groups.

    Args:
        numba: whether the interpreter's Numba form may run; None: where it is installed.
        ends: of columns whose states are gathered, by their place: where values are kept instead of counted by bin.
        known: the numbers of keys' values, where groups are numbered; None: they are sorted in every partition.
    """

    name = "cpu"

    def __init__(
        self,
        numba: bool | None = None,
        ends: Mapping[int, Ends] = MappingProxyType({}),
        known: Numbered | None = None,
    ) -> None:
        self._numba = optional.available("numba") if numba is None else numba
        self._ends = dict(ends)  # a mappingproxy cannot be sent to another process
        self._known, self.alone = known, known is not None

    def keeping(self, ends: Mapping[int, Ends]) -> "CpuBackend":
        """The same for the columns of one scan, whose order states may be of kind ``ends``, and whose groups numbered:
        the states are of use to this process alone, until they were all merged."""
        return CpuBackend(self._numba, ends, Numbered())

    def numbered(
        self, keys: Iterable[tuple[int, ...]], column: Callable[[int], Column], n_rows: int
    ) -> Mapping[tuple[int, ...], Groups]:
        """The groups by those keys, given by their places, whose values have numbers that stay for the whole trip."""
        return {} if self._known is None else self._known.groups(keys, column, n_rows)

    def prepare(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables) -> "CpuProgram":
        """The outputs, ready to run on any number of frames, from any number of threads."""
        return CpuProgram(outputs, info, tables, self._numba)

    def together(self, wanted: Mapping[int, tuple[Sequence[str], Column]]) -> Mapping[int, Mapping[str, State]]:
        """Those states, of columns that are all one group, that one pass over each of them gives; from any thread."""
        bounds = {place: self._ends[place].bounds(wanted[place][1]) for place in wanted if place in self._ends}
        many = {
            place: singles.Wanted(column, together.KINDS.intersection(kinds), bounds.get(place))
            for place, (kinds, column) in wanted.items()
        }
        taken = {place: one for place, one in many.items() if one.is_taken} if self._numba else {}
        found: dict[int, Mapping[str, State]] = {}
        if taken and compiled.worth(sum(len(one.column) for one in taken.values())):
            found |= singles.gathered(taken)
        return found | {place: self._of_one(one) for place, one in many.items() if place not in found}

    def _of_one(self, wanted: singles.Wanted) -> Mapping[str, State]:
        column, bounds, found = wanted.column, wanted.bounds, dict[str, State]()
        if self._numba and wanted.kinds and together.takes(column) and compiled.worth(len(column)):
            found = together.gathered(wanted.kinds, column, bounds) or {}
        if bounds is not None and ORDER.name not in found and is_nan(column) is None:
            found[ORDER.name] = state_by_rows(bounds, column)
        return found


class CpuProgram(Staged[Column]):
    """Bound outputs as stages of column operations and tile groups."""

    name = "cpu"

    def __init__(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables, numba: bool) -> None:
        super().__init__(outputs, info, tables)
        self._numba = numba
        nodes = [output.node for output in outputs]
        self._coding = Coding(self._stages, nodes, info, tables)
        self._beside = [place for place in range(len(nodes)) if place not in set(self._coding.outputs)]
        self._beside_codes = self._batch([Store(nodes[place], "float32") for place in self._beside])
        self._coding.beside(self._beside_codes.leaves)
        uses = Counter(nodes)
        #: Whose arrays leave as they are: those of several outputs would be shared.
        self._as_made = frozenset(node for stage in self._stages for node in stage.columns if uses[node] == 1)

    def columns(self, frame: Frame) -> list[Column]:
        """Each output over the rows of `frame`, in the type it leaves in."""
        made = self._run_stages(frame)
        results: dict[int, Column] = {}
        for index, values, valid in zip(self._tiled, *self._buffers(self._plain, made, frame), strict=True):
            results[index] = Column(self._outputs[index].dtype, values, valid)
        for index, output in enumerate(self._outputs):
            if index not in results:
                results[index] = self._leaving(output, made, frame.n_rows)
        return [results[index] for index in range(len(self._outputs))]

    def passing(self, frame: Frame, room: Room) -> list[Column]:
        """The same of outputs that are all made by tile programs, in arrays that `room` gives."""
        made = self._run_stages(frame)
        found = zip(self._outputs, *self._buffers(self._plain, made, frame, room), strict=True)
        return [Column(output.dtype, values, valid) for output, values, valid in found]

    def _leaving(self, output: Output, made: Mapping[Node, Column], n_rows: int) -> Column:
        """What no tile program stores."""
        column = self._value(output.node, made)
        if output.node in self._as_made and column.dtype == output.dtype == Int32 and column.values.dtype == np.int32:
            return column
        return leaving(column, output.dtype, n_rows)

    def resident(self, frame: Frame) -> list[AnyColumn]:
        """The same: there is no other memory."""
        return list(self.columns(frame))

    def matrix(self, frame: Frame, out: Values) -> None:
        """The outputs as the columns of `out` (float32, shape (rows, outputs)); null as NaN."""
        if isinstance(frame.columns, OneRow) and (found := self._coding.inputs(frame.columns)) is not None:
            codes, inputs = found
            numbers = np.empty((1, len(self._beside)), np.float32)
            self._run(self._beside_codes, inputs, frame, MatrixColumns(numbers))
            out[0, self._coding.outputs], out[0, self._beside] = codes, numbers[0]
            return
        made = self._run_stages(frame)
        self._interpret(self._as_matrix, made, frame, MatrixColumns(out))

    def _value(self, node: Node, made: Mapping[Node, Column]) -> Column:
        found = made.get(node)
        if found is not None:
            return found
        if node.op == "pick":
            wide = made[node.args[0]]
            return Column(wide.dtype, wide.values[node["index"]], wide.valid)
        return self._scalars[node]

    def _sources(self, frame: Frame) -> dict[Node, Column]:
        row = frame.columns if isinstance(frame.columns, OneRow) else None
        coded = frozenset() if row is None else self._coding.done
        made = {node: frame[name] for node, name in self._columns.items() if name not in coded}
        for node, column in made.items():
            refuse_beyond_int64(column, self._columns[node])
        if row is not None:
            made.update(self._coding.of(row.texts))
        for fold in self._folds:
            made[fold] = Column(Int64, fold_numbers(frame.row_ids, fold["folds"]))
        return made

    def _column(self, node: Node, made: Mapping[Node, Column], frame: Frame) -> Column:
        if node.op == "pick":
            return self._value(node, made)
        args = [self._value(arg, made) for arg in node.args if arg.op != "table"]
        if node.op != "lookup":  # which takes keys of any width
            args = [loaded(arg, "") for arg in args]
        with np.errstate(all="ignore"):
            return spread(as_made(node, args, self._tables), frame.n_rows)

    def _stored(self, batch: Batch, made: Mapping[Node, Column], frame: Frame) -> list[Column]:
        found = zip(batch.stores, *self._buffers(batch, made, frame), strict=True)
        return [Column(self._info[store.node].dtype, values, valid) for store, values, valid in found]

    def _buffers(
        self, batch: Batch, made: Mapping[Node, Column], frame: Frame, room: Room | None = None
    ) -> tuple[list[Values], list[Values | None]]:
        size, room = frame.n_rows, room or _new
        values = [room(number, size, store.storage) for number, store in enumerate(batch.stores)]
        valid = [
            room(number, size, "bool") if self._info[store.node].nullable else None
            for number, store in enumerate(batch.stores)
        ]
        self._interpret(batch, made, frame, list(zip(values, valid, strict=True)))
        return values, [None if mask is None or mask.all() else mask for mask in valid]

    def _interpret(self, batch: Batch, made: Mapping[Node, Column], frame: Frame, out: Sequence[Buffer]) -> None:
        columns = [self._value(leaf, made) for leaf in batch.leaves]
        self._run(batch, [(column.values, column.valid) for column in columns], frame, out)

    def _run(self, batch: Batch, inputs: Sequence[Buffer], frame: Frame, out: Sequence[Buffer]) -> None:
        if not batch.stores or not frame.n_rows:
            return
        run = self._interpreter(frame.n_rows * len(batch.stores))
        table = batch.table([values.dtype for values, _ in inputs], joined=run is not interpreter.run)
        status = run(table, inputs, out, 0, frame.n_rows)
        if status[:, 0].any():
            self._refuse(frame)

    def _interpreter(self, n_values: int) -> Run:
        if self._numba and compiled.worth(n_values):
            fast: Run = optional.load("gpupipe.kernels.cpu.interpreter").run
            return fast
        return interpreter.run
