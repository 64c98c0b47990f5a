"""Parquet: partitions are runs of row groups, planned from footers; only needed column chunks are read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.columns import Values
from gpupipe.errors import CastError, FileFormatError
from gpupipe.schema import Schema
from gpupipe.sources.decoding import decoded_here
from gpupipe.sources.footers import ParquetFile, RowGroup, broken, footer, leaves_of, opened
from gpupipe.sources.listed import ListedFile
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of, piece_bytes
from gpupipe.sources.place import Place
from gpupipe.sources.statistics import rules_out
from gpupipe.sources.together import together

# A column chunk whose decoded size is beyond this was (partly) written plain, so most of its values are
# distinct and reading it as a dictionary would hash them all for nothing: a dictionary page holds 1 MiB.
_DICTIONARY_BYTES = 5 * 2**18
_DICTIONARY_BYTES_A_ROW = 3


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
        if not same or leaves_of(metadata) != self.leaves:
            raise FileFormatError("it has other row groups or columns than when it was scanned. Scan it again.").of(
                self.file.path
            )

    def _decode(self, metadata: pq.FileMetaData, groups: list[int], columns: Sequence[str]) -> pa.Table:
        path = self.file.path
        dictionaries = [name for name in columns if _is_dictionary(metadata, self.leaves, groups, name)]
        try:
            with pq.ParquetFile(path, metadata=metadata, read_dictionary=dictionaries, pre_buffer=False) as file:
                # Not memory-mapped: a file cut short by another process would end this one (SIGBUS).
                return file.read_row_groups(groups, columns=list(columns))
        except (pa.ArrowException, OSError, KeyError, IndexError) as error:
            raise broken(path, "cannot be decoded", error) from error


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
    files = opened(paths)
    schema = together([file.described for file in files])
    total = sum(group.n_bytes for file in files for group in file.row_groups)
    limit = piece_bytes(total, partitions, partition_bytes)
    return Listing(
        schema,
        tuple(_partitions(files, schema, limit)) or (_empty(files[0], schema),),
        files[0].described.refused,
        paths[0] if len(paths) == 1 else f"{len(paths)} Parquet files, {paths[0]} first",
    )


def _empty(file: ParquetFile, schema: Schema) -> ParquetPartition:
    return ParquetPartition(0, 0, 0, file.listed, 0, (), file.leaves, schema)


def _partitions(files: Sequence[ParquetFile], schema: Schema, limit: int) -> Iterator[ParquetPartition]:
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
