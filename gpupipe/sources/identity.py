"""Who a row is: the hash of a key, and the random number that its identity gives."""

import numpy as np
import pyarrow as pa

from gpupipe.columns import Column, Values
from gpupipe.errors import TypeMismatchError
from gpupipe.kernels.reference import hashing
from gpupipe.schema import Null, String

NULL_HASH = 0x6E75_6C6C_6E75_6C6C  # "nullnull": one identity for all rows whose key is null
_SPLIT = int.from_bytes(b"split", "little")  # the purpose of a split's random numbers


def key_hash(column: Column) -> Values:
    """XXH64 of a key column's values, uint64 of shape (rows,); one fixed value for null.

    Raises:
        TypeMismatchError: the column is of type Null.
    """
    if column.dtype == Null:
        raise TypeMismatchError("A column with no value at all cannot be a key.")
    hashes = _text_hash(column) if column.dtype == String else _number_hash(column)
    return hashes if column.valid is None else np.where(column.valid, hashes, np.uint64(NULL_HASH))


def _number_hash(column: Column) -> Values:
    if column.dtype.is_float:
        return hashing.hash_float64(column.values.astype(np.float64), 0)
    return hashing.hash_int64(column.values.astype(np.int64), 0)


def _text_hash(column: Column) -> Values:
    if column.is_dictionary:
        entries = _array_hash(column.values.dictionary)
        return entries[column.values.indices.fill_null(0).to_numpy()]
    return _array_hash(column.values)


def _array_hash(texts: pa.StringArray) -> Values:
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset) if offsets else np.zeros(1, np.int32)
    bytes_ = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return hashing.hash_strings(bytes_, edges.astype(np.int64), 0)


def chosen(identities: Values, share: float, seed: int) -> Values:
    """A bool mask of the rows whose random number falls below `share`: the same for any partitioning."""
    return hashing.counter_uniform(seed, _SPLIT, identities) < np.uint64(int(share * 2.0**64))
