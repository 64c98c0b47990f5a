"""Pieces of messages."""

import difflib
from collections.abc import Iterable
from typing import Self


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


class Placed(Exception):
    """An error that knows where in the data it is.

    Attributes (each None where it is not known):
        file: the path of the file.
        row_group: the number in the file, from 0, of the row group (of Arrow IPC: the record batch).
        column: the name of the column.
        row: the number of the row in the file, or in the data given, from 0, whatever filters dropped.
        line: of CSV, the line of the file that the row begins on, from 1.
    """

    file: str | None = None
    row_group: int | None = None
    column: str | None = None
    row: int | None = None
    line: int | None = None
    position: int | None = None  # in the whole source, for whoever lists its files
    is_placed = False  # whether that was asked already

    def at(self, row: int | None = None, column: str | None = None) -> Self:
        """This error, of a row of the values at hand and a column; what is known already stays."""
        self.row = row if self.row is None else self.row
        self.column = column if self.column is None else self.column
        return self

    def of(self, file: str, *, line: int | None = None, row: int | None = None, column: str | None = None) -> Self:
        """This error, of a file: of a row of it, by its number there."""
        self.file, self.line, self.row, self.column, self.is_placed = file, line, row, column, True
        return self

    def within(self, what: str) -> Self:
        """This error, its text saying what was being computed."""
        self.args = (f"{what}: {' '.join(str(part) for part in self.args)}",)
        return self

    def __str__(self) -> str:
        place = place_of(self.file, self.row_group, self.line, self.row, self.column)
        return f"{place}: {super().__str__()}" if place else super().__str__()
