"""The order of strings is that of their bytes, whether eight of them tell them apart or not."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.order import order_of_strings

WORDS = st.one_of(st.text(max_size=12), st.text("ab\x00", max_size=9), st.text("ab", min_size=6, max_size=10))


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(WORDS, max_size=60), before=st.integers(0, 3), unique=st.booleans())
def test_strings_are_sorted_by_their_bytes(texts, before, unique):
    texts = list(dict.fromkeys(texts)) if unique else texts
    many = [*texts, *(f"{number:05}" for number in range(300))]
    for some in (texts, many):
        wanted = sorted(range(len(some)), key=lambda at: some[at].encode())
        assert order_of_strings(pa.array(["x"] * before + some, pa.string())[before:]).tolist() == wanted


@pytest.mark.parametrize("length", [1, 7, 8, 9, 20])
def test_codes_of_one_length(length):
    numbers = np.random.default_rng(length).integers(0, 2**63, 3000)
    texts = list(dict.fromkeys(f"{number:020x}"[-length:] for number in numbers.tolist()))
    order = order_of_strings(pa.array(texts))
    assert order.dtype == np.int64 and [texts[at] for at in order.tolist()] == sorted(texts)
