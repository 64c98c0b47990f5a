"""Dates and times from text: formats against Python's strptime, time zones against zoneinfo."""

import datetime as dt
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from engine import DEVICES, value
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpupipe import col
from gpupipe.backends import times
from gpupipe.backends.times import by_format
from gpupipe.errors import CastError

s = col("s")
ROME = ZoneInfo("Europe/Rome")
FORMATS = ["%Y-%m-%d", "%d.%m.%y", "%Y%m%d", "%d%m%Y", "%Y-%j", "%b %d, %Y", "%A %d %B %Y", "%a %d/%m/%y", "%Y",
           "%Y/%m", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y%m%d%H%M%S", "%m/%d/%Y %I:%M %p", "%H:%M %d-%m-%Y",
           "%%%Y (%m) [%d]?", "%Y-%m-%d %H:%M:%S%z", "%d.%m.%Y %H.%M %z"]  # fmt: skip
MOMENTS = st.datetimes(dt.datetime(1969, 1, 1), dt.datetime(2068, 12, 31))
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))


def python_reads(text, format):
    try:
        found = dt.datetime.strptime(text, format)
    except ValueError:
        return None
    if "%j" in format and found.year != int(text[:4]):
        return None  # Python takes day 366 of any year; we do not
    return found if found.tzinfo is None else found.astimezone(dt.UTC).replace(tzinfo=None)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FORMATS), st.lists(MOMENTS, min_size=1, max_size=5), OFFSETS)
def test_what_is_written_is_read(format, moments, zone):
    texts = [moment.replace(tzinfo=zone).strftime(format) for moment in moments]
    assert by_format(pa.array([*texts, None]), format).to_pylist() == [*(python_reads(t, format) for t in texts), None]


ALMOST = st.from_regex(
    r"\A[0-9]{1,4}[-. ]?[0-9]{1,3}[-. ]?[0-9]{0,4}( [0-9]{1,2}(:[0-9]{1,3}){0,2}([aA]M)?)?\Z", fullmatch=True
)
ODD = ["2020-02-30", "2100-02-29", "2000-02-29", "0000-01-01", "2020-366", "2021-366", "2020-13-01", "31 APR 2020",
       "30 apr 2020", "30 Sept 2020", "2020-1-1 12pm"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        ["%Y-%m-%d", "%Y%m%d", "%d.%m.%y", "%Y-%j", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %I%p", "%d %b %Y", "%H%M%y"]
    ),
    st.lists(ALMOST | st.sampled_from(ODD), max_size=8),
)
@example("%Y-%m-%d", ["2020-02-31", "2020-02-29"])
def test_what_python_refuses_is_refused(format, texts):
    assert by_format(pa.array(texts, pa.string()), format).to_pylist() == [python_reads(t, format) for t in texts]


@pytest.mark.parametrize("format", FORMATS)
def test_many_are_read_as_few_are(format, monkeypatch):
    """Whether texts repeat or not; some are cut short, some hold letters that only Unicode calls an S or a K."""
    start = dt.datetime(1969, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-7, minutes=-30)))
    moments = [start + dt.timedelta(days=31 * at, seconds=7919 * at) for at in range(700)]
    texts = [moment.strftime(format)[: None if at % 9 else -1] for at, moment in enumerate(moments)]
    texts += [text.replace("s", "\u017f").upper() for text in texts[:50]] + [
        text.replace("0", "\u0660") for text in texts
    ]
    for listed in (texts[:70] * 20, texts):
        array = pa.array([*listed, None])
        many = by_format(array, format)
        with monkeypatch.context() as patch:
            patch.setattr(times, "_FEW", len(array))
            assert by_format(array, format).equals(many)
    assert many.null_count > 1 and len(many.drop_null()) > 1


@pytest.mark.parametrize("device", DEVICES)
def test_days_that_no_calendar_has(device):
    data = {"s": pa.array(["2020-02-31", "2020-02-29", None])}
    for read in (s.str.to_date, s.str.to_datetime):
        for format in ("%Y-%m-%d", None):
            with pytest.raises(CastError, match=r"'2020-02-31' cannot be read as .*strict=False"):
                value(read(format), device, data)
            found = value(read(format, strict=False).dt.day(), device, data)
            assert found == [None, 29, None]
    assert value(s.str.to_datetime("%Y-%m-%d %H:%M:%S.%f"), device, {"s": pa.array(["2020-02-29 01:02:03.25"])}) == [
        dt.datetime(2020, 2, 29, 1, 2, 3, 250_000)
    ]


@pytest.mark.parametrize("device", DEVICES)
def test_texts_with_an_offset_are_instants(device):
    data = {"s": pa.array(["2020-01-01T00:00:00Z", "2020-01-01T00:00:00", "2020-01-01T02:00:00+02:00", None])}
    midnight, local = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2020, 1, 1, tzinfo=ROME)
    got = value(s.str.to_datetime(time_zone="Europe/Rome"), device, data)
    assert got == [midnight, local, midnight, None]
    stamps = value(s.str.to_datetime(time_zone="Europe/Rome").dt.timestamp(), device, data)
    assert stamps == [1577836800, 1577833200, 1577836800, None]
    assert value(s.str.to_datetime(strict=False), device, data) == [None, dt.datetime(2020, 1, 1), None, None]
    with pytest.raises(CastError, match="'2020-01-01T00:00:00Z' cannot be read as ISO 8601"):
        value(s.str.to_datetime(), device, data)
    with_offset = {"s": pa.array(["2020-01-01 00:00:00+0200", "2019-12-31 22:00:00Z", None])}
    for zone in (None, "Asia/Tokyo"):
        got = value(s.str.to_datetime("%F %T%z", time_zone=zone), device, with_offset)
        assert got == [midnight - dt.timedelta(hours=2)] * 2 + [None]
        assert str(got[0].tzinfo) == (zone or "UTC")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("format", [None, "%Y-%m-%d %H:%M:%S"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_times_that_clocks_skip_or_show_twice(device, format, dictionary):
    texts = pa.array(["2021-03-28 01:59:59", "2021-03-28 02:30:00", "2021-10-31 02:30:00", "2021-03-28 03:00:00", None])
    data = {"s": texts.dictionary_encode() if dictionary else texts}
    lenient = value(s.str.to_datetime(format, strict=False, time_zone="Europe/Rome"), device, data)
    assert lenient == [dt.datetime(2021, 3, 28, 1, 59, 59, tzinfo=ROME), None, None,
                       dt.datetime(2021, 3, 28, 3, tzinfo=ROME), None]  # fmt: skip
    with pytest.raises(
        CastError, match="'2021-03-28 02:30:00' is a time that clocks in Europe/Rome skip or show twice"
    ):
        value(s.str.to_datetime(format, time_zone="Europe/Rome"), device, data)
    assert value(s.str.to_datetime(format, time_zone="UTC").dt.minute(), device, data) == [59, 30, 30, 0, None]
