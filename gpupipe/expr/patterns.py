"""What matches of a regular expression are replaced by: Polars' words for it, RE2's in the engine."""

import re

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
