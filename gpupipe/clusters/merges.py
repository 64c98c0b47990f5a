"""What workers do with what came of partitions: tasks that Dask calls, and can call again."""

from typing import Any

from gpupipe.clusters import tasks


def merged(sent: tasks.Sent, *given: tasks.Outcome | None) -> tasks.Outcome | None:
    """Several outcomes as one; None is of nothing."""
    outcomes = [outcome for outcome in given if outcome is not None]
    return tasks.merged(sent, outcomes) if outcomes else None


def divided(sent: tasks.Sent, count: int, outcome: tasks.Outcome) -> list[tasks.Outcome]:
    """An outcome as several that merge to it, each to be merged with others of its kind, by itself."""
    order: Any = sent.order  # of the kind Divides
    parts = order.divided(outcome.result, count)
    told = [outcome.read] + [()] * (len(parts) - 1)
    return [tasks.Outcome(part, outcome.indices, read, 0) for part, read in zip(parts, told, strict=True)]


def picked(outcomes: list[tasks.Outcome], at: int) -> tasks.Outcome | None:
    """One of them; None where there are not so many."""
    return outcomes[at] if at < len(outcomes) else None
