"""The border: every Arrow type becomes one of ours here, once, and nowhere else.

Numbers are views of Arrow's memory; bitmaps are unpacked to bool arrays. Values under a null are whatever
Arrow's buffer holds there. What has no place in a table of features (lists, structs, maps)
is refused with a reason.
"""

from collections import Counter
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import array_of, null_of
from gpupipe.columns import Column, Values
from gpupipe.errors import CastError, DuplicateNameError, ParameterError, TypeMismatchError
from gpupipe.schema import (
    Boolean,
    Date,
    Datetime,
    DType,
    Duration,
    Field,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Null,
    Schema,
    String,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)
from gpupipe.sources.utf8 import refuse_bytes, valid_text
from gpupipe.sources.values import fixed_width, validity, view

ArrowArray: TypeAlias = pa.Array | pa.ChunkedArray

_DIRECT: dict[pa.DataType, DType] = {
    pa.null(): Null, pa.bool_(): Boolean,
    pa.int8(): Int8, pa.int16(): Int16, pa.int32(): Int32, pa.int64(): Int64,
    pa.uint8(): UInt8, pa.uint16(): UInt16, pa.uint32(): UInt32, pa.uint64(): UInt64,
    pa.float16(): Float32, pa.float32(): Float32, pa.float64(): Float64,
    pa.date32(): Date, pa.date64(): Date,
    pa.string(): String, pa.large_string(): String, pa.string_view(): String,
    pa.binary(): String, pa.large_binary(): String, pa.binary_view(): String,
}  # fmt: skip
_ARROW: dict[DType, pa.DataType] = {
    Null: pa.null(), Boolean: pa.bool_(),
    Int8: pa.int8(), Int16: pa.int16(), Int32: pa.int32(), Int64: pa.int64(),
    UInt8: pa.uint8(), UInt16: pa.uint16(), UInt32: pa.uint32(), UInt64: pa.uint64(),
    Float32: pa.float32(), Float64: pa.float64(), String: pa.string(),
    Date: pa.date32(), Duration: pa.duration("us"),
}  # fmt: skip


def normalise_type(arrow: pa.DataType) -> DType:
    """Our type for an Arrow type.

    Raises:
        TypeMismatchError: nested values (list, struct, map, union), or another type that is none of ours.

    >>> normalise_type(pa.decimal128(12, 2)), normalise_type(pa.timestamp("ns", "UTC"))
    (Float64, Datetime(UTC))
    """
    if arrow in _DIRECT:
        return _DIRECT[arrow]
    if isinstance(arrow, pa.DictionaryType | pa.RunEndEncodedType):
        return normalise_type(arrow.value_type)
    if isinstance(arrow, pa.BaseExtensionType):
        return normalise_type(arrow.storage_type)
    if pa.types.is_timestamp(arrow):
        return Datetime(arrow.tz or None)
    if pa.types.is_duration(arrow) or pa.types.is_time(arrow):
        return Duration
    if pa.types.is_decimal(arrow):
        return Float64
    if pa.types.is_fixed_size_binary(arrow):
        return String
    raise TypeMismatchError(
        f"Arrow's type {arrow} is not one a feature can be made from. There are numbers, booleans, text, "
        "dates, timestamps and durations. Flatten or convert it at the source, or leave the column unused."
    )


def arrow_type(dtype: DType) -> pa.DataType:
    """The Arrow type :func:`to_arrow` writes for one of ours.

    >>> arrow_type(Date)
    DataType(date32[day])
    """
    return pa.timestamp("us", dtype.time_zone) if dtype.name == "Datetime" else _ARROW[dtype]


