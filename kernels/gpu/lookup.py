"""From the keys of rows to places in a list: by a table where the keys are dense, else by hash."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .device import Argument, Device, DeviceArray, Kernel
from .keys import HashTable, hashed
from .numbers import Numbers, over_rows, source

Array = np.ndarray[Any, Any]

_TEXT = source("avalanche.cuh", "table.cuh", "lookup.cu")
SOURCES = {"lookup": _TEXT}
_DENSE, _HASHED, _COMBINE = (Kernel(_TEXT, name) for name in ("find_dense", "find_hashed", "combine"))

_DENSE_SPAN = 65_536  # a table of so many places costs nothing
_MOST_SLOTS = 1 << 27


class Places(Protocol):
    """A list of distinct keys, each with a place, in a device's memory."""

    def of(self, numbers: Numbers, null: int = -1, nowhere: int = -1) -> DeviceArray:
        """int32 place of each row's key; `null` for rows without a value, `nowhere` for keys not listed and NaN."""


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Places by key: ``places[key - low]``.

    Attributes:
        low: the key of the first entry.
        places: int32; -1: not listed.
    """

    low: int
    places: DeviceArray

    def of(self, numbers: Numbers, null: int = -1, nowhere: int = -1) -> DeviceArray:
        return _found(_DENSE, numbers, (np.int64(self.low), np.uint64(len(self.places)), self.places), null, nowhere)


@dataclass(frozen=True, slots=True, eq=False)
class Hashed:
    """Places by slot of a hash table.

    Attributes:
        table: the keys.
        places: int32, for each slot that has a key.
    """

    table: HashTable
    places: DeviceArray

    def of(self, numbers: Numbers, null: int = -1, nowhere: int = -1) -> DeviceArray:
        table = self.table
        args = table.words, table.mask, np.uint64(table.tries), self.places
        return _found(_HASHED, numbers, args, null, nowhere)


def _found(kernel: Kernel, numbers: Numbers, args: tuple[Argument, ...], null: int, nowhere: int) -> DeviceArray:
    device, size = numbers.device, len(numbers)
    out = device.empty(size, np.int32)
    over_rows(device, kernel, size, *numbers.arguments, np.int64(size), *args, np.int32(null), np.int32(nowhere), out)
    return out


def index(device: Device, keys: Array, places: Array) -> Places | None:
    """What finds the place of a key.

    Args:
        keys: int64, distinct, sorted, on the host.
        places: int, from 0 on, the place of each.

    Returns:
        None where so many keys, or such keys, cannot be kept by hash.
    """
    span = int(keys[-1]) - int(keys[0]) + 1 if len(keys) else 0
    if span > max(_DENSE_SPAN, 8 * len(keys)):
        return _by_hash(device, keys, places)
    table = np.full(span, -1, np.int32)
    table[keys - keys[:1]] = places
    return Dense(int(keys[0]) if len(keys) else 0, device.upload(table))


def _by_hash(device: Device, keys: Array, places: Array) -> Hashed | None:
    table = hashed(Numbers(device.upload(np.ascontiguousarray(keys, np.int64))), _MOST_SLOTS, _MOST_SLOTS)
    if table is None:
        return None
    there, slots = table.keys()
    return Hashed(table, table.by_slot(slots, places[np.searchsorted(keys, there)]))


def combine(outer: DeviceArray, inner: DeviceArray, size: int) -> DeviceArray:
    """int64 ``outer * size + inner`` of each row, -1 where either is negative: two numbers of a row as one.

    Args:
        outer: int32 of shape (rows,).
        inner: int32 of shape (rows,), below `size`.
    """
    device, rows = outer.device, len(outer)
    out = device.empty(rows, np.int64)
    over_rows(device, _COMBINE, rows, outer, inner, np.int64(size), np.int64(rows), out)
    return out
