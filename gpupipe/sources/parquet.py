"""Parquet: partitions are runs of row groups, planned from footers; only needed column chunks are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.columns import Values
from gpupipe.errors import FileFormatError, SchemaMismatchError
from gpupipe.schema import Field, Schema
from gpupipe.sources.border import refused_columns, schema_of
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of, piece_bytes, same_types
from gpupipe.sources.statistics import rules_out

# A column chunk whose decoded size is beyond this was (partly) written plain, so most of its values are
# distinct and reading it as a dictionary would hash them all for nothing: a dictionary page holds 1 MiB.
_DICTIONARY_BYTES = 5 * 2**18
_DICTIONARY_BYTES_A_ROW = 3


@dataclass(frozen=True, eq=False)
class RowGroup:
    """One row group: its number in the file, its rows, and the decoded bytes of each leaf column."""

    number: int
    n_rows: int
    n_bytes: int
    column_bytes: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class ParquetPartition(Partition):
    """Consecutive row groups of one file."""

    path: str
    row_groups: tuple[RowGroup, ...]
    leaves: tuple[str, ...] = field(repr=False)

    def column_bytes(self, columns: Sequence[str]) -> int:
        places = _places(self.leaves, columns)
        return sum(group.column_bytes[place] for group in self.row_groups for place in places)

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        metadata = footer(self.path)
        self._check_unchanged(metadata)
        places = _places(self.leaves, columns)
        kept = [not rules_out(metadata.row_group(group.number), self.leaves, where) for group in self.row_groups]
        groups = [group for group, keep in zip(self.row_groups, kept, strict=True) if keep]
        table = self._decode(metadata, [group.number for group in groups], columns)
        frame = frame_of(table, columns, self._row_ids_of(kept), self.path)
        stored = (metadata.row_group(group.number).column(at) for group in groups for at in places)
        return Reading(frame, sum(chunk.total_compressed_size for chunk in stored))

    def _row_ids_of(self, kept: list[bool]) -> Values:
        ids = self.row_ids()
        return ids if all(kept) else ids[np.repeat(kept, [group.n_rows for group in self.row_groups])]

    def _check_unchanged(self, metadata: pq.FileMetaData) -> None:
        found = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
        if any(g.number >= len(found) or found[g.number] != g.n_rows for g in self.row_groups):
            raise FileFormatError(f"{self.path} has other row groups than when it was scanned. Scan it again.")

    def _decode(self, metadata: pq.FileMetaData, groups: list[int], columns: Sequence[str]) -> pa.Table:
        dictionaries = [name for name in columns if _is_dictionary(metadata, self.leaves, groups, name)]
        try:
            with pq.ParquetFile(self.path, metadata=metadata, read_dictionary=dictionaries, pre_buffer=False) as file:
                # Not memory-mapped: a file cut short by another process would end this one (SIGBUS).
                return file.read_row_groups(groups, columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise FileFormatError(f"{self.path} cannot be decoded: {_first_line(error)}") from error


def footer(path: str) -> pq.FileMetaData:
    """The metadata at the end of a Parquet file.

    Raises:
        FileFormatError: the file is empty, truncated or not Parquet; the message names it.
    """
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} cannot be read as Parquet: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


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
    footers = [(path, footer(path)) for path in paths]
    arrow = footers[0][1].schema.to_arrow_schema()
    schema = schema_of(arrow)
    for path, metadata in footers[1:]:
        check_equal(paths[0], schema, path, schema_of(metadata.schema.to_arrow_schema()))
    total = sum(group.n_bytes for _, metadata in footers for group in _row_groups(metadata))
    limit = piece_bytes(total, partitions, partition_bytes)
    return Listing(
        _with_nulls_ruled_out(schema, [metadata for _, metadata in footers]),
        tuple(_partitions(footers, limit)) or (ParquetPartition(0, 0, 0, paths[0], (), _leaves(footers[0][1])),),
        refused_columns(arrow),
        paths[0] if len(paths) == 1 else f"{len(paths)} Parquet files, {paths[0]} first",
    )


def check_equal(first_path: str, first: Schema, path: str, schema: Schema) -> None:
    difference = same_types(schema, {name: field.dtype for name, field in first.items()})
    extra = [name for name in schema if name not in first]
    if difference is None and extra:
        difference = f"column {extra[0]!r} ({schema[extra[0]].dtype}) is not in the first file"
    if difference:
        raise SchemaMismatchError(
            f"{path} does not match {first_path}: {difference}. Files scanned together need the same "
            "columns; cast or rename at the source, or scan them apart."
        )


def _row_groups(metadata: pq.FileMetaData) -> Iterator[RowGroup]:
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        sizes = tuple(group.column(at).total_uncompressed_size for at in range(metadata.num_columns))
        yield RowGroup(number, group.num_rows, sum(sizes), sizes)


def _partitions(footers: Sequence[tuple[str, pq.FileMetaData]], limit: int) -> Iterator[ParquetPartition]:
    first_row = 0
    for path, metadata in footers:
        leaves = _leaves(metadata)
        for groups in _grouped(_row_groups(metadata), limit):
            n_rows = sum(group.n_rows for group in groups)
            yield ParquetPartition(first_row, n_rows, sum(g.n_bytes for g in groups), path, groups, leaves)
            first_row += n_rows


def _grouped(groups: Iterator[RowGroup], limit: int) -> Iterator[tuple[RowGroup, ...]]:
    """Consecutive row groups put together as long as they stay within `limit` bytes."""
    together: list[RowGroup] = []
    for group in groups:
        if together and sum(g.n_bytes for g in together) + group.n_bytes > limit:
            yield tuple(together)
            together = []
        together.append(group)
    if together:
        yield tuple(together)


def _with_nulls_ruled_out(schema: Schema, footers: Sequence[pq.FileMetaData]) -> Schema:
    """Not nullable where every column chunk's statistics count no null."""
    places = {leaf: at for at, leaf in enumerate(_leaves(footers[0]))}
    return Schema(
        (name, Field(column.dtype, column.nullable and any(_may_hold_null(m, name, places) for m in footers)))
        for name, column in schema.items()
    )


def _may_hold_null(metadata: pq.FileMetaData, name: str, places: dict[str, int]) -> bool:
    at = places.get(name)
    if at is None or at >= metadata.num_columns or metadata.schema.column(at).path != name:
        at = next((i for i, leaf in enumerate(_leaves(metadata)) if leaf == name), None)
    if at is None:
        return True
    chunks = (metadata.row_group(group).column(at) for group in range(metadata.num_row_groups))
    return any(
        chunk.statistics is None or not chunk.statistics.has_null_count or chunk.statistics.null_count > 0
        for chunk in chunks
    )
