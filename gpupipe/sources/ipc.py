"""Arrow IPC (Feather version 2) files: planned from their record batches, of which only needed columns are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import pyarrow as pa
import pyarrow.ipc

from gpupipe.errors import FileFormatError
from gpupipe.schema import Field, Schema
from gpupipe.sources.border import refused_columns
from gpupipe.sources.footers import broken, schema_in
from gpupipe.sources.listed import ListedFile, listed, opening
from gpupipe.sources.memory import has_nulls
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of, piece_bytes, slice_bounds
from gpupipe.sources.place import Place
from gpupipe.sources.together import Described, together


@dataclass(frozen=True, eq=False)
class IpcFile:
    """What is known of one file: its columns, where each record batch begins, and how large its columns are."""

    listed: ListedFile
    described: Described
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
    types: Schema = field(repr=False)

    def column_bytes(self, columns: Sequence[str]) -> int:
        whole = sum(self.file.column_bytes[name] for name in columns)
        return whole * self.n_rows // max(self.file.n_rows, 1)

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        listed = self.file.listed
        with listed.unchanged():
            # Read, not mapped: a mapped file that another process cuts short would end this one (SIGBUS).
            arrow, batches = _read(listed.path, pa.OSFile, columns, self._overlapping())
        table = pa.Table.from_batches(batches, arrow)
        _refuse_damaged(listed.path, table, full=True)
        first = next((s for s, e in self._stretches() if e > self.offset), 0)
        rows = table.slice(self.offset - first, self.n_rows)
        frame = frame_of(rows, columns, self.row_ids(), self.types)
        return Reading(frame, rows.select(columns).nbytes)

    def origin(self) -> tuple[ListedFile, int]:
        return self.file.listed, self.offset

    def place(self, position: int | None) -> Place:
        if position is None:
            return Place(self.file.listed.path)
        row = position - self.first_row + self.offset
        batch = next((at for at, (start, end) in enumerate(self._stretches()) if start <= row < end), None)
        return Place(self.file.listed.path, batch, row)

    def _stretches(self) -> list[tuple[int, int]]:
        return list(pairwise(self.file.starts))

    def _overlapping(self) -> list[int]:
        end = self.offset + self.n_rows
        return [at for at, (s, e) in enumerate(self._stretches()) if e > self.offset and s < end]


def _read(
    path: str, open_: Callable[[str], pa.NativeFile], columns: Sequence[str] | None, batches: Sequence[int] | None
) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """The file's schema and some record batches of it (None: all), with (at least) the named columns."""
    try:
        with open_(path) as file:
            names = pa.ipc.open_file(file).schema.names
            fields = None if columns is None else [names.index(name) for name in columns] or [0]
            reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=fields))
            numbers = range(reader.num_record_batches) if batches is None else batches
            return reader.schema, [reader.get_batch(number) for number in numbers]
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise broken(path, "cannot be read as Arrow IPC (Feather 2)", error) from error


def _refuse_damaged(path: str, table: pa.Table, *, full: bool) -> None:
    """Offsets and dictionary indices that point elsewhere would be followed there. (Text is looked at later.)

    Args:
        full: every value, not the lengths of buffers alone.
    """
    for column in table.columns:
        try:
            column.validate(full=full)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise broken(path, "holds values that cannot be read", error) from error


def list_ipc(paths: Sequence[str], partitions: int | None, partition_bytes: int | None) -> Listing:
    """Partitions of some Arrow IPC files; record batches are cut where a partition needs it.

    A compressed file is decoded once here, since nothing but its record batches tells rows and nulls.

    Raises:
        FileFormatError: a file that is not Arrow IPC.
        SchemaMismatchError: a file whose columns differ from the first one's.
    """
    files = [_describe(path) for path in paths]
    schema = together([file.described for file in files])
    total = sum(sum(file.column_bytes.values()) for file in files)
    limit = piece_bytes(total, partitions, partition_bytes)
    return Listing(
        schema,
        tuple(_partitions(files, schema, limit)),
        files[0].described.refused,
        paths[0] if len(paths) == 1 else f"{len(paths)} Arrow files, {paths[0]} first",
    )


def _describe(path: str) -> IpcFile:
    file = listed(path)
    if not file.size:
        raise FileFormatError("it is empty: it has no byte. Write it again, or leave it out.").of(path)
    with opening(path):
        open(path, "rb").close()
    arrow, batches = _read(path, pa.memory_map, None, None)
    table = pa.Table.from_batches(batches, arrow)
    _refuse_damaged(path, table, full=False)
    schema = schema_in(path, arrow)
    seen = Schema((name, Field(field.dtype, has_nulls(table.column(name)))) for name, field in schema.items())
    sizes = {name: table.column(name).nbytes for name in schema}
    starts = accumulate((batch.num_rows for batch in batches), initial=0)
    return IpcFile(file, Described(path, seen, refused_columns(arrow)), tuple(starts), sizes)


def _partitions(files: Sequence[IpcFile], schema: Schema, limit: int) -> list[IpcPartition]:
    made: list[IpcPartition] = []
    first_row = 0
    for file in files:
        size = sum(file.column_bytes.values())
        parts = max(1, min(-(-size // limit), file.n_rows))
        for start, end in slice_bounds(file.n_rows, parts):
            n_bytes = size * (end - start) // max(file.n_rows, 1)
            made.append(IpcPartition(first_row + start, end - start, n_bytes, file, start, schema))
        first_row += file.n_rows
    return made
