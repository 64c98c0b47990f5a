"""Regular expressions and what matches are replaced by: Polars' words for them, RE2's in the engine."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.errors import ParameterError

_REFERENCE = re.compile(r"\$\$|\$\{(\w+)\}|\$(\w+)|\\")


def replacement(value: str) -> str:
    """What RE2 is given for `value`, where ``$1`` is a group of the match, as in Polars, and ``$$`` a dollar sign.

    Raises:
        ParameterError: a group that is none of 0 to 9, which is all that RE2 replaces by.

    >>> replacement("$2-${1}0"), replacement(r"$$ \\ $")
    ('\\\\2-\\\\10', '$ \\\\\\\\ $')
    """
    return _REFERENCE.sub(_written, value)


def _written(found: re.Match[str]) -> str:
    if found[0] == "\\":
        return r"\\"
    if found[0] == "$$":
        return "$"
    group = found[1] or found[2]
    if len(group) > 1 or not group.isdecimal():
        raise ParameterError(
            f"{found[0]!r} in a replacement is no group. There are $0 (the match) to $9; before a letter or digit "
            "${1}, and $$ for a dollar sign."
        )
    return f"\\{group}"


def why_unreadable(pattern: str, value: str | None = None) -> str | None:
    """Why RE2 cannot read a pattern, or replace its matches by `value`; None where it can.

    >>> why_unreadable("a(b)", "$1"), why_unreadable("a(")
    (None, 'Invalid regular expression: missing ): a(')
    """
    nothing = pa.array([""])
    try:
        pc.match_substring_regex(nothing, pattern)
        if value is not None:
            pc.replace_substring_regex(nothing, pattern=pattern, replacement=replacement(value))
    except (pa.ArrowInvalid, ParameterError) as error:
        return str(error).rstrip(".")
    return None
