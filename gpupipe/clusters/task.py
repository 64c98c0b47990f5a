"""A task of a trip, as its driver knows it."""

from collections.abc import Sequence
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
