"""What an artifact is: a flat folder whose manifest names, sizes and digests every other file. No code, no
pickle.

    manifest.json        the document, the list of files, versions, its own digest
    NAME.safetensors     named arrays
    NAME.arrow           a table
    NAME.ubj             a model in XGBoost's binary JSON

docs/artifact.md is the specification. This module knows no pipeline: the document is whatever its caller puts
there.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from gpupipe.artifact import canonical, commit, folder, tables, tensors
from gpupipe.artifact.folder import MANIFEST
from gpupipe.artifact.tensors import Array
from gpupipe.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ArtifactVersionError,
    ParameterError,
    nearest,
)

FORMAT = "gpupipe-artifact"
VERSION = 1

_ATTEMPTS = 3
_NONE: Mapping[str, Any] = MappingProxyType({})
_KEYS = {"format", "version", "gpupipe", "document", "files", "strings", "digest"}


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
        "gpupipe": metadata.version("gpupipe"),
        "document": document,
        "files": {name: {"size": len(data), "sha256": _sha256(data)} for name, data in files.items()},
        "strings": strings,
    }
    manifest["digest"] = _sha256(canonical.dumps(manifest))
    commit.publish(Path(path), {**files, MANIFEST: canonical.dumps(manifest)}, overwrite=overwrite)
    return str(manifest["digest"])


def read(path: str | os.PathLike[str]) -> Contents:
    """The artifact at `path`; each byte is read once, and nothing is used before all are verified.

    Raises:
        ArtifactNotFoundError: nothing is there.
        ArtifactVersionError: written in a format newer than this gpupipe knows.
        ArtifactCorruptError: anything else is wrong; the message names the file.
    """
    target = Path(os.path.abspath(path))
    for _ in range(_ATTEMPTS):
        commit.recover(target.parent)  # puts back an artifact that stood aside just then
        try:
            with folder.opened(target) as files:
                manifest = _read_manifest(files)
                data = _read_files(files, manifest["files"])
        except FileNotFoundError:
            continue
        return _contents(manifest, data)
    raise ArtifactNotFoundError(f"Nothing stands at {target}. {_neighbours(target)}")


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
        if not name.endswith(".ubj"):
            raise ParameterError(
                f"A blob cannot be called {name!r}; the one kind of blob there is ends in .ubj."
            )
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


def _read_manifest(files: dict[str, int | None]) -> dict[str, Any]:
    descriptor = files.get(MANIFEST)
    if descriptor is None:
        raise ArtifactCorruptError(f"There is no {MANIFEST}: not an artifact, or one that lost this file.")
    data = folder.read(descriptor, MANIFEST, canonical.MAX_BYTES)
    manifest = canonical.loads(data, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactCorruptError(
            f"{MANIFEST} is not that of a gpupipe artifact (its format is not {FORMAT!r})."
        )
    version = manifest.get("version")
    if type(version) is not int or version < 1:
        raise ArtifactCorruptError(f"{MANIFEST} has no version (found {version!r}).")
    if version > VERSION:  # before the digest: a newer format may have other rules for it
        raise ArtifactVersionError(
            f"The artifact is in format {version}, written by gpupipe {manifest.get('gpupipe')}; this is "
            "gpupipe "
            f"{metadata.version('gpupipe')}, which reads formats up to {VERSION}. Try: pip install "
            "--upgrade gpupipe"
        )
    _check_manifest(manifest, data)
    return manifest


def _check_manifest(manifest: dict[str, Any], data: bytes) -> None:
    if manifest.keys() != _KEYS:
        odd = sorted(manifest.keys() ^ _KEYS)
        raise ArtifactCorruptError(f"{MANIFEST} has keys missing or too many: {', '.join(odd)}.")
    try:
        canonical_bytes = canonical.dumps(manifest)
        covered = canonical.dumps({key: value for key, value in manifest.items() if key != "digest"})
    except ParameterError as error:
        raise ArtifactCorruptError(f"{MANIFEST} is not canonical JSON: {error}") from error
    if canonical_bytes != data or _sha256(covered) != manifest["digest"]:
        raise ArtifactCorruptError(f"{MANIFEST} was altered: its digest is not that of its contents.")
    if not _is_shaped(manifest):
        raise ArtifactCorruptError(f"{MANIFEST} does not list its files as this format does.")


def _is_shaped(manifest: dict[str, Any]) -> bool:
    files, strings = manifest["files"], manifest["strings"]
    return (
        isinstance(manifest["document"], dict)
        and isinstance(manifest["gpupipe"], str)
        and isinstance(files, dict)
        and all(folder.NAME.fullmatch(name) and name != MANIFEST for name in files)
        and all(isinstance(entry, dict) and entry.keys() == {"size", "sha256"} for entry in files.values())
        and all(type(entry["size"]) is int and isinstance(entry["sha256"], str) for entry in files.values())
        and isinstance(strings, dict)
        and all(name in files and isinstance(kinds, dict) for name, kinds in strings.items())
        and all(isinstance(kind, str) for kinds in strings.values() for kind in kinds.values())
    )


def _read_files(files: dict[str, int | None], listed: dict[str, Any]) -> dict[str, bytes]:
    if missing := sorted(listed.keys() - files.keys()):
        raise ArtifactCorruptError(f"{missing[0]} is missing, though the {MANIFEST} lists it.")
    if extra := sorted(files.keys() - listed.keys() - {MANIFEST}):
        raise ArtifactCorruptError(f"{extra[0]} is there, though the {MANIFEST} does not list it.")
    return {name: _read_file(files[name], name, entry) for name, entry in sorted(listed.items())}


def _read_file(descriptor: int | None, name: str, entry: dict[str, Any]) -> bytes:
    if descriptor is None:
        raise ArtifactCorruptError(f"{name} is not a regular file. Was it replaced by a link?")
    data = folder.read(descriptor, name, entry["size"])
    if len(data) != entry["size"]:
        raise ArtifactCorruptError(
            f"{name} is cut short: {len(data):,} bytes, and {entry['size']:,} were written."
        )
    if _sha256(data) != entry["sha256"]:
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
        blobs={name: data[name] for name, (_, kind) in stems.items() if kind == "ubj"},
        tables={
            stem: tables.decode(data[name], name) for name, (stem, kind) in stems.items() if kind == "arrow"
        },
        digest=manifest["digest"],
        written_by=manifest["gpupipe"],
    )


def _neighbours(target: Path) -> str:
    try:
        return nearest(
            target.name, sorted(name for name in os.listdir(target.parent) if not name.startswith("."))
        )
    except OSError:
        return f"There is no folder {target.parent} either."


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
