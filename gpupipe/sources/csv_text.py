"""The bytes of a CSV file: opened whatever wraps them, header taken off, cut into blocks between records."""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gpupipe.errors import DuplicateNameError, FileFormatError
from gpupipe.sources.csv_records import is_plain, n_lines, refuse_unclosed
from gpupipe.sources.listed import opening

_HEAD = 2**20  # a header record is shorter than this
_CHUNK = 2**24
BOM = b"\xef\xbb\xbf"
_WIDE = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
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
    with opening(path), open(path, "rb") as file:
        file.seek(block.start)
        return file.read(block.end - block.start)


def lines_before(path: str, block: Block) -> int:
    """How many lines of the file end before a block."""
    if block.end < 0:
        return n_lines(_decoded(path, header_of(path)[1]))
    lines, left = 0, block.start
    with opening(path), open(path, "rb") as file:
        while left and (chunk := file.read(min(_CHUNK, left))):
            lines, left = lines + n_lines(chunk), left - len(chunk)
    return lines


def is_compressed(path: str) -> bool:
    """Whether the file's name says that it is compressed."""
    return path.lower().endswith((".gz", ".zip"))


def _decoded(path: str, size: int = -1) -> bytes:
    """The first `size` bytes of the text (-1: all), decompressed where the name says so."""
    with opening(path), open(path, "rb") as file:
        if not is_compressed(path):
            return file.read(size)
    try:
        return _unzipped(path, size) if path.lower().endswith(".zip") else _gunzipped(path, size)
    except _BROKEN as error:
        reason = str(error).rstrip(".")
        raise FileFormatError(
            f"it cannot be decompressed: {reason}. It was cut short or damaged, or is not compressed: copy it again, "
            "or name it after what it is."
        ).of(path) from error


def _gunzipped(path: str, size: int) -> bytes:
    with gzip.open(path) as file:
        return file.read(size)


def _unzipped(path: str, size: int) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(names) != 1:
            shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise FileFormatError(
                f"it holds {len(names)} files ({shown}), where one is asked for. Unpack it, and scan the folder."
            ).of(path)
        with archive.open(names[0]) as file:
            return file.read(size)


# -- the header ------------------------------------------------------------------------------------------------
def header_of(path: str) -> tuple[tuple[str, ...], int]:
    """The names in the header, and where the records begin.

    Raises:
        FileFormatError: there is no header, it is not UTF-8, or the separator seems to be no comma.
        DuplicateNameError: two columns have one name.
    """
    data = _decoded(path, _HEAD)
    begin = len(BOM) if data.startswith(BOM) else 0
    while data[begin : begin + 1] in (b"\n", b"\r"):
        begin += 1
    end = _record_end(data, begin)
    line = n_lines(data[:begin]) + 1
    if not data[begin:].strip():
        raise FileFormatError("it is empty. A CSV file begins with a line of column names.").of(path)
    rows = _header_rows(path, data[begin:end], line)
    _check_header(path, rows, line)
    return tuple(rows[0]), end


def _header_rows(path: str, record: bytes, line: int) -> list[list[str]]:
    if b"\0" in record:
        found = next((name for mark, name in _WIDE.items() if record.startswith(mark)), "UTF-16 without a mark")
        raise FileFormatError(
            f"the header holds NUL bytes, so this is no UTF-8 text (perhaps {found}, or a file that was never written "
            "to the end). Convert it to UTF-8."
        ).of(path, line=line)
    refuse_unclosed(path, record, line - 1)
    try:
        return list(csv.reader(io.StringIO(record.decode("utf-8"), newline="")))
    except UnicodeDecodeError as error:
        shown = f"{record[error.start : error.start + 20]!r}"
        raise FileFormatError(
            f"the header is not UTF-8, from the bytes {shown} on. Convert the file to UTF-8."
        ).of(path, line=line) from error
    except csv.Error as error:
        raise FileFormatError(f"the header cannot be read: {error}.").of(path, line=line) from error


def _check_header(path: str, rows: list[list[str]], line: int) -> None:
    if len(rows) > 1:
        raise FileFormatError("lines end in a carriage return alone. Convert them to line feeds.").of(path)
    names = rows[0]
    signs = [sign for sign in ";\t|" if sign in names[0]]
    if len(names) == 1 and signs:
        raise FileFormatError(
            f"the header is one column, {names[0]!r}: fields seem to be separated by {signs[0]!r}, and a CSV file here "
            "separates them by commas. Write it again with commas."
        ).of(path, line=line)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DuplicateNameError(
            f"{path}, line {line}: {names.count(twice)} columns are named {twice!r}. Rename all but one in the header."
        )


def _record_end(data: bytes, begin: int) -> int:
    """Just after the first line feed outside quotes."""
    at = data.find(b"\n", begin)
    while at >= 0 and data.count(b'"', begin, at) % 2:
        at = data.find(b"\n", at + 1)
    return at + 1 if at >= 0 else len(data)


# -- blocks ----------------------------------------------------------------------------------------------------
def blocks(path: str, size: int) -> Iterator[tuple[Block, bytes]]:
    """The file's records in blocks of about `size` bytes, cut at line feeds outside quotes; at least one.

    A compressed file is one block, and so is what follows a quote that stands in the middle of a field (``5" pipe``):
    from there on counting quotes does not tell what stands inside them.

    Raises:
        FileFormatError: a quote that is never closed.
    """
    begin = header_of(path)[1]
    if is_compressed(path):
        text = _decoded(path)[begin:]
        _refuse_open_end(path, Block(0, -1), text)
        yield Block(0, -1), text
        return
    with opening(path), open(path, "rb") as file:
        file.seek(begin)
        rest, start = b"", begin
        while chunk := file.read(size):
            buffer = rest + chunk
            cut = _last_record_end(buffer)
            if not is_plain(buffer[:cut]):
                rest = buffer + file.read()
                break
            if cut:
                yield Block(start, start + cut), buffer[:cut]
            start, rest = start + cut, buffer[cut:]
        if rest or start == begin:
            block = Block(start, start + len(rest))
            _refuse_open_end(path, block, rest)
            yield block, rest


def _refuse_open_end(path: str, block: Block, text: bytes) -> None:
    if text.count(b'"') % 2 or not is_plain(text):
        refuse_unclosed(path, text, lines_before(path, block))


def _last_record_end(buffer: bytes) -> int:
    """Just after the last line feed outside quotes, 0 where there is none; `buffer` begins outside quotes."""
    quotes, end = buffer.count(b'"'), len(buffer)
    while (at := buffer.rfind(b"\n", 0, end)) >= 0:
        quotes -= buffer.count(b'"', at, end)
        if quotes % 2 == 0:
            return at + 1
        end = at
    return 0
