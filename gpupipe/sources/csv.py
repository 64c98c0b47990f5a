"""CSV: types from a schema or inferred over every value of every file; partitions are blocks of records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.errors import DataError, FileFormatError, ParameterError
from gpupipe.schema import DType, Field, Float64, Schema, String
from gpupipe.sources.border import arrow_type
from gpupipe.sources.csv_parse import Text, line_of, parse
from gpupipe.sources.csv_text import Block, blocks, header_of, is_compressed, read_block
from gpupipe.sources.inference import Guess, both, infer, odd_one
from gpupipe.sources.listed import ListedFile, listed
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of, piece_bytes
from gpupipe.sources.place import Place
from gpupipe.sources.together import same_names


@dataclass(frozen=True, eq=False)
class CsvPartition(Partition):
    """A block of one file: whole records, the first of which is the file's row `offset`.

    Attributes:
        types: of each column, as it is read.
        given: the columns whose type was not found by looking at every value.
    """

    file: ListedFile
    block: Block
    offset: int
    header: tuple[str, ...] = field(repr=False)
    types: Mapping[str, pa.DataType] = field(repr=False)
    given: frozenset[str] = field(default=frozenset(), repr=False)

    def column_bytes(self, columns: Sequence[str]) -> int:
        return self.n_bytes if columns else 0

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        if not columns:
            return Reading(frame_of(pa.table({}), (), self.row_ids()), 0)
        path = self.file.path
        with self.file.unchanged():
            text = Text(path, read_block(path, self.block), self.block, self.offset, self.header)
            table = parse(text, {name: self.types[name] for name in columns})
        if table.num_rows != self.n_rows:
            raise FileFormatError(f"it has {table.num_rows} rows; when scanned, {self.n_rows}. Scan it again.").of(path)
        stored = self.file.size if is_compressed(path) else len(text.octets)
        return Reading(frame_of(table, columns, self.row_ids()), stored)

    def origin(self) -> tuple[ListedFile, int]:
        return self.file, self.offset

    def place(self, position: int | None) -> Place:
        if position is None:
            return Place(self.file.path)
        row = position - self.first_row
        return Place(self.file.path, None, row + self.offset, self._line(row))

    def _line(self, row: int) -> int | None:
        try:
            return line_of(self.file.path, self.block, row)
        except DataError:  # gone in the meantime: the row number stays
            return None


# -- planning ---------------------------------------------------------------------------------------------
_NOTHING, _FRACTIONS = Guess(), Guess(Float64)


@dataclass
class _Seen:
    """What one pass over a column's text has shown so far.

    Attributes:
        odd: why it is text where most of it is not.
        rounded: why it is text where it holds numbers alone: a whole one that a Float64 would round.
    """

    guess: Guess = _NOTHING
    nullable: bool = False
    repeats: bool = True
    odd: str | None = None
    rounded: str | None = None

    @property
    def note(self) -> str | None:
        return self.odd if self.guess.found == String else self.rounded

    def add(self, texts: pa.ChunkedArray, known: DType | None, name: str, text: Text) -> None:
        self.nullable = self.nullable or texts.null_count > 0
        if known is None and self.guess.found != String:
            whole = texts.combine_chunks()
            found = infer(whole)
            guess = both(self.guess, found)
            if guess.found == String:
                self.odd = _why_text(name, whole, self.guess, text)
            elif found.inexact and self.rounded is None:
                self.rounded = _why_text(name, whole, _FRACTIONS, text)
            self.guess = guess
        if self.repeats and (known or self.guess.dtype) == String:
            self.repeats = 2 * pc.count_distinct(texts).as_py() <= len(texts)


def _why_text(name: str, texts: pa.Array, before: Guess, text: Text) -> str | None:
    odd = odd_one(texts, before)
    if odd is None:
        return None
    row, usual = odd
    line = line_of(text.path, text.block, row)
    return (
        f"In {text.path} the column {name!r} is text because of {texts[row].as_py()!r} in line {line or 0:,}; without "
        f"such values it is {usual}. Correct the file, or give schema= to gpupipe.scan."
    )


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
        FileFormatError: no header, a line with more or fewer fields than it, a quote never closed, bytes that are not
            UTF-8.
        SchemaMismatchError: a file with other columns than the first one.
        ParameterError: a type that CSV has no form for.
    """
    files = [listed(path) for path in paths]
    header = header_of(paths[0])[0]
    _check_types(wanted)
    size = piece_bytes(sum(file.size for file in files), partitions, partition_bytes)
    seen = {name: _Seen() for name in header}
    found = [block for file in files for block in _look_through(file, paths[0], seen, wanted, size)]
    dtypes = {name: wanted.get(name, column.guess.dtype) for name, column in seen.items()}
    types = {name: _read_as(dtype, seen[name].repeats) for name, dtype in dtypes.items()}
    schema = Schema((name, Field(dtype, seen[name].nullable)) for name, dtype in dtypes.items())
    label = paths[0] if len(paths) == 1 else f"{len(paths)} CSV files, {paths[0]} first"
    notes = {name: column.note for name, column in seen.items() if column.note and dtypes[name] == String}
    return Listing(schema, tuple(_partitions(found, types, frozenset(wanted))), {}, label, notes)


def _check_types(wanted: Mapping[str, DType]) -> None:
    for name, dtype in wanted.items():
        if dtype.name == "Duration":
            raise ParameterError(f"Column {name!r}: CSV has no form for a Duration. Read a number or text instead.")


def _read_as(dtype: DType, repeats: bool) -> pa.DataType:
    return pa.dictionary(pa.int32(), pa.string()) if dtype == String and repeats else arrow_type(dtype)


@dataclass(frozen=True, slots=True)
class _Found:
    """A block that was looked through."""

    file: ListedFile
    text: Text
    n_rows: int
    n_bytes: int


def _look_through(
    file: ListedFile, first: str, seen: dict[str, _Seen], wanted: Mapping[str, DType], size: int
) -> list[_Found]:
    header = header_of(file.path)[0]
    same_names(first, list(seen), file.path, header)
    found: list[_Found] = []
    offset = 0
    for block, octets in blocks(file.path, size):
        text = Text(file.path, octets, block, offset, header)
        table = parse(text, dict.fromkeys(header, pa.string()))
        for name, column in seen.items():
            column.add(table.column(name), wanted.get(name), name, text)
        found.append(_Found(file, replace(text, octets=b""), table.num_rows, len(octets)))
        offset += table.num_rows
    return found


def _partitions(
    found: Sequence[_Found], types: Mapping[str, pa.DataType], given: frozenset[str]
) -> list[CsvPartition]:
    made: list[CsvPartition] = []
    first_row = 0
    for part in found:
        text = part.text
        place = (part.file, text.block, text.offset)
        made.append(CsvPartition(first_row, part.n_rows, part.n_bytes, *place, text.header, types, given))
        first_row += part.n_rows
    return made
