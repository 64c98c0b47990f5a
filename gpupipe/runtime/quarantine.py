"""Partitions that cannot be read: told as an error, or left out, counted and named."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gpupipe.arrow_arrays import texts_of
from gpupipe.columns import Column, Frame
from gpupipe.errors import DataError, FileFormatError, ParameterError, PoisonPartitionError, SourceNotFoundError
from gpupipe.runtime.patience import patiently
from gpupipe.schema import Schema, String
from gpupipe.sources.files import find_files
from gpupipe.sources.listing import is_paths
from gpupipe.sources.partition import LoadReport, Partition
from gpupipe.sources.source import Source

POLICIES = ("raise", "quarantine")


class LeftOut(NamedTuple):
    """A partition that was left out: its file and row group where it has one, its rows, and why; or a whole file that
    does not even tell its columns and rows, which are None then."""

    file: str | None
    row_group: int | None
    rows: int | None
    why: str


class Quarantine:
    """The partitions of some rows that were left out. They count as partitions without rows.

    Attributes:
        files: those left out as a whole, before there were partitions.
    """

    def __init__(self) -> None:
        self.files: list[LeftOut] = []
        self._found: dict[int, LeftOut] = {}
        self._lock = threading.Lock()

    def add(self, index: int, partition: Partition, why: str) -> None:
        """Leave one out; from any thread."""
        place = partition.place(None)
        with self._lock:
            self._found.setdefault(index, LeftOut(place.file, place.row_group, partition.n_rows, why))

    def left_out(self, index: int) -> LeftOut | None:
        """What is told of a partition that was left out; None: it was not."""
        return self._found.get(index)

    def why(self, index: int) -> str | None:
        """Why a partition was left out; None: it was not."""
        found = self.left_out(index)
        return None if found is None else found.why

    def __contains__(self, index: object) -> bool:
        return index in self._found

    @property
    def found(self) -> tuple[LeftOut, ...]:
        """All that was left out: files, then partitions, each in their order."""
        with self._lock:
            return (*self.files, *(self._found[index] for index in sorted(self._found)))


def quarantine_for(policy: str) -> Quarantine | None:
    """What ``on_bad_partition=`` stands for; None: errors are raised.

    Raises:
        ParameterError: it is neither.
    """
    if policy not in POLICIES:
        raise ParameterError(
            f"on_bad_partition={policy!r} is no policy. 'raise' ends with the error of a partition that cannot be "
            "read, 'quarantine' leaves it out, and says so in report_.quarantined."
        )
    return Quarantine() if policy == "quarantine" else None


def scanned(scan: Callable[[Any], Source], data: Any, quarantine: Quarantine | None) -> Source:
    """The rows of `data`, as `scan` lists them; where it is files of which some cannot be listed, and there is a
    quarantine, those of the others.

    Raises:
        DataError: none can be listed, no one file is to blame, or there is no quarantine.
    """
    try:
        return scan(data)
    except DataError as error:
        if quarantine is None or not is_paths(data):
            raise
        paths = find_files(data)
        bad = {path: why for path in paths if (why := _unlisted(scan, path)) is not None}
        if not 0 < len(bad) < len(paths):
            raise error
    quarantine.files += (LeftOut(path, None, None, why) for path, why in bad.items())
    return scan([path for path in paths if path not in bad])


def _unlisted(scan: Callable[[Any], Source], path: str) -> str | None:
    try:
        scan(path)
    except DataError as error:
        return " ".join(str(error).split())
    return None


def is_bad(error: BaseException) -> bool:
    """Whether an error says that a partition cannot be read, whatever is wanted of it."""
    missing = isinstance(error, SourceNotFoundError | MemoryError)
    return isinstance(error, FileFormatError | PoisonPartitionError | OSError) and not missing


def no_rows_of(schema: Schema) -> Frame:
    """A frame of these columns, without rows."""
    types = {name: field.dtype for name, field in schema.items()}
    columns = {
        name: Column(dtype, texts_of([]) if dtype == String else np.zeros(0, dtype.storage))
        for name, dtype in types.items()
    }
    return Frame(columns, 0, np.zeros(0, np.uint64))


def load(
    read: Callable[[], tuple[Frame, LoadReport]],
    index: int,
    partition: Partition,
    schema: Schema,
    quarantine: Quarantine | None,
    tried_again: Callable[[], None],
) -> tuple[Frame, LoadReport]:
    """The frame of a partition, and what it cost.

    Args:
        read: reads it.
        schema: of the columns that are wanted.
        quarantine: where it is put if it cannot be read; None: nowhere.
        tried_again: told before a read is tried once more.

    Raises:
        DataError: it cannot be read, and there is no quarantine.
    """
    if quarantine is None:
        return patiently(read, tried_again)
    try:
        if index not in quarantine:
            return patiently(read, tried_again)
    except Exception as error:
        if not is_bad(error):
            raise
        quarantine.add(index, partition, " ".join(str(error).split()))
    return no_rows_of(schema), LoadReport(rows_listed=partition.n_rows)