def schema_of(arrow: pa.Schema) -> Schema:
    """Our schema for Arrow's: the columns that can be used (see :func:`refused_columns` for the others).

    Raises:
        DuplicateNameError: two columns have one name.

    >>> schema_of(pa.schema([("a", pa.int8()), ("b", pa.list_(pa.int8()))]))
    Schema(a: Int8?)
    """
    for name, times in Counter(arrow.names).items():
        if times > 1:
            raise DuplicateNameError(f"{times} columns are named {name!r}. Rename all but one at the source.")
    refused = refused_columns(arrow)
    return Schema(
        (field.name, Field(normalise_type(field.type), field.nullable)) for field in arrow if field.name not in refused
    )


def refused_columns(arrow: pa.Schema) -> dict[str, str]:
    """Columns whose type is none of ours, with the reason that asking for one raises.

    >>> list(refused_columns(pa.schema([("a", pa.int8()), ("b", pa.list_(pa.int8()))])))
    ['b']
    """
    refused: dict[str, str] = {}
    for field in arrow:
        try:
            normalise_type(field.type)
        except TypeMismatchError as error:
            refused[field.name] = f"Column {field.name!r} cannot be used. {error}"
    return refused


def to_column(array: ArrowArray, dtype: DType | None = None, name: str = "") -> Column:
    """One column from an Arrow array, chunked or not; zero-copy for numbers in one chunk.

    Args:
        array: the values, of any Arrow type that :func:`normalise_type` takes.
        dtype: the type the plan expects; None takes what the array is.
        name: the column's name, for messages.

    Raises:
        TypeMismatchError: the array is not of type `dtype`, or of none of ours.
        CastError: a value does not fit: a timestamp finer than a microsecond or outside int64 microseconds, a
            date beyond int32 days, bytes that are not UTF-8, or over 2 GiB of text in one partition.

    >>> to_column(pa.array([True, None])).valid
    array([ True, False])
    """
    found = normalise_type(array.type)
    if dtype is not None and dtype != found:
        raise TypeMismatchError(f"Column {name!r} is {found} (Arrow: {array.type}); the plan wants {dtype}.")
    whole = _in_one(array, name)
    if found == String:
        return _text(valid_text(whole, name))
    valid = validity(whole)
    values = np.zeros(len(whole), np.bool_) if found == Null else fixed_width(whole, found.storage, valid, name)
    if not values.flags.aligned:
        values = values.copy()
    return Column(found, values, np.zeros(len(whole), np.bool_) if found == Null else valid)


def to_arrow(column: Column) -> pa.Array:
    """The Arrow array of a column; nulls are Arrow's, dictionaries stay dictionaries.

    Raises:
        ParameterError: the column is wide (2-D); take its components one by one.

    >>> to_arrow(Column(Int64, np.array([1, 2]), np.array([True, False]))).to_pylist()
    [1, None]
    """
    if column.dtype == Null:
        return pa.nulls(len(column))
    if column.dtype == String:
        return _text_to_arrow(column)
    if column.values.ndim != 1:
        raise ParameterError(f"A column of shape {column.values.shape} is wide; take its components one by one.")
    return array_of(column.values, column.valid, arrow_type(column.dtype))


def _text_to_arrow(column: Column) -> pa.Array:
    if column.valid is None or column.values.null_count == column.null_count:
        return column.values
    return pc.if_else(array_of(column.valid), column.values, null_of(column.values.type))


