"""What stands in a folder of results: its files, the notes in them, its manifest; what is of ours is kept, no other."""

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.errors import ParameterError, RunBusyError, RunChangedError, counted
from gpupipe.sources.snapshot import Snapshot
from gpupipe.sources.write import WrittenFile
from gpupipe.storage import NO_LOCKS, ONE_FILE, disk, sweep

MANIFEST = "_manifest.json"
_NOTE = "gpupipe"  # in a file's metadata, and what marks a manifest as ours
_FORMAT = 1
_NAME = re.compile(r"part-(\d{5,})-of-(\d{5,})\.parquet")
_BLOCK, _READERS = 2**20, 8
_DAMAGED: tuple[dict[str, Any], None] = ({}, None)  # what `part_at` says of a file that is not as it was written


@dataclass(frozen=True)
class About:
    """What results are.

    Attributes:
        what: "features", "features of the training rows" or "predictions".
        pipeline: the digest of what was learned.
        keep: columns of the data that stand beside them.
        inputs: the rows that they are of.
    """

    what: str
    pipeline: str
    keep: tuple[str, ...]
    inputs: Snapshot

    @property
    def n_files(self) -> int:
        return self.inputs.n_partitions

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(json.dumps(self._told()).encode()).hexdigest()

    def noted(self) -> dict[str, Any]:
        """As it stands in each file and in the manifest."""
        return {_NOTE: _FORMAT, "digest": self.digest, **self._told()}

    def _told(self) -> dict[str, Any]:
        told = {"what": self.what, "pipeline": self.pipeline, "keep": list(self.keep)}
        return {**told, "inputs": self.inputs.digest, "of": self.n_files}


@dataclass(frozen=True, slots=True)
class Part:
    """A file of results: its number, rows, bytes, and their SHA-256."""

    number: int
    rows: int
    nbytes: int
    sha256: str

    def told(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return {"rows": self.rows, "bytes": self.nbytes, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Standing:
    """The files that stand and need not be made, by number; `is_whole`: all of them, and the manifest."""

    parts: Mapping[int, Part]
    is_whole: bool = False

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts.values())


def name_of(number: int, n_files: int) -> str:
    """The name of a file: so sorted, they are in the order of rows.

    >>> name_of(17, 1000)
    'part-00017-of-01000.parquet'
    """
    return f"part-{number:05}-of-{n_files:05}.parquet"


def is_dataset(folder: Path) -> bool:
    """Whether a folder holds files by such names."""
    return folder.is_dir() and any(_NAME.fullmatch(name) for name in disk.listdir(folder))


def note_of(about: About, number: int, came_from: Mapping[str, Any], data: WrittenFile) -> dict[str, str]:
    """What a file says of itself in its metadata: of `data`, all that stands before it, too."""
    told = {"bytes": data.nbytes, "sha256": data.sha256}
    return {_NOTE: json.dumps({**about.noted(), "number": number, "from": came_from, "data": told})}


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Only one process is inside for a folder; the lock goes with the process, whatever ends it.

    Where the file system has no locks there is none: files are then still made where none stands, and never mixed.

    Raises:
        RunBusyError: another one is.
    """
    descriptor = disk.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            disk.lock(descriptor)
        except BlockingIOError:
            raise RunBusyError(
                f"Another process is writing results to {folder}. Wait for it, or choose another folder."
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS | {errno.EBADF}:  # the last: of folders, over a network
                raise
        yield
    finally:
        with contextlib.suppress(OSError):  # nothing was written by it
            disk.close(descriptor)


def standing(folder: Path, about: About, *, overwrite: bool = False) -> Standing:
    """What stands in a folder and is of these results. What dead writers left there goes, and what a power failure
    damaged: it is made anew.

    Args:
        overwrite: other results that stand there go too.

    Raises:
        ParameterError: something stands there that is no result.
        RunChangedError: results stand there that are not these; the message says what differs.
        OSError: it cannot be looked at.
    """
    sweep(folder, ONE_FILE)
    names = [name for name in disk.listdir(folder) if not name.startswith(("_", "."))]
    _refuse_others(folder, names)
    manifest = _manifest(folder)
    if manifest is not None and manifest["digest"] == about.digest and _all_there(folder, names, manifest):
        return Standing({at: _listed(at, file) for at, file in enumerate(manifest["files"])}, is_whole=True)
    with ThreadPoolExecutor(_READERS, thread_name_prefix="gpupipe") as pool:
        found = dict(zip(names, pool.map(lambda name: part_at(folder / name), names), strict=True))
    kept = {name: part for name, (note, part) in found.items() if part and _is_ours(name, note, part, about)}
    wanted = {name_of(number, about.n_files) for number in range(about.n_files)}
    damaged = {name for name, file in found.items() if file == _DAMAGED and name in wanted}
    others = sorted(set(names) - kept.keys() - damaged)
    is_other = manifest is not None and manifest["digest"] != about.digest
    if (others or is_other) and not overwrite:
        raise _changed(folder, about, manifest, others, {name: found[name][0] for name in others})
    if manifest is not None:  # first: what it lists will not stand any more
        disk.unlink(folder / MANIFEST)
    for name in [*sorted(damaged), *others]:
        disk.unlink(folder / name)
    return Standing({part.number: part for part in kept.values()})


def part_at(path: Path) -> tuple[dict[str, Any] | None, Part | None]:
    """The note in a file, and the file itself, read through. Of Parquet without such a note (None, None); of what
    cannot be read, or has not the bytes that its note tells, as a power failure may leave it, `_DAMAGED`.
    """
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return _DAMAGED
    try:
        note = json.loads((metadata.metadata or {})[_NOTE.encode()])
        number, nbytes, sha256 = int(note["number"]), int(note["data"]["bytes"]), note["data"]["sha256"]
    except (LookupError, TypeError, ValueError):
        return None, None
    with open(path, "rb", buffering=0) as file:
        hashed = hashlib.sha256()
        _hash(file, hashed, nbytes)
        if hashed.hexdigest() != sha256:
            return _DAMAGED
        _hash(file, hashed, None)
        return note, Part(number, metadata.num_rows, file.tell(), hashed.hexdigest())


def _hash(file: IO[bytes], hashed: Any, nbytes: int | None) -> None:
    """Take in the next bytes of a file; None: all."""
    while block := file.read(_BLOCK if nbytes is None else min(_BLOCK, nbytes)):
        hashed.update(block)
        nbytes = None if nbytes is None else nbytes - len(block)


def _is_ours(name: str, note: Mapping[str, Any] | None, part: Part, about: About) -> bool:
    return note is not None and note.get("digest") == about.digest and name == name_of(part.number, about.n_files)


def _refuse_others(folder: Path, names: Sequence[str]) -> None:
    others = sorted(name for name in names if _NAME.fullmatch(name) is None)
    if others:
        raise ParameterError(
            f"{folder} holds {', '.join(others[:4])}{', …' if len(others) > 4 else ''}: whoever reads the folder as "
            "one table would read that too. Choose a new folder, or one that holds nothing but results."
        )


def _manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest that stands there.

    Raises:
        ParameterError: one of something else.
    """
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes())
        _ = found[_NOTE], found["digest"], [_listed(at, file) for at, file in enumerate(found["files"])]
        _ = [each["rows"] for each in found.get("left_out", ())]
    except FileNotFoundError:
        return None
    except (LookupError, TypeError, ValueError):
        raise ParameterError(f"{path} is no manifest of results. Choose another folder, or remove it.") from None
    return dict(found)


