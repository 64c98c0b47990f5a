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
    """One of the columns, if all are encoded and by the same numbers; what rows have that are null is an entry."""
    if not columns or any(isinstance(column, Uploading) and column.dtype != String for column in columns):
        return None
    first, *others = (on_device(column) for column in columns)
    if first.ids is None or (first.valid is not None and first.absent is None):
        return None
    alike = all(other.ids is first.ids and other.absent is first.absent for other in others)
    return first if alike and all(other.valid is first.valid for other in others) else None


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
