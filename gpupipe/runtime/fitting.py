"""From a plan and rows to fitted features, and from those to the matrix, labels and weights a model trains on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
from gpupipe.errors import DeviceMemoryError, GroupsError, TargetError, WeightsError
from gpupipe.expr.node import Node, show
from gpupipe.kernels.gpu.device import Device
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.given import GIVEN_GROUPS, GIVEN_TARGET, GIVEN_WEIGHT
from gpupipe.runtime.halving import in_parts
from gpupipe.runtime.orders import Order, Work
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.stacked import Stacked
from gpupipe.sources.identity import key_hash


@dataclass(slots=True, eq=False)
class Examples:
    """What a model trains or is judged on.

    Attributes:
        matrix: float32 of shape (rows, features), C-ordered, null as NaN; a NumPy array, or one on a device.
        target: labels or numbers of shape (rows,), or None; of several targets a list of them.
        weights: float64 of shape (rows,), or None.
        row_ids: uint64 of shape (rows,).
        slices: values to slice by, as text, by column name.
        positions: of each partition's rows in the source, for errors to name them.
        groups: values of shape (rows,), none of them null: what each row is ranked in; or None.
    """

    matrix: Any
    target: Any
    weights: Values | None
    row_ids: Values
    slices: dict[str, Values]
    positions: list[Values] = field(default_factory=list)
    groups: Values | None = None


def examples(
    features: FittedFeatures,
    rows: Rows,
    crew: Crew,
    progress: Progress,
    *,
    by: Sequence[str] = (),
    what: str = "features",
    device: Device | None = None,
) -> Examples:
    """The matrix of all rows, with target, weights, groups and the columns to slice by, in the order of rows.

    Args:
        device: in whose memory the matrix is wanted; None: on the host.

    Raises:
        TargetError: a null target.
        DataError: a null group.
    """
    plan = features.plan
    extras = [*plan.targets, *(node for node in (plan.weights, plan.groups) if node is not None)]
    progress.begin(what, rows)
    stacked = _stacked(rows, len(features.outputs), device, here=crew.is_here)
    order = MakingExamples(what, features, tuple(extras), tuple(by), stacked if crew.is_here else None)
    each_partition = all_in_place(crew, rows, order, stacked, progress)
    parts, positions = [part for whole, _ in each_partition for part in whole], [place for _, place in each_partition]
    with rows.all_placed(positions):
        target, weights, groups = _beside(plan, [part[1] for part in parts])
    return Examples(
        stacked.whole([part[0] for part in parts]),
        target,
        weights,
        np.concatenate([part[2] for part in parts]) if parts else np.zeros(0, np.uint64),
        {name: np.concatenate([part[3][at] for part in parts]) for at, name in enumerate(by)},
        positions,
        groups,
    )


Part = tuple[Any, list[Column], Values, list[Values]]  # the matrix, columns beside it, identities, slices


@dataclass(frozen=True, slots=True, eq=False)
class MakingExamples:
    """What a model trains on, of each partition: a list of parts of its rows, and the rows' positions.

    Attributes:
        stage, columns: as of any order.
        features: whose matrix.
        extras: target, weights and groups.
        by: columns to slice by.
        into: where matrices are written, by this process alone; None: they are told.
    """

    stage: str
    features: FittedFeatures
    extras: tuple[Node, ...] = ()
    by: tuple[str, ...] = ()
    into: Stacked | None = None
    columns: Sequence[str] | None = None

    def ready(self) -> Work[tuple[list[Part], Values]]:
        """Computes those of a partition."""
        features, into = self.features, self.into
        prepared = _unfitted(features.plan, list(self.extras), features.backend)

        def work(rows: Any, index: int, frame: Frame) -> tuple[list[Part], Values]:
            def computed(start: int, stop: int) -> Part:
                part = frame.rows(start, stop)
                extra = prepared.columns(part) if self.extras else []
                matrix = features.matrix(part, None if into is None else into.part(index, start, stop))
                return matrix, extra, part.row_ids, [labels_of(part[name]) for name in self.by]

            return in_parts(rows, index, frame, computed), frame.positions

        return work


def all_in_place(
    crew: Crew, rows: Rows, order: Order[tuple[list[Any], Any]], stacked: Stacked, progress: Progress
) -> list[tuple[list[Any], Any]]:
    """The results of all partitions; the matrices of those from other processes, which come first, in their place."""
    if crew.is_here:
        return crew.listed(rows, order, progress)
    found: dict[int, tuple[list[Any], Any]] = {}
    for index, (parts, more) in crew.results(rows, order, progress):
        matrices = stacked.put(index, [part[0] for part in parts])
        found[index] = [(matrix, *part[1:]) for matrix, part in zip(matrices, parts, strict=True)], more
    return [found[index] for index in sorted(found)]


def _stacked(rows: Rows, width: int, device: Device | None, *, here: bool) -> Stacked:
    """Room for the matrix, which columns that are kept on the device make for it."""
    if device is not None and not here:
        return Stacked(None, width, device)  # it comes in parts, and is put on the device whole
    try:
        return Stacked(rows.heights, width, device, rows.matrix(width) if here and device is None else None)
    except DeviceMemoryError:
        rows.leave_device()
        return Stacked(rows.heights, width, device)


def _beside(plan: Plan, parts: list[list[Column]]) -> tuple[Any, Values | None, Values | None]:
    """(target, weights, groups) of columns in that order, a list for each part of the rows."""
    found = [concat(column) for column in zip(*parts, strict=True)]
    each = [_target(column, node) for column, node in zip(found, plan.targets, strict=False)]
    groups = None if plan.groups is None else _groups(found.pop(), plan.groups)
    weights = None if plan.weights is None else _weights(found.pop(), plan.weights)
    return each if plan.target_names is not None else each[0] if each else None, weights, groups


@dataclass(eq=False)
class GroupIdentity:
    """Rows of one group are one: they share folds. Data alone, and bound at its first use."""

    plan: Plan
    node: Node
    backend: Backend

    @cached_property
    def _prepared(self) -> Any:
        return _unfitted(self.plan, [self.node], self.backend)

    def __call__(self, frame: Frame) -> Values:
        return key_hash(self._prepared.columns(frame)[0])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_prepared"}


def group_identity(plan: Plan, backend: Backend) -> GroupIdentity | None:
    """The identity of rows of groups; None where there are no groups."""
    return None if plan.groups is None else GroupIdentity(plan, plan.groups, backend)


def target_column(plan: Plan, backend: Backend) -> Callable[[Frame], Column]:
    """A frame to the column of its one target; a null in it is refused."""
    (node,) = plan.targets
    prepared = _unfitted(plan, [node], backend)

    def column(frame: Frame) -> Column:
        found: Column = prepared.columns(frame)[0]
        refuse_null_target(found, node)
        return found

    return column


def beside_rows(plan: Plan, backend: Backend) -> Callable[[Frame], tuple[Any, Values | None, Values | None]]:
    """A frame to its target (of several a list of them), weights and groups, as :class:`Examples` has them."""
    extras = [*plan.targets, *(node for node in (plan.weights, plan.groups) if node is not None)]
    prepared = _unfitted(plan, extras, backend)
    return lambda frame: _beside(plan, [prepared.columns(frame)] if extras else [])


def _unfitted(plan: Plan, nodes: list[Node], backend: Backend) -> Any:
    """Target, weights and groups, which no scan precedes, ready to run."""
    binder = Binder((), Fitted(), plan.info)
    outputs = [Output(show(node), binder.bind(node), binder.info[node].dtype) for node in nodes]
    return backend.prepare(outputs, binder.info, Tables(Fitted()))


_GIVEN = {GIVEN_TARGET: "y", GIVEN_WEIGHT: "sample_weight", GIVEN_GROUPS: "groups"}


def _called(node: Node) -> str:
    name = only_column(node) or ""
    several = name.startswith(f"{GIVEN_TARGET} ")  # one of the columns of y
    return repr(name.removeprefix(f"{GIVEN_TARGET} ")) if several else _GIVEN.get(show(node), show(node))


def _column(node: Node) -> str | None:
    """The column that a target or weight is made of; None where it was given beside the rows."""
    name = only_column(node)
    return None if name is None or name.startswith(tuple(_GIVEN)) else name


def _left_out(node: Node, test: str, otherwise: str = "Correct the expression") -> str:
    """How to leave out the rows where a target or group is missing: by what made it, not by a column it came from."""
    if _called(node) != show(node):
        return "Leave those rows out of all that is given to fit."
    if node.op == "col":
        return f"Leave them out before the fit: gp.scan(data).filter(gp.col({node['name']!r}).{test}())."
    rows = f"gp.scan(data).filter(made.{test}()), made being that expression"
    return f"{otherwise}, or leave them out before the fit: {rows}."


def _target(column: Column, node: Node) -> Values:
    refuse_null_target(column, node)
    return labels_of(column)


def refuse_null_target(column: Column, node: Node) -> None:
    """Raise TargetError where the target `node` is null or NaN."""
    if column.valid is not None and column.null_count:
        raise TargetError(
            f"The target {_called(node)} is null in {column.null_count:,} of {len(column):,} rows, first in this one. "
            + _left_out(node, "is_not_null")
        ).at(int(np.flatnonzero(~column.valid)[0]), _column(node))
    if column.dtype.is_float and np.isnan(column.values).any():
        bad = np.flatnonzero(np.isnan(column.values))
        raise TargetError(
            f"The target {_called(node)} is NaN in {len(bad):,} of {len(column):,} rows, first in this one. "
            + _left_out(node, "is_finite")
        ).at(int(bad[0]), _column(node))


def _groups(column: Column, node: Node) -> Values:
    if column.valid is not None and column.null_count:
        raise GroupsError(
            f"The group {_called(node)} is null in {column.null_count:,} of {len(column):,} rows, first in this one. "
            + _left_out(node, "is_not_null", "Fill it in the expression")
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
        raise WeightsError(
            f"The weight {_called(node)} is {weights[row] if valid[row] else 'null'}. Weights are numbers from 0 on, "
            "none of them null, NaN or infinite. Fill or filter them."
        ).at(row, _column(node))
    return weights
