"""Results as a folder of Parquet files, one a partition of the rows: each is whole or not there, and made once.

A file is made by whoever computes it, a thread or a worker of a cluster, and has its name only when it is on the disk.
Beside its columns it says of what pipeline, of what inputs and of which of their rows it is; so what a run that was
killed left is known again by the next one, which makes the others. Names follow from the inputs alone. The manifest is
written last: where it stands, all of them do.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.columns import Frame
from gpupipe.errors import InternalError, RunChangedError
from gpupipe.runtime.crew import crew_for
from gpupipe.runtime.orders import Order, Work
from gpupipe.runtime.progress import told
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.standing import (
    MANIFEST,
    About,
    Part,
    Standing,
    claimed,
    name_of,
    note_of,
    part_at,
    standing,
)
from gpupipe.sources.snapshot import at_partitions, came_from
from gpupipe.sources.source import Source
from gpupipe.sources.write import force, write_bytes, write_part
from gpupipe.storage import failing, made_folders, place, sync_folder

_AT_A_TIME = 8  # files that are forced to the disk

#: An order that gives a partition's results as a table, or as tables one below the other.
Tables = Order[Any]


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in a folder of results.

    Attributes:
        folder: its path.
        rows, files: how many, in all.
        made: how many of the files were made now; the others stood there.
    """

    folder: Path
    rows: int
    files: int
    made: int


@dataclass(frozen=True, eq=False)
class Writing:
    """The order to write the results of each partition to a file of its own.

    Attributes:
        folder: where; it is there.
        about: what the results are.
        tables: makes the results.
        encodings: as `write_parquet` takes them; None: fractions, which seldom repeat, without dictionaries.
        numbers: the number of each of the rows' partitions among all.
        done: those of them whose files stand.
    """

    stage: str
    folder: Path
    about: About
    tables: Tables
    encodings: Mapping[str, str] | None
    numbers: Sequence[int]
    done: frozenset[int] = frozenset()
    columns: Sequence[str] | None = None

    def ready(self) -> Work[list[Part]]:
        """Writes the file of a partition."""
        tables = self.tables.ready()

        def work(rows: Any, index: int, frame: Frame) -> list[Part]:
            number = self.numbers[index]
            if number in self.done:
                return []
            found = tables(rows, index, frame)
            return [self._written(found, number, came_from(rows.source.partitions[index]))]

        return work

    def _written(self, found: pa.Table | list[pa.Table], number: int, origin: Mapping[str, Any]) -> Part:
        parts = [found] if isinstance(found, pa.Table) else found
        # of halves, as where memory lacked, one table: its bytes must not tell
        table = parts[0] if len(parts) == 1 else pa.concat_tables(parts)
        target = self.folder / name_of(number, self.about.n_files)
        note = partial(note_of, self.about, number, origin)
        encodings = _plain_floats(table.schema) if self.encodings is None else self.encodings
        file = write_part(table.combine_chunks(), target, note, encodings)
        if file is None:  # done twice: by a worker that was thought lost, or by another process
            return _of_another(target, self.about, number)
        return Part(number, file.rows, file.nbytes, file.sha256)


def _plain_floats(schema: pa.Schema) -> dict[str, str]:
    return {column.name: "PLAIN" for column in schema if pa.types.is_floating(column.type)}


def _of_another(target: Path, about: About, number: int) -> Part:
    note, part = part_at(target)
    if note is None or part is None or note["digest"] != about.digest or part.number != number:
        raise RunChangedError(f"{target} was written meanwhile by something else. Let one run at a time write there.")
    return part


def write_folder(
    out: object,
    about: About,
    rows: Rows,
    tables: Tables,
    encodings: Mapping[str, str] | None,
    *,
    cut: Callable[[Source], Rows] | None = None,
    overwrite: bool = False,
) -> Written:
    """Make the results of all `rows` stand in the folder `out`, a file a partition, and a manifest of them.

    Files that stand there and are of the same results are kept, and only the others made.

    Args:
        about: what the results are.
        rows: all of them.
        tables: makes them.
        encodings: as for :class:`Writing`.
        cut: some of the source's partitions to the rows to read; None: `rows` are read whatever is missing.
        overwrite: results of something else that stand there go; nothing else does.

    Raises:
        ParameterError: something else than results stands in the folder.
        RunChangedError: results of something else stand there.
        RunBusyError: another process is at work on the folder.
        StorageError: it cannot be written. What is there is whole, and the next try goes on from it.
    """
    folder = place(out)
    with contextlib.ExitStack() as stack:
        with failing(f"The results were not written to {folder}", folder):
            stack.enter_context(made_folders(folder))
            stack.enter_context(claimed(folder))
            there = standing(folder, about, overwrite=overwrite)
        if there.is_whole:
            return Written(folder, there.rows, about.n_files, 0)
        made = list(_made(folder, about, rows, there, tables, encodings, cut))
        return _finished(folder, about, rows.source, there, made)


def _made(
    folder: Path,
    about: About,
    rows: Rows,
    there: Standing,
    tables: Tables,
    encodings: Mapping[str, str] | None,
    cut: Callable[[Source], Rows] | None,
) -> Iterator[Part]:
    missing = [number for number in range(about.n_files) if number not in there.parts]
    if not missing:
        return
    order = partial(Writing, about.what, folder, about, tables, encodings)
    if cut is None or len(missing) == about.n_files:
        ordered = order(range(about.n_files), frozenset(there.parts))
    else:
        rows, ordered = cut(at_partitions(rows.source, missing)), order(missing)
    with rows.closed_on_error(), crew_for(rows) as crew, told(about.what, rows) as progress:
        yield from chain.from_iterable(crew.listed(rows, ordered, progress))


def _finished(folder: Path, about: About, source: Source, there: Standing, made: Sequence[Part]) -> Written:
    parts = {**there.parts, **{part.number: part for part in made}}
    if len(parts) != about.n_files:
        raise InternalError(f"{len(parts)} of {about.n_files} files were made, and no error was told.")
    files = [
        {"name": name_of(number, about.n_files), **parts[number].told(), "from": came_from(source.partitions[number])}
        for number in range(about.n_files)
    ]
    rows = sum(part.rows for part in parts.values())
    schema = pq.read_schema(folder / name_of(0, about.n_files))
    columns = {name: str(schema.field(name).type) for name in schema.names}
    document: dict[str, Any] = {**about.noted(), "rows": rows, "columns": columns, "files": files}
    with failing(f"The manifest of {folder} was not written", folder):
        _force_all(folder, [file["name"] for file in files])  # before the manifest says that they stand
    write_bytes(json.dumps(document, indent=1).encode(), folder / MANIFEST, "The manifest")
    with failing(f"The results stand, whole, in {folder}, but may be lost if the power fails", folder):
        sync_folder(folder)
    return Written(folder, rows, about.n_files, len(made))


def _force_all(folder: Path, names: Sequence[str]) -> None:
    """Force files to the disk, and their names."""
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="gpupipe") as pool:
        for _ in pool.map(lambda name: force(folder / name), names):
            pass
    sync_folder(folder)
