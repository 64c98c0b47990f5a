"""Ordered bits and bins: the order is that of the values, and both forms of the kernel count alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gpupipe.kernels.cpu import radix as compiled
from gpupipe.kernels.reference import radix

FORMS = pytest.mark.parametrize("form", [radix, compiled], ids=["numpy", "numba"])
ODD = [
    0.0, -0.0, 5e-324, -5e-324, 2.0**-64, -(2.0**-64), np.nextafter(2.0**-64, 0), 2.0**64, -(2.0**64),
    np.nextafter(2.0**64, 0), 1.0, np.nextafter(1.0, 0), 1.7e308, -1.7e308, np.inf, -np.inf,
]  # fmt: skip
numbers = st.sampled_from(ODD) | st.floats(allow_nan=False)


@given(st.lists(numbers, min_size=2, max_size=50))
def test_bits_stand_in_the_order_of_the_values(drawn):
    values = np.sort(np.array(drawn))
    bits = radix.ordered_bits(values)
    assert ((values[1:] > values[:-1]) == (bits[1:] > bits[:-1])).all()
    assert ((values[1:] == values[:-1]) == (bits[1:] == bits[:-1])).all()
    assert (radix.floats_of(bits) == values).all()
    assert (np.diff(radix.bins_of(values)) >= 0).all()


@given(st.floats(-1e308, 1e308))
def test_a_neighbour_is_one_bit_away(value):
    above = np.nextafter(value, np.inf)
    step = int(np.diff(radix.ordered_bits(np.array([value, above])))[0])
    assert step == (2 if value == -5e-324 else 1)


def test_a_bin_is_what_lies_between_its_first_bits_and_the_next():
    first = radix.first_bits()
    assert len(first) == radix.BINS + 1 and (np.diff(first) > 0).all()
    inside = np.arange(radix.BINS)
    assert (radix.bins_of(radix.floats_of(first[:-1])) == inside).all()
    last = first[1:] - 1
    last[radix.BINS // 2 - 1] -= 1  # the bits of -0.0, which no value has
    assert (radix.bins_of(radix.floats_of(last)) == inside).all()
    assert radix.floats_of(first[[0]])[0] == -np.inf and radix.floats_of(last[[-1]])[0] == np.inf


def test_an_ordinary_bin_is_a_256th_of_a_power_of_two():
    for power in (-64, -1, 0, 6, 62):
        edges = 2.0**power * (1 + np.arange(257) / 256)
        assert (np.diff(radix.bins_of(edges)) == 1).all() and (np.diff(radix.bins_of(-edges)) == -1).all()
        below = np.nextafter(edges[1:], 0)
        assert (radix.bins_of(below) == radix.bins_of(edges[:-1])).all()


@FORMS
@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(0, 300), elements=numbers), st.integers(1, 4), st.integers(0, 2**32))
def test_counts_of_bins(form, values, n_groups, seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, n_groups, len(values))
    found = form.histogram(values, groups, n_groups)
    first = radix.floats_of(radix.first_bits()[:-1])
    for group in range(n_groups):
        expected = np.searchsorted(first, values[groups == group], side="right") - 1
        assert (found[group] == np.bincount(expected, minlength=radix.BINS)).all()
    assert (form.histogram(values)[0] == found.sum(axis=0)).all()


@FORMS
@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, st.integers(0, 60), elements=numbers), st.lists(numbers, min_size=2, max_size=60, unique=True)
)
def test_rows_between(form, values, bounds):
    edges = np.unique(radix.ordered_bits(np.array(bounds)))
    edges = edges[: len(edges) // 2 * 2]
    if not len(edges):
        return
    for low, high in ((edges[::2], edges[1::2]), (edges[:-1], edges[1:])):
        bits = radix.ordered_bits(values)
        inside = ((bits[:, None] >= low) & (bits[:, None] < high)).any(axis=1)
        assert form.rows_between(values, low, high).tolist() == np.flatnonzero(inside).tolist()
    first = radix.first_bits()
    assert form.rows_between(values, first[:-1], first[1:]).tolist() == list(range(len(values)))


@FORMS
def test_whole_blocks_and_the_rest(form):
    values = np.random.default_rng(1).normal(100, 10, 2 * radix._BLOCK + 7)
    assert form.histogram(values).sum() == len(values)
    low, high = radix.ordered_bits(np.array([100.0, 100.25]))
    expected = np.flatnonzero((values >= 100) & (values < 100.25))
    assert np.array_equal(form.rows_between(values, np.array([low]), np.array([high])), expected)
    strided = np.repeat(values, 2)[::2]
    assert np.array_equal(form.histogram(strided), form.histogram(values))
