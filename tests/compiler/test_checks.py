# mypy: disable-error-code="arg-type"
# Wrong types are what is tested.
"""Patterns, formats and time zones: judged while planning, by what runs them."""

import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import ParameterError

s, z = col("s"), col("z")
TABLE = pa.table({"s": ["ab", None], "z": pa.array([0, None], pa.timestamp("us", "Europe/Rom")), "x": [1, 2]})
REFUSED = [
    (s.str.contains(r"(?<=a)b"), r"contains cannot read the pattern '\(\?<=a\)b': .*literal=True"),
    (s.str.contains(r"(a)\1"), "contains cannot read the pattern"),
    (s.str.contains("("), "contains cannot read the pattern"),
    (s.str.to_datetime(time_zone="Europe/Rom"), "There is no time zone 'Europe/Rom'"),
    (s.str.to_datetime("%Y", time_zone="Nowhere"), "There is no time zone 'Nowhere'"),
    (s.str.to_datetime(time_zone=5), "A time zone is a name such as"),
    (s.cast("Datetime(Europe/Rom)"), "There is no time zone 'Europe/Rom'"),
    (col("x").cast("Datetime(Europe/Rom)"), "There is no time zone 'Europe/Rom'"),
    (z.dt.hour(), "There is no time zone 'Europe/Rom'"),
    (z.cast("Date"), "There is no time zone 'Europe/Rom'"),
    (z.cast("String"), "There is no time zone 'Europe/Rom'"),
    (s.str.to_date("%d.%m.%Q"), r"'%Q', which is no directive. There are %Y %y"),
    (s.str.to_datetime("%d.%m"), "lacks the year"),
    (s.str.to_date("%Y-%m-%d %H:%M%z"), r"to_date reads no offset \(%z\)"),
    (s.str.to_datetime(5), "A format is text such as '%Y-%m-%d', not 5"),
]


@pytest.mark.parametrize(("feature", "message"), REFUSED, ids=str)
def test_what_is_refused_while_planning(feature, message, monkeypatch):
    monkeypatch.setattr(gp.Source, "load_with_report", lambda *_: pytest.fail("a row was read"))
    for plan in (gp.Pipeline([feature]).explain, gp.Pipeline([feature]).fit):
        with pytest.raises(ParameterError, match=message):
            plan(TABLE)


def test_what_is_fine():
    features = [s.str.contains(r"\pL").alias("letter"), s.str.contains("(", literal=True), z.dt.timestamp()]
    found = gp.Pipeline(features).fit_transform(TABLE)
    assert found.column("letter").to_pylist() == [1, None]
    assert found.column("z_timestamp").to_pylist() == [0, None]  # which needs no local time
