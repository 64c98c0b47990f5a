"""Sums of products on settled grids, against rational arithmetic."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.gram.products import NO_TOP, Across, Adding, depth_of, digits, tops_of
from gpupipe.kernels.reference.gram import DIGIT, ROWS

NUMBERS = st.floats(-1e6, 1e6, width=32)


def rounded(value: float, top: int, depth: int) -> Fraction:
    """To the grid of a column."""
    unit = Fraction(2) ** (top - DIGIT * depth)
    return round(Fraction(value) / unit) * unit


@settings(max_examples=30, deadline=None)
@given(data=st.data(), depth=st.integers(1, 3), other_depth=st.integers(1, 3))
def test_sums_are_those_of_rounded_values(data: Any, depth: int, other_depth: int) -> None:
    rows = data.draw(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=30))
    values = np.array(rows)
    X, Y = values[:, :2], values[:, 2:]
    across = Across(tops_of(X), tops_of(Y), depth, other_depth)
    adding = Adding(across.shape)
    cut = data.draw(st.integers(0, len(rows)))
    for some in (slice(0, cut), slice(cut, None)):
        adding.add(across.products(X[some].T, Y[some].T))
    adding.carry()
    found = across.sums(adding.halves)
    for column in range(2):
        pairs = zip(X[:, column].tolist(), Y[:, 0].tolist(), strict=True)
        tops = int(across.tops[column]), int(across.other_tops[0])
        exact = sum(
            (rounded(x, max(tops[0], -99), depth) * rounded(y, max(tops[1], -99), other_depth) for x, y in pairs),
            Fraction(0),
        )
        if NO_TOP in tops:
            assert found[column, 0] == 0.0
        else:  # a half of a unit may be rounded either way, digit by digit
            units = [Fraction(2) ** (top - DIGIT * d) for top, d in zip(tops, (depth, other_depth), strict=True)]
            largest = [Fraction(2) ** top for top in tops]
            allowed = len(rows) * (units[0] * largest[1] + units[1] * largest[0]) + abs(exact) * Fraction(2) ** -52
            assert abs(Fraction(float(found[column, 0])) - exact) <= allowed


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=40), st.randoms())
def test_what_fits_the_digits_is_exact_in_any_order(rows: Any, random: Any) -> None:
    X = np.array(rows)
    across = Across(tops_of(X), tops_of(X), 9, 9)  # 189 bits: float32 of this range fits
    exact = [[float(sum(Fraction(a[i]) * Fraction(a[j]) for a in rows)) for j in range(2)] for i in range(2)]
    for _ in range(2):
        adding = Adding(across.shape)
        for row in random.sample(range(len(rows)), len(rows)):
            adding.add(across.products(X[row : row + 1].T, X[row : row + 1].T))
        adding.carry()
        assert across.sums(adding.halves).tolist() == exact
    adding = Adding(across.shape)
    adding.add(across.square(X.T))
    adding.carry()
    assert across.sums(adding.halves).tolist() == exact


def test_a_full_tile_of_the_largest_digits() -> None:
    X = np.full((ROWS, 1), np.nextafter(1.0, 0.0))
    across = Across(tops_of(X), tops_of(X), 1, 1)
    adding = Adding(across.shape)
    for _ in range(1500):  # more than int64 holds without carrying
        adding.add(across.square(X.T))
    adding.carry()
    assert across.sums(adding.halves)[0, 0] == 1500 * ROWS


def test_digits_hold_the_value() -> None:
    values = np.array([[0.1, -3.75], [-0.0999, 1e-9]])
    tops = tops_of(values)
    parts = [part.T.copy() for part in digits(values.T, tops, 4)]
    back = sum(np.ldexp(part, (tops - DIGIT * (place + 1)).astype(np.intc)) for place, part in enumerate(parts))
    assert np.array_equal(back, values) and all((np.abs(part) <= 2**DIGIT).all() for part in parts)


@pytest.mark.parametrize(("last_bit", "wanted"), [(0, 1), (-18, 1), (-19, 2), (-60, 3), (-61, 4), (-500, 4)])
def test_as_many_digits_as_values_need(last_bit: int, wanted: int) -> None:
    assert depth_of(np.array([3, NO_TOP]), np.array([last_bit, 2**20]), 4) == wanted
