"""Where columns in memory stand, so that it can be told whether two tables hold the same rows.

A row in memory is known by the addresses of its values. Nothing here keeps data alive: what was given is remembered
weakly, and where it is gone, nothing is known of it any more, as other data may stand at its addresses by then.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.columns import Values
from gpupipe.sources.origin import Stretch, together

_MOST_STRETCHES = 4096  # of a table's columns whose places are looked at


@dataclass(frozen=True, eq=False)
class Located:
    """Where a column's values stand: addresses in bits; what keeps them there, weakly."""

    stretches: list[Stretch]
    owner: Callable[[], Any]

    @property
    def is_alive(self) -> bool:
        """Whether the values still stand there."""
        return self.owner() is not None

    def is_that_of(self, other: "Located") -> bool:
        """Whether both are the same rows of the same memory."""
        return bool(self.stretches) and self.stretches == other.stretches


class Memory:
    """A table in memory: itself its identity; and where the columns stand that it was made of.

    Args:
        data: what was given, which is held weakly.
        beside: further columns that were given with it, by name.

    >>> x = np.arange(3.0)
    >>> Memory({"a": x, "b": x + 0, "c": x}).twin("a", ["b", "c"])
    'c'
    """

    def __init__(self, data: Any, beside: Mapping[str, Any] | None = None) -> None:
        given = {str(name): values for name, values in data.items()} if isinstance(data, Mapping) else {}
        beside = beside or {}
        self._data = _weak(data)
        self._tables: list[Callable[[], Any]] = []
        self._is_arrow = isinstance(data, pa.Table | pa.RecordBatch) or _package(data) == "polars"
        self._columns = {name: _weak(values) for name, values in given.items()}
        if _gone in self._columns.values():  # a list: what is made of it stands elsewhere each time
            self._columns = {}
        self._objects = {name: id(values) for name, values in (*given.items(), *beside.items())}
        self._beside = {name: located(values) for name, values in beside.items()}

    @property
    def data(self) -> Any:
        """What was given, if it is still there."""
        return self._data()

    def made_of(self, array: Values) -> None:
        """Say which array the columns x0, x1, … are of that were given one by one."""
        self._data, self._columns = _weak(array), {}

    def held_by(self, tables: Sequence[pa.Table]) -> None:
        """Say which tables, one below the other, hold what was made of the data: they may outlive what was given."""
        self._tables = [weakref.ref(table) for table in tables]

    def __reduce__(self) -> tuple[type, tuple[None]]:
        return Memory, (None,)  # another process knows nothing of this one's memory

    def places(self, names: Iterable[str]) -> dict[str, Located | None]:
        """Where the named columns stand, None where that cannot be told; of as many as are worth the time."""
        found: dict[str, Located | None] = {}
        looked = 0
        for name, place in self._located(names):
            found[name] = place
            looked += 0 if place is None else len(place.stretches)
            if looked > _MOST_STRETCHES:
                break
        return found

    def twin(self, name: str, others: Sequence[str]) -> str | None:
        """The first of other columns that was given as the same object, or stands in the same memory.

        None for an array's columns, which have no names to be told apart by.
        """
        if isinstance(data := self._data(), np.ndarray) and data.dtype.names is None:
            return None
        given = self._objects.get(name)
        places = self.places([name, *others])
        place = places.get(name)
        for other in others:
            found = places.get(other)
            if (given is not None and given == self._objects.get(other)) or (
                place is not None and found is not None and place.is_that_of(found)
            ):
                return other
        return None

    def _located(self, names: Iterable[str]) -> Iterator[tuple[str, Located | None]]:
        data = self._data()
        get = self._whole() if data is None and not self._columns else _getter(data)
        for name in names:
            if name in self._beside:
                place = self._beside[name]
                yield name, place if place is None or place.is_alive else None
            elif name in self._columns:
                values = self._columns[name]()
                yield name, None if values is None else located(values)
            else:
                values = get(name)
                place = None if values is None or (data is None and self._is_copied(values)) else located(values, data)
                yield name, place if data is not None or place is None else replace(place, owner=self._all_alive)

    def _is_copied(self, column: pa.ChunkedArray) -> bool:
        """Whether a column of the tables is a copy of what was given: numbers mostly are not, text always is."""
        return not self._is_arrow and (pa.types.is_boolean(column.type) or not pa.types.is_primitive(column.type))

    def _whole(self) -> Callable[[str], Any]:
        tables = [table() for table in self._tables]
        if not tables or len(tables) > _MOST_STRETCHES or any(table is None for table in tables):
            return _getter(None)
        return _getter(pa.concat_tables(tables))

    def _all_alive(self) -> bool | None:
        return True if all(table() is not None for table in self._tables) else None


