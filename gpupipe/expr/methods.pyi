# ruff: noqa: E501, I001
"""Generated from the registry by `make docs`: do not edit."""

import builtins
from collections.abc import Iterable, Sequence
from typing import Any

from gpupipe.expr.expr import Expr
from gpupipe.schema import DType


class Dates:
    def day(self) -> Expr:
        """The day of the month, 1 to 31."""
    def elapsed(self, since: Any, unit: builtins.str='days') -> Expr:
        """The time from `since` (a column's name, an expression or a date) to this one, in days, hours or seconds."""
    def hour(self) -> Expr:
        """The hour, 0 to 23."""
    def is_weekend(self) -> Expr:
        """Whether it is Saturday or Sunday."""
    def minute(self) -> Expr:
        """The minute, 0 to 59."""
    def month(self) -> Expr:
        """The month, 1 to 12."""
    def ordinal_day(self) -> Expr:
        """The day of the year, 1 to 366."""
    def quarter(self) -> Expr:
        """The quarter, 1 to 4."""
    def second(self) -> Expr:
        """The second, 0 to 59."""
    def timestamp(self) -> Expr:
        """Seconds since 1970-01-01 (UTC where there is a time zone), with their fraction."""
    def total_days(self) -> Expr:
        """A duration in days, with their fraction."""
    def total_hours(self) -> Expr:
        """A duration in hours, with their fraction."""
    def total_seconds(self) -> Expr:
        """A duration in seconds, with their fraction."""
    def week(self) -> Expr:
        """The week of the year, 1 to 53 (ISO 8601: week 1 holds the year's first Thursday)."""
    def weekday(self) -> Expr:
        """The day of the week, Monday 1 to Sunday 7 (ISO 8601)."""
    def year(self) -> Expr:
        """The year, proleptic Gregorian."""

class Text:
    def contains(self, pattern: builtins.str, literal: bool=False) -> Expr:
        """Whether the regular expression (RE2 syntax), or the literal text, occurs."""
    def ends_with(self, suffix: builtins.str) -> Expr:
        """Whether it ends with `suffix`."""
    def len_bytes(self) -> Expr:
        """The number of UTF-8 bytes."""
    def len_chars(self) -> Expr:
        """The number of characters (Unicode code points)."""
    def replace(self, pattern: builtins.str, value: builtins.str, literal: bool=False) -> Expr:
        """With the first match of the regular expression (RE2 syntax), or of the literal text, replaced by `value`."""
    def replace_all(self, pattern: builtins.str, value: builtins.str, literal: bool=False) -> Expr:
        """With every match of the regular expression (RE2 syntax), or of the literal text, replaced by `value`."""
    def slice(self, offset: int, length: int | None=None) -> Expr:
        """`length` characters from `offset` on; a negative offset counts from the end."""
    def starts_with(self, prefix: builtins.str) -> Expr:
        """Whether it begins with `prefix`."""
    def strip_chars(self, characters: builtins.str | None=None) -> Expr:
        """Without white space, or the given characters, at either end."""
    def to_date(self, format: builtins.str | None=None, strict: bool=True) -> Expr:
        """A date read by a strptime format (as ``to_datetime``, but no %z), or as ISO 8601 without one."""
    def to_datetime(self, format: builtins.str | None=None, strict: bool=True, time_zone: builtins.str | None=None) -> Expr:
        """A timestamp read by a strptime format, or as ISO 8601 without one; what cannot be read is an error, or null."""
    def to_lowercase(self) -> Expr:
        """In lower case (Unicode's simple mapping)."""
    def to_uppercase(self) -> Expr:
        """In upper case (Unicode's simple mapping)."""
    def word_ngrams(self, n_features: int, n: int | tuple[int, int]=1, lowercase: bool=True, seed: int=0, limit: int=1000) -> Expr:
        """Counts of word n-grams, hashed into `n_features` columns. Words are runs of two or more letters, digits or _."""

