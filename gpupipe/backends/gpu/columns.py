"""Columns in a device's memory: numbers a value a row, text (and what is made of it) an entry's number a row."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from gpupipe.backends.states.orders import between
from gpupipe.columns import Chosen, Column, Values
from gpupipe.kernels.gpu import bits, radix
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.schema import DType, String


@dataclass(eq=False, slots=True)
class Absent:
    """What rows whose bit is 0 have in place of nothing; one for all columns of the same numbers and bitmap.

    Attributes:
        entry: the number of their entry.
        told: int32 of shape (rows,), each row's number and `entry` for those rows: once a kernel had to have it so.
    """

    entry: int
    told: DeviceArray | None = field(default=None, repr=False)


class EntryTable(Protocol):
    """Entries in a device's memory: numbers as a :class:`DeviceColumn`, text as whatever reads it there holds it."""

    @property
    def dtype(self) -> DType: ...

    def __len__(self) -> int: ...

    @property
    def device_bytes(self) -> int: ...

    def to_host(self) -> Column:
        """The same in this process's memory; copied at the first call."""


@dataclass(eq=False, slots=True)
class DeviceColumn:
    """One column of one partition on a device: a :class:`gpupipe.columns.Resident`.

    Attributes:
        dtype: the logical type.
        n_rows: its rows.
        values: of shape (rows,) in ``dtype.storage`` (bool a byte each); None where `ids` are there.
        valid: bitmap of the rows as uint32 words, the least bit first; 1 where there is a value; None: everywhere.
        ids: int32 of shape (rows,), which of `entries` each row has; of rows whose bit in `valid` is 0 anything; None
            where `values` are there.
        entries: what rows may have: of text a plain ``pa.StringArray``, of other types values by which a function of
            text stands; or the same in the device's memory. An entry may be null, and no row need have it. At least
            one.
        absent: of a column with `ids` the entry of rows whose bit in `valid` is 0, as programs have it; None: such
            rows have no value.
        settled: the same column, its nulls an entry, once a program needed it so; it shares the memory.
    """

    dtype: DType
    n_rows: int
    values: DeviceArray | None
    valid: DeviceArray | None = None
    ids: DeviceArray | None = None
    entries: Column | EntryTable | None = None
    absent: Absent | None = None
    settled: "DeviceColumn | None" = field(default=None, repr=False)
    _host: Column | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return self.n_rows

    @property
    def device(self) -> Device:
        """Whose memory it is in."""
        held = self.values if self.values is not None else self.ids
        assert held is not None
        return held.device

    @property
    def device_bytes(self) -> int:
        """The bytes of its arrays, and of entries that are there."""
        listed = 0 if self.entries is None or isinstance(self.entries, Column) else self.entries.device_bytes
        return listed + sum(array.nbytes for array in (self.values, self.valid, self.ids) if array is not None)

    @property
    def known(self) -> Column:
        """The entries on the host; those that are on the device are copied at the first call."""
        assert self.entries is not None
        return self.entries if isinstance(self.entries, Column) else self.entries.to_host()

    def to_host(self) -> Column:
        """The same column in this process's memory; copied at the first call."""
        if self._host is None:
            self._host = self._downloaded()
        return self._host

    def rows(self, start: int, stop: int) -> "DeviceColumn":
        """The rows from `start`, a multiple of 32, up to, without, `stop`; not copied."""
        values = None if self.values is None else self.values.rows(start, stop)
        valid = None if self.valid is None else self.valid.rows(start // 32, -(-stop // 32))
        ids = None if self.ids is None else self.ids.rows(start, stop)
        return DeviceColumn(self.dtype, stop - start, values, valid, ids, self.entries, self._absent_of_part())

    def take(self, rows: Chosen, /) -> "DeviceColumn":
        """The given rows, copied on the device.

        Raises:
            DeviceMemoryError: the device has not so much memory.
        """
        there = rows.sent(self.device.upload)
        values = None if self.values is None else bits.take(self.values, there)
        valid = None if self.valid is None else bits.take_bits(self.valid, there)
        ids = None if self.ids is None else bits.take(self.ids, there)
        return DeviceColumn(self.dtype, len(there), values, valid, ids, self.entries, self._absent_of_part())

    def between(self, low: Values, high: Values) -> tuple[Values, Values]:
        """On the host: (positions, values) of the rows with a value that lies in one of some spans.

        Raises:
            DeviceMemoryError: the device has not so much memory.
        """
        if self.values is None:
            return between(self.to_host(), low, high)
        rows = radix.rows_between(self.values, low, high, valid=self.valid)
        return rows.to_host(), bits.take(self.values, rows).to_host()

    def _absent_of_part(self) -> Absent | None:
        return None if self.absent is None else Absent(self.absent.entry)

    def _downloaded(self) -> Column:
        valid = None if self.valid is None else unpacked(self.valid.to_host(), self.n_rows)
        if self.ids is None or self.entries is None:
            assert self.values is not None
            return Column(self.dtype, self.values.to_host(), _unless_all(valid))
        ids = self.ids.to_host()
        if valid is not None:
            ids = np.where(valid, ids, np.int32(0 if self.absent is None else self.absent.entry))
            valid = valid if self.absent is None else None
        entries = self.known
        if entries.valid is not None:
            has = entries.valid[ids]
            valid = has if valid is None else valid & has
        if self.dtype != String:
            return Column(self.dtype, entries.values[ids], _unless_all(valid))
        return Column(String, pa.DictionaryArray.from_arrays(pa.array(ids), entries.values), _unless_all(valid))


def _unless_all(valid: Values | None) -> Values | None:
    return None if valid is None or valid.all() else valid


def packed(valid: Values) -> Values:
    """A bool array as a bitmap of uint32 words.

    >>> packed(np.array([True, False, True])).tolist()
    [5]
    """
    words = np.zeros(max(-(-len(valid) // 32), 1), np.uint32)
    of_rows = np.packbits(valid, bitorder="little")
    words.view(np.uint8)[: len(of_rows)] = of_rows
    return words


def unpacked(words: Values, n_rows: int) -> Values:
    """The bool array of a bitmap.

    >>> unpacked(np.array([5], np.uint32), 3).tolist()
    [True, False, True]
    """
    return np.unpackbits(words.view(np.uint8), count=n_rows, bitorder="little").view(bool)


def uploaded(device: Device, column: Column) -> DeviceColumn:
    """A copy of a host column on a device; plain text is given a dictionary first.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    size = len(column)
    valid = None if column.valid is None else device.upload(packed(column.valid))
    if column.dtype != String:
        return DeviceColumn(column.dtype, size, device.upload(np.ascontiguousarray(column.values)), valid)
    encoded = column.values if column.is_dictionary else column.values.dictionary_encode()
    ids, strings = encoded.indices, encoded.dictionary
    if not len(strings):
        strings = pa.array([""], pa.string())
    rows = np.asarray(ids.fill_null(0) if ids.null_count else ids).astype(np.int32, copy=False)
    return DeviceColumn(String, size, None, valid, device.upload(rows), Column(String, strings, _known(strings)))


def _known(strings: Any) -> Values | None:
    return np.asarray(strings.is_valid()) if strings.null_count else None
