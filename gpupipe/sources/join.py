"""Many-to-one joins: a dimension held in memory, an index from keys to its rows, the step that looks up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.columns import Column, Frame, Values, concat
from gpupipe.errors import DuplicateKeyError, DuplicateNameError, ParameterError, TypeMismatchError
from gpupipe.schema import DType, Field, Schema, String, UInt64
from gpupipe.sources.border import to_arrow, to_column
from gpupipe.sources.steps import Step

_WIDEST = 2**62  # combined codes stay below it


class Rows(Protocol):
    """What a dimension is read from: a Source, which stands above this module."""

    @property
    def schema(self) -> Schema: ...

    @property
    def label(self) -> str: ...

    @property
    def partitions(self) -> tuple[Any, ...]: ...

    def nbytes(self) -> int: ...

    def load(self, partition: int, columns: Sequence[str], /) -> Frame: ...


class KeyIndex:
    """From the key of a row to the row of the dimension that has it.

    Args:
        keys: the dimension's key columns.
        names: their names, for messages.
        label: what the dimension is, for messages.

    Raises:
        DuplicateKeyError: two rows have equal keys, none of them null.
    """

    def __init__(self, keys: Sequence[Column], names: Sequence[str], label: str) -> None:
        self._dtypes = [key.dtype for key in keys]
        arrays = [_canonical(key, key.dtype) for key in keys]
        self._uniques = [pc.unique(array).drop_null() for array in arrays]
        self._mixed: list[pa.Array | None] = []
        codes = self._codes(arrays, learn=True)
        self._rows = np.flatnonzero(codes >= 0)
        self._known = pa.array(codes[self._rows])
        if pc.count_distinct(self._known).as_py() < len(self._known):
            self._raise_duplicate(keys, names, label)

    def lookup(self, keys: Sequence[Column]) -> Values:
        """The dimension's row for each row of `keys`, int64; -1 where none, or a key is null or NaN."""
        arrays = [_canonical(key, dtype) for key, dtype in zip(keys, self._dtypes, strict=True)]
        found = _positions(pa.array(self._codes(arrays, learn=False)), self._known)
        if not len(self._rows):
            return found
        return np.where(found >= 0, self._rows[np.maximum(found, 0)], -1)

    def _codes(self, arrays: Sequence[pa.Array], learn: bool) -> Values:
        """One int64 code for each distinct combination of keys, below 0 where a key is unknown."""
        codes, width = np.zeros(len(arrays[0]), np.int64), 1
        for at, (array, unique) in enumerate(zip(arrays, self._uniques, strict=True)):
            if learn:
                crowded = width * max(len(unique), 1) > _WIDEST
                self._mixed.append(pc.unique(pa.array(codes)) if crowded else None)
            if (known := self._mixed[at]) is not None:
                codes, width = np.where(codes < 0, -1, _positions(pa.array(codes), known)), len(known)
            positions = _positions(array, unique)
            codes = np.where((codes < 0) | (positions < 0), -1, codes * len(unique) + positions)
            width *= max(len(unique), 1)
        return codes

    def _raise_duplicate(self, keys: Sequence[Column], names: Sequence[str], label: str) -> None:
        counted = pc.value_counts(self._known)
        twice = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
        rows = [int(self._rows[self._known.index(code).as_py()]) for code in twice[:3]]
        told = "; ".join(
            ", ".join(f"{name}={_at(key, row)!r}" for name, key in zip(names, keys, strict=True)) for row in rows
        )
        raise DuplicateKeyError(
            f"A join needs each key once in the table joined, and {len(twice)} stand more than once in "
            f"{label}: {told}{'; …' if len(twice) > 3 else ''}. Aggregate it, or join on more columns."
        )


def _at(column: Column, row: int) -> Any:
    value = to_arrow(column.take(np.array([row])))[0].as_py()
    return value if isinstance(value, int | float | str | bool) else str(value)


