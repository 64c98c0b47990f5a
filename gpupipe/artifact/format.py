"""What an artifact is: a flat folder whose manifest names, sizes and digests every other file. No code, no
pickle.

    manifest.json        the document, the list of files, versions, its own digest
    NAME.safetensors     named arrays
    NAME.arrow           a table
    NAME.ubj             a model in XGBoost's binary JSON
    NAME.skops           a model in a part of skops's format

docs/artifact.md is the specification. This module knows no pipeline: the document is whatever its caller puts
there.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from gpupipe.artifact import canonical, commit, folder, tables, tensors
from gpupipe.artifact.folder import MANIFEST
from gpupipe.artifact.manifest import FORMAT, VERSION, plain, read_manifest, sha256
from gpupipe.artifact.tensors import Array
from gpupipe.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ParameterError,
    nearest,
)
from gpupipe.optional import version_of
from gpupipe.storage import disk, failing, place, stands_aside

_ATTEMPTS, _LOOKS = 100, 3
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What an artifact holds, every byte of it verified.

    Attributes:
        document: the JSON document.
        arrays: file stem to its arrays by name; NumPy arrays are read-only, strings are Arrow arrays.
        blobs: file name to bytes.
        tables: file stem to Arrow table.
        digest: SHA-256 of the manifest without it, in hexadecimal; it covers all files.
        written_by: the version of gpupipe that wrote it.
    """

    document: dict[str, Any]
    arrays: dict[str, dict[str, Array]]
    blobs: dict[str, bytes]
    tables: dict[str, pa.Table]
    digest: str
    written_by: str


def write(
    path: str | os.PathLike[str],
    *,
    document: dict[str, Any],
    arrays: Mapping[str, Mapping[str, Array]] = _NONE,
    blobs: Mapping[str, bytes] = _NONE,
    tables: Mapping[str, pa.Table] = _NONE,
    overwrite: bool = False,
) -> str:
    """Publish an artifact at `path` in one step, and give back its digest. Files have mode 0600, the folder
    0700.

    Args:
        path: a folder that is not there yet; missing parents are made.
        document: JSON values (see :mod:`gpupipe.artifact.canonical`; NaN and infinities are kept, tuples
            become lists).
        arrays: file stem ("state") to named arrays: NumPy's of bool, integer or float dtype, Arrow's of
            strings.
        blobs: file name ("model.ubj") to bytes.
        tables: file stem ("probe") to Arrow table.
        overwrite: replace the artifact that stands there. Nothing but an artifact is ever replaced.

    Raises:
        ArtifactExistsError: something stands there.
        ParameterError: a file name that is not allowed, or a document JSON cannot hold.
        UnsafeModelError: an array or table with no safe form.

    >>> import tempfile, numpy as np
    >>> path = tempfile.mkdtemp() + "/churn.gpp"
    >>> digest = write(path, document={"target": "churned"}, arrays={"state": {"mean": np.array([1.5])}})
    >>> contents = read(path)
    >>> contents.document, contents.arrays["state"]["mean"].tolist(), contents.digest == digest
    ({'target': 'churned'}, [1.5], True)
    """
    files, strings = _encode_files(arrays, blobs, tables)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "gpupipe": version_of("gpupipe"),
        "document": document,
        "files": {name: {"size": len(data), "sha256": sha256(data)} for name, data in files.items()},
        "strings": strings,
    }
    manifest["digest"] = sha256(canonical.dumps(manifest))
    commit.publish(place(path), {**files, MANIFEST: canonical.dumps(manifest)}, overwrite=overwrite)
    return str(manifest["digest"])


def read(path: str | os.PathLike[str]) -> Contents:
    """The artifact at `path`; each byte is read once, and nothing is used before all are verified.

    Raises:
        ArtifactNotFoundError: nothing is there.
        ArtifactVersionError: written in a format newer than this gpupipe knows.
        ArtifactCorruptError: anything else is wrong; the message names the file.
        StorageError: the disk fails, or the artifact may not be read.
    """
    target = place(path)
    if "\0" in str(target):  # which no file system can hold
        raise ArtifactNotFoundError(f"Nothing stands at {str(target)!r}: a path has no NUL in it.")
    with failing(f"The artifact {target} was not read", target, reading=True), _damage_of(target):
        return _contents(*_verified(target))


