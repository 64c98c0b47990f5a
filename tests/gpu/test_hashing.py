"""XXH64 on a device against the committed vectors, the reference and the host's columns."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.backends import categories
from gpupipe.backends.gpu import hashes
from gpupipe.backends.gpu.columns import uploaded
from gpupipe.backends.gpu.indexes import DeviceIndex
from gpupipe.backends.indexes import ValueIndex
from gpupipe.backends.keys import column_ranks
from gpupipe.backends.registers import fold_numbers
from gpupipe.columns import Column
from gpupipe.kernels.gpu import hashing
from gpupipe.kernels.reference import hashing as reference
from gpupipe.schema import Float64, String

from . import awkward

BYTES = bytes((i * 131 + i // 7 * 17 + 5) % 256 for i in range(101))
VECTORS = json.loads((Path(__file__).parents[1] / "kernels" / "xxh64.json").read_text())["lengths"]


@pytest.mark.parametrize("seed", list(VECTORS))
def test_numbers_and_pairs_against_the_vectors(device, seed):
    """A number is its eight bytes, a pair its sixteen."""
    first, second = np.frombuffer(BYTES[:8], "i8"), np.frombuffer(BYTES[:16], "u8")
    assert f"{hashing.hash_int64(device.upload(first), int(seed)).to_host()[0]:016x}" == VECTORS[seed][8]
    if int(seed) == 0:
        pair = [device.upload(half) for half in np.split(second, 2)]
        assert f"{hashing.mix(*pair).to_host()[0]:016x}" == VECTORS[seed][16]


@pytest.mark.parametrize("dtype", [*awkward.NUMBERS, String], ids=str)
def test_columns_of_every_type(device, dtype):
    """Also the payloads of NaN, -0.0, and nulls."""
    for seed, nulls in ((0, 0.0), (-5, 0.3)):
        column = awkward.column(dtype, 67, 1, nulls)
        found = hashes.hash_column(uploaded(device, column), seed).to_host()
        assert found.tolist() == categories.hash_column(column, seed).tolist()


def test_all_nan_hash_alike(device):
    odd = np.array([0xFFF8000000000001, 0x7FF0000000000001, 0x7FF8000000000000], "u8").view("f8")
    found = hashes.hash_column(uploaded(device, Column(Float64, odd)), 0).to_host()
    assert len(set(found.tolist())) == 1 and found[0] == reference.hash_float64(np.array([np.nan]))[0]


def test_crosses_are_mixed_in_order(device):
    nothing: Any = None
    node: Any = {"seed": 9, "buckets": 1009}
    columns = [awkward.column(dtype, 45, seed) for seed, dtype in enumerate((String, awkward.Int64, Float64))]
    for order in (columns, columns[::-1], columns[:1]):
        wanted = categories.hash_bucket(nothing, node, *order)
        found = hashes.hash_bucket([uploaded(device, column) for column in order], 9, 1009).to_host()
        assert found.dtype == np.int32 and found.tolist() == wanted.values.tolist()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(-(2**63), 2**64 - 1), st.integers(-(2**40), 2**40), st.integers(0, 2**64 - 50), st.integers(2, 2**40)
)  # fmt: skip
def test_random_numbers_are_the_reference_s(device, seed, purpose, first, divisor):
    ids = np.uint64(first) + np.arange(50, dtype=np.uint64)
    wanted = reference.counter_uniform(seed, purpose, ids)
    assert hashing.counter_uniform(seed, purpose, device.upload(ids)).to_host().tolist() == wanted.tolist()
    assert hashing.uniform_from(device, seed, purpose, first, 50).to_host().tolist() == wanted.tolist()
    left = hashing.uniform_from(device, seed, purpose, first, 50, divisor).to_host()
    assert left.tolist() == (wanted % np.uint64(divisor)).tolist()


@pytest.mark.parametrize("dtype", [awkward.Int64, Float64, String], ids=str)
def test_codes_beyond_the_vocabulary_are_buckets_of_hashes(device, dtype):
    """Of three buckets: 0 null, 1 to 3 other, then the vocabulary."""
    x = awkward.column(dtype, 60, 4)
    vocabulary = ValueIndex(column_ranks(Column(dtype, x.values))[1].take(np.array([2, 0])))
    tables: Any = SimpleNamespace(entries=lambda node: vocabulary)
    node: Any = type("Node", (dict,), {"args": (None, None)})(other_buckets=3)
    there = uploaded(device, x)
    known = DeviceIndex(device, vocabulary, first=4).find([there], null=0)
    found = hashes.codes_with_buckets(there, known, 3).to_host()
    wanted = categories.codes(tables, node, x).values
    assert {0, 4, 5} < set(wanted.tolist()) and found.tolist() == wanted.tolist()


def test_folds_are_the_host_s(device):
    ids = reference.hash_int64(np.arange(77))
    found = hashes.fold_numbers(device, device.upload(ids), 77, 5).to_host()
    assert found.values.dtype == np.int64 and found.values.tolist() == fold_numbers(ids, 5).tolist()
    counted = hashes.fold_numbers(device, 10**12, 77, 7).to_host().values
    assert counted.tolist() == fold_numbers(np.arange(77, dtype=np.uint64) + np.uint64(10**12), 7).tolist()


def test_nothing_to_hash(device):
    none = device.empty(0, np.uint64)
    assert len(hashing.mix(none, none).to_host()) == 0
    assert len(hashes.fold_numbers(device, 0, 0, 5).to_host()) == 0
