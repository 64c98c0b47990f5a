"""Text of Parquet's pages: strings in a dictionary as the dictionary, others a row each."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import pool
from gpupipe.backends.run_texts import RunTexts
from gpupipe.columns import Column, Values
from gpupipe.kernels.cpu import page_strings as strings
from gpupipe.kernels.cpu import page_values as values
from gpupipe.kernels.cpu.page_entries import Entries
from gpupipe.sources.chunks import Pages


class Numbered:
    """Text of which every page has indices into a dictionary: the distinct strings, and their number a row.

    Args:
        is_one: there is one chunk: its dictionary is the one of all rows, once no two of its entries are the same.
    """

    def __init__(self, n_rows: int, optional: bool, is_one: bool) -> None:
        self.entries = Entries(pool.empty)
        self.numbers, self._valid = pool.empty(n_rows, np.uint32), pool.empty(n_rows, np.bool_)
        self._optional, self._is_one, self._state = optional, is_one, np.zeros(2, np.int64)

    def take(self, found: Pages) -> bool:
        """Decode the pages of the next chunk; gives whether they were whole."""
        if found.entries is None:
            return False
        held, count = found.entries
        numbers: Values | int = count
        if not self._is_one or not self.entries.copy(held.address, held.size, count):
            numbers = np.empty(min(count, held.size), np.uint32)
            if not self.entries.add(held.address, held.size, count, numbers):
                return False
        scratch = pool.empty(found.most_rows, np.uint32)
        return values.numbers(
            found.places, self._optional, numbers, self.numbers, self._valid, self._state, scratch
        )  # fmt: skip

    @property
    def valid(self) -> Values | None:
        return self._valid if self._state[values.SOME_NULL] else None

    def strings(self) -> pa.StringArray:
        """The distinct strings."""
        count, n_bytes = self.entries.count, self.entries.n_bytes
        return _array(count, self.entries.ends[: count + 1], self.entries.data[:n_bytes], None)


class OfRun:
    """Text whose strings, of pages of any kind, have their numbers from a run."""

    def __init__(self, texts: RunTexts, n_rows: int, optional: bool) -> None:
        self._texts, self._optional = texts, optional
        self._numbers, self._valid = pool.empty(n_rows, np.uint32), pool.empty(n_rows, np.bool_)
        self._state = np.zeros(2, np.int64)

    def take(self, found: Pages) -> bool:
        """Decode the pages of the next chunk; gives whether they were whole, and all strings have got a number."""
        held, count = found.entries or (pa.py_buffer(b""), 0)
        entries = self._texts.numbers(held.address, held.size, count)
        scratch, kept = pool.empty(found.most_rows, np.uint32), []
        for place in found.places:
            if place[values.ENCODING] != values.PLAIN:
                continue
            has_value, base, n_bytes = values.located(place, self._optional, scratch)
            numbers = None if has_value < 0 else self._texts.numbers(base, n_bytes, has_value)
            if numbers is None:
                return False
            _put_in_place(place, self._optional, base, numbers)
            kept.append(numbers)
        return entries is not None and values.numbers(
            found.places, self._optional, entries, self._numbers, self._valid, self._state, scratch
        )

    def column(self) -> Column | None:
        """The column; None where no row has a string."""
        valid = self._valid if self._state[values.SOME_NULL] else None
        return self._texts.column(self._numbers.view(np.int32), valid) if self._texts.count else None


def is_numbered(found: Pages) -> bool:
    """Whether every page has indices into a dictionary."""
    return found.entries is not None and not (found.places[:, values.ENCODING] == values.PLAIN).any()


def plain_strings(found: Pages, n_rows: int, optional: bool) -> tuple[pa.StringArray, Values | None] | None:
    """The strings of a chunk of so many rows, and which rows have one (None: all); None where they are damaged."""
    words, valid = pool.empty(n_rows, np.uint64), pool.empty(n_rows, np.bool_)
    state = np.zeros(2, np.int64)
    bases = list(_words(found, optional, words, valid, state))
    if state[values.ROW] != n_rows or (n_bytes := strings.lengths(words)) >= 2**31:
        return None
    ends, data = pool.empty(n_rows + 1, np.int32), pool.empty(n_bytes, np.uint8)
    ends[0] = 0
    for begin, end, base in bases:
        strings.gather(words[begin:end], base, ends, begin, data)
    mask = valid if state[values.SOME_NULL] else None
    return _array(n_rows, ends, data, mask), mask


def _words(found: Pages, optional: bool, words: Values, valid: Values, state: Values) -> Iterator[tuple[int, int, int]]:
    """(first row, the row after the last, where its strings stand) of each page, up to the first that is damaged."""
    scratch = pool.empty(found.most_rows, np.uint32)
    held, count = found.entries or (pa.py_buffer(b""), 0)
    entries = strings.found(held.address, held.size, count)
    if entries is None:
        return
    for place in found.places:
        base, here = held.address, entries
        if place[values.ENCODING] == values.PLAIN:
            has_value, base, n_bytes = values.located(place, optional, scratch)
            plain = None if has_value < 0 else strings.found(base, n_bytes, has_value)
            if plain is None:
                return
            here = plain
            _put_in_place(place, optional, base, here)
        begin = int(state[values.ROW])
        if not values.numbers(place[None], optional, entries, words, valid, state, scratch):
            return
        yield begin, int(state[values.ROW]), base


def _put_in_place(place: Values, optional: bool, address: int, words: Values) -> None:
    """Turn a page of strings, which begin at `address`, into one of the words that say where they stand."""
    if place[values.LEVELS_SIZE] < 0 and optional:
        begin = int(place[values.VALUES_AT]) + 4
        place[values.LEVELS_AT], place[values.LEVELS_SIZE] = begin, address - begin
    place[values.VALUES_AT], place[values.VALUES_SIZE] = words.ctypes.data, words.nbytes


def _array(count: int, ends: Values, data: Values, valid: Values | None) -> Any:
    bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bits, pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), count, buffers)
