"""Columns packed into a block: what comes back is what went in, on as few bytes as it says, and lets go of the block.

The oracle is the column itself.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import drawn_tables

from gpupipe.backends.strings import decoded
from gpupipe.columns import Column, Values
from gpupipe.runtime.packed import Packed, end_in, packed
from gpupipe.schema import Float32, Float64, Int64, String
from gpupipe.sources.border import to_column

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def block_of(size: int) -> Values:
    """So many bytes that are not zero, the first at a multiple of 64."""
    whole = np.full(size + 64, 0xAB, np.uint8)
    return whole[-whole.ctypes.data % 64 :][:size]


def there_and_back(column: Column, stays: bool = True) -> Column:
    block = block_of(64 * len(column) + 4096)
    found = packed(column, block, 3)
    assert found is not None and found.end <= len(block)
    assert (block[found.end :] == 0xAB).all() and (block[:3] == 0xAB).all()
    back = found.column(block, stays=stays)
    if not stays:
        block[:] = 0xCD  # what is written over it
    return back


def same(a: Column, b: Column) -> bool:
    """Equal to the bit where there is a value, and in the same places none; numbers equal under nulls too."""
    if a.dtype != b.dtype or (a.valid is None) != (b.valid is None):
        return False
    if a.valid is not None and b.valid is not None and not np.array_equal(a.valid, b.valid):
        return False
    if isinstance(a.values, np.ndarray):
        alike = a.values.dtype == b.values.dtype and a.values.shape == b.values.shape
        return bool(alike and a.values.tobytes() == b.values.tobytes())
    b.values.validate(full=True)
    return bool(a.values.type == b.values.type and decoded(a).equals(decoded(b)))


@QUICK
@given(drawn_tables(), st.integers(0, 400), st.booleans())
def test_every_type_comes_back_as_it_was(drawn: Any, start: int, stays: bool) -> None:
    table = drawn.table
    table = table.slice(min(start, table.num_rows))  # arrays with an offset, and empty ones
    for name in table.column_names:
        column = to_column(table.column(name))
        assert same(there_and_back(column, stays), column), name


texts = st.text(max_size=9)


@QUICK
@given(st.lists(texts, unique=True, min_size=1, max_size=300), st.integers(0, 2**31), st.sampled_from([0.0, 0.4, 1.0]))
def test_dictionaries_come_back(entries: list[str], seed: int, nulls: float) -> None:
    rng = np.random.default_rng(seed)
    ids, valid = rng.integers(0, len(entries), 700).astype(np.int32), rng.random(700) >= nulls
    told = pa.array(ids, mask=~valid), pa.array(ids)  # Arrow's array says so too, or validity alone
    for indices in told:
        values = pa.DictionaryArray.from_arrays(indices, pa.array(entries))[5:]
        column = Column(String, values, None if nulls == 0.0 else valid[5:])
        assert same(there_and_back(column), column) and same(there_and_back(column, stays=False), column)


def width(column: Column, name: str) -> int:
    found = packed(column, block_of(64 * len(column) + 4096), 0)
    assert found is not None
    return found.places[name].storage.itemsize


@pytest.mark.parametrize(("count", "bytes_"), [(1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_entries_are_as_narrow_as_their_number_allows(count: int, bytes_: int) -> None:
    entries = pa.array([f"{number}" for number in range(count)])
    column = Column(String, pa.DictionaryArray.from_arrays(pa.array(np.arange(count, dtype=np.int32)), entries))
    assert width(column, "ids") == bytes_ and same(there_and_back(column), column)


NARROW = [
    (Int64, [-(2**31), 2**31 - 1, 0], 4),
    (Int64, [2**31, 0, 0], 8),
    (Int64, [-(2**31) - 1, 0, 0], 8),
    (Float64, [0.5, -0.0, np.inf], 4),
    (Float64, [0.1, 0.0, 0.0], 8),
    (Float64, [1e300, 0.0, 0.0], 8),
    (Float64, [1e-310, 0.0, 0.0], 8),
    (Float64, np.array([0x7FF8000000000001, 0, 0], "u8").view("f8"), 8),  # a NaN that float32 does not tell apart
    (Float64, np.array([0x7FF0000000000001, 0, 0], "u8").view("f8"), 8),
    (Float64, np.array([0xFFF8000020000000, 0, 0], "u8").view("f8"), 4),
]


@pytest.mark.parametrize(("dtype", "values", "bytes_"), NARROW)
def test_numbers_take_half_where_that_holds_them(dtype: Any, values: Any, bytes_: int) -> None:
    column = Column(dtype, np.asarray(values, dtype.storage))
    assert width(column, "values") == bytes_ and same(there_and_back(column), column)


def test_validity_is_bits() -> None:
    found = packed(Column(Int64, np.arange(1024), np.arange(1024) % 3 > 0), block_of(10_000), 0)
    assert found is not None and found.end == 4096 + 128


def test_what_stays_is_not_copied_and_what_does_not_is() -> None:
    block, column = block_of(4096), Column(Float64, np.array([0.1, 0.2]), np.array([True, False]))
    found = packed(column, block, 0)
    assert isinstance(found, Packed)
    assert np.shares_memory(found.column(block, stays=True).values, block)
    assert not np.shares_memory(found.column(block, stays=False).values, block)


REFUSED = {
    "objects": Column(Int64, np.array([1, None], object)),
    "large strings": Column(String, pa.array(["a"], pa.large_string())),
    "more entries than rows": Column(
        String, pa.DictionaryArray.from_arrays(pa.array([1], pa.int32()), pa.array(["x", "y"]))
    ),
    "entries that are null": Column(
        String, pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int32()), pa.array(["x", None]))
    ),
    "narrow indices": Column(String, pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array(["x"]))),
    "nulls that no validity states": Column(String, pa.array(["a", None])),
}


@pytest.mark.parametrize("column", REFUSED.values(), ids=REFUSED)
def test_other_forms_are_not_packed(column: Column) -> None:
    assert packed(column, block_of(4096), 0) is None


def test_a_block_that_is_too_small_stays_as_it_was() -> None:
    block = block_of(100)
    column = Column(Float64, np.full(10, 0.1), np.arange(10) % 2 == 0)  # 80 bytes, then bits from byte 128 on
    assert packed(column, block, 0) is None and (block == 0xAB).all()
    assert packed(Column(Float64, np.full(10, 0.1)), block, 64) is None
    assert packed(Column(Float64, np.full(10, 0.1)), block, 0) is not None


def test_values_that_stand_in_the_block_stay_where_they_are() -> None:
    block = block_of(1000)
    values = block[128:528].view(np.float32)
    values[:] = np.arange(100)
    column = Column(Float32, values, values != 7)
    assert end_in(block, column) == 528 and end_in(block, Column(Float32, values[::2])) == 0
    found = packed(column, block, 528)
    assert found is not None and 528 < found.end <= 528 + 64 + 13
    assert np.shares_memory(found.column(block, stays=True).values, values)
    apart = found.column(block, stays=False)
    block[:] = 0
    assert apart.values.tolist() == list(range(100)) and apart.valid is not None and np.flatnonzero(~apart.valid) == [7]
    assert packed(column, block, 1000) is None  # no room for validity
