"""Bound outputs over a partition on a device: fused kernels, and whole-column operations where they cost least.

An operation over one text column runs once for each entry of its dictionary, on the host or by cuDF, and what it makes
stays encoded: a number a row, and a small table that kernels read through it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gpupipe.backends.batches import Batch
from gpupipe.backends.categories import Tables
from gpupipe.backends.gpu import texts
from gpupipe.backends.gpu.columns import DeviceColumn, EntryTable, packed
from gpupipe.backends.gpu.encoded import entrywise, shared_ids
from gpupipe.backends.gpu.placed import Placed, Uploading, of_entries, on_device, placed, settled
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.gpu.wholly import OnDevice
from gpupipe.backends.reference import columnwise
from gpupipe.backends.registers import leaving, loaded, refuse_beyond_int64, spread
from gpupipe.backends.staged import Staged
from gpupipe.columns import AnyColumn, Column, Frame, on_host
from gpupipe.compiler.bind import Output
from gpupipe.compiler.groups import Store
from gpupipe.compiler.info import Info
from gpupipe.errors import DataError
from gpupipe.expr.node import Node, show
from gpupipe.kernels.gpu import interpreter
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.kernels.gpu.interpreter import Input
from gpupipe.kernels.gpu.keys import extent
from gpupipe.kernels.gpu.numbers import Numbers
from gpupipe.schema import UInt64


class GpuProgram(Staged[Placed]):
    """Bound outputs as stages of column operations and fused kernels."""

    name = "gpu"

    def __init__(
        self,
        outputs: Sequence[Output],
        info: Mapping[Node, Info],
        tables: Tables,
        device: Device,
        note: Callable[[str, str], None],
    ) -> None:
        super().__init__(outputs, info, tables)
        self._device, self._note = device, note
        self._wholly = OnDevice(device, tables, note)
        # What was made of a dictionary the last time: partitions and calls often share one.
        self._by_entry: dict[Node, tuple[list[Column], Column]] = {}
        self._entries_there: dict[Node, tuple[Column, DeviceArray, DeviceArray | None]] = {}

    def columns(self, frame: Frame) -> list[Column]:
        """Each output over the rows of `frame`, in the type it leaves in."""
        return [on_host(column) for column in self.resident(frame)]

    def resident(self, frame: Frame) -> list[AnyColumn]:
        """The same, in the device's memory, or to be copied there when they are needed there."""
        made = self._run_stages(frame)
        stored = self._run(self._plain, made, frame)
        results: dict[int, AnyColumn] = {}
        for index, (values, valid) in zip(self._tiled, stored, strict=True):
            results[index] = DeviceColumn(self._outputs[index].dtype, frame.n_rows, values, valid)
        for index, output in enumerate(self._outputs):
            if index not in results:
                results[index] = self._leaving(output, made, frame)
        return [results[index] for index in range(len(self._outputs))]

    def matrix(self, frame: Frame, out: Any) -> None:
        """The outputs as the columns of `out` (float32, shape (rows, outputs)); null as NaN.

        Args:
            out: on the device or on the host.
        """
        made = self._run_stages(frame)
        if not frame.n_rows or not self._outputs:
            return
        there = out if isinstance(out, DeviceArray) else self._device.empty(out.shape, np.float32)
        inputs = [self._input(leaf, made) for leaf in self._as_matrix.leaves]
        table = self._as_matrix.table([given.values.dtype for given in inputs])
        status = interpreter.run_matrix(table, inputs, there, range(len(self._outputs)), frame.n_rows)
        if status[:, 0].any():
            self._refuse(frame)
        if there is not out:
            out[...] = there.to_host()

    # -- one partition --------------------------------------------------------------------------------------
    def _sources(self, frame: Frame) -> dict[Node, Placed]:
        found = {node: placed(self._device, frame.resident(name)) for node, name in self._columns.items()}
        for node, name in self._columns.items():
            if found[node].dtype == UInt64 and _may_be_beyond_int64(found[node]):
                refuse_beyond_int64(found[node].to_host(), name)
        found.update({node: settled(column) for node, column in found.items() if isinstance(column, DeviceColumn)})
        for fold in self._folds:
            found[fold] = self._wholly.folds(frame.row_ids, fold["folds"])
        return found

    def _column(self, node: Node, made: Mapping[Node, Placed], frame: Frame) -> Placed:
        if node.op == "pick":
            return self._picked(node, made)
        args = [arg for arg in node.args if arg.op != "table"]
        vectors = [self._vector(arg, made) for arg in args if not self._info[arg].scalar]
        ids = shared_ids(vectors)
        if ids is not None:
            try:
                return of_entries(ids, self._of_entries(node, args, vectors))
            except DataError:
                pass  # of an entry that perhaps no row has: the host looks at those of rows alone
        given = [self._scalars[arg] if self._info[arg].scalar else self._vector(arg, made) for arg in args]
        found = self._wholly.column(node, given)
        return self._on_host(node, given, frame.n_rows) if found is None else found

    def _on_host(self, node: Node, given: Sequence[Placed | Column], n_rows: int) -> Uploading:
        held = [loaded(on_host(value), "") for value in given]
        with np.errstate(all="ignore"):
            return Uploading(spread(columnwise(node, held, self._tables), n_rows), self._device)

    def _of_entries(self, node: Node, args: Sequence[Node], vectors: Sequence[Placed]) -> Column | EntryTable:
        found = self._by_cudf(node, args, on_device(vectors[0]).entries) if len(vectors) == 1 else None
        return self._by_host(node, args, [on_device(vector).known for vector in vectors]) if found is None else found

    def _by_cudf(self, node: Node, args: Sequence[Node], entries: Column | EntryTable | None) -> EntryTable | None:
        """What a function makes of many texts where they are; None: the host makes it."""
        if entries is None or not texts.are_many(node, entries):
            return None
        try:
            return texts.applied(node, entries, [self._scalars.get(arg) for arg in args])
        except NotOnDevice as why:
            self._note(show(node), str(why))
            return None

    def _by_host(self, node: Node, args: Sequence[Node], entries: list[Column]) -> Column:
        last = self._by_entry.get(node)
        if last is not None and all(a is b for a, b in zip(last[0], entries, strict=True)):
            return last[1]
        each = iter(entries)
        given = [self._scalars[arg] if self._info[arg].scalar else next(each) for arg in args]
        found = entrywise(lambda columns: columnwise(node, columns, self._tables), given, len(entries[0]))
        self._by_entry[node] = entries, found
        return found

    def _picked(self, node: Node, made: Mapping[Node, Placed]) -> Placed:
        wide, index = made[node.args[0]], node["index"]
        held = wide.known if isinstance(wide, DeviceColumn) else wide.host
        part = Column(held.dtype, held.values[index], held.valid)
        if isinstance(wide, Uploading):
            return Uploading(part, self._device)
        return of_entries(wide, part)

    def _vector(self, node: Node, made: Mapping[Node, Placed]) -> Placed:
        found = made.get(node)
        return self._picked(node, made) if found is None else found

    def _stored(self, batch: Batch, made: Mapping[Node, Placed], frame: Frame) -> list[Placed]:
        found = zip(batch.stores, self._run(batch, made, frame), strict=True)
        return [DeviceColumn(self._info[store.node].dtype, frame.n_rows, *there) for store, there in found]

    def _run(
        self, batch: Batch, made: Mapping[Node, Placed], frame: Frame
    ) -> list[tuple[DeviceArray, DeviceArray | None]]:
        size, words = frame.n_rows, max(-(-frame.n_rows // 32), 1)
        outputs = [
            (
                self._device.empty(size, np.dtype(store.storage)),
                self._device.empty(words, np.uint32) if self._info[store.node].nullable else None,
            )
            for store in batch.stores
        ]
        if outputs and size:
            inputs = [self._input(leaf, made) for leaf in batch.leaves]
            table = batch.table([given.values.dtype for given in inputs])
            status = interpreter.run(table, inputs, outputs, 0, size)
            if status[:, 0].any():
                self._refuse(frame)
        return outputs

    def _input(self, leaf: Node, made: Mapping[Node, Placed]) -> Input:
        column = on_device(self._vector(leaf, made))
        if column.ids is None or column.entries is None:
            assert column.values is not None
            return Input(column.values, column.valid)
        there = column.entries
        if isinstance(there, DeviceColumn) and there.values is not None:
            values, valid = there.values, there.valid
        else:
            values, valid = self._entry_table(leaf, column.known)
        absent = -1 if column.absent is None else column.absent.entry
        return Input(values, column.valid, column.ids, valid, absent)

    def _entry_table(self, leaf: Node, entries: Column) -> tuple[DeviceArray, DeviceArray | None]:
        last = self._entries_there.get(leaf)
        if last is None or last[0] is not entries:
            valid = None if entries.valid is None else self._device.upload(packed(entries.valid))
            last = entries, self._device.upload(np.ascontiguousarray(entries.values)), valid
            self._entries_there[leaf] = last
        return last[1], last[2]

    def _leaving(self, output: Output, made: Mapping[Node, Placed], frame: Frame) -> AnyColumn:
        """What no fused program stores: text, constants, and what whole-column operations made."""
        size = frame.n_rows
        if self._info[output.node].scalar:
            return self._left(self._scalars[output.node], output, size)
        value = self._vector(output.node, made)
        if isinstance(value, Uploading):
            return self._left(value.host, output, size)
        if value.values is not None:
            there = value.values, value.valid
            if value.values.dtype != output.dtype.storage:
                store = Store(output.node, str(output.dtype.storage))
                (there,) = self._run(self._batch([store]), made, frame)
            return DeviceColumn(output.dtype, size, *there)
        try:
            return of_entries(value, leaving(loaded(value.known, ""), output.dtype, len(value.known)))
        except DataError:  # of an entry that perhaps no row has
            return self._left(value.to_host(), output, size)

    def _left(self, column: Column, output: Output, size: int) -> Uploading:
        return Uploading(leaving(loaded(column, output.name), output.dtype, size), self._device)


def _may_be_beyond_int64(column: Placed) -> bool:
    """Whether a value is 2^63 or more, as a device tells by its sign; what is on the host is looked at there."""
    if not isinstance(column, DeviceColumn) or column.values is None or not len(column):
        return True
    low = extent(Numbers(column.values, column.valid)).low
    return low is not None and low < 0
