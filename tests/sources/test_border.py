"""The border: every Arrow type, sliced and chunked, against Arrow's and Python's own reading of the values."""

import datetime as dt
import decimal
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupipe.columns import Column
from gpupipe.errors import CastError, DuplicateNameError, ParameterError, TypeMismatchError
from gpupipe.schema import Date, Datetime, Duration, Float32, Float64, Int8, Int64, Null, String, UInt64
from gpupipe.sources.border import arrow_type, normalise_type, refused_columns, schema_of, to_arrow, to_column

UTC = dt.UTC
WHEN = dt.datetime(2024, 2, 29, 12, 30, 15, 250_000)
DAY = dt.date(1969, 12, 30)

CASES = [
    (pa.int8(), [1, None, -128], Int8, None),
    (pa.uint64(), [2**64 - 1, None, 0], UInt64, None),
    (pa.float16(), [1.5, None, -2.0], Float32, None),
    (pa.float32(), [1.5, None, float("inf")], Float32, None),
    (pa.bool_(), [True, None, False], normalise_type(pa.bool_()), None),
    (pa.null(), [None, None, None], Null, None),
    (pa.string(), ["a", None, "é"], String, None),
    (pa.large_string(), ["a", None, "é"], String, None),
    (pa.string_view(), ["a", None, "a string longer than twelve bytes"], String, None),
    (pa.binary(), [b"a", None, "é".encode()], String, ["a", None, "é"]),
    (pa.large_binary(), [b"a", None, b""], String, ["a", None, ""]),
    (pa.binary_view(), [b"a", None, b""], String, ["a", None, ""]),
    (pa.binary(2), [b"ab", None, b"cd"], String, ["ab", None, "cd"]),
    (pa.decimal32(9, 2), [Decimal("1.07"), None, Decimal("-0.03")], Float64, [1.07, None, -0.03]),
    (pa.decimal64(18, 2), [Decimal("1.07"), None, Decimal("-0.03")], Float64, [1.07, None, -0.03]),
    (pa.decimal128(38, 30), [Decimal("1.07"), None, Decimal("-0.03")], Float64, [1.07, None, -0.03]),
    (pa.decimal256(60, 2), [Decimal(10**40), None, Decimal("0.01")], Float64, [1e40, None, 0.01]),
    (pa.date32(), [DAY, None, dt.date(2024, 2, 29)], Date, None),
    (pa.date64(), [DAY, None, dt.date(2024, 2, 29)], Date, None),
    (pa.timestamp("s"), [WHEN.replace(microsecond=0), None, None], Datetime(), None),
    (pa.timestamp("ms"), [WHEN, None, None], Datetime(), None),
    (pa.timestamp("us"), [WHEN, None, None], Datetime(), None),
    (pa.timestamp("ns"), [WHEN, None, None], Datetime(), None),
    (pa.timestamp("ms", "UTC"), [WHEN.replace(tzinfo=UTC), None, None], Datetime("UTC"), None),
    (pa.time32("ms"), [dt.time(0, 0, 1), None, None], Duration, [dt.timedelta(seconds=1), None, None]),
    (pa.time64("ns"), [dt.time(0, 0, 1), None, None], Duration, [dt.timedelta(seconds=1), None, None]),
    (pa.duration("s"), [dt.timedelta(seconds=-5), None, None], Duration, None),
    (pa.duration("ns"), [dt.timedelta(microseconds=7), None, None], Duration, None),
]


@pytest.mark.parametrize(("arrow", "values", "dtype", "expected"), CASES, ids=[str(case[0]) for case in CASES])
def test_every_type_whole_sliced_and_chunked(arrow, values, dtype, expected):
    wanted = values if expected is None else expected
    array = pa.array(values, arrow)
    long = pa.concat_arrays([array] * 7)
    chunked = pa.chunked_array([array, array.slice(1, 1), array.slice(0, 0)], arrow)
    for given_, meant in [
        (array, wanted),
        (long.slice(4, 13), (wanted * 7)[4:17]),
        (chunked, wanted + wanted[1:2]),
        (pa.chunked_array([], arrow), []),
        (array.slice(3), []),
    ]:
        column = to_column(given_, dtype)
        assert column.dtype == dtype
        assert to_arrow(column).to_pylist() == meant
        assert to_arrow(column).type == arrow_type(dtype)
        assert column.null_count == sum(value is None for value in meant)
        if dtype != String:
            assert column.values.dtype == dtype.storage


