"""Text whose distinct strings get their numbers as it is read, for a whole run: none is hashed, or kept, once more.

Where a scan counts the distinct strings of a column and a further trip gives each row the code of its own, every
partition would come with a dictionary that is hashed to be merged with the others, kept, and hashed again to be looked
up. A string's number is the same in all partitions, so counts are added by number, columns wait as numbers, and codes
are looked up once a string. Which number it has depends on which thread came first, and shows nowhere.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from gpupipe import optional, pool
from gpupipe.arrow_arrays import array_of
from gpupipe.backends.states.state import Entries, State
from gpupipe.backends.states.values import VALUES
from gpupipe.backends.strings import entries_for, entry_ids, used_entries
from gpupipe.columns import Column, Values
from gpupipe.memory import Room
from gpupipe.schema import DType, Int32, String, UInt8, UInt16

Given = TypeVar("Given")

_COUNTED = 20  # bytes of a string besides: how often it was met, twice as many as there were at a time, and its code
_FEW_ROWS = 8_192  # are taken out as their strings: whoever keeps them would keep those of all rows


class RunTexts:
    """The distinct strings of one column that were met so far; from any thread.

    Args:
        room: what the strings of all such columns may take. Once there is none, no more get numbers.

    Attributes:
        count: how many there are.
    """

    def __init__(self, room: Room) -> None:
        self._room, self._taken, self._is_open = room, 0, True
        self._growing = threading.Lock()
        self._entries: Any = None
        self._strings: Any = None

    @property
    def count(self) -> int:
        return 0 if self._entries is None else int(self._entries.count)

    def numbers(self, address: int, size: int, count: int) -> Values | None:
        """uint32 of shape (count,): the numbers of some strings; None: they are damaged, or get none.

        Args:
            address, size: where they stand, a length of 4 bytes before each, in so many bytes.
        """
        with self._growing:
            if self._entries is None:
                self._entries = optional.load("gpupipe.kernels.cpu.page_entries").Entries(pool.empty)
            found, known = np.empty(min(count, size), np.uint32), self._entries.state.copy()
            if self._is_open and self._entries.add(address, size, count, found) and self._is_text_from(int(known[0])):
                self._is_open = self._has_room()
                return found
            self._is_open, self._entries.state[:] = False, known
        return None

    def _has_room(self) -> bool:
        more = self._entries.nbytes + _COUNTED * self.count - self._taken
        self._taken += more
        return more <= 0 or self._room.take(more)

    def _is_text_from(self, first: int) -> bool:
        """Whether all that is new is UTF-8."""
        try:
            self._array(first).validate(full=True)
        except pa.ArrowInvalid:
            return False
        return True

    def _array(self, first: int = 0) -> Any:
        entries, count = self._entries, self._entries.count
        buffers = [None, pa.py_buffer(entries.ends[: count + 1]), pa.py_buffer(entries.data[: entries.n_bytes])]
        return pa.Array.from_buffers(pa.string(), count - first, buffers, offset=first)

    def strings(self) -> Any:
        """They, by their numbers: a ``pa.StringArray``."""
        with self._growing:
            if self._strings is None or len(self._strings) < self.count:
                self._strings = self._array()
            return self._strings

    # -- columns ------------------------------------------------------------------------------------------
    def column(self, numbers: Values, valid: Values | None) -> "TextOfRun":
        """The column of which each row has the string of a number, int32."""
        bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
        indices = pa.Array.from_buffers(pa.int32(), len(numbers), [bits, pa.py_buffer(numbers)])
        return TextOfRun(String, pa.DictionaryArray.from_arrays(indices, self.strings(), safe=False), valid, self)

    def widened(self, kept: Column) -> "TextOfRun":
        """The column of which :meth:`TextOfRun.narrowed` gave the numbers."""
        if kept.values.dtype == np.int32:
            return self.column(kept.values, kept.valid)
        numbers = pool.empty(len(kept), np.int32)
        np.copyto(numbers, kept.values)
        return self.column(numbers, kept.valid)

    @property
    def numbers_type(self) -> DType:
        """The narrowest type of the numbers that there are."""
        return UInt8 if self.count <= 2**8 else UInt16 if self.count <= 2**16 else Int32

    # -- states -------------------------------------------------------------------------------------------
    def counted(self, column: Column, rows: Values) -> State:
        """The state of the distinct strings of some rows, by their numbers."""
        numbers, counts = used_entries(column)
        return State(VALUES.name, [], rows, {"number": numbers, "n": counts}, None, self)

    def added(self, whole: State | None, state: State) -> State:
        """The state of all rows so far with one of further rows added, in the place of the first, which is used up."""
        if whole is None:
            return self._whole(state.rows, np.zeros(2 * self.count, np.int64), [state])
        counts = whole.arrays["n"]
        if len(counts) < self.count:
            counts = np.concatenate([counts, np.zeros(2 * self.count - len(counts), np.int64)])
        return self._whole(whole.rows + state.rows, counts, [state])

    def merged(self, parts: Sequence[Sequence[State]]) -> list[State]:
        """Such states of several partitions as one."""
        states = [state for (state,) in parts]
        return [self._whole(np.sum([state.rows for state in states], axis=0), np.zeros(self.count, np.int64), states)]

    def _whole(self, rows: Values, counts: Values, states: Sequence[State]) -> State:
        for state in states:
            n = state.arrays["n"]
            if "number" in state.arrays:
                entries_for(len(n)).add(counts, state.arrays["number"], n)
            else:
                counts[: len(n)] += n[: len(counts)]
        return State(VALUES.name, [], rows, {"n": counts}, None, self)

    def resolved(self, states: Sequence[State]) -> list[State]:
        """Such states by the strings themselves, as any state has them."""
        return [self._resolved(state) for state in states]

    def _resolved(self, state: State) -> State:
        counts, strings = state.arrays["n"], self.strings()
        numbers = state.arrays.get("number")
        if numbers is None:
            numbers = np.flatnonzero(counts)
            counts = counts[numbers]
        found = Column(String, strings if len(numbers) == len(strings) else strings.take(array_of(numbers)))
        entries = Entries(found, np.zeros(len(counts), np.int64), counts.astype(np.int64, copy=False), in_order=False)
        return State(state.kind, [], state.rows, {}, entries)


@dataclass(frozen=True, slots=True, eq=False)
class TextOfRun(Column):
    """Text whose dictionary is that of a run, as far as it was known when the column was made.

    Attributes:
        texts: whose numbers the rows have.
    """

    texts: Any = None

    def take(self, rows: Values) -> Column:
        """As of any column."""
        found = Column.take(self, rows)
        if len(found) < _FEW_ROWS:
            return Column(String, found.values.dictionary_decode(), found.valid)
        return TextOfRun(String, found.values, found.valid, self.texts)

    def rows(self, start: int, stop: int) -> Column:
        """As of any column."""
        found = Column.rows(self, start, stop)
        return TextOfRun(String, found.values, found.valid, self.texts)

    def narrowed(self) -> Column:
        """The numbers of the rows in few bytes, to be kept: `texts` makes the column of them again."""
        dtype = self.texts.numbers_type
        numbers = pool.empty(len(self), dtype.storage)
        np.copyto(numbers, entry_ids(self), casting="unsafe")
        return Column(dtype, numbers, self.valid)


class _Reading(threading.local):
    texts: Mapping[str, RunTexts] = MappingProxyType({})


_READING = _Reading()


def texts_of(name: str) -> RunTexts | None:
    """Where the column of that name, which this thread reads, gets its numbers; None: nowhere."""
    return _READING.texts.get(name)


def reading(texts: Mapping[str, RunTexts], read: Callable[[], Given]) -> Given:
    """What a function reads; columns of those names get their numbers there."""
    before, _READING.texts = _READING.texts, texts
    try:
        return read()
    finally:
        _READING.texts = before
