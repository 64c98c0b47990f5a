"""Columns where a device's programs want them: host columns go up at first use, text with its nulls as an entry."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from gpupipe.backends import keys
from gpupipe.backends.gpu.columns import Absent, DeviceColumn, EntryTable
from gpupipe.backends.gpu.copies import Hosted, Known, copied
from gpupipe.backends.states.orders import between
from gpupipe.columns import AnyColumn, Chosen, Column, Frame, Values
from gpupipe.kernels.gpu.device import Device
from gpupipe.kernels.gpu.ids import Ids, with_absent
from gpupipe.schema import String


@dataclass(eq=False, slots=True)
class Uploading(Hosted):
    """A host column that is copied to a device when it is first asked for there: a :class:`gpupipe.columns.Resident`.

    Attributes:
        host: the column.
        target: the device.
        known: the same column, where a copy may be kept for others; None: the copy goes with this object.
    """

    host: Column
    target: Device
    known: Known | None = None
    _there: DeviceColumn | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def rows(self, start: int, stop: int) -> "Uploading":
        """The rows from `start` up to, without, `stop`; of what was copied nothing is taken along."""
        return Uploading(self.host.rows(start, stop), self.target)

    def take(self, rows: Chosen, /) -> "Uploading":
        """The given rows, of the host; of what was copied nothing is taken along."""
        return Uploading(self.host.take(rows.positions), self.target)

    def between(self, low: Values, high: Values) -> tuple[Values, Values]:
        """(positions, values) of the rows in some spans, found where the values are."""
        if self._there is not None:
            return self._there.between(low, high)
        return between(self.host, low, high) if self.known is None else self.known.between(low, high)

    def on_device(self) -> DeviceColumn:
        """The copy, asked for or made once.

        Raises:
            DeviceMemoryError: the device has not so much memory.
        """
        with self._lock:
            if self._there is None:
                self._there = copied(self.target, self.host) if self.known is None else self.known.on_device()
            return self._there


Placed = DeviceColumn | Uploading


def placed(device: Device, column: AnyColumn) -> Placed:
    """The column as a device's programs take it; nothing is copied yet."""
    if isinstance(column, DeviceColumn | Uploading):
        return column
    if isinstance(column, Known):
        return Uploading(column.host, device, column)
    return Uploading(column if isinstance(column, Column) else column.to_host(), device)


def placed_frame(device: Device, frame: Frame) -> Frame:
    """The frame, each column copied to the device when first needed there, once however many ask."""
    columns: Mapping[str, AnyColumn] = {name: placed(device, column) for name, column in frame.columns.items()}
    return Frame(columns, frame.n_rows, frame.row_ids, frame.places)


def on_device(column: Placed) -> DeviceColumn:
    """The column in the device's memory."""
    return column.on_device() if isinstance(column, Uploading) else column


def settled(column: DeviceColumn) -> DeviceColumn:
    """The column, the nulls of an encoded one an entry; nothing is copied: the bitmap tells which rows have it."""
    if column.entries is None or column.valid is None or column.absent is not None:
        return column
    if column.settled is None:
        absent = Absent(len(column.entries))
        column.settled = of_entries(column, with_null(column.known), absent)
    return column.settled


def of_entries(like: DeviceColumn, entries: Column | EntryTable, absent: Absent | None = None) -> DeviceColumn:
    """The column whose rows have other entries by the same numbers."""
    absent = like.absent if absent is None else absent
    return DeviceColumn(entries.dtype, like.n_rows, None, like.valid, like.ids, entries, absent)


def plain(device: Device, columns: Sequence[Any]) -> list[Any]:
    """The columns, those of a device as kernels take them that know of no absent entry.

    One launch writes the numbers of all that need it; none does whose absent entry is null, as its bitmap says that.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    waiting = {id(column.absent): column for column in columns if _must_tell(column)}
    made = with_absent(device, [Ids(c.ids, c.valid, c.absent.entry, 0) for c in waiting.values()])
    for column, there in zip(waiting.values(), made, strict=True):
        column.absent.told = there
    return [_plain(column) for column in columns]


def _must_tell(column: Any) -> bool:
    absent = column.absent if isinstance(column, DeviceColumn) else None
    return absent is not None and absent.told is None and not _is_null(column, absent)


def _is_null(column: DeviceColumn, absent: Absent) -> bool:
    return column.known.valid is not None and not column.known.valid[absent.entry]


def _plain(column: Any) -> Any:
    if not isinstance(column, DeviceColumn) or column.absent is None:
        return column
    valid, ids = (column.valid, column.ids) if _is_null(column, column.absent) else (None, column.absent.told)
    return DeviceColumn(column.dtype, column.n_rows, None, valid, ids, column.entries)


def with_null(entries: Column) -> Column:
    """The entries and, after them, a null; of text one that is null for Arrow too, so that no function sees a text."""
    found = keys.with_null(entries)
    if entries.dtype != String:
        return found
    return Column(String, pa.concat_arrays([entries.values, pa.nulls(1, pa.string())]), found.valid)
