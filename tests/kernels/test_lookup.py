"""Strings looked up by hash: both forms of the kernels against a dictionary."""

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
