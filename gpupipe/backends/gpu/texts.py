"""Functions of text over a dictionary in a device's memory: cuDF does those that give what the CPU's do, to the byte.

That holds where texts and arguments are ASCII: case has one meaning, a character is a byte, and comparisons are of
bytes on both sides. Regular expressions, and values read from text, are the host's alone.
"""

from collections.abc import Callable, Sequence
from typing import Any

from gpupipe import optional
from gpupipe.backends.gpu import libcudf
from gpupipe.backends.gpu.columns import DeviceColumn, EntryTable
from gpupipe.backends.gpu.libcudf import Texts, column_of, cudf_failures, short_enough, stream_of
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.columns import Column
from gpupipe.expr.node import Node
from gpupipe.schema import Boolean, DType, Int64, String

_END = 2**31 - 1  # no text is longer; without a stop, pylibcudf takes 0 for one
_WHITE = "\t\n\v\f\r\x1c\x1d\x1e\x1f "  # ASCII's part of Unicode's; cuDF's own is all up to a space
_ONCE = ", once for each distinct text"
_PATTERN = f"regular expressions are matched on the host{_ONCE}"
_READ = f"values are read from text on the host{_ONCE}"
_COUNTED = f"words are counted on the host{_ONCE}"
_ELSEWHERE = f"cuDF is given only ASCII that it decoded; others are the host's{_ONCE}"
_ARGUMENT = f"cuDF is given no such argument{_ONCE}"


def refusal(node: Node) -> str | None:
    """Why the host carries out a function of text, however many texts there are; None where cuDF may.

    >>> refusal(Node("to_lowercase")) is None, refusal(Node("word_ngrams"))
    (True, 'words are counted on the host, once for each distinct text')
    """
    if node.op in ("contains", "replace", "replace_all") and not node["literal"]:
        return _PATTERN
    return {"to_date": _READ, "to_datetime": _READ, "convert": _READ, "word_ngrams": _COUNTED}.get(node.op)


def are_many(node: Node, entries: Column | EntryTable) -> bool:
    """Whether a node is a function of text over so many entries that it is done on the device, or said why not."""
    is_function = node.op in _DOES or refusal(node) is not None
    return is_function and entries.dtype == String and len(entries) >= libcudf.MANY


def applied(node: Node, entries: Column | EntryTable, constants: Sequence[Column | None]) -> Texts | DeviceColumn:
    """What a function makes of texts, where they are.

    Args:
        entries: of text, of a column.
        constants: of one row, for each argument of the node; None for the texts.

    Raises:
        NotOnDevice: it is the host's to do.
        DeviceMemoryError: the device has not so much memory.
    """
    why = refusal(node)
    if why is not None or not isinstance(entries, Texts):
        raise NotOnDevice(why or _ELSEWHERE)
    does, dtype = _DOES[node.op]
    given = [entries.column if constant is None else _text(constant) for constant in constants]
    with cudf_failures(entries.device, f"computing {node.op} of texts"):
        found = does(node, stream_of(entries.device), *given)
        if dtype != String:
            return column_of(entries.device, found, dtype)
        return short_enough(entries.device, found)


def _text(constant: Column) -> str:
    """The text of a column of one row."""
    if constant.dtype != String or constant.null_count:
        raise NotOnDevice(_ARGUMENT)
    return _ascii(constant.values[0].as_py())


def _ascii(text: str) -> str:
    """A text, not empty, that cuDF takes as the CPU's functions do."""
    if not text or not text.isascii():
        raise NotOnDevice(_ARGUMENT)
    return text


# -- the functions: (node, stream, what each argument is) to a column of cuDF's ----------------------------------------
def _lower(node: Node, stream: Any, texts: Any) -> Any:
    return _cudf().strings.case.to_lower(texts, stream=stream)


def _upper(node: Node, stream: Any, texts: Any) -> Any:
    return _cudf().strings.case.to_upper(texts, stream=stream)


def _length(node: Node, stream: Any, texts: Any) -> Any:
    cudf = _cudf()
    counted = cudf.strings.attributes.count_bytes(texts, stream=stream)
    return cudf.unary.cast(counted, cudf.DataType(cudf.TypeId.INT64), stream=stream)


