"""Many-to-one joins: a dimension held in memory, an index from keys to its rows, the step that looks up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, NoReturn, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import array_of, filled, texts_of, values_of
from gpupipe.backends.indexes import KeyIndex
from gpupipe.backends.keys import is_nan
from gpupipe.columns import Column, Frame, Values, concat
from gpupipe.errors import DuplicateKeyError, DuplicateNameError, ParameterError, TypeMismatchError
from gpupipe.schema import DType, Field, Schema, String, UInt64
from gpupipe.sources.border import to_arrow, to_column
from gpupipe.sources.place import all_placed
from gpupipe.sources.steps import Step


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


class JoinIndex:
    """From the key of a row to the row of the dimension that has it; a null or NaN in a key matches nothing.

    Args:
        keys: the dimension's key columns.
        names: their names, for messages.
        label: what the dimension is, for messages.

    Raises:
        DuplicateKeyError: two rows have equal keys, none of them null or NaN.
    """

    def __init__(self, keys: Sequence[Column], names: Sequence[str], label: str) -> None:
        self._dtypes = [key.dtype for key in keys]
        self._rows = np.flatnonzero(has_key(keys))
        kept = [key.take(self._rows) for key in keys]
        self._index = KeyIndex(kept)
        last = self._index.find(kept)  # of the rows of a key, the last
        if (again := last != np.arange(len(last))).any():
            _refuse_twice(kept, np.unique(last[again]), self._rows, names, label)

    def lookup(self, keys: Sequence[Column]) -> Values:
        """The dimension's row for each row of `keys`, int64; -1 where none, or a key is null or NaN."""
        if not len(self._rows):
            return np.full(len(keys[0]), -1, np.int64)
        keys = [_comparable(key, dtype) for key, dtype in zip(keys, self._dtypes, strict=True)]
        found = self._index.find(keys)
        return np.where(found >= 0, self._rows[np.maximum(found, 0)], -1)


def has_key(keys: Sequence[Column]) -> Values:
    """The rows, as a bool mask, where no key is null or NaN."""
    usable = np.ones(len(keys[0]), np.bool_)
    for key in keys:
        if key.valid is not None:
            usable &= key.valid
        if (nan := is_nan(key)) is not None:
            usable &= ~nan
    return usable


def _comparable(column: Column, other: DType) -> Column:
    """A key whose values beyond the other side's integers, which the 64 bits of both would confuse, are null."""
    if column.dtype == other or UInt64 not in (column.dtype, other):
        return column
    fits = column.values <= np.int64(2**63 - 1) if column.dtype == UInt64 else column.values >= 0
    return Column(column.dtype, column.values, fits if column.valid is None else column.valid & fits)


def _refuse_twice(
    keys: Sequence[Column], twice: Values, rows: Values, names: Sequence[str], label: str
) -> NoReturn:
    told = "; ".join(
        ", ".join(f"{name}={_at(key, at)!r}" for name, key in zip(names, keys, strict=True)) for at in twice[:3]
    )
    raise DuplicateKeyError(
        f"A join needs each key once in the table joined, and {len(twice)} stand more than once in "
        f"{label}: {told}{'; …' if len(twice) > 3 else ''}. Aggregate it, or join on more columns."
    ).at(int(rows[twice[0]]), names[0] if len(names) == 1 else None)


def _at(column: Column, row: int) -> Any:
    value = to_arrow(column.take(np.array([row])))[0].as_py()
    return value if isinstance(value, int | float | str | bool) else str(value)


class Dimension:
    """The table joined: read once, when the first partition asks, and kept."""

    def __init__(self, source: Rows, keys: Sequence[str]) -> None:
        self.source = source
        self.keys = tuple(keys)
        self._columns: dict[str, Column] = {}
        self._index: JoinIndex | None = None
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "keys": self.keys}  # another process reads it itself, once

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__init__(kept["source"], kept["keys"])  # type: ignore[misc]

    def get(self, names: Sequence[str]) -> tuple[JoinIndex, dict[str, Column]]:
        """The index over its keys, and the named columns; text as dictionaries.

        Raises:
            DuplicateKeyError: a key stands twice.
        """
        with self._lock:
            if self._index is None:
                positions = self._read([*dict.fromkeys([*self.keys, *names])])
                with all_placed(self.source.partitions, positions):
                    keys = [self._columns[name] for name in self.keys]
                    self._index = JoinIndex(keys, self.keys, self.source.label)
            if missing := [name for name in names if name not in self._columns]:
                self._read(missing)
            return self._index, {name: self._columns[name] for name in names}

    def _read(self, names: Sequence[str]) -> list[Values]:
        """Keep the named columns; gives the positions of each partition's rows."""
        frames = [self.source.load(index, names) for index in range(len(self.source.partitions))]
        for name in names:
            self._columns[name] = _as_dictionary(concat([frame[name] for frame in frames]))
        return [frame.positions for frame in frames]


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

    def without_key(self, frame: Frame, keep: Sequence[str]) -> dict[str, int]:
        if self._does_nothing_for(keep):
            return {}
        usable = has_key([frame[name] for name in self.left_on])
        return {f"{self.how} join on {', '.join(self.left_on)}": int(len(usable) - np.count_nonzero(usable))}

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
        indices = values_of(filled(pc.take(texts.indices, array_of(place))))
        taken = pa.DictionaryArray.from_arrays(array_of(indices, valid), texts.dictionary)
        return to_column(taken)
    return Column(column.dtype, column.values[place], None if valid.all() else valid)


def _one_null(dtype: DType) -> Column:
    if dtype == String:
        return Column(String, texts_of([None]).dictionary_encode(), np.zeros(1, np.bool_))
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
