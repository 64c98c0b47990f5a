"""What type a column of text is: decided over all its values, the same however they are cut into blocks."""

import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.schema import Boolean, Date, Datetime, DType, Float64, Int64, Null, String

_UTC = Datetime("UTC")
_TRUTHS = ["true", "false", "True", "False", "TRUE", "FALSE"]
_LONG = 19  # digits that int64 may not hold
_PADDED = r"^[+-]?0[0-9xX]"  # 007, 0x1F: an identifier, whatever a number parser makes of it
_MANY_DIGITS = r"^[+-]?[0-9]{19,}$"


def infer(texts: pa.Array) -> DType:
    """The narrowest of Null, Int64, Float64, Boolean, Date, Datetime and String that holds every value.

    Numbers with leading zeros ("007") and whole numbers beyond int64 are identifiers and stay text.

    >>> infer(pa.array(["1", None, "2.5"])), infer(pa.array(["007"])), infer(pa.array(["2013-01-01 05:00Z"]))
    (Float64, String, Datetime(UTC))
    """
    values = texts.drop_null()
    if not len(values):
        return Null
    if pc.all(pc.is_in(values, value_set=pa.array(_TRUTHS))).as_py():
        return Boolean
    number = next((dtype for dtype, arrow in _NUMBERS if _casts(values, arrow)), None)
    if number is not None:
        return String if _is_identifier(values, number) else number
    return next((dtype for dtype, arrow in _TIMES if _casts(values, arrow)), String)


_NUMBERS = [(Int64, pa.int64()), (Float64, pa.float64())]
_TIMES = [(Date, pa.date32()), (Datetime(), pa.timestamp("us")), (_UTC, pa.timestamp("us", "UTC"))]


def _casts(values: pa.Array, arrow: pa.DataType) -> bool:
    try:
        pc.cast(values[:1], arrow)
        pc.cast(values, arrow)
    except pa.ArrowInvalid:
        return False
    return True


def _is_identifier(values: pa.Array, number: DType) -> bool:
    zeros = pc.or_(pc.starts_with(values, "0"), pc.or_(pc.starts_with(values, "-0"), pc.starts_with(values, "+0")))
    if pc.any(pc.match_substring_regex(values.filter(zeros), _PADDED)).as_py():
        return True
    if number == Int64 or pc.max(pc.binary_length(values)).as_py() < _LONG:
        return False
    long = values.filter(pc.greater_equal(pc.binary_length(values), _LONG))
    beyond = long.filter(pc.match_substring_regex(long, _MANY_DIGITS))
    return len(beyond) > 0 and not _casts(beyond, pa.int64())


def both(left: DType, right: DType) -> DType:
    """The type of a column whose one part is of type `left` and the other of `right`.

    >>> both(Int64, Float64), both(Date, Datetime()), both(Int64, Date), both(Null, Boolean)
    (Float64, Datetime, String, Boolean)
    """
    if left == right or right == Null:
        return left
    if left == Null:
        return right
    if {left, right} == {Int64, Float64}:
        return Float64
    if {left, right} == {Date, Datetime()}:
        return Datetime()
    return String
