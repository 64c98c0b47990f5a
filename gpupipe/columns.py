"""What a decoded piece of a table is: columns of values and validity, and the rows they belong to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from gpupipe.arrow_arrays import array_of
from gpupipe.errors import ColumnNotFoundError, DataError, nearest
from gpupipe.schema import DType, String

Values = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of one partition.

    Attributes:
        dtype: the logical type.
        values: 1-D array of ``dtype.storage``; for String a ``pa.StringArray`` (plain) or a ``pa.DictionaryArray``
            of int32 indices over a ``pa.StringArray`` (a dictionary may hold entries no row uses). For a wide
            column 2-D, shape (width, rows), so that each component is contiguous.
        valid: bool array of shape (rows,), True where there is a value; None where every row has one. Values
            under an invalid row are arbitrary but defined. For strings the Arrow array carries no nulls of its own
            that `valid` does not state.
    """

    dtype: DType
    values: Any
    valid: Values | None = None

    def __len__(self) -> int:
        return int(self.values.shape[-1]) if isinstance(self.values, np.ndarray) else len(self.values)

    @property
    def null_count(self) -> int:
        """How many rows are null."""
        return 0 if self.valid is None else int(len(self.valid) - np.count_nonzero(self.valid))

    @property
    def is_dictionary(self) -> bool:
        return self.dtype == String and isinstance(self.values, pa.DictionaryArray)

    def take(self, rows: Values) -> "Column":
        """The given rows (int64 positions or a bool mask), in the order given.

        >>> from gpupipe.schema import Int64
        >>> Column(Int64, np.array([5, 6, 7])).take(np.array([2, 0])).values
        array([7, 5])
        """
        valid = None if self.valid is None else self.valid[rows]
        if isinstance(self.values, np.ndarray):
            if self.values.ndim == 1 and rows.dtype != np.bool_:
                return Column(self.dtype, self.values.take(rows), valid)
            return Column(self.dtype, self.values[..., rows], valid)
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Column(self.dtype, self.values.take(array_of(chosen)), valid)

    def rows(self, start: int, stop: int) -> "Column":
        """The rows from `start` up to, without, `stop`; not copied."""
        valid = None if self.valid is None else self.valid[start:stop]
        is_array = isinstance(self.values, np.ndarray)
        values = self.values[..., start:stop] if is_array else self.values.slice(start, stop - start)
        return Column(self.dtype, values, valid)


@dataclass(slots=True, eq=False)
class Chosen:
    """Rows taken out of all columns of a frame.

    Attributes:
        positions: int64 of shape (rows,), which they are, in the order wanted; none negative.
    """

    positions: Values
    _sent: Any = None

    def sent(self, upload: Callable[[Values], Any]) -> Any:
        """The positions on a device, as int32 where all fit: sent by whoever asks first."""
        if self._sent is None:
            fits = not len(self.positions) or int(self.positions.max()) < 2**31
            self._sent = upload(np.ascontiguousarray(self.positions, np.int32 if fits else np.int64))
        return self._sent


class Resident(Protocol):
    """A column whose values are in a device's memory. Whoever knows no device asks for it on the host."""

    @property
    def dtype(self) -> DType:
        """The logical type."""

    def __len__(self) -> int: ...

    @property
    def device_bytes(self) -> int:
        """What it takes of the device's memory for as long as it is held; 0: nothing that lasts."""

    def to_host(self) -> Column:
        """The same column in this process's memory; copied at the first call."""

    def rows(self, start: int, stop: int) -> "AnyColumn":
        """The rows from `start`, a multiple of 32, up to, without, `stop`; not copied."""

    def take(self, rows: Chosen, /) -> "AnyColumn":
        """The given rows, in the order given, where the column is."""

    def between(self, low: Values, high: Values) -> tuple[Values, Values]:
        """On the host: (int64 positions, ascending, values) of the rows with a value that lies in one of some spans.

        Args:
            low, high: int64, as of ``gpupipe.kernels.reference.radix.rows_between``.
        """


AnyColumn = Column | Resident


def on_host(column: AnyColumn) -> Column:
    """The column in this process's memory, where it may be already."""
    return column if isinstance(column, Column) else column.to_host()


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Columns of equal length, with the identity of each row.

    Attributes:
        columns: name to column, on the host or on a device. ``frame[name]`` gives it on the host.
        n_rows: the number of rows.
        row_ids: uint64 array of shape (rows,): each row's identity, its position in the whole source as listed
            (before any filter), or the hash of its key. Folds, splits and random numbers come from it.
        places: where `row_ids` are hashes, each row's position besides, so that an error can name the row.
    """

    columns: Mapping[str, AnyColumn]
    n_rows: int
    row_ids: Values = field(repr=False)
    places: Values | None = field(default=None, repr=False)

    @property
    def positions(self) -> Values:
        """Each row's position in the whole source as listed, uint64 of shape (rows,)."""
        return self.row_ids if self.places is None else self.places

    def __getitem__(self, name: str) -> Column:
        return on_host(self.resident(name))

    def resident(self, name: str) -> AnyColumn:
        """The named column, wherever it is."""
        try:
            return self.columns[name]
        except KeyError:
            raise ColumnNotFoundError(f"There is no column {name!r}. {nearest(name, self.columns)}") from None

    def take(self, rows: Values) -> "Frame":
        """The given rows (positions or a bool mask), each column where it is."""
        chosen = Chosen(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows)
        columns = {
            name: column.take(rows) if isinstance(column, Column) else column.take(chosen)
            for name, column in self.columns.items()
        }
        row_ids = self.row_ids[rows]
        return Frame(columns, len(row_ids), row_ids, None if self.places is None else self.places[rows])

    def rows(self, start: int, stop: int) -> "Frame":
        """The rows from `start`, a multiple of 32, up to, without, `stop`; not copied."""
        if (start, stop) == (0, self.n_rows):
            return self
        columns = {name: column.rows(start, stop) for name, column in self.columns.items()}
        places = None if self.places is None else self.places[start:stop]
        return Frame(columns, stop - start, self.row_ids[start:stop], places)

    def select(self, names: Sequence[str]) -> "Frame":
        """The named columns, in the order asked, wherever they are."""
        return Frame({name: self.resident(name) for name in names}, self.n_rows, self.row_ids, self.places)

    def with_columns(self, columns: Mapping[str, AnyColumn]) -> "Frame":
        """This frame with columns added or replaced."""
        return Frame({**self.columns, **columns}, self.n_rows, self.row_ids, self.places)


@contextmanager
def taken_from(rows: Values | None) -> Iterator[None]:
    """An error of data inside, of one of some rows that were taken (None: all were), is of the row it was before."""
    try:
        yield
    except DataError as error:
        if rows is not None and error.row is not None and not error.is_placed:
            error.row = int(rows[error.row])
        raise


def concat(columns: Sequence[Column]) -> Column:
    """The columns one below the other; of one type. Dictionaries are decoded.

    >>> from gpupipe.schema import Int64
    >>> concat([Column(Int64, np.array([1])), Column(Int64, np.array([2]))]).values
    array([1, 2])
    """
    valid = None
    if any(column.valid is not None for column in columns):
        valid = np.concatenate([np.ones(len(c), bool) if c.valid is None else c.valid for c in columns])
    if columns[0].dtype != String:
        return Column(columns[0].dtype, np.concatenate([column.values for column in columns], axis=-1), valid)
    plain = [c.values.dictionary_decode() if c.is_dictionary else c.values for c in columns]
    return Column(String, pa.concat_arrays(plain), valid)
