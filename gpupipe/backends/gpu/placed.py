"""Columns where a device's programs want them: host columns go up at first use, text with its nulls as an entry."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from gpupipe.backends import keys
from gpupipe.backends.gpu.columns import DeviceColumn
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


def settled(device: Device, columns: Sequence[DeviceColumn]) -> list[DeviceColumn]:
    """The columns, the nulls of encoded ones told by their entries alone: one launch for all that have a bitmap."""
    waiting = [(column, ids) for column in columns if (ids := _unsettled(column)) is not None]
    made = with_absent(device, [ids for _, ids in waiting])
    for (column, _), there in zip(waiting, made, strict=True):
        assert column.entries is not None
        column.settled = DeviceColumn(column.dtype, column.n_rows, None, None, there, with_null(column.entries))
    return [column if column.settled is None else column.settled for column in columns]


def _unsettled(column: DeviceColumn) -> Ids | None:
    if column.settled is not None or column.ids is None or column.valid is None or column.entries is None:
        return None
    return Ids(column.ids, column.valid, len(column.entries), 0)


def with_null(entries: Column) -> Column:
    """The entries and, after them, a null; of text one that is null for Arrow too, so that no function sees a text."""
    found = keys.with_null(entries)
    if entries.dtype != String:
        return found
    return Column(String, pa.concat_arrays([entries.values, pa.nulls(1, pa.string())]), found.valid)
