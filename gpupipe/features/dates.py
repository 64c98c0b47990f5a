"""Parts of dates and times, and durations as numbers. Parts of a time-zone-aware column are those of local time."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gpupipe.errors import ParameterError
from gpupipe.expr.expr import Expr, as_column
from gpupipe.expr.registry import operator
from gpupipe.features.scalar import several

_SECOND = 1_000_000
part: Callable[..., Any] = partial(operator, namespace="dt", takes="time", family="dates")


def _days(x: Expr) -> Expr:
    return x._call("days_of")


def _time(x: Expr) -> Expr:
    return x._call("time_of")


@part(peer="Polars dt.year")
def year(x: Expr) -> Expr:
    """The year, proleptic Gregorian."""
    return _days(x)._call("year").suffix("_year")


@part(peer="Polars dt.month")
def month(x: Expr) -> Expr:
    """The month, 1 to 12."""
    return _days(x)._call("month").suffix("_month")


@part(peer="Polars dt.day")
def day(x: Expr) -> Expr:
    """The day of the month, 1 to 31."""
    return _days(x)._call("day").suffix("_day")


@part(peer="Polars dt.weekday")
def weekday(x: Expr) -> Expr:
    """The day of the week, Monday 1 to Sunday 7 (ISO 8601)."""
    return ((_days(x) + 3) % 7 + 1).suffix("_weekday")


@part(peer="Polars dt.quarter")
def quarter(x: Expr) -> Expr:
    """The quarter, 1 to 4."""
    return ((_days(x)._call("month") + 2) // 3).suffix("_quarter")


@part(peer="Polars dt.ordinal_day")
def ordinal_day(x: Expr) -> Expr:
    """The day of the year, 1 to 366."""
    return _ordinal(_days(x)).suffix("_ordinal_day")


def _ordinal(days: Expr) -> Expr:
    before = days._call("year") - 1
    january_first = before * 365 + before // 4 - before // 100 + before // 400 - 719_162
    return days - january_first + 1


@part(peer="Polars dt.week")
def week(x: Expr) -> Expr:
    """The week of the year, 1 to 53 (ISO 8601: week 1 holds the year's first Thursday)."""
    days = _days(x)
    thursday = days - (days + 3) % 7 + 3
    return ((_ordinal(thursday) - 1) // 7 + 1).suffix("_week")


@part(peer="pandas dt.dayofweek >= 5")
def is_weekend(x: Expr) -> Expr:
    """Whether it is Saturday or Sunday."""
    return ((_days(x) + 3) % 7 >= 5).suffix("_is_weekend")


@part(peer="Polars dt.hour")
def hour(x: Expr) -> Expr:
    """The hour, 0 to 23."""
    return (_time(x) // (3600 * _SECOND)).suffix("_hour")


@part(peer="Polars dt.minute")
def minute(x: Expr) -> Expr:
    """The minute, 0 to 59."""
    return (_time(x) // (60 * _SECOND) % 60).suffix("_minute")


@part(peer="Polars dt.second")
def second(x: Expr) -> Expr:
    """The second, 0 to 59."""
    return (_time(x) // _SECOND % 60).suffix("_second")


@part(peer="Polars dt.timestamp")
def timestamp(x: Expr) -> Expr:
    """Seconds since 1970-01-01 (UTC where there is a time zone), with their fraction."""
    return (x._call("ticks") / float(_SECOND)).suffix("_timestamp")


@part(peer="Polars dt.total_seconds (whole)")
def total_seconds(x: Expr) -> Expr:
    """A duration in seconds, with their fraction."""
    return x._call("ticks") / float(_SECOND)


@part(peer="Polars dt.total_hours (whole)")
def total_hours(x: Expr) -> Expr:
    """A duration in hours, with their fraction."""
    return x._call("ticks") / float(3600 * _SECOND)


@part(peer="Polars dt.total_days (whole)")
def total_days(x: Expr) -> Expr:
    """A duration in days, with their fraction."""
    return x._call("ticks") / float(86_400 * _SECOND)


@part(peer="feature-engine DatetimeSubtraction", arguments=("t",))
def elapsed(x: Expr, since: Any, unit: str = "days") -> Expr:
    """The time from `since` (a column's name, an expression or a date) to this one, in days, hours or seconds."""
    units: dict[str, Callable[[Expr], Expr]] = {
        "days": total_days,
        "hours": total_hours,
        "seconds": total_seconds,
    }
    if unit not in units:
        raise ParameterError(f"unit is 'days', 'hours' or 'seconds', not {unit!r}.")
    return units[unit](x._call("sub", Expr(as_column(since)))).suffix(f"_elapsed_{unit}")


@operator(peer="scikit-learn's cyclical feature example", arguments=(12,), family="dates")
def cyclic(x: Expr, period: float) -> Expr:
    """Sine and cosine of 2π·x/period: two columns, so that the end of a cycle lies beside its beginning."""
    if isinstance(period, bool) or not isinstance(period, int | float) or not 0 < period < math.inf:
        raise ParameterError(f"cyclic takes a period above 0, such as 12 for months, not {period!r}.")
    angle = x * (2 * np.pi / period)
    return several(angle._call("sin").suffix("_sin"), angle._call("cos").suffix("_cos"))
