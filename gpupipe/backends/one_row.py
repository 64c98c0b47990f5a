"""One row from a program, as a web service has it: a dict of values, read and coded in a few microseconds.

What is not plain here, a date, a NumPy number, a value that does not fit, is left to the general way of `rows`, which
takes any row and says what is wrong with it. Both give the same columns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from gpupipe.arrow_arrays import text_of
from gpupipe.backends.categories import Tables
from gpupipe.columns import Column, Frame, Values
from gpupipe.compiler.info import Info
from gpupipe.compiler.stages import Stage
from gpupipe.errors import GpupipeError
from gpupipe.expr.node import Node, walk
from gpupipe.kernels.table import Buffer
from gpupipe.schema import (
    DType,
    Field,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)

_FIRST = np.zeros(1, np.uint64)
_FIRST.flags.writeable = False
_ABSENT = np.zeros(1, bool)
_ABSENT.flags.writeable = False
_WHOLE = 2**24  # whole numbers up to here are exact in any float
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_INFINITY = float("inf")


class OneRow(Mapping[str, Column]):
    """The columns of one row, made when they are asked for: of a text that is coded there never is one.

    Attributes:
        buffers: values and validity of all columns but those of text.
        texts: the values of the text columns, None for null.
    """

    __slots__ = ("_dtypes", "buffers", "texts")

    def __init__(self, dtypes: Mapping[str, DType], buffers: dict[str, Buffer], texts: dict[str, str | None]) -> None:
        self._dtypes, self.buffers, self.texts = dtypes, buffers, texts

    def __getitem__(self, name: str) -> Column:
        if name in self.buffers:
            return Column(self._dtypes[name], *self.buffers[name])
        text = self.texts[name]
        return Column(String, text_of(text or ""), _ABSENT if text is None else None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._dtypes)

    def __len__(self) -> int:
        return len(self._dtypes)


class RowReader:
    """Reads dicts of one value a column.

    Args:
        schema: the types.
        columns: the columns that a row must have.
    """

    def __init__(self, schema: Schema, columns: Sequence[str]) -> None:
        self._dtypes = {name: schema[name].dtype for name in columns}
        fields = {name: schema[name] for name in columns}
        self._texts = [name for name, field in fields.items() if field.dtype == String]
        self._numbers: dict[DType, list[str]] = {}
        for name, field in fields.items():
            if field.dtype.is_numeric:
                self._numbers.setdefault(field.dtype, []).append(name)
        taken = {*self._texts, *(name for names in self._numbers.values() for name in names)}
        self._others: dict[str, Field] = {name: field for name, field in fields.items() if name not in taken}

    def frame(self, row: Any, other: Any) -> Frame | None:
        """The frame of the row; None leaves it to the general way.

        Args:
            other: makes the column of a name, a list of one value, and the field.
        """
        if type(row) is not dict:
            return None
        try:
            made: dict[str, Buffer] = {}
            for dtype, names in self._numbers.items():
                if not _read(made, dtype, names, [row[name] for name in names]):
                    return None
            texts = {name: row[name] for name in self._texts}
            for text in texts.values():
                if type(text) is str:
                    if not text.isascii():
                        text.encode()
                elif text is not None:
                    return None
            for name, field in self._others.items():
                if type(row[name]) not in _PLAIN:
                    return None
                column = other(name, [row[name]], field)
                made[name] = column.values, column.valid
        except (KeyError, UnicodeEncodeError, GpupipeError):
            return None
        return Frame(OneRow(self._dtypes, made, texts), 1, _FIRST)


_PLAIN = frozenset({bool, int, float, str, type(None)})


def _read(made: dict[str, Buffer], dtype: DType, names: list[str], values: list[Any]) -> bool:
    """Add the buffers of some numbers of one type; False: one of them is left to the general way."""
    storage, kind, low, high = _BOUNDS[dtype.name]
    null = False
    for value in values:
        if value is None:
            null = True
        elif type(value) is kind:
            if not low <= value <= high:  # nor is NaN
                return False
        elif type(value) is not int or not -_WHOLE <= value <= _WHOLE:
            return False
    array = np.array([0 if value is None else value for value in values] if null else values, storage)
    for at, name in enumerate(names):
        made[name] = array[at : at + 1], None if values[at] is not None else _ABSENT
    return True


def _bounds(storage: np.dtype[Any]) -> tuple[np.dtype[Any], type, Any, Any]:
    if storage.kind == "f":
        high = _INFINITY if storage.itemsize == 8 else _FLOAT32_MAX
        return storage, float, -high, high
    return storage, int, int(np.iinfo(storage).min), int(np.iinfo(storage).max)


_NUMBERS = (Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float32, Float64)
_BOUNDS = {dtype.name: _bounds(dtype.storage) for dtype in _NUMBERS}


class Coding:
    """The codes of a row's texts, all columns at once.

    Args:
        stages: what is computed before the matrix.
        roots: all that is computed.

    Attributes:
        done: names of columns that nothing but these codes is made of.
        outputs: places among the roots of those that are such codes, and nothing more.
    """

    def __init__(
        self, stages: Sequence[Stage], roots: Sequence[Node], info: Mapping[Node, Info], tables: Tables
    ) -> None:
        self._tables, self._info = tables, info
        first = stages[0].columns if stages else ()
        self._nodes = [node for node in first if _codes_text(node, info)]
        self._coded = {node: at for at, node in enumerate(self._nodes)}
        taken = {arg for node in walk(*roots) if node not in self._coded for arg in node.args} | set(roots)
        self.done = frozenset(str(node.args[0]["name"]) for node in self._nodes if node.args[0] not in taken)
        self.outputs = [place for place, node in enumerate(roots) if node in self._coded]
        self._stored = [self._coded[roots[place]] for place in self.outputs]
        more = any(stage.stores or len(stage.columns) > len(self._coded) for stage in stages)
        self._is_all = not more and len(stages) < 2
        self._leaves: list[int | str] | None = None

    def beside(self, leaves: Sequence[Node]) -> None:
        """Hear what all other outputs are computed from."""
        if self._is_all and all(self._is_plain(leaf) for leaf in leaves):
            self._leaves = [self._coded[leaf] if leaf in self._coded else str(leaf["name"]) for leaf in leaves]

    def _is_plain(self, leaf: Node) -> bool:
        return leaf in self._coded or (leaf.op == "col" and self._info[leaf].dtype != UInt64)

    def inputs(self, row: OneRow) -> tuple[Values, list[Buffer]] | None:
        """(what :attr:`outputs` are; what the others are computed from), where that is nothing but numbers and codes of
        text; else None."""
        if self._leaves is None:
            return None
        codes, buffers = self._codes(row.texts), row.buffers
        others = [(codes[leaf : leaf + 1], None) if isinstance(leaf, int) else buffers[leaf] for leaf in self._leaves]
        return codes[self._stored], others

    def of(self, texts: Mapping[str, str | None]) -> dict[Node, Column]:
        """The column of each node over the row of these texts."""
        codes = self._codes(texts)
        return {node: Column(Int32, codes[at : at + 1]) for at, node in enumerate(self._nodes)}

    def _codes(self, texts: Mapping[str, str | None]) -> Values:
        """0 for null, 1 for what is not listed, and from 2 the places in the list."""
        places = [(texts[name], place) for name, place in self._places]
        return np.array([0 if text is None else 2 + place(text, -1) for text, place in places], np.int64)

    @cached_property
    def _places(self) -> list[tuple[str, Callable[[str, int], int]]]:
        entries = self._tables.entries
        return [(str(node.args[0]["name"]), entries(node.args[1]).by_value.get) for node in self._nodes]


def _codes_text(node: Node, info: Mapping[Node, Info]) -> bool:
    return (
        node.op == "codes"
        and node["other_buckets"] == 1
        and node.args[0].op == "col"
        and info[node.args[0]].dtype == String
    )
