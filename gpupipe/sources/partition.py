"""What every reader produces: partitions, small recipes of a stretch of rows, and what reading one costs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.backends.conform import conform
from gpupipe.columns import Column, Frame, Values
from gpupipe.errors import DataError, ParameterError, counted
from gpupipe.schema import DType, Field, Schema
from gpupipe.sources.border import to_column
from gpupipe.sources.place import Place, learn_position, positioned, put
from gpupipe.sources.together import OTHERS

_LEAST, _MOST, _PIECES = 16 * 2**20, 32 * 2**20, 32


def piece_bytes(total: int, partitions: int | None, partition_bytes: int | None) -> int:
    """How large a partition should be, of `total` bytes: as asked, else about a thirty-second, 16 to 32 MiB.

    By the data alone, never by the machine, so that partitions are the same everywhere.

    >>> piece_bytes(1000, 10, None), piece_bytes(10**12, None, None) // 2**20
    (100, 32)
    """
    if partitions:
        return max(-(-total // partitions), 1)
    return partition_bytes or min(max(total // _PIECES, _LEAST), _MOST)


def slice_bounds(n_rows: int, parts: int) -> list[tuple[int, int]]:
    """`parts` consecutive stretches of nearly equal length.

    >>> slice_bounds(5, 2)
    [(0, 3), (3, 5)]
    """
    edges = [-(-n_rows * k // parts) for k in range(parts + 1)]
    return list(pairwise(edges))


@dataclass(frozen=True, slots=True)
class Comparison:
    """``column op value``: a test that a reader's statistics may answer for many rows at once.

    Attributes:
        column: a column of the file.
        op: ``eq``, ``lt``, ``le``, ``gt`` or ``ge``.
        value: a bool, int, float or str; days for a Date, microseconds for a Datetime or Duration.
    """

    column: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What loading cost. Reports add up over partitions.

    Attributes:
        rows_listed: rows of the partition, before anything is dropped.
        rows_read: rows decoded (row groups that statistics rule out are not).
        rows_kept: rows of the frame.
        bytes_read: bytes of the column chunks read, as stored (compressed); in memory, bytes of the columns.
        rows_filtered: for each filter and inner join, as text, the rows it dropped (not splits, not `head`).
        rows_without_key: for each join, as text, the rows whose key is null or NaN: they match nothing.
        on_host: why columns were decoded on the host though a device was there, by column.

    >>> report = LoadReport(2, 2, 1, 16, {"(x > 1)": 1}) + LoadReport(3, 3, 3, 24, {"(x > 1)": 0})
    >>> report.rows_listed, report.rows_kept, report.rows_filtered
    (5, 4, {'(x > 1)': 1})
    """

    rows_listed: int = 0
    rows_read: int = 0
    rows_kept: int = 0
    bytes_read: int = 0
    rows_filtered: Mapping[str, int] = field(default_factory=dict)
    rows_without_key: Mapping[str, int] = field(default_factory=dict)
    on_host: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: "LoadReport") -> "LoadReport":
        return LoadReport(
            self.rows_listed + other.rows_listed,
            self.rows_read + other.rows_read,
            self.rows_kept + other.rows_kept,
            self.bytes_read + other.bytes_read,
            added(self.rows_filtered, other.rows_filtered),
            added(self.rows_without_key, other.rows_without_key),
            {**self.on_host, **other.on_host},
        )


