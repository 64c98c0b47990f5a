"""Distinct values of device columns and how many rows have each: ``gpupipe.backends.states.values``, to the bit."""

import numpy as np

from gpupipe.backends import keys as host
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.keys import DeviceGroups, column_ranks, distinct, numbers_of
from gpupipe.backends.states import values as of_host
from gpupipe.backends.states.gathering import NAN
from gpupipe.backends.states.state import Entries
from gpupipe.columns import Column, Values
from gpupipe.errors import NonFiniteError
from gpupipe.kernels.gpu import extremes, lookup
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.gpu.keys import extent
from gpupipe.kernels.gpu.numbers import Numbers


def entries_of(column: DeviceColumn, by: DeviceGroups, counted: Values | None = None) -> Entries:
    """The distinct values of each group and how often they occur: the entries of a state of the kind "values".

    Strings of one group come in no order, as on the host.

    Args:
        counted: int64, of an encoded column whose rows are all of one group: how many rows have each entry, if known.

    Raises:
        NonFiniteError: NaN among the values of a group's rows; it names the first.
        NotOnDevice: more distinct values than a hash table is made for.
        DeviceMemoryError: the device has not so much memory.
    """
    refuse_nan(column, by.of_row)
    if by.of_row is not None:
        return _by_group(column, by.of_row)
    if column.entries is not None:
        if counted is None:
            counted = extremes.counts(None, 1, valid=column.valid, ids=column.ids, n_entries=len(column.entries))[0]
        return _of_counts(column.known, counted)
    numbers = numbers_of(column)
    found = distinct(numbers)
    values = Column(column.dtype, host.from_ordered_bits(found.keys, column.dtype.storage))
    return Entries(of_host.counted_as(values), np.zeros(len(found.keys), np.int64), found.counts(numbers))


def refuse_nan(column: DeviceColumn, of_row: DeviceArray | None = None) -> None:
    """See that no row has NaN; with the groups of rows, no row of a group.

    Raises:
        NonFiniteError: a row has; it names the first.
    """
    numbers = _nan_as_negative(column)
    if numbers is not None and (row := extent(numbers, of_row).unfit) is not None:
        raise NonFiniteError(NAN).at(row)


def _nan_as_negative(column: DeviceColumn) -> Numbers | None:
    """Numbers that are no keys where the column is NaN; None where it cannot be."""
    if not column.dtype.is_float:
        return None
    if column.ids is None or column.entries is None:
        return numbers_of(column)
    nan = np.isnan(column.known.values)
    if column.known.valid is not None:
        nan &= column.known.valid
    if not nan.any():
        return None
    places = lookup.Dense(0, column.device.upload(np.where(nan, -1, 0).astype(np.int32)))
    return Numbers(places.of(Numbers(column.ids, column.valid), null=0), partial=True)


def _of_counts(entries: Column, counts: Values) -> Entries:
    used = np.flatnonzero(counts)
    if len(used) < len(counts):
        entries, counts = entries.take(used), counts[used]
    if entries.valid is not None:
        entries, counts = entries.take(entries.valid), counts[entries.valid]
    return of_host.distinct(Column(entries.dtype, entries.values), np.zeros(len(entries), np.int64), counts)


def _by_group(column: DeviceColumn, groups: DeviceArray) -> Entries:
    ranks, uniques = column_ranks(column, nulls=False)
    size = max(len(uniques), 1)
    pairs = Numbers(lookup.combine(groups, ranks, size), partial=True)
    found = distinct(pairs)
    values = of_host.counted_as(uniques.take(found.keys % size))
    return Entries(values, np.asarray(found.keys // size), found.counts(pairs))
