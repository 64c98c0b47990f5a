"""Strings looked up by hash: both forms of the kernels against a dictionary."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.text import layout
from gpupipe.kernels.cpu import hashing as fast_hashing
from gpupipe.kernels.cpu import lookup as fast
from gpupipe.kernels.reference import hashing, lookup

FORMS = pytest.mark.parametrize("kernels", [lookup, fast], ids=["NumPy", "Numba"])
words = st.text(max_size=3) | st.text("ab", max_size=40) | st.sampled_from(["", "\0", "a\0", "a" * 32, "é" * 31])


@FORMS
@settings(max_examples=60, deadline=None)
@given(st.lists(words, unique=True), st.lists(words), st.integers(0, 2))
def test_places_are_those_of_a_dictionary(kernels, listed, wanted, skipped):
    """Also of arrays that begin somewhere inside their buffers."""
    place = {word: at for at, word in enumerate(listed[skipped:])}
    known = layout(pa.array(listed, pa.string())[skipped:])
    wanted = wanted + listed
    found = kernels.find(kernels.index(*known), *known, *layout(pa.array(["x", *wanted], pa.string())[1:]))
    assert found.tolist() == [place.get(word, -1) for word in wanted]


def test_strings_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(lookup, "hash_strings", lambda data, offsets: np.zeros(len(offsets) - 1, np.uint64))
    known = layout(pa.array(["a", "bc", "d", ""]))
    found = lookup.find(lookup.index(*known), *known, *layout(pa.array(["d", "", "e", "bc", "bd"])))
    assert found.tolist() == [2, 3, -1, 1, -1]


@settings(max_examples=60, deadline=None)
@given(st.lists(words), st.integers(0, 2**64 - 1))
def test_hashes_are_the_same_in_both_forms(strings, seed):
    data, offsets = layout(pa.array(strings, pa.string()))
    assert (hashing.hash_strings(data, offsets, seed) == fast_hashing.hash_strings(data, offsets, seed)).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(words), st.integers(0, 2), st.data())
def test_distinct_strings_are_counted_as_by_a_counter(strings, skipped, data):
    """Without nulls, weighed or not, also of arrays that begin somewhere inside their buffers, and in many buckets."""
    strings = (strings * data.draw(st.sampled_from([1, 3, 4000])))[:20_000]
    kept = strings[skipped:]
    known = layout(pa.array(strings, pa.string())[skipped:])
    valid = np.array(data.draw(st.lists(st.booleans(), min_size=len(kept), max_size=len(kept)))
                     if len(kept) < 50 else np.arange(len(kept)) % 3 > 0, bool)  # fmt: skip
    times = np.arange(1, len(kept) + 1)
    wanted = Counter()
    for word, holds, often in zip(kept, valid.tolist(), times.tolist(), strict=True):
        wanted.update({word: often} if holds else {})
    ids = np.full(len(kept), -1, np.int32)
    firsts, counts = fast.distinct(*known, valid, times, ids)
    assert dict(zip([kept[row] for row in firsts], counts.tolist(), strict=True)) == dict(wanted)
    assert [kept[firsts[at]] for at in ids[valid]] == [word for word, holds in zip(kept, valid, strict=True) if holds]
    assert (ids[~valid] == -1).all()
    firsts, counts = fast.distinct(*known)
    assert dict(zip([kept[row] for row in firsts], counts.tolist(), strict=True)) == dict(Counter(kept))


def test_strings_whose_words_look_like_shorter_ones_are_told_apart():
    """Eight bytes that end as the mark of a shorter string does; longer strings that share their first bytes."""
    listed = ["a\0\0\0\0\0\0\1", "a", "\0" * 8, "", "\0", "\0" * 7, "\0" * 7 + "\7", "x" * 9, "x" * 10, "x" * 17]
    known = layout(pa.array(listed))
    assert fast.find(fast.index(*known), *known, *known).tolist() == list(range(len(listed)))
    twice = layout(pa.array(listed * 2))
    firsts, counts = fast.distinct(*twice)
    assert sorted(firsts.tolist()) == list(range(len(listed))) and (counts == 2).all()


def crowding(count, last):
    """Distinct strings of eight bytes whose marks are equal but for the bits from `last` on: all of one place."""
    first, second = (int(np.uint64(prime)) for prime in (fast._P1, fast._P2))
    words = []
    for number in range(1, 4 * count):
        x = (number << last) % 2**64
        x ^= x >> 32
        x = x * pow(second, -1, 2**64) % 2**64
        x ^= (x >> 29) ^ (x >> 58)
        x = x * pow(first, -1, 2**64) % 2**64
        words.append(x ^ (x >> 32))
    kept = [word for word in words if word >> 56 >= 8][:count]  # others could be taken for the marks of shorter ones
    assert len(kept) == count
    return np.array(kept, np.uint64).view(np.uint8), np.arange(0, 8 * count + 1, 8)


def test_strings_made_to_crowd_are_not_sought_at_the_places_of_all_others():
    data, offsets = crowding(3_000, 24)
    texts = [data[at : at + 8].tobytes() for at in offsets[:-1]]
    table = np.zeros((8192, 2), np.uint64)
    assert fast._index(data, offsets, table, len(texts)) == len(texts) - 1  # without a bound: 4.5 million places
    assert fast._index(data, offsets, np.zeros_like(table), fast.REACH) == -1
    known = fast.index(data, offsets)
    wanted, at = np.concatenate([data[::-1], data]), np.arange(0, 16 * len(texts) + 1, 8)
    place = {text: number for number, text in enumerate(texts)}
    expected = [place.get(wanted[first : first + 8].tobytes(), -1) for first in at[:-1]]
    assert fast.find(known, data, offsets, wanted, at).tolist() == expected
    rows, times = np.tile(data, 2), np.arange(1, 2 * len(texts) + 1)
    valid, ids = np.arange(len(times)) % 5 > 0, np.full(len(times), -1, np.int32)
    firsts, counts = fast.distinct(rows, at, valid, times, ids)
    by_row = [number % len(texts) for number in range(len(times))]
    counted = Counter()
    for number in np.flatnonzero(valid):
        counted[by_row[number]] += int(times[number])
    assert dict(zip([by_row[row] for row in firsts], counts.tolist(), strict=True)) == dict(counted)
    assert [by_row[firsts[number]] for number in ids[valid]] == [by_row[row] for row in np.flatnonzero(valid)]
    assert (ids[~valid] == -1).all()
    assert (np.diff(firsts) > 0).all()  # by Python's table, that is


def test_a_string_is_sought_no_farther_than_one_stands():
    """In a table where neighbours fill one stretch: each at its own place, and what is not there begins amid them."""
    data, offsets = crowding(1_000, 0)  # marks 1, 2, 3, ...
    table, farthest = fast.index(data, offsets)
    assert farthest == 0
    absent, at = crowding(3_000, 0)
    absent, at = absent[8_000:], at[:-1_000]
    found = np.empty(len(at) - 1, np.int64)
    looked = fast._find(table, farthest, data, offsets, absent, at, found)
    assert (found == -1).all() and looked <= len(found)