def added(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """Counts by name, those of both.

    >>> added({"a": 1}, {"a": 2, "b": 3})
    {'a': 3, 'b': 3}
    """
    return {name: left.get(name, 0) + right.get(name, 0) for name in dict.fromkeys([*left, *right])}


@dataclass(frozen=True, slots=True)
class Reading:
    """A partition's rows as read: `frame` lacks the rows that a reader's statistics ruled out."""

    frame: Frame
    bytes_read: int


@dataclass(frozen=True, eq=False)
class Partition(ABC):
    """A stretch of a source's rows; knows how to read them, holds none of them (unless they are in memory).

    Attributes:
        first_row: position of its first row in the whole source: the identity of rows.
        n_rows: its rows, before any filter.
        n_bytes: its size decoded, as far as metadata tell.
    """

    first_row: int
    n_rows: int
    n_bytes: int

    @abstractmethod
    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        """The named columns. Rows that cannot satisfy every comparison in `where` may be left out."""

    @abstractmethod
    def column_bytes(self, columns: Sequence[str]) -> int:
        """Bytes of the named columns, decoded, as far as metadata tell."""

    def stored_bytes(self, columns: Sequence[str]) -> int:
        """Bytes of the named columns as they are stored, which reading them reads; as far as metadata tell."""
        return self.column_bytes(columns)

    def load(self, columns: Sequence[str]) -> Frame:
        """The named columns of all rows, in order, as a frame."""
        return self.read(columns).frame

    def row_ids(self) -> Values:
        """The position of each row in the whole source, uint64."""
        return np.arange(self.first_row, self.first_row + self.n_rows, dtype=np.uint64)

    def origin(self) -> tuple[Any, int] | None:
        """What holds its rows, a ListedFile or Memory, and which row of that is its first; None where not known."""
        return None

    def place(self, position: int | None) -> Place:
        """Where the row at a position in the whole source stands (None: whatever holds for all of its rows)."""
        return Place(row=position)

    def named(self, number: int, count: int) -> str:
        """What a message calls it, the `number`-th from 0 of `count`: its file and row group, and how large it is."""
        place = self.place(None)
        parts = [place.file, None if place.row_group is None else f"row group {place.row_group}"]
        where = "".join(f", {part}" for part in parts if part is not None)
        size = f"{counted(self.n_rows, 'row')}, {self.n_bytes:,} bytes decoded"
        return f"partition {number + 1:,} of {count:,}{where} ({size})"

    @contextmanager
    def placed(self, frame: Frame | None = None) -> Iterator[None]:
        """Errors of data inside name the file, and row group and row where they speak of a row of `frame`."""
        try:
            yield
        except DataError as error:
            if frame is not None:
                learn_position(error, frame.positions)
            put(error, self.place(error.position))
            raise


@dataclass(frozen=True, eq=False)
class Listing:
    """What a reader found out without reading rows.

    Attributes:
        schema: the columns that can be used; nullable where metadata do not rule nulls out.
        partitions: recipes, in row order.
        refused: columns that cannot be used, with the reason.
        label: where the rows come from, for messages.
        notes: why columns have the types they have, where someone who asks for another may wonder.
    """

    schema: Schema
    partitions: tuple[Partition, ...]
    refused: Mapping[str, str]
    label: str
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows listed, before any filter."""
        return sum(partition.n_rows for partition in self.partitions)

    def partition(self, number: int) -> Partition:
        """The recipe of that number.

        Raises:
            ParameterError: there is none.
        """
        if not isinstance(number, int) or not 0 <= number < len(self.partitions):
            there = counted(len(self.partitions), "partition")
            raise ParameterError(f"There is no partition {number!r}: {self.label} is {there}, numbered from 0.")
        return self.partitions[number]


def frame_of(
    table: pa.Table | None,
    columns: Sequence[str],
    row_ids: Values,
    types: Mapping[str, Field] | None = None,
    ready: Mapping[str, Column] | None = None,
) -> Frame:
    """A frame of the named columns of an Arrow table, in the types that the source has them in (None: as they are).

    Errors know the position of the row that they name.

    Args:
        ready: columns that are not to be taken from the table, which is None where these are all.

    >>> frame_of(pa.table({"a": [1, 2]}), ["a"], np.arange(2, dtype=np.uint64)).n_rows
    2
    """
    with positioned(row_ids):
        found = dict(ready or {})
        if table is not None:
            found |= {name: to_column(table.column(name), None, name) for name in columns if name not in found}
        found = {name: found[name] for name in columns}
        if types is not None:
            found = {name: conform(name, column, types[name].dtype, OTHERS) for name, column in found.items()}
    return Frame(found, len(row_ids), row_ids)


def same_types(schema: Schema, wanted: Mapping[str, DType]) -> str | None:
    """The first column whose type differs between a schema and what is wanted, in words; None if none does.

    >>> from gpupipe.schema import Int64, String
    >>> same_types(Schema({"a": Int64}), {"a": String})
    "column 'a' is Int64, not String"
    """
    for name, dtype in wanted.items():
        if name not in schema:
            return f"column {name!r} ({dtype}) is missing"
        if schema[name].dtype != dtype:
            return f"column {name!r} is {schema[name].dtype}, not {dtype}"
    return None
