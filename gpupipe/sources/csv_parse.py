"""From a block of CSV text to Arrow columns; what cannot be read is said with its line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isinf

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from gpupipe.arrow_arrays import array_of, filled, values_of
from gpupipe.errors import CastError, DataError, FileFormatError, counted
from gpupipe.schema import DType
from gpupipe.sources.border import normalise_type
from gpupipe.sources.csv_records import first_ragged, record_at
from gpupipe.sources.csv_text import Block, lines_before, read_block
from gpupipe.sources.utf8 import said

NULLS = ("", "NA", "N/A", "null", "NULL", "NaN", "nan")  # in a column of any type, quoted or not
_SHOWN = 80
_EXACT = {"float": 2.0**24, "double": 2.0**53}  # up to here a float holds every whole number
_WHOLE = r"^[+-]?[0-9]+$"
_DIGIT = "[0-9]"  # no word for an infinity has one
_FAILED = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (.+?): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Text:
    """Whole records of a file: its block, the number in the file of the first row, and the file's header."""

    path: str
    octets: bytes = field(repr=False)
    block: Block
    offset: int
    header: tuple[str, ...] = field(repr=False)


def parse(text: Text, types: Mapping[str, pa.DataType]) -> pa.Table:
    """The named columns, in the given types.

    Raises:
        FileFormatError: a record with more or fewer fields than the header, or bytes that are not UTF-8.
        CastError: a value that its type cannot hold.
    """
    if not text.octets.lstrip(b"\r\n"):
        return pa.table({name: pa.nulls(0, arrow) for name, arrow in types.items()})
    try:
        table = _read(text, types)
    except pa.ArrowInvalid as error:
        raise _explained(text, types, str(error)) from error
    for name in types:
        if pa.types.is_floating(types[name]):
            _refuse_changed(text, name, table.column(name))
    return table


def _refuse_changed(text: Text, name: str, values: pa.ChunkedArray) -> None:
    """Raise CastError for a whole number that the float it was read as is not, or a number beyond the largest float."""
    exact = _EXACT[str(values.type)]
    large = pc.greater_equal(pc.abs(values), array_of(np.array([exact]), None, values.type)[0])
    if not pc.any(large).as_py():
        return
    written = pc.utf8_trim_whitespace(_read(text, {name: pa.string()}).column(name))
    beyond = pc.and_(pc.is_inf(values), pc.match_substring_regex(written, _DIGIT))
    whole = pc.and_(large, pc.match_substring_regex(written, _WHOLE))
    for row in np.flatnonzero(values_of(filled(pc.or_(beyond, whole)))).tolist():
        if (why := _changed(written[row].as_py(), values[row].as_py(), normalise_type(values.type), name)) is not None:
            line = line_of(text.path, text.block, row)
            raise CastError(why).of(text.path, line=line, row=text.offset + row, column=name)


def _changed(digits: str, read: float, wanted: DType, name: str) -> str | None:
    if isinf(read):
        shown = digits if len(digits) <= _SHOWN else f"{digits[:_SHOWN]}…"
        remedy = "Write inf if that is meant, or nothing for a null, or read the column as String, by schema=."
        return f"{shown} is beyond the largest {wanted}. {remedy}"
    if int(digits) == int(read):
        return None
    return (
        f"{digits} is a whole number that {wanted} does not hold exactly. Read the column as Int64 or String, "
        f"by schema=; col({name!r}).cast('{wanted}') of a String rounds it."
    )


def _read(text: Text, types: Mapping[str, pa.DataType], *, threads: bool = True) -> pa.Table:
    return pa_csv.read_csv(
        pa.BufferReader(text.octets),
        pa_csv.ReadOptions(column_names=text.header, use_threads=threads),
        pa_csv.ParseOptions(newlines_in_values=b'"' in text.octets),
        pa_csv.ConvertOptions(
            column_types=dict(types),
            include_columns=list(types),
            null_values=list(NULLS),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def line_of(path: str, block: Block, row: int) -> int | None:
    """The line of the file, from 1, on which the record of a block's row begins."""
    record = record_at(read_block(path, block), row)
    return None if record is None else lines_before(path, block) + record.lines_before + 1


def _explained(text: Text, types: Mapping[str, pa.DataType], message: str) -> DataError:
    try:  # once more on one thread, where Arrow counts the rows
        _read(text, types, threads=False)
    except pa.ArrowInvalid as error:
        message = str(error)
    found = _FAILED.search(message)
    return _ragged(text, message) if found is None else _unreadable(text, found, types)


def _ragged(text: Text, message: str) -> FileFormatError:
    width = len(text.header)
    found = first_ragged(text.octets, width)
    if found is None:
        return FileFormatError(f"it cannot be read as CSV: {message.rstrip('.')}. Write it again.").of(text.path)
    row, record = found
    shown = record.text[:_SHOWN].decode("utf-8", errors="replace").strip()
    return FileFormatError(
        f"the record has {counted(len(record.fields), 'field')} where the header has {width}: {shown}. Quote fields "
        "that hold a comma, or complete the record."
    ).of(text.path, line=_line(text, record.lines_before), row=text.offset + row)


def _unreadable(text: Text, found: re.Match[str], types: Mapping[str, pa.DataType]) -> DataError:
    at, row, reason = int(found[1]), int(found[2] or 1) - 1, found[4]
    name, record = text.header[at], record_at(text.octets, row)
    if record is None:
        return FileFormatError(f"it cannot be read: {reason.rstrip('.')}. Write it again.").of(text.path, column=name)
    line = _line(text, record.lines_before)
    value = record.fields[at]
    if "UTF8" in reason:
        return FileFormatError(said(value)).of(text.path, line=line, row=text.offset + row, column=name)
    shown = value[:_SHOWN].decode("utf-8", errors="replace")
    return CastError(
        f"{shown!r} cannot be read as {normalise_type(types[name])}. Correct the file, or schema=."
    ).of(text.path, line=line, row=text.offset + row, column=name)


def _line(text: Text, inside: int) -> int:
    return lines_before(text.path, text.block) + inside + 1
