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
