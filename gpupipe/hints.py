"""Pieces of messages."""

import difflib
from collections.abc import Iterable


def nearest(asked: object, known: Iterable[str]) -> str:
    """A hint naming what was probably meant.

    >>> nearest("tenur", ["tenure", "city"])
    "Did you mean 'tenure'?"
    >>> nearest("xyz", ["tenure", "city"])
    'There are: tenure, city.'
    """
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(asked), names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"There are: {shown}." if names else "There are none."


def counted(count: int, noun: str) -> str:
    """A number and what it counts.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def place_of(file: str | None, row_group: int | None, line: int | None, row: int | None, column: str | None) -> str:
    """Where a value stands, as far as it is known; empty if not at all.

    >>> place_of(None, None, None, 2, "age"), place_of("a.csv", None, 4, None, None)
    ("Row 2, column 'age'", 'a.csv, line 4')
    """
    told = [
        file,
        None if row_group is None else f"row group {row_group}",
        None if line is None else f"line {line:,}",
        None if row is None else f"row {row:,}",
        None if column is None else f"column {column!r}",
    ]
    place = ", ".join(part for part in told if part is not None)
    return place if file else place[:1].upper() + place[1:]
