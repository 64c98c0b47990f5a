"""Hashes of device columns: what ``gpupipe.backends.categories`` makes of them on the host; and folds of rows."""

from collections.abc import Sequence

import numpy as np

from gpupipe.backends.categories import NULL_HASH
from gpupipe.backends.categories import hash_column as on_host
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.registers import FOLDS
from gpupipe.kernels.gpu import hashing
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.schema import Int64


def hash_column(column: DeviceColumn, seed: int) -> DeviceArray:
    """uint64 of shape (rows,): XXH64 of each value; null has a value of its own.

    Text is hashed on the host, entry by entry, and given to the rows by their ids.
    """
    if column.ids is not None and column.entries is not None:
        hashes = column.device.upload(np.ascontiguousarray(on_host(column.known, seed)))
        return hashing.of_entries(hashes, column.ids, column.valid, int(NULL_HASH))
    assert column.values is not None
    kernel = hashing.hash_float64 if column.dtype.is_float else hashing.hash_int64
    return kernel(column.values, seed, column.valid, int(NULL_HASH))


def hash_bucket(columns: Sequence[DeviceColumn], seed: int, buckets: int) -> DeviceArray:
    """int32 of shape (rows,): XXH64 of the values, mixed in order, modulo the number of buckets."""
    first, *others = (hash_column(column, seed) for column in columns)
    for other in others:
        first = hashing.mix(first, other)
    return hashing.bucket(first, buckets)


def codes_with_buckets(column: DeviceColumn, codes: DeviceArray, buckets: int) -> DeviceArray:
    """int32 codes of shape (rows,): those given, and the bucket of the value's hash, from 1 on, where they are -1."""
    return hashing.bucket(hash_column(column, 0), buckets, codes, first=1)


def fold_numbers(device: Device, row_ids: DeviceArray | int, n_rows: int, folds: int) -> DeviceColumn:
    """The fold of each row, from its identity alone.

    Args:
        row_ids: uint64 of shape (rows,); or the identity of the first row, where the others count on from it.
    """
    if isinstance(row_ids, DeviceArray):
        drawn = hashing.counter_uniform(0, FOLDS, row_ids, folds)
    else:
        drawn = hashing.uniform_from(device, 0, FOLDS, row_ids, n_rows, folds)
    return DeviceColumn(Int64, n_rows, drawn.view(np.int64))