def _gone() -> None:
    return None


def _weak(data: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(data)
    except TypeError:
        return _gone


def _package(data: Any) -> str:
    return type(data).__module__.partition(".")[0]


def _getter(data: Any) -> Callable[[str], Any]:
    """From a name to that column of a table, frame or array, not copied; None where there is none."""
    columns: dict[str, Any] = {}
    if isinstance(data, pa.Table | pa.RecordBatch):
        columns = {name: data.column(at) for at, name in enumerate(data.schema.names)}
    elif isinstance(data, np.ndarray) and data.dtype.names is not None:
        columns = {name: data[name] for name in data.dtype.names}
    elif isinstance(data, np.ndarray) and data.ndim == 2:
        columns = {f"x{at}": data[:, at] for at in range(data.shape[1])}
    package = _package(data)
    if package == "pandas" and hasattr(data, "columns"):
        at = {str(label): number for number, label in enumerate(data.columns)}
        return lambda name: data.iloc[:, at[name]] if name in at else None
    if package == "polars" and hasattr(data, "columns"):
        return lambda name: data.get_column(name) if name in data.columns else None
    return columns.get


def located(values: Any, owner: Any = None) -> Located | None:
    """Where a column's values stand in memory; None where that cannot be told, as of a list.

    >>> table = np.arange(6).reshape(3, 2)
    >>> located(table[:, 0]).is_that_of(located(table[:, 0])), located(table[:, 0]).is_that_of(located(table[:, 1]))
    (True, False)
    """
    owner = values if owner is None else owner
    package = _package(values)
    if package == "pandas" and isinstance(getattr(values, "dtype", None), np.dtype):
        values = values.to_numpy()  # a view
    elif package == "polars" and hasattr(values, "__arrow_c_stream__"):
        values = pa.chunked_array(values)
        if pa.types.is_dictionary(values.type):  # made anew, at addresses that are free again at once
            return None
    if isinstance(values, np.ndarray):
        return _of_array(values)
    if isinstance(values, pa.Array):
        values = pa.chunked_array([values])
    return _of_chunks(values, owner) if isinstance(values, pa.ChunkedArray) else None


def _of_array(array: Values) -> Located | None:
    if array.ndim != 1 or (len(array) > 1 and array.strides[0] == 0):
        return None
    start, step = array.__array_interface__["data"][0] * 8, (array.strides[0] or 1) * 8
    stretch = Stretch(range(start, start + len(array) * step, step), range(len(array)))
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    return Located(together([stretch]), _weak(root))


def _of_chunks(chunks: pa.ChunkedArray, owner: Any) -> Located | None:
    width = _width(chunks.type)
    if width is None or chunks.num_chunks > _MOST_STRETCHES:
        return None
    first, found = 0, []
    for chunk in chunks.chunks:
        if len(chunk):
            start = chunk.buffers()[1].address * 8 + chunk.offset * width
            rows = range(start, start + len(chunk) * width, width)
            found.append(Stretch(rows, range(first, first + len(chunk))))
            first += len(chunk)
    return Located(together(found), _weak(owner))


_OFFSETS: Sequence[tuple[Callable[[pa.DataType], bool], int]] = (
    (pa.types.is_string, 32),
    (pa.types.is_binary, 32),
    (pa.types.is_large_string, 64),
    (pa.types.is_large_binary, 64),
    (pa.types.is_string_view, 128),
    (pa.types.is_binary_view, 128),
)


def _width(kind: pa.DataType) -> int | None:
    """Bits from one value to the next; None of types whose values do not stand side by side."""
    kind = kind.index_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        return int(kind.bit_width)
    return next((width for test, width in _OFFSETS if test(kind)), None)
