"""An Arrow table as one Arrow IPC file."""

import pyarrow as pa

from gpupipe.errors import ArtifactCorruptError, UnsafeModelError


def encode(table: pa.Table, name: str) -> bytes:
    """An Arrow IPC file of `table`, uncompressed, in one batch, without the table's own metadata.

    Raises:
        UnsafeModelError: a column of an extension type: code would have to be found by name to read it.

    >>> decode(encode(pa.table({"a": [1, 2]}), "probe"), "probe.arrow").to_pydict()
    {'a': [1, 2]}
    """
    for field in table.schema:
        if _is_extension(field):
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
        ArtifactCorruptError: not an Arrow file, cut short, offsets or indices out of range, an extension
            type.
    """
    try:
        with pa.ipc.open_file(pa.BufferReader(data)) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ArtifactCorruptError(f"{name} is not a whole Arrow file: {error}.") from error
    for field in table.schema:
        if _is_extension(field):
            raise ArtifactCorruptError(
                f"{name}: column {field.name!r} is {field.type}, which is never written."
            )
    return table


def _is_extension(field: pa.Field) -> bool:
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType) or b"ARROW:extension:name" in (field.metadata or {}):
        return True
    if pa.types.is_dictionary(kind):
        return _is_extension(pa.field("values", kind.value_type))
    return any(_is_extension(kind.field(i)) for i in range(kind.num_fields))
