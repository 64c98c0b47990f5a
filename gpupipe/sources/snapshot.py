"""What a source reads, told so that a later process can know it again: files, tables, what is done to rows."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gpupipe.sources.join import Join
from gpupipe.sources.listed import ListedFile
from gpupipe.sources.memory import TablePartition
from gpupipe.sources.partition import Partition
from gpupipe.sources.source import Source
from gpupipe.sources.steps import AtPositions, Head, Step


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Attributes:
    files: each file's path, bytes and time of change (nanoseconds since 1970), in row order.
    digest: SHA-256 of them, of tables' contents, of what is done to rows, and of how rows are cut into partitions.
    n_partitions: into how many.
    """

    files: tuple[tuple[str, int, int], ...]
    digest: str
    n_partitions: int


def snapshot(source: Source, columns: Sequence[str]) -> Snapshot:
    """What `source` reads for these columns. Files are known by path, size and time of change, and none is read;
    tables in memory by their contents; what is in a GPU's memory is never known again.

    >>> from gpupipe.sources.source import scan
    >>> one, same, other = (snapshot(scan({"x": [1, 2, last]}), ["x"]).digest for last in (3, 3, 4))
    >>> one == same, one == other
    (True, False)
    """
    return _snapshot(source, source._needed(source._known(columns))[0])


def came_from(partition: Partition) -> dict[str, Any]:
    """A partition's rows, told: the file as it was listed, the first of its rows that they are, and how many."""
    origin, told = partition.origin(), {"rows": partition.n_rows}
    if origin is None or not isinstance(origin[0], ListedFile):
        return {"first_row": partition.first_row, **told}
    path, size, changed = _told(origin[0])
    return {"file": path, "bytes": size, "changed_ns": changed, "first_row": origin[1], **told}


def _snapshot(source: Source, columns: Sequence[str]) -> Snapshot:
    files: dict[tuple[str, int, int], None] = {}
    digest = hashlib.sha256()
    for partition in source.partitions:
        digest.update(json.dumps(came_from(partition)).encode())
        origin = partition.origin()
        if origin is not None and isinstance(origin[0], ListedFile):
            files[_told(origin[0])] = None
        else:
            digest.update(_contents(partition, columns))
    for step in source._steps:
        for piece in _step(step):
            digest.update(piece)
    return Snapshot(tuple(files), digest.hexdigest(), len(source.partitions))


def _told(file: ListedFile) -> tuple[str, int, int]:
    return os.path.abspath(file.path), file.size, file.changed_ns


def _contents(partition: Partition, columns: Iterable[str]) -> bytes:
    """SHA-256 of a partition's columns in memory; random where they cannot be looked at from here."""
    if not isinstance(partition, TablePartition):
        return secrets.token_bytes(32)
    sink = _Hashed()
    table = partition.table.select([name for name in columns if name in partition.table.column_names])
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return sink.hash.digest()


class _Hashed:
    """A file that keeps nothing but the hash of what was written."""

    closed = False

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


def _step(step: Step) -> Iterable[bytes]:
    """What a step does, as bytes; of a join also what is joined."""
    yield f"\0{type(step).__name__}\0{step}".encode()
    if isinstance(step, Join):
        theirs, renamed = step.dimension, sorted(step.renamed.items())
        yield json.dumps([step.how, step.left_on, theirs.keys, renamed]).encode()
        names = [name for name in theirs.source.schema if name in step.renamed or name in theirs.keys]
        if isinstance(theirs.source, Source):
            yield snapshot(theirs.source, names).digest.encode()
    elif isinstance(step, Head):
        yield json.dumps(step.limits).encode()
    elif isinstance(step, AtPositions):
        yield step.bits.tobytes()
