"""Rows from a program or a request as a frame: a dict of values or of lists, a list of dicts, an Arrow table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.columns import Column, Frame
from gpupipe.errors import ParameterError, SchemaMismatchError, nearest
from gpupipe.schema import DType, Field, Schema, String


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
    size = sizes.pop() if sizes else 0
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
    except (TypeError, ValueError, OverflowError, pa.ArrowInvalid) as error:
        raise SchemaMismatchError(f"The column {name!r} is {field.dtype}; {error}") from error


def _stored(values: Any, missing: list[bool] | None, dtype: DType) -> Any:
    if dtype == String:
        return pa.array(values, pa.string())
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
    kinds = {"Date": pa.date32(), "Datetime": pa.timestamp("us", dtype.time_zone), "Duration": pa.duration("us")}
    array = pa.array([None if value == 0 else value for value in values], kinds[dtype.name])
    wide = array.cast(pa.int32() if dtype.name == "Date" else pa.int64())
    return np.asarray(wide.fill_null(0)).astype(dtype.storage)
