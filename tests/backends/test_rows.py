"""Rows from a program: values that a type cannot hold are errors that name the row, never other values."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gpupipe.backends.rows import column_of, frame_of_rows
from gpupipe.errors import DuplicateNameError, SchemaMismatchError
from gpupipe.schema import Boolean, Date, Datetime, DType, Duration, Field, Float32, Float64, Int64, Schema, String
from gpupipe.sources.border import to_arrow


def taken(values: Any, dtype: DType) -> list[Any]:
    return to_arrow(column_of("x", values, Field(dtype, True))).to_pylist()


@pytest.mark.parametrize(
    ("values", "dtype", "row"),
    [
        ([2.5, 2**53 + 1], Float64, 1),
        ([2**53 + 1, float("nan")], Int64, 0),
        ([1.0, None, -(2**53) - 1], Int64, 2),
        (np.array([0.5, 2**60 + 1], object), Float64, 1),
        ([1e300], Float32, 0),
        ([0.5, 1e300], Float32, 1),
        (["a", "\ud800"], String, 1),
        (["\ud800"], String, 0),
        ([[1, 2]], Float64, 0),
        (np.zeros((2, 2)), Float64, 0),
        ([np.datetime64("2020-01-01T13", "h")], Date, 0),
        ([None, np.datetime64(10**7, "Y")], Date, 1),
        ([np.datetime64(10**7, "Y")], Datetime(), 0),
        ([np.datetime64(1, "ns")], Datetime(), 0),
        ([np.datetime64(1, "us")], Datetime("UTC"), 0),
        ([np.timedelta64(1, "us")], Datetime(), 0),
        ([np.datetime64(1, "us")], Duration, 0),
    ],
)  # fmt: skip
def test_what_a_type_cannot_hold_is_refused_by_its_row(values: Any, dtype: DType, row: int) -> None:
    with pytest.raises(SchemaMismatchError) as caught:
        taken(values, dtype)
    assert (caught.value.row, caught.value.column) == (row, "x")


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([2.5, 2**53], Float64, [2.5, 2.0**53]),
        ([2**60, 0.5], Float64, [2.0**60, 0.5]),
        (np.array([2, 3], object), Int64, [2, 3]),
        (np.array([0.5, None], object), Float64, [0.5, None]),
        ([2**53 + 1, None], Int64, [2**53 + 1, None]),
        ([float("inf")], Float32, [float("inf")]),
        ([1.0, 0], Boolean, [True, False]),
        (np.array(["2020-01-02", "NaT"], "datetime64[us]"), Date, [dt.date(2020, 1, 2), None]),
        (np.array(["1969-12-31", "NaT"], "datetime64[D]"), Datetime(), [dt.datetime(1969, 12, 31), None]),
        ([np.timedelta64(-3, "s")], Duration, [dt.timedelta(seconds=-3)]),
    ],
)
def test_what_it_holds_is_taken_as_it_is(values: Any, dtype: DType, expected: list[Any]) -> None:
    assert taken(values, dtype) == expected


def test_twins_in_an_arrow_table_are_refused_where_they_are_needed() -> None:
    table = pa.table([pa.array([1]), pa.array([2]), pa.array([3])], ["x", "y", "y"])
    schema = Schema([("x", Field(Int64)), ("y", Field(Int64))])
    assert frame_of_rows(table, schema, ["x"])["x"].values.tolist() == [1]
    with pytest.raises(DuplicateNameError, match="2 columns are named 'y'"):
        frame_of_rows(table, schema, ["y"])
