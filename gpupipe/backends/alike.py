"""Many values of one kind as a column at once: straight from Arrow, or by Arrow's and NumPy's own conversions."""

from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.arrow_arrays import array_from, filled, values_of
from gpupipe.columns import Column
from gpupipe.errors import SchemaMismatchError
from gpupipe.schema import (
    Boolean,
    DType,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    String,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)

_ARROW = {
    dtype: pa.from_numpy_dtype(dtype.storage)
    for dtype in (Boolean, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float32, Float64)
} | {String: pa.string()}


def same_type(values: Any, dtype: DType) -> Column | None:
    """Numbers and text straight from Arrow, of the very type asked for; None leaves others to the general way.

    Raises:
        SchemaMismatchError: text that is no UTF-8, by its row.
    """
    if values.type != _ARROW.get(dtype):
        return None
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    valid = None if whole.null_count == 0 else values_of(whole.is_valid())
    if dtype == String:
        try:
            whole.validate(full=True)
        except pa.ArrowInvalid:
            raise SchemaMismatchError("it was String in the fit; it has bytes that are no UTF-8.").at(
                next(row for row, text in enumerate(whole) if not _is_text(text.as_buffer()))
            ) from None
        return Column(String, whole, valid)
    return Column(dtype, values_of(filled(whole)), valid)


def _is_text(data: Any) -> bool:
    try:
        str(b"" if data is None else data.to_pybytes(), "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def alike(values: Any, dtype: DType) -> Column | None:
    """Python's floats, whole numbers or texts alone, beside nulls; None leaves others to the general way."""
    kinds = set(map(type, values)) if type(values) is list else set()
    kinds.discard(type(None))
    if kinds == {float} and dtype.is_float:
        return Column(Float64, np.array(values, np.float64))  # None is NaN, which is a null like it
    kind = {str: pa.string(), int: pa.int64()}.get(kinds.pop()) if len(kinds) == 1 else None
    if kind is None or dtype.is_temporal or (dtype == String) != (kind == pa.string()):
        return None
    try:
        array = array_from(values)
    except (pa.ArrowException, UnicodeError, OverflowError):
        return None
    return same_type(array, String if kind == pa.string() else Int64)
