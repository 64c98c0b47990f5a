"""The formats that dates and times in text are read by: strptime's directives, as one regular expression (RE2).

The meaning is that of Python's ``datetime.strptime``, in English on every machine: a number may lack its leading zero
(but ``%Y`` has four digits and ``%y`` two), white space in a format stands for any run of it, names are taken in any
case, and a day that no calendar has is no date.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gpupipe.errors import ParameterError

MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
          "november", "december")  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SIXTY = "[0-5]?[0-9]"


def _any_of(names: tuple[str, ...], letters: int | None = None) -> str:
    """In any case, spelled out: regular expressions that ignore case take letters beyond ASCII, too."""
    return "|".join("".join(f"[{letter.upper()}{letter}]" for letter in name[:letters]) for name in names)


# Each directive: the field it gives (of two names for one field, the part before the blank is the field), its text.
DIRECTIVES: dict[str, tuple[str, str]] = {
    "%Y": ("year", "[0-9]{4}"),
    "%y": ("year of_century", "[0-9]{2}"),
    "%m": ("month", "1[0-2]|0?[1-9]"),
    "%b": ("month short", _any_of(MONTHS, 3)),
    "%B": ("month name", _any_of(MONTHS)),
    "%d": ("day", "3[01]|[12][0-9]|0?[1-9]| [1-9]"),
    "%e": ("day", " [1-9]|3[01]|[12][0-9]|0?[1-9]"),
    "%j": ("day_of_year", "36[0-6]|3[0-5][0-9]|[12][0-9]{2}|0?[1-9][0-9]|0{0,2}[1-9]"),
    "%a": ("", _any_of(_DAYS, 3)),
    "%A": ("", _any_of(_DAYS)),
    "%H": ("hour", "2[0-3]|[01]?[0-9]"),
    "%I": ("hour of_half", "1[0-2]|0?[1-9]"),
    "%p": ("half", "[AaPp][Mm]"),
    "%M": ("minute", _SIXTY),
    "%S": ("second", _SIXTY),
    "%f": ("fraction", "[0-9]{1,6}"),
    "%z": ("offset", "Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9]"),
    "%%": ("", "%"),
}
_SHORT = {"%F": "%Y-%m-%d", "%D": "%m/%d/%y", "%T": "%H:%M:%S", "%R": "%H:%M"}
_NEEDS = {"day": "month", "half": "hour", "minute": "hour", "second": "minute", "fraction": "second"}
_TOKEN = re.compile(r"%.?|\s+|[^%\s]+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Format:
    """A format, read.

    Attributes:
        pattern: the regular expression of the whole text (RE2 and Python's), a named group for each field.
        fields: field -> the directive that gives it.
    """

    pattern: str
    fields: dict[str, str]

    @property
    def has_offset(self) -> bool:
        """Whether texts say how far their time is from UTC."""
        return "offset" in self.fields


@lru_cache(maxsize=256)
def read_format(format: str) -> Format:
    """The meaning of a format.

    Raises:
        ParameterError: it has a directive that is none of :data:`DIRECTIVES`, one field twice, or no whole date.

    >>> read_format("%Y-%m").fields
    {'year': '%Y', 'month': '%m'}
    >>> read_format("%Y-%Q")
    Traceback (most recent call last):
    gpupipe.errors.ParameterError: The format '%Y-%Q' has '%Q', which is no directive. There are %Y %y %m ...
    """
    if not isinstance(format, str):
        raise ParameterError(f"A format is text such as '%Y-%m-%d', not {format!r}.")
    fields: dict[str, str] = {}
    expanded = _TOKEN.sub(lambda found: _SHORT.get(found[0], found[0]), format)
    pattern = "".join(_piece(format, token, fields) for token in _TOKEN.findall(expanded))
    _check(format, fields)
    return Format(pattern, fields)


def _piece(format: str, token: str, fields: dict[str, str]) -> str:
    if token.isspace():
        return r"\s+"
    if not token.startswith("%"):
        return re.escape(token)
    if token not in DIRECTIVES:
        known = " ".join([*DIRECTIVES, *_SHORT])
        raise ParameterError(f"The format {format!r} has {token!r}, which is no directive. There are {known}.")
    field, pattern = DIRECTIVES[token]
    field = field.partition(" ")[0]
    if field in fields:
        raise ParameterError(f"The format {format!r} gives the {field} twice, as {fields[field]} and {token}.")
    if not field:
        return f"(?:{pattern})"
    fields[field] = token
    return f"(?P<{field}>{pattern})"


def _check(format: str, fields: dict[str, str]) -> None:
    missing = [] if "year" in fields else ["the year"]
    missing += [
        f"the {needed} beside {fields[field]}" for field, needed in _NEEDS.items() if _lacks(fields, field, needed)
    ]
    if missing:
        raise ParameterError(f"The format {format!r} lacks {' and '.join(missing)}.")
    if "day_of_year" in fields and "month" in fields:
        raise ParameterError(f"The format {format!r} gives the month twice, as {fields['month']} and %j.")
    if (fields.get("hour") == "%I") != ("half" in fields):
        raise ParameterError(f"The format {format!r} has %I without %p, or %p without %I. Hours from 0 to 23 are %H.")


def _lacks(fields: dict[str, str], field: str, needed: str) -> bool:
    return field in fields and needed not in fields


def zone_of(format: Any, time_zone: Any) -> str | None:
    """The time zone of what is read: the one asked for, else UTC where texts carry an offset.

    Raises:
        ParameterError: as :func:`read_format`.

    >>> zone_of("%Y-%m-%d %H:%M%z", None), zone_of("%Y-%m-%d", None)
    ('UTC', None)
    """
    offset = format is not None and read_format(format).has_offset
    if time_zone is not None and not isinstance(time_zone, str):
        raise ParameterError(f"A time zone is a name such as 'Europe/Rome', not {time_zone!r}.")
    return "UTC" if offset and time_zone is None else time_zone
