"""Joins against Polars: every kind of key, nulls and NaN, names, duplicates."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_rows import rows_of

from gpupipe.errors import ColumnNotFoundError, DuplicateKeyError, DuplicateNameError, ParameterError, TypeMismatchError
from gpupipe.expr import col
from gpupipe.sources import scan
from gpupipe.sources.join import JoinIndex

KEYS = {
    "int": st.integers(-3, 3),
    "text": st.sampled_from(["a", "b", "é", ""]),
    "float": st.sampled_from([0.0, -0.0, 1.5, float("inf")]),
    "flag": st.booleans(),
    "day": st.dates(dt.date(2024, 1, 1), dt.date(2024, 1, 4)),
    "moment": st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 3)),
}
TYPES: dict[str, Any] = {
    "int": pl.Int32,
    "text": pl.String,
    "float": pl.Float64,
    "flag": pl.Boolean,
    "day": pl.Date,
    "moment": pl.Datetime("us"),
}


@st.composite
def joins(draw):
    names = draw(st.lists(st.sampled_from(list(KEYS)), min_size=1, max_size=3, unique=True))
    row = st.fixed_dictionaries({name: KEYS[name] | st.none() for name in names})
    types = {name: TYPES[name] for name in names}
    left = pl.DataFrame(draw(st.lists(row, max_size=25)), schema=types).with_row_index("n")
    right = pl.DataFrame(draw(st.lists(row, max_size=12)), schema=types)
    right = right.unique(maintain_order=True).filter(~pl.any_horizontal(pl.col(names).is_null()))
    if "float" in names:
        right = right.with_columns(pl.col("float") + 0.0).unique(maintain_order=True)
    right = right.with_columns(
        pl.Series("value", range(len(right)), pl.Int64),
        pl.Series("label", [f"l{k % 2}" if k % 3 else None for k in range(len(right))], pl.String),
        pl.Series("n", [0.5] * len(right), pl.Float64),
    )
    return names, left, right


@settings(max_examples=120, deadline=None)
@given(joins(), st.sampled_from(["left", "inner"]), st.integers(1, 4), st.booleans())
def test_against_polars(case, how, parts, null_key):
    names, left, right = case
    wanted = left.join(right, on=names, how=how, maintain_order="left")
    if null_key:  # a null key in the dimension matches nothing, and two of them are no duplicate
        nothing = pl.DataFrame([dict.fromkeys(right.columns)] * 2, schema=right.schema)
        right = pl.concat([right, nothing])
    ours = scan(left, partitions=parts).join(right, on=names, how=how)
    found = rows_of(ours)
    assert found.pop("row_ids") == wanted["n"].to_list()
    assert found == wanted.to_dict(as_series=False)
    assert list(ours.schema) == wanted.columns
    report = ours.counts()
    dropped = {f"inner join on {', '.join(names)}": len(left) - len(wanted)} if how == "inner" else {}
    assert report.rows_filtered == dropped


def test_left_on_and_right_on():
    left, right = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}), pl.DataFrame({"k": ["y"], "j": [2], "v": [9]})
    ours = scan(left).join(right, left_on=["a", "b"], right_on=["j", "k"])
    assert rows_of(ours) == {"a": [1, 2], "b": ["x", "y"], "v": [None, 9], "row_ids": [0, 1]}


def test_integers_and_text_of_any_width_match():
    left = {"k": np.array([-1, 5, 7], np.int8), "s": pa.array(["a", "b", "a"]).dictionary_encode()}
    right = {
        "k": np.array([5, 7, 2**64 - 1], np.uint64),
        "s": pa.array(["b", "a", "a"], pa.large_string()),
        "v": [1, 2, 3],
    }
    assert rows_of(scan(left).join(right, on=["k", "s"]))["v"] == [None, 1, 2]
    assert rows_of(scan(right).join({"k": left["k"], "w": [1, 2, 3]}, on="k"))["w"] == [2, 3, None]
    same = {"k": np.array([2**64 - 1, 1], np.uint64), "w": [8, 9]}
    assert rows_of(scan(right).join(same, on="k"))["w"] == [None, None, 8]


def test_nan_matches_nothing():
    left = pa.table({"k": [float("nan"), 1.0]})
    right = pa.table({"k": [float("nan"), float("nan"), 1.0], "v": [1, 2, 3]})
    assert rows_of(scan(left).join(right, on="k"))["v"] == [None, 3]


def test_many_wide_keys_do_not_overflow():
    rng = np.random.default_rng(0)
    n, names = 3000, [f"k{at}" for at in range(7)]
    right = {name: rng.permutation(n) for name in names}  # 3000 ** 7 is far beyond int64
    rows = rng.integers(0, n, 500)
    left = {name: values[rows].copy() for name, values in right.items()}
    left["k6"][::5] = (left["k6"][::5] + 1) % n
    index = JoinIndex([scan(right).load(0)[name] for name in names], names, "dim")
    frame = scan(left).load(0)
    found = index.lookup([frame[name] for name in names])
    assert (found == np.where(np.arange(500) % 5 == 0, -1, rows)).all()


def test_joined_text_is_a_dictionary_of_the_dimension():
    n = 1000
    source = scan({"k": np.arange(n) % 10}).join({"k": np.arange(10), "s": [f"name {k}" for k in range(10)]}, on="k")
    column = source.load(0)["s"]
    assert column.is_dictionary and len(column.values.dictionary) == 10


def test_only_wanted_columns_of_a_dimension_are_looked_up():
    source = scan({"k": [1, 2], "x": [1.0, 2.0]}).join({"k": [1, 1], "v": [1, 2]}, on="k")
    assert rows_of(source, ["x"])["x"] == [1.0, 2.0] and source.count() == 2  # a left join changes nothing here
    with pytest.raises(DuplicateKeyError):
        source.load(0, ["v"])


def test_a_dimension_may_be_a_source_with_steps_and_partitions():
    dim = scan({"k": [1, 1, 2, 3], "v": [1, 2, 3, None], "w": ["a", "b", "c", "d"]}, partitions=3).filter(col("v") > 1)
    ours = scan({"k": [3, 2, 1]}).join(dim, on="k")
    assert rows_of(ours) == {"k": [3, 2, 1], "v": [None, 3, 2], "w": [None, "c", "b"], "row_ids": [0, 1, 2]}


def test_names_that_are_taken_get_a_suffix():
    left, right = {"k": [1], "v": [1], "v_right": [1]}, {"k": [1], "v": [2]}
    with pytest.raises(DuplicateNameError, match=r"two columns named 'v_right'. Choose another suffix="):
        scan(left).join(right, on="k")
    assert list(scan(left).join(right, on="k", suffix="_dim").schema) == ["k", "v", "v_right", "v_dim"]


def test_a_joined_column_replaces_a_hidden_one():
    source = scan({"k": [1, 2], "v": [10, 20]}).filter(col("v") > 5).select("k").join({"k": [1], "v": [7]}, on="k")
    assert rows_of(source) == {"k": [1, 2], "v": [7, None], "row_ids": [0, 1]}
    assert rows_of(source.filter(col("v") > 6))["row_ids"] == [0]


def test_a_filter_on_a_joined_column_does_not_reach_the_reader(tmp_path):
    pq.write_table(pa.table({"k": [1, 2], "v": [100, 100]}), tmp_path / "a.parquet")
    source = scan(tmp_path).select("k").join({"k": [1, 2], "v": [7, 8]}, on="k").filter(col("v") < 8)
    assert rows_of(source)["k"] == [1]


def test_nullability():
    left, right = {"k": [1, 2]}, {"k": [1, 2], "v": [1, 2]}
    assert scan(left).join(right, on="k").schema["v"].nullable
    assert not scan(left).join(right, on="k", how="inner").schema["v"].nullable


def test_duplicate_keys_are_named():
    dim = {"a": [1, 1, 2, 1], "s": ["x", "x", None, "y"], "d": [dt.date(2024, 1, 1)] * 4, "v": [1, 2, 3, 4]}
    with pytest.raises(
        DuplicateKeyError,
        match=r"1 stand more than once in a table in memory of 4 rows: a=1, s='x', d='2024-01-01'\. Aggregate it",
    ):
        scan(dim).join(dim, on=["a", "s", "d"]).load(0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"on": "nope"}, ColumnNotFoundError, "There is no column 'nope'"),
        ({"on": "only_left"}, ColumnNotFoundError, "There is no column 'only_left'"),
        ({"on": "v"}, TypeMismatchError, "key 'v' is Int64 and 'v' is String: they never compare equal"),
        ({"on": "t"}, TypeMismatchError, r"key 't' is Datetime and 't' is Datetime\(UTC\)"),
        (
            {"on": "k", "how": "outer"},
            ParameterError,
            "how='outer' is no kind of join here. There are 'left' and 'inner'",
        ),
        ({}, ParameterError, "A join takes on=, or left_on= and right_on="),
        ({"on": "k", "left_on": "k"}, ParameterError, "and not both"),
        ({"left_on": ["k", "v"], "right_on": "k"}, ParameterError, "as many names"),
        ({"on": []}, ParameterError, "at least one"),
    ],
)
def test_refusals(arguments, error, message):
    moment = dt.datetime(2024, 1, 1)
    left = {"k": [1], "v": [1], "only_left": [1], "t": [moment]}
    right = {"k": [1], "v": ["x"], "t": [moment.replace(tzinfo=dt.UTC)]}
    with pytest.raises(error, match=message):
        scan(left).join(right, **arguments)
