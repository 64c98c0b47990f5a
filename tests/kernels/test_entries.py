"""Kernels of dictionaries: both forms, and the oracle, which counts and takes a row at a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.kernels.cpu import entries as cpu
from gpupipe.kernels.reference import entries as reference

FORMS = [reference, cpu]
QUICK = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize("kernels", FORMS, ids=["reference", "cpu"])
@QUICK
@given(
    st.lists(st.tuples(st.integers(-3, 12) | st.sampled_from([2**31 - 1, -(2**31)]), st.booleans()), max_size=40),
    st.integers(0, 10), st.booleans(),
)  # fmt: skip
def test_rows_are_counted_by_entry(kernels: Any, rows: list[tuple[int, bool]], size: int, told: bool) -> None:
    """Under a null may stand any number; one that is no entry counts for none."""
    ids, valid = np.array([row[0] for row in rows], np.int32), np.array([row[1] for row in rows], bool)
    found = kernels.counted(ids, valid if told else None, size)
    counting = [number for number, there in rows if there or not told]
    assert found.dtype == np.int64 and found.tolist() == [counting.count(entry) for entry in range(size)]


@pytest.mark.parametrize("kernels", FORMS, ids=["reference", "cpu"])
@QUICK
@given(
    st.lists(st.lists(st.tuples(st.integers(-2, 12), st.booleans()), max_size=40), max_size=4),
    st.integers(0, 10), st.booleans(), st.sampled_from([0, 8_192]),
)  # fmt: skip
def test_entries_that_rows_use(
    kernels: Any, parts: list[list[tuple[int, bool]]], size: int, told: bool, beyond: int
) -> None:
    """The counters of one call are none of the next one's, whatever their number was."""
    counts = np.zeros(size + beyond, np.int64)
    for rows in parts:
        ids, valid = np.array([row[0] for row in rows], np.int32), np.array([row[1] for row in rows], bool)
        counting = [number for number, there in rows if there or not told]
        entries, times = kernels.used(ids, valid if told else None, size + beyond)
        wanted = sorted({number for number in counting if 0 <= number < size + beyond})
        assert entries.dtype == times.dtype == np.int32 and entries.tolist() == wanted
        assert times.tolist() == [counting.count(entry) for entry in wanted]
        before = counts.copy()
        kernels.add(counts, entries, times)
        assert (counts - before).sum() == times.sum() and (counts - before)[entries].tolist() == times.tolist()


@pytest.mark.parametrize("kernels", FORMS, ids=["reference", "cpu"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@QUICK
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=9), st.lists(st.integers(-20, 20), max_size=40))
def test_what_stands_for_a_row_is_taken(kernels: Any, dtype: Any, entries: list[int], ids: list[int]) -> None:
    found = kernels.taken(np.array(entries, dtype), np.array(ids, np.int32))
    assert found.dtype == dtype
    assert found.tolist() == [entries[min(max(number, 0), len(entries) - 1)] for number in ids]


@pytest.mark.parametrize("kernels", FORMS, ids=["reference", "cpu"])
def test_every_other_row_of_an_array(kernels: Any) -> None:
    ids, valid = np.array([0, 9, 1, 9, 1, 9], np.int32)[::2], np.array([1, 0, 0, 0, 1, 0], bool)[::2]
    assert kernels.counted(ids, valid, 2).tolist() == [1, 1]
    assert kernels.taken(np.array([7, 0, 8, 0], np.int64)[::2], ids).tolist() == [7, 8, 8]