def _strip(node: Node, stream: Any, texts: Any) -> Any:
    cudf = _cudf()
    characters = _WHITE if node["characters"] is None else _ascii(node["characters"])
    side = cudf.strings.side_type.SideType.BOTH
    return cudf.strings.strip.strip(texts, side, _scalar(characters, stream), stream=stream)


def _slice(node: Node, stream: Any, texts: Any) -> Any:
    start, length = node["offset"], node["length"]
    stop = _END if length is None or (start < 0 and start + length >= 0) else min(start + length, _END)
    first, last, step = (_scalar(number, stream) for number in (start, stop, 1))
    return _cudf().strings.slice.slice_strings(texts, first, last, step, stream=stream)


def _contains(node: Node, stream: Any, texts: Any) -> Any:
    return _cudf().strings.find.contains(texts, _scalar(_ascii(node["pattern"]), stream), stream=stream)


def _starts_with(node: Node, stream: Any, texts: Any) -> Any:
    return _cudf().strings.find.starts_with(texts, _scalar(_ascii(node["pattern"]), stream), stream=stream)


def _ends_with(node: Node, stream: Any, texts: Any) -> Any:
    return _cudf().strings.find.ends_with(texts, _scalar(_ascii(node["pattern"]), stream), stream=stream)


def _replace(node: Node, stream: Any, texts: Any) -> Any:
    if not node["value"].isascii():
        raise NotOnDevice(_ARGUMENT)
    found, value = _scalar(_ascii(node["pattern"]), stream), _scalar(node["value"], stream)
    most = 1 if node.op == "replace" else -1
    return _cudf().strings.replace.replace(texts, found, value, most, stream=stream)


def _is_null(node: Node, stream: Any, texts: Any) -> Any:
    return _cudf().unary.is_null(texts, stream=stream)


def _is_not_null(node: Node, stream: Any, texts: Any) -> Any:
    return _cudf().unary.is_valid(texts, stream=stream)


def _coalesce(node: Node, stream: Any, texts: Any, other: Any) -> Any:
    if isinstance(texts, str):
        raise NotOnDevice(_ARGUMENT)
    return _cudf().replace.replace_nulls(texts, _scalar(other, stream), stream=stream)


def _compare(node: Node, stream: Any, left: Any, right: Any) -> Any:
    cudf = _cudf()
    operator = getattr(cudf.binaryop.BinaryOperator, _OPERATORS[node.op])
    sides = (_scalar(side, stream) if isinstance(side, str) else side for side in (left, right))
    return cudf.binaryop.binary_operation(*sides, operator, cudf.DataType(cudf.TypeId.BOOL8), stream=stream)


def _cudf() -> Any:
    return optional.load("pylibcudf")


def _scalar(value: str | int, stream: Any) -> Any:
    """A scalar of cuDF; a number of the type that it takes positions in, which it does not check."""
    cudf = _cudf()
    kind = cudf.TypeId.STRING if isinstance(value, str) else cudf.TypeId.INT32
    return cudf.Scalar.from_py(value, cudf.DataType(kind), stream=stream)


_OPERATORS = {
    "eq": "EQUAL", "ne": "NOT_EQUAL",
    "lt": "LESS", "le": "LESS_EQUAL", "gt": "GREATER", "ge": "GREATER_EQUAL",
}  # fmt: skip
_DOES: dict[str, tuple[Callable[..., Any], DType]] = {
    "to_lowercase": (_lower, String),
    "to_uppercase": (_upper, String),
    "strip_chars": (_strip, String),
    "slice": (_slice, String),
    "replace": (_replace, String),
    "replace_all": (_replace, String),
    "coalesce": (_coalesce, String),
    "len_chars": (_length, Int64),
    "len_bytes": (_length, Int64),
    "contains": (_contains, Boolean),
    "starts_with": (_starts_with, Boolean),
    "ends_with": (_ends_with, Boolean),
    "is_null": (_is_null, Boolean),
    "is_not_null": (_is_not_null, Boolean),
    **dict.fromkeys(_OPERATORS, (_compare, Boolean)),
}
