"""Who a row is: the hash of a key, and the random number that its identity gives."""

import numpy as np

from gpupipe.backends.categories import hash_column
from gpupipe.columns import Column, Values
from gpupipe.kernels.reference import hashing

_SPLIT = int.from_bytes(b"split", "little")  # what a split's random numbers are for


def key_hash(column: Column) -> Values:
    """XXH64 of a key column's values, uint64 of shape (rows,); one value of its own for null.

    >>> from gpupipe.schema import Int64
    >>> hashes = key_hash(Column(Int64, np.array([7, 8, 7])))
    >>> hashes[0] == hashes[2], hashes[0] == hashes[1]
    (np.True_, np.False_)
    """
    return hash_column(column, 0).astype(np.uint64, copy=False)


def chosen(identities: Values, share: float, seed: int, depth: int = 0) -> Values:
    """A bool mask of the rows whose random number falls below `share`: the same for any partitioning.

    `depth` counts the splits that the rows went through before: each has numbers of its own, whatever its seed.
    """
    numbers = hashing.counter_uniform(seed, _SPLIT + (depth << _SPLIT.bit_length()), identities)
    return np.asarray(numbers < np.uint64(int(share * 2.0**64)))
