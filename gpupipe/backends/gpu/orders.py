"""Histograms of device columns: the entries of ``gpupipe.backends.states.orders``, to the bit."""

import numpy as np

from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.keys import DeviceGroups, distinct
from gpupipe.backends.states import orders as host
from gpupipe.backends.states.gathering import NAN
from gpupipe.backends.states.state import Entries, Groups
from gpupipe.errors import NonFiniteError
from gpupipe.kernels.gpu import bits, lookup, radix
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.gpu.numbers import Numbers
from gpupipe.schema import Float64, Int64

_MANY_GROUPS = 64  # beyond, the bins that occur are told apart by a hash table: one of all bins would be too large


def on_host(by: DeviceGroups) -> Groups:
    """The groups in this process's memory."""
    return Groups(None if by.of_row is None else by.of_row.to_host().astype(np.int64), by.keys, by.rows)


def binned(column: DeviceColumn, by: DeviceGroups) -> Entries:
    """How many values of each group lie in each bin.

    Raises:
        NonFiniteError: NaN among the values; it names the first row.
        NotOnDevice: more bins that occur in groups than a hash table is made for.
        DeviceMemoryError: the device has not so much memory.
    """
    assert column.values is not None
    dtype = Float64 if column.dtype.is_float else Int64
    if len(by.rows) > _MANY_GROUPS and by.of_row is not None:
        return _of_many(column, by.of_row, column.values)
    table, nan = radix.counted(column.values, by.of_row, len(by.rows), valid=column.valid)
    if nan is not None:
        raise NonFiniteError(NAN).at(nan)
    return host.of_table(dtype, table.reshape(-1))


def _of_many(column: DeviceColumn, groups: DeviceArray, values: DeviceArray) -> Entries:
    nan, _ = bits.first_odd(values, column.valid, groups)
    if nan is not None:
        raise NonFiniteError(NAN).at(nan)
    bins = radix.bins_of(values, valid=column.valid)
    pairs = Numbers(lookup.combine(groups, bins, radix.BINS), partial=True)
    found = distinct(pairs)
    return host.of_places(Float64 if column.dtype.is_float else Int64, found.keys, found.counts(pairs))
