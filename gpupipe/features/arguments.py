"""Arguments that several operators take, checked where they are written."""

from typing import Any

from gpupipe.errors import ParameterError


def whole_number(name: str, value: Any) -> int:
    """`value`, a count of buckets, columns and the like.

    Raises:
        ParameterError: it is no whole number from 1 to 2^30 - 1, which Int32 codes can count.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(f"{name} is a whole number from 1 on, not {value!r}.")
    if value >= 2**30:
        raise ParameterError(f"{name} is below 2^30, not {value!r}.")
    return value


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, which True is not.

    >>> is_whole(2), is_whole(True), is_whole(2.0)
    (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool)


def checked_seed(value: Any) -> int:
    """`value`, the seed of a hash.

    Raises:
        ParameterError: it is no whole number from 0 to 2^63 - 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ParameterError(f"seed is a whole number from 0 on, below 2^63, not {value!r}.")
    return value
