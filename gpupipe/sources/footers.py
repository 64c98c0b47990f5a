"""Footers of Parquet files: what they say of row groups, columns and nulls."""

import contextlib
import gc
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.errors import DuplicateNameError, FileFormatError
from gpupipe.schema import Field, Schema
from gpupipe.sources.border import refused_columns, schema_of
from gpupipe.sources.listed import ListedFile, listed, opening
from gpupipe.sources.together import Described

_MAGIC = b"PAR1"
_MANY, _AT_A_TIME, _BLOCK = 16, 8, 128  # footers of so many files are fetched by so many threads, a block at a time
_END = 2**16  # bytes that most footers fit into


@dataclass(frozen=True, eq=False)
class RowGroup:
    """One row group: its number in the file, its rows, and the bytes of each leaf column, decoded and as stored."""

    number: int
    n_rows: int
    n_bytes: int
    column_bytes: tuple[int, ...] = field(repr=False)
    column_stored: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class ParquetFile:
    """A file's metadata, read once."""

    listed: ListedFile
    leaves: tuple[str, ...]
    row_groups: tuple[RowGroup, ...]
    described: Described


def opened(paths: Sequence[str]) -> list[ParquetFile]:
    """What the footers say; of many files several are waited for at a time. The first file that fails is told."""
    known = _Known()
    if len(paths) < _MANY:
        return [_open(path, known) for path in paths]
    found: list[ParquetFile] = []
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="gpupipe") as pool:
        for first in range(0, len(paths), _BLOCK):
            block = paths[first : first + _BLOCK]
            for _ in pool.map(_fetched, block):
                pass
            found += [_open(path, known) for path in block]
            gc.collect(1)  # Arrow's metadata are cycles of 60 KB a file, and nothing else here would end them
    return found


def _fetched(path: str) -> None:
    """Let the system have the end of a file at hand."""
    with contextlib.suppress(OSError):  # told by whoever opens it
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.pread(descriptor, _END, max(os.fstat(descriptor).st_size - _END, 0))
        finally:
            os.close(descriptor)


class _Known:
    """What files have in common, worked out once and held once, as long as one file after the other has it."""

    def __init__(self) -> None:
        self._schema: tuple[pa.Schema, tuple[Schema, Mapping[str, str]]] | None = None
        self._narrowed: tuple[Schema, tuple[bool, ...], Schema] | None = None
        self._leaves: tuple[str, ...] = ()

    def schema(self, path: str, arrow: pa.Schema) -> tuple[Schema, Mapping[str, str]]:
        """Our schema, and the columns that are refused."""
        last = self._schema
        if last is None or not last[0].equals(arrow, check_metadata=True):
            self._schema = last = (arrow, (schema_in(path, arrow), refused_columns(arrow)))
        return last[1]

    def leaves(self, found: tuple[str, ...]) -> tuple[str, ...]:
        """The same names, always the same object where they are equal to the last ones."""
        last = self._leaves
        if last != found:
            self._leaves = last = found
        return last

    def with_nulls_ruled_out(self, schema: Schema, may_be_null: Mapping[str, bool]) -> Schema:
        """Not nullable where every column chunk's statistics count no null."""
        nulls = tuple(field.nullable and may_be_null.get(name, True) for name, field in schema.items())
        last = self._narrowed
        if last is None or last[0] is not schema or last[1] != nulls:
            pairs = zip(schema.items(), nulls, strict=True)
            narrowed = Schema((name, Field(field.dtype, nullable)) for (name, field), nullable in pairs)
            self._narrowed = last = (schema, nulls, narrowed)
        return last[2]


def _open(path: str, known: _Known) -> ParquetFile:
    file = listed(path)
    metadata = footer(path)
    try:
        arrow = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise broken(path, "has a schema that cannot be read", error) from error
    schema, refused = known.schema(path, arrow)
    leaves = known.leaves(leaves_of(metadata))
    groups, may_be_null = _row_groups(path, metadata)
    narrowed = known.with_nulls_ruled_out(schema, dict(zip(leaves, may_be_null, strict=True)))
    return ParquetFile(file, leaves, tuple(groups), Described(path, narrowed, refused))


def footer(path: str) -> pq.FileMetaData:
    """The metadata at the end of a Parquet file.

    Raises:
        FileFormatError: the file is empty, truncated or not Parquet; the message names it.
        SourceNotFoundError, SourceAccessError: it is gone, or may not be read.
    """
    with opening(path), open(path, "rb") as file:
        start, size = file.read(4), os.fstat(file.fileno()).st_size
    if not size:
        raise FileFormatError("it is empty: it has no byte. Write it again, or leave it out.").of(path)
    if start != _MAGIC:
        hint = "" if len(start) < 4 else f" It begins with {start!r}, and Parquet with {_MAGIC!r}."
        raise FileFormatError(f"it is not Parquet.{hint} Rename it after what it is, or leave it out.").of(path)
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        what = "begins as Parquet and has no footer at its end"
        raise broken(path, what, None if "magic bytes" in str(error) else error) from error


def schema_in(path: str, arrow: pa.Schema) -> Schema:
    """Our schema of a file.

    Raises:
        DuplicateNameError: two columns have one name.
    """
    try:
        return schema_of(arrow)
    except DuplicateNameError as error:
        raise DuplicateNameError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise broken(path, "has a schema that cannot be read", error) from error


def broken(path: str, what: str, error: Exception | None) -> FileFormatError:
    """A file that Arrow cannot read: what is wrong, in Arrow's words where they say more, and what to try."""
    first = str(error).partition("\n")[0].rstrip(".: ")
    reason = "" if error is None else f" ({first})"
    return FileFormatError(
        f"it {what}: it was cut short or damaged{reason}. Copy or write it again, or leave it out."
    ).of(path)


def leaves_of(metadata: pq.FileMetaData) -> tuple[str, ...]:
    return tuple(metadata.schema.column(at).path for at in range(metadata.num_columns))


def _row_groups(path: str, metadata: pq.FileMetaData) -> tuple[list[RowGroup], list[bool]]:
    """The row groups, and of each leaf column whether it may hold a null as far as statistics tell."""
    count = metadata.num_columns
    types = [metadata.schema.column(at).physical_type for at in range(count)]
    groups, may_be_null = [], [False] * count
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = [group.column(at) for at in range(count)]
        if any(chunk.physical_type != kind for chunk, kind in zip(chunks, types, strict=True)):
            # Arrow would end the process over the statistics of such a chunk.
            raise broken(path, "has a footer that contradicts itself", None)
        may_be_null = [known or _may_hold_null(chunk) for known, chunk in zip(may_be_null, chunks, strict=True)]
        sizes = tuple(chunk.total_uncompressed_size for chunk in chunks)
        stored = tuple(chunk.total_compressed_size for chunk in chunks)
        groups.append(RowGroup(number, group.num_rows, sum(sizes), sizes, stored))
    return groups, may_be_null


def _may_hold_null(chunk: pq.ColumnChunkMetaData) -> bool:
    if not chunk.num_values:  # a file without rows has no statistics
        return False
    statistics = chunk.statistics
    return statistics is None or not statistics.has_null_count or statistics.null_count > 0