# -- one array of a plain type ---------------------------------------------------------------------
def _in_one(array: ArrowArray, name: str) -> pa.Array:
    """`array` in one chunk, of a type that has buffers of its own: no view, extension or run-end encoding."""
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    try:
        plain = [_plain(chunk) for chunk in chunks] or [_plain(pa.nulls(0, array.type))]
        if len(plain) == 1:
            return _with_distinct_entries(plain[0])
        if isinstance(plain[0], pa.DictionaryArray):
            return pa.chunked_array(plain).unify_dictionaries().combine_chunks()
        return pa.concat_arrays(plain)
    except (pa.ArrowInvalid, pa.ArrowCapacityError, pa.ArrowIndexError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        if "UTF8" in reason:
            refuse_bytes(array, name)
        damaged = isinstance(error, pa.ArrowIndexError)
        remedy = "Write the data again" if damaged else "If one partition holds 2 GiB of text, lower partition_bytes"
        what = f"it cannot be read as {normalise_type(array.type)}: {reason}"
        raise CastError(f"{what}. {remedy}.").at(column=name) from error


def _plain(array: pa.Array) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        return _plain(array.storage)
    if isinstance(array, pa.RunEndEncodedArray):
        return _plain(pc.run_end_decode(array))
    if isinstance(array, pa.DictionaryArray):
        return _plain_dictionary(array)
    if pa.types.is_fixed_size_binary(array.type) and not pa.types.is_decimal(array.type):
        array = array.cast(pa.binary())
    if normalise_type(array.type) == String and array.type != pa.string():
        return array.cast(pa.string())
    return array


def _plain_dictionary(array: pa.DictionaryArray) -> pa.Array:
    """A dictionary of strings, none of them null, with int32 indices; or the values of any other dictionary."""
    values = _plain(array.dictionary)
    taken = pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), values)
    if values.type != pa.string():
        return taken.dictionary_decode()
    return taken.dictionary_decode().dictionary_encode() if values.null_count else taken


def _with_distinct_entries(array: pa.Array) -> pa.Array:
    """The array, its dictionary free of repeats (unifying several chunks frees theirs)."""
    if not isinstance(array, pa.DictionaryArray):
        return array
    entries = array.dictionary
    repeats = pc.count_distinct(entries).as_py() < len(entries)
    return array.dictionary_decode().dictionary_encode() if repeats else array


# -- text ------------------------------------------------------------------------------------------
def distinct_text(entries: pa.StringArray, numbers: Values, valid: Values | None, name: str) -> Column:
    """The column of text that a reader of ours has decoded: for each row the number of its string.

    Args:
        entries: the strings, no two the same.
        numbers: int32, of a null row that of any entry.
        valid: a bool a row; None: no row is null.
        name: the column's name, for messages.

    Raises:
        CastError: a string that a row uses is not UTF-8.

    >>> distinct_text(pa.array(["a", "b"]), np.array([1, 0], np.int32), None, "x").values.to_pylist()
    ['b', 'a']
    """
    bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    indices = pa.Array.from_buffers(pa.int32(), len(numbers), [bits, pa.py_buffer(numbers)])
    array = valid_text(pa.DictionaryArray.from_arrays(indices, entries, safe=False), name)
    if 2 * len(array.dictionary) > len(array) or not len(array.dictionary):
        return Column(String, array.dictionary.take(array.indices), valid)
    return Column(String, array, valid)


def plain_text(strings: pa.StringArray, valid: Values | None, name: str) -> Column:
    """The same of strings a row; null where and only where `valid` says so.

    >>> plain_text(pa.array(["a", None]), np.array([True, False]), "x").null_count
    1
    """
    return Column(String, valid_text(strings, name), valid)


def _text(array: pa.Array) -> Column:
    """Text as Arrow holds it; a dictionary longer than half its rows is more work than its values."""
    valid = validity(array)
    if not isinstance(array, pa.DictionaryArray):
        return Column(String, array, valid)
    if 2 * len(array.dictionary) > len(array) or not len(array.dictionary):
        return Column(String, array.dictionary.take(array.indices), valid)
    return Column(String, array if valid is None else _in_range(array, valid), valid)


def _in_range(array: pa.DictionaryArray, valid: Values) -> pa.DictionaryArray:
    """The array with indices under nulls inside the dictionary, where Arrow leaves them undefined."""
    indices = view(array.indices, np.int32)
    if not ((indices < 0) | (indices >= len(array.dictionary))).any():
        return array
    kept = array_of(np.where(valid, indices, 0).astype(np.int32), valid)
    return pa.DictionaryArray.from_arrays(kept, array.dictionary)
