"""Distinct values with their counts on a device against the host's, and counts of keys in a range."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.backends.gpu import keys as on_device
from gpupipe.backends.gpu.columns import DeviceColumn, packed, uploaded
from gpupipe.backends.gpu.values import entries_of
from gpupipe.backends.states import gathering, values
from gpupipe.backends.states import state as host
from gpupipe.columns import Column
from gpupipe.errors import NonFiniteError
from gpupipe.kernels.gpu import counting
from gpupipe.kernels.gpu.numbers import Numbers
from gpupipe.schema import Boolean, Float32, Float64, Int32, Int64, String

from . import awkward


def known(column):
    """The column with 2.0 where it was NaN."""
    if not column.dtype.is_float:
        return column
    two = column.values.dtype.type(2)
    return Column(column.dtype, np.where(np.isnan(column.values), two, column.values), column.valid)


def agree(device, column, keys, given=None):
    n_rows = len(column)
    wanted = gathering.gather("values", column, host.groups_of(keys, n_rows)).entries
    assert wanted is not None
    by = on_device.groups_of([uploaded(device, key) for key in keys], n_rows)
    found = entries_of(given or uploaded(device, column), by)
    assert found.groups.dtype == found.counts.dtype == np.int64
    if found.in_order:
        assert values.order_of(values.Entries(found.values, found.groups, found.counts, False)).tolist() == list(
            range(len(found))
        )
    found, wanted = values.in_order(found), values.in_order(wanted)
    awkward.same(found.values, wanted.values)
    assert found.groups.tolist() == wanted.groups.tolist() and found.counts.tolist() == wanted.counts.tolist()
    return found


@pytest.mark.parametrize("dtype", [*awkward.NUMBERS, String], ids=str)
def test_values_of_every_type(device, dtype):
    agree(device, known(awkward.column(dtype, 101, 5)), [])
    agree(device, known(awkward.column(dtype, 35, 6, nulls=0.0, few=False)), [])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([*awkward.NUMBERS, String]),
    st.lists(st.sampled_from([Float32, Boolean, String]), max_size=2, min_size=1),
    st.sampled_from([0, 1, 33, 90]),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_values_by_group(device, dtype, by, n_rows, seed, nulls):
    keys = [awkward.column(each, n_rows, seed + 1 + i) for i, each in enumerate(by)]
    agree(device, known(awkward.column(dtype, n_rows, seed, nulls)), keys)


def test_one_group_of_all_rows(device):
    agree(device, awkward.column(String, 40, 0), [Column(Int32, np.zeros(40, np.int32))])


@pytest.mark.parametrize("dtype", [Float32, Float64], ids=str)
def test_the_first_nan_is_named(device, dtype):
    """The same row as on the host; not one of no group, nor under a null."""
    numbers = np.array([1, np.nan, np.nan, 4, np.nan, np.nan], dtype.storage)
    column = Column(dtype, numbers, np.array([True, False, True, True, True, True]))
    key = Column(Float64, np.array([0.0, 1.0, np.nan, 1.0, 1.0, 0.0]))
    for keys, row in (([], 2), ([key], 4)):
        for say in (
            lambda k: gathering.gather("values", column, host.groups_of(k, 6)),
            lambda k: entries_of(uploaded(device, column), on_device.groups_of([uploaded(device, c) for c in k], 6)),
        ):
            with pytest.raises(NonFiniteError, match="NaN stands among") as caught:
                say(keys)
            assert caught.value.row == row


def test_entries_count_where_rows_use_them(device):
    entries = Column(String, pa.array(["b", None, "unused", "a", "b"]), np.array([True, False, True, True, True]))
    ids, valid = np.array([0, 4, 3, 1, 0, 2, 4], np.int32), np.array([1, 1, 1, 1, 1, 0, 1], bool)
    column = DeviceColumn(String, 7, None, device.upload(packed(valid)), device.upload(ids), entries)
    plain = Column(String, pa.array(["b", "b", "a", "", "b", "", "b"]), np.array([1, 1, 1, 0, 1, 0, 1], bool))
    agree(device, plain, [], column)
    agree(device, plain, [Column(Int32, np.array([0, 1, 0, 0, 0, 1, 1], np.int32))], column)


def test_numbers_by_entry(device):
    entries = Column(Float64, np.array([2.0, np.nan, -0.0, 0.0, np.nan]), np.array([True, True, True, True, False]))
    ids = np.array([0, 2, 3, 4, 0, 3], np.int32)
    column = DeviceColumn(Float64, 6, None, None, device.upload(ids), entries)
    agree(device, entries.take(ids), [], column)
    agree(device, entries.take(ids), [Column(Int32, np.arange(6, dtype=np.int32) % 2)], column)
    bad = DeviceColumn(Float64, 6, None, None, device.upload(np.array([0, 2, 4, 1, 0, 1], np.int32)), entries)
    with pytest.raises(NonFiniteError) as caught:
        entries_of(bad, on_device.groups_of([], 6))
    assert caught.value.row == 3


@pytest.mark.parametrize("span", [1, 3, 40, 13_000])
def test_counts_of_a_range(device, span):
    """In a block's memory where there are few, in the device's where there are many: the same."""
    numbers = np.random.default_rng(span).integers(-5, span + 5, 700)
    valid = np.random.default_rng(0).random(700) < 0.9
    rows = Numbers(device.upload(numbers), device.upload(packed(valid)))
    inside = numbers[valid & (numbers >= -2) & (numbers < span - 2)] + 2
    wanted = [*np.bincount(inside, minlength=span).tolist(), int((~valid).sum())]
    assert counting.counts(rows, -2, span).tolist() == wanted


def test_a_skewed_column(device):
    """All rows but one the same."""
    numbers = np.full(300, -7)
    numbers[123] = 2**60
    found = agree(device, Column(Int64, numbers), [])
    assert found.counts.tolist() == [299, 1]


@pytest.mark.slow
def test_a_hundred_thousand_distinct_values(device):
    """A table that grows several times, with tens of thousands of threads at it in lock step."""
    rng = np.random.default_rng(9)
    pool = np.concatenate([rng.integers(-(2**62), 2**62, 100_000), awkward.colliding(300, 16)])
    rows = Column(Int64, rng.choice(pool, 250_000), rng.random(250_000) < 0.9)
    assert len(agree(device, rows, [])) > 80_000
    assert [entry for entry, *_ in device.log].count("claim") > 1
