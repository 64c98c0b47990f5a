"""Exact numbers: one form for each, whatever they were added up from."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.exact import number as exact
from gpupipe.backends.exact.number import Exact, combined, from_integers, from_places, negated, stacked

EDGES = [0, 1, -1, 2**31, -(2**31), 2**32 - 1, -(2**32), 2**63 - 1, -(2**63), 2**64, 3 << 70, -(5 << 96)]
WHOLE = st.sampled_from(EDGES) | st.integers(-(2**200), 2**200)
EXPONENT = st.just(0) | st.integers(-1100, 1100)
NUMBERS = st.lists(st.tuples(WHOLE, EXPONENT, st.integers(0, 4)), max_size=25)


def value(whole, exponent):
    return whole * Fraction(2) ** exponent


def same(a: Exact, b: Exact) -> None:
    assert a.digits.dtype == b.digits.dtype == np.uint32 and a.digits.shape == b.digits.shape
    assert (a.digits == b.digits).all() and a.scale.tolist() == b.scale.tolist()


@given(st.lists(WHOLE, max_size=5), EXPONENT)
def test_whole_numbers_there_and_back(wholes, exponent):
    numbers = from_integers(wholes, exponent)
    assert numbers.fractions() == [value(whole, exponent) for whole in wholes]
    assert negated(numbers).fractions() == [-value(whole, exponent) for whole in wholes]


@pytest.mark.parametrize("few", [0, 64])  # arrays, and Python's whole numbers
@pytest.mark.parametrize("at_once", [7, 2**25])
@settings(max_examples=60, deadline=None)
@given(NUMBERS, st.randoms(use_true_random=False))
def test_sums_have_one_form_in_any_order(few, at_once, drawn, random):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_FEW", few)
        patch.setattr(exact, "_PLACES_AT_ONCE", at_once)
        want = [sum((value(w, e) for w, e, group in drawn if group == at), Fraction(0)) for at in range(5)]
        oracle = from_integers([int(number * 2**1100) for number in want], -1100)
        for _ in range(2):
            random.shuffle(drawn)
            parts = [from_integers([whole], exponent) for whole, exponent, _ in drawn]
            groups = np.array([group for *_, group in drawn], np.int64)
            if parts:
                same(combined(stacked(parts), groups, 5), oracle)
                in_steps = combined(stacked(parts[:1]), groups[:1], 5)
                for part, group in zip(parts[1:], groups[1:], strict=True):
                    in_steps = combined(stacked([in_steps, part]), np.array([*range(5), group]), 5)
                same(in_steps, oracle)


@settings(max_examples=60, deadline=None)
@given(NUMBERS.filter(bool), NUMBERS.filter(bool))
def test_a_part_taken_out_leaves_the_other(first, second):
    parts = []
    for drawn in (first, second):
        numbers = stacked([from_integers([whole], exponent) for whole, exponent, _ in drawn])
        parts.append(combined(numbers, np.array([group for *_, group in drawn]), 5))
    both = combined(stacked(parts), np.tile(np.arange(5), 2), 5)
    same(combined(stacked([both, negated(parts[1])]), np.tile(np.arange(5), 2), 5), parts[0])


@pytest.mark.parametrize("n", [1, 200])
def test_places_are_carried(n):
    places = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, (4, n))
    found = from_places(places, -3).fractions()
    assert found == [sum(int(x) * Fraction(2) ** (32 * (at - 3)) for at, x in enumerate(column)) for column in places.T]
    assert len(from_places(np.zeros((2, 0), np.int64), 0)) == 0
