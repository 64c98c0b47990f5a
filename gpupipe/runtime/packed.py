"""Columns in few bytes of a block of memory: numbers of entries as narrow as these are few, validity as bits."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import pool
from gpupipe.backends.run_texts import TextOfRun
from gpupipe.backends.strings import entry_ids
from gpupipe.columns import Column, Values
from gpupipe.schema import DType, Int32

_ALIGNED = 64
_STRINGS = (("ends", np.int32), ("data", np.uint8))
_Part = tuple[str, Values, Any]  # its name, the numbers, the type that they are kept in


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an array stands in a block: its first byte, type and shape."""

    at: int
    storage: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        return self.at + prod(self.shape) * self.storage.itemsize

    def of(self, block: Values) -> Values:
        return block[self.at : self.end].view(self.storage).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Packed:
    """A column that stands in a block.

    Attributes:
        dtype: its logical type; of text of a run that of its strings' numbers.
        storage: the type of its values' array; of text int32.
        n_rows: its rows.
        places: its arrays: ``values`` or, of a dictionary, ``ids``; of strings ``ends`` and ``data``; ``bits`` of
            validity.
        has_nulls: whether its Arrow array says itself which rows are null.
        end: the byte after its last.

    >>> from gpupipe.schema import Int64
    >>> block = np.zeros(200, np.uint8)
    >>> found = packed(Column(Int64, np.array([5, 6]), np.array([True, False])), block, 0)
    >>> found.column(block, stays=True)
    Column(dtype=Int64, values=array([5, 6]), valid=array([ True, False]))
    """

    dtype: DType
    storage: np.dtype[Any]
    n_rows: int
    places: dict[str, _Place]
    has_nulls: bool
    end: int

    def column(self, block: Values, *, stays: bool) -> Column:
        """The column.

        Args:
            stays: whether the block will not be written to, so that what stands there as it is wanted is not copied.
        """
        valid, bits = None, self._found("bits", block)
        if bits is not None:
            valid = np.unpackbits(bits, count=self.n_rows, bitorder="little").view(np.bool_)
        values = self._found("values", block)
        if values is not None:
            return Column(self.dtype, _as(values, self.storage, stays), valid)
        nulls = pa.py_buffer(_as(bits, np.uint8, stays)) if bits is not None and self.has_nulls else None
        return Column(self.dtype, self._text(block, nulls, stays), valid)

    def _text(self, block: Values, nulls: pa.Buffer | None, stays: bool) -> Any:
        ends, data = (_as(self.places[name].of(block), storage, stays) for name, storage in _STRINGS)
        given, ids = (len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(data)), self._found("ids", block)
        if ids is None:
            return pa.StringArray.from_buffers(*given, nulls)
        buffers = [nulls, pa.py_buffer(_as(ids, np.int32, stays))]
        indices = pa.Array.from_buffers(pa.int32(), self.n_rows, buffers)
        return pa.DictionaryArray.from_arrays(indices, pa.StringArray.from_buffers(*given), safe=False)

    def _found(self, name: str, block: Values) -> Values | None:
        return self.places[name].of(block) if name in self.places else None


def packed(column: Column, block: Values, start: int) -> Packed | None:
    """The column, written into a block from the byte `start` on, but for values that stand in it already; None: there
    is not enough of it, or the column is of no form that goes there.

    Args:
        block: uint8 of shape (bytes,), the first of them at an address that is a multiple of 64.
    """
    parts = _parts(column)
    if parts is None:
        return None
    places, end = {}, start
    for name, numbers, storage in parts:
        at = _at(block, numbers)
        places[name] = place = _Place(_up(end) if at is None else at, np.dtype(storage), numbers.shape)
        end = place.end if at is None else end
    if end > len(block):
        return None
    for name, numbers, _ in parts:
        if _at(block, numbers) is None:
            np.copyto(places[name].of(block), numbers, casting="unsafe")  # under a null may be any number
    storage = column.values.dtype if isinstance(column.values, np.ndarray) else np.dtype(np.int32)
    dtype = Int32 if isinstance(column, TextOfRun) else column.dtype
    return Packed(dtype, storage, len(column), places, _says_nulls(column.values), end)


