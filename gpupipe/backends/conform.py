"""Rows to score in the types of the fit: a file of whole numbers may come where the fit saw fractions."""

import numpy as np
import pyarrow as pa

from gpupipe.columns import Column, Frame, Values
from gpupipe.errors import SchemaMismatchError
from gpupipe.schema import Boolean, DType, Schema, String


def as_planned(frame: Frame, schema: Schema) -> Frame:
    """The frame with every column that `schema` lists in the type it states; others as they are.

    Raises:
        SchemaMismatchError: a column of another kind, or a value that its type cannot hold.
    """
    changed = {
        name: conform(name, column, schema[name].dtype)
        for name, column in frame.columns.items()
        if name in schema and column.dtype != schema[name].dtype
    }
    return frame.with_columns(changed) if changed else frame


def conform(name: str, column: Column, wanted: DType) -> Column:
    """A column as another type that holds the same values: numbers among numbers, nulls as anything.

    >>> from gpupipe.schema import Float64, Int64
    >>> conform("x", Column(Int64, np.array([1, 2])), Float64).values
    array([1., 2.])
    """
    have = column.dtype
    if have == wanted:
        return column
    if have.name == "Null":
        return _nulls(len(column), wanted)
    if have.name == wanted.name == "Datetime" and have.time_zone and wanted.time_zone:
        return Column(wanted, column.values, column.valid)
    if not (_is_number(have) and _is_number(wanted)):
        raise SchemaMismatchError(f"Column {name!r} is {have} here and was {wanted} in the fit. Cast it at the source.")
    with np.errstate(all="ignore"):
        values = column.values.astype(wanted.storage)
    if not wanted.is_float:
        _refuse_changed(name, column, values, wanted)
    return Column(wanted, values, column.valid)


def _is_number(dtype: DType) -> bool:
    return dtype.is_numeric or dtype == Boolean


def _refuse_changed(name: str, column: Column, values: Values, wanted: DType) -> None:
    lost = (values != column.values) | ((values < 0) != (column.values < 0))
    if column.valid is not None:
        lost = lost & column.valid
    if lost.any():
        raise SchemaMismatchError(
            f"Column {name!r} was {wanted} in the fit and is {column.dtype} here, with values beyond it, "
            f"such as {column.values[lost][0]}. Cast it at the source, or fit on data of this type."
        )


def _nulls(size: int, dtype: DType) -> Column:
    valid = np.zeros(size, bool)
    if dtype == String:
        return Column(String, pa.array([""] * size, pa.string()), valid)
    return Column(dtype, np.zeros(size, dtype.storage), valid)