def _listed(number: int, file: Mapping[str, Any]) -> Part:
    return Part(number, int(file["rows"]), int(file["bytes"]), str(file["sha256"]))


def _all_there(folder: Path, names: Iterable[str], manifest: Mapping[str, Any]) -> bool:
    """Whether all that a manifest lists stands there, and no partition was left out."""
    sizes = {file["name"]: file["bytes"] for file in manifest["files"]}
    return (
        not any(each["rows"] is not None for each in manifest.get("left_out", ()))
        and sizes.keys() == set(names)
        and all(disk.stat(folder / name).st_size == sizes[name] for name in names)
    )


# -- what differs -----------------------------------------------------------------------------------------
def _changed(
    folder: Path,
    about: About,
    manifest: Mapping[str, Any] | None,
    others: Sequence[str],
    notes: Mapping[str, Mapping[str, Any] | None],
) -> RunChangedError:
    known = [note for note in (manifest, *notes.values()) if note]
    if known:
        files = [file.get("from", {}) for file in manifest["files"]] if manifest else [note["from"] for note in known]
        told = "; ".join(_differences(known[0], about, files, manifest is not None))
    else:
        told = f"{others[0]} is damaged, or was not written by gpupipe"
    return RunChangedError(
        f"{folder} holds other results than these: {told}. Choose another folder, or ask for these in their place "
        "(overwrite=True, --overwrite)."
    )


def _differences(
    theirs: Mapping[str, Any], about: About, files: Sequence[Mapping[str, Any]], is_whole: bool
) -> Iterator[str]:
    if theirs.get("what") != about.what:
        yield f"they are {theirs.get('what')}, and these are {about.what}"
    if theirs.get("pipeline") != about.pipeline:
        digests = (str(theirs.get("pipeline"))[:8], about.pipeline[:8])
        yield "they are of another pipeline, or of another fit of it (digest {}…, this one's is {}…)".format(*digests)
    if theirs.get("keep") != list(about.keep):
        kept = ", ".join(theirs.get("keep") or ()) or "no column"
        yield f"they keep {kept} of the data, and these {', '.join(about.keep) or 'none'}"
    if theirs.get("inputs") != about.inputs.digest:
        yield next(_of_inputs(theirs, about, files, is_whole))


def _of_inputs(
    theirs: Mapping[str, Any], about: About, files: Sequence[Mapping[str, Any]], is_whole: bool
) -> Iterator[str]:
    then = {file["file"]: (file["bytes"], file["changed_ns"]) for file in files if "file" in file}
    now = {path: (size, changed) for path, size, changed in about.inputs.files}
    changed = [path for path, state in then.items() if path in now and now[path] != state]
    gone, new = [path for path in then if path not in now], [path for path in now if is_whole and path not in then]
    for paths, what in ((changed, "changed since"), (gone, "not among the inputs now"), (new, "new among the inputs")):
        if paths and (then or now):
            more = f" (and {counted(len(paths) - 1, 'other')})" if len(paths) > 1 else ""
            yield f"{paths[0]}{more} is {what}"
    if theirs.get("of") != about.n_files:
        yield f"their rows were cut into {theirs.get('of')} parts, and these into {about.n_files}"
    yield "they are of other rows, or something else was done to them on the way"
