"""Reading a manifest: the first file of an artifact, and the one that says what the others are."""

import hashlib
from typing import Any

from gpupipe.artifact import canonical, folder
from gpupipe.artifact.folder import MANIFEST
from gpupipe.errors import ArtifactCorruptError, ArtifactVersionError, ParameterError
from gpupipe.optional import version_of

FORMAT = "gpupipe-artifact"
VERSION = 1

_KEYS = {"format", "version", "gpupipe", "document", "files", "strings", "digest"}
_DIGEST = len('{"digest":"') + 64 + len('",')  # where the manifest goes on after its digest, which stands first


def read_manifest(files: dict[str, int | None]) -> dict[str, Any]:
    """The manifest among open files, its digest checked and its entries of the types they are written in.

    Raises:
        ArtifactVersionError: of a format newer than this gpupipe knows.
        ArtifactCorruptError: it is missing, altered, or no manifest.
    """
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
        raise ArtifactCorruptError(f"{MANIFEST} has no version (found {repr(version)[:40]}).")
    if version > VERSION:  # before the digest: a newer format may have other rules for it
        raise ArtifactVersionError(
            f"The artifact is in format {plain(version)}, written by gpupipe {plain(manifest.get('gpupipe'))}; this "
            f"is gpupipe {version_of('gpupipe')}, which reads formats up to {VERSION}. Try: pip install "
            "--upgrade gpupipe"
        )
    _check_manifest(manifest, data)
    return manifest


def plain(found: Any, most: int = 100) -> str:
    """What a file says, fit to be shown: short, and nothing in it that a terminal would obey.

    >>> plain("a\\x1b[31m"), plain("z" * 9, most=3)
    ('a\\\\x1b[31m', 'zzz…')
    """
    text = found if isinstance(found, str) else repr(found)
    text = text if len(text) <= most else f"{text[:most]}…"
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _check_manifest(manifest: dict[str, Any], data: bytes) -> None:
    if manifest.keys() != _KEYS:
        odd = ", ".join(sorted(manifest.keys() ^ _KEYS))
        raise ArtifactCorruptError(f"{MANIFEST} has keys missing or too many: {plain(odd)}.")
    try:
        is_canonical = canonical.dumps(manifest) == data
    except ParameterError as error:
        raise ArtifactCorruptError(f"{MANIFEST} is not canonical JSON: {plain(str(error))}") from error
    if not is_canonical or sha256(_covered(data)) != manifest["digest"]:
        raise ArtifactCorruptError(f"{MANIFEST} was altered: its digest is not that of its contents.")
    if not _is_shaped(manifest):
        raise ArtifactCorruptError(f"{MANIFEST} does not list its files as this format does.")


def _covered(data: bytes) -> bytes:
    """The canonical bytes of a manifest without its digest, from those with it."""
    return b"{" + data[_DIGEST:]


def _is_shaped(manifest: dict[str, Any]) -> bool:
    files, strings = manifest["files"], manifest["strings"]
    return (
        isinstance(manifest["document"], dict)
        and isinstance(manifest["gpupipe"], str)
        and isinstance(files, dict)
        and all(folder.NAME.fullmatch(name) and not name.endswith(".json") for name in files)
        and all(isinstance(entry, dict) and entry.keys() == {"size", "sha256"} for entry in files.values())
        and all(type(entry["size"]) is int and isinstance(entry["sha256"], str) for entry in files.values())
        and isinstance(strings, dict)
        and all(name in files and name.endswith(".safetensors") for name in strings)
        and all(isinstance(kinds, dict) for kinds in strings.values())
        and all(isinstance(kind, str) for kinds in strings.values() for kind in kinds.values())
    )


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()
