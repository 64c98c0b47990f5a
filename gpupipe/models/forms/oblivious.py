"""Oblivious trees, CatBoost's own: every node of a level asks the same question, so a leaf's number is the answers
as bits. That makes them small (a feature and a border a level) and walking them without branches.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params

ROWS = 1 << 14  # that go through the trees together: their answers stay in cache, NumPy's calls are few
FEW = 64  # up to so many rows the questions of all trees are asked at once
MAX_DEPTH = 16  # CatBoost's own limit
_ARRAYS = ("feature", "border", "depth", "value", "scale", "start", "missing_above")


@dataclass(frozen=True, eq=False)
class Oblivious:
    """Raw outputs are ``scale * (sum of the trees' values in tree order) + start``.

    Tree t has the next `depth[t]` questions ``x[feature] > border``; question i is bit i of the leaf's number, and
    its 2^depth leaves are the next rows of `value`.

    Attributes:
        feature: int32, (questions,).
        border: float32, (questions,).
        depth: uint8, (trees,).
        value: float64, (leaves, outputs).
        scale: float64, (1,).
        start: float64, (outputs,).
        missing_above: uint8, (features,): 1 where NaN is above every border, else it is above none.
    """

    form: ClassVar[str] = "oblivious"
    feature: NDArray[np.int32]
    border: NDArray[np.float32]
    depth: NDArray[np.uint8]
    value: NDArray[np.float64]
    scale: NDArray[np.float64]
    start: NDArray[np.float64]
    missing_above: NDArray[np.uint8]

    @property
    def n_outputs(self) -> int:
        return len(self.start)

    def raw(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64, (rows, outputs)."""
        sums = np.zeros((len(X), self.n_outputs))
        add = self._add_together if len(X) <= FEW else self._add_in_turn
        for first in range(0, len(X), ROWS):
            add(self._columns(X[first : first + ROWS]), sums[first : first + ROWS])
        return sums * self.scale + self.start

    def _columns(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """`X` by column, NaN as infinity where it is above every border."""
        columns = np.array(X.T, order="C")
        for feature in np.flatnonzero(self.missing_above):
            columns[feature, np.isnan(columns[feature])] = np.inf
        return columns

    def _add_in_turn(self, columns: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
        """Add tree after tree: many rows answer each question together."""
        answer = np.empty(len(sums), np.bool_)
        bit = answer.view(np.uint8)
        total, value = (sums[:, 0], self.value[:, 0]) if self.n_outputs == 1 else (sums, self.value)
        wide = np.uint16 if len(self.depth) and self.depth.max() > 8 else np.uint8
        for questions, first, last in self._trees:
            leaf: NDArray[Any] = np.zeros(len(sums), wide)
            for feature, border in questions:
                np.greater(columns[feature], border, out=answer)
                np.add(leaf, leaf, out=leaf)  # a shift by one, and faster
                np.bitwise_or(leaf, bit, out=leaf)
            total += value[first:last].take(leaf, axis=0)

    def _add_together(self, columns: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
        """Add all trees to few rows at once; the sum is bound to the order of trees here too."""
        feature, border = self._padded
        answers = columns[feature] > border[:, :, None]  # (trees, levels, rows)
        bits = 1 << np.arange(answers.shape[1])
        leaves = (answers * bits[:, None]).sum(axis=1) + self._first_leaf[:, None]
        sums[:] = np.add.accumulate(np.concatenate([sums[None], self.value[leaves]]), axis=0)[-1]

    @cached_property
    def _first_leaf(self) -> NDArray[np.int64]:
        return np.append(0, np.cumsum(1 << self.depth.astype(np.int64)))[:-1]

    @cached_property
    def _padded(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Feature and border by tree and level; no number is above the border of a level that a tree has not."""
        there = np.arange(max(1, self.depth.max(initial=0))) < self.depth[:, None]
        feature, border = np.zeros(there.shape, np.int32), np.full(there.shape, np.inf, np.float32)
        feature[there], border[there] = self.feature, self.border
        return feature, border

    @cached_property
    def _trees(self) -> list[tuple[list[tuple[int, np.float32]], int, int]]:
        """Of each tree: its questions, the last and highest bit first, and its leaves' range of rows."""
        ends = np.cumsum(self.depth, dtype=np.int64).tolist()
        questions = list(zip(self.feature.tolist(), self.border, strict=True))
        leaves = self._first_leaf.tolist()
        return [
            (questions[end - depth : end][::-1], leaf, leaf + (1 << depth))
            for end, depth, leaf in zip(ends, self.depth.tolist(), leaves, strict=True)
        ]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        return {}, {name: getattr(self, name) for name in _ARRAYS}, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, (), "parameters")
        checks.only(arrays, _ARRAYS, "arrays")
        checks.only(blobs, (), "blobs")
        depth = checks.array(arrays, "depth", "uint8", (None,))
        checks.integers(depth, "depth", 0, MAX_DEPTH + 1)
        questions, leaves = int(depth.sum(dtype=np.int64)), int((1 << depth.astype(np.int64)).sum())
        feature = checks.array(arrays, "feature", "int32", (questions,))
        checks.integers(feature, "feature", 0, n_features)
        start = checks.array(arrays, "start", "float64", (None,))
        missing_above = checks.array(arrays, "missing_above", "uint8", (n_features,))
        checks.integers(missing_above, "missing_above", 0, 2)
        checks.require(len(start) > 0, "it has no outputs")
        return cls(
            feature,
            checks.array(arrays, "border", "float32", (questions,)),
            depth,
            checks.array(arrays, "value", "float64", (leaves, len(start))),
            checks.array(arrays, "scale", "float64", (1,)),
            start,
            missing_above,
        )
