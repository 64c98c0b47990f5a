"""Counts and sums of one digit: taken apart by folds as merging states takes them apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupipe.backends.states.gathering import gather, outside_each, without_fold
from gpupipe.backends.states.state import State, groups_of
from gpupipe.backends.states.wholes import added, by_folds, wholes_of
from gpupipe.columns import Column
from gpupipe.schema import Float64, Int64

FOLDS = 3


def alike(one: State, other: State) -> None:
    assert one.arrays.keys() == other.arrays.keys() and len(one.keys) == len(other.keys)
    for a, b in zip(one.keys, other.keys, strict=True):
        assert np.array_equal(a.values, b.values) and np.array_equal(a.valid, b.valid)  # type: ignore[arg-type]
    for name, array in {"rows": one.rows, **one.arrays}.items():
        known = {"rows": other.rows, **other.arrays}[name]
        assert array.dtype == known.dtype and np.array_equal(array, known), name


def state_of(kind: str, numbers: list[float | None], keys: list[int], folds: list[int]) -> State:
    valid = np.array([number is not None for number in numbers], bool)
    values = Column(Float64, np.array([number or 0.0 for number in numbers]), valid)
    by = [Column(Int64, np.array(keys, np.int64)), Column(Int64, np.array(folds, np.int64))]
    return gather(kind, values, groups_of(by, len(numbers)))


@given(
    st.lists(
        st.tuples(
            st.none() | st.sampled_from([0.0, 1.0, -3.0, 2.0**30, 2.0**31 - 1, 0.25, 1e20, float("inf")]),
            st.integers(0, 5),
            st.integers(0, FOLDS - 1),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(["count", "sum"]),
)
def test_folds(rows: list[tuple[float | None, int, int]], kind: str) -> None:
    state = state_of(kind, *(list(column) for column in zip(*rows, strict=True)))
    whole, outside = by_folds(state, FOLDS)
    alike(whole, without_fold(state))
    for fold, one in enumerate(outside):
        alike(one, outside_each(state, whole, fold))


@pytest.mark.parametrize("number", [0.25, 2.0**40, float("inf")])
def test_what_is_no_sum_of_one_digit(number: float) -> None:
    assert wholes_of(state_of("sum", [1.0, number], [0, 1], [0, 0]).arrays) is None
    assert wholes_of(state_of("sum", [1.0, 7.0], [0, 1], [0, 0]).arrays) is not None


def test_a_sum_that_outgrows_its_digit() -> None:
    part = state_of("sum", [2.0**30, 5.0], [0, 1], [0, 0]).arrays
    fits, outgrown = added([part], 3), added([part, part], 3)
    assert fits is not None and fits["sum"][:, 0].tolist() == [2**30, 5, 0]
    assert outgrown is None
