"""Text into numbers and other text."""

from collections.abc import Callable
from functools import partial
from typing import Any

from gpupipe.errors import ParameterError
from gpupipe.expr.expr import Expr
from gpupipe.expr.registry import operator
from gpupipe.features.arguments import checked_seed, whole_number
from gpupipe.features.encode import WIDTH_LIMIT

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
    return x._call("slice", offset=int(offset), length=None if length is None else int(length))


@text(peer="Polars str.contains", arguments=("a",))
def contains(x: Expr, pattern: str, literal: bool = False) -> Expr:
    """Whether the regular expression (RE2 syntax), or the literal text, occurs."""
    return x._call("contains", pattern=_pattern("contains", pattern), literal=bool(literal)).suffix("_contains")


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
    low, high = (n, n) if isinstance(n, int) else n
    if not 1 <= low <= high:
        raise ParameterError(f"word_ngrams takes n from 1 on, or a pair (low, high), not {n!r}.")
    sizes = {"n_features": whole_number("n_features", n_features), "limit": whole_number("limit", limit)}
    source = x._call("to_lowercase") if lowercase else x
    return source._call("word_ngrams", low=low, high=high, seed=checked_seed(seed), **sizes).suffix("_ngrams")


def _pattern(name: str, pattern: Any) -> str:
    if not isinstance(pattern, str):
        raise ParameterError(f"{name} takes text, not {pattern!r}.")
    return pattern
