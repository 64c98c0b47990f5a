"""How bound outputs are taken through a partition: stages of whole-column operations, and tile programs between them.

What is the same on every device stands here; a device says how its columns are found, computed and stored.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, NoReturn, TypeVar

import numpy as np

from gpupipe.backends.batches import Batch
from gpupipe.backends.categories import Tables
from gpupipe.backends.reference import evaluate_all
from gpupipe.columns import Column, Frame
from gpupipe.compiler.bind import Output
from gpupipe.compiler.groups import Store, is_tile
from gpupipe.compiler.info import Info
from gpupipe.compiler.stages import Stage, plan_stages
from gpupipe.errors import InternalError
from gpupipe.expr.node import Node, walk
from gpupipe.schema import String

Made = TypeVar("Made")


class Staged(ABC, Generic[Made]):
    """Bound outputs as stages. `Made` is what a device holds of a column."""

    name = "this"

    def __init__(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables) -> None:
        self._outputs, self._info, self._tables = tuple(outputs), info, tables
        nodes = [output.node for output in outputs]
        inside = list(walk(*nodes))
        self._columns = {node: str(node["name"]) for node in inside if node.op == "col"}
        self._folds = tuple(node for node in inside if node.op == "fold_of")
        self._stages: tuple[Stage, ...] = plan_stages(nodes, info)
        self._in_memory: set[Node] = {*self._columns, *self._folds}
        self._scalars = self._constants(nodes)
        self._stage_batches = [self._stage_batch(stage) for stage in self._stages]
        self._tiled = [index for index, output in enumerate(outputs) if self._is_stored(output.node)]
        self._plain = self._batch([Store(outputs[at].node, str(outputs[at].dtype.storage)) for at in self._tiled])
        self._as_matrix = self._batch([Store(node, "float32") for node in nodes])

    def _stage_batch(self, stage: Stage) -> Batch:
        """What a stage stores, from what stands in memory by then, which grows from stage to stage."""
        batch = self._batch(stage.stores)
        self._in_memory.update(stage.columns)
        self._in_memory.update(store.node for store in stage.stores)
        return batch

    def _batch(self, stores: Sequence[Store]) -> Batch:
        return Batch(stores, lambda node: node in self._in_memory or node.op == "pick", self._info, self._scalars)

    def _constants(self, nodes: Sequence[Node]) -> dict[Node, Column]:
        """Every scalar under `nodes`, computed once by the reference, so that all devices share its bits."""
        scalars = [node for node in walk(*nodes) if node.op != "table" and self._info[node].scalar]
        return evaluate_all(scalars, Frame({}, 1, np.zeros(1, np.uint64)), self._tables)

    def _is_stored(self, node: Node) -> bool:
        """Whether a tile program can store an output as it leaves."""
        dtype = self._info[node].dtype
        return dtype != String and not self._info[node].scalar and (is_tile(node, self._info) or node.op == "col")

    def _run_stages(self, frame: Frame) -> dict[Node, Made]:
        made = self._sources(frame)
        for stage, batch in zip(self._stages, self._stage_batches, strict=True):
            for node in stage.columns:
                if node not in made:
                    made[node] = self._column(node, made, frame)
            kept = self._stored(batch, made, frame)
            made.update(zip((store.node for store in stage.stores), kept, strict=True))
        return made

    @abstractmethod
    def _sources(self, frame: Frame) -> dict[Node, Made]:
        """The columns of the frame, and the folds of its rows, that the outputs are made of; more where it is known."""

    @abstractmethod
    def _column(self, node: Node, made: Mapping[Node, Made], frame: Frame) -> Made:
        """What a whole-column operation makes."""

    @abstractmethod
    def _stored(self, batch: Batch, made: Mapping[Node, Made], frame: Frame) -> list[Made]:
        """What one call of the tile interpreter stores."""

    def _refuse(self, frame: Frame) -> NoReturn:
        """Raise what the reference says of rows that failed here, so that both say the same."""
        evaluate_all([output.node for output in self._outputs], frame, self._tables)
        raise InternalError(f"A value failed in the {self.name} backend and not in the reference. Please report this.")
