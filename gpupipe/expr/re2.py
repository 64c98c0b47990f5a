"""Regular expressions as the engine reads them, tried on nothing."""

import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import text_of
from gpupipe.errors import ParameterError
from gpupipe.expr.patterns import replacement


def why_unreadable(pattern: str, value: str | None = None) -> str | None:
    """Why RE2 cannot read a pattern, or replace its matches by `value`; None where it can.

    >>> why_unreadable("a(b)", "$1"), why_unreadable("a(")
    (None, 'Invalid regular expression: missing ): a(')
    """
    nothing = text_of("")
    try:
        pc.match_substring_regex(nothing, pattern)
        if value is not None:
            pc.replace_substring_regex(nothing, pattern=pattern, replacement=replacement(value))
    except (pa.ArrowInvalid, ParameterError) as error:
        return str(error).rstrip(".")
    return None
