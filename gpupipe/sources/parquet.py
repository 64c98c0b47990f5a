"""Parquet: partitions are runs of row groups, planned from footers; only needed column chunks are read."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.columns import Values
from gpupipe.errors import CastError, DuplicateNameError, FileFormatError
from gpupipe.schema import Field, Schema
from gpupipe.sources.border import refused_columns, schema_of
from gpupipe.sources.decoding import decoded_here
from gpupipe.sources.listed import ListedFile, listed, opening
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of, piece_bytes
from gpupipe.sources.place import Place
from gpupipe.sources.statistics import rules_out
from gpupipe.sources.together import Described, together

# A column chunk whose decoded size is beyond this was (partly) written plain, so most of its values are
# distinct and reading it as a dictionary would hash them all for nothing: a dictionary page holds 1 MiB.
_DICTIONARY_BYTES = 5 * 2**18
_DICTIONARY_BYTES_A_ROW = 3
_MAGIC = b"PAR1"


@dataclass(frozen=True, eq=False)
class RowGroup:
    """One row group: its number in the file, its rows, and the bytes of each leaf column, decoded and as stored."""

    number: int
    n_rows: int
    n_bytes: int
    column_bytes: tuple[int, ...] = field(repr=False)
    column_stored: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class ParquetPartition(Partition):
    """Consecutive row groups of one file, the first of which begins at its row `offset`."""

    file: ListedFile
    offset: int
    row_groups: tuple[RowGroup, ...]
    leaves: tuple[str, ...] = field(repr=False)
    types: Schema = field(repr=False)

    def column_bytes(self, columns: Sequence[str]) -> int:
        places = _places(self.leaves, columns)
        return sum(group.column_bytes[place] for group in self.row_groups for place in places)

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        with self.file.unchanged():
            metadata = self.metadata()
            groups, row_ids = self.kept(metadata, where)
            numbers = [group.number for group in groups]
            try:
                found = decoded_here(self.file.path, metadata, numbers, self.leaves, columns)
            except CastError:
                found = {}  # by Arrow, of several wrong columns the first is told, whoever decodes which
            rest = [name for name in columns if name not in found]
            table = self._decode(metadata, numbers, rest) if rest else None
        frame = frame_of(table, columns, row_ids, self.types, found)
        return Reading(frame, self.stored_of(groups, columns))

    def kept(self, metadata: pq.FileMetaData, where: Sequence[Comparison]) -> tuple[list[RowGroup], Values]:
        """The row groups that statistics do not rule out, and the identities of their rows."""
        kept = [not rules_out(metadata.row_group(group.number), self.leaves, where) for group in self.row_groups]
        groups = [group for group, keep in zip(self.row_groups, kept, strict=True) if keep]
        return groups, self._row_ids_of(kept)

    def metadata(self) -> pq.FileMetaData:
        """The file's footer, which is still the one that was scanned."""
        metadata = footer(self.file.path)
        self._check_unchanged(metadata)
        return metadata

    def stored_bytes(self, columns: Sequence[str]) -> int:
        return self.stored_of(self.row_groups, columns)

    def stored_of(self, groups: Iterable[RowGroup], columns: Sequence[str]) -> int:
        """Bytes of the named columns of some row groups in the file, compressed as they are."""
        places = _places(self.leaves, columns)
        return sum(group.column_stored[at] for group in groups for at in places)

    def origin(self) -> tuple[ListedFile, int]:
        return self.file, self.offset

    def place(self, position: int | None) -> Place:
        if position is None:
            return Place(self.file.path)
        row, end = position - self.first_row + self.offset, self.offset
        for group in self.row_groups:
            end += group.n_rows
            if row < end:
                return Place(self.file.path, group.number, row)
        return Place(self.file.path, None, row)

    def _row_ids_of(self, kept: list[bool]) -> Values:
        ids = self.row_ids()
        return ids if all(kept) else ids[np.repeat(kept, [group.n_rows for group in self.row_groups])]

    def _check_unchanged(self, metadata: pq.FileMetaData) -> None:
        found = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
        same = all(g.number < len(found) and found[g.number] == g.n_rows for g in self.row_groups)
        if not same or _leaves(metadata) != self.leaves:
            raise FileFormatError(
                "it has other row groups or columns than when it was scanned. Scan it again."
            ).of(self.file.path)

    def _decode(self, metadata: pq.FileMetaData, groups: list[int], columns: Sequence[str]) -> pa.Table:
        path = self.file.path
        dictionaries = [name for name in columns if _is_dictionary(metadata, self.leaves, groups, name)]
        try:
            with pq.ParquetFile(path, metadata=metadata, read_dictionary=dictionaries, pre_buffer=False) as file:
                # Not memory-mapped: a file cut short by another process would end this one (SIGBUS).
                return file.read_row_groups(groups, columns=list(columns))
        except (pa.ArrowException, OSError, KeyError, IndexError) as error:
            raise broken(path, "cannot be decoded", error) from error


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


def _leaves(metadata: pq.FileMetaData) -> tuple[str, ...]:
    return tuple(metadata.schema.column(at).path for at in range(metadata.num_columns))


