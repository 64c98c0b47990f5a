"""Tables in memory: pyarrow, pandas, Polars, dicts of arrays, NumPy arrays, exporters of Arrow streams.

Everything becomes a ``pa.Table`` once, without a copy where the layouts agree; partitions are slices of it.
A float NaN from pandas or NumPy is a missing value and becomes null; from Arrow and Polars it stays NaN.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import array_from
from gpupipe.errors import (
    DuplicateNameError,
    ParameterError,
    SchemaMismatchError,
    ShapeError,
    TypeMismatchError,
    counted,
)
from gpupipe.schema import Field, Schema
from gpupipe.sources.addresses import Memory
from gpupipe.sources.border import refused_columns, schema_of
from gpupipe.sources.from_device import from_device, is_cudf, is_cupy
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of, piece_bytes, slice_bounds


@dataclass(frozen=True, eq=False)
class TablePartition(Partition):
    """A slice of a table in memory, from its row `start` on."""

    table: pa.Table = field(repr=False)
    memory: Memory | None = field(default=None, repr=False)
    start: int = 0

    def origin(self) -> tuple[Memory, int] | None:
        return None if self.memory is None else (self.memory, self.start)

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        return Reading(frame_of(self.table, columns, self.row_ids()), self.column_bytes(columns))

    def column_bytes(self, columns: Sequence[str]) -> int:
        return sum(self.table.column(name).nbytes for name in columns)


def list_table(
    table: pa.Table,
    partitions: int | None,
    partition_bytes: int | None,
    refused: Mapping[str, str],
    memory: Memory | None = None,
) -> Listing:
    """Slices of a table as partitions: exactly `partitions` (never more than rows), or by size.

    >>> [p.n_rows for p in list_table(pa.table({"a": [1, 2, 3]}), 2, 0, {}).partitions]
    [2, 1]
    """
    schema = with_nulls_seen(schema_of(table.schema), table)
    wanted = partitions or -(-table.nbytes // piece_bytes(table.nbytes, None, partition_bytes))
    bounds = slice_bounds(table.num_rows, max(1, min(wanted, table.num_rows)))
    parts = tuple(_slice(table, first, last, memory) for first, last in bounds)
    if memory is not None:
        memory.held_by([part.table for part in parts])
    return Listing(
        schema,
        parts,
        {**refused_columns(table.schema), **refused},
        f"a table in memory of {counted(table.num_rows, 'row')}",
    )


def _slice(table: pa.Table, first: int, last: int, memory: Memory | None) -> TablePartition:
    part = table.slice(first, last - first)
    return TablePartition(first, last - first, part.nbytes, part, memory, first)


def with_nulls_seen(schema: Schema, table: pa.Table) -> Schema:
    """The schema with `nullable` as it truly is in `table`.

    >>> with_nulls_seen(schema_of(pa.schema([("a", pa.int8())])), pa.table({"a": [1]}))
    Schema(a: Int8)
    """
    return Schema((name, Field(field.dtype, has_nulls(table.column(name)))) for name, field in schema.items())


def has_nulls(column: pa.ChunkedArray) -> bool:
    """Whether any row is null, counting nulls that stand inside a dictionary.

    >>> has_nulls(pa.chunked_array([[1, None]]))
    True
    """
    inside = (chunk.dictionary for chunk in column.chunks if isinstance(chunk, pa.DictionaryArray))
    return bool(column.null_count) or any(array.null_count for array in inside) or column.type == pa.null()


# -- one table out of anything ----------------------------------------------------------------------------
def table_of(data: Any) -> tuple[pa.Table, dict[str, str]]:
    """An Arrow table of `data`, and the columns that could not be converted, with the reason.

    Raises:
        TypeMismatchError: `data` is nothing a table can be made of, or sparse.
        ShapeError: an array that has not two dimensions, or no column.
        ParameterError: an array of complex numbers.
        SchemaMismatchError: columns of different lengths.
        DuplicateNameError: two columns have one name.

    >>> table_of(np.array([[1.0, np.nan]]))[0].to_pydict()
    {'x0': [1.0], 'x1': [None]}
    """
    if isinstance(data := from_device(data), pa.Table):
        return data, {}
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data]), {}
    if isinstance(data, np.ndarray):
        return _from_arrays(array_columns(data))
    if _is_sparse(data):
        raise unreadable(data)
    if isinstance(data, Mapping):
        return _from_arrays(distinct((str(name), values) for name, values in data.items()))
    if _is_from(data, "pandas") and hasattr(data, "columns"):
        return _from_arrays(distinct((str(label), data.iloc[:, at]) for at, label in enumerate(data.columns)))
    table = _from_stream(data) if hasattr(data, "__arrow_c_stream__") else None
    if table is not None:
        return table, {}
    if has_no_names(data):
        return _from_arrays(array_columns(as_array(data)))
    raise unreadable(data)


_OF_ROWS = (list, tuple, np.ndarray, np.generic, bool, int, float)


def has_no_names(data: Any) -> bool:
    """Whether rows come as an array does, in columns that are told apart by their places alone.

    >>> has_no_names(np.zeros((2, 2))), has_no_names([[1, 2]]), has_no_names({"a": [1]}), has_no_names([{"a": 1}])
    (True, True, False, False)
    """
    if isinstance(data, np.ndarray):
        return data.dtype.names is None
    if isinstance(data, list | tuple):
        return bool(data) and all(isinstance(row, _OF_ROWS) for row in data)
    return hasattr(data, "__array__") and not (hasattr(data, "columns") or hasattr(data, "__arrow_c_stream__"))


def as_array(data: Any) -> np.ndarray[Any, Any]:
    """The array of data that have no names.

    Raises:
        ShapeError: rows of several lengths.
        TypeMismatchError: a single column of cuDF.

    >>> as_array([[1, "a"], [2, "b"]])[:, 0].tolist()
    [1, 2]
    """
    if is_cupy(data):
        return data  # where it is
    if is_cudf(data):
        raise unreadable(data)
    try:
        array = np.asarray(data)
        return np.asarray(data, dtype=object) if array.dtype.kind in "US" else array  # a number beside text stays one
    except ValueError as error:
        raise ShapeError(f"These rows are no table, as they are not of one length: {error}.") from error


def _is_sparse(data: Any) -> bool:
    return type(data).__module__.startswith("scipy.sparse")


def unreadable(data: Any) -> TypeMismatchError:
    """The error for what no table can be made of."""
    sparse = f": Sparse data (here of shape {data.shape}) are not supported" if _is_sparse(data) else ""
    return TypeMismatchError(
        f"scan cannot read a {type(data).__module__}.{type(data).__qualname__}{sparse}. It takes a path, a glob, "
        "a folder, a list of paths, a Source, a pyarrow, pandas, Polars or cuDF table, a dict of arrays, or an array "
        "of NumPy or CuPy. "
        "(Of a Polars LazyFrame, give .collect(); of a single column, {'name': column}; of a sparse matrix, "
        ".toarray(); of rows as dicts, pyarrow.Table.from_pylist(rows).)"
    )


def _from_stream(data: Any) -> pa.Table | None:
    """The table an Arrow stream holds; None for a stream of a single column."""
    try:
        return pa.RecordBatchReader.from_stream(data).read_all()
    except pa.ArrowInvalid:
        return None


def _is_from(data: Any, package: str) -> bool:
    """Whether the type comes from `package`, found without importing it."""
    return type(data).__module__.partition(".")[0] == package


def distinct(pairs: Any) -> dict[str, Any]:
    """The columns by name, of which no two are the same."""
    named: dict[str, Any] = {}
    for name, values in pairs:
        if name in named:
            raise DuplicateNameError(f"Two columns are named {name!r}. Rename one of them at the source.")
        named[name] = values
    return named


def array_columns(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """An array's columns, not copied: x0, x1, …"""
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim != 2:
        raise ShapeError(
            f"An array of shape {array.shape} is no table: it takes rows and columns. Reshape your data: "
            ".reshape(-1, 1) if it is one column, .reshape(1, -1) if one row; or for one column write {'name': array}."
        )
    if not array.shape[1]:
        raise ShapeError(f"The array has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    if array.dtype.kind == "c":
        raise ParameterError(
            f"Complex data not supported: the array is {array.dtype}. Give .real and .imag as columns."
        )
    return {f"x{at}": array[:, at] for at in range(array.shape[1])}


def _from_arrays(columns: Mapping[str, Any]) -> tuple[pa.Table, dict[str, str]]:
    arrays: dict[str, pa.Array | pa.ChunkedArray] = {}
    refused: dict[str, str] = {}
    for name, values in columns.items():
        try:
            arrays[name] = _arrow_array(values)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            reason = str(error).partition("\n")[0]
            refused[name] = f"Column {name!r} cannot be used: its values have no one type Arrow can hold ({reason})."
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise SchemaMismatchError(f"The columns of a table need equal lengths. There are {told}.")
    return pa.table(arrays), refused


def _arrow_array(values: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(values := from_device(values), str | bytes):
        raise TypeError(f"{values!r} is one value; write [{values!r}] for a column of one row")
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if _is_from(values, "polars"):
        return pa.chunked_array(values)
    array = _from_numpy(values) if isinstance(values, np.ndarray) else array_from(values)
    _refuse_changed_times(values, array.type)
    return _nan_to_null(array) if _is_from(values, "pandas") else array


_OBJECTS = np.dtype(object)


def _refuse_changed_times(values: Any, arrow: pa.DataType) -> None:
    """Raise TypeError where Arrow took the type of the first time, and left of others what does not fit."""
    if not pa.types.is_temporal(arrow) or getattr(values, "dtype", _OBJECTS) != _OBJECTS:
        return
    finer = ("nanosecond", "nanoseconds")  # of a Timestamp and of a Timedelta; those of NaT are NaN
    if any(getattr(value, name, 0) > 0 for value in values for name in finer):
        raise TypeError("pandas' times that are finer than a microsecond; round them, or give a Series of their type")
    times = [value for value in values if isinstance(value, dt.datetime) and value == value]
    if times and pa.types.is_date(arrow):
        raise TypeError("dates stand beside times")
    if len({time.tzinfo is None for time in times}) > 1:
        raise TypeError("times with a time zone stand beside times without one")


def _from_numpy(values: np.ndarray[Any, Any]) -> pa.Array | pa.ChunkedArray:
    if values.ndim != 1:
        raise ValueError(f"an array of shape {values.shape}, where a column has one dimension")
    if values.dtype.kind in "Mm" and np.datetime_data(values.dtype)[0] in (
        "h",
        "m",
        "W",
        "M",
        "Y",
        "generic",
    ):
        values = values.astype(f"{values.dtype.kind}8[s]")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return array_from(values)


def _nan_to_null(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """pandas' nullable and Arrow-backed floats keep a NaN through the conversion; it means missing too."""
    if not pa.types.is_floating(array.type) or not pc.any(pc.is_nan(array)).as_py():
        return array
    return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
