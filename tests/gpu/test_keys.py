"""Groups of rows on a device against the host's, to the bit, whatever the keys, their order and the table's size."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.backends.gpu import keys as on_device
from gpupipe.backends.gpu.columns import DeviceColumn, packed, uploaded
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.states import state as host
from gpupipe.columns import Column
from gpupipe.errors import DeviceMemoryError
from gpupipe.kernels.gpu import keys, lookup
from gpupipe.kernels.gpu.numbers import Numbers
from gpupipe.schema import Float64, Int32, Int64, String

from . import awkward

INT64 = np.iinfo(np.int64)


def agree(device, columns, given=None):
    """The device's groups of some columns are the host's; they are returned."""
    n_rows = len(columns[0])
    wanted = host.groups_of(columns, n_rows)
    found = on_device.groups_of(given or [uploaded(device, column) for column in columns], n_rows)
    assert found.of_row is not None and found.of_row.dtype == np.int32 and wanted.of_row is not None
    assert found.of_row.to_host().tolist() == wanted.of_row.tolist()
    assert found.rows.dtype == np.int64 and found.rows.tolist() == wanted.rows.tolist()
    assert len(found.keys) == len(wanted.keys)
    for one, other in zip(found.keys, wanted.keys, strict=True):
        awkward.same(one, other)
    return found


@pytest.mark.parametrize("dtype", [*awkward.NUMBERS, String], ids=str)
def test_one_key_of_every_type(device, dtype):
    agree(device, [awkward.column(dtype, 131, 0)])
    agree(device, [awkward.column(dtype, 40, 1, nulls=0.0, few=False)])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([*awkward.NUMBERS, String]), min_size=2, max_size=3),
    st.sampled_from([1, 31, 32, 33, 80]), st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 1.0]),
)  # fmt: skip
def test_several_keys(device, dtypes, n_rows, seed, nulls):
    agree(device, [awkward.column(dtype, n_rows, seed + i, nulls) for i, dtype in enumerate(dtypes)])


@pytest.mark.parametrize("dtype", [Int64, Float64, String], ids=str)
def test_no_rows_no_values_no_keys(device, dtype):
    agree(device, [awkward.column(dtype, 0, 0, nulls=0.0)])
    agree(device, [awkward.column(dtype, 37, 0, nulls=1.0)])
    agree(device, [awkward.column(dtype, 0, 0), awkward.column(Int32, 0, 0)])
    agree(device, [Column(Float64, np.full(33, np.nan))])
    agree(device, [Column(Float64, np.full(33, np.nan)), awkward.column(dtype, 33, 0)])


def test_no_keys_are_one_group(device):
    found = on_device.groups_of([], 7)
    assert found.of_row is None and found.keys == [] and found.rows.tolist() == [7]


@pytest.mark.parametrize("values", [
    [INT64.min], [INT64.max], [INT64.min, INT64.max, -1, 0], [5] * 70, [awkward.signed(awkward.SALT)] * 3 + [INT64.min],
    [awkward.signed(awkward.SALT ^ 1), awkward.signed(awkward.SALT), INT64.max], list(range(-30, 40)),
])  # fmt: skip
def test_numbers_at_the_edges(device, values):
    agree(device, [Column(Int64, np.array(values, np.int64))])


def test_keys_that_want_the_same_slot(device):
    """Their hashes agree in as many bits as there are in the largest table."""
    values = awkward.colliding(90)
    agree(device, [Column(Int64, np.random.default_rng(0).permutation(np.repeat(values, 2)))])


@pytest.mark.parametrize("smallest", [2, 4, 16, 1 << 10])
def test_a_table_grows_until_it_holds_all(device, smallest, monkeypatch):
    """What leaves is the same whatever the size it began with, and whichever row came first."""
    monkeypatch.setattr(keys, "_TRIES", 2)
    rng = np.random.default_rng(1)
    values = rng.integers(INT64.min, INT64.max, 60, endpoint=True)
    rows = rng.permutation(np.concatenate([values, values]))
    table = keys.hashed(Numbers(device.upload(rows)), 1 << 20, smallest)
    assert table is not None
    found, slots = table.keys()
    assert sorted(found.tolist()) == sorted(values.tolist()) and table.n_keys == 60
    assert len(set(slots.to_host().tolist())) == 60 and len(table.words) - 1 >= 64
    order = np.argsort(found)
    ranks = np.argsort(order)
    at = lookup.Hashed(table, table.by_slot(slots, ranks)).of(Numbers(device.upload(rows))).to_host()
    assert np.array_equal(found[order][at], rows)


def test_threads_of_a_table_that_is_full_give_up(device):
    """They look up once they have tried some slots; the next table has all keys."""
    values = np.random.default_rng(5).integers(INT64.min, INT64.max, 400, endpoint=True)
    table = keys.hashed(Numbers(device.upload(values)), 1 << 20, 64)
    assert table is not None and table.n_keys == 400 and np.array_equal(np.sort(table.keys()[0]), np.sort(values))
    assert [entry for entry, *_ in device.log].count("claim") >= 3


def test_groups_do_not_depend_on_the_order_of_rows(device, monkeypatch):
    monkeypatch.setattr(keys, "_SMALLEST", 4)
    column = awkward.column(Float64, 150, 3, few=False)
    order = np.random.default_rng(0).permutation(150)
    one = agree(device, [column])
    other = agree(device, [column.take(order)])
    assert other.of_row.to_host().tolist() == one.of_row.to_host()[order].tolist()


def test_more_keys_than_a_table_may_have_are_the_host_s(device, monkeypatch):
    monkeypatch.setattr(on_device, "MOST_SLOTS", 16)
    column = uploaded(device, Column(Int64, np.arange(40) << 40))
    with pytest.raises(NotOnDevice, match="16 slots"):
        on_device.groups_of([column], 40)


def test_entries_count_where_rows_use_them(device):
    """A dictionary with entries that no row uses, that are null, or that stand there twice."""
    entries = Column(String, pa.array(["b", None, "unused", "a", "b"]), np.array([True, False, True, True, True]))
    ids = np.array([0, 4, 3, 1, 0, 2, 4], np.int32)
    valid = np.array([True, True, True, True, True, False, True])
    column = DeviceColumn(String, 7, None, device.upload(packed(valid)), device.upload(ids), entries)
    plain = Column(String, pa.array(["b", "b", "a", "", "b", "", "b"]), np.array([1, 1, 1, 0, 1, 0, 1], bool))
    found = agree(device, [plain], [column])
    assert found.keys[0].values.to_pylist() == ["a", "b", ""] and found.rows.tolist() == [1, 4, 2]
    ranks, uniques = on_device.column_ranks(column, nulls=False)
    assert ranks.to_host().tolist() == [1, 1, 0, -1, 1, -1, 1] and uniques.values.to_pylist() == ["a", "b"]


def test_numbers_by_entry(device):
    """What a function of text made: numbers an entry, NaN and null among them."""
    values = Column(Float64, np.array([2.0, np.nan, -0.0, 0.0, 9.0]), np.array([True, True, True, True, False]))
    ids = np.array([0, 1, 2, 3, 4, 0, 3, 1], np.int32)
    column = DeviceColumn(Float64, 8, None, None, device.upload(ids), values)
    agree(device, [values.take(ids)], [column])


def test_the_extent_of_rows(device):
    column = Column(Float64, np.array([np.nan, 1.0, -3.0, np.nan, 2.0]), np.array([False, True, True, True, True]))
    numbers = on_device.numbers_of(uploaded(device, column))
    found = keys.extent(numbers)
    assert (found.null, found.unfit) == (0, 3)
    groups = device.upload(np.array([0, 0, -1, -1, 1], np.int32))
    inside = keys.extent(numbers, groups)
    assert inside.unfit is None and inside.low == np.float64(1.0).view(np.int64) and inside.span == (
        np.float64(2.0).view(np.int64) - np.float64(1.0).view(np.int64) + 1
    )
    nothing = keys.extent(Numbers(device.upload(np.array([-1, -7], np.int32)), partial=True))
    assert (nothing.low, nothing.high, nothing.unfit, nothing.span) == (None, None, 0, 0)


def test_a_large_range_is_hashed_and_a_small_one_counted(device):
    """Both ways give the same groups of the same numbers."""
    values = np.random.default_rng(2).integers(0, 50, 120)
    small, large = agree(device, [Column(Int64, values)]), agree(device, [Column(Int64, values << 50)])
    assert small.of_row.to_host().tolist() == large.of_row.to_host().tolist()


def test_memory_that_runs_out_leaves_nothing_behind(device):
    """Whichever allocation fails: the next try gives the same groups, and what it took is given back."""
    columns = [awkward.column(dtype, 70, i) for i, dtype in enumerate((Float64, String))]
    there = [uploaded(device, column) for column in columns]
    before, failed = device.live_bytes, 0
    while True:
        assert device.live_bytes == before
        device.fail_at = {len(device.allocations) + failed}
        try:
            found = on_device.groups_of(there, 70)
            break
        except DeviceMemoryError:
            failed += 1
    assert failed > 12
    wanted = host.groups_of(columns, 70).of_row
    assert found.of_row is not None and wanted is not None and found.of_row.to_host().tolist() == wanted.tolist()
    assert device.live_bytes == before + found.of_row.nbytes
