"""Rows from a program: values that a type cannot hold are errors that name the row, never other values."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.rows import column_of, frame_of_rows
from gpupipe.errors import DuplicateNameError, SchemaMismatchError
from gpupipe.schema import (
    Boolean,
    Date,
    Datetime,
    DType,
    Duration,
    Field,
    Float32,
    Float64,
    Int8,
    Int64,
    Schema,
    String,
    UInt64,
)
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


NUMBERS = (Int8, Int64, UInt64, Float32, Float64, Boolean)


@pytest.mark.parametrize("dtype", [*NUMBERS, String])
def test_arrow_of_the_very_type_is_as_its_values(dtype: DType) -> None:
    """With nulls, in chunks, as a slice: what Arrow's own conversion to Python gives."""
    values: list[Any] = ["é", None, "", "zz", "a"] if dtype == String else [1, None, 0, 1, 0]
    values = [None if value is None else bool(value) for value in values] if dtype == Boolean else values
    kind = pa.string() if dtype == String else pa.from_numpy_dtype(dtype.storage)
    whole = pa.chunked_array([pa.array(values, kind).slice(1), pa.array([], kind), pa.array(values[:2], kind)])
    for some in (whole, whole.combine_chunks(), whole.slice(1, 2)):
        column = column_of("x", some, Field(dtype))
        assert column.dtype == dtype
        assert to_arrow(column).to_pylist() == some.to_pylist()


def test_arrow_keeps_nan_and_refuses_bytes_that_are_no_text() -> None:
    column = column_of("x", pa.array([float("nan"), None, 1.0]), Field(Float64))
    assert np.isnan(column.values[0])
    assert column.valid is not None
    assert column.valid.tolist() == [True, False, True]
    offsets = np.array([0, 1, 2], np.int32)
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(offsets), pa.py_buffer(b"a\xff"))
    with pytest.raises(SchemaMismatchError, match="no UTF-8") as caught:
        column_of("x", broken, Field(String))
    assert (caught.value.row, caught.value.column) == (1, "x")


kinds = (st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3), st.binary(max_size=2))
lists = st.sampled_from(kinds).flatmap(lambda one: st.lists(st.none() | one, min_size=2, max_size=5))


@settings(max_examples=300, deadline=None)
@given(lists, st.sampled_from([*NUMBERS, String]))
def test_a_list_at_once_is_as_one_value_after_another(values: list[Any], dtype: DType) -> None:
    """Where one value alone is refused, so is the list; where none is, the columns are those of the values."""
    try:
        each = [taken([value], dtype)[0] for value in values]
    except SchemaMismatchError:
        with pytest.raises(SchemaMismatchError):
            taken(values, dtype)
    else:
        assert taken(values, dtype) == each
