"""Writing results: a Parquet file that stands under its name only when it is whole."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.errors import EmptyDataError, ParameterError, SchemaMismatchError
from gpupipe.storage import (
    ONE_FILE,
    Output,
    disk,
    failing,
    place,
    publish_absent,
    sweep,
    sync_folder,
    temporary,
    write_all,
)


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """What was written: its rows, its bytes, and their SHA-256."""

    rows: int
    nbytes: int
    sha256: str


def write_parquet(
    tables: Iterable[pa.Table],
    path: str | os.PathLike[str],
    schema: pa.Schema | None = None,
    *,
    encodings: Mapping[str, str] | None = None,
) -> int:
    """Write tables, one below the other, to one Parquet file, mode 0600. Gives the rows written.

    The file is written beside its place, forced to the disk and renamed, so that a reader sees the old file or
    the new one, whole. An existing file is replaced. What writers that died left in the folder is removed.

    Args:
        tables: one or more row groups each; all of one schema. The first is asked for when the place is known to
            be one to write to.
        path: where; its folder must exist.
        schema: of the file; needed where `tables` may be empty.
        encodings: by column, one of Parquet's: ``PLAIN``, ``DELTA_BINARY_PACKED``, …; the others are dictionaries.

    Raises:
        SchemaMismatchError: a table's schema differs from the first one's.
        DataError: no table and no schema.
        ParameterError: `path` has NUL in it.
        StorageError: no folder, a folder or something else that is no file at `path`, a disk that is full, failing, or
            may not be written to. What stood there stands, and nothing else is left. The one exception says so: the
            new file stands, but perhaps not after a power failure.
    """
    target = place(path)
    if "\0" in str(target):
        raise ParameterError(f"A table cannot be written to {str(target)!r}. Give a path without NUL.")
    failure = f"The table was not written to {target}"
    with contextlib.ExitStack() as stack:
        with failing(failure, target):
            _check_place(target)
            sweep(target.parent, ONE_FILE)
            part, descriptor = stack.enter_context(temporary(target, ONE_FILE))
        output = Output(descriptor, lambda: failing(failure, target))
        rows = _write(tables, output, schema, target, encodings or {})
        with failing(failure, target):
            disk.fsync(descriptor)
            disk.rename(part, target)
        with failing(f"The table is written, whole, to {target}, but may be lost if the power fails", target):
            sync_folder(target.parent)
    return rows


def write_part(
    table: pa.Table, target: Path, notes: Callable[[WrittenFile], Mapping[str, str]], encodings: Mapping[str, str]
) -> WrittenFile | None:
    """Write one file of a folder of Parquet files, mode 0600; None: a file stands there, which is left alone.

    It has its name when it is whole, and is forced to the disk by whoever writes the folder, all files at once: one by
    one that takes as long as making them. So after a power failure a file may not be what its notes say.

    Args:
        notes: what was written before them -> text by name, kept in the file's metadata.
        encodings: as for :func:`write_parquet`.

    Raises:
        StorageError: it cannot be written; nothing is left.
    """
    failure = f"The table was not written to {target}"
    with contextlib.ExitStack() as stack:
        with failing(failure, target):
            part, descriptor = stack.enter_context(temporary(target, ONE_FILE))
        output = _Hashing(descriptor, lambda: failing(failure, target))
        rows = _write([table], output, None, target, encodings, lambda: notes(output.written(table.num_rows)))
        with failing(failure, target):
            published = publish_absent(part, target)
    return output.written(rows) if published else None


def force(target: Path) -> None:
    """Force a file to the disk.

    Raises:
        OSError: it cannot be.
    """
    descriptor = disk.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        disk.fsync(descriptor)
    finally:
        disk.close(descriptor)


def write_bytes(data: bytes, target: Path, what: str) -> None:
    """Make `data` stand at `target` as a file, mode 0600, in one step; what stood there is replaced.

    Raises:
        StorageError: it cannot be written; the message begins with `what`.
    """
    with failing(f"{what} was not written to {target}", target), temporary(target, ONE_FILE) as (part, descriptor):
        write_all(descriptor, data)
        disk.fsync(descriptor)
        disk.rename(part, target)


class _Hashing(Output):
    """An output that knows how many bytes it was given, and their hash."""

    def __init__(self, descriptor: int, guard: Callable[[], Any]) -> None:
        super().__init__(descriptor, guard)
        self._sha256, self._nbytes = hashlib.sha256(), 0

    def write(self, data: Any) -> int:
        """Take bytes to be written; gives how many."""
        size = super().write(data)
        self._sha256.update(data)
        self._nbytes += size
        return size

    def written(self, rows: int) -> WrittenFile:
        """What was written so far."""
        return WrittenFile(rows, self._nbytes, self._sha256.hexdigest())


def _check_place(target: Path) -> None:
    disk.stat(target.parent)
    try:
        mode = disk.stat(target).st_mode
    except FileNotFoundError:  # also a link that leads nowhere: it is replaced, as any link is
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(target))
    if not stat.S_ISREG(mode):
        raise FileExistsError(errno.EEXIST, "What stands there is no file of data", os.fspath(target))


def _write(
    tables: Iterable[pa.Table],
    file: Output,
    schema: pa.Schema | None,
    target: Path,
    encodings: Mapping[str, str],
    notes: Callable[[], Mapping[str, str]] | None = None,
) -> int:
    pending = iter(tables)
    first = next(pending, None)
    shape = schema if schema is not None else None if first is None else first.schema
    if shape is None:
        raise EmptyDataError(f"There is no table to write to {target}, and no schema= for an empty file.")
    rows = 0
    dictionaries = [name for name in shape.names if name not in encodings] or False
    writer = pq.ParquetWriter(file, shape, use_dictionary=dictionaries, column_encoding=dict(encodings) or None)
    try:
        for table in chain([] if first is None else [first], pending):
            _check_alike(table.schema, shape, target)
            writer.write_table(table)
            rows += table.num_rows
        if notes is not None:
            writer.add_key_value_metadata(notes())
    except BaseException:
        file.abandon()  # the writer ends a file that nobody wants
        raise
    finally:
        writer.close()
        _stop(pending)
    file.flush()
    return rows


def _stop(tables: Iterator[pa.Table]) -> None:
    """Let whoever makes tables make no more of them."""
    if isinstance(tables, Generator):
        tables.close()


def _check_alike(found: pa.Schema, wanted: pa.Schema, target: Path) -> None:
    if found != wanted:
        told, meant = (", ".join(f"{field.name}: {field.type}" for field in schema) for schema in (found, wanted))
        raise SchemaMismatchError(f"{target}: a table of {told} follows one of {meant}. Write them apart.")
