"""Ensembles of trees as arrays: forests, extra trees, and histogram gradient boosting.

Features are float32, so a float64 threshold t can be kept as the largest float32 not above t: every float32 x
has x <= t exactly when x <= that, and no decision changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.tree_walk import Nodes, add_trees

MAX_CODES = 1 << 20  # categories a feature may have: any set of them then takes 128 KiB at most


@dataclass(frozen=True, eq=False)
class TreeTable:
    """One tree as its library numbers it: arrays of shape (nodes,), `value` (nodes, width)."""

    leaf: NDArray[np.bool_]
    left: NDArray[Any]
    right: NDArray[Any]
    feature: NDArray[Any]
    threshold: NDArray[np.float64]
    missing_left: NDArray[Any]
    value: NDArray[np.float64]
    category_set: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Categories:
    """The category values of each feature: those of feature f are values[offsets[f]:offsets[f + 1]].

    Attributes:
        values: float32, ascending within a feature.
        offsets: int64, (features + 1,).
        truncate: whether 2.7 counts as category 2, as in LightGBM.
    """

    values: NDArray[np.float32]
    offsets: NDArray[np.int64]
    truncate: bool = False

    def encode(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """`X` with categorical columns replaced by codes 0, 1, …; an unknown value becomes NaN."""
        coded = X.copy()
        for feature in np.flatnonzero(np.diff(self.offsets)):
            known = self.values[self.offsets[feature] : self.offsets[feature + 1]]
            given = np.trunc(X[:, feature]) if self.truncate else X[:, feature]
            code = np.minimum(np.searchsorted(known, given), len(known) - 1)
            coded[:, feature] = np.where(known[code] == given, code, np.nan)
        return coded


@dataclass(frozen=True, eq=False)
class Trees:
    """Raw outputs are ``start`` plus the trees' values in tree order; their mean, if `average`.

    Attributes:
        nodes: all trees.
        start: float64, (outputs,).
        average: whether the sum is divided by the number of trees that add to an output.
        categories: the categorical features; None where there are none.
        n_features: columns of X.
    """

    form: ClassVar[str] = "trees"
    nodes: Nodes
    start: NDArray[np.float64]
    average: bool
    categories: Categories | None
    n_features: int

    @property
    def n_outputs(self) -> int:
        return len(self.start)

    @cached_property
    def rounds(self) -> int:
        """Trees that add to each output."""
        return len(self.nodes.roots) * self.nodes.value.shape[1] // self.n_outputs

    def raw(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64, (rows, outputs)."""
        sums = np.empty((len(X), self.n_outputs))
        sums[:] = self.start
        add_trees(X if self.categories is None else self.categories.encode(X), self.nodes, sums)
        return sums / self.rounds if self.average else sums

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        nodes = self.nodes
        none = Categories(np.empty(0, np.float32), np.zeros(self.n_features + 1, np.int64))
        arrays: dict[str, NDArray[Any]] = {
            "feature": nodes.table[:, 0].copy(),
            "threshold": nodes.table.view(np.float32)[:, 1].copy(),
            "right": nodes.table[:, 2].copy(),
            "left": nodes.table[:, 3].copy(),
            "missing_left": nodes.missing_left,
            "category_set": nodes.category_set,
            "category_bits": nodes.category_bits,
            "category_values": (self.categories or none).values,
            "category_offsets": (self.categories or none).offsets,
            "roots": nodes.roots,
            "value": nodes.value,
            "start": self.start,
        }
        whole = {} if self.categories is None or not self.categories.truncate else {"truncate": True}
        return {"average": self.average, **whole}, arrays, {}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        truncate = "truncate" in params  # a parameter that is written where it is true
        checks.only(params, ("average", "truncate") if truncate else ("average",), "parameters")
        checks.require(not truncate or checks.flag(params, "truncate"), "parameter 'truncate' is false")
        checks.only(arrays, _ARRAYS, "arrays")
        checks.only(blobs, (), "blobs")
        start = checks.array(arrays, "start", "float64", (None,))
        nodes = _checked_nodes(arrays, n_features, len(start))
        categories = _checked_categories(arrays, nodes, n_features, truncate)
        return cls(nodes, start, checks.flag(params, "average"), categories, n_features)


_ARRAYS = (
    *("feature", "threshold", "right", "left", "missing_left", "roots", "value", "start"),
    *("category_set", "category_bits", "category_values", "category_offsets"),
)


