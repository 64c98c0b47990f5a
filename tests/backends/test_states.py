"""Mergeable states: any order and partitioning gives what NumPy and Polars give of the whole."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from folds import outside_fold
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.finish import FINISH, vocabulary
from gpupipe.backends.states.gathering import (
    gather,
    merge,
    outside_each,
    with_rows,
    without_fold,
    without_nulls,
)
from gpupipe.backends.states.kinds import KINDS
from gpupipe.backends.states.state import groups_of
from gpupipe.columns import Column
from gpupipe.compiler.scans import TAILS
from gpupipe.errors import NonFiniteError
from gpupipe.expr.node import make
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.schema import Float64, Int64, String

VALUE = make("col", name="v")
NODES = {
    "std": make("std", VALUE, keys=0, ddof=1),
    "var": make("var", VALUE, keys=0, ddof=0),
    "quantile": make("quantile", VALUE, keys=0, q=0.3),
    "vocabulary": make("vocabulary", VALUE, keys=0, min_count=2, max_size=None, order="count"),
}
THEIRS = {
    "count": lambda v: v.count(), "null_count": lambda v: v.null_count(), "sum": lambda v: v.sum(),
    "mean": lambda v: v.mean(), "std": lambda v: v.std(), "var": lambda v: v.var(ddof=0), "min": lambda v: v.min(),
    "max": lambda v: v.max(), "median": lambda v: v.median(), "quantile": lambda v: v.quantile(0.3, "linear"),
    "mode": lambda v: v.drop_nulls().mode().min(), "n_unique": lambda v: v.drop_nulls().n_unique(),
}  # fmt: skip


def column(values, kind=None):
    """A column of Python values, None as null."""
    valid = np.array([value is not None for value in values], bool)
    mask = None if valid.all() else valid
    if kind == String or any(isinstance(value, str) for value in values):
        return Column(String, pa.array([value or "" for value in values], pa.string()), mask)
    filled = [0 if value is None else value for value in values]
    dtype = Float64 if kind == Float64 or any(isinstance(value, float) for value in values) else Int64
    return Column(dtype, np.array(filled, dtype.storage), mask)


def state_of(kind, values, keys, dtype):
    columns = [column(part, String) for part in keys]
    return gather(kind, column(values, dtype), groups_of(columns, len(values)))


def finished(op, state, dtype):
    """{key of the group: value}, None as null."""
    found = FINISH[op](state, NODES.get(op, make(op, VALUE, keys=0)), REDUCTIONS[op].result(dtype))
    keys = list(zip(*(plain(key) for key in state.keys), strict=True)) if state.keys else [()]
    return dict(zip(keys, plain(found), strict=True))


def plain(col):
    values = col.values.to_pylist() if col.dtype == String else col.values.tolist()
    return values if col.valid is None else [v if ok else None for v, ok in zip(values, col.valid, strict=True)]


def expected(op, values, keys, dtype):
    frame = pl.DataFrame({"v": pl.Series(values, dtype=pl.Float64 if dtype == Float64 else pl.Int64)})
    frame = frame.with_columns(pl.Series(f"k{at}", part, dtype=pl.String) for at, part in enumerate(keys))
    if not keys:
        return {(): frame.select(THEIRS[op](pl.col("v")))["v"][0]}
    names = [f"k{at}" for at in range(len(keys))]
    found = frame.group_by(names).agg(THEIRS[op](pl.col("v")))
    return {row[:-1]: row[-1] for row in found.select([*names, "v"]).iter_rows()}


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        x, y = a[key], b[key]
        assert (x is None) == (y is None), key
        # Ours are exact and rounded once; Polars' sums are rounded on the way.
        assert x is None or abs(x - y) <= 1e-12 * max(1000.0, abs(y)), (key, x, y)


@st.composite
def tables(draw):
    n = draw(st.integers(1, 40))
    numbers = draw(st.sampled_from([
        st.integers(-1000, 1000),
        st.floats(-1000, 1000, allow_subnormal=False).map(lambda v: round(v, 3)),
    ]))  # fmt: skip
    values = draw(st.lists(st.none() | numbers, min_size=n, max_size=n))
    keys = [
        draw(st.lists(st.sampled_from([None, "a", "b", "é"]), min_size=n, max_size=n))
        for _ in range(draw(st.integers(0, 2)))
    ]
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=5)))
    bounds = list(zip([0, *cuts], [*cuts, n], strict=True))
    dtype = Float64 if any(isinstance(value, float) for value in values) else Int64
    return values, keys, draw(st.permutations(bounds)), dtype


@pytest.mark.parametrize("op", THEIRS)
@settings(max_examples=25, deadline=None)
@given(tables())
def test_any_partitioning_in_any_order_is_the_whole(op, drawn):
    values, keys, bounds, dtype = drawn
    if op == "sum" and not any(v is not None for v in values) and dtype == Float64:
        return
    kind = REDUCTIONS[op].state
    parts = [state_of(kind, values[a:b], [key[a:b] for key in keys], dtype) for a, b in bounds]
    merged = finished(op, merge(parts), dtype)
    same(merged, expected(op, values, keys, dtype))
    in_pairs = parts[0]
    for part in parts[1:]:
        in_pairs = merge([in_pairs, part])
    same(finished(op, in_pairs, dtype), merged)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.sampled_from(["b", "a", "é", "Z", ""]), min_size=1), st.data())
def test_vocabularies_merge(values, data):
    cut = data.draw(st.integers(0, len(values)))
    state = merge([state_of("values", part, [], String) for part in (values[:cut], values[cut:])][:: -1])
    entries, counts = vocabulary(state, NODES["vocabulary"], String)
    tally = pl.Series(values, dtype=pl.String).drop_nulls().value_counts(name="n")
    rows = sorted(((-n, v.encode()) for v, n in tally.iter_rows() if n >= 2))
    assert list(zip(counts.tolist(), entries.values.to_pylist(), strict=True)) == [(-n, v.decode()) for n, v in rows]


def finished_from(kind):
    """A reduction that is finished from a kind of state; of what is clipped, those of moments are."""
    state = "moments" if kind == "tails" else kind
    return next(name for name, row in REDUCTIONS.items() if row.state == state and name in THEIRS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "order"])  # test_settling.py
def test_folds_come_out_of_one_state(kind):
    """The state kept by fold gives the whole, and what each fold may know of the others."""
    op = finished_from(kind)
    values = [1, 2, None, 4, 5, 60, 7, 8]
    key = ["a", "b", "a", None, "a", "b", "b", "a"]
    folds = [0, 1, 2, 0, 1, 2, 0, 1]
    columns = [column(key), Column(Int64, np.array(folds))]
    state = gather(kind, column(values), groups_of(columns, len(values)))
    same(finished(op, without_fold(state), Int64), expected(op, values, [key], Int64))
    for fold in range(3):
        outside = [at for at, f in enumerate(folds) if f != fold]
        part = outside_fold(state, fold)
        of_those = expected(op, [values[at] for at in outside], [[key[at] for at in outside]], Int64)
        same(finished(op, part, Int64), of_those)
        aligned = outside_each(state, without_fold(state), fold)
        assert plain(aligned.keys[0]) == plain(without_fold(state).keys[0])
        seen = {key: value for key, value in finished(op, aligned, Int64).items() if key in of_those}
        same(seen, of_those)
        assert [rows == 0 for rows in aligned.rows] == [key not in of_those for key in finished(op, aligned, Int64)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "order"])  # test_settling.py
def test_rows_of_one_value_can_be_added_later(kind):
    """As a fill does whose value is known after the scan: nulls taken out, copies of the value put in."""
    op = finished_from(kind)
    values, key = [1, 2, None, 4, None, 60, None, 8], ["a", "b", "a", None, "a", "b", "b", "a"]
    keys = [column(key)]
    state = gather(kind, column(values), groups_of(keys, len(values)))
    times = np.array([2, 1, 0])  # nulls of a, of b, of null
    later = with_rows(without_nulls(state, times, np.arange(3)), column([7, 9, 5]), times, np.arange(3))
    filled = [1, 2, 7, 4, 7, 60, 9, 8]
    same(finished(op, later, Int64), expected(op, filled, [key], Int64))
    assert later.rows.tolist() == [4, 3, 1]


def test_nan_is_refused_and_a_nan_key_is_no_group():
    with pytest.raises(NonFiniteError):
        state_of("sum", [1.0, float("nan")], [], Float64)
    keys = [Column(Float64, np.array([1.0, np.nan, -0.0, 0.0]))]
    state = gather("count", column([1, 2, 3, 4]), groups_of(keys, 4))
    assert state.keys[0].values.tolist() == [0.0, 1.0] and state.arrays["n"].tolist() == [2, 1]


def test_a_count_of_all_rows_looks_at_no_value_under_a_null():
    values, valid = np.array([1.0, np.nan, 3.0, np.nan]), np.array([True, False, True, False])
    assert gather("count", Column(Float64, values, valid), groups_of([], 4)).arrays["n"].tolist() == [2]
    assert gather("count", Column(Float64, values[:1]), groups_of([], 1)).arrays["n"].tolist() == [1]
    with pytest.raises(NonFiniteError) as caught:
        gather("count", Column(Float64, values, np.array([True, False, True, True])), groups_of([], 4))
    assert caught.value.row == 3


def test_every_state_kind_is_used():
    used = {state for row in REDUCTIONS.values() for state in (row.state, row.ungrouped)}
    assert (used | {TAILS}) - {None} == set(KINDS)
