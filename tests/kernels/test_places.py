"""Places by a table: what both forms of the kernels give is what a dictionary does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.kernels.cpu import places as cpu
from gpupipe.kernels.reference import places as reference

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["reference", "cpu"])
INT64 = st.integers(-(2**63), 2**63 - 1)


def table_of(numbers):
    table = np.full(max(numbers, default=-1) + 3, -1)
    table[np.array(numbers, np.int64) + 1] = np.arange(len(numbers))
    return table


@FORMS
@settings(max_examples=100, deadline=None)
@given(
    listed=st.lists(st.integers(0, 90), unique=True, max_size=40),
    low=st.one_of(st.integers(-50, 50), INT64.filter(lambda low: low < 2**63 - 100)),
    wanted=st.lists(st.one_of(st.integers(-60, 160), INT64), max_size=50),
)
def test_numbers_find_their_places(form, listed, low, wanted):
    """Distances beyond int64 wrap, and are beyond the table then too."""
    wanted = [*wanted, *(low + number for number in listed)]
    place = {low + number: at for at, number in enumerate(listed)}
    found = form.find(table_of(listed), np.array(wanted, np.int64), low)
    assert found.dtype == np.int64 and found.tolist() == [place.get(number, -1) for number in wanted]


@FORMS
@settings(max_examples=100, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), unique=True, max_size=30),
    wanted=st.lists(st.tuples(st.integers(-1, 12), st.integers(-1, 6)), max_size=60),
)
def test_pairs_find_their_places(form, pairs, wanted):
    place = {pair: at for at, pair in enumerate(pairs)}
    first, second = np.array(wanted, np.int64).reshape(-1, 2).T.copy()
    found = form.find_both(table_of([a * 7 + b for a, b in pairs]), first, second, 7)
    assert found.tolist() == [place.get(pair, -1) for pair in wanted]


@FORMS
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.bool_])
@pytest.mark.parametrize("least", [-1, 0])
@pytest.mark.parametrize("by_part", [False, True])
def test_what_stands_at_places(form, dtype, least, by_part):
    rng = np.random.default_rng(3)
    values = rng.integers(-5, 5, 60).astype(dtype)
    places, parts = rng.integers(least, 20, 500), rng.integers(0, 3, 500) if by_part else None
    found, seen = form.taken(values, places, parts, 20)
    there = places >= 0
    at = np.where(there, places + (0 if parts is None else 20 * parts), 0)
    assert found.dtype == dtype and found.tolist() == values[at].tolist()
    assert (seen is None) == (least == 0) and (seen is None or seen.tolist() == there.tolist())


@FORMS
@settings(max_examples=100, deadline=None)
@given(numbers=st.lists(st.integers(0, 40), max_size=60), low=st.integers(-(2**62), 2**62), more=st.integers(1, 30))
def test_ranks_are_those_among_the_sorted_distinct_ones(form, numbers, low, more):
    ranks, distinct = form.ranks(np.array(numbers, np.int64) + low, low, max(numbers, default=0) + more)
    wanted = sorted({low + number for number in numbers})
    assert distinct.tolist() == wanted and ranks.dtype == distinct.dtype == np.int64
    assert [wanted[rank] for rank in ranks.tolist()] == [low + number for number in numbers]


@FORMS
@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(-1, 9), st.integers(-1, 6)), max_size=60))
def test_ranks_of_pairs_leave_out_those_without_one(form, pairs):
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T.copy()
    ranks, distinct = form.ranks_of_pairs(first, second, 7, 70)
    wanted = sorted({pair for pair in pairs if min(pair) >= 0})
    assert [divmod(both, 7) for both in distinct.tolist()] == wanted
    places = {pair: at for at, pair in enumerate(wanted)}
    assert ranks.tolist() == [places.get(pair, -1) for pair in pairs]
