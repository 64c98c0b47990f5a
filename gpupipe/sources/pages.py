"""Columns of a Parquet file decoded by kernels of ours: flat numbers, times and text, a column at a time.

Arrow's reader stays the judge: of a column that is not decoded here, because its pages are of another kind or damaged,
nothing is given, and it is Arrow's to read or to refuse.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe import pool
from gpupipe.backends.run_texts import RunTexts, texts_of
from gpupipe.columns import Column, Values
from gpupipe.kernels.cpu import page_values as values
from gpupipe.schema import DType
from gpupipe.sources.border import distinct_text, normalise_type, plain_text
from gpupipe.sources.chunks import OF_DICTIONARY, Chunk, Pages, decompressed, read_chunk
from gpupipe.sources.page_text import Numbered, OfRun, is_numbered, plain_strings
from gpupipe.sources.values import fixed_width

_NUMBERS: dict[str, tuple[pa.DataType, ...]] = {
    "INT32": (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32(), pa.date32()),
    "INT64": (pa.int64(), pa.uint64()),
    "FLOAT": (pa.float32(),),
    "DOUBLE": (pa.float64(),),
    "BOOLEAN": (pa.bool_(),),
}
_STORED = {"INT32": np.int32, "INT64": np.int64, "FLOAT": np.float32, "DOUBLE": np.float64, "BOOLEAN": np.bool_}
_UNITS = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


@dataclass(frozen=True, slots=True)
class _Described:
    """A column to decode: its name, Arrow's type of it, Parquet's, whether it may be null, and its chunks."""

    name: str
    arrow: pa.DataType
    physical: str
    optional: bool
    chunks: tuple[Chunk, ...]

    @property
    def n_rows(self) -> int:
        return sum(chunk.n_rows for chunk in self.chunks)


def decoded(
    file: BinaryIO, metadata: pq.FileMetaData, groups: Sequence[int], columns: Mapping[str, int]
) -> Iterator[tuple[str, Column]]:
    """Those of the named columns that can be decoded here, over the rows of some row groups.

    Args:
        file: open for reading, without a buffer.
        columns: the place of each among the leaves of the file.

    Raises:
        CastError: a value that is none of ours: text that is not UTF-8, a time finer than a microsecond.
    """
    arrow, size = metadata.schema.to_arrow_schema(), file.seek(0, io.SEEK_END)
    space = pool.buffer(1)
    for name, at in _in_turn(columns, groups):
        found = _described(name, arrow.field(name).type, metadata, groups, at)
        if found is None or any(chunk.begin + chunk.stored > size for chunk in found.chunks):
            continue
        most = max(chunk.stored for chunk in found.chunks)
        space = space if most <= space.size else pool.buffer(most)
        column = _text(file, found, space) if found.physical == "BYTE_ARRAY" else _numbers(file, found, space)
        if column is not None:
            yield name, column


def _in_turn(columns: Mapping[str, int], groups: Sequence[int]) -> list[tuple[str, int]]:
    """The columns from the other end for every other row group: two that are read at a time seldom wait for each other
    where a run numbers strings."""
    return list(columns.items())[:: -1 if groups[0] % 2 else 1]


# -- what can be decoded here ---------------------------------------------------------------------------------
def _described(
    name: str, arrow: pa.DataType, metadata: pq.FileMetaData, groups: Sequence[int], at: int
) -> _Described | None:
    leaf = metadata.schema.column(at)
    optional = leaf.max_definition_level == 1
    if leaf.max_repetition_level or leaf.max_definition_level > 1 or not _is_ours(leaf, arrow):
        return None
    chunks = []
    for group in map(metadata.row_group, groups):
        chunk = Chunk.of(group.column(at), group.num_rows, optional)
        if chunk is None:
            return None
        chunks.append(chunk)
    return _Described(name, arrow, leaf.physical_type, optional, tuple(chunks)) if chunks else None


def _is_ours(leaf: Any, arrow: pa.DataType) -> bool:
    logical = leaf.logical_type
    if leaf.physical_type == "BYTE_ARRAY":
        plain = arrow.value_type if pa.types.is_dictionary(arrow) else arrow
        return logical.type == "STRING" and plain in (pa.string(), pa.large_string(), pa.string_view())
    if pa.types.is_timestamp(arrow):
        unit = _UNITS.get(arrow.unit)
        stored = leaf.physical_type == "INT64" and logical.type == "TIMESTAMP"
        return stored and unit is not None and unit in logical.to_json()
    return arrow in _NUMBERS.get(leaf.physical_type, ())


# -- numbers --------------------------------------------------------------------------------------------------
def _numbers(file: BinaryIO, column: _Described, space: Any) -> Column | None:
    is_bool = column.physical == "BOOLEAN"
    new = pool.column if column.physical == "FLOAT" else pool.empty  # which is kept as it is
    out, valid = new(column.n_rows, _STORED[column.physical]), pool.empty(column.n_rows, np.bool_)
    state = np.zeros(2, np.int64)
    encodings = (values.PLAIN, values.RLE) if is_bool else (values.PLAIN, *OF_DICTIONARY)
    for chunk in column.chunks:
        found = _pages(file, chunk, space, encodings)
        if found is None or not _decode(found, column.optional, is_bool, out, valid, state):
            return None
    mask = valid if state[values.SOME_NULL] else None
    dtype = normalise_type(column.arrow)
    return Column(dtype, _in_our_units(out, column, dtype, mask), mask)


def _decode(found: Pages, optional: bool, is_bool: bool, out: Values, valid: Values, state: Values) -> bool:
    scratch = pool.empty(found.most_rows, np.uint32)
    if is_bool:
        return values.booleans(found.places, optional, out, valid, state, scratch)
    entries: Values | int = 0
    if found.entries is not None:
        held, count = found.entries
        if count * out.itemsize > held.size:
            return False
        entries = np.frombuffer(held, out.dtype, count)
    return values.numbers(found.places, optional, entries, out, valid, state, scratch)


def _in_our_units(out: Values, column: _Described, dtype: DType, valid: Values | None) -> Values:
    if column.physical == "BOOLEAN":
        return out
    width = column.arrow.bit_width // 8
    whole = out if out.itemsize == width else out.astype(f"i{width}")
    array = pa.Array.from_buffers(column.arrow, len(whole), [None, pa.py_buffer(whole)])
    return fixed_width(array, dtype.storage, valid, column.name)


def _pages(file: BinaryIO, chunk: Chunk, space: Any, encodings: Sequence[int]) -> Pages | None:
    stored = read_chunk(file, chunk, space)
    return None if stored is None else decompressed(chunk, stored, encodings)


# -- text -----------------------------------------------------------------------------------------------------
def _text(file: BinaryIO, column: _Described, space: Any) -> Column | None:
    """Numbered as long as every page has indices; else, from the first chunk on, a string a row."""
    if (texts := texts_of(column.name)) is not None and (of_run := _of_run(file, column, space, texts)) is not None:
        return of_run
    numbered = Numbered(column.n_rows, column.optional, len(column.chunks) == 1)
    for chunk in column.chunks:
        found = _pages(file, chunk, space, (values.PLAIN, *OF_DICTIONARY))
        if found is None:
            return None
        if not is_numbered(found):
            return _plain_text(file, column, space, found if chunk is column.chunks[0] else None)
        if not numbered.take(found):
            return None
    return distinct_text(numbered.strings(), numbered.numbers.view(np.int32), numbered.valid, column.name)


def _of_run(file: BinaryIO, column: _Described, space: Any, texts: RunTexts) -> Column | None:
    """Numbered as the run does it; None where it does not."""
    taking = OfRun(texts, column.n_rows, column.optional)
    for chunk in column.chunks:
        found = _pages(file, chunk, space, (values.PLAIN, *OF_DICTIONARY))
        if found is None or not taking.take(found):
            return None
    return taking.column()


def _plain_text(file: BinaryIO, column: _Described, space: Any, first: Pages | None) -> Column | None:
    arrays, masks = [], []
    for number, chunk in enumerate(column.chunks):
        ready = first if number == 0 else None
        found = ready or _pages(file, chunk, space, (values.PLAIN, *OF_DICTIONARY))
        taken = None if found is None else plain_strings(found, chunk.n_rows, column.optional)
        if taken is None:
            return None
        arrays.append(taken[0])
        masks.append(taken[1])
    if sum(array.nbytes for array in arrays) >= 2**31:
        return None
    valid = masks[0]
    if len(masks) > 1 and any(mask is not None for mask in masks):
        each = zip(masks, column.chunks, strict=True)
        valid = np.concatenate([np.ones(chunk.n_rows, np.bool_) if mask is None else mask for mask, chunk in each])
    return plain_text(pa.concat_arrays(arrays) if len(arrays) > 1 else arrays[0], valid, column.name)
