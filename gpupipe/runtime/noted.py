"""What was read of a source: counted, and told of each partition once, whoever read it."""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager

from gpupipe.columns import Frame, Values
from gpupipe.runtime.elsewhere import HEAD, Note, first_rows
from gpupipe.runtime.quarantine import Quarantine
from gpupipe.sources.partition import LoadReport
from gpupipe.sources.place import all_placed
from gpupipe.sources.source import Source


class Noted:
    """What is known of the rows of a source by what was read of them; from any thread.

    Attributes:
        source: of which they are.
        quarantine: where partitions go that cannot be read; None: their error is raised.
        report: rows and bytes read so far, and rows that each filter dropped (of the first read).
        head: the first rows of the first partition that has any, of those read so far.
        refinements: how many further trips have settled quantiles.
        retries: how many times something was tried again for want of memory; `io_retries`: after a failure to read.
        bytes_read: as they are stored; `seconds_reading`: summed over threads.
        done_here: stages that no worker of a cluster could do.
    """

    quarantine: Quarantine | None = None

    def __init__(self, source: Source) -> None:
        self.source = source
        self._loads: dict[int, int] = {}
        self._heights: dict[int, int] = {}
        self._notes: dict[int, Note] = {}
        self._first = self.n_partitions
        self.head: Frame | None = None
        self._lock = threading.Lock()
        self.report = LoadReport()
        self.refinements = self.retries = self.io_retries = 0
        self.done_here, self.bytes_read, self.seconds_reading = list[str](), 0, 0.0

    @property
    def n_partitions(self) -> int:
        return len(self.source.partitions)

    @property
    def source_reads(self) -> int:
        """How many times the source has been read: the partition read most often counts."""
        return max(self._loads.values(), default=0)

    @property
    def heights(self) -> list[int] | None:
        """How many rows each partition's frame has; None until all were read, where steps drop rows."""
        if not self.source.drops_rows and self.quarantine is None:
            return [partition.n_rows for partition in self.source.partitions]
        known = [self._heights[index] for index in range(self.n_partitions) if index in self._heights]
        return known if len(known) == self.n_partitions else None

    def rows_from(self, first: int) -> int:
        """How many rows the frames from the `first` on had, once they were read."""
        return sum(height for index, height in self._heights.items() if index >= first)

    def placed(self, index: int, frame: Frame) -> AbstractContextManager[None]:
        """Errors of data inside say where in the source the row of a partition's frame stands."""
        return self.source.partitions[index].placed(frame)

    def all_placed(self, positions: Sequence[Values]) -> AbstractContextManager[None]:
        """The same of a row of all partitions' frames, one below the other, with the positions of each one's rows."""
        return all_placed(self.source.partitions, positions)

    def noted(self, index: int) -> Note | None:
        """What reading a partition for the first time told, once: whoever keeps results keeps it with the first."""
        return self._notes.pop(index, None)

    def note(self, index: int, note: Note | None, seconds: float | None = None) -> None:
        """What reading a partition told some other process, which made something of it that is not made here again.

        Args:
            seconds: that it took, of this run; None: it was of another, and nothing is counted.
        """
        with self._lock:
            if note is not None and seconds is not None:
                self.seconds_reading += seconds
                self.bytes_read += note.report.bytes_read
                self._loads[index] = self._loads.get(index, 0) + 1
            if note is not None and index not in self._heights:
                self._take_note(index, note)

    def note_retry(self) -> None:
        """Something of these rows is tried again; from any thread."""
        with self._lock:
            self.retries += 1

    def note_io_retry(self) -> None:
        """A read is tried again after a failure that may pass; from any thread."""
        with self._lock:
            self.io_retries += 1

    def _note(self, index: int, frame: Frame, report: LoadReport, seconds: float) -> None:
        self.seconds_reading += seconds
        self.bytes_read += report.bytes_read
        if index not in self._heights:
            why = None if self.quarantine is None else self.quarantine.why(index)
            self._take_note(index, Note(report, frame.n_rows, frame, why))
        self._loads[index] = self._loads.get(index, 0) + 1

    def _take_note(self, index: int, note: Note) -> None:
        self.report = self.report + note.report
        self._heights[index], head = note.height, None
        if note.left_out is not None and self.quarantine is not None:
            self.quarantine.add(index, self.source.partitions[index], note.left_out)
        if note.height and index <= self._first and note.head is not None:
            self._first, self.head = index, (head := first_rows(note.head, min(HEAD, note.height)))
        self._notes[index] = note._replace(head=head)
