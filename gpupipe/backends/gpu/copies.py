"""Host columns on their way to a device, and copies of them that stay there for further trips over the rows."""

import threading
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gpupipe.backends.gpu.columns import DeviceColumn, uploaded
from gpupipe.backends.states.orders import between
from gpupipe.columns import Chosen, Column, Frame, Values
from gpupipe.kernels.gpu.device import Device
from gpupipe.memory import Room
from gpupipe.schema import DType, String


def copied(device: Device, column: Column) -> DeviceColumn:
    """A copy of a host column on a device; of text, its dictionary's entries tell which rows have no value.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    return uploaded(device, _encoded(column) if column.dtype == String else column)


def _encoded(column: Column) -> Column:
    """The text as a dictionary whose entries hold a null, which rows without a value have."""
    encoded = column.values if column.is_dictionary else column.values.dictionary_encode()
    ids, strings = encoded.indices, encoded.dictionary
    if column.valid is None:
        return Column(String, encoded)
    rows = np.where(column.valid, np.asarray(ids.fill_null(0) if ids.null_count else ids), len(strings))
    entries = pa.concat_arrays([strings, pa.nulls(1, pa.string())])
    return Column(String, pa.DictionaryArray.from_arrays(pa.array(rows.astype(np.int32)), entries))


class Copies:
    """Copies of columns of partitions, kept on a device while there is room; from any thread.

    Args:
        device: the device.
        room: what they may take of its memory, shared with others.
    """

    def __init__(self, device: Device, room: Room) -> None:
        self.device, self._room = device, room
        self._held: dict[tuple[int, str], DeviceColumn] = {}
        self._lock = threading.Lock()

    def known(self, index: int, frame: Frame, names: Collection[str]) -> Frame:
        """The frame of a partition, each of the named columns that is on the host with its copy, once there is one."""
        here = {name: column for name in names if isinstance(column := frame.columns.get(name), Column)}
        return frame.with_columns({name: Known(column, self, (index, name)) for name, column in here.items()})

    def found(self, key: tuple[int, str]) -> DeviceColumn | None:
        """The copy of a partition's column, if one is kept."""
        return self._held.get(key)

    def made(self, key: tuple[int, str], column: Column) -> DeviceColumn:
        """The copy of a partition's column: the one that is kept, or one that is made now, and kept if there is room.

        Raises:
            DeviceMemoryError: the device has not so much memory.
        """
        there = self.found(key)
        if there is None:
            there = copied(self.device, column)
        with self._lock:
            if key not in self._held and self._room.take(there.device_bytes):
                self._held[key] = there
        return there

    def free(self) -> None:
        """Keep none of those made so far."""
        with self._lock:
            self._room.give_back(sum(column.device_bytes for column in self._held.values()))
            self._held.clear()


class Hosted:
    """What :class:`gpupipe.columns.Resident` asks of a column whose values are on the host, whatever it has besides."""

    __slots__ = ()
    host: Column

    @property
    def dtype(self) -> DType:
        return self.host.dtype

    def __len__(self) -> int:
        return len(self.host)

    @property
    def device_bytes(self) -> int:
        """None of its own."""
        return 0

    def to_host(self) -> Column:
        """The host column itself."""
        return self.host


@dataclass(frozen=True, eq=False, slots=True)
class Known(Hosted):
    """A host column of a partition, of which a copy on a device may be kept: a :class:`gpupipe.columns.Resident`.

    Attributes:
        host: the column.
        copies: where the copy is.
        key: (number of the partition, name of the column).
    """

    host: Column
    copies: Copies
    key: tuple[int, str]

    def rows(self, start: int, stop: int) -> Column:
        """The rows from `start` up to, without, `stop`: on the host, as there was too little memory for all."""
        return self.host.rows(start, stop)

    def take(self, rows: Chosen, /) -> Column:
        """The given rows, of the host."""
        return self.host.take(rows.positions)

    def between(self, low: Values, high: Values) -> tuple[Values, Values]:
        """(positions, values) of the rows in some spans, found on the device where a copy is kept."""
        there = self.copies.found(self.key)
        return between(self.host, low, high) if there is None else there.between(low, high)

    def on_device(self) -> DeviceColumn:
        """The copy.

        Raises:
            DeviceMemoryError: the device has not so much memory.
        """
        return self.copies.made(self.key, self.host)
