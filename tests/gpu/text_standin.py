"""libcudf's functions of text over the stand-in's columns, written after its sources (cpp/src/strings of 26.10).

What differs from Arrow differs here too: without characters to strip it strips all up to a space, without a stop a
slice ends at 0, upper case of one character may be two, nothing beyond U+FFFF has case, positions must be 32-bit, and
nothing can be replaced by an empty target.
"""

import enum
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from .api.fakes import held_to

Side: Any = enum.IntEnum("SideType", ["LEFT", "RIGHT", "BOTH"], start=0)  # type: ignore[misc]
Operator: Any = enum.IntEnum(  # type: ignore[misc]
    "BinaryOperator", {"EQUAL": 21, "NOT_EQUAL": 22, "LESS": 23, "GREATER": 24, "LESS_EQUAL": 25, "GREATER_EQUAL": 26}
)
_ORDERS: dict[Any, Callable[[int], bool]] = {
    Operator.EQUAL: lambda order: order == 0,
    Operator.NOT_EQUAL: lambda order: order != 0,
    Operator.LESS: lambda order: order < 0,
    Operator.GREATER: lambda order: order > 0,
    Operator.LESS_EQUAL: lambda order: order <= 0,
    Operator.GREATER_EQUAL: lambda order: order >= 0,
}


@held_to("pylibcudf.Scalar")
class Scalar:
    """One value, and the name of libcudf's type of it."""

    def __init__(self, value: Any, kind: str) -> None:
        self._value, self._kind = value, kind


class TextFunctions:
    """The functions, over columns that a library makes.

    Args:
        make: a column of the library's of an Arrow array.
        kinds: libcudf's types by name.
        arrow_of: the Arrow type of one of them.
    """

    def __init__(self, make: Callable[[pa.Array], Any], kinds: Any, arrow_of: Callable[[int], pa.DataType]) -> None:
        self._make, self._kinds, self._arrow_of = make, kinds, arrow_of

    def behaviour(self) -> dict[str, Any]:
        """By the names of pylibcudf."""
        operators = {f"pylibcudf.binaryop.BinaryOperator.{each.name}": each for each in Operator}
        return operators | {
            "pylibcudf.Scalar.from_py": self.scalar,
            "pylibcudf.strings.side_type.SideType.BOTH": Side.BOTH,
            "pylibcudf.strings.case.to_lower": lambda input, stream=None: self._texts(input, lower),
            "pylibcudf.strings.case.to_upper": lambda input, stream=None: self._texts(input, upper),
            "pylibcudf.strings.attributes.count_bytes": self.count_bytes,
            "pylibcudf.strings.strip.strip": self.strip,
            "pylibcudf.strings.slice.slice_strings": self.slice_strings,
            "pylibcudf.strings.find.contains": lambda input, target, stream=None: self._flags(
                input, lambda text: text_of(target).encode() in text.encode()
            ),
            "pylibcudf.strings.find.starts_with": lambda input, target, stream=None: self._flags(
                input, lambda text: text.startswith(text_of(target))
            ),
            "pylibcudf.strings.find.ends_with": lambda input, target, stream=None: self._flags(
                input, lambda text: text.endswith(text_of(target))
            ),
            "pylibcudf.strings.replace.replace": self.replace,
            "pylibcudf.replace.replace_nulls": self.replace_nulls,
            "pylibcudf.binaryop.binary_operation": self.binary_operation,
            "pylibcudf.unary.cast": self.cast,
            "pylibcudf.unary.is_null": lambda input, stream=None: self._valid(input, False),
            "pylibcudf.unary.is_valid": lambda input, stream=None: self._valid(input, True),
        }

    def scalar(self, py_val: Any, dtype: Any = None, stream: Any = None) -> Scalar:
        """A number without a type is one of 64 bits."""
        kind = ("STRING" if isinstance(py_val, str) else "INT64") if dtype is None else self._kinds(dtype.id()).name
        assert (kind == "STRING") == isinstance(py_val, str)
        assert kind != "INT32" or -(2**31) <= py_val < 2**31, "OverflowError of the real one"
        return Scalar(py_val, kind)

    def count_bytes(self, source_strings: Any, stream: Any = None) -> Any:
        return self._each(source_strings, lambda text: len(text.encode()), pa.int32())

    def strip(self, input: Any, side: Any, to_strip: Scalar | None = None, stream: Any = None) -> Any:
        assert side is Side.BOTH
        found = "" if to_strip is None else text_of(to_strip)
        return self._texts(input, lambda text: text.strip(found or "".join(map(chr, range(ord(" ") + 1)))))

    def slice_strings(
        self, input: Any, start: Any = None, stop: Any = None, step: Any = None, stream: Any = None
    ) -> Any:
        places = slice(*(_position(each, otherwise) for each, otherwise in ((start, 0), (stop, 0), (step, 1))))
        return self._texts(input, lambda text: text[places])

    def replace(self, input: Any, target: Scalar, repl: Scalar, maxrepl: int = -1, stream: Any = None) -> Any:
        if not text_of(target):
            raise RuntimeError("CUDF failure at: replace.cu: Parameter target must not be empty string.")
        return self._texts(input, lambda text: text.replace(text_of(target), text_of(repl), maxrepl))

    def replace_nulls(self, source_column: Any, replacement: Scalar, stream: Any = None) -> Any:
        found = [text_of(replacement) if text is None else text for text in source_column._seen().to_pylist()]
        return self._make(pa.array(found, pa.large_string()))

    def binary_operation(self, lhs: Any, rhs: Any, op: Any, output_type: Any, stream: Any = None) -> Any:
        """By bytes without a sign; null where a side is."""
        assert self._kinds(output_type.id()).name == "BOOL8"
        if isinstance(lhs, Scalar):
            return self._flags(rhs, lambda text: _ORDERS[op](_order(text_of(lhs), text)))
        return self._flags(lhs, lambda text: _ORDERS[op](_order(text, text_of(rhs))))

    def cast(self, input: Any, data_type: Any, stream: Any = None) -> Any:
        return self._make(input._seen().cast(self._arrow_of(data_type.id())))

    def _valid(self, column: Any, wanted: bool) -> Any:
        return self._make(pa.array([(text is not None) is wanted for text in column._seen().to_pylist()], pa.bool_()))

    def _texts(self, column: Any, function: Callable[[str], str]) -> Any:
        return self._each(column, function, pa.large_string())

    def _flags(self, column: Any, function: Callable[[str], bool]) -> Any:
        return self._each(column, function, pa.bool_())

    def _each(self, column: Any, function: Callable[[str], Any], kind: pa.DataType) -> Any:
        found = [None if text is None else function(text) for text in column._seen().to_pylist()]
        return self._make(pa.array(found, kind))


def text_of(scalar: Scalar) -> str:
    """The text of a scalar of text."""
    assert scalar._kind == "STRING"
    return str(scalar._value)


def lower(text: str) -> str:
    return "".join(each.lower() if ord(each) <= 0xFFFF else each for each in text)


def upper(text: str) -> str:
    return "".join(each.upper() if ord(each) <= 0xFFFF else each for each in text)


def _position(scalar: Scalar | None, otherwise: int) -> int:
    assert scalar is None or scalar._kind == "INT32", "read as 32 bits whatever it holds"
    return otherwise if scalar is None else int(scalar._value)


def _order(left: str, right: str) -> int:
    one, other = left.encode(), right.encode()
    return (one > other) - (one < other)
