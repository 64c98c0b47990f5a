"""What type a column of text is: decided over all its values, the same however they are cut into blocks."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import array_of, filled, null_of, texts_of, values_of
from gpupipe.backends.conform import inexact
from gpupipe.backends.parse import cast_each
from gpupipe.schema import Boolean, Date, Datetime, DType, Float64, Int64, Null, String
from gpupipe.sources.border import arrow_type

_UTC = Datetime("UTC")
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_LONG = 19  # digits that int64 may not hold
_BEYOND_EXACT = 16  # and that float64 may not
_PADDED = r"^[+-]?0[0-9xX]"  # 007, 0x1F: an identifier, whatever a number parser makes of it
_WHOLE = r"^-?[0-9]+$"
_SAMPLE, _MOSTLY = 1000, 0.5


@dataclass(frozen=True, slots=True)
class Guess:
    """What some values look like.

    Attributes:
        found: the narrowest type that holds every one.
        inexact: whether one is a whole number that a Float64 would round.
    """

    found: DType = Null
    inexact: bool = False

    @property
    def dtype(self) -> DType:
        """The type that no value is changed by."""
        return String if self.found == Float64 and self.inexact else self.found


def infer(texts: pa.Array) -> Guess:
    """The narrowest of Null, Int64, Float64, Boolean, Date, Datetime and String that holds every value.

    Numbers with leading zeros ("007") and whole numbers beyond int64 are identifiers and stay text; so do numbers among
    which a whole one would be rounded.

    >>> infer(pa.array(["1", None, "2.5"])).dtype, infer(pa.array(["007"])).dtype
    (Float64, String)
    >>> infer(pa.array(["2013-01-01 05:00Z"])).dtype, infer(pa.array(["9007199254740993", "0.5"])).dtype
    (Datetime(UTC), String)
    """
    values = texts.drop_null()
    if not len(values):
        return Guess()
    if pc.all(pc.is_in(values, value_set=texts_of([*TRUE, *FALSE]))).as_py():
        return Guess(Boolean)
    number = next((dtype for dtype, arrow in _NUMBERS if _casts(values, arrow)), None)
    if number is not None:
        whole = _long_whole(values)
        return Guess(String) if _is_identifier(values, whole, number) else Guess(number, _rounds(whole))
    return Guess(next((dtype for dtype, arrow in _TIMES if _casts(values, arrow)), String))


_NUMBERS = [(Int64, pa.int64()), (Float64, pa.float64())]
_TIMES = [(Date, pa.date32()), (Datetime(), pa.timestamp("us")), (_UTC, pa.timestamp("us", "UTC"))]


def _casts(values: pa.Array, arrow: pa.DataType) -> bool:
    try:
        pc.cast(values[:1], arrow)
        pc.cast(values, arrow)
    except pa.ArrowInvalid:
        return False
    return True


def _is_identifier(values: pa.Array, whole: pa.Array, number: DType) -> bool:
    zeros = pc.or_(pc.starts_with(values, "0"), pc.or_(pc.starts_with(values, "-0"), pc.starts_with(values, "+0")))
    if pc.any(pc.match_substring_regex(values.filter(zeros), _PADDED)).as_py():
        return True
    if number == Int64:
        return False
    beyond = whole.filter(pc.greater_equal(pc.binary_length(whole), _LONG))
    return len(beyond) > 0 and not _casts(beyond, pa.int64())


def _long_whole(values: pa.Array) -> pa.Array:
    """The whole numbers of so many characters that a float may not hold them."""
    long = pc.greater_equal(pc.binary_length(values), _BEYOND_EXACT)
    if not pc.any(long).as_py():
        return values[:0]
    values = values.filter(long)
    return values.filter(pc.match_substring_regex(values, _WHOLE))


def _rounds(whole: pa.Array) -> bool:
    lost = inexact(np.asarray(whole.cast(pa.int64())), Float64)
    return lost is not None and bool(lost.any())


def both(left: Guess, right: Guess) -> Guess:
    """What values look like of which one part looks like `left` and the other like `right`.

    >>> both(Guess(Int64), Guess(Float64)).dtype, both(Guess(Int64, inexact=True), Guess(Float64)).dtype
    (Float64, String)
    """
    return Guess(_both(left.found, right.found), left.inexact or right.inexact)


def _both(left: DType, right: DType) -> DType:
    if left == right or right == Null:
        return left
    if left == Null:
        return right
    if {left, right} == {Int64, Float64}:
        return Float64
    if {left, right} == {Date, Datetime()}:
        return Datetime()
    return String


# -- why a column is text --------------------------------------------------------------------------------------
def odd_one(texts: pa.Array, before: Guess) -> tuple[int, DType] | None:
    """The row of the first value for which a column is text and not what the others look like, and what that is.

    Args:
        texts: the values of a column that is text.
        before: what the values before these look like.

    >>> odd_one(pa.array(["1", "2", "n/a", "4", "5"]), Guess())
    (2, Int64)
    >>> odd_one(pa.array(["a", "b"]), Guess()) is None
    True
    """
    usual = before.found if before.found not in (Null, String) else _usual(texts[:_SAMPLE].drop_null())
    if usual is None:
        return None
    wide = {Int64: Float64, Date: Datetime()}.get(usual, usual)  # what would not have made the column text
    odd = pc.and_(pc.is_valid(texts), pc.is_null(cast_each(texts, arrow_type(wide))))
    if wide == Float64:
        odd = pc.or_(odd, _identifiers(texts))
    row = pc.index(odd, True).as_py()
    return None if row < 0 else (row, usual)


def _identifiers(texts: pa.Array) -> pa.Array:
    """Where a number is none to count with: leading zeros, or whole and beyond what is exact."""
    known = filled(texts)
    is_whole = pc.match_substring_regex(known, _WHOLE)
    whole = cast_each(pc.if_else(is_whole, known, null_of(pa.string())), pa.int64())
    beyond = pc.and_(is_whole, pc.is_null(whole))
    lost = inexact(values_of(filled(whole)), Float64)
    padded = pc.match_substring_regex(known, _PADDED)
    return pc.or_(padded, beyond if lost is None else pc.or_(beyond, array_of(lost)))


def _usual(values: pa.Array) -> DType | None:
    """What most of the values look like; None where they look like text."""
    for dtype in (Int64, Float64, Date, Datetime(), _UTC, Boolean):
        fitting = len(values) - cast_each(values, arrow_type(dtype)).null_count
        if len(values) > 1 and fitting >= _MOSTLY * len(values):
            return dtype
    return None
