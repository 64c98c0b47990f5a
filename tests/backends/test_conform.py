"""Columns in the type asked of them: the values that were there, or an error."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpupipe.backends.conform import conform, inexact
from gpupipe.columns import Column
from gpupipe.errors import SchemaMismatchError
from gpupipe.schema import (
    Boolean,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Null,
    String,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)

NUMBERS = [Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float32, Float64, Boolean]
EDGES = [
    0,
    1,
    127,
    128,
    255,
    256,
    2**24,
    2**24 + 1,
    2**31,
    2**53,
    2**53 + 1,
    2**53 + 2,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
]
WHOLE = (
    st.sampled_from([sign * (edge + off) for edge in EDGES for off in (-1, 0, 1) for sign in (1, -1)]) | st.integers()
)


def held(number, dtype):
    """The number as a value of the type, or None where it has none: by Python's arithmetic."""
    if dtype == Boolean:
        return bool(number) if number in (0, 1) else None
    if dtype.is_float:
        return dtype.storage.type(number) if float(dtype.storage.type(number)) == number else None
    bounds = np.iinfo(dtype.storage)
    return dtype.storage.type(int(number)) if number == int(number) and bounds.min <= number <= bounds.max else None


@settings(max_examples=600, deadline=None)
@given(WHOLE, st.sampled_from(NUMBERS), st.sampled_from(NUMBERS))
@example(2**53 + 1, Int64, Float64)
@example(-(2**63), Int64, Float64)
@example(2**64 - 1, UInt64, Float64)
@example(2**64 - 1, UInt64, Int64)
@example(-1, Int64, UInt64)
@example(2**24 + 1, Float64, Float32)
def test_a_number_is_kept_exactly_or_refused(number, have, wanted):
    with np.errstate(over="ignore"):
        value = held(number, have) if abs(number) < 2**70 else None
        if value is None:
            return
        rounds = have == Float64 and wanted == Float32  # the one that does
        expected = np.float32(value) if rounds else held(int(value), wanted)
    column = Column(have, np.array([0, value], have.storage))
    if expected is None:
        with pytest.raises(SchemaMismatchError) as raised:
            conform("x", column, wanted)
        assert (
            raised.value.row == 1 and raised.value.column == "x" and f"the value {value} is {have}" in str(raised.value)
        )
        return
    found = conform("x", column, wanted)
    assert found.dtype == wanted and found.values.dtype == wanted.storage and found.values[1] == expected


def test_what_stands_under_a_null_is_no_value():
    column = Column(Int64, np.array([1, 2**53 + 1]), np.array([True, False]))
    assert conform("x", column, Float64).values[0] == 1.0


def test_a_float64_is_rounded_to_a_float32_but_not_to_infinity():
    column = Column(Float64, np.array([0.1, np.inf, np.nan]))
    assert conform("x", column, Float32).values[0] == np.float32(0.1)
    with pytest.raises(SchemaMismatchError, match="the value 1e"):
        conform("x", Column(Float64, np.array([1e300])), Float32)


def test_fractions_and_nan_are_no_integers():
    for value in (0.5, np.nan, np.inf):
        with pytest.raises(SchemaMismatchError):
            conform("x", Column(Float64, np.array([value])), Int64)


def test_nulls_become_anything_and_kinds_do_not_mix():
    nothing = Column(Null, np.zeros(2, bool), np.zeros(2, bool))
    for wanted in (Int64, String, Float32):
        assert conform("x", nothing, wanted).null_count == 2
    with pytest.raises(SchemaMismatchError, match=r"Column 'x': it is Int64 here and was String in the fit"):
        conform("x", Column(Int64, np.array([1])), String)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), st.sampled_from([Float32, Float64]))
def test_whole_numbers_that_a_float_rounds(values, wanted):
    lost = inexact(np.array(values, np.int64), wanted)
    expected = [int(wanted.storage.type(value)) != value for value in values]
    assert (lost.tolist() if lost is not None else [False] * len(values)) == expected
