"""The exact kernels: both forms against rational numbers, and what each says does not lie on a grid."""

from fractions import Fraction

import numpy as np
import pytest

from gpupipe.kernels.cpu import exact as fast
from gpupipe.kernels.reference import exact

FORMS = [pytest.param(exact, id="numpy"), pytest.param(fast, id="numba")]
N = 3 * exact.ROWS + 77  # the last tile is short


def number(totals, exponents):
    return sum((int(total) * Fraction(2) ** exponent for total, exponent in zip(totals, exponents, strict=True)), 0)


def exponents_of(low, slices, squares):
    width = exact.width_of(squares)
    return [low + width * (slices - 1 - place) for place in range(slices)]


def on_grid(low, slices, squares, n=N, seed=0):
    """Values that lie on the grid and use all of it."""
    rng = np.random.default_rng(seed)
    bits = exact.width_of(squares) * slices
    place = rng.integers(0, bits - 10, n)
    return rng.integers(-1000, 1000, n) * 2.0 ** (low + np.minimum(place, bits - 12))


@pytest.mark.parametrize("run", FORMS)
@pytest.mark.parametrize(("slices", "squares"), [(2, True), (3, True), (4, True), (2, False)])
@pytest.mark.parametrize("low", [-500, -60, 0, 300])
def test_tiles_on_the_grid_add_up_exactly(run, slices, squares, low):
    values = on_grid(low, slices, squares)
    totals = np.zeros(exact.n_totals(slices, squares), np.int64)
    wrong = run.tile_sums(values, low, slices, squares, totals)
    assert not len(wrong)
    whole = [Fraction(value) for value in values.tolist()]
    exponents = exponents_of(low, slices, squares)
    assert number(totals[:slices], exponents) == sum(whole)
    if squares:
        pairs = exact.pairs_of(slices)
        weights = [exponents[i] + exponents[j] + (i != j) for i, j in pairs]
        assert number(totals[slices:], weights) == sum(value * value for value in whole)


@pytest.mark.parametrize("run", FORMS)
@pytest.mark.parametrize(("slices", "squares"), [(2, True), (3, True), (4, True), (2, False)])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 1e300, -1e300, 2.0**-200, 5e-324, -1e-310])
def test_a_tile_with_a_value_off_the_grid_is_named_and_left_out(run, slices, squares, odd):
    values = on_grid(-30, slices, squares)
    values[exact.ROWS + 5] = odd
    totals = np.zeros(exact.n_totals(slices, squares), np.int64)
    assert run.tile_sums(values, -30, slices, squares, totals).tolist() == [1]
    others = np.concatenate([values[: exact.ROWS], values[2 * exact.ROWS :]])
    again = np.zeros_like(totals)
    assert not len(run.tile_sums(others, -30, slices, squares, again))
    assert number(totals[:slices], exponents_of(-30, slices, squares)) == sum(map(Fraction, others.tolist()))
    assert exact.off_grid(values, -30, slices, squares).nonzero()[0].tolist() == [exact.ROWS + 5]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", ["normal", "wide", "whole", "cancelling", "all exponents", "nothing"])
@pytest.mark.parametrize(("slices", "squares"), [(2, True), (3, True), (4, True), (2, False)])
def test_both_forms_give_the_same_totals_and_name_the_same_tiles(dtype, shape, slices, squares):
    with np.errstate(over="ignore"):
        values = hard(shape, 20 * exact.ROWS - 3).astype(dtype)
    found = []
    for run in (exact, fast):
        totals = np.zeros(exact.n_totals(slices, squares), np.int64)
        wrong = run.tile_sums(values, 3 - exact.width_of(squares) * slices, slices, squares, totals)
        found.append((totals.tolist(), wrong.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize("shape", ["normal", "wide", "whole", "cancelling", "all exponents", "nothing"])
@pytest.mark.parametrize(("slices", "squares"), [(1, True), (2, True), (3, True), (4, True), (1, False), (2, False)])
def test_both_forms_give_the_same_totals_by_group(shape, slices, squares):
    values = hard(shape, 9000)
    groups = np.random.default_rng(1).integers(0, 7, len(values))
    low = 3 - exact.width_of(squares) * slices
    found = []
    for run in (exact, fast):
        totals = np.zeros((7, 3 * slices - 1 if squares else slices), np.int64)
        off = run.group_sums(values, groups, low, slices, squares, totals)
        found.append((totals.tolist(), off.tolist()))
    assert found[0] == found[1]
    on = np.ones(len(values), bool)
    on[found[0][1]] = False
    exponents = exponents_of(low, slices, squares)
    weights = [2 * low + exact.width_of(True) * (2 * slices - 2 - weight) for weight in range(2 * slices - 1)]
    for group, totals in enumerate(found[0][0]):
        whole = [Fraction(value) for value in values[on & (groups == group)].tolist()]
        assert number(totals[:slices], exponents) == sum(whole)
        if squares:
            assert number(totals[slices:], weights) == sum(value * value for value in whole)


@pytest.mark.parametrize("squares", [False, True])
@pytest.mark.parametrize("often", [False, True])
def test_digits_take_any_value_any_number_of_times(squares, often):
    rng = np.random.default_rng(2)
    edges = [0, 1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63), 2**32 - 1, 2**32, -(2**31)]
    whole = np.array([*edges, *rng.integers(-(2**63), 2**63 - 1, 200)])
    exponents = rng.integers(-1074, 970, len(whole))
    times = np.array([*[2**63 - 1, 0] * 5, *rng.integers(0, 2**40, 200)]) if often else None
    groups = rng.integers(0, 3, len(whole))
    base = int(exponents.min() >> 5) * (2 if squares else 1)
    found = []
    for run in (exact, fast):
        totals = np.zeros((150, 3), np.int64)
        run.digit_sums(whole, exponents, times, groups, base, squares, totals)
        found.append(totals)
    assert (found[0] == found[1]).all()
    counted = [1] * len(whole) if times is None else times.tolist()
    for group in range(3):
        want = sum(
            n * (value * Fraction(2) ** exponent) ** (2 if squares else 1)
            for value, exponent, n, of in zip(whole.tolist(), exponents.tolist(), counted, groups.tolist(), strict=True)
            if of == group
        )
        assert number(found[0][:, group], range(32 * base, 32 * (base + 150), 32)) == want


def hard(shape, n):
    rng = np.random.default_rng(0)
    if shape == "cancelling":
        half = rng.normal(size=n // 2)
        return np.concatenate([half, -half, half[: n % 2]])
    return {
        "normal": rng.normal(size=n),
        "wide": rng.lognormal(0, 3, n),
        "whole": rng.integers(-3, 3, n) * 1.0,
        "all exponents": np.ldexp(rng.normal(size=n), rng.integers(-1074, 1020, n)),
        "nothing": np.where(rng.random(n) < 0.5, 0.0, -0.0),
    }[shape]