def _checked_nodes(arrays: Arrays, n_features: int, n_outputs: int) -> Nodes:
    feature = checks.array(arrays, "feature", "int32", (None,))
    inner = len(feature)
    threshold = checks.array(arrays, "threshold", "float32", (inner,))
    children = [checks.array(arrays, side, "int32", (inner,)) for side in ("right", "left")]
    value = checks.array(arrays, "value", "float64", (None, None))
    roots = checks.array(arrays, "roots", "int32", (None,))
    bits = checks.array(arrays, "category_bits", "uint32", (None, None))
    sets = checks.array(arrays, "category_set", "int32", (None,))
    missing_left = checks.array(arrays, "missing_left", "uint8", (inner,))
    checks.integers(feature, "feature", 0, n_features)
    for side, child in zip(("right", "left"), children, strict=True):
        # behind their parent, so that no walk goes in a circle
        checks.integers(child, side, np.arange(1, inner + 1), inner + len(value))
    checks.integers(roots, "roots", 0, inner + len(value))
    checks.require(len(sets) in (0, inner), "array 'category_set' has a wrong length")
    checks.integers(sets, "category_set", -1, len(bits))
    checks.integers(missing_left, "missing_left", 0, 2)
    checks.require(n_outputs > 0 and value.shape[1] in (1, n_outputs), "array 'value' has a wrong width")
    whole = len(roots) > 0 and len(roots) % (n_outputs // value.shape[1]) == 0
    checks.require(whole, "it has a wrong number of trees")
    table = np.stack([feature, threshold.view(np.int32), *children], axis=1)
    return Nodes(np.ascontiguousarray(table), missing_left, sets, bits, roots, value)


def _checked_categories(arrays: Arrays, nodes: Nodes, n_features: int, truncate: bool) -> Categories | None:
    offsets = checks.array(arrays, "category_offsets", "int64", (n_features + 1,))
    values = checks.array(arrays, "category_values", "float32", (None,))
    sizes = np.diff(offsets)
    checks.require(offsets[0] == 0 and offsets[-1] == len(values), "the category offsets do not fit the values")
    checks.integers(sizes, "category_offsets", 0, min(MAX_CODES, 32 * nodes.category_bits.shape[1]) + 1)
    asks = nodes.table[np.flatnonzero(nodes.category_set >= 0), 0]
    checks.require(bool((sizes[asks] > 0).all()), "a categorical node asks a feature without categories")
    for feature in np.flatnonzero(sizes):
        known = values[offsets[feature] : offsets[feature + 1]]
        checks.require(bool((np.diff(known) > 0).all()), "the categories of a feature are not ascending")
    checks.require(len(values) > 0 or not truncate, "there are no categories to truncate")
    return Categories(values, offsets, truncate) if len(values) else None


def assemble(tables: Sequence[TreeTable], category_bits: NDArray[np.uint32] | None = None) -> Nodes:
    """One table from many trees: the inner nodes of all, then the leaves of all, each in given order."""
    n_inner = sum(int((~table.leaf).sum()) for table in tables)
    n_nodes = sum(len(table.leaf) for table in tables)
    if n_nodes >= 2**31:
        raise UnsafeModelError(f"The trees have {n_nodes} nodes; a saved form holds up to {2**31 - 1}.")
    rows, roots = [], []
    inner, leaf = 0, n_inner
    for table in tables:
        place = np.where(table.leaf, leaf + np.cumsum(table.leaf), inner + np.cumsum(~table.leaf)) - 1
        rows.append(_rows(table, place))
        roots.append(place[0])
        inner, leaf = inner + int((~table.leaf).sum()), leaf + int(table.leaf.sum())
    sets = [table.category_set[~table.leaf] for table in tables if table.category_set is not None]
    return Nodes(
        np.ascontiguousarray(np.concatenate(rows)),
        np.concatenate([table.missing_left[~table.leaf] for table in tables]).astype(np.uint8),
        np.concatenate(sets).astype(np.int32) if sets else np.empty(0, np.int32),
        np.empty((0, 8), np.uint32) if category_bits is None else category_bits,
        np.array(roots, dtype=np.int32),
        np.concatenate([table.value[table.leaf] for table in tables]),
    )


def _rows(table: TreeTable, place: NDArray[Any]) -> NDArray[np.int32]:
    inner = ~table.leaf
    threshold = round_down(table.threshold[inner]).view(np.int32)
    columns = [table.feature[inner], threshold, place[table.right[inner]], place[table.left[inner]]]
    return np.stack([column.astype(np.int32) for column in columns], axis=1)


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 not above each threshold.

    >>> float(round_down(np.array([0.1]))[0]) <= 0.1 < float(np.float32(0.1))
    True
    """
    with np.errstate(over="ignore", under="ignore"):
        near = thresholds.astype(np.float32)
        below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(np.float64) > thresholds, below, near)
