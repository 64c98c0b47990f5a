"""Whole-column operations over numbers, or over several columns, that a device carries out itself."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.backends.categories import Tables
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.hashes import codes_with_buckets, fold_numbers, hash_bucket
from gpupipe.backends.gpu.indexes import DeviceIndex
from gpupipe.backends.gpu.placed import Placed, on_device, plain
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.strings import decoded
from gpupipe.columns import Column, Values
from gpupipe.compiler.fitted import Learned
from gpupipe.expr.node import Node, show
from gpupipe.kernels.gpu import counting
from gpupipe.kernels.gpu.bins import bins
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.kernels.gpu.lookup import Dense, combine
from gpupipe.kernels.gpu.numbers import Numbers
from gpupipe.schema import Boolean, Int32, Null, String

Given = Sequence[Placed | Column]


class OnDevice:
    """The operations that a device has kernels for, over columns wherever they are; from any thread.

    Args:
        note: told (expression, why) of what a kernel turns out not to do: the host then does it.
    """

    def __init__(self, device: Device, tables: Tables, note: Callable[[str, str], None]) -> None:
        self._device, self._tables, self._note = device, tables, note
        self._kept: dict[Any, Any] = {}
        self._making = threading.Lock()

    def column(self, node: Node, args: Given) -> DeviceColumn | None:
        """What the operation makes of columns, and of constants of one row; None: the host has to do it.

        Raises:
            DeviceMemoryError: the device has not so much memory.
        """
        does = _DOES.get(node.op)
        if does is None or any(arg.dtype == Null for arg in args):
            return None
        try:
            return does(self, node, plain(self._device, args))
        except NotOnDevice as why:
            self._note(show(node), str(why))
            return None

    def folds(self, row_ids: Values, folds: int) -> DeviceColumn:
        """The fold of each row: ``registers.fold_numbers``."""
        rows = len(row_ids)
        first = int(row_ids[0]) if rows else 0
        if not rows or (int(row_ids[-1]) == first + rows - 1 and bool((row_ids[1:] > row_ids[:-1]).all())):
            return fold_numbers(self._device, first, rows, folds)
        return fold_numbers(self._device, self._device.upload(row_ids), rows, folds)

    def kept(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made once for all partitions."""
        with self._making:
            if key not in self._kept:
                self._kept[key] = make()
            return self._kept[key]

    # -- operations -----------------------------------------------------------------------------------------
    def bins(self, node: Node, args: Given) -> DeviceColumn | None:
        x, *bounds = args
        if isinstance(x, Column) or not all(_is_number(bound) for bound in bounds):
            return None
        column = on_device(x)
        if column.values is None:
            return None
        limits = np.array([float(bound.values[0]) for bound in bounds if isinstance(bound, Column)], np.float64)
        return DeviceColumn(Int32, len(column), bins(self._device, column.values, limits), column.valid)

    def codes(self, node: Node, args: Given) -> DeviceColumn | None:
        (x,) = args
        if isinstance(x, Column):
            return None
        table, buckets, there = node.args[1], node["other_buckets"], on_device(x)
        index = self._index(("codes", table["slot"], buckets), lambda: self._tables.entries(table), 1 + buckets)
        if buckets == 1:
            return DeviceColumn(Int32, len(x), index.find([there], null=0, nowhere=1))
        known = index.find([there], null=0)
        return DeviceColumn(Int32, len(x), codes_with_buckets(there, known, buckets))

    def is_in(self, node: Node, args: Given) -> DeviceColumn | None:
        size = len(node["values"])
        held = np.arange(size + 2) > 0
        return self._listed(node, "values", args, lambda: Column(Boolean, held, np.arange(size + 2) <= size))

    def ordinal(self, node: Node, args: Given) -> DeviceColumn | None:
        size = len(node["order"])
        places = np.concatenate([[0], np.arange(size), [0]]).astype(np.int32)
        known = (np.arange(size + 2) > 0) & (np.arange(size + 2) <= size)
        found = self._listed(node, "order", args, lambda: Column(Int32, places, known))
        if found is None or found.ids is None or node["unknown"] != "error":
            return found
        strange = counting.counts(Numbers(found.ids), 0, 1)[0]
        return None if strange else found  # the host says which row it is

    def _listed(self, node: Node, name: str, args: Given, entries: Callable[[], Column]) -> DeviceColumn | None:
        """Where each value stands in a list of a node's own: 0 nowhere, from 1 on its place, after all of them null."""
        (x,) = args
        if isinstance(x, Column):
            return None
        index = self._index(node, lambda: self._tables.listed(node, name), 1)
        ids = index.find([on_device(x)], null=len(node[name]) + 1, nowhere=0)
        held: Column = self.kept((node, "entries"), entries)
        return DeviceColumn(held.dtype, len(x), None, None, ids, held)

    def lookup(self, node: Node, args: Given) -> DeviceColumn | None:
        learned = self._tables.learned(node)
        keys = [on_device(arg) for arg in args if not isinstance(arg, Column)]
        if len(keys) < len(args) or not len(learned.value):
            return None
        ids = self._by_fold(node, keys, learned) if node["by_fold"] else self._at(node, keys, first=1, nowhere=0)
        value = learned.by_fold if node["by_fold"] else learned.value
        assert value is not None
        entries: Column = self.kept((node, "entries"), lambda: _after_null(value))
        return DeviceColumn(value.dtype, len(keys[0]), None, None, ids, entries)

    def _at(self, node: Node, keys: list[DeviceColumn], first: int, nowhere: int) -> DeviceArray:
        index = self._index(("lookup", node["slot"], first), lambda: self._tables.groups(node), first)
        return index.find(keys, nowhere=nowhere)

    def _by_fold(self, node: Node, keys: list[DeviceColumn], learned: Learned) -> DeviceArray:
        """Which of the out-of-fold values each row has, from 1 on: a group's of one fold stand together."""
        *plain, fold = keys
        assert fold.values is not None and learned.by_fold is not None
        size, everyone = len(learned.value), len(learned.by_fold)
        if not plain:
            return self._counted(everyone, 1).of(Numbers(fold.values), nowhere=0)
        number = self._counted(everyone // size, 0).of(Numbers(fold.values))
        pairs = combine(number, self._at(node, plain, first=0, nowhere=-1), size)
        return self._counted(everyone, 1).of(Numbers(pairs, partial=True), nowhere=0)

    def _counted(self, size: int, first: int) -> Dense:
        numbers = np.arange(first, first + size, dtype=np.int32)
        found: Dense = self.kept(("counted", size, first), lambda: Dense(0, self._device.upload(numbers)))
        return found

    def _index(self, key: Any, index: Callable[[], Any], first: int) -> DeviceIndex:
        found: DeviceIndex = self.kept(key, lambda: DeviceIndex(self._device, index(), first))
        return found

    def hash_bucket(self, node: Node, args: Given) -> DeviceColumn | None:
        columns = [on_device(arg) for arg in args if not isinstance(arg, Column)]
        if len(columns) < len(args):
            return None
        return DeviceColumn(Int32, len(columns[0]), hash_bucket(columns, node["seed"], node["buckets"]))


def _is_number(bound: Placed | Column) -> bool:
    """Whether a bound is one for all rows, neither null nor NaN."""
    if not isinstance(bound, Column) or bound.null_count:
        return False
    return not np.isnan(float(bound.values[0]))


def _after_null(value: Column) -> Column:
    """A null, and then the values."""
    valid = np.append(False, np.ones(len(value), bool) if value.valid is None else value.valid)
    if value.dtype == String:
        return Column(String, pa.concat_arrays([pa.nulls(1, pa.string()), decoded(value)]), valid)
    return Column(value.dtype, np.append(value.values.dtype.type(0), value.values), valid)


_DOES: dict[str, Callable[[OnDevice, Node, Given], DeviceColumn | None]] = {
    "bins": OnDevice.bins,
    "codes": OnDevice.codes,
    "is_in": OnDevice.is_in,
    "ordinal": OnDevice.ordinal,
    "lookup": OnDevice.lookup,
    "hash_bucket": OnDevice.hash_bucket,
}
