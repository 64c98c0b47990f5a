"""What workers do with what came of partitions: tasks that Dask calls, and can call again."""

from typing import Any

from gpupipe.clusters import tasks


def merged(sent: tasks.Sent, *given: tasks.Outcome | None) -> tasks.Outcome | None:
    """Several outcomes as one: where the order adds results up their sum, else the list of them."""
    outcomes = [outcome for outcome in given if outcome is not None]
    if not outcomes:
        return None
    order: Any = sent.order  # of the kind Merges
    result = order.merged([outcome.result for outcome in outcomes])
    indices = tuple(index for outcome in outcomes for index in outcome.indices)
    told = tuple(one for outcome in outcomes for one in outcome.read)
    return tasks.Outcome(result, indices, told, sum(outcome.retries for outcome in outcomes))


def divided(sent: tasks.Sent, count: int, outcome: tasks.Outcome) -> list[tasks.Outcome]:
    """An outcome as several that merge to it, each to be merged with others of its kind, by itself."""
    order: Any = sent.order  # of the kind Divides
    parts = order.divided(outcome.result, count)
    told = [outcome.read] + [()] * (len(parts) - 1)
    return [tasks.Outcome(part, outcome.indices, read, 0) for part, read in zip(parts, told, strict=True)]


def picked(outcomes: list[tasks.Outcome], at: int) -> tasks.Outcome | None:
    """One of them; None where there are not so many."""
    return outcomes[at] if at < len(outcomes) else None
