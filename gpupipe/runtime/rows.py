"""The rows of a fit: read once, what further trips need kept for them."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

from gpupipe import optional
from gpupipe.backends.run_texts import RunTexts, reading
from gpupipe.columns import Frame, Values
from gpupipe.errors import counted
from gpupipe.kernels.gpu.device import Device
from gpupipe.memory import Room, memory_bytes
from gpupipe.runtime.budget import budget_of, decoded_bytes
from gpupipe.runtime.cache import Cache
from gpupipe.runtime.elsewhere import HowRead, as_asked
from gpupipe.runtime.fixed import read_only
from gpupipe.runtime.noted import Noted
from gpupipe.runtime.progress.hearing import HEARD
from gpupipe.runtime.quarantine import load
from gpupipe.schema import Schema
from gpupipe.sources.memory import TablePartition
from gpupipe.sources.source import Source

_WORTH_THREADS = 32 * 2**20
_TEXTS_SHARE = 16  # of the memory may be strings that have numbers for the whole run
_ON_DEVICE = 3  # threads: one partition is decoded, one computed, one copied back
_DECODED_A_BYTE = 3  # what columns, validity and dictionaries take beside the file's own count, at most


class Rows(Noted):
    """A source being read: frames by partition, from memory or temporary files where they were kept. Close it.

    Frames that are kept are shared by whoever asks, so their arrays cannot be written to.

    Args:
        columns: what the first trip reads.
        keep: whether anything is kept for further trips.
        needed_again: the columns that they need; None: all.
        memory: as `Pipeline` takes it: how much partitions at work take, and columns that are kept in memory.
        schema: the schema of a fit, whose types columns are given in; None: in their own.
        first: the partition that the first trip begins with: those before it are for further trips alone.
        identity: a frame to its rows' identities, uint64 of shape (rows,); None: the source's own.
        device: in whose memory columns are decoded where they can be, and kept while half of what is free lasts; so are
            copies of those decoded on the host, once they were needed there.

    Attributes:
        memory: how much memory a run may take, as it was given.
        budget: how it is shared between partitions at work and columns kept.
        asked: the columns that the last frame was asked for; None: no frame was.
        heard: who hears of trips over them that are told to nobody else, a `progress.Heard`; None: nobody.
        n_workers: how many threads are worth starting for so many bytes, and have the memory.

    >>> import gpupipe as gp
    >>> with Rows(gp.scan({"x": [1, 2]}), ["x"]) as rows:
    ...     first, again = rows.frame(0), rows.frame(0)
    >>> again["x"].values, rows.source_reads
    (array([1, 2]), 1)
    """

    asked: Sequence[str] | None = None
    heard: Any = None

    def __init__(
        self,
        source: Source,
        columns: Sequence[str],
        *,
        keep: bool = True,
        needed_again: Sequence[str] | None = None,
        memory: int | str | None = None,
        schema: Schema | None = None,
        first: int = 0,
        identity: Callable[[Frame], Values] | None = None,
        device: Device | None = None,
    ) -> None:
        super().__init__(source)
        self.memory, self.heard = memory, HEARD.get()
        self._device, self._identity, self._schema, self._begins = device, identity, schema, first
        self._columns = list(columns)
        self._again = list(columns if needed_again is None else needed_again) if keep else []
        self._ending = False
        #: One thread for what is done in a second: more would spend as much again on waiting for each other.
        most = 1 if source.nbytes(columns) < _WORTH_THREADS else os.cpu_count() or 1
        self.budget = budget_of(source, columns, memory, most, keeps=bool(self._again))
        self.n_workers = self.budget.n_workers if device is None else 1 if most == 1 else _ON_DEVICE
        self._memory = self.budget.kept if self._again else 0
        keeps = device if self._again else None
        self._cache = Cache(self._memory, room := Room(0 if keeps is None else keeps.free_bytes // 2))
        self._copies = None if keeps is None else optional.load("gpupipe.backends.gpu.copies").Copies(keeps, room)
        self._reading = [threading.Lock() for _ in source.partitions]
        self._texts: dict[str, RunTexts] = {}

    @property
    def whole(self) -> "Rows":
        """The rows that are read: these, or those that these are some of."""
        return self

    # -- what was kept ------------------------------------------------------------------------------------
    @property
    def kept(self) -> str:
        """What will be done for further trips, in words."""
        if not self._again:
            return "read once, nothing kept"
        if self.source.nbytes(self._again) * _DECODED_A_BYTE <= self._memory:
            return "kept in memory for further trips"
        return f"kept for further trips: {self._memory / 1e6:,.1f} MB in memory, the rest in temporary files"

    @property
    def kept_bytes(self) -> int:
        """Bytes of columns kept in memory."""
        return self._cache.kept_bytes

    @property
    def spilled_bytes(self) -> int:
        """Bytes of columns written to temporary files."""
        return self._cache.spilled_bytes

    @property
    def read_again(self) -> str | None:
        """Why partitions had to be read from the source more than once, and how many; None: none had."""
        if not self._again or self._cache.failure is None:
            return None
        again = sum(times > 1 for times in self._loads.values())
        return f"{counted(again, 'partition')} of {self.n_partitions:,} read again: {self._cache.failure}"

    def decoded_bytes(self, columns: Sequence[str] | None = None) -> int:
        """Bytes that some columns of all rows take decoded; None: those that the first trip reads."""
        return decoded_bytes(self.source, self._columns if columns is None else columns)

    @property
    def how_read(self) -> HowRead:
        """How another process reads them."""
        told = tuple(self._columns), tuple(self._again), bool(self._again) and not self._ending, self._begins
        return HowRead(*told, self._schema, self._identity, self._device is not None)

    def number_texts(self, names: Sequence[str]) -> None:
        """The distinct strings of these columns get numbers as they are read, the same in all partitions."""
        if names and self._device is None:
            size = memory_bytes(self.memory) // _TEXTS_SHARE
            self._cache.leave(size)
            room = Room(size)
            self._texts = {name: RunTexts(room) for name in names}

    def last_trip(self) -> None:
        """The trip that begins is the last: what it reads is not kept, nor what was kept once it was taken."""
        self._ending = True

    def makes_matrix(self, width: int | None) -> None:
        """All that the last trip makes is a matrix of so many columns, in whose memory columns may wait until then."""
        self._cache.wait_beneath(self.heights if self._again and self._device is None else None, width)

    def matrix(self, width: int) -> Values | None:
        """The memory for that matrix, if there is some; the trip that begins makes it, and is the last."""
        self._ending |= self._cache.beneath is not None
        return self._cache.matrix(width)

    def leave_device(self) -> None:
        """The device's memory is needed: what is kept there for further trips is kept as other columns are."""
        self._cache.leave_device()
        self.free_copies()

    def free_copies(self) -> None:
        """The copies on the device of columns that are kept elsewhere go, and are made again where they are needed."""
        if self._copies is not None:
            self._copies.free()

    def close(self) -> None:
        """Free what was kept; what is asked for from now on is read."""
        self._cache.close()
        self.free_copies()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """Close it if what stands inside fails; else it stays open."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    # -- reading ------------------------------------------------------------------------------------------
    def frame(self, index: int, columns: Sequence[str] | None = None) -> Frame:
        """The frame of one partition; from any thread.

        Args:
            columns: those wanted; None: all at the first time, then (where any are kept) those needed again.
        """
        with self._reading[index]:  # whoever comes second finds what the first one kept
            later = (index in self._heights or index < self._begins) and bool(self._again)
            self.asked = wanted = list(columns) if columns is not None else self._again if later else self._columns
            kept = self._cache.frame(index, wanted, self._ending) if later else None
            frame = read_only(kept) if kept is not None else self._read(index, wanted)
            return frame if self._copies is None else self._copies.known(index, frame, self._again)

    def _read(self, index: int, wanted: Sequence[str]) -> Frame:
        """The wanted columns from the source, with all others that are read or kept at the first time."""
        first = index not in self._heights and index >= self._begins
        names = list(dict.fromkeys([*wanted, *(self._columns if first or self._identity else self._again)]))
        started = time.perf_counter()
        partition, schema = self.source.partitions[index], self.source.schema.select(names)
        stay = not self._ending and set(names) <= set(self._again)
        read = self._cache.placing(index if stay else None, self.source.load_with_report, index, names, self._device)
        where = self.quarantine if index not in self._heights or index in (self.quarantine or ()) else None
        frame, report = load(partial(reading, self._texts, read), index, partition, schema, where, self.note_io_retry)
        frame = as_asked(partition, frame, self._schema, self._identity)
        frame = read_only(frame) if self._again else frame
        with self._lock:
            self._note(index, frame, report, time.perf_counter() - started)
        if self._again and not self._ending:
            self._cache.put(index, frame.select(self._again), isinstance(partition, TablePartition))
        return frame.select(wanted)
