"""Formats of dates and times: what is refused; what they read is tested with the backend that reads."""

import pytest

from gpupipe.errors import ParameterError
from gpupipe.expr.times import read_format, zone_of


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("%Y-%m-%d %Q", "'%Q', which is no directive"),
        ("%Y %", "'%', which is no directive"),
        ("%Y-%s", "'%s', which is no directive"),
        ("", "lacks the year"),
        ("%m-%d", "lacks the year"),
        ("%Y-%d", "lacks the month beside %d"),
        ("%F %M:%S", "lacks the hour beside %M"),
        ("%F %H %S.%f", "lacks the minute beside %S"),
        ("%F %H:%M.%f", "lacks the second beside %f"),
        ("%Y %y-%m-%d", "gives the year twice, as %Y and %y"),
        ("%F %B", "gives the month twice, as %m and %B"),
        ("%Y-%m %j", "gives the month twice, as %m and %j"),
        ("%F %I:%M", "has %I without %p"),
        ("%F %H:%M %p", "%p without %I"),
        (None, "A format is text"),
    ],
)
def test_what_is_refused(format, message):
    with pytest.raises(ParameterError, match=message):
        read_format(format)


def test_the_time_zone_of_what_is_read():
    assert zone_of(None, None) is None and zone_of("%F", None) is None
    assert zone_of("%F %R%z", None) == "UTC"
    assert zone_of("%F %R%z", "Asia/Tokyo") == zone_of(None, "Asia/Tokyo") == "Asia/Tokyo"