def test_numbers_are_views():
    values = np.arange(10.0)
    column = to_column(pa.array(values).slice(3, 4))
    assert np.shares_memory(column.values, values) and column.valid is None
    assert column.values.tolist() == [3, 4, 5, 6]
    with_nulls = pa.array([1, None, 3])
    assert to_column(with_nulls).values.ctypes.data == with_nulls.buffers()[1].address


@given(st.lists(st.booleans() | st.none(), max_size=40), st.integers(0, 20), st.integers(0, 20))
def test_bits_of_slices(values, start, length):
    part = pa.array(values, pa.bool_()).slice(start, length)
    assert to_arrow(to_column(part)).to_pylist() == values[start : start + length]


@given(st.lists(st.decimals(-(10**13), 10**13, places=2) | st.none(), max_size=30), st.integers(0, 5))
def test_decimals_are_the_nearest_float64(values, start):
    column = to_column(pa.array(values, pa.decimal128(20, 2)).slice(start))
    wanted = [None if value is None else float(value) for value in values[start:]]
    assert to_arrow(column).to_pylist() == wanted


def test_decimals_that_arrows_own_cast_gets_wrong():
    cents = np.random.default_rng(0).integers(-(10**9), 10**9, 3000)
    with decimal.localcontext() as context:
        context.prec = 40
        values = [Decimal(int(cent)).scaleb(-2) for cent in cents]
    array = pa.array(values, pa.decimal128(15, 2))
    wanted = [float(value) for value in values]
    assert to_column(array).values.tolist() == wanted
    assert array.cast(pa.float64()).to_pylist() != wanted  # why the border has its own


# -- dictionaries -----------------------------------------------------------------------------------------
def dictionary(indices, entries, index_type=None, value_type=None):
    return pa.DictionaryArray.from_arrays(pa.array(indices, index_type or pa.int8()), pa.array(entries, value_type))


def check_dictionary(column: Column) -> None:
    assert column.is_dictionary
    assert column.values.indices.type == pa.int32() and column.values.dictionary.type == pa.string()
    assert column.values.dictionary.null_count == 0
    entries = column.values.dictionary.to_pylist()
    assert len(set(entries)) == len(entries)
    raw = np.frombuffer(column.values.indices.buffers()[1], np.int32)[column.values.offset :][: len(column)]
    assert ((raw >= 0) & (raw < len(entries))).all()  # nulls too: kernels read all of it


@pytest.mark.parametrize("value_type", [pa.string(), pa.large_string(), pa.string_view()])
def test_a_text_dictionary_stays_one(value_type):
    array = dictionary([0, 1, None, 0, 1, 1], ["a", "b"], pa.uint32(), value_type)
    column = to_column(array)
    check_dictionary(column)
    assert to_arrow(column).to_pylist() == ["a", "b", None, "a", "b", "b"]
    assert to_arrow(to_column(array.slice(1, 4))).to_pylist() == ["b", None, "a", "b"]


def test_nulls_and_repeats_inside_a_dictionary_are_resolved():
    column = to_column(dictionary([0, 1, 2, None, 0, 3, 3, 3], ["a", None, "a", "b"]))
    check_dictionary(column)
    assert to_arrow(column).to_pylist() == ["a", None, "a", None, "a", "b", "b", "b"]
    assert column.valid is not None
    assert column.valid.tolist() == [True, False, True, False, True, True, True, True]


def test_chunks_with_other_dictionaries_are_unified():
    chunks = [dictionary([0, 1, 0, 0], ["a", "b"]), dictionary([0, 1, 1, None], ["b", None])]
    column = to_column(pa.chunked_array(chunks))
    check_dictionary(column)
    assert to_arrow(column).to_pylist() == ["a", "b", "a", "a", "b", None, None, None]


def test_a_dictionary_longer_than_half_its_rows_is_dropped():
    column = to_column(dictionary([0, 1, 2], ["a", "b", "c"]))
    assert not column.is_dictionary and column.values.to_pylist() == ["a", "b", "c"]
    nothing = to_column(dictionary([None] * 4, [], value_type=pa.string()))
    assert not nothing.is_dictionary and nothing.null_count == 4


def test_indices_under_nulls_are_put_in_range():
    indices = pa.Array.from_buffers(
        pa.int32(), 5, [pa.py_buffer(b"\x17"), pa.py_buffer(np.array([0, 1, 0, 99, 1], np.int32))]
    )
    array = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]), safe=False)
    column = to_column(array)
    check_dictionary(column)
    assert to_arrow(column).to_pylist() == ["a", "b", "a", None, "b"]