def _verified(target: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the bytes of all files it lists."""
    absent = 0
    for _ in range(_ATTEMPTS):
        commit.recover(target.parent)  # puts back an artifact that stood aside just then
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), folder.opened(target) as files:
            manifest = read_manifest(files)
            return manifest, _read_files(files, manifest["files"])
        absent += not _comes_and_goes(target)
        if absent == _LOOKS:
            break
    raise ArtifactNotFoundError(f"Nothing stands at {target}. {_neighbours(target)}")


def _comes_and_goes(target: Path) -> bool:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # a folder not to be listed
        return stands_aside(target)
    return False


@contextlib.contextmanager
def _damage_of(target: Path) -> Iterator[None]:
    """Errors of one file, which name it, become errors of the artifact that say what to do."""
    try:
        yield
    except ArtifactCorruptError as error:
        if isinstance(error.__context__, NotADirectoryError):  # a file, which no artifact ever was
            raise
        raise ArtifactCorruptError(
            f"{target} is no whole artifact: {plain(str(error), 2_000)} If it was one, it is damaged: restore a copy, "
            "or save it again."
        ) from error


def _encode_files(
    arrays: Mapping[str, Mapping[str, Array]], blobs: Mapping[str, bytes], tables_: Mapping[str, pa.Table]
) -> tuple[dict[str, bytes], dict[str, dict[str, str]]]:
    files: dict[str, bytes] = {}
    strings: dict[str, dict[str, str]] = {}
    for stem, group in arrays.items():
        name = _allowed(f"{stem}.safetensors")
        files[name], kinds = tensors.encode(group)
        if kinds:
            strings[name] = kinds
    for stem, table in tables_.items():
        files[_allowed(f"{stem}.arrow")] = tables.encode(table, stem)
    for name, blob in blobs.items():
        if name.rpartition(".")[2] not in folder.BLOBS:
            raise ParameterError(f"A blob cannot be called {name!r}; blobs end in .ubj or .skops.")
        files[_allowed(name)] = bytes(blob)
    if len(files) >= folder.MAX_FILES:
        raise ParameterError(
            f"{len(files)} files asked for; with its manifest an artifact has {folder.MAX_FILES}."
        )
    return files, strings


def _allowed(name: str) -> str:
    if not folder.NAME.fullmatch(name):
        raise ParameterError(
            f"A file cannot be called {name!r}: lower-case letters, digits, - and _, at most 64."
        )
    return name


def _read_files(files: dict[str, int | None], listed: dict[str, Any]) -> dict[str, bytes]:
    if missing := sorted(listed.keys() - files.keys()):
        raise ArtifactCorruptError(f"{missing[0]} is missing, though the {MANIFEST} lists it.")
    if extra := sorted(files.keys() - listed.keys() - {MANIFEST}):
        raise ArtifactCorruptError(f"{plain(extra[0])} is there, though the {MANIFEST} does not list it.")
    _refuse_huge(listed)
    return {name: _read_file(files[name], name, entry) for name, entry in sorted(listed.items())}


def _refuse_huge(listed: dict[str, Any]) -> None:
    """A file with holes takes no room on the disk, and all of its size in memory."""
    size = sum(entry["size"] for entry in listed.values())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise ArtifactCorruptError(
            f"The {MANIFEST} lists {plain(size)} bytes of files, and this machine has {memory} bytes of memory."
        )


def _read_file(descriptor: int | None, name: str, entry: dict[str, Any]) -> bytes:
    if descriptor is None:
        raise ArtifactCorruptError(f"{name} is not a regular file. Was it replaced by a link?")
    data = folder.read(descriptor, name, entry["size"])
    if len(data) != entry["size"]:
        raise ArtifactCorruptError(
            f"{name} is cut short: {len(data):,} bytes, and {plain(entry['size'])} were written."
        )
    if sha256(data) != entry["sha256"]:
        raise ArtifactCorruptError(
            f"{name} was altered: its bytes do not match the digest in the {MANIFEST}."
        )
    return data


def _contents(manifest: dict[str, Any], data: dict[str, bytes]) -> Contents:
    strings = manifest["strings"]
    stems = {name: name.rpartition(".")[::2] for name in data}
    return Contents(
        document=manifest["document"],
        arrays={
            stem: tensors.decode(data[name], strings.get(name, {}), name)
            for name, (stem, kind) in stems.items()
            if kind == "safetensors"
        },
        blobs={name: data[name] for name, (_, kind) in stems.items() if kind in folder.BLOBS},
        tables={
            stem: tables.decode(data[name], name) for name, (stem, kind) in stems.items() if kind == "arrow"
        },
        digest=manifest["digest"],
        written_by=manifest["gpupipe"],
    )


def _neighbours(target: Path) -> str:
    try:
        names = sorted(name for name in disk.listdir(target.parent) if not name.startswith("."))
        return nearest(target.name, names) if names else f"The folder {target.parent} is empty."
    except OSError:
        return f"There is no folder {target.parent} either."
