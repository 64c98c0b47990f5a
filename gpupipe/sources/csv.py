"""CSV: types from a schema or inferred over every value of every file; partitions are blocks of records."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from gpupipe.errors import CastError, DuplicateNameError, FileFormatError, ParameterError, SchemaMismatchError
from gpupipe.schema import DType, Field, Null, Schema, String
from gpupipe.sources.border import arrow_type
from gpupipe.sources.csv_text import Block, blocks, header_of, is_compressed, ragged_line, read_block, size_of
from gpupipe.sources.inference import both, infer
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of, piece_bytes

NULLS = ("", "NA", "N/A", "null", "NULL", "NaN", "nan")  # in a column of any type, quoted or not


@dataclass(frozen=True, eq=False)
class CsvPartition(Partition):
    """A block of one file: whole records."""

    path: str
    block: Block
    header: tuple[str, ...] = field(repr=False)
    types: Mapping[str, pa.DataType] = field(repr=False)

    def column_bytes(self, columns: Sequence[str]) -> int:
        return self.n_bytes if columns else 0

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        if not columns:
            return Reading(frame_of(pa.table({}), (), self.row_ids()), 0)
        text = read_block(self.path, self.block)
        table = _parse(self.path, text, self.header, {name: self.types[name] for name in columns})
        if table.num_rows != self.n_rows:
            raise FileFormatError(f"{self.path} has {table.num_rows} rows; when scanned, {self.n_rows}. Scan it again.")
        stored = size_of(self.path) if is_compressed(self.path) else len(text)
        return Reading(frame_of(table, columns, self.row_ids(), self.path), stored)


def _parse(path: str, text: bytes, header: tuple[str, ...], types: Mapping[str, pa.DataType]) -> pa.Table:
    if not text.lstrip(b"\r\n"):
        return pa.table({name: pa.nulls(0, arrow) for name, arrow in types.items()})
    try:
        return pa_csv.read_csv(
            pa.BufferReader(text),
            pa_csv.ReadOptions(column_names=header),
            pa_csv.ParseOptions(newlines_in_values=b'"' in text),
            pa_csv.ConvertOptions(
                column_types=dict(types),
                include_columns=list(types),
                null_values=list(NULLS),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise _explained(path, header, str(error)) from error


def _explained(path: str, header: tuple[str, ...], message: str) -> CastError | FileFormatError:
    found = re.search(r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error to (.+?): (.*)", message)
    if found is None:
        return FileFormatError(f"{path}: {ragged_line(path) or message}. Quote fields that hold a comma.")
    name, wanted, reason = header[int(found[1])], found[2], found[3]
    if "UTF8" in reason:
        return FileFormatError(f"{path}: column {name!r} holds bytes that are not UTF-8. Convert the file to UTF-8.")
    return CastError(f"{path}: column {name!r} cannot be read as {wanted}: {reason}. Correct schema= or the file.")


# -- planning ---------------------------------------------------------------------------------------------
@dataclass
class _Seen:
    """What one pass over a column's text has shown so far."""

    dtype: DType = Null
    nullable: bool = False
    repeats: bool = True

    def add(self, texts: pa.ChunkedArray, known: DType | None) -> None:
        self.nullable = self.nullable or texts.null_count > 0
        if known is None and self.dtype != String:
            self.dtype = both(self.dtype, infer(texts.combine_chunks()))
        if self.repeats and (known or self.dtype) == String:
            self.repeats = 2 * pc.count_distinct(texts).as_py() <= len(texts)


def list_csv(
    paths: Sequence[str], wanted: Mapping[str, DType], partitions: int | None, partition_bytes: int | None
) -> Listing:
    """Partitions of some CSV files; reads all of them once, block by block, for types, nulls and rows.

    Args:
        paths: files, in row order.
        wanted: types by name; other columns are inferred.
        partitions: about how many partitions; None goes by size.
        partition_bytes: the size of a block of text. A compressed file is one partition.

    Raises:
        FileFormatError: no header, a line with more or fewer fields than it, bytes that are not UTF-8.
        SchemaMismatchError: a file with other columns than the first one.
        ParameterError: a type that CSV has no form for.
    """
    header = header_of(paths[0])[0]
    _check_types(wanted)
    total = sum(size_of(path) for path in paths)
    size = piece_bytes(total, partitions, partition_bytes)
    seen = {name: _Seen() for name in header}
    if len(seen) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DuplicateNameError(f"{paths[0]}: two columns are named {twice!r}. Rename one of them in the header.")
    found = [block for path in paths for block in _look_through(path, header, seen, wanted, size)]
    dtypes = {name: wanted.get(name, column.dtype) for name, column in seen.items()}
    types = {name: _read_as(dtype, seen[name].repeats) for name, dtype in dtypes.items()}
    schema = Schema((name, Field(dtype, seen[name].nullable)) for name, dtype in dtypes.items())
    label = paths[0] if len(paths) == 1 else f"{len(paths)} CSV files, {paths[0]} first"
    return Listing(schema, tuple(_partitions(found, types)), {}, label)


def _check_types(wanted: Mapping[str, DType]) -> None:
    for name, dtype in wanted.items():
        if dtype.name == "Duration":
            raise ParameterError(f"Column {name!r}: CSV has no form for a Duration. Read a number or text instead.")


def _read_as(dtype: DType, repeats: bool) -> pa.DataType:
    return pa.dictionary(pa.int32(), pa.string()) if dtype == String and repeats else arrow_type(dtype)


_Found = tuple[str, Block, tuple[str, ...], int, int]  # path, block, the file's header, rows, bytes


def _look_through(
    path: str, first: tuple[str, ...], seen: dict[str, _Seen], wanted: Mapping[str, DType], size: int
) -> list[_Found]:
    header = header_of(path)[0]
    if sorted(header) != sorted(first):
        odd = sorted(set(header) ^ set(first)) or [name for name in header if header.count(name) > 1]
        where = "not in the first" if odd[0] in header else "missing"
        raise SchemaMismatchError(
            f"{path} does not have the columns of the first file: {odd[0]!r} is {where}. Files scanned "
            "together need the same columns."
        )
    found: list[_Found] = []
    for block, text in blocks(path, size):
        table = _parse(path, text, header, dict.fromkeys(header, pa.string()))
        for name, column in seen.items():
            column.add(table.column(name), wanted.get(name))
        found.append((path, block, header, table.num_rows, len(text)))
    return found


def _partitions(found: Sequence[_Found], types: Mapping[str, pa.DataType]) -> list[CsvPartition]:
    made: list[CsvPartition] = []
    first_row = 0
    for path, block, header, n_rows, n_bytes in found:
        made.append(CsvPartition(first_row, n_rows, n_bytes, path, block, header, types))
        first_row += n_rows
    return made
