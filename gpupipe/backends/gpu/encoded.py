"""Columns of a number a row and a table an entry: what one operation makes of all entries stands for all rows."""

from collections.abc import Callable, Sequence

import numpy as np

from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.placed import Placed, Uploading, on_device
from gpupipe.backends.registers import loaded, spread
from gpupipe.backends.strings import decoded
from gpupipe.columns import Column, Values
from gpupipe.schema import String


def shared_ids(columns: Sequence[Placed]) -> DeviceColumn | None:
    """One of the columns, if all are encoded and by the same numbers; their nulls are entries."""
    if not columns or any(isinstance(column, Uploading) and column.dtype != String for column in columns):
        return None
    first, *others = (on_device(column) for column in columns)
    if first.ids is None or first.valid is not None:
        return None
    return first if all(other.ids is first.ids and other.valid is None for other in others) else None


def of_entries(like: DeviceColumn, n_rows: int, entries: Column) -> DeviceColumn:
    """The column whose rows have other entries by the same numbers."""
    return DeviceColumn(entries.dtype, n_rows, None, None, like.ids, entries)


def entrywise(function: Callable[[list[Column]], Column], args: Sequence[Column], size: int) -> Column:
    """What `function` makes of columns of one row an entry (or of one row), a row for each of `size` entries.

    Raises:
        DataError: what the function raises, of whichever entry.
    """
    with np.errstate(all="ignore"):
        found = spread(function([loaded(arg, "") for arg in args]), size)
    if found.dtype == String:
        return Column(String, decoded(found), found.valid)
    return Column(found.dtype, _narrow(found), found.valid)


def _narrow(column: Column) -> Values:
    """The values in the type they are stored in, where it holds them all: small tables stay in a device's cache."""
    values, storage = column.values, column.dtype.storage
    if values.dtype.kind != "i" or storage.kind != "i" or storage.itemsize >= values.itemsize or not values.size:
        return np.ascontiguousarray(values)
    bounds = np.iinfo(storage)
    fits = bounds.min <= values.min() and values.max() <= bounds.max
    return np.ascontiguousarray(values.astype(storage) if fits else values)
