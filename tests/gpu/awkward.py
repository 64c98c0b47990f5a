"""Host columns with every value that keys trip over, and how they are compared."""

from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.columns import Column
from gpupipe.schema import (
    Boolean,
    Date,
    Datetime,
    DType,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    String,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)  # fmt: skip

SALT = 0x9E3779B97F4A7C15  # of table.cuh: the key whose word would be that of an empty slot
FLOATS = (Float32, Float64)
NUMBERS = (
    *FLOATS, Boolean, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Date, Datetime("UTC"),
)  # fmt: skip
WORDS = np.array(["", "a", "b", "ab", "é", "zebra", "日本", "a\0", "z" * 40])
_MASK = 2**64 - 1


def signed(value: int) -> int:
    """A 64-bit word as int64."""
    return (value + 2**63) % 2**64 - 2**63


def colliding(n: int, bits: int = 20) -> Any:
    """int64 keys whose hashes agree in the last `bits` bits, so that all want the same slot."""
    return np.array([signed(_before_avalanche(i << bits) ^ SALT) for i in range(1, n + 1)], np.int64)


def _before_avalanche(hashed: int) -> int:
    """The word that XXH64's last step turns into `hashed`: each of its steps undone."""
    x = hashed ^ (hashed >> 32)
    x = x * pow(1609587929392839161, -1, 2**64) & _MASK
    x ^= (x >> 29) ^ (x >> 58)
    x = x * pow(14029467366897019727, -1, 2**64) & _MASK
    return x ^ (x >> 33)


def column(dtype: DType, n: int, seed: int, nulls: float = 0.2, few: bool = True) -> Column:
    """A column of `n` rows, with the edges of its type; with `few`, values that come again and again."""
    rng = np.random.default_rng(seed)
    valid = rng.random(n) >= nulls if nulls else None
    if dtype == String:
        return Column(String, pa.array(rng.choice(WORDS, n).tolist(), pa.string()), valid)
    kind = dtype.storage.kind
    if kind == "f":
        pool = np.array([0.0, -0.0, 1.5, -1.5, np.nan, -np.nan, np.inf, -np.inf, 5e-324, 3e38, *rng.normal(size=5)])
        values = (rng.choice(pool, n) if few else rng.normal(size=n)).astype(dtype.storage)
    elif kind == "b":
        values = rng.random(n) < 0.5
    else:
        bounds = np.iinfo(dtype.storage)
        edges = [bounds.min, bounds.max, 0, 1, 7]
        if dtype.storage == np.int64:
            edges += [signed(SALT), signed(SALT ^ 1)]
        values = rng.choice(np.array(edges, dtype.storage), n)
        if not few:
            values = rng.integers(bounds.min, bounds.max, n, dtype.storage, endpoint=True)
    return Column(dtype, values, valid)


def same(one: Column, other: Column) -> None:
    """Two columns are the same, type, values (to the bit) and validity."""
    assert one.dtype == other.dtype and len(one) == len(other)
    assert (one.valid is None) == (other.valid is None)
    if one.valid is not None:
        assert one.valid.tolist() == other.valid.tolist()  # type: ignore[union-attr]
    if one.dtype == String:
        assert one.values.to_pylist() == other.values.to_pylist()
        return
    assert one.values.dtype == other.values.dtype
    assert one.values.tobytes() == other.values.tobytes()
