"""Rows from a program or a request as a frame: a dict of values or of lists, a list of dicts, an Arrow table."""

import datetime as dt
from array import array as packed
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.arrow_arrays import filled, values_of
from gpupipe.backends.alike import alike, same_type
from gpupipe.backends.conform import conform
from gpupipe.columns import Column, Frame
from gpupipe.errors import DuplicateNameError, ParameterError, SchemaMismatchError
from gpupipe.schema import Boolean, DType, Field, Float64, Int64, Null, Schema, String, UInt64, require_columns

_EPOCH = dt.datetime(1970, 1, 1)


def frame_of_rows(rows: Any, schema: Schema, columns: Sequence[str]) -> Frame:
    """The frame of `rows`, with the named columns in the schema's types; others are ignored.

    Raises:
        ColumnNotFoundError: a column is missing.
        SchemaMismatchError: a value is not of its column's type.
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
        _refuse_twins(rows.schema.names, columns)
        rows = {name: rows.column(at) for at, name in enumerate(rows.schema.names)}
    if isinstance(rows, Mapping):
        _require(rows, columns)
        chosen = {name: rows[name] for name in columns}
        return {name: values if _is_list(values) else [values] for name, values in chosen.items()}
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        for row in rows:
            _require(row, columns)
        return {name: [row[name] for row in rows] for name in columns}
    raise ParameterError(f"Rows are a dict, a list of dicts, or an Arrow table, not {type(rows).__name__}.")


def _refuse_twins(names: Sequence[str], columns: Sequence[str]) -> None:
    if len(set(names)) == len(names):
        return
    for name in columns:
        if (times := names.count(name)) > 1:
            raise DuplicateNameError(f"{times} columns are named {name!r}. Rename all but one.")


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
    for name in columns:  # a loop, as there is one for each row
        if name not in row:
            require_columns(columns, [str(key) for key in row], "which the features need")


def column_of(name: str, values: Any, field: Field) -> Column:
    """Values of one column in the type the pipeline was fitted on; None is null, and so is NaN unless from Arrow.

    Raises:
        SchemaMismatchError: a value of another type, or one that the type cannot hold.
    """
    try:
        if type(values) is list and len(values) == 1 and (one := _single(values[0], field.dtype)) is not None:
            return one
        arrow = isinstance(values, pa.Array | pa.ChunkedArray)
        if arrow and (times := _times(values, field.dtype)) is not None:
            return times
        if arrow and (same := same_type(values, field.dtype)) is not None:
            return same
        plain = _objects(values) if arrow else _listed(values)
        column = alike(plain, field.dtype) or _natural(plain, field.dtype)
    except SchemaMismatchError as error:
        raise error.at(column=name) from None
    except _UNFIT as error:
        raise _refusal(name, values, field.dtype, error) from error
    if not arrow and column.dtype.is_float:
        _refuse_rounded(name, values, column)
        column = _nan_as_null(column)
    return conform(name, column, field.dtype)


_UNFIT = (TypeError, ValueError, OverflowError, AttributeError)
_EXACT = 2.0**53  # below, a Float64 holds every whole number
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def _refuse_rounded(name: str, values: Any, column: Column) -> None:
    """NumPy makes a float of a whole number that stands beside fractions or NaN: of a large one, another number."""
    for row in np.flatnonzero(np.abs(column.values) >= _EXACT).tolist():
        value = values[row]
        if isinstance(value, int | np.integer) and int(column.values[row]) != value:
            raise SchemaMismatchError(
                f"it was given the whole number {value} beside fractions or NaN, and a Float64 does not hold it "
                "exactly. Give numbers of one type, and None for a null."
            ).at(row, name)


def _refusal(name: str, values: Any, dtype: DType, error: Exception) -> SchemaMismatchError:
    """The error of the first value that is not of the type, by its row."""
    arrow = isinstance(values, pa.Array | pa.ChunkedArray)
    if arrow and pa.types.is_temporal(values.type):  # which Python may not have; and they are all of one type
        return SchemaMismatchError(f"it was {dtype} in the fit; {error}").at(column=name)
    for row, value in enumerate(_objects(values) if arrow else values):
        try:
            _natural([value], dtype)
        except _UNFIT as own:
            why = f"it was given {value!r}." if isinstance(own, AttributeError) else str(own)
            return SchemaMismatchError(f"it was {dtype} in the fit; {why}").at(row, name)
    return SchemaMismatchError(f"it was {dtype} in the fit; {error}").at(column=name)


def _single(value: Any, dtype: DType) -> Column | None:
    """The column of one value in its own type, as most are in a request; None leaves it to the general way."""
    if type(value) is float and value == value and (dtype == Float64 or _fits_float32(value, dtype)):
        return Column(dtype, np.array([value], dtype.storage))
    if type(value) is str and dtype == String:
        return Column(String, _text([value]))
    return None


def _fits_float32(value: float, dtype: DType) -> bool:
    return dtype.is_float and abs(value) <= _FLOAT32_MAX


_TIMES = {"Date": pa.types.is_date, "Datetime": pa.types.is_timestamp, "Duration": pa.types.is_duration}


def _times(values: Any, dtype: DType) -> Column | None:
    """Times straight from Arrow, which has days that Python's calendar lacks; None leaves others to the general way."""
    kind = values.type
    if not dtype.is_temporal or not _TIMES[dtype.name](kind):
        return None
    zone = kind.tz if dtype.name == "Datetime" else None
    if (zone is None) != (dtype.time_zone is None):
        raise ValueError(f"it has {'no' if zone is None else 'a'} time zone here.")
    unit = {"Date": pa.date32(), "Datetime": pa.timestamp("us", zone), "Duration": pa.duration("us")}[dtype.name]
    whole = values.cast(unit).cast(pa.int32() if dtype.name == "Date" else pa.int64())
    valid = None if whole.null_count == 0 else values_of(whole.is_valid())
    return Column(dtype, values_of(filled(whole)), valid)