def _places(leaves: tuple[str, ...], columns: Sequence[str]) -> list[int]:
    wanted = set(columns)
    return [at for at, leaf in enumerate(leaves) if leaf in wanted]


def _is_dictionary(metadata: pq.FileMetaData, leaves: tuple[str, ...], groups: list[int], name: str) -> bool:
    """Whether text was written as a dictionary with far fewer entries than rows, judged by sizes."""
    at = leaves.index(name)
    described = metadata.schema.column(at)
    if described.physical_type != "BYTE_ARRAY" or described.logical_type.type != "STRING":
        return False
    chunks = [metadata.row_group(group).column(at) for group in groups]
    return all(
        chunk.has_dictionary_page
        and chunk.total_uncompressed_size <= _DICTIONARY_BYTES + _DICTIONARY_BYTES_A_ROW * chunk.num_values
        for chunk in chunks
    )


# -- planning ---------------------------------------------------------------------------------------------
def list_parquet(paths: Sequence[str], partitions: int | None, partition_bytes: int | None) -> Listing:
    """Partitions of some Parquet files, from their footers.

    Args:
        paths: files, in row order.
        partitions: about how many partitions; None goes by size.
        partition_bytes: row groups are put together up to this many decoded bytes; one is never cut.

    Raises:
        FileFormatError: a file that is not Parquet.
        SchemaMismatchError: a file whose columns differ from the first one's, naming file, column and types.
    """
    files = [_open(path) for path in paths]
    schema = together([file.described for file in files])
    total = sum(group.n_bytes for file in files for group in file.row_groups)
    limit = piece_bytes(total, partitions, partition_bytes)
    return Listing(
        schema,
        tuple(_partitions(files, schema, limit)) or (_empty(files[0], schema),),
        files[0].described.refused,
        paths[0] if len(paths) == 1 else f"{len(paths)} Parquet files, {paths[0]} first",
    )


@dataclass(frozen=True, eq=False)
class _File:
    """A file's metadata, read once."""

    listed: ListedFile
    leaves: tuple[str, ...]
    row_groups: tuple[RowGroup, ...]
    described: Described


def _open(path: str) -> _File:
    file = listed(path)
    metadata = footer(path)
    try:
        arrow = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise broken(path, "has a schema that cannot be read", error) from error
    schema = schema_in(path, arrow)
    groups = tuple(_row_groups(path, metadata))
    described = Described(path, _with_nulls_ruled_out(schema, metadata), refused_columns(arrow))
    return _File(file, _leaves(metadata), groups, described)


def _empty(file: _File, schema: Schema) -> ParquetPartition:
    return ParquetPartition(0, 0, 0, file.listed, 0, (), file.leaves, schema)


def _row_groups(path: str, metadata: pq.FileMetaData) -> Iterator[RowGroup]:
    types = [metadata.schema.column(at).physical_type for at in range(metadata.num_columns)]
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = [group.column(at) for at in range(metadata.num_columns)]
        if any(chunk.physical_type != kind for chunk, kind in zip(chunks, types, strict=True)):
            # Arrow would end the process over the statistics of such a chunk.
            raise broken(path, "has a footer that contradicts itself", None)
        sizes = tuple(chunk.total_uncompressed_size for chunk in chunks)
        stored = tuple(chunk.total_compressed_size for chunk in chunks)
        yield RowGroup(number, group.num_rows, sum(sizes), sizes, stored)


def _partitions(files: Sequence[_File], schema: Schema, limit: int) -> Iterator[ParquetPartition]:
    first_row = 0
    for file in files:
        offset = 0
        for groups in _grouped(file.row_groups, limit):
            n_rows = sum(group.n_rows for group in groups)
            n_bytes = sum(group.n_bytes for group in groups)
            yield ParquetPartition(first_row, n_rows, n_bytes, file.listed, offset, groups, file.leaves, schema)
            first_row, offset = first_row + n_rows, offset + n_rows


def _grouped(groups: Iterable[RowGroup], limit: int) -> Iterator[tuple[RowGroup, ...]]:
    """Consecutive row groups put together as long as they stay within `limit` bytes."""
    together: list[RowGroup] = []
    size = 0
    for group in groups:
        if together and size + group.n_bytes > limit:
            yield tuple(together)
            together, size = [], 0
        together.append(group)
        size += group.n_bytes
    if together:
        yield tuple(together)


def _with_nulls_ruled_out(schema: Schema, metadata: pq.FileMetaData) -> Schema:
    """Not nullable where every column chunk's statistics count no null."""
    places = {leaf: at for at, leaf in enumerate(_leaves(metadata))}
    return Schema(
        (name, Field(column.dtype, column.nullable and _may_hold_null(metadata, places.get(name))))
        for name, column in schema.items()
    )


def _may_hold_null(metadata: pq.FileMetaData, at: int | None) -> bool:
    if at is None:
        return True
    chunks = (metadata.row_group(group).column(at) for group in range(metadata.num_row_groups))
    return any(
        chunk.statistics is None or not chunk.statistics.has_null_count or chunk.statistics.null_count > 0
        for chunk in chunks
        if chunk.num_values  # a file without rows has no statistics
    )
