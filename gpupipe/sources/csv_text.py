"""The bytes of a CSV file: opened whatever wraps them, header taken off, cut into blocks between records."""

import csv
import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gpupipe.errors import FileFormatError

_HEAD = 2**20  # a header record is shorter than this
_BOM = b"\xef\xbb\xbf"
_BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records: the file's bytes from `start` to `end`; of a compressed file all of them (`end` -1)."""

    start: int
    end: int


def read_block(path: str, block: Block) -> bytes:
    """The text of a block, without the header.

    Raises:
        FileFormatError: the file cannot be opened or decompressed.
    """
    if block.end < 0:
        data = _decoded(path)
        return data[header_of(path)[1] :]
    with _opened(path) as file:
        file.seek(block.start)
        return file.read(block.end - block.start)


def is_compressed(path: str) -> bool:
    """Whether the file's name says that it is compressed."""
    return path.lower().endswith((".gz", ".zip"))


def _opened(path: str) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except OSError as error:
        raise FileFormatError(f"{path} cannot be opened: {error.strerror}.") from error


def _decoded(path: str, size: int = -1) -> bytes:
    """The first `size` bytes of the text (-1: all), decompressed where the name says so."""
    if not is_compressed(path):
        with _opened(path) as file:
            return file.read(size)
    try:
        return _unzipped(path, size) if path.lower().endswith(".zip") else _gunzipped(path, size)
    except _BROKEN as error:
        raise FileFormatError(f"{path} cannot be decompressed: {error}.") from error


def _gunzipped(path: str, size: int) -> bytes:
    with gzip.open(path) as file:
        return file.read(size)


def _unzipped(path: str, size: int) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise FileFormatError(f"{path} holds {len(names)} files ({', '.join(names[:5])}); one is asked for.")
        with archive.open(names[0]) as file:
            return file.read(size)


def header_of(path: str) -> tuple[tuple[str, ...], int]:
    """The names in the header, and where the records begin.

    Raises:
        FileFormatError: there is no header, it is not UTF-8, or the separator seems to be no comma.
    """
    data = _decoded(path, _HEAD)
    begin = len(_BOM) if data.startswith(_BOM) else 0
    while data[begin : begin + 1] in (b"\n", b"\r"):
        begin += 1
    end = _record_end(data, begin)
    try:
        rows = list(csv.reader(io.StringIO(data[begin:end].decode("utf-8"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path}: the header cannot be read as UTF-8 CSV: {error}.") from error
    if not rows:
        raise FileFormatError(f"{path} is empty. A CSV file begins with a line of column names.")
    _check_header(path, rows)
    return tuple(rows[0]), end


def _check_header(path: str, rows: list[list[str]]) -> None:
    if len(rows) > 1:
        raise FileFormatError(f"{path}: lines end in a carriage return alone. Convert them to line feeds.")
    names = rows[0]
    if len(names) == 1 and any(sign in names[0] for sign in ";\t|"):
        raise FileFormatError(f"{path}: the only column is named {names[0]!r}; fields are separated by commas here.")


def _record_end(data: bytes, begin: int) -> int:
    """Just after the first line feed outside quotes."""
    at = data.find(b"\n", begin)
    while at >= 0 and data.count(b'"', begin, at) % 2:
        at = data.find(b"\n", at + 1)
    return at + 1 if at >= 0 else len(data)


def blocks(path: str, size: int) -> Iterator[tuple[Block, bytes]]:
    """The file's records in blocks of about `size` bytes, cut at line feeds outside quotes; at least one.

    A compressed file is one block.
    """
    begin = header_of(path)[1]
    if is_compressed(path):
        yield Block(0, -1), _decoded(path)[begin:]
        return
    with _opened(path) as file:
        file.seek(begin)
        rest, start = b"", begin
        while chunk := file.read(size):
            buffer = rest + chunk
            cut = _last_record_end(buffer)
            if cut:
                yield Block(start, start + cut), buffer[:cut]
            start, rest = start + cut, buffer[cut:]
        if rest or start == begin:
            yield Block(start, start + len(rest)), rest


def _last_record_end(buffer: bytes) -> int:
    """Just after the last line feed outside quotes, 0 where there is none; `buffer` begins outside quotes."""
    quotes, end = buffer.count(b'"'), len(buffer)
    while (at := buffer.rfind(b"\n", 0, end)) >= 0:
        quotes -= buffer.count(b'"', at, end)
        if quotes % 2 == 0:
            return at + 1
        end = at
    return 0


def ragged_line(path: str) -> str | None:
    """The first record with more or fewer fields than the header, in words; None if there is none."""
    text = _decoded(path).decode("utf-8-sig", errors="replace")
    reader = csv.reader(io.StringIO(text, newline=""))
    rows = (row for row in reader if row)
    width = len(next(rows))
    for row in rows:
        if len(row) != width:
            told = ",".join(row)[:80]
            return f"line {reader.line_num} has {len(row)} fields where the header has {width}: {told}"
    return None


def size_of(path: str) -> int:
    """The file's bytes as stored."""
    return os.path.getsize(path)
