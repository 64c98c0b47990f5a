"""Source: filters, splits, keys, head and select, the same rows under any partitioning, and what loading reports."""

import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_rows import random_table, rows_of, tables

from gpupipe.errors import ColumnNotFoundError, ParameterError, TypeMismatchError
from gpupipe.expr import col, cols, numeric, strings
from gpupipe.expr.selectors import all_columns
from gpupipe.kernels.reference import hashing
from gpupipe.schema import Schema
from gpupipe.sources import LoadReport, scan

TABLE = random_table(7, 500)


def steps(source):
    """A source with every kind of step."""
    train, _ = source.filter(col("small") > -50).split(0.4, seed=5)
    dim = {"word": ["red", "é", ""], "weight": [1.0, 2.0, None]}
    return (
        train.join(dim, on="word", how="inner").filter(col("weight") + col("small") < 90).select("position", "weight")
    )


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(1, 9))
def test_any_partitioning_gives_the_same_rows_and_counts(table, parts):
    whole, cut = scan(table, partitions=1), scan(table, partitions=parts)
    assert rows_of(steps(whole)) == rows_of(steps(cut))
    whole_counts, cut_counts = steps(whole).counts(), steps(cut).counts()
    assert whole_counts.rows_filtered == cut_counts.rows_filtered and whole_counts.rows_kept == cut_counts.rows_kept
    assert steps(cut).count() == cut_counts.rows_kept == len(rows_of(steps(cut))["position"])
    assert rows_of(steps(cut))["row_ids"] == rows_of(steps(cut))["position"]


# -- filter -----------------------------------------------------------------------------------------------
def test_filter_drops_nulls_and_reports(tmp_path):
    source = scan({"x": [1, None, 3, 4], "y": ["a", "b", None, "a"]})
    filtered = source.filter(col("x") > 1, col("y") == "a")
    frame, report = filtered.load_with_report(0)
    assert frame["x"].values.tolist() == [4] and frame.row_ids.tolist() == [3]
    assert report.rows_filtered == {"(x > 1)": 2, "(y == 'a')": 1}
    assert (report.rows_listed, report.rows_read, report.rows_kept) == (4, 4, 1)
    assert filtered.n_rows == 4 and filtered.count() == 1 and source.count() == 4
    assert rows_of(source.filter((col("x") > 1) | (col("y") == "b")))["row_ids"] == [1, 2, 3]


def test_the_same_filter_twice_is_one_count():
    twice = scan({"x": [1, 2, 3]}).filter(col("x") > 1).filter(col("x") > 1)
    assert twice.counts().rows_filtered == {"(x > 1)": 1}


def test_filter_columns_are_read_and_not_given():
    source = scan({"x": [1, 2], "y": [3, 4], "z": [5, 6]}).filter(col("x") == 2).select("y")
    assert list(source.load(0).columns) == ["y"] and source.nbytes() == 32
    assert source.load_with_report(0)[1].bytes_read == 32


@pytest.mark.parametrize(
    ("expression", "error", "message"),
    [
        (col("x") + 1, TypeMismatchError, r"filter takes a Boolean expression; \(x \+ 1\) is Int64"),
        (col("nope") > 1, ColumnNotFoundError, "There is no column 'nope'"),
        (col("y") > 1, TypeMismatchError, "gt|>"),
        (col("x").mean() > col("x"), ParameterError, r"sees one row at a time, and x\.mean\(\) needs all"),
        (numeric() > 1, ParameterError, "would be several. Name one column"),
        (True, TypeMismatchError, "filter takes an expression such as .*not bool"),
        ("x > 1", TypeMismatchError, "not str"),
    ],
)
def test_filters_are_checked_before_a_row_is_read(expression, error, message):
    with pytest.raises(error, match=message):
        scan({"x": [1], "y": ["a"]}).filter(expression)


# -- split ------------------------------------------------------------------------------------------------
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 300), st.integers(1, 7), st.integers(0, 2**64 - 1), st.floats(0.01, 0.99))
def test_sides_are_disjoint_and_whole_and_stable(n, parts, seed, test):
    values = np.arange(n)
    train, held = scan({"x": values}, partitions=parts).split(test, seed=seed)
    a, b = rows_of(train)["row_ids"], rows_of(held)["row_ids"]
    assert sorted(a + b) == list(range(n)) and not set(a) & set(b) and a == sorted(a)
    again = scan({"x": values}).split(test, seed=seed)
    assert [rows_of(side)["row_ids"] for side in again] == [a, b]


def test_shares():
    source = scan({"x": np.zeros(20_000)})
    for share in (0.05, 0.2, 0.5):
        counts = [source.split(share, seed=seed)[1].count() for seed in range(10)]
        deviation = (20_000 * share * (1 - share)) ** 0.5
        assert all(abs(count - 20_000 * share) < 4.5 * deviation for count in counts)
        assert len(set(counts)) > 5  # another seed, another split


@pytest.mark.parametrize("key", [None, "k"])
def test_a_split_of_a_side_is_independent_of_those_before(key):
    """With the same seed and key too, at any depth, and after steps of another kind."""
    source = scan({"x": np.zeros(20_000), "k": np.arange(20_000)})
    for side in source.split(0.5, seed=1, key=key):
        for seed in (1, 2):
            inner = side.filter(col("x") == 0).split(0.5, seed=seed, key=key)
            for part in inner:
                assert abs(part.count() / side.count() - 0.5) < 0.03
                again = part.split(0.3, seed=seed, key=key)[1].count() / part.count()
                assert abs(again - 0.3) < 0.04
    train, _ = source.split()
    assert abs(train.split()[1].count() / train.count() - 0.2) < 0.02


