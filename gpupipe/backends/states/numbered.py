"""Groups numbered as a trip over rows meets their keys: the states of partitions are added number by number.

A key keeps its number for the whole trip, so that nothing is sorted or compared before all partitions are in. Then
groups are put in the order that any state has; what the numbers were never shows.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from math import prod

import numpy as np

from gpupipe import pool
from gpupipe.arrow_arrays import text_of
from gpupipe.backends.distinct import encoded
from gpupipe.backends.indexes import ValueIndex
from gpupipe.backends.keys import order_of_distinct
from gpupipe.backends.states.gathering import merge, regroup
from gpupipe.backends.states.integers import distinct
from gpupipe.backends.states.state import Groups, State
from gpupipe.backends.states.wholes import added, total
from gpupipe.backends.strings import of_entries
from gpupipe.columns import Column, Values, concat
from gpupipe.schema import Int64, String

_FEW_ROWS = 8_192  # of a partition: sorting its groups takes no time worth saving
_MOST = 2**18  # values of one key; of more, most are in few partitions
_WIDEST = 2**16  # from the least to the greatest of whole numbers, which a table holds


class _Values:
    """The values of one key that were met so far, each with its number: how many there were before it."""

    def __init__(self, column: Column) -> None:
        dtype = column.dtype
        none = text_of("").slice(0, 0) if dtype == String else np.zeros(0, column.values.dtype)
        self._index, self._growing = ValueIndex(Column(dtype, none)), threading.Lock()

    @property
    def entries(self) -> Column:
        """They, by their numbers."""
        return self._index.entries

    def numbers(self, column: Column) -> Values | None:
        """int64 of shape (rows,); None where there are too many values. From any thread."""
        if column.dtype != String:
            return self._known(column)
        column = encoded(column)
        strings = column.values.dictionary
        if not 0 < len(strings) <= len(column) or strings.null_count:
            return None
        if (known := self._known(Column(String, strings))) is None:
            return None
        numbers = of_entries(known, column)
        if column.valid is None or column.valid.all():
            return numbers
        null = self._known(Column(String, text_of(""), np.zeros(1, bool)))
        return None if null is None else np.where(column.valid, numbers, null)

    def _known(self, column: Column) -> Values | None:
        found = self._index.find(column)
        if found.min(initial=0) >= 0:
            return found
        with self._growing:
            unknown = self._index.find(column) < 0
            if unknown.any():
                entries = concat([self.entries, _distinct(column.take(np.flatnonzero(unknown)))])
                if len(entries) > _MOST or _is_wide(entries):
                    return None
                self._index = ValueIndex(entries)
            return self._index.find(column)

    def order(self, count: int) -> Values:
        """The numbers below `count` by their values, null last."""
        entries = self.entries.rows(0, count)
        if entries.valid is None:
            return order_of_distinct(entries)
        there = np.flatnonzero(entries.valid)
        sorted_ones = there[order_of_distinct(Column(entries.dtype, entries.take(there).values))]
        return np.concatenate([sorted_ones, np.flatnonzero(~entries.valid)])


def _distinct(column: Column) -> Column:
    """The distinct values of a column in some order, a null last if there is one."""
    values = column.values if column.valid is None else column.take(np.flatnonzero(column.valid)).values
    found = Column(String, values.unique()) if column.dtype == String else Column(column.dtype, distinct(values))
    return found if column.valid is None or column.valid.all() else concat([found, _null_like(found)])


def _null_like(column: Column) -> Column:
    none = text_of("") if column.dtype == String else np.zeros(1, column.values.dtype)
    return Column(column.dtype, none, np.zeros(1, bool))


def _is_wide(entries: Column) -> bool:
    if entries.dtype == String:
        return False
    values = entries.values if entries.valid is None else entries.values[entries.valid]
    return len(values) > 0 and int(values.max()) - int(values.min()) >= _WIDEST


class Numbering:
    """The numbers of groups: that of the first key's value, times how many the others may have, and so on.

    Args:
        values: of each key.
        sizes: of each but the first, how many numbers it may have.
    """

    def __init__(self, values: Sequence[_Values], sizes: Sequence[int]) -> None:
        self._values, self._sizes = values, sizes

    def groups(self, numbers: Sequence[Values], n_rows: int) -> Groups | None:
        """The groups of rows; None where there are more than rows are worth.

        Args:
            numbers: of each key, those of the rows.
        """
        size = len(self._values[0].entries) * prod(self._sizes)
        if size > 4 * n_rows:
            return None
        of_row = numbers[0]
        for number, most in zip(numbers[1:], self._sizes, strict=True):
            both = pool.empty(n_rows, np.int64)
            np.multiply(of_row, most, out=both)
            of_row = np.add(both, number, out=both)
        return Groups(of_row, _numbered(size), np.bincount(of_row, minlength=size), self)

    def has_room(self) -> bool:
        """Whether all values that the keys after the first have by now are numbered."""
        return all(len(values.entries) <= most for values, most in zip(self._values[1:], self._sizes, strict=True))

    def merged(self, parts: Sequence[Sequence[State]]) -> list[State]:
        """States of several partitions as one of each."""
        return [self._merged([part[at] for part in parts]) for at in range(len(parts[0]))]

    def _merged(self, states: list[State]) -> State:
        first, size = states[0], max(state.n_groups for state in states)
        arrays = None if first.entries is not None else added([state.arrays for state in states], size)
        if arrays is not None:
            return State(first.kind, _numbered(size), total([state.rows for state in states], size), arrays, None, self)
        groups = np.concatenate([np.arange(state.n_groups) for state in states])
        both = merge(states, (groups, _numbered(size)))
        return State(both.kind, both.keys, both.rows, both.arrays, both.entries, self)

    def resolved(self, states: Sequence[State]) -> list[State]:
        """States over the same groups, by their keys, sorted, as any state has them."""
        rows = states[0].rows
        chosen = self._order(len(rows))
        chosen = chosen[rows[chosen] > 0]
        keys = self._keys(chosen)
        return [_in_order(state, keys, chosen) for state in states]

    def _order(self, size: int) -> Values:
        """The numbers below `size`, as their keys are sorted."""
        order = self._values[0].order(size // prod(self._sizes))
        for values, most in zip(self._values[1:], self._sizes, strict=True):
            order = np.add.outer(order * most, values.order(min(most, len(values.entries)))).ravel()
        return order

    def _keys(self, chosen: Values) -> list[Column]:
        keys, left = [], chosen
        for values, most in zip(self._values[:0:-1], self._sizes[::-1], strict=True):
            left, number = np.divmod(left, most)
            keys.append(_taken(values.entries, number))
        return [_taken(self._values[0].entries, left), *keys[::-1]]


def _taken(entries: Column, numbers: Values) -> Column:
    column = entries.take(numbers)
    return Column(column.dtype, column.values) if column.valid is None or column.valid.all() else column


def resolved(states: Sequence[State]) -> list[State]:
    """States over the same groups by their keys, whether they are numbered or not."""
    numbering: Numbering | None = states[0].numbering
    return list(states) if numbering is None else numbering.resolved(states)


def _in_order(state: State, keys: list[Column], chosen: Values) -> State:
    if state.entries is None:
        arrays = {name: array[chosen] for name, array in state.arrays.items()}
        return State(state.kind, keys, state.rows[chosen], arrays)
    place = np.zeros(state.n_groups, np.int64)
    place[chosen] = np.arange(len(chosen))
    return regroup(state, keys, place, state.rows > 0)


def _numbered(size: int) -> list[Column]:
    return [Column(Int64, np.arange(size))]


class Numbered:
    """The numbers of all keys of one trip over rows; from any thread."""

    def __init__(self) -> None:
        self._values: dict[int, _Values] = {}
        self._numberings: dict[tuple[int, ...], Numbering | None] = {}
        self._lock = threading.Lock()

    def groups(
        self, keys: Iterable[tuple[int, ...]], column: Callable[[int], Column], n_rows: int
    ) -> dict[tuple[int, ...], Groups]:
        """The groups of a partition's rows by each of some keys, given by their places; some may be missing.

        Args:
            column: a key's rows, by its place.
        """
        if n_rows < _FEW_ROWS:
            return {}
        wanted = [places for places in keys if places and self._numberings.get(places, self) is not None]
        numbers = {place: self._numbers(place, column(place)) for place in dict.fromkeys(sum(wanted, ()))}
        found = {places: self._groups(places, [numbers[place] for place in places], n_rows) for places in wanted}
        return {places: groups for places, groups in found.items() if groups is not None}

    def _numbers(self, place: int, column: Column) -> Values | None:
        if column.values is None or (isinstance(column.values, np.ndarray) and not _is_whole(column.values)):
            return None
        with self._lock:
            values = self._values.setdefault(place, _Values(column))
        return values.numbers(column)

    def _groups(self, places: tuple[int, ...], numbers: Sequence[Values | None], n_rows: int) -> Groups | None:
        known = [number for number in numbers if number is not None]
        found = self._numbering(places).groups(known, n_rows) if len(known) == len(numbers) else None
        if found is None:
            self._numberings[places] = None
        return found

    def _numbering(self, places: tuple[int, ...]) -> Numbering:
        """That of some keys; another where one of them, but the first, has more values than it has room for."""
        values = [self._values[place] for place in places]
        with self._lock:
            found = self._numberings.get(places)
            if found is None or not found.has_room():
                sizes = [len(each.entries) * (1 if found is None else 2) for each in values[1:]]
                found = self._numberings[places] = Numbering(values, sizes)
            return found


def _is_whole(values: Values) -> bool:
    return values.ndim == 1 and (values.dtype.kind in "ib" or (values.dtype.kind == "u" and values.dtype.itemsize < 8))
