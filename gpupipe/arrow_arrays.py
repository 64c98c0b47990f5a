"""Arrow arrays from NumPy's and from Python's texts and back, by their buffers.

Where pandas is installed, ``pa.array``, ``pa.scalar``, ``to_numpy`` and ``np.asarray`` of an Arrow array, and a Python
value given to one of Arrow's functions, import it: a quarter of a second that a run without pandas has no use for.
"""

import struct
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

_Values = np.ndarray[Any, Any]
_TEXT = pa.string()
_MOST_BYTES = 2**31 - 1  # of the texts of one array


def array_of(values: _Values, valid: _Values | None = None, kind: pa.DataType | None = None) -> Any:
    """Numbers, bools or times of shape (rows,) as an Arrow array; numbers are not copied.

    Args:
        valid: a bool a row, False: null; None: no row is null.
        kind: what the array counts (days, microseconds), or the type that it is cast to; None: as NumPy has it.

    Raises:
        pa.ArrowInvalid: a value is not one of type `kind`.

    >>> array_of(np.array([1, 2]), np.array([True, False])).to_pylist()
    [1, None]
    """
    plain = np.ascontiguousarray(values)
    given = pa.from_numpy_dtype(plain.dtype)
    if plain.dtype == np.bool_:
        plain = np.packbits(plain, bitorder="little")
    elif plain.dtype.kind in "mM":
        plain = plain.view(np.int64)
    bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    array = pa.Array.from_buffers(given, len(values), [bits, pa.py_buffer(plain)])
    if kind is None or kind == given:
        return array
    return array.cast(pa.int32()).cast(kind) if kind == pa.date32() else array.cast(kind)


def texts_of(texts: Sequence[str | None]) -> Any:
    """Texts as an Arrow array of strings; None is null.

    Raises:
        UnicodeEncodeError: a text that UTF-8 cannot write (half of a surrogate pair).

    >>> texts_of(["Oslo", None]).to_pylist()
    ['Oslo', None]
    """
    if len(texts) == 1 and texts[0] is not None:
        return text_of(texts[0])
    valid = np.fromiter((text is not None for text in texts), np.bool_, len(texts)) if None in texts else None
    filled = texts if valid is None else [text or "" for text in texts]
    whole = "".join(filled)  # type: ignore[arg-type]
    data = whole.encode()
    if len(data) > _MOST_BYTES:
        return pa.array(texts, _TEXT)
    lengths = map(len, filled if len(data) == len(whole) else (text.encode() for text in filled))  # type: ignore
    ends = np.fromiter(accumulate(lengths, initial=0), np.int32, len(texts) + 1)
    bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(_TEXT, len(texts), [bits, pa.py_buffer(ends), pa.py_buffer(data)])


def text_of(text: str) -> Any:
    """An Arrow array of one string."""
    data = text.encode()
    return pa.Array.from_buffers(_TEXT, 1, [None, pa.py_buffer(struct.pack("=ii", 0, len(data))), pa.py_buffer(data)])


def null_of(kind: pa.DataType) -> Any:
    """Arrow's scalar null of a type."""
    return pa.nulls(1, kind)[0]


def filled(array: Any) -> Any:
    """An array of text, numbers, times or bools with "", 0 or False for null."""
    return array.fill_null(_zero(array.type)) if array.null_count else array


def _zero(kind: pa.DataType) -> Any:
    zeros = pa.py_buffer(bytes(16))  # of two offsets, or of one number
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return pa.Array.from_buffers(kind, 1, [None, zeros, *([pa.py_buffer(b"")] if is_text else [])])[0]


def values_of(array: Any) -> _Values:
    """The values of an Arrow array, chunked or not, of numbers or bools; what stands for null is arbitrary.

    Numbers of one chunk are not copied, and not to be written to.

    >>> values_of(array_of(np.array([True, False])))
    array([ True, False])
    """
    whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    kind = np.dtype(whole.type.to_pandas_dtype())
    if not len(whole):
        return np.zeros(0, kind)
    data = whole.buffers()[1]
    if kind != np.bool_:
        return np.frombuffer(data, kind, len(whole), whole.offset * kind.itemsize)
    first, shift = divmod(whole.offset, 8)
    packed = np.frombuffer(data, np.uint8)[first : first + (shift + len(whole) + 7) // 8]
    return np.unpackbits(packed, bitorder="little")[shift : shift + len(whole)].view(np.bool_)


def with_nan(array: Any) -> _Values:
    """The numbers of an Arrow array, chunked or not; NaN, in float64 at the least, where one is null."""
    values = values_of(array)
    if not array.null_count:
        return values
    return np.where(values_of(array.is_valid()), values, np.nan)


def array_from(values: Any) -> Any:
    """What ``pa.array(values, from_pandas=True)`` gives: NaN and None are nulls, one type is found for all.

    Raises:
        pa.ArrowException, TypeError, OverflowError: what is no array of one type.

    >>> array_from([0.5, None]).to_pylist()
    [0.5, None]
    """
    plain = values.tolist() if type(values) is np.ndarray and values.dtype.kind == "U" else values
    if type(plain) is list:
        found = _of_list(plain)
    else:
        found = _of_numbers(plain) if type(plain) is np.ndarray and plain.ndim == 1 else None
    return pa.array(values, from_pandas=True) if found is None else found


def _of_numbers(values: _Values) -> Any:
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8 or not values.dtype.isnative:
        return None
    nan = np.isnan(values) if values.dtype.kind == "f" else None
    return array_of(values, None if nan is None or not nan.any() else ~nan)


def _of_list(values: list[Any]) -> Any:
    """The array of values that are of one of Python's own types, beside None; of others None."""
    kinds = set(map(type, values)) - {type(None)}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is str:
        return texts_of(values)
    if kind is float:
        return _of_numbers(np.array(values, np.float64))  # None is NaN here
    if kind not in (int, bool):
        return None
    valid = np.array([value is not None for value in values], np.bool_) if None in values else None
    try:
        return array_of(np.array(values if valid is None else [value or 0 for value in values], kind), valid)
    except OverflowError:
        return None
