"""Columns that wait for the last trip stand where the matrix will stand that it makes of them: one memory for both.

Memory that is new to a process is what a large fit spends most of its time on: the system clears it, page by page. A
partition's columns, packed, are about as large as its rows of the matrix; they are taken out, by the partition, before
these are written.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from gpupipe.backends.features import EXACT_IN_FLOAT32
from gpupipe.backends.untouched import untouched
from gpupipe.columns import Values
from gpupipe.compiler.plan import Plan

_ALIGNED = 64
_LEAST = 16 * 2**20  # bytes of a matrix that are worth it


class Beneath:
    """The memory of a matrix that is not made yet.

    Args:
        heights: the rows of each partition.
        width: the columns of the matrix.

    Attributes:
        width: as given.
        matrix: float32 of shape (rows, columns), C-ordered, which holds anything.

    >>> beneath = Beneath([2, 40], 10)
    >>> beneath.matrix.shape, 1600 - 64 < len(beneath.block(1)) <= 1600
    ((42, 10), True)
    """

    def __init__(self, heights: Sequence[int], width: int) -> None:
        self.width = width
        self._edges = [edge * width * 4 for edge in accumulate(heights, initial=0)]
        self.matrix = untouched((sum(heights), width))
        self._bytes = self.matrix.reshape(-1).view(np.uint8)

    def block(self, index: int) -> Values:
        """The bytes beneath a partition's rows, from the first whose address is a multiple of 64."""
        found = self._bytes[self._edges[index] : self._edges[index + 1]]
        return found[-found.ctypes.data % _ALIGNED :]


def known_width(plan: Plan, made: str | None, trains: bool) -> int | None:
    """How many columns the one matrix has that is made of all rows' features; None where there is none, or another trip
    besides, or only a fit can tell.

    Args:
        made: ``matrix``: it is given back, and of no use unless float32 holds every feature as it is; ``columns``:
            these are; None: nothing is.
        trains: whether a model is trained on one.
    """
    features = plan.features
    if made == "columns" or trains == bool(made) or any(feature.info.wide is not None for feature in features):
        return None
    exact = trains or all(feature.dtype.name in EXACT_IN_FLOAT32 for feature in features)
    return len(features) if exact else None


def beneath_matrix(heights: Sequence[int] | None, width: int) -> Beneath | None:
    """The memory of the matrix of so many columns; None where its size is not known yet, or is small.

    There is none either where the system has not as much: whoever makes the matrix says so.
    """
    if heights is None or sum(heights) * width * 4 < _LEAST:
        return None
    try:
        return Beneath(heights, width)
    except MemoryError:
        return None