def _listed(values: Any) -> Any:
    """An array of objects is a list of them, which NumPy then gives a type."""
    return list(values) if isinstance(values, np.ndarray) and values.dtype == object else values


def _objects(values: Any) -> Any:
    """The values as Python has them; decimals as the floats that they are to us."""
    return (values.cast(pa.float64()) if pa.types.is_decimal(values.type) else values).to_pylist()


def _natural(values: Any, wanted: DType) -> Column:
    """A column of the type that the values are of themselves."""
    missing = list(map(_is_no_time, values)) if wanted.is_temporal else [value is None for value in values]
    valid = ~np.array(missing) if any(missing) else None
    if valid is not None and not valid.any():
        return Column(Null, np.zeros(len(missing), bool), valid)
    if wanted == String:
        return Column(String, _text(values), valid)
    if wanted.is_temporal:
        return Column(wanted, _ticks(values, wanted), valid)
    kept = values if valid is None else [0 if value is None else value for value in values]
    array = np.array(kept)
    kind = _KINDS.get(array.dtype.kind)
    if kind is None or array.ndim != 1:
        raise TypeError(f"it was given {next(value for value in values if value is not None)!r}.")
    return Column(kind, array.astype(kind.storage, copy=False), valid)


_KINDS = {"b": Boolean, "i": Int64, "u": UInt64, "f": Float64}


def _nan_as_null(column: Column) -> Column:
    missing = np.isnan(column.values)
    if not missing.any():
        return column
    return Column(column.dtype, column.values, ~missing if column.valid is None else column.valid & ~missing)


_UNITS = {"Date": "datetime64[D]", "Datetime": "datetime64[us]", "Duration": "timedelta64[us]"}


def _ticks(values: Any, dtype: DType) -> Any:
    zero = dt.timedelta() if dtype.name == "Duration" else _EPOCH
    checked = [zero if _is_no_time(value) else _checked_time(value, dtype) for value in values]
    return np.array(checked, _UNITS[dtype.name]).astype(np.int64).astype(dtype.storage)


def _is_no_time(value: Any) -> bool:
    return value is None or (isinstance(value, np.datetime64 | np.timedelta64) and bool(np.isnat(value)))


def _checked_time(value: Any, dtype: DType) -> Any:
    wanted = {"Date": dt.date, "Datetime": dt.datetime, "Duration": dt.timedelta}[dtype.name]
    if isinstance(value, np.datetime64 | np.timedelta64):
        return _exact_time(value, dtype)
    if type(value) is not wanted:
        raise TypeError(f"it was given {value!r}.{_read_from(value, dtype)}")
    if not isinstance(value, dt.datetime):
        return value
    if (value.tzinfo is None) != (dtype.time_zone is None):
        raise ValueError(f"{value!r} has {'no' if value.tzinfo is None else 'a'} time zone.")
    return value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)


def _read_from(value: Any, dtype: DType) -> str:
    """What makes a time of text, as JSON has it: a program's rows hold times, and text is read in files alone."""
    name = {"Date": "date", "Datetime": "datetime"}.get(dtype.name)
    if name is None or not isinstance(value, str):
        return ""
    try:
        getattr(dt, name).fromisoformat(value)
    except ValueError:
        return ""
    return f" Give datetime.{name}.fromisoformat({value!r})."


def _exact_time(value: Any, dtype: DType) -> Any:
    """NumPy's time in our unit; it has no time zone, and its own unit may be finer or reach further."""
    unit = np.dtype(_UNITS[dtype.name])
    if value.dtype.kind != unit.kind:
        raise TypeError(f"it was given {value!r}.")
    if dtype.name == "Datetime" and dtype.time_zone is not None:
        raise ValueError(f"{value!r} has no time zone.")
    found = value.astype(unit)
    if found.astype(value.dtype) != value or (dtype.name == "Date" and not -(2**31) <= found.astype(np.int64) < 2**31):
        raise ValueError(f"{value!r} is finer than {dtype} counts, or out of its range.")
    return found


def _text(values: Any) -> Any:
    """An Arrow array of strings, built from its buffers: for a row this is quicker than Arrow's own conversion."""
    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = packed("i", accumulate(map(len, encoded), initial=0))
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))
