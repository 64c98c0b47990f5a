"""Features that left as data: whose statistics made them, and of which rows. Known while that data are in memory."""

import itertools
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gpupipe.artifact.seen import Provenance
from gpupipe.columns import Values
from gpupipe.runtime.seen.overlap import in_both, kept_rows, memory_of, rows_marked
from gpupipe.sources.addresses import Memory
from gpupipe.sources.origin import Stretch
from gpupipe.sources.source import Source, scan

Table = TypeVar("Table")
_LOOKED = 4  # columns of the rows to judge by: that many are looked for among the features of a transform


Marks = Callable[[], Values | None]


@dataclass(frozen=True, slots=True)
class _Made:
    """What a transform gave.

    Attributes:
        memory: where it stands.
        marks: gives for each of its rows whether the transform's statistics have seen it, bool of shape (rows,);
            None where that cannot be told any more.
    """

    memory: Memory
    marks: Marks


_made: dict[int, _Made] = {}
_numbers = itertools.count()


def transformed_by(seen: Provenance, found: Table, source: Source, X: Any) -> Table:
    """`found`, known from now on as what a fit made of `source`, which was given as `X`; neither is kept alive."""
    marks = _marks(seen, source, X) if seen.parts else None
    if marks is not None:
        number = next(_numbers)
        _made[number] = _Made(Memory(found), marks)
        weakref.finalize(found, _made.pop, number, None).atexit = False
    return found


def _marks(seen: Provenance, source: Source, X: Any) -> Marks | None:
    """At once where nothing need be read for it, as the data may be gone soon; else when somebody asks."""
    memory = memory_of(source)
    if memory is None:
        return lambda: rows_marked(seen, source)
    if isinstance(X, np.ndarray) and X.ndim == 2:
        memory.made_of(X)
    if not source._steps and not any(part.steps for part in seen.parts):
        marked = rows_marked(seen, source)
        return (lambda: marked) if marked.any() else None
    try:
        data = weakref.ref(X)
    except TypeError:  # a dict, a list
        return None
    return lambda: None if data() is None else rows_marked(seen, scan(data()))


def statistics_saw(source: Source) -> int:
    """How many rows of a source came out of transforms whose statistics have seen them."""
    memory = memory_of(source)
    columns = () if memory is None else [place for place in memory.places(source.schema).values() if place is not None]
    most = 0
    for made in list(_made.values()) if columns else ():
        features = [place for place in made.memory.places(_names(made.memory)).values() if place is not None]
        pairs = ((column, feature) for column in columns[:_LOOKED] for feature in features)
        standing = next((found for column, feature in pairs if (found := in_both(column, feature))), None)
        if standing is not None and (marked := made.marks()) is not None:
            most = max(most, _count(source, standing, marked))
    return most


def _count(source: Source, standing: list[Stretch], marked: Values) -> int:
    """The rows that a source keeps, of those standing among a transform's rows, that are marked there."""
    seen = np.zeros(max(stretch.rows.stop for stretch in standing), bool)
    for stretch in standing:
        seen[np.array(stretch.rows)] = marked[np.array(stretch.positions)]
    count = 0
    for index, partition in enumerate(source.partitions):
        origin = partition.origin()
        rows = kept_rows(source, index) + (0 if origin is None else origin[1])
        count += int(seen[rows[rows < len(seen)]].sum())
    return count


def _names(memory: Memory) -> list[str]:
    data = memory.data
    if isinstance(data, np.ndarray):
        return [f"x{at}" for at in range(data.shape[1])] if data.ndim == 2 else []
    return [str(name) for name in getattr(data, "column_names", getattr(data, "columns", ()))]
