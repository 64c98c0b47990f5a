"""Writing results: a Parquet file that stands under its name only when it is whole."""

import os
import secrets
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.errors import DataError, SchemaMismatchError


def write_parquet(tables: Iterable[pa.Table], path: str | os.PathLike[str], schema: pa.Schema | None = None) -> int:
    """Write tables, one below the other, to one Parquet file, mode 0600. Gives the rows written.

    The file is written beside its place, flushed to disk and renamed, so that a reader sees the old file or
    the new one, whole. An existing file is replaced.

    Args:
        tables: one or more row groups each; all of one schema.
        path: where; its folder must exist.
        schema: of the file; needed where `tables` may be empty.

    Raises:
        SchemaMismatchError: a table's schema differs from the first one's.
        DataError: no table and no schema.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb", opener=_private) as file:
            rows = _write(tables, file, schema, target)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    _flush_folder(target.parent)
    return rows


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write(tables: Iterable[pa.Table], file: object, schema: pa.Schema | None, target: Path) -> int:
    pending = iter(tables)
    first = next(pending, None)
    shape = schema if schema is not None else None if first is None else first.schema
    if shape is None:
        raise DataError(f"There is no table to write to {target}, and no schema= for an empty file.")
    rows = 0
    with pq.ParquetWriter(file, shape) as writer:
        for table in chain([] if first is None else [first], pending):
            _check_alike(table.schema, shape, target)
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _check_alike(found: pa.Schema, wanted: pa.Schema, target: Path) -> None:
    if found != wanted:
        told, meant = (", ".join(f"{field.name}: {field.type}" for field in schema) for schema in (found, wanted))
        raise SchemaMismatchError(f"{target}: a table of {told} follows one of {meant}. Write them apart.")


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
