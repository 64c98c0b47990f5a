"""States of sums and moments: the same arrays from any parts in any order; what comes in may be taken out."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from folds import outside_fold
from hypothesis import given, settings
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.exact.rational import ExactMoments, each_moments, exact_moments, rounded, rounded_root
from gpupipe.backends.finish import FINISH
from gpupipe.backends.states.gathering import gather, merge, merge_alike, regroup, with_rows, without_nulls
from gpupipe.backends.states.moments import negated
from gpupipe.backends.states.state import State, groups_of
from gpupipe.columns import Column
from gpupipe.errors import IntegerOverflowError, NonFiniteError
from gpupipe.expr.node import make
from gpupipe.schema import Boolean, Float32, Float64, Int64

FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 5e-324, 1e300, -1e-300, 1e16])
INTEGERS = st.integers(-(2**63), 2**63 - 1)
DTYPES = {Float64: FLOATS, Float32: st.floats(allow_nan=False, allow_infinity=False, width=32), Int64: INTEGERS,
          Boolean: st.booleans()}  # fmt: skip


def column(values, dtype):
    valid = np.array([value is not None for value in values], bool)
    stored = np.array([0 if value is None else value for value in values], dtype.storage)
    return Column(dtype, stored, None if valid.all() else valid)


def state_of(kind, values, keys, dtype, fold=None):
    by = [Column(Int64, np.array(part, np.int64)) for part in keys]
    return gather(kind, column(values, dtype), groups_of(by, len(values)))


def same(a: State, b: State) -> None:
    assert a.arrays.keys() == b.arrays.keys() and a.rows.tolist() == b.rows.tolist()
    assert [key.values.tolist() for key in a.keys] == [key.values.tolist() for key in b.keys]
    for name, array in a.arrays.items():
        assert array.dtype == b.arrays[name].dtype and array.shape == b.arrays[name].shape, name
        assert array.tobytes() == b.arrays[name].tobytes(), name


@st.composite
def tables(draw):
    dtype = draw(st.sampled_from(sorted(DTYPES, key=str)))
    values = draw(st.lists(st.none() | DTYPES[dtype], min_size=1, max_size=30))
    keys = [draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))] * draw(st.integers(0, 1))
    cuts = sorted(draw(st.lists(st.integers(0, len(values)), max_size=5)))
    return dtype, values, keys, draw(st.permutations(range(len(values)))), [0, *cuts, len(values)]


@pytest.mark.parametrize("kind", ["sum", "moments"])
@settings(max_examples=120, deadline=None)
@given(tables(), st.data())
def test_any_parts_in_any_order_are_the_same_arrays(kind, drawn, data):
    dtype, values, keys, order, cuts = drawn
    whole = state_of(kind, values, keys, dtype)
    mixed, mixed_keys = [values[at] for at in order], [[key[at] for at in order] for key in keys]
    bounds = list(itertools.pairwise(cuts))
    parts = [state_of(kind, mixed[a:b], [key[a:b] for key in mixed_keys], dtype) for a, b in bounds]
    same(merge(parts) if len(parts) > 1 else parts[0], whole)
    while len(parts) > 1:  # a random tree of merges
        at = data.draw(st.integers(0, len(parts) - 2))
        parts[at : at + 2] = [merge(parts[at : at + 2])]
    same(parts[0], whole)
    if kind == "moments":
        groups = [0] * len(values) if not keys else keys[0]
        for group, moments in zip(sorted(set(groups)), each_moments(whole), strict=True):
            held = [Fraction(v) for v, k in zip(values, groups, strict=True) if k == group and v is not None]
            assert moments == ExactMoments(len(held), sum(held, Fraction(0)), sum((v * v for v in held), Fraction(0)))


@pytest.mark.parametrize("kind", ["sum", "moments"])
@settings(max_examples=60, deadline=None)
@given(tables())
def test_a_part_is_taken_out_again(kind, drawn):
    dtype, values, keys, _, cuts = drawn
    first, second = (state_of(kind, half, [key[: len(half)] for key in keys], dtype)
                     for half in (values, values[: cuts[1]]))  # fmt: skip
    taken = State(kind, second.keys, -second.rows, negated(second.arrays))
    left, rest = merge([merge([first, second]), taken]), first
    same(left, rest)


@pytest.mark.parametrize("kind", ["sum", "moments"])
@settings(max_examples=60, deadline=None)
@given(tables(), st.lists(st.integers(0, 2), min_size=30, max_size=30))
def test_the_other_folds_are_the_state_of_their_rows(kind, drawn, folds):
    dtype, values, keys, *_ = drawn
    folds = folds[: len(values)]
    state = state_of(kind, values, [*keys, folds], dtype)
    for fold in set(folds):
        rows = [at for at, other in enumerate(folds) if other != fold]
        if rows:
            outside = state_of(kind, [values[at] for at in rows], [[key[at] for at in rows] for key in keys], dtype)
            same(outside_fold(state, fold), outside)


@pytest.mark.parametrize("kind", ["sum", "moments"])
@settings(max_examples=60, deadline=None)
@given(tables(), st.data())
def test_a_fill_known_later_is_the_state_of_the_filled_column(kind, drawn, data):
    dtype, values, _, *_ = drawn
    fill = data.draw(DTYPES[dtype])
    filled = state_of(kind, [fill if value is None else value for value in values], [], dtype)
    nulls = np.array([sum(value is None for value in values)])
    state, groups = state_of(kind, values, [], dtype), np.zeros(1, np.int64)
    same(with_rows(without_nulls(state, nulls, groups), column([fill], dtype), nulls, groups), filled)


def test_more_groups_than_are_added_at_once():
    rng = np.random.default_rng(0)
    values, keys = rng.normal(size=40_000) * 1e9, rng.integers(0, 30_000, 40_000)
    whole = gather("moments", Column(Float64, values), groups_of([Column(Int64, keys)], len(values)))
    half = keys < 15_000
    parts = [
        gather("moments", Column(Float64, values[rows]), groups_of([Column(Int64, keys[rows])], int(rows.sum())))
        for rows in (half, ~half)
    ]
    same(merge(parts), whole)
    everything = regroup(whole, [], np.zeros(whole.n_groups, np.int64))
    assert exact_moments(everything).total == sum(map(Fraction, values.tolist()))


# -- finished -----------------------------------------------------------------------------------------------------
def finished(op, values, dtype, **params):
    state = state_of("sum" if op == "sum" else "moments", values, [], dtype)
    result = Int64 if op == "sum" and dtype in (Int64, Boolean) else Float64
    (value,) = FINISH[op](state, make(op, make("col", name="x"), keys=0, **params), result).values.tolist()
    return value


def test_special_values():
    inf = math.inf
    assert finished("sum", [inf, 1e308, 1e308], Float64) == inf
    assert finished("sum", [-inf, 1.0], Float32) == -inf
    with pytest.raises(NonFiniteError, match="both signs"):
        finished("sum", [inf, -inf], Float64)
    assert str(finished("sum", [-0.0, -0.0], Float64)) == "0.0"
    assert finished("sum", [5e-324] * 3, Float64) == 1.5e-323
    assert finished("sum", [1e308, 1e308, -1e308], Float64) == 1e308
    assert finished("mean", [1.7e308] * 3, Float64) == 1.7e308
    assert finished("var", [1e300, 1e300], Float64, ddof=0) == 0
    with pytest.raises(NonFiniteError, match="beyond float64"):
        finished("sum", [1e308, 1e308], Float64)
    with pytest.raises(NonFiniteError, match="beyond float64"):
        finished("var", [1e300, -1e300], Float64, ddof=0)
    assert finished("std", [1e300, -1e300], Float64, ddof=0) == 1e300
    with pytest.raises(NonFiniteError, match="no place in a mean"):
        finished("mean", [1.0, inf], Float64)


def test_integers_are_exact_and_refused_only_beyond_int64():
    big = 2**62
    assert finished("sum", [big, big, -big, 3], Int64) == big + 3
    assert finished("sum", [-(2**63)], Int64) == -(2**63)
    assert finished("sum", [True, True, False], Boolean) == 2
    with pytest.raises(IntegerOverflowError, match="leaves int64"):
        finished("sum", [big, big], Int64)
    assert finished("mean", [2**53 + 1, 2**53 + 1, 2**53 + 3], Int64) == float(Fraction(3 * 2**53 + 5, 3))
    assert finished("var", [2**62, 2**62 + 2], Int64, ddof=0) == 1.0


def test_infinities_are_counted_by_group_and_fold():
    values = [math.inf, 1.0, -math.inf, 2.0, math.inf]
    state = state_of("sum", values, [[0, 0, 1, 1, 1], [0, 0, 0, 1, 1]], Float64)
    assert state.arrays["infinite"].tolist() == [[1, 0], [0, 1], [1, 0]]
    assert outside_fold(state, 0).arrays["infinite"].tolist() == [[1, 0]]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_affine_steps_act_before_the_one_rounding(values, scale, shift):
    moments = exact_moments(state_of("moments", values, [], Float64)).affine(scale, shift)
    moved = [Fraction(scale) * Fraction(value) + Fraction(shift) for value in values]
    mean = sum(moved, Fraction(0)) / len(moved)
    spread = sum(((value - mean) ** 2 for value in moved), Fraction(0)) / (len(moved) - 1)
    assert moments.mean() == mean and moments.var(1) == spread
    assert rounded(mean) == mean.numerator / mean.denominator
    assert math.isclose(rounded_root(spread) ** 2, spread, rel_tol=1e-15, abs_tol=1e-300)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_a_pipeline_has_the_same_bits_however_its_source_is_cut(device):
    rng = np.random.default_rng(0)
    values = rng.normal(size=500) * 10.0 ** rng.integers(-12, 12, 500)
    data = {"x": [None if at % 9 == 0 else value for at, value in enumerate(values.tolist())], "g": [1, 2, 3, 4] * 125}
    features = [col("x").mean().over("g").cast("Float64"), col("x").std(ddof=1).cast("Float64").alias("s"),
                col("x").sum().cast("Float64").alias("t")]  # fmt: skip
    found = [gp.Pipeline(features, device=device).fit_transform(gp.scan(data, partitions=n)) for n in (1, 7)]
    assert found[0].equals(found[1])


@given(st.lists(st.tuples(st.sampled_from(["sum", "moments", "tails"]), st.sampled_from([Float64, Float32, Int64])),
                min_size=1, max_size=5), st.integers(2, 4), st.data())  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_states_side_by_side_are_merged_as_each_by_itself(kinds, parts, data):
    states = [
        [
            state_of(kind, data.draw(st.lists(st.none() | DTYPES[dtype], min_size=1, max_size=6)), [], dtype)
            for kind, dtype in kinds
            if not (kind == "tails" and dtype == Int64)
        ]
        for _ in range(parts)
    ]
    merged = merge_alike(states) if states[0] else []
    for number, found in enumerate(merged):
        assert found is not None
        same(found, merge([part[number] for part in states]))


def test_states_of_other_kinds_and_by_keys_are_left_to_merge():
    states = [state_of("sum", [1, 2], [[0, 1]], Int64), state_of("count", [1], [], Int64)]
    assert merge_alike([states, states]) == [None, None]
