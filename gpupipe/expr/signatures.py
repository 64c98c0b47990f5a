"""What every operation of a saved expression must be given: operands and parameters. Checked before anything is typed.

Only what users can write is listed; core operations, which the planner makes, are never read from a file.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpupipe.expr.columnwise import COLUMNWISE
from gpupipe.expr.elementwise import ELEMENTWISE, Elementwise
from gpupipe.expr.node import Node
from gpupipe.expr.re2 import why_unreadable
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.schema import parse_dtype

Check = Callable[[Any], bool]
_ANY_NUMBER = 1 << 20
_INT32, _INT64 = 2**31, 2**63


@dataclass(frozen=True, slots=True)
class Signature:
    """What one operation takes.

    Attributes:
        operands: fewest and most, keys not among them.
        params: the parameters it must have, each with what its value must be.
        optional: those it may have besides.
        whole: what must hold of the node as a whole.
    """

    operands: tuple[int, int]
    params: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    whole: Callable[[Node], bool] = lambda node: True


def check_node(node: Node) -> None:
    """Refuse a node that no expression a user wrote can hold.

    Raises:
        ValueError: an unknown operation, operands too few or too many, a parameter missing, unknown or out of range.
    """
    signature = SIGNATURES.get(node.op) or _of_registered(node.op)
    params = dict(node.params)
    keys = params.pop("keys", 0) if node.op in REDUCTIONS else 0
    fewest, most = signature.operands
    if type(keys) is not int or keys < 0 or not fewest <= len(node.args) - keys <= most:
        raise ValueError(f"{node.op} of {len(node.args)} operands, {keys!r} of them keys")
    known = {**signature.optional, **signature.params}
    if (node.op in REDUCTIONS) != ("keys" in dict(node.params)) or not signature.params.keys() <= params.keys():
        raise ValueError(f"{node.op} lacks a parameter; it has {sorted(params)}")
    for name, value in params.items():
        if name not in known or not known[name](value):
            raise ValueError(f"{node.op} has a parameter {name} that cannot be {str(value)[:100]!r}")
    if not signature.whole(node):
        raise ValueError(f"{node.op} has operands or parameters that do not go together")


def _text(value: Any) -> bool:
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _dtype(value: Any) -> bool:
    return _text(value) and bool(parse_dtype(value))


def _among(*words: str) -> Check:
    return lambda value: _text(value) and value in words


def _integer(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value < high


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _fraction(value: Any) -> bool:
    return type(value) is float and 0 <= value <= 1


def _list(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) > 0


def holds(dtype: str, value: Any) -> bool:
    """Whether a literal of the type, by its name, can have the value.

    >>> holds("Int64", 5), holds("Int64", 2**63), holds("String", 5)
    (True, False, False)
    """
    kind = parse_dtype(dtype)
    if kind.name == "Null":
        return value is None
    if kind.name in ("String", "Boolean"):
        return _text(value) if kind.name == "String" else _flag(value)
    high = _INT32 if kind.name == "Date" else _INT64
    return (type(value) is float and kind.is_float) or (type(value) is int and -high <= value < high)


def _literal(node: Node) -> bool:
    return holds(node["dtype"], node["value"])


def _listed(name: str) -> Callable[[Node], bool]:
    return lambda node: all(holds(node["dtype"], value) for value in node[name])


def _of_own_vocabulary(node: Node) -> bool:
    value, vocabulary = node.args
    return vocabulary.op == "vocabulary" and vocabulary.args[0] == value


def _pattern(node: Node) -> bool:
    return bool(node["literal"]) or why_unreadable(node["pattern"], node.get("value")) is None


def _grams(node: Node) -> bool:
    return bool(node["low"] <= node["high"])


_COUNT, _BUCKETS, _SEED = _integer(1, _INT64), _integer(1, 2**30), _integer(0, _INT64)
_NO_PARAMS = ("len_chars", "len_bytes", "to_lowercase", "to_uppercase")
_FOLDS = {"folds": _integer(2, _INT64)}

STRUCTURE = {
    "col": Signature((0, 0), {"name": _text}),
    "lit": Signature((0, 0), {"value": lambda value: True, "dtype": _dtype}, {}, _literal),
    "target": Signature((0, 0)),
    "alias": Signature((1, 1), {"name": _text}),
    "suffix": Signature((1, 1), {"text": _text}),
    "named_as": Signature((2, 2)),
    "cast": Signature((1, 1), {"dtype": _dtype, "strict": _flag}),
    **{name: Signature((1, 1)) for name in ("nonzero", "days_of", "time_of", "ticks")},
}  # fmt: skip
COLUMNS = {
    "codes": Signature((2, 2), {"other_buckets": _BUCKETS}, {}, _of_own_vocabulary),
    "one_hot": Signature((2, 2), {"null": _flag, "limit": _COUNT}, {}, _of_own_vocabulary),
    "is_in": Signature((1, 1), {"values": _list, "dtype": _dtype}, {}, _listed("values")),
    "ordinal": Signature((1, 1), {"order": _list, "dtype": _dtype, "unknown": _among("error", "null")}, {},
                         _listed("order")),
    "hash_bucket": Signature((1, _ANY_NUMBER), {"buckets": _BUCKETS, "seed": _SEED}),
    "bins": Signature((2, _ANY_NUMBER)),
    "to_datetime": Signature((1, 1), {"format": _or_none(_text), "strict": _flag, "time_zone": _or_none(_text)}),
    "to_date": Signature((1, 1), {"format": _or_none(_text), "strict": _flag}),
    "strip_chars": Signature((1, 1), {"characters": _or_none(_text)}),
    "contains": Signature((1, 1), {"pattern": _text, "literal": _flag}, {}, _pattern),
    **{name: Signature((1, 1), {"pattern": _text, "value": _text, "literal": _flag}, {}, _pattern)
       for name in ("replace", "replace_all")},
    "starts_with": Signature((1, 1), {"pattern": _text}),
    "ends_with": Signature((1, 1), {"pattern": _text}),
    "slice": Signature((1, 1), {"offset": _integer(-_INT64 // 2, _INT64 // 2),
                                "length": _or_none(_integer(-_INT64 // 2, _INT64 // 2))}),
    "word_ngrams": Signature((1, 1), {"n_features": _BUCKETS, "low": _COUNT, "high": _COUNT, "seed": _SEED,
                                      "limit": _COUNT}, {}, _grams),
    **{name: Signature((1, 1)) for name in _NO_PARAMS},
}  # fmt: skip
STATISTICS = {
    **{name: Signature((1, 1), {}, _FOLDS) for name in REDUCTIONS},
    **{name: Signature((1, 1), {"ddof": _integer(0, _INT64)}, _FOLDS) for name in ("std", "var")},
    "quantile": Signature((1, 1), {"q": _fraction}),
    "vocabulary": Signature((1, 1), {"min_count": _COUNT, "max_size": _or_none(_COUNT),
                                     "order": _among("count", "value")}),
}  # fmt: skip
_BY_PLANNER = ("view", "to_float", "to_integer", "narrow", "to_float32", "class_indicator", "lookup", "convert",
               "to_local", "place")  # fmt: skip
_OPERANDS = {"select": 3, "and": 2, "or": 2, "coalesce": 2, "null_if": 2}


def _arity(row: Elementwise) -> int:
    if row.numpy is None or isinstance(row.numpy, np.ufunc):
        return row.numpy.nin if row.numpy is not None else _OPERANDS.get(row.name, 1)
    return len(inspect.signature(row.numpy).parameters)


def _signatures() -> dict[str, Signature]:
    scalar = {row.name: Signature((_arity(row), _arity(row))) for row in ELEMENTWISE.values()}
    found = {**scalar, **COLUMNS, **STATISTICS, **STRUCTURE}
    return {name: signature for name, signature in found.items() if name not in _BY_PLANNER}


SIGNATURES = _signatures()


def _of_registered(op: str) -> Signature:
    """The signature of an operation whose row a user's program added to the tables."""
    if op in _BY_PLANNER or (op not in ELEMENTWISE and op not in COLUMNWISE):
        raise ValueError(f"an unknown operation {op!r}")
    return Signature((1, _ANY_NUMBER))
