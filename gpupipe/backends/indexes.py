"""From values and keys of rows to where they stand in a learned list: the indexes of fitted tables."""

import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.compute as pc

from gpupipe import optional
from gpupipe.arrow_arrays import array_of, values_of
from gpupipe.backends import compiled
from gpupipe.backends.distinct import is_short
from gpupipe.backends.keys import column_ranks, dense_ranks, is_nan, kernels_for, ordered_bits
from gpupipe.backends.strings import of_entries
from gpupipe.backends.text import layout
from gpupipe.columns import Column, Values
from gpupipe.kernels.reference import lookup
from gpupipe.schema import String

_FEW_ROWS = 64  # up to here a dictionary of Python values is quicker than building hash tables
_SOME_ROWS = 1_024  # and up to here quicker than what hashing them all at once takes to begin, once there is one
_FEW_ENTRIES = 1_024  # Arrow's table of so few is built before any other can be thought of
_A_STRING = 4  # numbers: what hashing one saves
_DENSE = 65_536  # a table of so many places costs less than a search


class Places:
    """From whole numbers to their places in a list of distinct ones: a table where they are dense, else a search."""

    def __init__(self, numbers: Values, span: int) -> None:
        self._table: Values | None = None
        if span <= max(_DENSE, 8 * len(numbers)):
            # One entry before and one after, both -1, is where numbers beyond the table are sent.
            self._table = np.full(span + 2, -1, np.int64)
            self._table[numbers + 1] = np.arange(len(numbers))
            return
        self._order = np.argsort(numbers, kind="stable")
        self._sorted = numbers[self._order]

    def of(self, numbers: Values, low: int = 0) -> Values:
        """int64 place of each number, less `low`; -1 where it is not listed."""
        if self._table is not None:
            return np.asarray(kernels_for(len(numbers)).find(self._table, numbers, low))
        numbers = numbers - np.int64(low)
        place = np.minimum(np.searchsorted(self._sorted, numbers), len(self._sorted) - 1)
        return np.where(self._sorted[place] == numbers, self._order[place], -1)

    def of_both(self, first: Values, second: Values, size: int) -> Values:
        """The same of first * size + second; -1 where one of them is."""
        if self._table is not None:
            return np.asarray(kernels_for(len(first)).find_both(self._table, first, second, size))
        both = first * size + second  # negative where the first is
        if len(second) and second.min() < 0:
            both[second < 0] = -1
        return self.of(both)

    def listed(self) -> tuple[Values, Values]:
        """(the numbers of the list, sorted, the place of each)."""
        if self._table is None:
            return self._sorted, self._order
        numbers = np.flatnonzero(self._table[1:-1] >= 0)
        return numbers, self._table[1 + numbers]


class ValueIndex:
    """From values to their positions in a list of distinct values.

    Attributes:
        entries: the list.
        null: the position of null; -1 where it is not listed.
    """

    def __init__(self, entries: Column) -> None:
        self.entries = entries
        valid = np.ones(len(entries), bool) if entries.valid is None else entries.valid
        nulls = np.flatnonzero(~valid)
        self.null = int(nulls[0]) if len(nulls) else -1
        self._at = np.flatnonzero(valid)
        self._in_place = bool((self._at == np.arange(len(self._at))).all())  # null, if there is one, is the last
        self._by_value: dict[Any, int] | None = None
        self._own: _Strings | None = None
        self._building = threading.Lock()
        if entries.dtype == String:
            strings = entries.values.dictionary_decode() if entries.is_dictionary else entries.values
            self._strings = strings.take(array_of(self._at)) if len(nulls) else strings
            self._short = is_short(self._strings)
        else:
            bits = ordered_bits(entries)[self._at]
            self._low = int(bits.min()) if len(bits) else 0
            span = int(bits.max()) - self._low + 1 if len(bits) else 0
            # Distances beyond int64 wrap, the same for entries and for what is looked up.
            self._places = Places(bits - np.int64(self._low) if span < 2**63 else bits, span)
            self._shifted = span < 2**63

    def find(self, column: Column) -> Values:
        """int64 position of each row's value; -1 where it is not listed (NaN never is)."""
        found = self._strings_at(column) if self.entries.dtype == String else self._numbers_at(column)
        if column.valid is not None:
            found = np.where(column.valid, found, self.null)
        return found

    def listed(self) -> tuple[Values, Values]:
        """Of other types than text: (the ordered bits of the values listed, sorted, the position of each)."""
        numbers, places = self._places.listed()
        return numbers + np.int64(self._low) if self._shifted else numbers, self._at[places]

    @property
    def by_value(self) -> dict[str, int]:
        """Of text: from each value but null to its position."""
        if self._by_value is None:
            self._by_value = dict(zip(self._strings.to_pylist(), self._at.tolist(), strict=True))
        return self._by_value

    def _numbers_at(self, column: Column) -> Values:
        if not len(self._at):
            return np.full(len(column), -1, np.int64)
        bits = column.values if _is_narrow(column.values) else ordered_bits(column)
        place = self._places.of(bits, self._low if self._shifted else 0)
        found = place if self._in_place else np.append(self._at, -1)[place]
        nan = is_nan(column)
        return found if nan is None else np.where(nan, -1, found)

    def _strings_at(self, column: Column) -> Values:
        if column.is_dictionary:
            if len(column) < len(column.values.dictionary):
                return self._plain_at(column.values.dictionary_decode())
            return of_entries(np.append(self._plain_at(column.values.dictionary), -1), column)
        return self._plain_at(column.values)

    def _plain_at(self, strings: Any) -> Values:
        if len(strings) <= (_FEW_ROWS if self._by_value is None else _SOME_ROWS):
            by_value = self.by_value
            return np.array([by_value.get(text, -1) for text in strings.to_pylist()], np.int64)
        if (kernels := self._worth_own_table(len(strings))) is None:
            at = pc.index_in(strings, value_set=self._strings)
            found = values_of(at).astype(np.int64)
            if at.null_count:
                found[~values_of(at.is_valid())] = -1
        else:
            found = self._table(kernels).find(strings)
        return found if self._in_place else np.append(self._at, -1)[found]

    def _worth_own_table(self, n_rows: int) -> ModuleType | None:
        """The kernels to look strings up with where building Arrow's table, for every call anew, would take longer."""
        if self._own is not None:
            return self._own.kernels
        entries = len(self._strings)
        if entries < _FEW_ENTRIES:
            return None
        if (self._short or 4 * entries >= n_rows) and compiled.worth(_A_STRING * (n_rows + entries)):
            return optional.load("gpupipe.kernels.cpu.lookup")
        return lookup if entries >= 4 * n_rows else None

    def _table(self, kernels: ModuleType) -> "_Strings":
        with self._building:
            if self._own is None:
                self._own = _Strings(self._strings, kernels)
        return self._own


