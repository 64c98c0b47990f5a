"""A model from partitions: trips over the rows until it is there, and never a matrix of all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Values
from gpupipe.errors import CovarianceError
from gpupipe.models.fitted import Model
from gpupipe.models.forms.labels import order_of_classes
from gpupipe.models.model import copied, model_of
from gpupipe.models.partitions.table import refuse_invalid, way_of
from gpupipe.models.recode import recode
from gpupipe.runtime.reductions.facts import Looking, refuse_weightless
from gpupipe.runtime.reductions.lesson import Lesson
from gpupipe.runtime.reductions.models import TEACHERS, Task

#: An order to the one result that all of its results were merged into.
Ask = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, eq=False)
class FromPartitions:
    """What trips over the rows gave.

    Attributes:
        model: the model.
        notes: what is kept beside it.
        row_ids: the rows' identities, each once, where they were asked for.
        trips: how many.
    """

    model: Model
    notes: dict[str, Any]
    row_ids: Values
    trips: int


class _Counted:
    """Asks, and counts how often."""

    def __init__(self, ask: Ask) -> None:
        self._ask, self.trips = ask, 0

    def __call__(self, order: Any) -> Any:
        self.trips += 1
        return self._ask(order)


def trained_on_partitions(estimator: Any, features: FittedFeatures, ask: Ask, *, keeps_ids: bool) -> FromPartitions:
    """Train a clone of `estimator`: the same bits whatever partitions the rows come in, and whoever takes them in.

    Args:
        features: of the training rows.
        ask: makes a trip.
        keeps_ids: whether the rows' identities are wanted.

    Raises:
        UnsupportedEstimatorError, ModelOptionError: it is not trained so.
        TargetError, WeightsError, NonFiniteError: rows that it cannot learn from.
        TrainingError: parameters that make no sense, or features that no model can be made of.
    """
    row, _ = way_of(estimator)
    clone, asked = copied(estimator), _Counted(ask)
    refuse_invalid(row, clone)
    lesson = Lesson(features, row.name, row.kind)
    facts = asked(Looking(lesson, keeps_ids))
    refuse_weightless(facts)
    classes = None
    if row.kind == "classifier":
        listed = list(facts.labels)
        classes = tuple(listed[at] for at in order_of_classes(listed, facts.n))
        recode(clone, [classes])
        lesson = Lesson(features, row.name, row.kind, classes=classes)
    task = Task(row, clone, lesson, facts)
    _carried_out(task, asked)
    targets = features.plan.target_names if row.supervised else None
    model = model_of(row, *row.convert(clone), features.names, classes, targets)
    return FromPartitions(model, {"rows": facts.n, "baseline": _baseline(task)}, facts.ids, asked.trips)


def _carried_out(task: Task, ask: Ask) -> None:
    steps = TEACHERS[task.row.name](task)
    try:
        order = next(steps)
        while True:
            try:
                found = ask(order)
            except CovarianceError as error:
                order = steps.throw(error)
            else:
                order = steps.send(found)
    except StopIteration:
        return


def _baseline(task: Task) -> Any:
    """What a trivial model would have learned: the classes' shares, or the mean; of several targets a list."""
    if task.lesson.classes is not None:
        return [float(weight / task.facts.weight) for weight in task.class_weights]
    means = [float(total / task.facts.weight) for total in task.facts.total]
    if not task.row.supervised:
        return None
    return means if task.lesson.features.plan.target_names is not None else means[0]
