"""Decoded columns that further trips over the rows need: in memory while a budget lasts, then in scratch files."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from gpupipe import pool
from gpupipe.backends.run_texts import RunTexts, TextOfRun
from gpupipe.columns import AnyColumn, Column, Frame, Values, on_host
from gpupipe.memory import Room
from gpupipe.runtime.beneath import Beneath, beneath_matrix
from gpupipe.runtime.packed import Packed, end_in, packed
from gpupipe.runtime.spill import Spill, Spilled
from gpupipe.schema import UInt64

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Counting:
    """Row numbers one after the other, which take no room: `first`, `first` + 1, …"""

    first: int


_Part = AnyColumn | Packed | Counting | None


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What is held of one partition.

    Attributes:
        columns: by name, wherever they are; what is no column has a number: 0 the rows' identities, 1 their places.
        texts: of columns that are held by the numbers of a run's strings, whose numbers these are.
        kept_bytes: of them in memory.
    """

    n_rows: int
    columns: Mapping[str | int, _Part | Spilled]
    texts: Mapping[str, RunTexts]
    kept_bytes: int

    @property
    def device_bytes(self) -> int:
        """What the columns take of a device's memory."""
        return sum(getattr(column, "device_bytes", 0) for column in self.columns.values())


_IDS, _PLACES = 0, 1
_VALUES = 31  # parts of a block that values are decoded into; one is left for their validity