class _Strings:
    """A table of distinct strings, built once and looked into from any thread."""

    def __init__(self, strings: Any, kernels: ModuleType) -> None:
        self.kernels, self._layout = kernels, layout(strings)
        self._index = kernels.index(*self._layout)

    def find(self, strings: Any) -> Values:
        """int64 place of each string; -1 where it is not listed."""
        found: Values = self.kernels.find(self._index, *self._layout, *layout(strings))
        return found


class KeyIndex:
    """From the keys of rows to the position of their group in a table of distinct keys.

    Attributes:
        keys: the table.
        first: the distinct first keys.
        further: of each further key: the distinct ones, how many, and the places of the combined numbers.
        row_of: the position in the table of each place of the last of those; None for one key, and -1 at the end.
    """

    def __init__(self, keys: Sequence[Column]) -> None:
        self.keys = keys
        self.further: list[tuple[ValueIndex, int, Places]] = []
        self._known: tuple[Sequence[Column], Values] | None = None
        self.row_of: Values | None = None
        self._in_order = False
        if len(keys) == 1:
            self.first = ValueIndex(keys[0])
            return
        ranks, uniques = column_ranks(keys[0])
        self.first = ValueIndex(uniques)
        for key in keys[1:]:
            inner, distinct = column_ranks(key)
            size = max(len(distinct), 1)
            combined = ranks * size + inner
            # Ranks stay below the number of groups, so that any number of wide keys fits int64.
            span = (int(ranks.max()) + 1) * size if len(ranks) else 0
            ranks, both = dense_ranks(combined)
            self.further.append((ValueIndex(distinct), size, Places(both, span)))
        self.row_of = np.full(len(ranks) + 1, -1, np.int64)  # the last, where -1 points, is -1
        self.row_of[ranks] = np.arange(len(ranks))
        self._in_order = bool((ranks == np.arange(len(ranks))).all())

    def find(self, columns: Sequence[Column]) -> Values:
        """int64 position of each row's group; -1 where there is none. Not to be written to."""
        known = self._known
        if known is not None and all(map(_is_same, known[0], columns)):
            return known[1]
        found = self._found(columns)
        self._known = columns, found  # several statistics are looked up by the same keys one after the other
        return found

    def _found(self, columns: Sequence[Column]) -> Values:
        ranks = self.first.find(columns[0])
        if self.row_of is None:
            return ranks
        for column, (index, size, places) in zip(columns[1:], self.further, strict=True):
            ranks = places.of_both(ranks, index.find(column), size)
        return ranks if self._in_order else self.row_of[ranks]


def _is_narrow(values: Values) -> bool:
    """Whether they are whole numbers that int64 holds: those are their own ordered bits."""
    return values.dtype.kind == "i" or (values.dtype.kind == "u" and values.dtype.itemsize < 8)


def same_keys(some: Sequence[Column], others: Sequence[Column]) -> bool:
    """Whether two lists of plain columns hold the same types and values."""
    return len(some) == len(others) and all(map(_equal, some, others))


def _equal(one: Column, other: Column) -> bool:
    if one.dtype != other.dtype or len(one) != len(other):
        return False
    if one.valid is None or other.valid is None:
        present = one.valid is other.valid
    else:
        present = np.array_equal(one.valid, other.valid)
    text = one.dtype == String
    return present and bool(one.values.equals(other.values) if text else np.array_equal(one.values, other.values))


def _is_same(one: Column, other: Column) -> bool:
    return one.values is other.values and one.valid is other.valid
