"""Arrow's buffers as NumPy arrays: views where the layout is ours, else converted to our units."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.columns import Values
from gpupipe.errors import CastError

_EXACT_TENS = 22  # 10**22 is the largest power of ten that float64 holds exactly
_DAY_MS = 86_400_000
_INT64_MAX = 2**63 - 1


def validity(array: pa.Array) -> Values | None:
    """A bool array, True where there is a value; None where every row has one.

    >>> validity(pa.array([1, None]))
    array([ True, False])
    """
    if isinstance(array, pa.DictionaryArray):
        array = array.indices
    if array.null_count == 0 or array.type == pa.null():
        return None
    return _bits(array.buffers()[0], array.offset, len(array))


def _bits(buffer: Any, offset: int, length: int) -> Values:
    if length == 0:
        return np.zeros(0, np.bool_)
    first, shift = divmod(offset, 8)
    packed = np.frombuffer(buffer, np.uint8)[first : first + (shift + length + 7) // 8]
    return np.unpackbits(packed, bitorder="little")[shift : shift + length].view(np.bool_)


def view(array: pa.Array, dtype: Any) -> Values:
    """A view of a fixed-width array's values, offset applied.

    >>> view(pa.array([1, 2, 3])[1:], np.int64)
    array([2, 3])
    """
    storage = np.dtype(dtype)
    if len(array) == 0:
        return np.zeros(0, storage)
    return np.frombuffer(array.buffers()[1], storage, len(array), array.offset * storage.itemsize)


def fixed_width(array: pa.Array, storage: np.dtype[Any], valid: Values | None, name: str) -> Values:
    """The values of a fixed-width array as ours: a view where Arrow's layout is ours.

    Raises:
        CastError: a date or time (not a null) that days or microseconds cannot hold; names `name`.

    >>> fixed_width(pa.array([1, 2], pa.timestamp("s")), np.dtype("int64"), None, "when")
    array([1000000, 2000000])
    """
    arrow = array.type
    if arrow == pa.bool_():
        return _bits(array.buffers()[1], array.offset, len(array))
    if arrow == pa.float16():
        return view(array, np.float16).astype(np.float32)
    if arrow == pa.date64():
        return _days(view(array, np.int64), valid, name)
    if pa.types.is_decimal(arrow):
        return _decimals(array)
    if isinstance(arrow, pa.TimestampType | pa.DurationType | pa.Time32Type | pa.Time64Type):
        width = np.int32 if isinstance(arrow, pa.Time32Type) else np.int64
        return _microseconds(view(array, width).astype(np.int64, copy=False), arrow.unit, valid, name)
    return view(array, storage)


def _refuse_where(bad: Values, valid: Values | None, name: str, message: Callable[[int], str]) -> None:
    """Raise for the first row of a value (not a null) marked bad; `message` gets the row."""
    rows = np.flatnonzero(bad if valid is None else bad & valid)
    if len(rows):
        others = f" There are {len(rows) - 1:,} more in this partition." if len(rows) > 1 else ""
        raise CastError(message(int(rows[0])) + others).at(int(rows[0]), name)


def _days(milliseconds: Values, valid: Values | None, name: str) -> Values:
    days = milliseconds // _DAY_MS
    _refuse_where(
        (days < -(2**31)) | (days >= 2**31), valid, name,
        lambda row: f"the date, {days[row]} days from 1970, is beyond int32 days (about the years -5,877,600 to "
        "5,881,500). Make such dates null at the source.",
    )  # fmt: skip
    return days.astype(np.int32)


def _microseconds(values: Values, unit: str, valid: Values | None, name: str) -> Values:
    if unit == "us":
        return values
    if unit == "ns":
        quotient = values // 1000
        _refuse_where(
            quotient * 1000 != values, valid, name,
            lambda row: f"the time, {values[row]} ns, is finer than a microsecond, which gpupipe counts. Round at "
            "the source: .dt.round('us') in pandas, .dt.cast_time_unit('us') in Polars, or pc.round_temporal.",
        )  # fmt: skip
        return quotient
    factor = 1_000_000 if unit == "s" else 1000
    limit = _INT64_MAX // factor
    _refuse_where(
        (values < -limit) | (values > limit), valid, name,
        lambda row: f"the time, {values[row]} {unit}, is beyond int64 microseconds (about the years -290,000 to "
        "294,000). Make such times null at the source.",
    )  # fmt: skip
    with np.errstate(over="ignore"):
        return values * factor


def _decimals(array: pa.Array) -> Values:
    """Decimals as the nearest float64 (Arrow's own cast can be an ulp off)."""
    if array.type.byte_width < 16:
        array = array.cast(pa.decimal128(38, array.type.scale))
    scale = array.type.scale
    if array.type.byte_width == 16 and 0 <= scale <= _EXACT_TENS and len(array):
        words = np.frombuffer(array.buffers()[1], np.int64, 2 * len(array), 16 * array.offset)
        low, high = words[0::2], words[1::2]
        if ((high == low >> 63) & (low >= -(2**53)) & (low <= 2**53)).all():
            return low / 10.0**scale  # two exact numbers, one rounding
    texts = array.cast(pa.string())
    return view(texts.cast(pa.float64()), np.float64)
