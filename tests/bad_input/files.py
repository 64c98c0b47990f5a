"""What the cases of files and values share: small files, and one call that fits and gives the features."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp

_NOBODY = 65534


def parquet(path: Path, columns: Mapping[str, Any] | pa.Table, **options: Any) -> Path:
    """A Parquet file of some columns; its path."""
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(dict(columns)), path, **options)
    return path


def arrow(path: Path, columns: Mapping[str, Any]) -> Path:
    """An Arrow IPC file of some columns; its path."""
    table = pa.table(dict(columns))
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    return path


def text(path: Path, content: str | bytes) -> Path:
    """A file of some text; its path."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cut(path: Path, share: float) -> Path:
    """The file without its end."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def features(listed: Any, data: Any, device: str, **options: Any) -> dict[str, list[Any]]:
    """The features of some data, fitted on it: Python values by name."""
    found = gp.Pipeline(listed, device=device, **options).fit_transform(data, output="arrow")
    return {name: found.column(name).to_pylist() for name in found.column_names}


def not_utf8(*values: bytes) -> pa.Array:
    """An array that Arrow takes for text, of any bytes."""
    array = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(array), array.buffers())


@contextmanager
def as_another_user() -> Iterator[None]:
    """Without the rights of root, which may read whatever it likes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
