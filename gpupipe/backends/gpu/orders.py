"""Histograms of device columns: the entries of ``gpupipe.backends.states.orders``, to the bit."""

import numpy as np

from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.keys import DeviceGroups, distinct
from gpupipe.backends.states import orders as host
from gpupipe.backends.states.gathering import NAN
from gpupipe.backends.states.state import Entries, Groups
from gpupipe.errors import NonFiniteError
from gpupipe.kernels.gpu import bits, lookup, radix
from gpupipe.kernels.gpu.histogram import Found
from gpupipe.kernels.gpu.numbers import Numbers
from gpupipe.schema import DType, Float64, Int64

#: Beyond so many groups the bins that occur are told apart by a hash table: one of all bins would be too large.
MANY_GROUPS = 64


def on_host(by: DeviceGroups) -> Groups:
    """The groups in this process's memory."""
    return Groups(None if by.of_row is None else by.of_row.to_host().astype(np.int64), by.keys, by.rows)


def binned(column: DeviceColumn, found: Found) -> Entries:
    """How many values of each group lie in each bin, from what was found of them.

    Raises:
        NonFiniteError: NaN among the values; it names the first row.
    """
    if found.nan is not None:
        raise NonFiniteError(NAN).at(found.nan)
    return host.of_places(_dtype(column), found.places, found.counts)


def of_many(column: DeviceColumn, by: DeviceGroups) -> Entries:
    """The same of more groups than are kept in tables.

    Raises:
        NonFiniteError: NaN among the values; it names the first row.
        NotOnDevice: more bins that occur in groups than a hash table is made for.
        DeviceMemoryError: the device has not so much memory.
    """
    assert column.values is not None and by.of_row is not None
    nan, _ = bits.first_odd(column.values, column.valid, by.of_row)
    if nan is not None:
        raise NonFiniteError(NAN).at(nan)
    bins = radix.bins_of(column.values, valid=column.valid)
    pairs = Numbers(lookup.combine(by.of_row, bins, radix.BINS), partial=True)
    found = distinct(pairs)
    return host.of_places(_dtype(column), found.keys, found.counts(pairs))


def _dtype(column: DeviceColumn) -> DType:
    return Float64 if column.dtype.is_float else Int64
