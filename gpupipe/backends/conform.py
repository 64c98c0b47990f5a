"""Columns in the type asked of them: a file of whole numbers may come where another, or the fit, saw fractions."""

from collections.abc import Iterable

import numpy as np

from gpupipe.arrow_arrays import texts_of
from gpupipe.columns import Column, Frame, Values, on_host
from gpupipe.errors import SchemaMismatchError
from gpupipe.schema import Boolean, DType, Schema, String

IN_THE_FIT = "in the fit"
_MANTISSA = {"Float32": 24, "Float64": 53}  # bits of a whole number that a float holds


def as_planned(frame: Frame, schema: Schema) -> Frame:
    """The frame with every column that `schema` lists in the type it states; others as they are.

    Raises:
        SchemaMismatchError: a column of another kind, or a value that its type cannot hold.
    """
    changed = {
        name: conform(name, on_host(column), schema[name].dtype)
        for name, column in frame.columns.items()
        if name in schema and column.dtype != schema[name].dtype
    }
    return frame.with_columns(changed) if changed else frame


def refuse_other_kinds(given: Schema, wanted: Schema, columns: Iterable[str]) -> None:
    """Raise SchemaMismatchError for a column whose values can be none of the type wanted, before any is read."""
    for name in columns:
        have = given[name].dtype if name in given and name in wanted else None
        if have is not None and not _of_a_kind(have, wanted[name].dtype):
            raise _other_kind(name, have, wanted[name].dtype, IN_THE_FIT)


def conform(name: str, column: Column, wanted: DType, where: str = IN_THE_FIT) -> Column:
    """A column as another type that holds the same values: numbers among numbers, nulls as anything.

    Nothing is rounded but a Float64 to the nearest Float32.

    Args:
        name: the column's name, for messages.
        column: what is there.
        wanted: the type asked for.
        where: where it has that type, for messages.

    Raises:
        SchemaMismatchError: a column of another kind, or a value that the type does not hold exactly.

    >>> from gpupipe.schema import Float64, Int64
    >>> conform("x", Column(Int64, np.array([1, 2])), Float64).values
    array([1., 2.])
    """
    have = column.dtype
    if have == wanted:
        return column
    if have.name == "Null":
        return _nulls(len(column), wanted)
    if _are_moments(have, wanted):
        return Column(wanted, column.values, column.valid)
    if not _of_a_kind(have, wanted):
        raise _other_kind(name, have, wanted, where)
    with np.errstate(all="ignore"):
        values = column.values.astype(wanted.storage)
    lost = _lost(column, values, wanted)
    if column.valid is not None and lost is not None:
        lost = lost & column.valid
    if lost is not None and lost.any():
        row = int(np.flatnonzero(lost)[0])
        raise SchemaMismatchError(
            f"the value {column.values[row]} is {have} here, and the column was {wanted} {where}, which does not hold "
            "it exactly. Cast it at the source, so that it is of one type everywhere."
        ).at(row, name)
    return Column(wanted, values, column.valid)


def _of_a_kind(have: DType, wanted: DType) -> bool:
    both_numbers = _is_number(have) and _is_number(wanted)
    return have == wanted or have.name == "Null" or both_numbers or _are_moments(have, wanted)


def _are_moments(have: DType, wanted: DType) -> bool:
    return have.name == wanted.name == "Datetime" and bool(have.time_zone and wanted.time_zone)


def _other_kind(name: str, have: DType, wanted: DType, where: str) -> SchemaMismatchError:
    error = SchemaMismatchError(f"it is {have} here and was {wanted} {where}. Cast it at the source.")
    return error.at(column=name)


def _is_number(dtype: DType) -> bool:
    return dtype.is_numeric or dtype == Boolean


def _lost(column: Column, values: Values, wanted: DType) -> Values | None:
    """Where the values are not those of the column any more, as a bool array; None: nowhere."""
    if not wanted.is_float:
        return np.asarray((values != column.values) | ((values < 0) != (column.values < 0)))
    if column.dtype.is_float:
        return np.asarray(np.isinf(values) & np.isfinite(column.values)) if wanted.storage.itemsize == 4 else None
    return inexact(column.values, wanted)


def inexact(whole: Values, wanted: DType) -> Values | None:
    """Where a float does not hold whole numbers exactly: more bits stand between the first and last one set."""
    bits = _MANTISSA[wanted.name]
    if not len(whole) or whole.dtype.itemsize * 8 <= bits or (whole.min() >= -(2**bits) and whole.max() <= 2**bits):
        return None
    wide = whole.astype(np.uint64)  # a negative number's modulo 2^64, and so its size's when it is taken from 0
    size = np.where(whole < 0, np.uint64(0) - wide, wide)
    lowest = np.maximum(size & (~size + np.uint64(1)), np.uint64(1))
    return np.asarray(size // lowest >= np.uint64(2**bits))


def _nulls(size: int, dtype: DType) -> Column:
    valid = np.zeros(size, bool)
    if dtype == String:
        return Column(String, texts_of([""] * size), valid)
    return Column(dtype, np.zeros(size, dtype.storage), valid)
