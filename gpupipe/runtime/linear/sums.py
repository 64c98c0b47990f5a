"""Covariances gathered in a trip over the rows, and what a fold's statistics make of them: the moments of its features.

What the rows give is independent of every statistic; a fold's fills, means and deviations come in afterwards, and its
models are those of features in float64, before they are rounded to leave as float32.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from gpupipe.backends.categories import Tables
from gpupipe.backends.gram.gatherer import Gatherer
from gpupipe.backends.gram.moments import NO_KEY, Feature, Indicator, Moments, Number, moments
from gpupipe.backends.gram.state import Gram
from gpupipe.backends.reference import evaluate_all
from gpupipe.columns import Column, Frame, Values
from gpupipe.compiler.bind import Binder, Output
from gpupipe.compiler.covariances import Covariances, Term
from gpupipe.compiler.fitted import Fitted, plain_values
from gpupipe.compiler.gathering import BoundScan, gathered_type
from gpupipe.compiler.late import steps_of
from gpupipe.compiler.plan import Plan
from gpupipe.errors import CovarianceError
from gpupipe.expr.node import Node, show
from gpupipe.runtime.fitting import refuse_null_target
from gpupipe.runtime.seen.identities import hashes_of, together

MOST_COLUMNS = 256  # sums of their digits take 20 MB a thread and fold, and 16 times the products of float64


class SumsOf(NamedTuple):
    """Of some rows: the sums by cell, or why rows must be trained on; their identities where those are no places."""

    states: dict[int, Gram]
    refused: str | None
    row_ids: Values


@dataclass(frozen=True, slots=True, eq=False)
class SumsOrder:
    """Sums of some rows, as data: what is gathered, and where its columns stand among those of the scan."""

    found: Covariances
    places: tuple[int, ...]

    def ready(self) -> Callable[[Sequence[Column], Frame], Callable[[], SumsOf]]:
        """Gathers the rows of one cell."""

        def gathered(columns: Sequence[Column], frame: Frame) -> Callable[[], SumsOf]:
            found = self._gathered(columns, frame)
            return lambda: found

        return gathered

    def _gathered(self, columns: Sequence[Column], frame: Frame) -> SumsOf:
        gatherer = gatherer_of(self.found)
        row_ids = hashes_of(frame)
        try:
            gathered(gatherer, self.found, [columns[place] for place in self.places], np.zeros(frame.n_rows, np.int8))
        except CovarianceError as error:
            return SumsOf({}, str(error), row_ids)
        return SumsOf(gatherer.states(), None, row_ids)

    def merged(self, parts: Sequence[SumsOf]) -> SumsOf:
        """The sums of several parts of the rows."""
        states: dict[int, Gram] = {}
        for part in parts:
            states = added(states, part.states)
        refused = next((part.refused for part in parts if part.refused is not None), None)
        return SumsOf(states, refused, together(tuple(part.row_ids for part in parts)))


def gatherer_of(found: Covariances) -> Gatherer:
    """What sums are gathered in."""
    shown = [show(node) for node in found.columns]
    return Gatherer([found.info[node].nullable for node in found.columns], len(found.keys), shown)


def gathered(gatherer: Gatherer, found: Covariances, chosen: Sequence[Column], cells: Values) -> None:
    """Take in the columns and keys of some rows.

    Raises:
        CovarianceError: they are to be trained on as rows.
        TargetError: a null target.
    """
    split = len(found.columns)
    if found.target is not None:
        refuse_null_target(chosen[split - 1], found.target)
    numbers = [_as_float32(c) if how else c for c, how in zip(chosen, found.rounded, strict=False)]
    gatherer.update(numbers, chosen[split:], cells)


def added(one: dict[int, Gram], other: dict[int, Gram]) -> dict[int, Gram]:
    """The sums of both."""
    return one | {cell: one[cell] + gram if cell in one else gram for cell, gram in other.items()}


class GatheredSums:
    """Gathers covariances in a trip over the rows, for any folds of them.

    Args:
        plan: whose features they are of.
        found: what is gathered.
    """

    def __init__(self, plan: Plan, found: Covariances) -> None:
        self._plan, self._found = plan, found
        self._gatherer = gatherer_of(found)
        self._places: list[int] = []
        self._told: dict[int, Gram] = {}
        self._lock = threading.Lock()

    def joined(self, bound: BoundScan, binder: Binder) -> BoundScan:
        """The scan, which computes what is gathered here too."""
        own = Binder(self._plan.slots, Fitted(), self._found.info)
        outputs = {output.node: at for at, output in enumerate(bound.outputs)}
        nodes = [own.bind(node) for node in (*self._found.columns, *self._found.keys)]
        self._places = [outputs.setdefault(node, len(outputs)) for node in nodes]
        binder.info.update({node: info for node, info in own.info.items() if node not in binder.info})
        new = list(outputs)[len(bound.outputs) :]
        added = [Output(str(outputs[node]), node, gathered_type(own.info[node].dtype)) for node in new]
        return BoundScan((*bound.outputs, *added), bound.intakes)

    def update(self, columns: Sequence[Column], cells: Values) -> None:
        """Take in a partition's rows, computed as the joined scan says; from any thread.

        Args:
            cells: integers of shape (rows,), which folds are made of.

        Raises:
            CovarianceError: they are to be trained on as rows.
            TargetError: a null target.
        """
        gathered(self._gatherer, self._found, [columns[place] for place in self._places], cells)

    def order(self) -> SumsOrder:
        """The same as data, once the scan was joined."""
        return SumsOrder(self._found, tuple(self._places))

    def add(self, states: dict[int, Gram]) -> None:
        """Take in what came of such an order; from any thread."""
        with self._lock:
            self._told = added(self._told, states)

    @cached_property
    def _states(self) -> dict[int, Gram]:
        return added(self._gatherer.states(), self._told)

    def _among(self, cells: Iterable[int]) -> Gram:
        return reduce(add, (self._states[cell] for cell in sorted(cells) if cell in self._states))

    def moments(self, fitted: Fitted, *each: Iterable[int]) -> list[Moments]:
        """The moments of the features, then of the target where there is one, over the rows of some cells each.

        Args:
            fitted: what the training rows taught.
        """
        features, steps = _Values(self._plan, self._found, fitted).features()
        return [_stepped(moments(self._among(cells), features), steps) for cells in each]


def _as_float32(column: Column) -> Column:
    with np.errstate(over="ignore"):
        return Column(column.dtype, column.values.astype(np.float32).astype(np.float64), column.valid)


class _Values:
    """What statistics make of gathered columns, for one fold."""

    def __init__(self, plan: Plan, found: Covariances, fitted: Fitted) -> None:
        self._plan, self._found = plan, found
        self._slots = {slot.node: slot.index for slot in plan.slots}
        binder = Binder(plan.slots, fitted, found.info)
        terms = found.terms
        nodes = [term.fill for term in terms] + [other for term in terms for _, _, other in _steps(term)]
        wanted = {node: binder.bind(node) for node in nodes if node is not None}
        made = evaluate_all(list(wanted.values()), Frame({}, 1, np.zeros(1, np.uint64)), Tables(fitted))
        self._known = {node: plain_values(made[bound])[0] for node, bound in wanted.items()}
        self._fitted = fitted

    def features(self) -> tuple[list[Feature], list[list[tuple[str, int, float]]]]:
        """The features, then the target if there is one, and the affine steps of each."""
        features: list[Feature] = []
        steps: list[list[tuple[str, int, float]]] = []
        for term in self._found.terms:
            mine = self._indicators(term) if term.is_wide else [self._number(term)]
            features += mine
            done = [(op, at, 0.0 if other is None else self._as_float(other)) for op, at, other in _steps(term)]
            steps += [done] * len(mine)
        if self._found.target is None:
            return features, steps
        return [*features, Number(len(self._found.columns) - 1)], [*steps, []]

    def _number(self, term: Term) -> Number:
        return Number(term.value, None if term.fill is None else self._as_float(term.fill))

    def _as_float(self, node: Node) -> float:
        value = self._known[node]
        return float(np.nan if value is None else value)  # type: ignore[arg-type]

    def _indicators(self, term: Term) -> list[Feature]:
        node = term.feature.node
        labels = plain_values(self._fitted.slots[self._slots[node.args[1]]][0].value)
        instead = None if term.fill is None else self._known[term.fill]
        found = [Indicator(term.value, label, term.fill is not None and label == instead) for label in labels]
        null = Indicator(term.value if term.fill is None else NO_KEY, None)  # what is filled is never null
        return [*found, null] if node["null"] else [*found]


def _steps(term: Term) -> list[tuple[str, int, Node | None]]:
    """The affine steps of a feature: what is done, which operand the value is, and the other."""
    if term.suffix is None:
        return []
    return [(node.op, at, node.args[1 - at] if len(node.args) > 1 else None) for node, at in steps_of(term.suffix)]


def _stepped(found: Moments, steps: Sequence[Sequence[tuple[str, int, float]]]) -> Moments:
    """The moments after affine steps on each feature."""
    slope, mean = np.ones_like(found.mean), found.mean.copy()
    for feature, each in enumerate(steps):
        for op, at, other in each:
            slope[feature], mean[feature] = _step(op, at, slope[feature], mean[feature], np.longdouble(other))
    return Moments(found.n, mean, found.cross * slope[:, None] * slope[None, :])


def _step(op: str, at: int, slope: Any, mean: Any, other: Any) -> tuple[Any, Any]:
    if op == "add":
        return slope, mean + other
    if op == "sub":
        return (slope, mean - other) if at == 0 else (-slope, other - mean)
    if op == "mul":
        return slope * other, mean * other
    if op == "div":
        return slope / other, mean / other
    return (-slope, -mean) if op == "neg" else (slope, mean)