def test_other_dictionaries_become_values():
    assert to_arrow(to_column(dictionary([0, 1, None], [5, None], value_type=pa.int64()))).to_pylist() == [
        5,
        None,
        None,
    ]
    days = dictionary([0, 0, 1], [DAY, None], value_type=pa.date32())
    assert to_column(days).dtype == Date and to_arrow(to_column(days)).to_pylist() == [DAY, DAY, None]


def test_run_ends_are_expanded():
    array = pa.RunEndEncodedArray.from_arrays([2, 5], [1, None])
    assert to_arrow(to_column(array.slice(1))).to_pylist() == [1, None, None, None]


def test_polars_views_and_categories():
    frame = pl.DataFrame({"s": ["x", None, "x"], "c": pl.Series(["u", "v", "u"], dtype=pl.Categorical)})
    table = pa.RecordBatchReader.from_stream(frame).read_all()
    assert table.schema.field("s").type == pa.string_view()  # or this test shows nothing
    for name in frame.columns:
        assert to_arrow(to_column(table[name])).to_pylist() == frame[name].to_list()


# -- refusals ---------------------------------------------------------------------------------------------
def test_nested_columns_stay_out_and_say_why():
    arrow = pa.schema([("a", pa.int64()), ("l", pa.list_(pa.int8())), ("s", pa.struct([("x", pa.int8())]))])
    assert list(schema_of(arrow)) == ["a"]
    refused = refused_columns(arrow)
    assert list(refused) == ["l", "s"]
    assert "Column 'l' cannot be used. Arrow's type list<" in refused["l"] and "Flatten" in refused["l"]
    with pytest.raises(TypeMismatchError, match=r"list<element: int8>|list<item: int8>"):
        to_column(pa.array([[1]], pa.list_(pa.int8())), name="l")


def test_two_columns_of_one_name():
    with pytest.raises(DuplicateNameError, match="2 columns are named 'a'"):
        schema_of(pa.schema([("a", pa.int8()), ("a", pa.string())]))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (pa.array([1000, 1001], pa.timestamp("ns")), r"1001 ns, is finer than a microsecond.*round"),
        (pa.array([1], pa.time64("ns")), "finer than a microsecond"),
        (pa.array([2**62], pa.timestamp("s")), "the time, 4611686018427387904 s, is beyond int64 microseconds"),
        (pa.array([-(2**62)], pa.duration("ms")), "beyond int64 microseconds"),
        (pa.array([2**62 // 86_400_000 * 86_400_000], pa.int64()).view(pa.date64()), "beyond int32 days"),
        (pa.array([b"ok", b"\xff"]), "not valid UTF-8"),
    ],
)
def test_values_that_do_not_fit(array, message):
    with pytest.raises(CastError, match=f"'when'.*{message}"):
        to_column(array, name="when")


def test_what_does_not_fit_under_a_null_is_no_error():
    buffers = [pa.py_buffer(b"\x02"), pa.py_buffer(np.array([2**62 + 1, 5000]))]
    for unit in ("ns", "s"):
        array = pa.Array.from_buffers(pa.timestamp(unit), 2, buffers)
        assert to_arrow(to_column(array)).is_valid().to_pylist() == [False, True]


def test_another_type_than_planned():
    with pytest.raises(TypeMismatchError, match=r"Column 'a' is String \(Arrow: string\); the plan wants Int64"):
        to_column(pa.array(["x"]), Int64, "a")


def test_wide_columns_do_not_leave_in_one():
    with pytest.raises(ParameterError, match=r"shape \(2, 3\) is wide"):
        to_arrow(Column(Float64, np.zeros((2, 3))))


def test_validity_beside_text_becomes_nulls():
    column = Column(String, pa.array(["a", "b"]), np.array([True, False]))
    assert to_arrow(column).to_pylist() == ["a", None]


def test_repeats_inside_dictionaries_of_several_chunks():
    chunk = dictionary([0, 1, 1, 0, 2], ["a", "a", "b"])
    for array in (chunk, pa.chunked_array([chunk, chunk])):
        column = to_column(array)
        check_dictionary(column)
        assert to_arrow(column).to_pylist() == ["a", "a", "a", "a", "b"] * (len(array) // 5)
