"""Tables of the demos, each written once into a folder and kept there."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def keep(folder: Path, name: str, make: Callable[[], pa.Table]) -> Path:
    """The path of ``name.parquet`` in `folder`, made by `make` unless it is there.

    Written beside itself and renamed, so that a run that was cut off leaves no half of a table.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keep(Path(folder), "t", lambda: pa.table({"x": [1, 2]})).name
    't.parquet'
    """
    path = folder / f"{name}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=folder, prefix=f".{name}-")
        os.close(handle)
        try:
            pq.write_table(make(), unfinished, row_group_size=100_000)
            os.replace(unfinished, path)
        finally:
            Path(unfinished).unlink(missing_ok=True)
    return path