class Methods:
    @property
    def dt(self) -> Dates: ...
    @property
    def str(self) -> Text: ...
    def bucketize(self, boundaries: Sequence[float]) -> Expr:
        """The number of `boundaries` at or below the value: 0 … len(boundaries). Null stays null."""
    def qcut(self, n_bins: int) -> Expr:
        """The bin between quantiles: 0 … n_bins - 1, of about equal counts in training. Null stays null."""
    def codes(self, min_count: int=1, max_size: int | None=None, other_buckets: int=1) -> Expr:
        """Category codes: 0 null, 1 … B other, from B + 1 the vocabulary, most frequent first."""
    def cross(self, *others: Any, seed: int=0) -> Expr:
        """Several columns hashed together into the buckets that the last argument counts; order matters."""
    def frequency(self) -> Expr:
        """The share of training rows with the same value; null is a value of its own; unseen gives 0."""
    def hash_buckets(self, n_buckets: int, seed: int=0) -> Expr:
        """The XXH64 hash of the value, modulo `n_buckets`; null has a hash of its own."""
    def one_hot(self, min_count: int=1, max_size: int | None=None, null: bool=False, limit: int=1000) -> Expr:
        """A column of 0 and 1 for each value of the vocabulary, by value; all zeros for null and for unseen values."""
    def ordinal(self, order: Sequence[Any], unknown: builtins.str='error') -> Expr:
        """The position in `order`, from 0; a value not listed is an error, or null with ``unknown="null"``."""
    def target_mean(self, smoothing: float=20.0, folds: int=5) -> Expr:
        """The target's mean among rows of the same value, smoothed: (sum + s · mean) / (n + s)."""
    def cyclic(self, period: float) -> Expr:
        """Sine and cosine of 2π·x/period: two columns, so that the end of a cycle lies beside its beginning."""
    def abs(self) -> Expr:
        """The absolute value."""
    def arcsin(self) -> Expr:
        """The inverse sine, in radians."""
    def arctan(self) -> Expr:
        """The inverse tangent, in radians."""
    def cast(self, dtype: DType | builtins.str, strict: bool=True) -> Expr:
        """Of another type; what does not fit is an error, or null with ``strict=False``."""
    def ceil(self) -> Expr:
        """The least whole number not below."""
    def clip(self, lower_bound: Any=None, upper_bound: Any=None) -> Expr:
        """Held between the bounds; None leaves a side open, null and NaN stay."""
    def coalesce(self, *others: Any) -> Expr:
        """The first that is not null of this and `others`; strings name columns."""
    def cos(self) -> Expr:
        """The cosine of radians, within 4 ulp."""
    def exp(self) -> Expr:
        """The exponential function, within 1 ulp."""
    def expm1(self) -> Expr:
        """exp(x) - 1, exact near 0, within 1 ulp."""
    def floor(self) -> Expr:
        """The greatest whole number not above."""
    def is_finite(self) -> Expr:
        """Whether it is neither NaN nor infinite."""
    def is_in(self, values: Iterable[Any]) -> Expr:
        """Whether it is one of `values`; null where it is null."""
    def is_nan(self) -> Expr:
        """Whether it is NaN (which null is not)."""
    def is_not_null(self) -> Expr:
        """Whether it is not null."""
    def is_null(self) -> Expr:
        """Whether it is null."""
    def log(self) -> Expr:
        """The natural logarithm, within 1 ulp; -inf at 0, NaN below."""
    def log10(self) -> Expr:
        """The logarithm to base 10, within 2 ulp: log10(1000) may be the float just below 3."""
    def log1p(self) -> Expr:
        """log(1 + x), exact near 0, within 1 ulp."""
    def log2(self) -> Expr:
        """The logarithm to base 2, within 2 ulp."""
    def max_horizontal(self, other: Any) -> Expr:
        """The greater of two, row by row; NaN wins, as in NumPy's maximum."""
    def min_horizontal(self, other: Any) -> Expr:
        """The lesser of two, row by row; NaN wins, as in NumPy's minimum."""
    def nan_to_null(self) -> Expr:
        """NaN made null."""
    def nonzero(self) -> Expr:
        """1 where it is exactly 0, else itself: for a divisor that a constant column makes 0."""
    def pow(self, exponent: Any) -> Expr:
        """`x` to the power `exponent`; small whole powers are products, so integers stay integers."""
    def round(self, decimals: int=0) -> Expr:
        """Rounded to `decimals`, halves to even, as NumPy's round does."""
    def sigmoid(self) -> Expr:
        """1 / (1 + exp(-x)), without overflow."""
    def sign(self) -> Expr:
        """-1, 0 or 1; NaN stays."""
    def sin(self) -> Expr:
        """The sine of radians, within 4 ulp."""
    def sqrt(self) -> Expr:
        """The square root; NaN below 0."""
    def tanh(self) -> Expr:
        """The hyperbolic tangent, within 4 ulp."""
    def trunc(self) -> Expr:
        """The whole number towards zero."""
    def where(self, condition: Any, otherwise: Any=None) -> Expr:
        """Itself where `condition` holds, else `otherwise`."""
    def group_statistics(self, *keys: Any, statistics: Sequence[builtins.str]=('mean', 'std', 'count')) -> Expr:
        """Statistics of the column among rows that share `keys`, a column each: x_by_city_mean, … Unseen keys give null."""
    def standardize_over(self, *keys: Any) -> Expr:
        """Standardised within each group of rows that share `keys`."""
    def fill_null(self, value: Any=None, *, strategy: builtins.str | None=None) -> Expr:
        """Nulls replaced: by a constant, an expression, or "mean", "median", "mode", "min", "max" of the column."""
    def missing_flag(self) -> Expr:
        """1 where it is null, 0 elsewhere."""
    def count(self) -> Expr:
        """The number of values that are not null."""
    def max(self) -> Expr:
        """The greatest value."""
    def mean(self) -> Expr:
        """The arithmetic mean."""
    def median(self) -> Expr:
        """The exact median; between two values, halfway."""
    def min(self) -> Expr:
        """The least value."""
    def mode(self) -> Expr:
        """The most frequent value; the least of those that tie."""
    def n_unique(self) -> Expr:
        """The number of distinct values, null not among them."""
    def null_count(self) -> Expr:
        """The number of nulls."""
    def quantile(self, q: float) -> Expr:
        """The exact quantile, with NumPy's linear interpolation (Hyndman and Fan 1996, type 7)."""
    def std(self, ddof: int=0) -> Expr:
        """The standard deviation; `ddof` = 0 divides by n, as scikit-learn does (Polars: 1)."""
    def sum(self) -> Expr:
        """The sum of the values; 0 where there is none."""
    def var(self, ddof: int=0) -> Expr:
        """The variance; `ddof` = 0 divides by n, as scikit-learn does (Polars: 1)."""
    def vocabulary(self, min_count: int=1, max_size: int | None=None, order: builtins.str='count') -> Expr:
        """The distinct values that occur `min_count` times or more: most frequent first, ties by value."""
    def max_abs(self) -> Expr:
        """Over the greatest absolute value."""
    def min_max(self) -> Expr:
        """From 0 at the least value to 1 at the greatest; a constant column becomes 0."""
    def robust(self) -> Expr:
        """Less the median, over the distance between the quartiles."""
    def standardize(self) -> Expr:
        """Less the mean, over the standard deviation (ddof 0); a constant column becomes 0."""
