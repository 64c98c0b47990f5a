"""Values that one call of the tile interpreter stores: grouped once for each set of storage types."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gpupipe.columns import Column, Values
from gpupipe.compiler.groups import Store, group
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node, walk
from gpupipe.kernels.table import Program, Table
from gpupipe.schema import String

Buffer = tuple[Values, Values | None]
Run = Callable[[Table, Sequence[Buffer], Sequence[Buffer], int, int], Values]


class Batch:
    """Stores over leaves that stand in memory when it runs.

    Args:
        stores: what to compute and store, in order.
        in_memory: whether a node may stand in memory then.
        info: what is known of every node.
        scalars: the value of every scalar node; they become parameters.

    Attributes:
        stores: as given.
        leaves: the nodes that must stand in memory, in the order of a run's inputs.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        in_memory: Callable[[Node], bool],
        info: Mapping[Node, Info],
        scalars: Mapping[Node, Column],
    ) -> None:
        self.stores = tuple(stores)
        self._info, self._scalars = info, scalars
        self.leaves = tuple(node for node in self._reached(in_memory) if info[node].dtype != String)
        self._tables: dict[tuple[tuple[np.dtype[Any], ...], bool], Table] = {}

    def _reached(self, in_memory: Callable[[Node], bool]) -> list[Node]:
        """The nodes in memory that the stores load: not what is beneath them in turn."""
        reached: dict[Node, bool] = {}
        waiting = [store.node for store in self.stores]
        while waiting:
            node = waiting.pop()
            if node in reached or self._info[node].scalar:
                continue
            reached[node] = in_memory(node)
            waiting.extend(() if reached[node] else node.args)
        return [node for node in walk(*(store.node for store in self.stores)) if reached.get(node)]

    def table(self, storage: Sequence[np.dtype[Any]], *, joined: bool = False) -> Table:
        """The stores as programs over leaves that are stored so; store number n is its output n.

        Args:
            joined: whether steps that neighbours have in common are taken once, as ``group`` does it.
        """
        key = (tuple(storage), joined)
        table = self._tables.get(key)
        if table is None:
            leaves = {leaf: dtype.name for leaf, dtype in zip(self.leaves, key[0], strict=True)}
            table = self._tables[key] = self._grouped(leaves, joined)
        return table

    def _grouped(self, leaves: Mapping[Node, str], joined: bool) -> Table:
        grouping = group(self.stores, leaves, self._info, joined=joined)
        programs = [Program(np.array(shape.steps, np.int64), shape.n_registers) for shape in grouping.shapes]
        place = {node: index for index, node in enumerate(leaves)}
        return Table.build(
            programs,
            [
                (shape, [place[leaf] for leaf in row.columns], [self._parameter(p) for p in row.parameters], outputs)
                for shape, row, outputs in grouping.rows
            ],
        )

    def _parameter(self, node: Node) -> float | int | bool | None:
        column = self._scalars[node]
        if column.valid is not None and not column.valid[0]:
            return None
        value: float | int | bool = column.values[0].item()
        return value