def _canonical(column: Column, other: DType) -> pa.Array:
    """A key so that equal keys of either side are equal bits; NaN, and what the other cannot hold, null."""
    if column.dtype == String:
        return to_arrow(column)
    values, valid = column.values, column.valid
    if column.dtype.is_float:
        nan = np.isnan(values)
        values = values.astype(np.float64) + 0.0  # -0.0 becomes 0.0
        valid = ~nan if valid is None else valid & ~nan
    elif UInt64 in (column.dtype, other) and column.dtype != other:
        fits = values <= np.int64(2**63 - 1) if column.dtype == UInt64 else values >= 0
        valid = fits if valid is None else valid & fits
        values = values.astype(np.int64)
    else:
        values = values.view(np.int64) if column.dtype == UInt64 else values.astype(np.int64)
    return pa.array(values, mask=None if valid is None else ~valid)


def _positions(array: pa.Array, known: pa.Array) -> Values:
    """Where each value stands in `known`, int64; -1 for those that do not, and for nulls."""
    if isinstance(array, pa.DictionaryArray):
        entries = _positions(array.dictionary, _plain(known))
        if not len(entries):
            return np.full(len(array), -1, np.int64)
        taken = entries[array.indices.fill_null(0).to_numpy()]
        return np.where(array.is_null().to_numpy(zero_copy_only=False), -1, taken)
    found = pc.index_in(array, value_set=_plain(known), skip_nulls=True)
    return found.fill_null(-1).to_numpy().astype(np.int64)


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


class Dimension:
    """The table joined: read once, when the first partition asks, and kept."""

    def __init__(self, source: Rows, keys: Sequence[str]) -> None:
        self.source = source
        self.keys = tuple(keys)
        self._columns: dict[str, Column] = {}
        self._index: KeyIndex | None = None
        self._lock = Lock()

    def get(self, names: Sequence[str]) -> tuple[KeyIndex, dict[str, Column]]:
        """The index over its keys, and the named columns; text as dictionaries.

        Raises:
            DuplicateKeyError: a key stands twice.
        """
        with self._lock:
            missing = [name for name in {*names, *(() if self._index else self.keys)} if name not in self._columns]
            if missing:
                self._columns.update(_whole(self.source, missing))
            if self._index is None:
                keys = [self._columns[name] for name in self.keys]
                self._index = KeyIndex(keys, self.keys, self.source.label)
            return self._index, {name: self._columns[name] for name in names}


def _whole(source: Rows, names: Sequence[str]) -> dict[str, Column]:
    frames = [source.load(index, names) for index in range(len(source.partitions))]
    return {name: _as_dictionary(concat([frame[name] for frame in frames])) for name in names}


def _as_dictionary(column: Column) -> Column:
    if column.dtype != String or column.is_dictionary:
        return column
    return Column(String, column.values.dictionary_encode(), column.valid)


