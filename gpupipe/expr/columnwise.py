"""Operations over a whole column at once: text, category codes, hashes. One row each.

What cannot run in the tile interpreter stands here; the function that computes it has the same name in
``backends/text.py`` or ``backends/categories.py``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpupipe.errors import ParameterError, TypeMismatchError
from gpupipe.expr.node import Node
from gpupipe.expr.times import read_format, zone_of
from gpupipe.schema import Boolean, Date, Datetime, DType, Float64, Int32, Int64, String, parse_dtype

Types = Sequence[DType]


@dataclass(frozen=True, slots=True)
class Columnwise:
    """One whole-column operation.

    Attributes:
        name: the node's ``op``.
        rule: from the node and its operands' types to the result's type.
        nulls: the null rule: ``propagate``, or the name of the exception.
        may_be_null: whether a null can come out where none went in (an unseen key, a failed parse).
        wide: whether it makes several columns, their number known after the fit or from a parameter.
        each: whether it takes a feature of several columns, one by one.
    """

    name: str
    rule: Callable[[Node, Types], DType]
    nulls: str = "propagate"
    may_be_null: bool = False
    wide: bool = False
    each: bool = False


def _takes(*kinds: str) -> Callable[[str, DType], None]:
    def check(name: str, dtype: DType) -> None:
        if dtype.name not in kinds and dtype.name != "Null":
            raise TypeMismatchError(f"{name} takes {' or '.join(kinds)}, not {dtype}. Cast first: .cast({kinds[0]!r}).")

    return check


def _text(result: DType) -> Callable[[Node, Types], DType]:
    check = _takes("String")

    def rule(node: Node, types: Types) -> DType:
        check(node.op, types[0])
        return result

    return rule


def _key(result: DType) -> Callable[[Node, Types], DType]:
    def rule(node: Node, types: Types) -> DType:
        return result

    return rule


def _declared(node: Node, types: Types) -> DType:
    return parse_dtype(node["dtype"])


def _local(node: Node, types: Types) -> DType:
    return Datetime()


def _parsed(node: Node, types: Types) -> DType:
    _takes("String")("str.to_datetime", types[0])
    return Datetime(zone_of(node["format"], node["time_zone"]))


def _to_date(node: Node, types: Types) -> DType:
    _takes("String")("str.to_date", types[0])
    if node["format"] is not None and read_format(node["format"]).has_offset:
        raise ParameterError(
            "str.to_date reads no offset (%z): which day it is depends on the time zone. "
            "Use .str.to_datetime(format, time_zone=…).cast('Date')."
        )
    return Date


def _ngrams(node: Node, types: Types) -> DType:
    _takes("String")("word_ngrams", types[0])
    if node["n_features"] > node["limit"]:
        raise ParameterError(
            f"word_ngrams would make {node['n_features']:,} columns; its limit is {node['limit']:,}. "
            "Raise limit=, or take fewer n_features."
        )
    return Float64


def _bins(node: Node, types: Types) -> DType:
    if not all(dtype.is_numeric or dtype.name in ("Boolean", "Null") for dtype in types):
        raise TypeMismatchError(f"bins are of numbers, not {types[0]}. For times take .dt parts first.")
    return Int32


ROWS = [
    Columnwise("codes", _key(Int32), nulls="null is code 0"),
    Columnwise("one_hot", _key(Boolean), nulls="null is all zeros", wide=True),
    Columnwise("class_indicator", _key(Boolean), nulls="null is all zeros", wide=True),
    Columnwise("lookup", _declared, nulls="a null key is a group of its own", may_be_null=True),
    Columnwise("is_in", _key(Boolean)),
    Columnwise("hash_bucket", _key(Int32), nulls="null has a hash of its own"),
    Columnwise("ordinal", _key(Int32)),
    Columnwise("bins", _bins, each=True),
    Columnwise("convert", _declared, may_be_null=True),
    Columnwise("to_local", _local),
    Columnwise("to_datetime", _parsed, may_be_null=True),
    Columnwise("to_date", _to_date, may_be_null=True),
    Columnwise("len_chars", _text(Int64)),
    Columnwise("len_bytes", _text(Int64)),
    Columnwise("to_lowercase", _text(String)),
    Columnwise("to_uppercase", _text(String)),
    Columnwise("strip_chars", _text(String)),
    Columnwise("contains", _text(Boolean)),
    Columnwise("starts_with", _text(Boolean)),
    Columnwise("ends_with", _text(Boolean)),
    Columnwise("slice", _text(String)),
    Columnwise("replace", _text(String)),
    Columnwise("replace_all", _text(String)),
    Columnwise("word_ngrams", _ngrams, nulls="null is all zeros", wide=True),
]

COLUMNWISE: dict[str, Columnwise] = {row.name: row for row in ROWS}
