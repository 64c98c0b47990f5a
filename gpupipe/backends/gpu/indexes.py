"""From values and keys of rows on a device to where they stand in a learned list, as ``gpupipe.backends.indexes``."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.keys import numbers_of
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.indexes import KeyIndex, ValueIndex
from gpupipe.columns import Column, Values
from gpupipe.kernels.gpu import lookup
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.kernels.gpu.numbers import Numbers
from gpupipe.schema import String


class _Listed:
    """Numbers and the place of each, copied to the device when first looked into."""

    def __init__(self, device: Device, numbers: Values, places: Values) -> None:
        self._device, self._numbers, self._places = device, numbers, places
        self._copied: lookup.Places | None = None
        self._too_many = False
        self._copying = threading.Lock()

    def of(self, numbers: Numbers, null: int = -1, nowhere: int = -1) -> DeviceArray:
        return self._there().of(numbers, null, nowhere)

    def _there(self) -> lookup.Places:
        with self._copying:
            if self._copied is None and not self._too_many:
                self._copied = lookup.index(self._device, self._numbers, self._places)
                self._too_many = self._copied is None
        if self._copied is None:
            raise NotOnDevice(f"the {len(self._numbers):,} values learned do not fit into a hash table")
        return self._copied


class _Values:
    """A list of distinct values: numbers on the device, text through the entries of a column."""

    def __init__(self, device: Device, index: ValueIndex, first: int) -> None:
        self._device, self._index, self._first = device, index, first
        self._null = index.null + first if index.null >= 0 else -1
        self._listed: _Listed | None = None
        if index.entries.dtype != String:
            numbers, places = index.listed()
            self._listed = _Listed(device, numbers, places + first)

    def find(self, column: DeviceColumn, null: int | None, nowhere: int) -> DeviceArray:
        of_null = null if null is not None else self._null if self._null >= 0 else nowhere
        if column.ids is not None and column.entries is not None:
            return self._by_entry(column.ids, column.valid, column.known, of_null, nowhere)
        assert self._listed is not None
        return self._listed.of(numbers_of(column), of_null, nowhere)

    def _by_entry(
        self, ids: DeviceArray, valid: DeviceArray | None, entries: Column, null: int, nowhere: int
    ) -> DeviceArray:
        at = self._index.find(Column(entries.dtype, entries.values))
        places = np.where(at < 0, nowhere, at + self._first)
        if entries.valid is not None:
            places = np.where(entries.valid, places, null)
        table = lookup.Dense(0, self._device.upload(places.astype(np.int32)))
        return table.of(Numbers(ids, valid), null)


@dataclass(frozen=True, slots=True, eq=False)
class _Further:
    """One more key: its values, how many, and the places of the numbers that they and the keys before make."""

    values: _Values
    size: int
    pairs: _Listed


class DeviceIndex:
    """A learned list in a device's memory: copied there at the first call that needs it, and kept.

    Text is looked up on the host, entry by entry, and given to the rows by their ids; numbers are looked up on the
    device. Threads may share an index.

    Args:
        device: whose memory the columns are in.
        index: of values, or of the keys of groups.
        first: what the first of the list is counted as; the others follow. Codes begin after those of null and other:
            ``DeviceIndex(device, vocabulary, first=2).find([column], null=0, nowhere=1)``.
    """

    def __init__(self, device: Device, index: ValueIndex | KeyIndex, first: int = 0) -> None:
        self._further: list[_Further] = []
        if isinstance(index, ValueIndex) or index.row_of is None:
            self._values = _Values(device, index if isinstance(index, ValueIndex) else index.first, first)
            return
        self._values = _Values(device, index.first, 0)
        for left, (values, size, places) in zip(range(len(index.further))[::-1], index.further, strict=True):
            numbers, at = places.listed()
            pairs = _Listed(device, numbers, at if left else index.row_of[at] + first)
            self._further.append(_Further(_Values(device, values, 0), size, pairs))

    def find(self, columns: Sequence[DeviceColumn], null: int | None = None, nowhere: int = -1) -> DeviceArray:
        """int32 of shape (rows,): the position of each row's value, or of its group.

        Args:
            columns: one, or those of the keys, in order.
            null: what a row without a value gets; None: the position of null where it is listed, else `nowhere`.
                Where there are several columns, null is a key like any other.
            nowhere: what a row gets whose value, or group, is not listed (NaN never is); -1 or more, as `null`.

        Raises:
            NotOnDevice: a list that cannot be kept by hash.
            DeviceMemoryError: the device has not so much memory.
        """
        if not self._further:
            return self._values.find(columns[0], null, nowhere)
        found = self._values.find(columns[0], None, -1)
        for left, key, column in zip(range(len(self._further))[::-1], self._further, columns[1:], strict=True):
            pairs = lookup.combine(found, key.values.find(column, None, -1), key.size)
            found = key.pairs.of(Numbers(pairs, partial=True), nowhere=-1 if left else nowhere)
        return found
