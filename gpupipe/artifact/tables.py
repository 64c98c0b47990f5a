"""An Arrow table as one Arrow IPC file, of columns without a nested type.

Reading takes the messages one after another and never where the footer says: so a file cannot name the same bytes
many times. A compressed message is refused before it is unpacked.
"""

import struct
from typing import Any, TypeAlias

import pyarrow as pa

from gpupipe.errors import ArtifactCorruptError, UnsafeModelError

Message: TypeAlias = Any  # pa.ipc.Message; pyarrow ships no types

MAGIC = b"ARROW1"
_START = 8  # the magic, padded
_END = 4 + len(MAGIC)  # how long the footer is, the magic
_ROWS_A_BYTE = 8  # bools; more rows than that could only be of nothing

# Fields of the flatbuffers in Arrow's format, by position (github.com/apache/arrow, format/Message.fbs).
_HEADER, _LENGTH, _DATA, _COMPRESSION = 2, 0, 1, 3


def encode(table: pa.Table, name: str) -> bytes:
    """An Arrow IPC file of `table`, uncompressed, in one batch, without the table's own metadata.

    Raises:
        UnsafeModelError: a column of a nested or an extension type.

    >>> decode(encode(pa.table({"a": [1, 2]}), "probe"), "probe.arrow").to_pydict()
    {'a': [1, 2]}
    """
    for field in table.schema:
        if not _is_plain(field):
            raise UnsafeModelError(
                f"Column {field.name!r} of table {name!r} is {field.type}; cast it to a plain type."
            )
    plain = table.replace_schema_metadata(None).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, plain.schema) as writer:
        writer.write_table(plain)
    return sink.getvalue().to_pybytes()


def decode(data: bytes, name: str) -> pa.Table:
    """The table that :func:`encode` wrote, its buffers those of `data`; `name` is the file messages name.

    Raises:
        ArtifactCorruptError: not an Arrow file, cut short, compressed, offsets or indices out of range, more rows
            than it has bytes for, a nested or an extension type.
    """
    try:
        rows = _check_messages(data)
        with pa.ipc.open_stream(_messages(data)) as reader:
            _refuse_odd(reader.schema, name)
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, struct.error) as error:
        raise ArtifactCorruptError(f"{name} is not a whole Arrow file: {str(error)[:300]}.") from error
    if table.num_rows != rows:
        raise ArtifactCorruptError(f"{name} is not a whole Arrow file: it has {table.num_rows} rows of {rows}.")
    return table


def _messages(data: bytes) -> pa.BufferReader:
    return pa.BufferReader(pa.py_buffer(data).slice(_START))


def _check_messages(data: bytes) -> int:
    """How many rows the messages say they hold. Raises ValueError where they are not what `encode` writes."""
    if data[:_START] != MAGIC.ljust(_START, b"\0") or data[-len(MAGIC) :] != MAGIC:
        raise ValueError("it does not begin and end as one")
    source, rows = _messages(data), 0
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type != "schema":
            length = _checked_length(message)
            rows += length if message.type == "record batch" else 0
    if not 0 <= rows <= _ROWS_A_BYTE * len(data):
        raise ValueError(f"it says it has {rows} rows in {len(data)} bytes")
    (footer,) = struct.unpack_from("<i", data, len(data) - _END)
    if source.tell() + _START + footer + _END != len(data):
        raise ValueError("it ends elsewhere than its footer says")
    return rows


def _checked_length(message: Message) -> int:
    """The rows of a message with data, which must not be compressed."""
    metadata = memoryview(message.metadata)
    root = struct.unpack_from("<I", metadata)[0]
    batch = _table(metadata, root, _HEADER)
    if message.type == "dictionary":
        batch = _table(metadata, batch, _DATA)
    elif message.type != "record batch":
        raise ValueError(f"it holds a {message.type}")
    if _place(metadata, batch, _COMPRESSION):
        raise ValueError("it is compressed, and never written so")
    at = _place(metadata, batch, _LENGTH)
    length: int = struct.unpack_from("<q", metadata, at)[0] if at else 0
    if length < 0:
        raise ValueError(f"it says it has {length} rows")
    return length


def _place(metadata: memoryview, table: int, field: int) -> int:
    """Where a field of a flatbuffer's table stands, 0 where it is left out."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    size = struct.unpack_from("<H", metadata, fields)[0]
    entry = 4 + 2 * field
    offset = struct.unpack_from("<H", metadata, fields + entry)[0] if entry < size else 0
    return table + offset if offset else 0


def _table(metadata: memoryview, table: int, field: int) -> int:
    at = _place(metadata, table, field)
    if not at:
        raise ValueError("a message lacks its header")
    return at + int(struct.unpack_from("<I", metadata, at)[0])


def _refuse_odd(schema: pa.Schema, name: str) -> None:
    for field in schema:
        if not _is_plain(field):
            raise ArtifactCorruptError(
                f"{name}: column {field.name[:100]!r} is {str(field.type)[:100]}, which is never written."
            )


def _is_plain(field: pa.Field) -> bool:
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType) or b"ARROW:extension:name" in (field.metadata or {}):
        return False
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type) and not kind.ordered
    tests = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_date,
             pa.types.is_timestamp, pa.types.is_duration)  # fmt: skip
    return _is_text(kind) or any(test(kind) for test in tests)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