class Cache:
    """Columns of partitions, put in once and taken out any number of times, from any thread.

    Args:
        budget: the bytes that may stay in memory.
        on_device: what columns on a device may take of its memory; others are copied from there. None: nothing.

    Attributes:
        beneath: where columns wait, as many as fit, until the last trip makes a matrix there; None: nowhere.
        kept_bytes: those that stay in memory.
        beneath_bytes: those that stand beneath the matrix, packed.
        spilled_bytes: written to scratch files.
        failure: why some are held nowhere; None: all are.

    >>> from gpupipe.schema import Int64
    >>> cache = Cache(budget=0)
    >>> cache.put(0, Frame({"x": Column(Int64, np.array([5, 6]))}, 2, np.array([8, 9], np.uint64)))
    >>> frame = cache.frame(0, ["x"])
    >>> frame["x"].values, frame.row_ids, cache.kept_bytes, cache.spilled_bytes > 0
    (array([5, 6]), array([8, 9], dtype=uint64), 0, True)
    """

    def __init__(self, budget: int, on_device: Room | None = None) -> None:
        self._budget, self._on_device = budget, on_device or Room(0)
        self.beneath: Beneath | None = None
        self._held: dict[int, _Held] = {}
        self._spill = Spill()
        self._lock = threading.Lock()
        self._released = False
        self.kept_bytes = self.spilled_bytes = self.beneath_bytes = 0
        self.failure: str | None = None

    def put(self, index: int, frame: Frame, views: bool = False) -> None:
        """Hold the columns of a partition, once; where that fails nothing of it is held, and `failure` says why.

        Args:
            views: whether arrays that NumPy does not own are of data that stay in memory anyway, so that they cost
                nothing.
        """
        if index in self._held:
            return
        parts: dict[str | int, _Part] = {_IDS: _counting(frame.row_ids)}
        parts[_PLACES] = None if frame.places is None else _counting(frame.places)
        for name, column in frame.columns.items():
            parts[name] = column if self._stays(column) else on_host(column)
        texts = {name: column.texts for name, column in frame.columns.items() if isinstance(column, TextOfRun)}
        if not views:
            self._put_beneath(index, parts)
        parts |= {key: part.narrowed() for key, part in parts.items() if isinstance(part, TextOfRun)}
        taken = self._reserved(parts, views)
        try:
            waiting = self._spilled({key: part for key, part in parts.items() if key not in taken})
        except OSError as error:
            self._fail(sum(taken.values()), f"writing the rest to temporary files failed: {error.strerror or error}")
            return
        self._held[index] = _Held(frame.n_rows, {**parts, **waiting}, texts, sum(taken.values()))

    def placing(self, index: int | None, read: Callable[..., Read], *given: Any) -> Callable[[], Read]:
        """What reads a partition, columns of it where they will stand beneath the matrix: these are `put` next."""
        if self.beneath is None or index is None or index in self._held:
            return partial(read, *given)
        block = self.beneath.block(index)
        room = block[: len(block) * _VALUES // (_VALUES + 1)]
        return lambda: pool.within(room, read, *given)

    def frame(self, index: int, names: Sequence[str], last: bool = False) -> Frame | None:
        """The named columns of a partition; None where some of them are not held.

        Args:
            last: whether nobody asks for columns of the partition again: nothing of it is held any more then.
        """
        held = self._held.get(index)
        if held is None or not held.columns.keys() >= set(names):
            return None
        keys: list[str | int] = [_IDS, _PLACES, *names]
        wanted = {key: held.columns[key] for key in keys}
        try:
            read = self._read({key: part for key, part in wanted.items() if isinstance(part, Spilled)})
        except OSError as error:
            self._drop(index)
            self._fail(0, f"reading the temporary files failed: {error.strerror or error}")
            return None
        parts = self._unpacked(index, {**wanted, **read}, stays=not last)
        if last:
            self._held.pop(index, None)
        row_ids, places = _numbers(parts[_IDS], held.n_rows), _numbers(parts[_PLACES], held.n_rows)
        assert row_ids is not None
        columns = {name: _known(parts[name], held.texts.get(name)) for name in names}
        return Frame(columns, held.n_rows, row_ids, places)

    def leave(self, size: int) -> None:
        """So many bytes of the budget are for something else."""
        with self._lock:
            self._budget = max(self._budget - size, 0)

    def leave_device(self) -> None:
        """Copy from a device what is kept there, since its memory is needed; nothing more is kept there."""
        self._on_device.close()
        for index in list(self._held):  # other threads put in theirs meanwhile
            held = self._held.get(index)
            if held is None or not held.device_bytes:
                continue
            frame = self.frame(index, [key for key in held.columns if isinstance(key, str)])
            if frame is not None and self._drop(index):
                self._on_device.give_back(held.device_bytes)
                self.put(index, frame)

    def wait_beneath(self, heights: Sequence[int] | None, width: int | None) -> None:
        """The last trip makes a matrix of so many rows a partition, and columns: those that fit wait in its memory."""
        self.beneath = None if width is None else beneath_matrix(heights, width)

    def matrix(self, width: int) -> Values | None:
        """That memory, for a matrix of so many columns; None where there is none."""
        return None if self.beneath is None or self.beneath.width != width else self.beneath.matrix

    def close(self) -> None:
        """Free memory and files; frames that were taken out stay."""
        self._held.clear()
        self._spill.close()

    # -- inside -------------------------------------------------------------------------------------------
    def _put_beneath(self, index: int, parts: dict[str | int, _Part]) -> None:
        """Pack columns beneath the partition's rows of the matrix, those that fit."""
        if self.beneath is None:
            return
        block = self.beneath.block(index)
        end = max((end_in(block, part) for part in parts.values() if isinstance(part, Column)), default=0)
        for key, part in parts.items():
            found = packed(part, block, end) if isinstance(part, Column) else None
            if found is not None:
                parts[key], end = found, found.end
            elif isinstance(part, Column) and end_in(block, part):
                parts[key] = Column(part.dtype, part.values.copy(), part.valid)
        with self._lock:
            self.beneath_bytes += end

    def _unpacked(
        self, index: int, parts: Mapping[str | int, _Part | Spilled], *, stays: bool
    ) -> Mapping[str | int, _Part | Spilled]:
        """The parts, columns from beneath the matrix; they may not be in its memory unless it `stays` as it is."""
        if self.beneath is None or not any(isinstance(part, Packed) for part in parts.values()):
            return parts
        block = self.beneath.block(index)
        return {
            key: part.column(block, stays=stays) if isinstance(part, Packed) else part for key, part in parts.items()
        }

    def _drop(self, index: int) -> bool:
        """Hold nothing of a partition any more; gives whether something was, and no other thread was quicker."""
        held = self._held.pop(index, None)
        if held is not None:
            with self._lock:
                self.kept_bytes -= held.kept_bytes
        return held is not None

    def _stays(self, column: AnyColumn) -> bool:
        """Whether a column stays where it is on a device, whose memory is counted from now on."""
        size = 0 if isinstance(column, Column) else column.device_bytes
        return size > 0 and self._on_device.take(size)

    def _reserved(self, parts: Mapping[str | int, _Part], views: bool) -> dict[str | int, int]:
        """What may stay in memory, with the bytes it takes from now on."""
        taken: dict[str | int, int] = {}
        for key, part in parts.items():
            size = column_bytes(part, views) if isinstance(part, Column) else 0
            with self._lock:
                if self.kept_bytes + size <= self._budget or not size:
                    self.kept_bytes += size
                    taken[key] = size
        return taken

    def _fail(self, freed: int, why: str) -> None:
        with self._lock:
            self.kept_bytes -= freed
            self.failure = self.failure or why

    def _spilled(self, parts: Mapping[str | int, _Part]) -> dict[str | int, Spilled]:
        if parts and self.failure is not None:
            raise OSError(self.failure)
        spilled = self._spill.write([part for part in parts.values() if isinstance(part, Column)]) if parts else []
        with self._lock:
            self.spilled_bytes += sum(part.size for part in spilled)
        return dict(zip(parts, spilled, strict=True))

    def _read(self, parts: Mapping[str | int, Spilled]) -> dict[str | int, Column]:
        if parts and not self._released:
            self._released = True
            pa.default_memory_pool().release_unused()  # what Arrow decoded the source into, and keeps for more of it
        return dict(zip(parts, self._spill.read_all(list(parts.values())), strict=True))


def _known(part: _Part | Spilled, texts: RunTexts | None = None) -> AnyColumn:
    assert part is not None and not isinstance(part, Spilled | Counting | Packed)
    return part if texts is None else texts.widened(on_host(part))


def _numbers(part: _Part | Spilled, n_rows: int) -> Values | None:
    if part is None or isinstance(part, Counting):
        return None if part is None else np.arange(part.first, part.first + n_rows, dtype=np.uint64)
    values: Values = on_host(_known(part)).values
    return values


def _counting(numbers: Values) -> Column | Counting:
    first, size = int(numbers[0]) if len(numbers) else 0, len(numbers)
    if not size or (int(numbers[-1]) == first + size - 1 and bool((numbers[1:] > numbers[:-1]).all())):
        return Counting(first)
    return Column(UInt64, numbers)


def column_bytes(column: Column, views: bool = False) -> int:
    """The memory that a column takes; with `views`, that of arrays NumPy owns, and of text.

    >>> from gpupipe.schema import Int64
    >>> column = Column(Int64, np.frombuffer(bytes(16), np.int64), np.ones(2, bool))
    >>> column_bytes(column), column_bytes(column, views=True)
    (18, 2)
    """
    valid = 0 if column.valid is None else column.valid.nbytes
    if not isinstance(column.values, np.ndarray):
        return valid + int(column.values.nbytes)
    return valid + (0 if views and not _owned(column.values) else column.values.nbytes)


def _owned(array: Values) -> bool:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base is None
