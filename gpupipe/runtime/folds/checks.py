"""What is refused of a cross-validation before a row is read."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gpupipe.compiler.plan import TASKS, Plan
from gpupipe.errors import ParameterError
from gpupipe.expr.node import show
from gpupipe.models.estimators import describe
from gpupipe.runtime.fit import Declared
from gpupipe.runtime.folds.dealing import Dealing
from gpupipe.runtime.seen.twins import refuse_target_elsewhere
from gpupipe.sources.source import Source


def checked_plan(declared: Declared, source: Source, asked: Dealing) -> Plan:
    """The plan of what was declared, if rows can be dealt as asked.

    Raises:
        PlanError: any of its kinds.
    """
    asked.check_columns(source.schema)
    if isinstance(asked.folds, str):  # no feature: nothing of the kind is known of later rows
        declared = replace(declared, aside=(*declared.aside, asked.folds))
    plan = declared.plan(source.schema)
    refuse_target_elsewhere(plan, declared.target, source)
    row = describe(declared.model)
    if asked.stratify is True and (declared.task != TASKS[0] or plan.target_names is not None):
        raise ParameterError(
            f"stratify=True deals equal shares of the target's classes, and {row.name} learns "
            f"{'several targets' if plan.target_names is not None else 'no classes'}. "
            "Leave it out, or name the column to stratify by."
        )
    own = declared.key or (None if declared.groups is None else show(declared.groups))
    if asked.groups and own not in (None, asked.groups):
        raise ParameterError(
            f"groups={asked.groups!r} was given, and the pipeline keeps rows of one {own!r} together. Leave groups= "
            f"out, or declare Pipeline(key={asked.groups!r})."
        )
    if asked.validation is None and row.alone is not None:
        _refuse_alone(row.alone, declared.model)
    if asked.validation is not None and row.early_stopping is None:
        raise ParameterError(f"validation= was given, and {row.name} does not stop early. Leave it out.")
    return plan


def _refuse_alone(alone: Callable[[Any], None], model: Any) -> None:
    try:
        alone(model)
    except ParameterError as error:
        raise ParameterError(
            f"{type(model).__name__} stops early, and needs rows to stop by. A fold's own rows would judge what they "
            "chose: give validation=0.1, and so many of each fold's training rows are kept apart for it."
        ) from error


def together(declared: Declared, asked: Dealing) -> str:
    """What rows of one identity have in common; empty: each has its own."""
    if declared.key or (asked.groups and declared.groups is None):
        return "key" if declared.key else "group"
    return "group" if declared.groups is not None else ""
