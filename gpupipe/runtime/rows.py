"""The rows of a fit: read once, kept decoded while they fit a budget, counted on the way."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from gpupipe.backends.conform import as_planned
from gpupipe.columns import Frame, Values
from gpupipe.schema import Schema
from gpupipe.sources.partition import LoadReport
from gpupipe.sources.place import all_placed
from gpupipe.sources.source import Source

HEAD = 16  # rows kept for an artifact to be checked by
_SHARE_OF_MEMORY = 0.25
_WORTH_THREADS = 256 * 2**20
_DECODED_A_BYTE = 3  # what columns, validity and dictionaries take beside the file's own count


class Rows:
    """A source being read: frames by partition, from memory where they were kept.

    Args:
        schema: the schema of a fit, whose types columns are given in; None: in their own.
        identity: a frame to its rows' identities, uint64 of shape (rows,); None: the source's own.

    Attributes:
        source_reads: how many times the source has been read from its first partition to its last.
        report: rows and bytes read so far, and rows that each filter dropped (of the first read).
        head: the first rows of the first partition that has any, of those read so far.
        seconds_reading: summed over threads.
        n_workers: how many threads are worth starting for so many bytes.
    """

    def __init__(
        self,
        source: Source,
        columns: Sequence[str],
        *,
        keep: bool = True,
        schema: Schema | None = None,
        identity: Callable[[Frame], Values] | None = None,
    ) -> None:
        self.source = source
        self._identity = identity
        self._columns = list(columns)
        self._schema = schema
        size = source.nbytes(columns)
        self._keep = keep and size * _DECODED_A_BYTE < _SHARE_OF_MEMORY * _memory_bytes()
        #: One thread for what is done in a second: more would spend as much again on waiting for each other.
        self.n_workers = 1 if size < _WORTH_THREADS else os.cpu_count() or 1
        self._kept: dict[int, Frame] = {}
        self._loads: dict[int, int] = {}
        self._heights: dict[int, int] = {}
        self._first = self.n_partitions
        self.head: Frame | None = None
        self._lock = threading.Lock()
        self.report = LoadReport()
        self.bytes_read = 0
        self.seconds_reading = 0.0

    @property
    def n_partitions(self) -> int:
        return len(self.source.partitions)

    @property
    def kept(self) -> bool:
        """Whether decoded columns stay in memory after their first read."""
        return self._keep

    @property
    def source_reads(self) -> int:
        return max(self._loads.values(), default=0)

    @property
    def heights(self) -> list[int] | None:
        """How many rows each partition's frame has; None until all were read, where steps drop rows."""
        if not self.source.drops_rows:
            return [partition.n_rows for partition in self.source.partitions]
        known = [self._heights[index] for index in range(self.n_partitions) if index in self._heights]
        return known if len(known) == self.n_partitions else None

    def placed(self, index: int, frame: Frame) -> AbstractContextManager[None]:
        """Errors of data inside say where in the source the row of a partition's frame stands."""
        return self.source.partitions[index].placed(frame)

    def all_placed(self, positions: Sequence[Values]) -> AbstractContextManager[None]:
        """The same of a row of all partitions' frames, one below the other, with the positions of each one's rows."""
        return all_placed(self.source.partitions, positions)

    def frame(self, index: int) -> Frame:
        """The frame of one partition."""
        frame = self._kept.get(index)
        if frame is not None:
            return frame
        started = time.perf_counter()
        frame, report = self.source.load_with_report(index, self._columns)
        if self._schema is not None:
            with self.placed(index, frame):
                frame = as_planned(frame, self._schema)
        if self._identity is not None:
            with self.placed(index, frame):
                frame = Frame(frame.columns, frame.n_rows, self._identity(frame), frame.positions)
        with self._lock:
            self.seconds_reading += time.perf_counter() - started
            self.bytes_read += report.bytes_read
            if index not in self._loads:
                self.report = self.report + report
            self._loads[index] = self._loads.get(index, 0) + 1
            self._heights[index] = frame.n_rows
            if frame.n_rows and index <= self._first:
                self._first, self.head = index, frame.take(np.arange(min(HEAD, frame.n_rows)))
            if self._keep:
                self._kept[index] = frame
        return frame


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
