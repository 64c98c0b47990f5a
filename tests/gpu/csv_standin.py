"""libcudf's reader of CSV over pyarrow, written after its source (cpp/src/io/csv of 26.10), its faults included.

Rows are found by a machine of its own, which loses count where a quote that stands twice begins a line; three bytes of
a mark of UTF-8 are passed over; an empty last field without a line's end is never written; what is no number is null.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from .api.fakes import held_to

_NONE, _QUOTE, _PENDING = range(3)
_Q, _COMMA, _LINE, _RETURN = b'",\n\r'
_ABSENT = "never written"


@held_to("pylibcudf.io.csv.CsvReaderOptions")
class CsvReaderOptions:
    def __init__(self, octets: bytes, default_na: bool) -> None:
        self._octets, self._default_na = octets, default_na
        self._header = 0
        self._names: list[str] = []
        self._used: list[str] = []
        self._types: dict[str, Any] = {}
        self._nulls: set[bytes] = set()
        self._true, self._false = {b"True", b"TRUE", b"true"}, {b"False", b"FALSE", b"false"}

    def set_header(self, header: int) -> None:
        self._header = header

    def set_names(self, col_names: list[str]) -> None:
        self._names = col_names

    def set_use_cols_names(self, col_names: list[str]) -> None:
        self._used = col_names

    def set_dtypes(self, types: dict[str, Any]) -> None:
        self._types = types

    def set_na_values(self, na_values: list[str]) -> None:
        """Without one for an empty field in quotes the library adds that."""
        self._nulls = {text.encode() for text in na_values}
        self._nulls |= {b'""'} if b"" in self._nulls else set()

    def set_true_values(self, true_values: list[str]) -> None:
        self._true = {text.encode() for text in true_values}

    def set_false_values(self, false_values: list[str]) -> None:
        self._false = {text.encode() for text in false_values}


@held_to("pylibcudf.io.csv.CsvReaderOptionsBuilder")
class CsvReaderOptionsBuilder:
    def __init__(self, octets: bytes) -> None:
        self._octets, self._default_na = octets, True

    def keep_default_na(self, keep_default_na: bool) -> "CsvReaderOptionsBuilder":
        self._default_na = keep_default_na
        return self

    def build(self) -> CsvReaderOptions:
        return CsvReaderOptions(self._octets, self._default_na)


def arrays(options: CsvReaderOptions, kind_of: Callable[[Any], str]) -> dict[str, pa.Array]:
    """What is read of each column, in the order of the file.

    Args:
        kind_of: the name of a type of libcudf's.
    """
    octets = options._octets
    assert options._header == -1 and not options._default_na, "not written here"
    octets = octets[3:] if octets.startswith(b"\xef\xbb\xbf") else octets
    starts = list(_row_starts(octets))
    rows = [list(_fields(octets, first, last)) for first, last in zip(starts, [*starts[1:], len(octets)], strict=True)]
    rows = [row for row, first in zip(rows, starts, strict=True) if octets[first] not in (_LINE, _RETURN)]
    made = {}
    for place, name in enumerate(options._names):
        if name in options._used:
            kind = kind_of(options._types[name])
            found = [_value(row[place], kind, options) if place < len(row) else _missing(kind) for row in rows]
            made[name] = pa.array(found, _ARROW[kind])
    return made


def _row_starts(octets: bytes) -> Iterator[int]:
    """By ``gather_row_offsets_gpu``."""
    state, before = _NONE, _LINE
    for at, here in enumerate(octets):
        if before == _LINE and state != _QUOTE:
            yield at
        state = _after(state, before, here)
        before = here


def _after(state: int, before: int, here: int) -> int:
    """The next of (none, quote, pending exit); in a line's first place as if no quote could stand twice."""
    if before == _LINE:
        return (_QUOTE, _NONE, _QUOTE)[state] if here == _Q else (_NONE, _QUOTE, _NONE)[state]
    if here != _Q:
        return (_NONE, _QUOTE, _NONE)[state]
    if before == _COMMA:
        return (_QUOTE, _PENDING, _PENDING)[state]
    return (_NONE, _PENDING, _QUOTE if before == _Q else _PENDING)[state]


def _fields(octets: bytes, first: int, last: int) -> Iterator[bytes]:
    """By ``convert_csv_to_cudf`` and ``seek_field_end``."""
    while first < last:
        quoted, at = False, first
        begins_with_quote = octets[first] == _Q
        while at < last:
            here = octets[at]
            if begins_with_quote and here == _Q:
                quoted = not quoted
            elif not quoted and (here in (_COMMA, _LINE) or (here == _RETURN and octets[at + 1 : at + 2] == b"\n")):
                break
            at += 1
        yield octets[first:at]
        if at < last and octets[at] != _COMMA:
            return
        first = at + 1


def _value(field: bytes, kind: str, options: CsvReaderOptions) -> Any:
    if field in options._nulls:
        return None
    if kind == "STRING":
        if field[:1] == field[-1:] == b'"':
            field = field[1:-1].replace(b'""', b'"')
        return field.decode()
    field = field.strip(b"\t ").removeprefix(b'"').removesuffix(b'"')
    return _PARSED[kind](field, options)


def _missing(kind: str) -> Any:
    return _ABSENT if kind == "STRING" else None


def _whole(field: bytes, options: CsvReaderOptions) -> int | None:
    if field in options._true | options._false:
        return int(field in options._true)
    digits = field[1:] if field[:1] in (b"-", b"+") else field
    if not all(digit in b"0123456789+" for digit in digits):
        return None
    value = 0
    for digit in digits.replace(b"+", b""):
        value = value * 10 + digit - ord("0")
    value = (value * (-1 if field[:1] == b"-" else 1)) & 0xFFFF_FFFF_FFFF_FFFF
    return value - 2**64 if value >= 2**63 else value


def _truth(field: bytes, options: CsvReaderOptions) -> bool | None:
    found = _whole(field, options)
    return None if found is None else bool(found)


def _day(field: bytes, options: CsvReaderOptions) -> dt.date:
    year, month, day = (int(part) for part in field.split(b"-"))
    return dt.date(year, month, day)


_PARSED: dict[str, Callable[[bytes, CsvReaderOptions], Any]] = {
    "INT64": _whole,
    "BOOL8": _truth,
    "TIMESTAMP_DAYS": _day,
}
_ARROW = {"STRING": pa.large_string(), "INT64": pa.int64(), "BOOL8": pa.bool_(), "TIMESTAMP_DAYS": pa.date32()}
