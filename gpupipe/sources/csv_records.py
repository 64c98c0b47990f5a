"""The records of CSV text, one by one: where a quote is special, and on which line a record begins.

Arrow reads whole blocks. This says where a block may be cut, and names the line where something is wrong.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from gpupipe.errors import FileFormatError

# A quote is special where a field begins, as it is for Arrow; text after the closing quote belongs to the field too.
_FIELD = rb'(?:"(?:[^"]++|"")*+"[^,\r\n]*+|[^",\r\n][^,\r\n]*+|)'
_RECORD = re.compile(rb"%b(?:,%b)*+(?:\r\n|\n|\r|\Z)" % (_FIELD, _FIELD))
_FIELDS = re.compile(rb"(%b)[,\n]" % _FIELD)
_QUOTED = re.compile(rb'"((?:[^"]|"")*+)"?(.*)', re.DOTALL)
_QUOTE = ord('"')
_BESIDE_QUOTES = np.zeros(256, bool)
_BESIDE_QUOTES[list(b',\r\n"')] = True


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its bytes with the line's end, and how many lines of the text stand before it."""

    text: bytes
    lines_before: int

    @property
    def fields(self) -> list[bytes]:
        """The bytes of each field, its quotes taken off.

        >>> Record(b'1,"a ""b"", c"\\n', 0).fields
        [b'1', b'a "b", c']
        """
        ended = self.text.rstrip(b"\r\n") + b"\n"
        return [_unquoted(field) for field in _FIELDS.findall(ended)]


def _unquoted(field: bytes) -> bytes:
    found = _QUOTED.fullmatch(field)
    return field if found is None else found[1].replace(b'""', b'"') + found[2]


def records(text: bytes) -> Iterator[Record]:
    """The records of a text that begins with one, blank lines left out; ends before a quote that is never closed."""
    at = lines = 0
    while at < len(text):
        found = _RECORD.match(text, at)
        if found is None:
            return
        record = found.group()
        if record.strip(b"\r\n"):
            yield Record(record, lines)
        at, lines = found.end(), lines + n_lines(record)


def n_lines(text: bytes) -> int:
    """How many lines end in the text, by a line feed, a carriage return, or both."""
    feeds, returns = text.count(b"\n"), text.count(b"\r")
    return feeds + returns - text.count(b"\r\n") if returns else feeds


def record_at(text: bytes, row: int) -> Record | None:
    """The record of a row of the text, from 0."""
    return next(islice(records(text), row, None), None)


def first_ragged(text: bytes, width: int) -> tuple[int, Record] | None:
    """The first record that has not `width` fields, and its row."""
    return next(((row, record) for row, record in enumerate(records(text)) if len(record.fields) != width), None)


def is_plain(text: bytes) -> bool:
    """Whether each quote in whole records opens or closes a field, so that counting them tells what is inside one.

    >>> is_plain(b'1,"a ""b"" c"\\n'), is_plain(b'1,5" pipe\\n2,6" pipe\\n')
    (True, False)
    """
    if b'"' not in text:
        return True
    octets = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(octets == _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    before, after = octets[opening[opening > 0] - 1], octets[closing[closing < len(octets) - 1] + 1]
    return bool(_BESIDE_QUOTES[before].all() and _BESIDE_QUOTES[after].all())


def refuse_unclosed(path: str, text: bytes, lines_before: int) -> None:
    """Raise FileFormatError where a quote opens in the text, which begins with a record, and is never closed."""
    at = lines = 0
    while at < len(text):
        found = _RECORD.match(text, at)
        if found is None:
            shown = text[at : at + 80].partition(b"\n")[0].decode("utf-8", errors="replace")
            raise FileFormatError(
                f"a quote opens here and is never closed, so that all that follows would be one field: {shown}. Close "
                'it, or write it twice ("") inside a quoted field.'
            ).of(path, line=lines_before + lines + 1)
        at, lines = found.end(), lines + n_lines(found.group())
