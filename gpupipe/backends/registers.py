"""Between columns as stored and columns as computed: float64, int64 and bool inside, one rounding on leaving."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.arrow_arrays import text_of
from gpupipe.backends import compiled
from gpupipe.backends.strings import as_length
from gpupipe.columns import Column, Values
from gpupipe.errors import CastError, IntegerOverflowError
from gpupipe.kernels.reference import hashing
from gpupipe.schema import Boolean, DType, String, UInt64

FOLDS = 1  # what the counter-based numbers are for, so that folds and splits are independent


def loaded(column: Column, name: str) -> Column:
    """The column in the type it is computed in; its logical type stays."""
    if column.dtype == String:
        return column
    refuse_beyond_int64(column, name)
    kind = column.values.dtype.kind
    if kind == "b":
        return column
    wanted = np.float64 if kind == "f" else np.int64
    return Column(column.dtype, column.values.astype(wanted, copy=False), column.valid)


def refuse_beyond_int64(column: Column, name: str) -> None:
    """Raise IntegerOverflowError where a UInt64 column has a value that int64, in which integers compute, has not."""
    if column.dtype == UInt64 and column.values.dtype.kind == "u":
        beyond = column.values > np.uint64(2**63 - 1)
        rows = np.flatnonzero(beyond if column.valid is None else beyond & column.valid)
        if len(rows):
            raise IntegerOverflowError(
                f"the value {column.values[rows[0]]} is 2^63 or more, and integers compute in int64. Cast the column "
                "to Float64 or String at the source."
            ).at(int(rows[0]), name or None)


def literal_column(value: Any, dtype: DType) -> Column:
    """A constant as a column of one row."""
    valid = np.zeros(1, bool) if value is None else None
    if dtype == String:
        return Column(String, text_of("" if value is None else value), valid)
    kind = {"f": np.float64, "b": np.bool_}.get(dtype.storage.kind, np.int64)
    return Column(dtype, np.array([0 if value is None else value], kind), valid)


def height(columns: Sequence[Column]) -> int:
    """The number of rows that columns make together: a column of one row goes with any."""
    return next((len(column) for column in columns if len(column) != 1), 1)


def spread_valid(args: Sequence[Column], size: int) -> Values | None:
    """Where all operands have a value; None: everywhere."""
    masks = [arg.valid for arg in args if arg.valid is not None]
    if not masks:
        return None
    return np.broadcast_to(np.logical_and.reduce(np.broadcast_arrays(*masks)), size)


def spread(column: Column, size: int) -> Column:
    """The column with one row repeated to `size` rows (without a copy)."""
    if len(column) == size:
        return column
    if column.dtype == String:
        return as_length(column, size)
    valid = None if column.valid is None else np.broadcast_to(column.valid, size)
    return Column(column.dtype, np.broadcast_to(column.values, size), valid)


def leaving(column: Column, dtype: DType, size: int) -> Column:
    """The column in the type it leaves in: the one rounding.

    Raises:
        CastError: a value outside a narrower integer type.
    """
    full = spread(column, size)
    if dtype == String:
        return full
    storage = np.dtype(bool) if dtype == Boolean else dtype.storage
    if storage.kind in "iu" and full.values.dtype.kind == "i" and storage.itemsize < 8:
        _refuse_outside(full, storage)
    with np.errstate(all="ignore"):
        return Column(dtype, full.values.astype(storage), full.valid)


def _refuse_outside(column: Column, storage: np.dtype[Any]) -> None:
    bounds = np.iinfo(storage)
    outside = (column.values < bounds.min) | (column.values > bounds.max)
    if column.valid is not None:
        outside = outside & column.valid
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise CastError(f"the value {column.values[row]} does not fit {storage}. Cast to a wider type.").at(row)


def fold_numbers(row_ids: Values, folds: int) -> Values:
    """int64 fold of each row, from its identity alone."""
    return np.asarray(_hashing(4 * len(row_ids)).folds_of(FOLDS, row_ids, folds))


def _hashing(n_values: int) -> ModuleType:
    return optional.load("gpupipe.kernels.cpu.hashing") if compiled.worth(n_values) else hashing