def end_in(block: Values, column: Column) -> int:
    """The byte after the last of a column's values, where these stand in a block already; else 0."""
    values = column.values
    at = _at(block, values) if isinstance(values, np.ndarray) else None
    return 0 if at is None else at + int(values.nbytes)


def _at(block: Values, array: Values) -> int | None:
    """Where in a block an array stands; None: elsewhere, or not as it would be packed there."""
    at = int(array.__array_interface__["data"][0]) - int(block.__array_interface__["data"][0])
    inside = 0 <= at <= len(block) - array.nbytes and array.flags.c_contiguous
    return at if inside and array.nbytes and array.dtype == np.float32 else None


def _parts(column: Column) -> list[_Part] | None:
    values = column.values
    if isinstance(column, TextOfRun):
        found: list[_Part] | None = [("values", entry_ids(column), column.texts.numbers_type.storage)]
    elif isinstance(values, np.ndarray):
        found = None if values.dtype.hasobject else [("values", *_narrower(values))]
    elif isinstance(values, pa.DictionaryArray):
        found = _entries(column)
    else:
        found = [*_strings(values)] if values.type == pa.string() else None
    if found is None or column.valid is None:
        return None if _says_nulls(values) else found
    return [*found, ("bits", np.packbits(column.valid, bitorder="little"), np.uint8)]


def _entries(column: Column) -> list[_Part] | None:
    """A dictionary with the entry of each row; None where it is larger than what it is for, or of another form."""
    values, strings = column.values, column.values.dictionary
    if strings.type != pa.string() or values.indices.type != pa.int32() or len(strings) > len(values):
        return None
    if strings.null_count:
        return None
    return [("ids", entry_ids(column), _narrowest(len(strings))), *_strings(strings)]


def _narrower(values: Values) -> tuple[Values, Any]:
    """The values, in half of their bytes where these hold every one of them as it is; and the type to keep them in."""
    if values.dtype == np.int64 and values.ndim == 1 and len(values):
        fits = int(values.min()) >= -(2**31) and int(values.max()) < 2**31
        return values, np.dtype(np.int32) if fits else values.dtype
    if values.dtype == np.float64 and values.ndim == 1 and len(values):
        with np.errstate(all="ignore"):
            narrow = values.astype(np.float32)
        same = bool((narrow.astype(np.float64).view(np.int64) == np.ascontiguousarray(values).view(np.int64)).all())
        return (narrow, narrow.dtype) if same else (values, values.dtype)
    return values, values.dtype


def _as(values: Values, storage: Any, stays: bool) -> Values:
    """The values in another type, which holds all of them; or as they are, where they stay."""
    if stays and values.dtype == storage:
        return values
    made = pool.empty(values.shape, storage)
    np.copyto(made, values)
    return made


def _narrowest(count: int) -> Any:
    """The least type of the numbers below `count`."""
    return np.uint8 if count <= 2**8 else np.uint16 if count <= 2**16 else np.int32


def _strings(strings: Any) -> Iterator[_Part]:
    """Where each of some strings ends, and their bytes."""
    _, offsets, data = strings.buffers()
    ends = np.zeros(1, np.int32)
    if offsets is not None and len(strings):
        ends = np.frombuffer(offsets, np.int32, len(strings) + 1, 4 * strings.offset)
    first, last = int(ends[0]), int(ends[-1])
    yield "ends", ends - np.int32(first) if first else ends, np.int32
    yield "data", np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8, last)[first:], np.uint8


def _says_nulls(values: Any) -> bool:
    return not isinstance(values, np.ndarray) and values.null_count > 0


def _up(number: int) -> int:
    return -(-number // _ALIGNED) * _ALIGNED
