"""A model from partitions: trips over the rows until it is there, and never a matrix of all of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gpupipe.columns import Values
from gpupipe.errors import CovarianceError
from gpupipe.models.fitted import Model
from gpupipe.models.forms.labels import order_of_classes
from gpupipe.models.model import copied, model_of, refuse_no_stopping
from gpupipe.models.partitions.table import Way, refuse_invalid, way_of
from gpupipe.models.recode import recode
from gpupipe.runtime.reductions.boosted import boosted
from gpupipe.runtime.reductions.facts import Looking, refuse_weightless
from gpupipe.runtime.reductions.grown import grown
from gpupipe.runtime.reductions.lesson import Lesson
from gpupipe.runtime.reductions.models import TEACHERS, Task
from gpupipe.runtime.reductions.trips import Trips


@dataclass(frozen=True, slots=True, eq=False)
class FromPartitions:
    """What trips over the rows gave.

    Attributes:
        model: the model.
        notes: what is kept beside it.
        row_ids: the rows' identities, each once, where they were asked for.
        how: in words.
        by_host: whether the host added, whoever computed the features.
    """

    model: Model
    notes: dict[str, Any]
    row_ids: Values
    how: str
    by_host: bool = True


def trained_on_partitions(estimator: Any, trips: Trips, held: Trips | None, *, keeps_ids: bool) -> FromPartitions:
    """Train a clone of `estimator`: the same bits whatever partitions the rows come in, and whoever takes them in.

    (XGBoost's are the same for the same partitions alone, and what GPUs learn together hangs on the workers.)

    Args:
        trips: over the training rows.
        held: over rows to stop early by.
        keeps_ids: whether the rows' identities are wanted.

    Raises:
        UnsupportedEstimatorError, ModelOptionError: it is not trained so.
        ParameterError: rows to stop by that it has no use for.
        TargetError, WeightsError, NonFiniteError: rows that it cannot learn from.
        TrainingError: parameters that make no sense, or features that no model can be made of.
    """
    row, way = way_of(estimator)
    features, clone = trips.features, copied(estimator)
    if row.prepare is not None:
        clone = row.prepare(clone, features.names) or clone
    refuse_invalid(row, clone)
    if held is not None:
        refuse_no_stopping(row)
    lesson = Lesson(features, row.name, row.kind, takes_nan=row.accepts_nan and not way.on_gpus)
    facts = trips.ask(Looking(lesson, keeps_ids, sizes=way.same_bits))
    refuse_weightless(facts)
    if row.kind == "classifier":
        listed = list(facts.labels)
        classes = tuple(listed[at] for at in order_of_classes(listed, facts.n))
        lesson = replace(lesson, classes=classes)
        recode(clone, [classes])
    task = Task(row, clone, lesson, facts)
    model, by = _learned(task, way, trips, held)
    how = f"on partitions, in {trips.made} trips: {by}"
    notes = {"rows": facts.n, "baseline": _baseline(task)}
    return FromPartitions(model, notes, facts.row_ids, how, not way.on_gpus)


def _learned(task: Task, way: Way, trips: Trips, held: Trips | None) -> tuple[Model, str]:
    """The model, and by what it was trained, in words."""
    row, clone, lesson, by = task.row, task.clone, task.lesson, way.by
    if way.on_gpus:
        return grown(task, trips)
    if way.same_bits:
        _carried_out(task, trips.ask)
    else:
        by = boosted(clone, lesson, trips, held, task.facts.n)
    targets = trips.features.plan.target_names if row.supervised else None
    return model_of(row, *row.convert(clone), trips.features.names, lesson.classes, targets), by


def _carried_out(task: Task, ask: Callable[[Any], Any]) -> None:
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
