"""Distinct keys: their range, and a hash table of them that grows until it holds them all.

Nothing that leaves here depends on the size of the table or on which row came first: keys are sorted on the host, and
their places come from that order alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .device import Device, DeviceArray, Kernel
from .numbers import Numbers, over_rows, source

Array = np.ndarray[Any, Any]

_TEXT = source("avalanche.cuh", "table.cuh", "keys.cu")
SOURCES = {"keys": _TEXT}
_EXTENT, _CLAIM, _COLLECT, _SCATTER = (Kernel(_TEXT, name) for name in ("extent", "claim", "collect", "scatter"))

_NONE = 2**63 - 1
_SMALLEST = 1 << 16  # slots of the first table: half a megabyte
_GROWTH = 4
_TRIES = 128  # slots from its home that a key may stand away; more in the largest table
_LAST_TRIES = 4_096


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is among some rows.

    Attributes:
        low: the least key; None where there is no key.
        high: the greatest.
        null: the first row without a value; None where each has one.
        unfit: the first row whose value is no key, such as NaN.
    """

    low: int | None
    high: int | None
    null: int | None
    unfit: int | None

    @property
    def span(self) -> int:
        """How many whole numbers there are from the least key to the greatest."""
        return 0 if self.low is None or self.high is None else self.high - self.low + 1


def extent(numbers: Numbers, groups: DeviceArray | None = None) -> Extent:
    """What there is among the rows; with `groups`, int32, among those of a group (from 0 on) alone."""
    device = numbers.device
    found = device.upload(np.full(4, _NONE, np.int64))
    over_rows(device, _EXTENT, len(numbers), *numbers.arguments, groups, np.int64(len(numbers)), found)
    low, high, null, unfit = device.download(found).tolist()
    # `high` is the least ~key: where there is no key, neither it nor `low` was touched. low <= high where there is one.
    if low > ~high:
        low = high = None
    return Extent(low, None if high is None else ~high, *(None if at == _NONE else at for at in (null, unfit)))


@dataclass(frozen=True, slots=True, eq=False)
class HashTable:
    """Distinct keys in a device's memory.

    Attributes:
        words: uint64 of shape (slots + 1,), as ``table.cuh`` has it.
        tries: how many slots from its home a key may stand away.
        n_keys: how many keys there are.
    """

    words: DeviceArray
    tries: int
    n_keys: int

    @property
    def mask(self) -> Any:
        """One less than the slots, which are a power of two."""
        return np.uint64(len(self.words) - 2)

    def keys(self) -> tuple[Array, DeviceArray]:
        """(the keys, int64 on the host, the slot of each, int32 on the device), in no order."""
        device = self.words.device
        keys, slots = device.empty(self.n_keys, np.int64), device.empty(self.n_keys, np.int32)
        taken = device.zeros(1, np.uint64)
        size = len(self.words)
        over_rows(device, _COLLECT, size, self.words, np.int64(size), keys, slots, taken)
        return device.download(keys), slots

    def by_slot(self, slots: DeviceArray, places: Array) -> DeviceArray:
        """int32 of shape (slots + 1,): what is given for each key, where the key stands."""
        device = self.words.device
        found = device.empty(len(self.words), np.int32)
        given = device.upload(np.ascontiguousarray(places, np.int32))
        over_rows(device, _SCATTER, self.n_keys, slots, given, np.int64(self.n_keys), found)
        return found


def hashed(numbers: Numbers, most_slots: int, smallest: int = _SMALLEST) -> HashTable | None:
    """A table of the distinct keys of all rows; None where they do not fit into `most_slots`, a power of two.

    Args:
        smallest: slots of the first table; it grows until all keys fit, to twice the rows at most.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    device = numbers.device
    largest = min(most_slots, _power(2 * len(numbers)))
    slots = min(smallest, largest)
    while True:
        tries = min(_LAST_TRIES if slots == largest else _TRIES, slots)
        table = _claimed(device, numbers, slots, tries)
        if table is not None or slots == largest:
            return table
        slots = min(slots * _GROWTH, largest)


def _claimed(device: Device, numbers: Numbers, slots: int, tries: int) -> HashTable | None:
    words = device.zeros(slots + 1, np.uint64)
    state = device.zeros(2, np.uint64)
    size = np.int64(len(numbers))
    over_rows(
        device, _CLAIM, len(numbers), *numbers.arguments, size, words, np.uint64(slots - 1), np.uint64(tries), state
    )
    too_full, n_keys = device.download(state).tolist()
    return None if too_full else HashTable(words, tries, n_keys)


def _power(least: int) -> int:
    return 1 << max(least - 1, 1).bit_length()
