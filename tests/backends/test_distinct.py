"""Distinct strings: Arrow's table and ours give the same entries."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends import distinct, keys
from gpupipe.backends.strings import text_column
from gpupipe.columns import Column
from gpupipe.kernels.cpu import lookup
from gpupipe.schema import String

texts = st.lists(st.none() | st.text(max_size=12), max_size=60)
FORMS = pytest.mark.parametrize("kernels", [None, lookup], ids=["Arrow", "ours"])



@FORMS
@settings(max_examples=60, deadline=None)
@given(rows=texts, by_arrow=st.booleans(), weighed=st.booleans())
def test_counts_are_those_of_a_counter(kernels, rows, by_arrow, weighed):
    column = text_column(pa.array(rows, pa.string()))
    if not by_arrow and column.valid is not None:  # nulls that validity alone states
        column = Column(String, column.values.fill_null("?"), column.valid)
    times = np.arange(1, len(rows) + 1) if weighed else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "kernels_for", lambda strings: kernels)
        strings, counts = keys.value_counts(column, times)
    wanted = Counter()
    for at, row in enumerate(rows):
        wanted.update({} if row is None else {row: at + 1 if weighed else 1})
    assert dict(zip(strings.values.to_pylist(), counts.tolist(), strict=True)) == dict(wanted)


@FORMS
@pytest.mark.parametrize("dictionary", [False, True])
@settings(max_examples=60, deadline=None)
@given(rows=texts)
def test_ranks_are_those_of_sorting(kernels, dictionary, rows):
    """By bytes, nulls last."""
    plain = text_column(pa.array(rows, pa.string()))
    column = Column(String, plain.values.dictionary_encode() if dictionary else plain.values, plain.valid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "kernels_for", lambda strings: kernels)
        ranks, uniques = keys.column_ranks(column)
    words = sorted({row for row in rows if row is not None}, key=lambda word: word.encode())
    assert uniques.values.to_pylist()[: len(words)] == words
    assert ranks.tolist() == [len(words) if row is None else words.index(row) for row in rows]
