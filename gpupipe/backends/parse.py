"""Text read as values of another type, and values written as text."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import array_of, null_of
from gpupipe.backends.strings import decoded, over_strings, text_column
from gpupipe.columns import Column
from gpupipe.errors import CastError
from gpupipe.expr.node import Node
from gpupipe.schema import DType, String, parse_dtype

_ARROW = {
    "Boolean": pa.bool_(),
    "Date": pa.date32(),
    "Duration": pa.duration("us"),
}

# What a text must look like for Arrow to read it at all: most that cannot be read is told by this at once.
_CLOCK = "[ T][0-9:.]+"
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_LOCAL = rf"\A{_DATE}({_CLOCK})?\z"
_INSTANT = rf"\A{_DATE}{_CLOCK}(Z|[+-][0-9:]+)\z"
_FLOAT = r"(?i)\A[-+]?([0-9.]+(e[-+]?[0-9]+)?|nan.*|inf(inity)?)\z"


def convert(node: Node, x: Column) -> Column:
    """Text to another type or another type to text."""
    wanted = parse_dtype(node["dtype"])
    if x.dtype == String:
        return over_strings(x, wanted, lambda strings: _read(node, strings, wanted, x))
    return text_column(pc.cast(_arrow_of(x), pa.string()))


def _arrow_of(x: Column) -> Any:
    return array_of(x.values, x.valid, _arrow_type(x.dtype) if x.dtype.is_temporal else None)


def _arrow_type(dtype: DType) -> pa.DataType:
    if dtype.name == "Datetime":
        return pa.timestamp("us", dtype.time_zone)
    return _ARROW.get(dtype.name) or pa.from_numpy_dtype(dtype.storage)


def _read(node: Node, strings: Any, wanted: DType, x: Column) -> Any:
    parsed = cast_each(pc.utf8_trim_whitespace(strings), _arrow_type(wanted))
    refuse(node, strings, pc.is_null(parsed), x, f"cannot be read as {wanted}")
    return parsed


def refuse(node: Node, strings: Any, failed: Any, x: Column, why: str) -> None:
    """Raise CastError for the first string that has `failed`, if the node is strict; `x` tells which are null."""
    if not node["strict"] or x.null_count == len(x):
        return
    failed = pc.and_(failed, pc.is_valid(strings))
    if x.valid is not None and not x.is_dictionary:
        failed = pc.and_(failed, array_of(x.valid))
    if pc.any(failed).as_py():
        every = decoded(x)
        row = pc.index(pc.is_in(every, value_set=strings.filter(failed)), True).as_py()
        raise CastError(f"{every[row].as_py()!r} {why}. strict=False makes such values null.").at(row)


def cast_each(strings: Any, wanted: pa.DataType) -> Any:
    """Every string cast by itself where the whole array cannot be; null where it fails."""
    try:
        return pc.cast(strings, wanted)
    except pa.ArrowInvalid:
        encoded = strings.dictionary_encode()
        entries = encoded.dictionary
        likely = pc.match_substring_regex(entries, _likely(wanted))
        return _halves(pc.if_else(likely, entries, null_of(pa.string())), wanted).take(encoded.indices)


def _likely(wanted: pa.DataType) -> str:
    if pa.types.is_timestamp(wanted):
        return _LOCAL if wanted.tz is None else _INSTANT
    if pa.types.is_date(wanted):
        return rf"\A{_DATE}\z"
    if pa.types.is_boolean(wanted):
        return r"(?i)\A(true|false|0|1)\z"
    if pa.types.is_floating(wanted):
        return _FLOAT
    digits = len(str(2**wanted.bit_width))
    return rf"\A-?(0*[0-9]{{1,{digits}}}|0[xX][0-9a-fA-F]+)\z"


def _halves(strings: Any, wanted: pa.DataType) -> Any:
    """Cast half by half where the whole cannot be: few that fail cost few casts."""
    try:
        return pc.cast(strings, wanted)
    except pa.ArrowInvalid:
        if len(strings) == 1:
            return pa.nulls(1, wanted)
        middle = len(strings) // 2
        return pa.concat_arrays([_halves(strings[:middle], wanted), _halves(strings[middle:], wanted)])
