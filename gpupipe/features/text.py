"""Text into numbers and other text."""

from collections.abc import Callable
from functools import partial
from typing import Any

from gpupipe.errors import ParameterError
from gpupipe.expr.expr import Expr
from gpupipe.expr.patterns import replacement
from gpupipe.expr.registry import operator
from gpupipe.features.arguments import checked_seed, is_whole, whole_number
from gpupipe.features.encode import WIDTH_LIMIT

_FARTHEST = 2**31
text: Callable[..., Any] = partial(operator, namespace="str", takes="text", family="text")


@text(peer="Polars str.len_chars")
def len_chars(x: Expr) -> Expr:
    """The number of characters (Unicode code points)."""
    return x._call("len_chars").suffix("_len")


@text(peer="Polars str.len_bytes")
def len_bytes(x: Expr) -> Expr:
    """The number of UTF-8 bytes."""
    return x._call("len_bytes").suffix("_len")


@text(peer="Polars str.to_lowercase")
def to_lowercase(x: Expr) -> Expr:
    """In lower case (Unicode's simple mapping)."""
    return x._call("to_lowercase")


@text(peer="Polars str.to_uppercase")
def to_uppercase(x: Expr) -> Expr:
    """In upper case (Unicode's simple mapping)."""
    return x._call("to_uppercase")


@text(peer="Polars str.strip_chars")
def strip_chars(x: Expr, characters: str | None = None) -> Expr:
    """Without white space, or the given characters, at either end."""
    return x._call("strip_chars", characters=characters)


@text(peer="Polars str.slice", arguments=(0, 2))
def slice(x: Expr, offset: int, length: int | None = None) -> Expr:
    """`length` characters from `offset` on; a negative offset counts from the end."""
    if not is_whole(offset) or abs(offset) >= _FARTHEST:
        raise ParameterError(f"slice takes a whole number as its offset, not {offset!r}.")
    if length is not None and (not is_whole(length) or not 0 <= length < _FARTHEST):
        raise ParameterError(f"slice takes a length from 0 on, or None for the rest, not {length!r}.")
    return x._call("slice", offset=offset, length=length)


@text(peer="Polars str.contains", arguments=("a",))
def contains(x: Expr, pattern: str, literal: bool = False) -> Expr:
    """Whether the regular expression (RE2 syntax), or the literal text, occurs."""
    return x._call("contains", pattern=_pattern("contains", pattern), literal=bool(literal)).suffix("_contains")


@text(peer="Polars str.replace", arguments=("e", "a"))
def replace(x: Expr, pattern: str, value: str, literal: bool = False) -> Expr:
    """With the first match of the regular expression (RE2 syntax), or of the literal text, replaced by `value`.

    In `value`, ``$1`` to ``$9`` stand for groups of the pattern, ``$0`` for the match, ``$$`` for a dollar sign;
    with ``literal=True`` nothing does.
    """
    return _replaced(x, "replace", pattern, value, literal)


@text(peer="Polars str.replace_all", arguments=("e", "a"))
def replace_all(x: Expr, pattern: str, value: str, literal: bool = False) -> Expr:
    """With every match of the regular expression (RE2 syntax), or of the literal text, replaced by `value`.

    `value` as in ``replace``.
    """
    return _replaced(x, "replace_all", pattern, value, literal)


def _replaced(x: Expr, op: str, pattern: str, value: str, literal: bool) -> Expr:
    if not literal:
        replacement(_pattern(op, value))
    return x._call(op, pattern=_pattern(op, pattern), value=_pattern(op, value), literal=bool(literal))


@text(peer="Polars str.starts_with", arguments=("a",))
def starts_with(x: Expr, prefix: str) -> Expr:
    """Whether it begins with `prefix`."""
    return x._call("starts_with", pattern=_pattern("starts_with", prefix))


@text(peer="Polars str.ends_with", arguments=("a",))
def ends_with(x: Expr, suffix: str) -> Expr:
    """Whether it ends with `suffix`."""
    return x._call("ends_with", pattern=_pattern("ends_with", suffix))


@text(peer="Polars str.to_datetime", arguments=("%Y-%m-%d",))
def to_datetime(x: Expr, format: str | None = None, strict: bool = True, time_zone: str | None = None) -> Expr:
    """A timestamp read by a strptime format, or as ISO 8601 without one; what cannot be read is an error, or null.

    A format is read as Python's ``datetime.strptime`` does, in English: %Y %y %m %b %B %d %e %j %a %A %H %I %p %M %S
    %f %z %% %F %D %T %R; missing parts are the first of the year or month, and midnight. With `time_zone`, texts
    without an offset are local times there, those with one (``%z``, or ISO 8601's) the same instants shown there;
    a local time that clocks skip or show twice cannot be read. ``%z`` alone gives UTC.
    """
    return x._call("to_datetime", format=format, strict=bool(strict), time_zone=time_zone)


@text(peer="Polars str.to_date", arguments=("%Y-%m-%d",))
def to_date(x: Expr, format: str | None = None, strict: bool = True) -> Expr:
    """A date read by a strptime format (as ``to_datetime``, but no %z), or as ISO 8601 without one."""
    return x._call("to_date", format=format, strict=bool(strict))


@text(peer="HashingVectorizer(alternate_sign=False, norm=None)", arguments=(8,), family="text")
def word_ngrams(
    x: Expr,
    n_features: int,
    n: int | tuple[int, int] = 1,
    lowercase: bool = True,
    seed: int = 0,
    limit: int = WIDTH_LIMIT,
) -> Expr:
    """Counts of word n-grams, hashed into `n_features` columns. Words are runs of two or more letters, digits or _.

    More than `limit` columns are refused while planning, naming the column.
    """
    low, high = n if isinstance(n, tuple) and len(n) == 2 else (n, n)
    if not (is_whole(low) and is_whole(high) and 1 <= low <= high):
        raise ParameterError(f"word_ngrams takes n from 1 on, or a pair (low, high), not {n!r}.")
    sizes = {"n_features": whole_number("n_features", n_features), "limit": whole_number("limit", limit)}
    source = x._call("to_lowercase") if lowercase else x
    return source._call("word_ngrams", low=low, high=high, seed=checked_seed(seed), **sizes).suffix("_ngrams")


def _pattern(name: str, pattern: Any) -> str:
    if not isinstance(pattern, str):
        raise ParameterError(f"{name} takes text, not {pattern!r}.")
    return pattern
