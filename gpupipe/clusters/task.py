"""A task of a trip, as its driver knows it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Task:
    """A task that is under way: of one partition, or a merge of several.

    Attributes:
        future: of its outcome.
        indices: the partitions.
        level: how often they were merged.
        parts: what is merged.
        bucket: of which states it is, where they are merged by parts of their groups; None: of all.
        alone: whether nothing else runs beside it.
    """

    future: Any
    indices: tuple[int, ...]
    level: int = 0
    parts: Sequence["Task"] = ()
    bucket: int | None = None
    alone: bool = False


def cancel(client: Any, futures: Sequence[Any]) -> None:
    """Nobody has any use for what these are of."""
    if futures and client.status == "running":
        client.cancel(futures, force=True, reason="gpupipe has no use for it any more")


def release(futures: Iterable[Any]) -> None:
    """The scheduler need not keep these any more. Said now: whoever knows of them may live long, as does the traceback
    of an error that ended a fit, whose frames knew of them.
    """
    for future in list(futures):
        with suppress(RuntimeError):  # its client is closed
            future.release()
