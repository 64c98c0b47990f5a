"""Results as a folder of Parquet files, one a partition of the rows: each is whole or not there, and made once.

A file is made by whoever computes it, a thread or a worker of a cluster, and has its name only when it is on the disk.
Beside its columns it says of what pipeline, of what inputs and of which of their rows it is; so what a run that was
killed left is known again by the next one, which makes the others. Names follow from the inputs alone. The manifest is
written last: where it stands, all of them do.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.columns import Frame
from gpupipe.errors import FileFormatError, InternalError, RunChangedError, counted
from gpupipe.runtime.crew import crew_for
from gpupipe.runtime.orders import Order, Work
from gpupipe.runtime.progress import told
from gpupipe.runtime.quarantine import LeftOut, Quarantine
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.standing import (
    MANIFEST,
    About,
    Part,
    claimed,
    name_of,
    note_of,
    part_at,
    standing,
)
from gpupipe.sources.snapshot import came_from
from gpupipe.sources.write import force, write_bytes, write_part
from gpupipe.storage import ONE_FILE, failing, made_folders, place, sweep, sync_folder

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
        left_out: what could not be read now: partitions without a file, and inputs that are no partition of the rows.
    """

    folder: Path
    rows: int
    files: int
    made: int
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, eq=False)
class Writing:
    """The order to write the results of each partition to a file of its own.

    Attributes:
        folder: where; it is there.
        about: what the results are.
        tables: makes the results.
        encodings: as `write_parquet` takes them; None: fractions, which seldom repeat, without dictionaries.
        done: the partitions that need no file: it stands, or they are left out.
    """

    stage: str
    folder: Path
    about: About
    tables: Tables
    encodings: Mapping[str, str] | None
    done: frozenset[int] = frozenset()
    columns: Sequence[str] | None = None

    def ready(self) -> Work[Part | None]:
        """Writes the file of a partition."""
        tables = self.tables.ready()

        def work(rows: Any, index: int, frame: Frame) -> Part | None:
            if index in (rows.quarantine or ()):
                return None
            return self._written(tables(rows, index, frame), index, came_from(rows.source.partitions[index]))

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
    overwrite: bool = False,
    quarantine: Quarantine | None = None,
) -> Written:
    """Make the results of all `rows` stand in the folder `out`, a file a partition, and a manifest of them.

    Files that stand there and are of the same results are kept, and only the others made.

    Args:
        about: what the results are.
        rows: all of them.
        tables: makes them.
        encodings: as for :class:`Writing`.
        overwrite: results of something else that stand there go; nothing else does.
        quarantine: where partitions go that cannot be read, and get no file; None: their error is raised.

    Raises:
        ParameterError: something else than results stands in the folder.
        RunChangedError: results of something else stand there.
        RunBusyError: another process is at work on the folder.
        FileFormatError: all partitions are in the quarantine.
        StorageError: it cannot be written. What is there is whole, and the next try goes on from it.
    """
    folder = place(out)
    with contextlib.ExitStack() as stack:
        with failing(f"The results were not written to {folder}", folder):
            stack.enter_context(made_folders(folder))
            stack.enter_context(claimed(folder))
            there = standing(folder, about, overwrite=overwrite)
        rows.quarantine = quarantine
        job = _Job(folder, about, rows, tables, encodings, dict(there.parts))
        if there.is_whole:
            written = Written(folder, there.rows, about.n_files, 0, job.left_out)
        else:
            job.make_all()
            written = job.finished(len(there.parts))
        if rows.heard is not None:
            rows.heard.left_out.extend(written.left_out)
        return written


@dataclass(eq=False)
class _Job:
    """Files to be made in a folder that is ours meanwhile.

    Attributes:
        parts: the files that stand, by number.
    """

    folder: Path
    about: About
    rows: Rows
    tables: Tables
    encodings: Mapping[str, str] | None
    parts: dict[int, Part]

    @property
    def missing(self) -> list[int]:
        """The partitions that have no file yet, and are not left out."""
        left_out = self.rows.quarantine or ()
        return [at for at in range(self.about.n_files) if at not in self.parts and at not in left_out]

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What could not be read."""
        return () if self.rows.quarantine is None else self.rows.quarantine.found

    def make_all(self) -> None:
        """Make what is missing."""
        if missing := self.missing:
            with crew_for(self.rows) as crew, told(self.about.what, self.rows) as progress:
                made = crew.listed(self.rows, self._order(missing), progress)
            self.parts |= {part.number: part for part in made if part is not None}

    def _order(self, numbers: Sequence[int]) -> Writing:
        others = frozenset(range(self.about.n_files)) - frozenset(numbers)
        return Writing(self.about.what, self.folder, self.about, self.tables, self.encodings, others)

    def finished(self, stood: int) -> Written:
        """Write the manifest; `stood` files were there."""
        if self.missing:
            raise InternalError(f"{len(self.missing)} of {self.about.n_files} files were not made, and no error told.")
        if not self.parts:
            why = self.left_out[0].why
            raise FileFormatError(f"None of {counted(self.about.n_files, 'partition')} can be read. The first: {why}")
        files = [self._told(number) for number in sorted(self.parts)]
        rows = sum(part.rows for part in self.parts.values())
        schema = pq.read_schema(self.folder / files[0]["name"])
        columns = {name: str(schema.field(name).type) for name in schema.names}
        document: dict[str, Any] = {**self.about.noted(), "rows": rows, "columns": columns, "files": files}
        document["left_out"] = [each._asdict() for each in self.left_out]
        _publish(self.folder, document)
        return Written(self.folder, rows, len(files), len(files) - stood, self.left_out)

    def _told(self, number: int) -> dict[str, Any]:
        name, origin = name_of(number, self.about.n_files), came_from(self.rows.source.partitions[number])
        return {"name": name, **self.parts[number].told(), "from": origin}


def _publish(folder: Path, manifest: Mapping[str, Any]) -> None:
    sweep(folder, ONE_FILE)  # of workers that died meanwhile
    with failing(f"The manifest of {folder} was not written", folder):
        _force_all(folder, [file["name"] for file in manifest["files"]])  # before it says that they stand
    write_bytes(json.dumps(manifest, indent=1).encode(), folder / MANIFEST, "The manifest")
    with failing(f"The results stand, whole, in {folder}, but may be lost if the power fails", folder):
        sync_folder(folder)


def _force_all(folder: Path, names: Sequence[str]) -> None:
    """Force files to the disk, and their names."""
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="gpupipe") as pool:
        for _ in pool.map(lambda name: force(folder / name), names):
            pass
    sync_folder(folder)
