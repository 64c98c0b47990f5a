"""Rows from a program or a request as a frame: a dict of values or of lists, a list of dicts, an Arrow table."""

import datetime as dt
from array import array as packed
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.columns import Column, Frame
from gpupipe.errors import ParameterError, SchemaMismatchError, nearest
from gpupipe.schema import DType, Field, Schema, String

_EPOCH = dt.datetime(1970, 1, 1)


def frame_of_rows(rows: Any, schema: Schema, columns: Sequence[str]) -> Frame:
    """The frame of `rows`, with the named columns in the schema's types; others are ignored.

    Raises:
        SchemaMismatchError: a column is missing, or a value is not of its type.
        ParameterError: `rows` is nothing that holds rows.
    """
    lists = _lists(rows, columns)
    sizes = {len(values) for values in lists.values()}
    if len(sizes) > 1:
        raise SchemaMismatchError(f"The columns have different lengths: {sorted(sizes)}.")
    size = sizes.pop() if sizes else _n_rows(rows)
    made = {name: column_of(name, values, schema[name]) for name, values in lists.items()}
    return Frame(made, size, np.arange(size, dtype=np.uint64))


def _lists(rows: Any, columns: Sequence[str]) -> dict[str, Any]:
    if isinstance(rows, pa.Table | pa.RecordBatch):
        rows = {name: rows.column(name) for name in rows.schema.names}
    if isinstance(rows, Mapping):
        _require(rows, columns)
        chosen = {name: rows[name] for name in columns}
        return {name: values if _is_list(values) else [values] for name, values in chosen.items()}
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        for row in rows:
            _require(row, columns)
        return {name: [row[name] for row in rows] for name in columns}
    raise ParameterError(f"Rows are a dict, a list of dicts, or an Arrow table, not {type(rows).__name__}.")


def _n_rows(rows: Any) -> int:
    """How many rows there are where no column is needed, as for features that are one number for all rows."""
    if isinstance(rows, pa.Table | pa.RecordBatch):
        return int(rows.num_rows)
    if isinstance(rows, Mapping):
        return next((len(values) if _is_list(values) else 1 for values in rows.values()), 0)
    return len(rows)


def _is_list(values: Any) -> bool:
    return isinstance(values, list | tuple | np.ndarray | pa.Array | pa.ChunkedArray)


def _require(row: Mapping[str, Any], columns: Sequence[str]) -> None:
    for name in columns:
        if name not in row:
            raise SchemaMismatchError(f"The column {name!r} is missing. {nearest(name, [str(key) for key in row])}")


def column_of(name: str, values: Any, field: Field) -> Column:
    """Values of one column, None for null, in the type the pipeline was fitted on."""
    plain = values.to_pylist() if isinstance(values, pa.Array | pa.ChunkedArray) else values
    missing = [value is None for value in plain]
    valid = ~np.array(missing) if any(missing) else None
    try:
        return Column(field.dtype, _stored(plain, missing if valid is not None else None, field.dtype), valid)
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise SchemaMismatchError(f"The column {name!r} is {field.dtype}; {error}") from error


def _stored(values: Any, missing: list[bool] | None, dtype: DType) -> Any:
    if dtype == String:
        return _text(values)
    filled = values
    if missing is not None:
        filled = [0 if absent else value for value, absent in zip(values, missing, strict=True)]
    if dtype.is_temporal:
        return _ticks(filled, dtype)
    array = np.array(filled)
    if array.dtype.kind not in "bifu" or (dtype.is_integer and array.dtype.kind == "f" and (array % 1 != 0).any()):
        raise ValueError(f"it was given {values[0]!r}.")
    stored = array.astype(dtype.storage)
    if dtype.is_integer and (stored != array).any():
        raise OverflowError(f"a value of {values!r} does not fit.")
    return stored


def _ticks(values: Any, dtype: DType) -> Any:
    zero = dt.timedelta() if dtype.name == "Duration" else _EPOCH
    unit = {"Date": "datetime64[D]", "Datetime": "datetime64[us]", "Duration": "timedelta64[us]"}[dtype.name]
    array = np.array([zero if value == 0 else _in_utc(value, dtype) for value in values], unit)
    return array.astype(np.int64).astype(dtype.storage)


def _in_utc(value: Any, dtype: DType) -> Any:
    if not isinstance(value, dt.datetime):
        return value
    if (value.tzinfo is None) != (dtype.time_zone is None):
        raise ValueError(f"{value!r} has {'no' if value.tzinfo is None else 'a'} time zone.")
    return value.replace(tzinfo=None) if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)


def _text(values: Any) -> Any:
    """An Arrow array of strings, built from its buffers: for a row this is quicker than Arrow's own conversion."""
    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = packed("i", accumulate(map(len, encoded), initial=0))
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))
