"""Walking rows down trees, level by level: many rows and trees take each step together.

Comparing is exact and a row's values are added in tree order, so tiles and batches change no bit. A compiled
form was measured (docs/decisions/0004-models-as-arrays.md) and gains too little to keep two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LANES = 1 << 16  # rows × trees that go down together: their state stays in a 2 MiB cache
ROWS = 1 << 12  # of them rows at most: their features stay in cache while tree after tree is walked


@dataclass(frozen=True, eq=False)
class Nodes:
    """Inner nodes and leaves of all trees, one after another; node i of n inner ones is a leaf if i >= n.

    Attributes:
        table: int32, (inner, 4): feature, bits of the float32 threshold, right child, left child. A row goes
            left where its feature <= threshold. Children stand behind their parents.
        missing_left: uint8, (inner,): 1 where NaN goes left.
        category_set: int32, (inner,) or (0,): the row of `category_bits` a categorical node asks, else -1.
        category_bits: uint32, (sets, words): bit c % 32 of word c // 32 is set where category code c goes left.
        roots: int32, (trees,).
        value: float64, (leaves, width): width is the number of outputs, or 1 where tree t adds to output
            t modulo outputs.
    """

    table: NDArray[np.int32]
    missing_left: NDArray[np.uint8]
    category_set: NDArray[np.int32]
    category_bits: NDArray[np.uint32]
    roots: NDArray[np.int32]
    value: NDArray[np.float64]


def add_trees(X: NDArray[np.float32], nodes: Nodes, sums: NDArray[np.float64]) -> None:
    """Add each row's value in every tree, in tree order, to `sums`.

    Args:
        X: float32, (rows, features); categorical columns as codes.
        nodes: the trees.
        sums: float64, (rows, outputs), changed in place.
    """
    outputs = sums.shape[1]
    step = max(1, min(len(X), ROWS, LANES // outputs))
    trees = max(1, LANES // step // outputs) * outputs
    for start in range(0, len(X), step):
        rows = np.ascontiguousarray(X[start : start + step])
        for first in range(0, len(nodes.roots), trees):
            leaves = _leaves(rows, nodes, nodes.roots[first : first + trees])
            _add(nodes.value, leaves, sums[start : start + step])


def _leaves(X: NDArray[np.float32], nodes: Nodes, roots: NDArray[np.int32]) -> NDArray[np.intp]:
    """The leaf each row reaches in each tree, (trees, rows), counted from the first leaf of all."""
    inner = len(nodes.table)
    table, flat = nodes.table.ravel(), X.ravel()
    thresholds = table.view(np.float32)
    reached = np.repeat(roots.astype(np.intp), len(X))
    lane = np.flatnonzero(reached < inner)
    at = reached[lane]
    origin = np.tile(np.arange(len(X), dtype=np.intp) * X.shape[1], len(roots))[lane]
    has_missing = bool(np.isnan(flat).any())
    while lane.size:
        entry = at * 4
        x = flat.take(origin + table.take(entry))
        left = x <= thresholds.take(entry + 1)
        if nodes.category_set.size:
            _ask_categories(left, x, at, nodes)
        if has_missing:
            left |= np.isnan(x) & nodes.missing_left.take(at).astype(bool)
        at = table.take(entry + 2 + left).astype(np.intp)
        reached[lane] = at
        going = at < inner
        if not going.all():
            lane, at, origin = lane[going], at[going], origin[going]
    return reached.reshape(len(roots), len(X)) - inner


def _ask_categories(left: NDArray[np.bool_], x: NDArray[np.float32], at: NDArray[np.intp], nodes: Nodes) -> None:
    sets = nodes.category_set.take(at)
    ask = np.flatnonzero((sets >= 0) & ~np.isnan(x))
    code = x[ask].astype(np.intp)
    word = nodes.category_bits[sets[ask], code >> 5]
    left[ask] = (word >> (code & 31).astype(np.uint32)) & np.uint32(1)


def _add(value: NDArray[np.float64], leaves: NDArray[np.intp], sums: NDArray[np.float64]) -> None:
    rows, outputs = sums.shape
    if value.shape[1] == outputs:
        steps = value[leaves]  # (trees, rows, outputs)
    else:
        steps = value[leaves, 0].reshape(-1, outputs, rows).transpose(0, 2, 1)
    if rows * outputs <= 64:  # accumulate is bound to tree order, and is one call
        sums[:] = np.add.accumulate(np.concatenate([sums[None], steps]), axis=0)[-1]
    else:
        for step in steps:
            sums += step
