"""Values listed in is_in and ordinal: the column's type decides, exactly, and what cannot be compared is refused."""

import datetime as dt

import pyarrow as pa
import pytest
from engine import DEVICES, TABLE, value
from hypothesis import given, settings
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import ParameterError, TypeMismatchError

v = col("v")
BIG = 2**53
WHOLE = st.sampled_from([0, 1, -1, 7, BIG, BIG + 1, -BIG - 1, 2**63 - 1, -(2**63), 2**62 + 1])
PARTS = st.sampled_from([0.0, -0.0, 0.5, 7.0, 2.0**53, 2.0**62, -(2.0**63), 2.0**63, float("inf"), float("nan"), 1e300])


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from([pa.int64(), pa.float64()]),
    rows=st.data(),
    values=st.lists(WHOLE | PARTS, min_size=1, max_size=5),
)
def test_numbers_are_equal_as_numbers(device, kind, rows, values):
    """Python compares an int and a float exactly, too."""
    column = rows.draw(st.lists(WHOLE if kind == pa.int64() else PARTS, min_size=1, max_size=6))
    got = value(v.is_in(values), device, {"v": pa.array([*column, None], kind)})
    assert got == [*(any(x == y for y in values) for x in column), None]


@pytest.mark.parametrize("device", DEVICES)
def test_dates_times_and_instants(device):
    noon = dt.datetime(2020, 1, 1, 12)
    days = {"v": pa.array([dt.date(2020, 1, 1), dt.date(1970, 1, 1), None])}
    times = {"v": pa.array([dt.datetime(2020, 1, 1), noon, None])}
    assert value(v.is_in([dt.date(2020, 1, 1)]), device, times) == [True, False, None]
    assert value(v.is_in([dt.datetime(2020, 1, 1), noon]), device, days) == [True, False, None]
    assert value(v.is_in([noon]), device, times) == [False, True, None]
    utc = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)
    rome = {"v": pa.array([utc, utc + dt.timedelta(hours=1)], pa.timestamp("us", "Europe/Rome"))}
    assert value(v.is_in([utc]), device, rome) == [True, False]
    order = v.ordinal([dt.date(2020, 1, 2), dt.date(2020, 1, 1)], unknown="null")
    assert value(order, device, times) == [1, None, None]


@pytest.mark.parametrize("device", DEVICES)
def test_other_types(device):
    assert value(v.is_in([1, 2]), device, {"v": pa.array([True, False, None])}) == [True, False, None]
    assert value(v.is_in([True]), device, {"v": pa.array([1, 2])}) == [True, False]
    assert value(v.ordinal([1, 0.5]), device, {"v": pa.array([0.5, 1.0])}) == [1, 0]
    assert value(v.ordinal([2.5, 3.0]), device, {"v": pa.array([3, None])}) == [1, None]
    nothing = {"v": pa.nulls(2)}
    for feature in (v.is_in(["a"]), v.is_in([1]), v.ordinal(["a"]), v == "a"):
        assert value(feature, device, nothing) == [None, None]
    assert value(v.is_in([0.5]), device, {"v": pa.array([0, 1])}) == [False, False]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("s", [1]), ("s", [dt.date(2020, 1, 1)]), ("x", ["a"]), ("t", [0]), ("d", [0]), ("u", [0]), ("i", ["1"]),
        ("t", [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)]), ("z", [dt.datetime(2020, 1, 1)]), ("z", [dt.date(2020, 1, 1)]),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_while_planning(name, values, monkeypatch):
    monkeypatch.setattr(gp.Source, "load_with_report", lambda *_: pytest.fail("a row was read"))
    for feature in (col(name).is_in(values), col(name).ordinal(values)):
        with pytest.raises(TypeMismatchError, match=r"(is_in|ordinal) takes values of one type, not .* In: "):
            gp.Pipeline([feature]).fit(TABLE)


def test_a_listed_value_is_of_the_type_it_is_said_to_be():
    """As in a plan that someone has edited."""
    for values, dtype in ((("a",), "Int64"), ((1,), "String"), ((True,), "Int64"), ((2,), "Boolean")):
        feature = v._call("is_in", values=values, dtype=dtype)
        with pytest.raises(ParameterError, match=r"is_in lists .* which is no"):
            gp.Pipeline([feature]).explain({"v": pa.nulls(1)})
