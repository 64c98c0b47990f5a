"""A matrix of all rows out of one for each partition, on the host or in a device's memory."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.backends.untouched import untouched
from gpupipe.columns import Values
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.models.scoring import refuse_nan


class Stacked:
    """Written in place where the heights are known beforehand: putting parts together would hold every row twice.

    Args:
        heights: the rows of each partition; None where reading alone tells.
        width: the number of columns.
        device: in whose memory it is wanted; None: on the host. Where the heights are not known, it is put together on
            the host and copied there.
        into: an array that has room for it; None: a new one.

    >>> stacked = Stacked([1, 2], 1)
    >>> for index, value in enumerate([5, 6]):
    ...     stacked.part(index)[:] = value
    >>> stacked.whole([]).tolist()
    [[5.0], [6.0], [6.0]]
    """

    def __init__(
        self, heights: Sequence[int] | None, width: int, device: Device | None = None, into: Values | None = None
    ) -> None:
        self._width, self._device = width, device
        self._edges = list(accumulate(heights or (), initial=0))
        self._whole = into if heights is None or into is not None else self._empty(self._edges[-1])

    def _empty(self, rows: int) -> Any:
        if self._device is not None:
            return self._device.empty((rows, self._width), np.float32)
        return untouched((rows, self._width))

    def part(self, index: int, start: int = 0, stop: int | None = None) -> Any:
        """Where a partition's rows go, or those of them from `start` up to, without, `stop`; None: anywhere."""
        if self._whole is None:
            return None
        first = self._edges[index] + start
        last = self._edges[index + 1] if stop is None else self._edges[index] + stop
        return self._whole.rows(first, last) if isinstance(self._whole, DeviceArray) else self._whole[first:last]

    def put(self, index: int, parts: Sequence[Any]) -> Sequence[Any]:
        """Write a partition's rows, matrices one below the other, where they go; what stands there then.

        Where the heights are not known the matrices themselves are kept, and given to :meth:`whole`. Not on a device.
        """
        if self._whole is None:
            return parts
        edges = list(accumulate((len(part) for part in parts), initial=0))
        places = [self.part(index, start, stop) for start, stop in pairwise(edges)]
        for place, part in zip(places, parts, strict=True):
            place[:] = part
        return places

    def whole(self, parts: Sequence[Any]) -> Any:
        """All rows: those written in place, else `parts` one below the other."""
        if self._whole is not None:
            return self._whole
        if len(parts) == 1:
            found = parts[0]
        else:
            found = np.concatenate(parts) if parts else np.zeros((0, self._width), np.float32)
        return found if self._device is None else self._device.upload(found)


def refuse_unfinite(matrix: Any, names: list[str], who: str) -> None:
    """:func:`refuse_nan` of a matrix on the host or on a device, which is copied only to say what is wrong with it."""
    if not isinstance(matrix, DeviceArray):
        refuse_nan(matrix, names, who)
    elif optional.load("gpupipe.kernels.gpu.finite").first_unfinite(matrix) is not None:
        refuse_nan(matrix.to_host(), names, who)
