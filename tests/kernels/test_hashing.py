"""XXH64 against the xxhash package's values and the published ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.kernels.cpu import hashing as fast
from gpupipe.kernels.reference import hashing

BYTES = bytes((i * 131 + i // 7 * 17 + 5) % 256 for i in range(101))
VECTORS = json.loads((Path(__file__).parent / "xxh64.json").read_text())["lengths"]


def arrow(strings: Any) -> tuple[Any, Any]:
    offsets = np.cumsum([0, *map(len, strings)]).astype("i8")
    return np.frombuffer(b"".join(strings), dtype="u1"), offsets


def test_published_vectors() -> None:
    hashes = hashing.hash_strings(*arrow([b"", b"a", b"abc"])).tolist()
    assert hashes == [0xEF46DB3751D8E999, 0xD24EC4F1A98C6E5B, 0x44BC2CF5AD770999]


@pytest.mark.parametrize("seed", list(VECTORS))
def test_all_lengths_to_a_hundred(seed: Any) -> None:
    hashes = hashing.hash_strings(*arrow([BYTES[:n] for n in range(101)]), int(seed))
    assert [f"{value:016x}" for value in hashes.tolist()] == VECTORS[seed]


def test_numbers_are_hashed_as_their_bytes() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.integers(-(2**63), 2**63 - 1, 200), [0, -1, -(2**63)]])
    as_strings = arrow([value.tobytes() for value in values])
    for seed in (0, 12, -1):
        assert np.array_equal(hashing.hash_int64(values, seed), hashing.hash_strings(*as_strings, seed))
    floats = rng.normal(size=50)
    assert np.array_equal(hashing.hash_float64(floats), hashing.hash_int64(floats.view("i8")))
    pairs = arrow([a.tobytes() + b.tobytes() for a, b in zip(values, values[::-1], strict=True)])
    first, second = values.view("u8"), values[::-1].copy().view("u8")
    assert np.array_equal(hashing.mix(first, second), hashing.hash_strings(*pairs))
    purpose = arrow([np.int64(-3).tobytes() + b.tobytes() for b in values])
    assert np.array_equal(hashing.counter_uniform(9, -3, first), hashing.hash_strings(*purpose, 9))


def test_floats_that_are_equal_hash_alike() -> None:
    odd_nan = np.array([0xFFF8000000000001], dtype="u8").view("f8")[0]
    hashes = hashing.hash_float64(np.array([0.0, -0.0, np.nan, -np.nan, odd_nan]))
    assert len(set(hashes[:2].tolist())) == 1 and len(set(hashes[2:].tolist())) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=90), max_size=30), st.integers(0, 2**64 - 1))
def test_a_slice_of_strings_has_the_hashes_of_the_whole(strings: Any, seed: Any) -> None:
    data, offsets = arrow([text.encode() for text in strings])
    half = len(offsets) // 2
    whole = hashing.hash_strings(data, offsets, seed)
    assert np.array_equal(hashing.hash_strings(data, offsets[half:], seed), whole[half:])


def test_random_numbers_are_uniform_and_independent_of_each_other() -> None:
    ids = np.arange(100_000, dtype="u8")
    streams = [hashing.counter_uniform(seed, purpose, ids) for seed, purpose in ((0, 0), (0, 1), (1, 0))]
    unit = [stream / 2.0**64 for stream in streams]
    for a in unit:
        assert abs(a.mean() - 0.5) < 0.005 and abs(a.var() - 1 / 12) < 0.002
        assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.015
    assert np.abs(np.array(np.corrcoef(unit))[np.triu_indices(3, 1)]).max() < 0.015


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.integers(0, 2**64 - 1), max_size=40), folds=st.integers(1, 2**40), purpose=st.integers(0, 2**63))
def test_folds_are_the_same_in_both_forms(ids: Any, folds: int, purpose: int) -> None:
    numbers = np.array(ids, np.uint64)
    wanted = [int(hashed) % folds for hashed in hashing.counter_uniform(0, purpose, numbers)]
    for form in (hashing, fast):
        found = form.folds_of(purpose, numbers, folds)
        assert found.dtype == np.int64 and found.tolist() == wanted
