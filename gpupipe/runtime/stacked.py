"""A matrix of all rows out of one for each partition."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from gpupipe.columns import Values


class Stacked:
    """Written in place where the heights are known beforehand: putting parts together would hold every row twice.

    Args:
        heights: the rows of each partition; None where reading alone tells.
        width: the number of columns.

    >>> stacked = Stacked([1, 2], 1)
    >>> for index, value in enumerate([5, 6]):
    ...     stacked.part(index)[:] = value
    >>> stacked.whole([]).tolist()
    [[5.0], [6.0], [6.0]]
    """

    def __init__(self, heights: Sequence[int] | None, width: int) -> None:
        self._width = width
        self._edges = list(accumulate(heights or (), initial=0))
        self._whole = None if heights is None else np.empty((self._edges[-1], width), np.float32)

    def part(self, index: int) -> Values | None:
        """Where a partition's rows go; None: anywhere."""
        return None if self._whole is None else self._whole[self._edges[index] : self._edges[index + 1]]

    def whole(self, parts: Sequence[Values]) -> Values:
        """All rows: those written in place, else `parts` one below the other."""
        if self._whole is not None:
            return self._whole
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros((0, self._width), np.float32)
