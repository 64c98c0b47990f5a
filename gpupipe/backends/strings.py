"""Text columns as Arrow arrays: a function of strings runs once for each distinct value that some row uses."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe import optional
from gpupipe.arrow_arrays import array_of, filled, null_of, text_of, values_of
from gpupipe.backends import compiled
from gpupipe.columns import Column, Values
from gpupipe.kernels.reference import entries as reference
from gpupipe.schema import Boolean, DType, Null, String

Strings = Any  # a pa.StringArray
_TAKEN = (np.dtype(np.int32), np.dtype(np.int64))  # what the compiled form takes


def decoded(column: Column) -> Strings:
    """The plain strings, one a row; null where and only where the column is."""
    strings = column.values.dictionary_decode() if column.is_dictionary else column.values
    if column.valid is None or strings.null_count == column.null_count:
        return strings
    return pc.if_else(array_of(column.valid), strings, null_of(pa.string()))


def entry_ids(column: Column) -> Values:
    """int32, the entry of each row of a dictionary; under a null arbitrary. Arrow's own memory, not copied."""
    indices = column.values.indices
    _, data = indices.buffers()
    return np.frombuffer(data, np.int32, len(indices), 4 * indices.offset) if len(indices) else np.zeros(0, np.int32)


def of_entries(entries: Values, column: Column) -> Values:
    """What stands in `entries`, of which there is at least one, for the entry of each row; under a null arbitrary."""
    ids = entry_ids(column)
    found: Values = (entries_for(len(ids)) if entries.dtype in _TAKEN else reference).taken(entries, ids)
    return found


def text_column(strings: Strings) -> Column:
    """The column of an Arrow array of strings."""
    plain = strings.combine_chunks() if isinstance(strings, pa.ChunkedArray) else strings
    valid = values_of(plain.is_valid()) if plain.null_count else None
    return Column(String, plain, valid)


def distinct(column: Column) -> tuple[Strings, Values | None]:
    """(strings to work on, row -> their position or None where they are one a row).

    A dictionary gives its entries that rows use; plain strings are taken as they are.
    """
    if not column.is_dictionary:
        return column.values, None
    ids, entries = entry_ids(column), len(column.values.dictionary)
    if entries == 0:
        return text_of(""), np.zeros(len(ids), np.int64)
    used = rows_of_entries(column) > 0
    if used.all():
        return column.values.dictionary, np.clip(ids, 0, entries - 1).astype(np.int64)
    place = np.maximum(np.cumsum(used) - 1, 0)
    strings = column.values.dictionary.take(array_of(np.flatnonzero(used)))
    if len(strings) == 0:
        strings = text_of("")
    return strings, place.take(ids, mode="clip")


def rows_of_entries(column: Column) -> Values:
    """int64, how many rows have each entry of a dictionary; nulls count for none."""
    ids = entry_ids(column)
    found: Values = entries_for(len(ids)).counted(ids, column.valid, len(column.values.dictionary))
    return found


def used_entries(column: Column) -> tuple[Values, Values]:
    """(int32, the entries of a dictionary that rows use, ascending; int64, how many rows); nulls count for none."""
    ids = entry_ids(column)
    found: tuple[Values, Values] = entries_for(len(ids)).used(ids, column.valid, len(column.values.dictionary))
    return found


def entries_for(n_rows: int) -> ModuleType:
    """The form of the kernels of dictionaries that is worth its start for so many rows; both give the same."""
    return optional.load("gpupipe.kernels.cpu.entries") if compiled.worth(n_rows) else reference


def as_text(column: Column) -> Column:
    """The column as one of text: that of nothing but nulls, of no type, is one of any type."""
    if column.dtype != Null:
        return column
    return Column(String, pa.nulls(len(column), pa.string()), np.zeros(len(column), bool))


def over_strings(column: Column, dtype: DType, function: Callable[[Strings], Any]) -> Column:
    """`function` (strings to an Arrow or NumPy array of equal length) over each distinct string; null stays null."""
    column = as_text(column)
    strings, place = distinct(column)
    result = function(strings)
    if dtype == String:
        texts = result if place is None else result.take(array_of(place))
        return Column(String, texts, column.valid)
    values, valid = _numbers(result, dtype)
    if place is not None:
        values = values[..., place]
        valid = None if valid is None else valid[place]
    return Column(dtype, values, _both(column.valid, valid))


def _numbers(result: Any, dtype: DType) -> tuple[Values, Values | None]:
    if isinstance(result, np.ndarray):
        return result, None
    array = result.combine_chunks() if isinstance(result, pa.ChunkedArray) else result
    valid = values_of(array.is_valid()) if array.null_count else None
    if dtype.is_temporal:
        array = array.cast(pa.int32() if dtype.name == "Date" else pa.int64())
    return values_of(filled(array)).astype(dtype.storage, copy=False), valid


def _both(a: Values | None, b: Values | None) -> Values | None:
    if a is None or b is None:
        return b if a is None else a
    return a & b


_COMPARE = {
    "eq": pc.equal,
    "ne": pc.not_equal,
    "lt": pc.less,
    "le": pc.less_equal,
    "gt": pc.greater,
    "ge": pc.greater_equal,
}
_MIRROR = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def compare(op: str, left: Column, right: Column) -> Column:
    """Text compared by its UTF-8 bytes."""
    if len(right) == 1 and right.null_count == 0:
        constant = decoded(right)[0]
        return over_strings(left, Boolean, lambda strings: _COMPARE[op](strings, constant))
    if len(left) == 1 and left.null_count == 0:
        return compare(_MIRROR.get(op, op), right, left)
    result = _COMPARE[op](*_broadcast([left, right]))
    values, valid = _numbers(result, Boolean)
    return Column(Boolean, values, valid)


def _broadcast(columns: list[Column], beside: int = 1) -> list[Any]:
    """Plain strings, those of one row as scalars where another column, or what stands `beside` them, has not one."""
    size = next((len(column) for column in columns if len(column) != 1), beside)
    return [decoded(c)[0] if len(c) == 1 and size != 1 else decoded(c) for c in columns]


def select(condition: Column, then: Column, otherwise: Column) -> Column:
    """`then` where the condition holds, else (a null condition too) `otherwise`."""
    values = np.asarray(condition.values, bool)  # a condition of no type counts none
    holds = values if condition.valid is None else values & condition.valid
    texts = _broadcast([then, otherwise], len(holds))
    if len(holds) == 1:
        chosen = then if holds[0] else otherwise
        return text_column(decoded(chosen))
    return text_column(pc.if_else(array_of(holds), *texts))


def coalesce(first: Column, second: Column) -> Column:
    """The first where it is not null, else the second."""
    if first.valid is None:
        return first
    return text_column(pc.coalesce(*_broadcast([first, second])))


def as_length(column: Column, size: int) -> Column:
    """A one-row text column repeated to `size` rows."""
    if len(column) == size:
        return column
    indices = array_of(np.zeros(size, np.int32))
    valid = None if column.valid is None else np.broadcast_to(column.valid, size)
    return Column(String, pa.DictionaryArray.from_arrays(indices, filled(decoded(column))), valid)
