"""Positions of rows in learned lists on a device against the host's indexes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.backends import categories
from gpupipe.backends.gpu.columns import DeviceColumn, packed, uploaded
from gpupipe.backends.gpu.indexes import DeviceIndex
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.indexes import KeyIndex, ValueIndex
from gpupipe.backends.keys import column_ranks, factorize
from gpupipe.columns import Column, concat
from gpupipe.kernels.gpu import lookup
from gpupipe.kernels.gpu.numbers import Numbers
from gpupipe.schema import Float64, Int32, Int64, String

from . import awkward

TYPES = [*awkward.NUMBERS, String]


def learned_and_seen(dtype, seed, nulls=0.2):
    """Distinct values in some order, and rows of which some have others."""
    few = bool(seed % 2)
    seen = awkward.column(dtype, 60, seed, nulls, few)
    learned = column_ranks(concat([seen.take(np.arange(40)), awkward.column(dtype, 20, seed + 7, nulls, few)]))[1]
    return learned.take(np.random.default_rng(seed).permutation(len(learned))), seen


def agree(device, index, columns, given=None):
    found = DeviceIndex(device, index).find(given or [uploaded(device, column) for column in columns])
    wanted = index.find(columns if isinstance(index, KeyIndex) else columns[0])
    assert found.dtype == np.int32 and found.to_host().tolist() == wanted.tolist()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_values_of_every_type(device, dtype):
    for seed in (0, 1):
        learned, seen = learned_and_seen(dtype, seed)
        agree(device, ValueIndex(learned), [seen])


@pytest.mark.parametrize("spread", [1, 1 << 40], ids=["dense", "hashed"])
def test_codes_are_the_host_s(device, spread):
    vocabulary = Column(Int64, np.array([5, -3, 0, 9]) * spread)
    x = Column(Int64, np.array([0, 5, 7, 9, -3, 5, 0]) * spread, np.array([1, 1, 1, 1, 1, 0, 0], bool))
    tables: Any = SimpleNamespace(entries=lambda node: ValueIndex(vocabulary))
    node: Any = type("Node", (dict,), {"args": (None, None)})(other_buckets=1)
    wanted = categories.codes(tables, node, x).values
    index = DeviceIndex(device, ValueIndex(vocabulary), first=2)
    assert index.find([uploaded(device, x)], null=0, nowhere=1).to_host().tolist() == wanted.tolist()


def test_a_null_entry_gets_what_null_gets(device):
    """Where text has no bitmap but an entry that is null; -1 too."""
    index = DeviceIndex(device, ValueIndex(Column(String, pa.array(["b", "a"]))), first=2)
    entries = Column(String, pa.array(["a", None, "c", "b"]), np.array([True, False, True, True]))
    column = DeviceColumn(String, 4, None, None, device.upload(np.arange(4, dtype=np.int32)), entries)
    assert index.find([column], null=0, nowhere=1).to_host().tolist() == [3, 0, 1, 2]
    assert index.find([column], null=-1, nowhere=9).to_host().tolist() == [3, -1, 9, 2]
    assert index.find([column], nowhere=9).to_host().tolist() == [3, 9, 9, 2]
    valid = device.upload(packed(np.array([False, True, True, True])))
    with_both = DeviceColumn(String, 4, None, valid, column.ids, entries)
    assert index.find([with_both], null=-1, nowhere=9).to_host().tolist() == [-1, -1, 9, 2]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3), st.integers(0, 2**31), st.sampled_from([0.0, 0.4]))
def test_several_keys(device, dtypes, seed, nulls):
    seen = [awkward.column(dtype, 70, seed + i, nulls) for i, dtype in enumerate(dtypes)]
    learned = factorize([column.take(np.arange(40)) for column in seen])[1]
    order = np.random.default_rng(seed).permutation(len(learned[0]))
    index = KeyIndex([key.take(order) for key in learned])
    agree(device, index, seen)
    found = DeviceIndex(device, index, first=3).find([uploaded(device, column) for column in seen], nowhere=2)
    at = index.find(seen)
    assert found.to_host().tolist() == np.where(at < 0, 2, at + 3).tolist()


@pytest.mark.parametrize("dtype", [Int64, Float64, String], ids=str)
def test_nothing_learned_and_nothing_seen(device, dtype):
    learned, seen = learned_and_seen(dtype, 2)
    none = np.zeros(0, np.int64)
    agree(device, ValueIndex(learned.take(none)), [seen])
    agree(device, ValueIndex(learned), [seen.take(none)])
    agree(device, KeyIndex([learned.take(none), learned.take(none)]), [seen, seen])
    agree(device, KeyIndex([learned, learned]), [seen.take(none), seen.take(none)])


def test_an_index_is_copied_once(device):
    index = DeviceIndex(device, ValueIndex(Column(Int64, np.arange(6) << 44)))
    column = uploaded(device, Column(Int64, np.arange(3) << 45))
    index.find([column])
    before = device.launches
    assert index.find([column]).to_host().tolist() == [0, 2, 4] and device.launches == before + 1


def test_learned_values_that_want_the_same_slot(device):
    values = awkward.colliding(80)
    agree(device, ValueIndex(Column(Int64, values)), [Column(Int64, np.append(values[::-1], [1, 2]))])


def test_a_list_that_no_table_takes_is_the_host_s(device, monkeypatch):
    monkeypatch.setattr(lookup, "_MOST_SLOTS", 16)
    index = DeviceIndex(device, ValueIndex(Column(Int64, np.arange(40) << 44)))
    with pytest.raises(NotOnDevice, match="40 values learned"):
        index.find([uploaded(device, Column(Int64, np.arange(3)))])


def test_two_numbers_as_one(device):
    outer, inner = np.array([0, -1, 2, 2**31 - 1], np.int32), np.array([4, 1, -1, 2**31 - 2], np.int32)
    found = lookup.combine(device.upload(outer), device.upload(inner), 2**31 - 1).to_host()
    assert found.tolist() == [4, -1, -1, (2**31 - 1) ** 2 + 2**31 - 2]


def test_places_beyond_a_table(device):
    """Distances that wrap around 64 bits are outside, too."""
    dense = lookup.Dense(2**63 - 3, device.upload(np.array([4, -1, 6], np.int32)))
    rows = np.array([2**63 - 3, 2**63 - 2, 2**63 - 1, -(2**63), 0, 2**63 - 4], np.int64)
    assert dense.of(Numbers(device.upload(rows)), nowhere=8).to_host().tolist() == [4, 8, 6, 8, 8, 8]
    assert dense.of(Numbers(device.upload(rows.astype(np.int32))), nowhere=-1).to_host().tolist() == [-1] * 6


def test_ids_of_int32(device):
    rows = device.upload(np.array([2, 0, -1], np.int32))
    dense = lookup.Dense(0, device.upload(np.array([7, 8, 9], np.int32)))
    assert dense.of(Numbers(rows, partial=True)).to_host().tolist() == [9, 7, -1]
    agree(device, ValueIndex(Column(Int32, np.array([3, 1], np.int32))), [Column(Int32, np.array([1, 2, 3], np.int32))])