@dataclass(frozen=True, eq=False)
class Join(Step):
    """Columns of a dimension beside each row, by key.

    Attributes:
        dimension: the table joined.
        left_on: the key columns of the rows.
        how: ``left`` keeps rows without a match, with nulls; ``inner`` drops them.
        renamed: from the dimension's columns to their names here.
    """

    dimension: Dimension
    left_on: tuple[str, ...]
    how: str
    renamed: dict[str, str]

    @property
    def drops_rows(self) -> bool:  # type: ignore[override]
        return self.how == "inner"

    @property
    def counted_as(self) -> str | None:  # type: ignore[override]
        return f"inner join on {', '.join(self.left_on)}" if self.drops_rows else None

    @property
    def adds(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset(self.renamed.values())

    @property
    def refused(self) -> Mapping[str, str]:  # type: ignore[override]
        return self.dimension.source.schema.refused

    @property
    def nbytes(self) -> int:  # type: ignore[override]
        return self.dimension.source.nbytes()

    def __str__(self) -> str:
        return f"{self.how} join with {self.dimension.source.label} on {', '.join(self.left_on)}"

    def schema(self, before: Schema) -> Schema:
        theirs = self.dimension.source.schema
        added = {
            here: Field(theirs[name].dtype, theirs[name].nullable or self.how == "left")
            for name, here in self.renamed.items()
        }
        return Schema({**before, **added})

    def needs(self, wanted: set[str]) -> set[str]:
        return wanted if self._does_nothing_for(wanted) else (wanted - self.adds) | set(self.left_on)

    def _does_nothing_for(self, wanted: Iterable[str]) -> bool:
        return not self.drops_rows and self.adds.isdisjoint(wanted)

    def apply(self, frame: Frame, partition: int, keep: Sequence[str]) -> Frame:
        if self._does_nothing_for(keep):
            return frame.select(keep)
        wanted = {name: here for name, here in self.renamed.items() if here in keep}
        index, columns = self.dimension.get(list(wanted))
        rows = index.lookup([frame[name] for name in self.left_on])
        if self.drops_rows and (rows < 0).any():
            frame, rows = frame.take(np.flatnonzero(rows >= 0)), rows[rows >= 0]
        added = {here: _at_rows(columns[name], rows) for name, here in wanted.items()}
        return frame.with_columns(added).select(keep)


def _at_rows(column: Column, rows: Values) -> Column:
    """The rows of a dimension's column, null where the row is -1."""
    found = rows >= 0
    if not len(column):
        rows, column = np.zeros(len(rows), np.int64), _one_null(column.dtype)
    place = np.where(found, rows, 0)
    valid = found if column.valid is None else found & column.valid[place]
    if column.dtype == String:
        texts = column.values
        indices = pc.take(texts.indices, pa.array(place)).fill_null(0).to_numpy()
        taken = pa.DictionaryArray.from_arrays(pa.array(indices, mask=~valid), texts.dictionary)
        return to_column(taken)
    return Column(column.dtype, column.values[place], None if valid.all() else valid)


def _one_null(dtype: DType) -> Column:
    if dtype == String:
        return Column(String, pa.array([None], pa.string()).dictionary_encode(), np.zeros(1, np.bool_))
    return Column(dtype, np.zeros(1, dtype.storage), np.zeros(1, np.bool_))


# -- planning ---------------------------------------------------------------------------------------------
def plan_join(
    before: Schema, source: Rows, left_on: Sequence[str], right_on: Sequence[str], how: str, suffix: str
) -> Join:
    """The step that joins `source` to rows of schema `before`: names settled, types of keys checked.

    Raises:
        ParameterError: `how` is not left or inner, or the lists of keys differ in length or are empty.
        TypeMismatchError: keys of types that never compare.
        DuplicateNameError: a column's name is taken even with the suffix.
    """
    if how not in ("left", "inner"):
        raise ParameterError(f"how={how!r} is no kind of join here. There are 'left' and 'inner'.")
    if len(left_on) != len(right_on) or not left_on:
        raise ParameterError(f"left_on and right_on need as many names, at least one: {left_on} and {right_on}.")
    for left, right in zip(left_on, right_on, strict=True):
        _check_comparable(left, before[left].dtype, right, source.schema[right].dtype)
    renamed: dict[str, str] = {}
    for name in source.schema:
        if name not in right_on:
            here = name + suffix if name in before else name
            if here in before or here in renamed.values():
                raise DuplicateNameError(f"The join would give two columns named {here!r}. Choose another suffix=.")
            renamed[name] = here
    return Join(Dimension(source, right_on), tuple(left_on), how, renamed)


def _check_comparable(left: str, mine: DType, right: str, theirs: DType) -> None:
    alike = (
        (mine.is_integer and theirs.is_integer)
        or (mine.is_float and theirs.is_float)
        or (mine.name == theirs.name and (mine.time_zone is None) == (theirs.time_zone is None))
    )
    if not alike or mine.name == "Null":
        raise TypeMismatchError(
            f"The join key {left!r} is {mine} and {right!r} is {theirs}: they never compare equal. "
            "Read or convert one of them so that both have one type."
        )
