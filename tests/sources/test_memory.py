"""Tables in memory: what each library's columns become, where NaN is null, and slices without copies."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_rows import rows_of, tables

from gpupipe.errors import DuplicateNameError, ParameterError, SchemaMismatchError, ShapeError, TypeMismatchError
from gpupipe.schema import Boolean, Datetime, Float32, Float64, Int64, String
from gpupipe.sources import scan
from gpupipe.sources.border import to_arrow

NAN = float("nan")


def columns(data):
    found = rows_of(scan(data))
    del found["row_ids"]
    return found


def test_pandas_nan_is_null_whatever_holds_it():
    frame = pd.DataFrame(
        {
            "plain": [1.0, NAN],
            "nullable": pd.array([1.0, None], dtype="Float64"),
            "arrow": pd.array([1.0, NAN], dtype="double[pyarrow]"),
            "text": ["a", None],
            "object": pd.Series(["a", None], dtype=object),
            "category": pd.Categorical(["a", None]),
            "when": pd.to_datetime(["2024-01-01", None]),
            "flag": pd.array([True, None], dtype="boolean"),
            7: [1, 2],
        }
    )
    assert str(frame["text"].dtype) == "str"  # pandas 3
    when = dt.datetime(2024, 1, 1)
    assert columns(frame) == {
        "plain": [1.0, None], "nullable": [1.0, None], "arrow": [1.0, None], "text": ["a", None],
        "object": ["a", None], "category": ["a", None], "when": [when, None], "flag": [True, None], "7": [1, 2],
    }  # fmt: skip


def test_polars_and_arrow_nan_stays():
    for data in (
        pl.DataFrame({"x": [1.0, NAN, None]}),
        pa.table({"x": [1.0, NAN, None]}),
        {"x": pa.array([1.0, NAN, None])},
    ):
        column = scan(data).load(0)["x"]
        assert np.isnan(column.values[1]) and to_arrow(column).is_valid().to_pylist() == [True, True, False]


def test_numpy_nan_is_null():
    assert columns(np.array([[1.0, NAN], [2.0, 3.0]])) == {"x0": [1.0, 2.0], "x1": [None, 3.0]}
    assert columns({"a": np.array([NAN], np.float32), "b": [None]}) == {"a": [None], "b": [None]}
    structured = np.array([(1, "x"), (2, "y")], dtype=[("n", ">i4"), ("s", "U1")])
    assert columns(structured) == {"n": [1, 2], "s": ["x", "y"]}


def test_dicts_of_anything_column_shaped():
    data = {
        "list": ["x"], "array": np.array([1], ">f8"), "month": np.array(["2020-01"], "M8[M]"),
        "hours": np.array([3], "m8[h]"), "polars": pl.Series(["p"]), "pandas": pd.Series([1.5]),
        "half": np.ones(1, np.float16), "chunks": pa.chunked_array([[True]]),
    }  # fmt: skip
    source = scan(data)
    assert source.schema["month"].dtype == Datetime() and source.schema["half"].dtype == Float32
    assert columns(data)["month"] == [dt.datetime(2020, 1, 1)]
    assert columns(data)["hours"] == [dt.timedelta(hours=3)]
    assert columns(data)["pandas"] == [1.5] and columns(data)["polars"] == ["p"]


def test_schema_says_what_is_there():
    source = scan({"a": [1, 2], "b": ["x", None], "c": [True, False], "d": [0.5, 1.5]})
    assert {name: (f.dtype, f.nullable) for name, f in source.schema.items()} == {
        "a": (Int64, False), "b": (String, True), "c": (Boolean, False), "d": (Float64, False),
    }  # fmt: skip
    inside = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None]))
    assert scan(pa.table({"x": inside})).schema["x"].nullable


def test_other_exporters_of_arrow_streams():
    class Exporter:
        def __arrow_c_stream__(self, requested_schema=None):
            return pa.table({"a": [1]}).__arrow_c_stream__(requested_schema)

    assert columns(Exporter()) == {"a": [1]}
    assert columns(pa.record_batch({"a": [1]})) == {"a": [1]}
    assert columns(pa.table({"a": [1]}).to_reader()) == {"a": [1]}


def test_slices_share_memory():
    values = np.arange(10.0)
    source = scan({"x": values}, partitions=3)
    assert [p.n_rows for p in source.partitions] == [4, 3, 3]
    assert all(np.shares_memory(source.load(i)["x"].values, values) for i in range(3))
    matrix = np.asfortranarray(np.ones((5, 2)))
    assert np.shares_memory(scan(matrix).load(0)["x1"].values, matrix)


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(1, 9))
def test_any_partitioning_is_the_same_rows(table, parts):
    whole, cut = rows_of(scan(table, partitions=1)), rows_of(scan(table, partitions=parts))
    assert whole == cut
    assert whole == {**table.to_pydict(), "row_ids": list(range(len(table)))}


def test_partition_bytes():
    source = scan({"x": np.zeros(1000)}, partition_bytes=2000)
    assert [p.n_rows for p in source.partitions] == [250] * 4 and source.nbytes() == 8000


def test_no_rows_and_no_columns():
    source = scan(pa.table({"a": pa.array([], pa.int64())}))
    assert source.count() == 0 and len(source.partitions) == 1 and source.load(0)["a"].values.dtype == np.int64
    assert scan({}).schema == {} and scan({}).count() == 0


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (5, TypeMismatchError, "scan cannot read a builtins.int. It takes a path"),
        ([{"a": 1}], TypeMismatchError, "scan cannot read a builtins.list"),
        (pl.LazyFrame({"a": [1]}), TypeMismatchError, r"LazyFrame.*\.collect\(\)"),
        (pl.Series([1]), TypeMismatchError, "of a single column, {'name': column}"),
        (np.zeros(3), ShapeError, r"shape \(3,\) is no table.*{'name': array}"),
        ({"a": [1], "b": [1, 2]}, SchemaMismatchError, "equal lengths. There are a: 1, b: 2"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), DuplicateNameError, "Two columns are named 'a'"),
        (pa.table([[1], [2]], names=["a", "a"]), DuplicateNameError, "2 columns are named 'a'"),
    ],
)
def test_refusals(data, error, message):
    with pytest.raises(error, match=message):
        scan(data)


def test_columns_that_cannot_be_used_are_refused_only_when_asked_for():
    source = scan({"ok": [1], "second": [2], "odd": np.array([1j]), "one": "abc", "nested": [[1]]})
    assert list(source.schema) == ["ok", "second"]
    for name, message in [("odd", "no one type Arrow can hold"), ("one", r"write \['abc'\]"), ("nested", "list<")]:
        with pytest.raises(TypeMismatchError, match=f"Column '{name}' cannot be used.*{message}"):
            source.select(name)
        with pytest.raises(TypeMismatchError, match=f"Column '{name}'"):
            source.load(0, [name])


def test_options():
    with pytest.raises(ParameterError, match="Give partitions or partition_bytes, not both"):
        scan({"a": [1]}, partitions=1, partition_bytes=1)
    wrong: list[Any] = [0, -1, 1.5, True]
    for bad in wrong:
        with pytest.raises(ParameterError, match=r"partitions=.* is no count"):
            scan({"a": [1]}, partitions=bad)
    with pytest.raises(SchemaMismatchError, match="column 'a' is Int64, not String"):
        scan({"a": [1]}, schema={"a": String})
    with pytest.raises(SchemaMismatchError, match=r"column 'b' \(String\) is missing"):
        scan({"a": [1]}, schema={"b": String})
    source = scan({"a": [1]}, schema={"a": Int64})
    assert scan(source) is source
    with pytest.raises(ParameterError, match="A Source has its schema"):
        scan(source, partitions=2)


_DAY, _NOON = dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 12)


@pytest.mark.parametrize(
    "of", [list, lambda times: np.array(times, object), lambda times: pd.Series(times, dtype=object)]
)
@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ([_DAY, None, _NOON], "dates stand beside times"),
        ([_NOON, pd.Timestamp(1)], "finer than a microsecond"),
        ([pd.Timedelta(1), dt.timedelta(1)], "finer than a microsecond"),
        ([_NOON, _NOON.replace(tzinfo=dt.UTC)], "with a time zone stand beside times without one"),
        ([_NOON.replace(tzinfo=dt.UTC), None, _NOON], "with a time zone stand beside times without one"),
    ],
)
def test_times_of_several_kinds_are_no_column(of, times, reason):
    source = scan({"n": [1] * len(times), "t": of(times)})
    assert list(source.schema) == ["n"]
    assert reason in source.schema.refused["t"]


def test_times_of_one_kind_are_a_column():
    zones = [_NOON.replace(tzinfo=dt.UTC), _NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))]
    assert rows_of(scan({"t": zones}))["t"] == zones
    assert rows_of(scan({"t": [_DAY, None]}))["t"] == [_DAY, None]
    assert rows_of(scan(pd.DataFrame({"t": pd.Series([_DAY, pd.NaT], dtype=object)})))["t"] == [_DAY, None]
    assert rows_of(scan(pd.DataFrame({"t": pd.Series([_NOON, pd.NaT], dtype=object)})))["t"] == [_NOON, None]


def test_names_that_are_equal_as_text_are_twins():
    with pytest.raises(DuplicateNameError, match="named '1'"):
        scan({1: [2], "1": [3]})
