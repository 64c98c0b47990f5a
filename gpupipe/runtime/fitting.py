"""From a plan and rows to fitted features, and from those to the matrix, labels and weights a model trains on."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpupipe.backends.backend import Backend
from gpupipe.backends.categories import Tables
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Column, Frame, Values, concat
from gpupipe.compiler.bind import Binder, Output
from gpupipe.compiler.expand import only_column
from gpupipe.compiler.fitted import Fitted, plain_values
from gpupipe.compiler.plan import Plan
from gpupipe.errors import DataError, TargetError
from gpupipe.expr.node import Node, show
from gpupipe.runtime.execute import over_partitions
from gpupipe.runtime.given import GIVEN_TARGET, GIVEN_WEIGHT
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.stacked import Stacked


@dataclass(slots=True, eq=False)
class Examples:
    """What a model trains or is judged on.

    Attributes:
        matrix: float32 of shape (rows, features), C-ordered, null as NaN.
        target: labels or numbers of shape (rows,), or None.
        weights: float64 of shape (rows,), or None.
        row_ids: uint64 of shape (rows,).
        slices: values to slice by, as text, by column name.
        positions: of each partition's rows in the source, for errors to name them.
    """

    matrix: Values
    target: Values | None
    weights: Values | None
    row_ids: Values
    slices: dict[str, Values]
    positions: list[Values] = field(default_factory=list)


def examples(
    features: FittedFeatures,
    rows: Rows,
    pool: Executor,
    progress: Progress,
    *,
    by: Sequence[str] = (),
    what: str = "features",
) -> Examples:
    """The matrix of all rows, with target, weights and the columns to slice by, in the order of rows.

    Raises:
        TargetError: a null target.
    """
    plan = features.plan
    extras = [(name, node) for name, node in (("target", plan.target), ("weights", plan.weights)) if node is not None]
    prepared = _unfitted(plan, [node for _, node in extras], features.backend)
    progress.begin(what, rows)
    stacked = Stacked(rows.heights, len(features.outputs))

    def work(index: int, frame: Frame) -> tuple[Values, list[Column], Values, list[Values], Values]:
        extra = prepared.columns(frame) if extras else []
        matrix = features.matrix(frame, stacked.part(index))
        return matrix, extra, frame.row_ids, [labels_of(frame[name]) for name in by], frame.positions

    parts = over_partitions(rows, work, pool, progress)
    found = {name: concat([part[1][at] for part in parts]) for at, (name, _) in enumerate(extras)}
    positions = [part[4] for part in parts]
    with rows.all_placed(positions):
        target = _target(found["target"], plan.target) if plan.target is not None else None
        weights = _weights(found["weights"], plan.weights) if plan.weights is not None else None
    return Examples(
        stacked.whole([part[0] for part in parts]),
        target,
        weights,
        np.concatenate([part[2] for part in parts]) if parts else np.zeros(0, np.uint64),
        {name: np.concatenate([part[3][at] for part in parts]) for at, name in enumerate(by)},
        positions,
    )


def _unfitted(plan: Plan, nodes: list[Node], backend: Backend) -> Any:
    """Target and weights, which no scan precedes, ready to run."""
    binder = Binder((), Fitted(), plan.info)
    outputs = [Output(show(node), binder.bind(node), binder.info[node].dtype) for node in nodes]
    return backend.prepare(outputs, binder.info, Tables(Fitted()))


_GIVEN = {GIVEN_TARGET: "y", GIVEN_WEIGHT: "sample_weight"}


def _called(node: Node) -> str:
    return _GIVEN.get(show(node), show(node))


def _column(node: Node) -> str | None:
    """The column that a target or weight is made of; None where it was given beside the rows."""
    name = only_column(node)
    return None if name in _GIVEN else name


def _target(column: Column, node: Node) -> Values:
    if column.valid is not None and column.null_count:
        raise TargetError(
            f"The target {_called(node)} is null in {column.null_count:,} of {len(column):,} rows, first in this one. "
            "Leave them out before the fit: data.filter(gp.col(…).is_not_null())."
        ).at(int(np.flatnonzero(~column.valid)[0]), _column(node))
    return labels_of(column)


def labels_of(column: Column) -> Values:
    """The column as a NumPy array: text and times as objects, other types as they are; null as None."""
    if isinstance(column.values, np.ndarray) and not column.dtype.is_temporal and column.valid is None:
        return column.values
    values = np.empty(len(column), object)
    values[:] = plain_values(column)
    return values


def _weights(column: Column, node: Node) -> Values:
    weights = column.values.astype(np.float64)
    good = np.isfinite(weights) & (weights >= 0)
    valid = np.ones(len(column), bool) if column.valid is None else column.valid
    if not (good & valid).all():
        row = int(np.flatnonzero(~(good & valid))[0])
        raise DataError(
            f"The weight {_called(node)} is {weights[row] if valid[row] else 'null'}. Weights are numbers from 0 on, "
            "none of them null, NaN or infinite. Fill or filter them."
        ).at(row, _column(node))
    return weights