def test_keys_share_a_side_and_identity():
    keys = [f"user {k % 40}" if k % 40 else None for k in range(400)]
    source = scan({"user": keys, "n": np.arange(400)}, partitions=3)
    for train, held in (source.split(0.3, seed=1, key="user"), source.with_key("user").split(0.3, seed=1)):
        sides = [set(rows_of(side)["user"]) for side in (train, held)]
        assert not sides[0] & sides[1] and sides[0] | sides[1] == set(keys) and sides[1]
    assert source.split(0.3, seed=1, key="user")[0].load(0).row_ids[0] in range(400)
    ids = np.array(rows_of(source.with_key("user"))["row_ids"], dtype=np.uint64)
    assert len(set(ids.tolist())) == 40 and (ids[:360] == ids[40:]).all()
    coded = pa.table({"user": pa.array(keys).dictionary_encode()})
    assert rows_of(scan(coded).with_key("user"))["row_ids"] == ids.tolist()  # not the representation


def test_identity_is_the_hash_of_the_values():
    values = np.array([5, -1, 5])
    expected = hashing.hash_int64(values, 0).tolist()
    for dtype in (np.int64, np.int8):
        assert rows_of(scan({"k": values.astype(dtype)}).with_key("k"))["row_ids"] == expected


def test_split_arguments():
    source = scan({"x": [1], "nothing": [None]})
    shares: list[Any] = [0, 1, 0.0, 1.0, -0.5, float("nan"), "0.2"]
    for share in shares:
        with pytest.raises(ParameterError, match="is no share of rows"):
            source.split(share)
    seeds: list[Any] = [-1, 1.5, 2**64, None]
    for seed in seeds:
        with pytest.raises(ParameterError, match="is no seed"):
            source.split(0.5, seed=seed)
    with pytest.raises(ColumnNotFoundError, match="'y'"):
        source.split(0.5, key="y")
    with pytest.raises(TypeMismatchError, match="holds no value at all, so it cannot be a key"):
        source.with_key("nothing")


# -- head, select, the rest -------------------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(tables, st.integers(0, 70), st.integers(1, 5))
def test_head(table, n, parts):
    source = scan(table, partitions=parts)
    assert rows_of(source.head(n))["position"] == list(range(min(n, len(table))))
    filtered = source.filter(col("small") > 0)
    assert rows_of(filtered.head(n))["position"] == rows_of(filtered)["position"][:n]
    assert filtered.head(n).count() == min(n, filtered.count())
    assert (
        rows_of(filtered.head(n).filter(col("flag")))["position"]
        == rows_of(scan(table).filter(col("small") > 0).head(n).filter(col("flag")))["position"]
    )


def test_head_reads_no_more_partitions_than_it_needs(tmp_path):
    for k in range(3):
        pq.write_table(pa.table({"x": [k] * 10}), tmp_path / f"{k}.parquet")
    source = scan(tmp_path, partition_bytes=1)
    assert len(source.head(11).partitions) == 2 and source.head(0).count() == 0 and source.head(99).count() == 30
    with pytest.raises(ParameterError, match=r"head\(-1\)"):
        source.head(-1)


def test_select():
    source = scan(TABLE)
    assert list(source.select("flag", "position").schema) == ["flag", "position"]
    assert list(source.select(["flag"], numeric() - ["small"]).schema) == ["flag", "position", "float"]
    assert list(source.select(strings()).schema) == ["word", "category", "unique"]
    assert list(source.select(all_columns()).schema) == TABLE.column_names
    assert list(source.select(cols("day", "flag"), "day").schema) == ["day", "flag"]
    assert list(source.select("flag").load(0).columns) == ["flag"]
    narrow = source.select("flag")
    with pytest.raises(ParameterError, match="chosen by name or selector"):
        source.select(col("flag"))
    for ask in (lambda: narrow.load(0, ["day"]), lambda: narrow.filter(col("day") > 1), lambda: source.select("dayz")):
        with pytest.raises(ColumnNotFoundError, match="There is no column 'day"):
            ask()


def test_columns_come_in_the_order_asked():
    assert list(scan(TABLE).load(0, ["word", "flag"]).columns) == ["word", "flag"]


def test_a_source_never_changes():
    source = scan({"x": [1, 2, 3]})
    source.filter(col("x") > 1), source.select("x"), source.split(0.5), source.head(1)
    assert source.count() == 3 and isinstance(source.schema, Schema)


def test_repr_tells_the_steps():
    text = repr(scan({"x": [1, 2]}).filter(col("x") > 1).split(0.25, seed=3, key="x")[1].head(1))
    assert text.splitlines() == [
        "Source(a table in memory of 2 rows; 2 rows in 1 partition; 1 column: x: Int64)",
        "  filter (x > 1)",
        "  test side of split 0.25 by x, seed 3",
        f"  first {scan({'x': [1, 2]}).filter(col('x') > 1).split(0.25, seed=3, key='x')[1].head(1).count()} rows",
    ]


def test_reports_add_up():
    total = LoadReport(1, 1, 1, 8, {"a": 1}) + LoadReport(2, 1, 0, 8, {"b": 2})
    assert total == LoadReport(3, 2, 1, 16, {"a": 1, "b": 2})


def test_partitions_load_in_threads():
    source = steps(scan(TABLE, partitions=8))
    frames: list[Any] = [None] * 8

    def work(index):
        frames[index] = source.load(index)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert np.concatenate([f.row_ids for f in frames]).tolist() == rows_of(steps(scan(TABLE)))["row_ids"]
