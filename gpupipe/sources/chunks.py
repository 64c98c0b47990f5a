"""Column chunks of a Parquet file as bytes: read by themselves, their pages found and decompressed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from gpupipe import pool
from gpupipe.columns import Values
from gpupipe.kernels.cpu import page_values as values
from gpupipe.kernels.cpu import pages

# What Arrow calls a codec by what Parquet does. Of the others, none tells how many bytes came out: a page that is
# damaged would leave memory as it was.
CODECS = {"UNCOMPRESSED": None, "SNAPPY": "snappy", "GZIP": "gzip", "ZSTD": "zstd"}
#: Encodings of indices into a dictionary.
OF_DICTIONARY = (values.PLAIN_DICTIONARY, values.RLE_DICTIONARY)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where a column chunk stands, as the footer says, how it is compressed, and whether rows may be null."""

    begin: int
    stored: int
    decoded: int
    n_rows: int
    codec: str | None
    optional: bool

    @staticmethod
    def of(found: Any, n_rows: int, optional: bool) -> "Chunk | None":
        """That of Arrow's metadata of a chunk; None where it is compressed in a way not read here, or contradictory."""
        begin = found.data_page_offset
        if found.has_dictionary_page and 0 < found.dictionary_page_offset < begin:
            begin = found.dictionary_page_offset
        odd = found.compression not in CODECS or found.num_values != n_rows or begin < 4 or n_rows >= 2**31
        if odd or found.total_compressed_size < 0 or found.file_path:
            return None
        stored, size = found.total_compressed_size, found.total_uncompressed_size
        return Chunk(begin, stored, size, n_rows, CODECS[found.compression], optional)


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of a chunk, decompressed.

    Attributes:
        entries: the bytes of its dictionary, and how many entries they are; None where there is none.
        places: the data pages, int64 of shape (pages, PLACES) of the kernels.
        held: what the addresses in `places` point into.
    """

    entries: tuple[Any, int] | None
    places: Values
    held: Sequence[Any]

    @property
    def most_rows(self) -> int:
        """Rows of the largest page."""
        return int(self.places[:, values.ROWS].max(initial=0))


def read_chunk(file: BinaryIO, chunk: Chunk, room: Any) -> Any:
    """The bytes of a chunk in the front of the buffer `room`; None where the file ends before."""
    view = memoryview(room)[: chunk.stored]
    file.seek(chunk.begin)
    done = 0
    while done < chunk.stored:
        n_bytes = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not n_bytes:
            return None
        done += n_bytes
    return room.slice(0, chunk.stored)


def decompressed(chunk: Chunk, stored: Any, encodings: Sequence[int]) -> Pages | None:
    """The pages in the bytes of a chunk; None where they are damaged, or of a kind not read here.

    Args:
        encodings: those of data pages that are.
    """
    table = pages.pages(stored.address, chunk.stored)
    rows = [] if table is None else table.tolist()
    if table is None or not _usual(rows, chunk, encodings):
        return None
    codec = None if chunk.codec is None else pa.Codec(chunk.codec)
    held, places = [], []
    for row in rows:
        begin, levels = row[pages.BEGIN], max(row[pages.LEVEL_BYTES], 0)
        body = _body(codec, stored.slice(begin + levels, row[pages.STORED] - levels), row, row[pages.SIZE] - levels)
        if body is None:
            return None
        held.append(body)
        where = (stored.address + begin, levels) if row[pages.KIND] == pages.DATA_2 else (0, -1)
        places.append((*where, body.address, body.size, row[pages.VALUES], row[pages.ENCODING]))
    first = 1 if rows and rows[0][pages.KIND] == pages.DICTIONARY else 0
    entries = (held[0], rows[0][pages.VALUES]) if first else None
    found = np.array(places[first:], np.int64).reshape(-1, values.PLACES)
    return Pages(entries, found, (stored, *held))


def _usual(rows: Sequence[Sequence[int]], chunk: Chunk, encodings: Sequence[int]) -> bool:
    """Whether a dictionary comes first or not at all, then data in known encodings, as much as the footer says."""
    n_rows = size = 0
    has_entries = bool(rows) and rows[0][pages.KIND] == pages.DICTIONARY
    for number, row in enumerate(rows):
        kind, encoding = row[pages.KIND], row[pages.ENCODING]
        size += row[pages.SIZE]
        if number == 0 and has_entries:
            if encoding not in (values.PLAIN, values.PLAIN_DICTIONARY):
                return False
            continue
        levels_known = kind == pages.DATA_2 or not chunk.optional or row[pages.LEVELS] == values.RLE
        if kind not in (pages.DATA, pages.DATA_2) or encoding not in encodings or not levels_known:
            return False
        if encoding in OF_DICTIONARY and not has_entries:
            return False
        n_rows += row[pages.VALUES]
    return n_rows == chunk.n_rows and size <= chunk.decoded


def _body(codec: Any, stored: Any, row: Sequence[int], size: int) -> Any:
    """A page decompressed to `size` bytes; None where it does not come to so many."""
    if codec is None or not row[pages.COMPRESSED]:
        return stored if stored.size == size else None
    if not size:
        return stored.slice(0, 0)
    if not _comes_to(codec.name, stored, size):
        return None
    try:
        return codec.decompress(stored, size, asbytes=False, memory_pool=pool.memory_pool())
    except (pa.ArrowException, OSError):
        return None


def _comes_to(codec: str, stored: Any, size: int) -> bool:
    """Whether compressed bytes say themselves that they become so many, where the codec would not refuse others."""
    if codec == "gzip":
        return stored.size >= 18 and int.from_bytes(stored.slice(stored.size - 4).to_pybytes(), "little") == size
    if codec != "snappy":
        return True
    found = 0
    for place, octet in enumerate(stored.slice(0, min(5, stored.size)).to_pybytes()):
        found |= (octet & 127) << 7 * place
        if octet < 128:
            return found == size
    return False
