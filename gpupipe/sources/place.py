"""Where a row stands: from the row of some values to its position in a source, and the place that an error names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.columns import Values
from gpupipe.errors import DataError


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, as errors say it: the attributes are those of :class:`gpupipe.errors.DataError`."""

    file: str | None = None
    row_group: int | None = None
    row: int | None = None
    line: int | None = None


@contextmanager
def positioned(positions: Values) -> Iterator[None]:
    """An error of data inside, of some row of the values at hand, learns that row's position in the whole source."""
    try:
        yield
    except DataError as error:
        learn_position(error, positions)
        raise


def learn_position(error: DataError, positions: Values) -> None:
    """Take the position of the error's row from those of the rows at hand, unless it is known."""
    if error.row is not None and error.position is None and not error.is_placed:
        error.position = int(positions[error.row])


@contextmanager
def all_placed(partitions: Sequence[Any], positions: Sequence[Values]) -> Iterator[None]:
    """An error of data inside, of a row of all partitions' rows one below the other, names the place of that row.

    Args:
        partitions: those of a source.
        positions: for each of them, the positions in the source of the rows that there are.
    """
    try:
        yield
    except DataError as error:
        if error.row is not None and error.position is None and not error.is_placed:
            ends = np.cumsum([len(part) for part in positions])
            index = int(np.searchsorted(ends, error.row, side="right"))
            error.position = int(positions[index][error.row - int(ends[index])])
            put(error, partitions[index].place(error.position))
        raise


def put(error: DataError, place: Place) -> None:
    """Name the place in the error, once."""
    if not error.is_placed:
        error.file, error.row_group, error.line = place.file, place.row_group, place.line
        error.row = error.row if place.row is None else place.row
        error.is_placed = True
