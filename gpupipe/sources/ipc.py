"""Arrow IPC (Feather version 2) files, memory-mapped: columns of uncompressed files are views of the file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pyarrow as pa
import pyarrow.ipc

from gpupipe.errors import FileFormatError
from gpupipe.schema import Field, Schema
from gpupipe.sources.border import refused_columns, schema_of
from gpupipe.sources.memory import has_nulls, slice_bounds
from gpupipe.sources.parquet import check_equal
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of, piece_bytes


@dataclass(frozen=True, eq=False)
class IpcFile:
    """What is known of one file: its path, its schema, where each record batch begins, and its size."""

    path: str
    schema: Schema
    refused: dict[str, str]
    starts: tuple[int, ...]
    column_bytes: dict[str, int]

    @property
    def n_rows(self) -> int:
        return self.starts[-1]


@dataclass(frozen=True, eq=False)
class IpcPartition(Partition):
    """Consecutive rows of one file, beginning at its row `offset`."""

    file: IpcFile = field(repr=False)
    offset: int

    def column_bytes(self, columns: Sequence[str]) -> int:
        whole = sum(self.file.column_bytes[name] for name in columns)
        return whole * self.n_rows // max(self.file.n_rows, 1)

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        arrow, batches = _read(self.file.path, columns, self._overlapping())
        table = pa.Table.from_batches(batches, arrow)
        first = next((s for s, e in self._stretches() if e > self.offset), 0)
        rows = table.slice(self.offset - first, self.n_rows)
        return Reading(frame_of(rows, columns, self.row_ids(), self.file.path), rows.select(columns).nbytes)

    def _stretches(self) -> list[tuple[int, int]]:
        return list(pairwise(self.file.starts))

    def _overlapping(self) -> list[int]:
        end = self.offset + self.n_rows
        return [at for at, (s, e) in enumerate(self._stretches()) if e > self.offset and s < end]


def _read(
    path: str, columns: Sequence[str] | None, batches: Sequence[int] | None
) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """The file's schema and some record batches of it, with (at least) the named columns."""
    try:
        mapped = pa.memory_map(path)
        names = pa.ipc.open_file(mapped).schema.names
        fields = None if columns is None else [names.index(name) for name in columns] or [0]
        reader = pa.ipc.open_file(mapped, options=pa.ipc.IpcReadOptions(included_fields=fields))
        numbers = range(reader.num_record_batches) if batches is None else batches
        return reader.schema, [reader.get_batch(number) for number in numbers]
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise FileFormatError(f"{path} cannot be read as Arrow IPC (Feather 2): {reason}") from error


def list_ipc(paths: Sequence[str], partitions: int | None, partition_bytes: int | None) -> Listing:
    """Partitions of some Arrow IPC files; record batches are cut where a partition needs it.

    A compressed file is decoded once here, since nothing but its record batches tells rows and nulls.

    Raises:
        FileFormatError: a file that is not Arrow IPC.
        SchemaMismatchError: a file whose columns differ from the first one's.
    """
    files = [_describe(path) for path in paths]
    for file in files[1:]:
        check_equal(paths[0], files[0].schema, file.path, file.schema)
    total = sum(sum(file.column_bytes.values()) for file in files)
    limit = piece_bytes(total, partitions, partition_bytes)
    return Listing(
        _common(files),
        tuple(_partitions(files, limit)),
        files[0].refused,
        paths[0] if len(paths) == 1 else f"{len(paths)} Arrow files, {paths[0]} first",
    )


def _describe(path: str) -> IpcFile:
    arrow, batches = _read(path, None, None)
    table = pa.Table.from_batches(batches, arrow)
    schema = schema_of(arrow)
    starts = [0]
    for batch in batches:
        starts.append(starts[-1] + batch.num_rows)
    seen = Schema((name, Field(field.dtype, has_nulls(table.column(name)))) for name, field in schema.items())
    sizes = {name: table.column(name).nbytes for name in schema}
    return IpcFile(path, seen, refused_columns(arrow), tuple(starts), sizes)


def _common(files: Sequence[IpcFile]) -> Schema:
    return Schema(
        (name, Field(field.dtype, any(file.schema[name].nullable for file in files)))
        for name, field in files[0].schema.items()
    )


def _partitions(files: Sequence[IpcFile], limit: int) -> list[IpcPartition]:
    made: list[IpcPartition] = []
    first_row = 0
    for file in files:
        size = sum(file.column_bytes.values())
        parts = max(1, min(-(-size // limit), file.n_rows))
        for start, end in slice_bounds(file.n_rows, parts):
            n_bytes = size * (end - start) // max(file.n_rows, 1)
            made.append(IpcPartition(first_row + start, end - start, n_bytes, file, start))
        first_row += file.n_rows
    return made
