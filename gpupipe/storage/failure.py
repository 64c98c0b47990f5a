"""What the system's errors mean to a user: one line that says what failed, where, why, and what to try."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from gpupipe.errors import GpupipeError, ParameterError, StorageError
from gpupipe.storage.calls import disk

_SPACE = (errno.ENOSPC, errno.EDQUOT)
_TRY = {
    errno.ENOSPC: "The disk is full: free some space, or choose a place on another disk.",
    errno.EDQUOT: "Your quota is used up: remove files of yours, or choose another place.",
    errno.EFBIG: "That is larger than a file may be here: see `ulimit -f`, or choose a place on another disk.",
    errno.EROFS: "The file system is read-only: choose another place.",
    errno.EACCES: "You may not do that there: change the permissions (chmod, chown), or choose another place.",
    errno.EPERM: "You may not do that there: change the permissions (chmod, chown), or choose another place.",
    errno.EIO: "The disk or the way to it fails: check it, and keep what matters elsewhere.",
    errno.EMFILE: "This process has too many files open: close some, or raise the limit (`ulimit -n`).",
    errno.ENFILE: "The system has too many files open: close some.",
    errno.ENOENT: "Make the folder first, or correct the path.",
    errno.ENOTDIR: "A part of the path is a file and no folder: correct the path.",
    errno.EISDIR: "A folder stands there: choose another path, or remove the folder.",
    errno.ENAMETOOLONG: "Choose a shorter name: at most 220 bytes, as a temporary one is made of it.",
}
_TRY_READING = {
    errno.EACCES: "You may not read it: change the permissions (chmod, chown).",
    errno.EPERM: "You may not read it: change the permissions (chmod, chown).",
    errno.ENAMETOOLONG: "Correct the path.",
}


@contextlib.contextmanager
def failing(what: str, place: Path, needed: int | None = None, *, reading: bool = False) -> Iterator[None]:
    """Inside, the system's errors become a StorageError; errors that are ours already pass.

    Args:
        what: what then did not happen, as a sentence without its full stop.
        place: the path it is about; the free space there is told where that is what lacks.
        needed: bytes to be written, where that is known.
        reading: whether it is about reading, so that another place is no way out.

    >>> with failing("The scores were not written to /nowhere/s.parquet", Path("/nowhere/s.parquet")):
    ...     disk.stat("/nowhere")
    Traceback (most recent call last):
    ...
    gpupipe.errors.StorageError: The scores were not written to /nowhere/s.parquet: No such file or directory, at \
/nowhere. Make the folder first, or correct the path.
    """
    try:
        yield
    except GpupipeError:
        raise
    except OSError as error:
        at = _at(error, place)
        where = "" if at == os.fspath(place) else f", at {at}"
        space = _space(place, needed) if error.errno in _SPACE else ""
        message = f"{what}: {error.strerror or error}{where}.{space} {_advice(error.errno, reading)}"
        raise StorageError(message, error.errno, at) from error


def _advice(code: int | None, reading: bool) -> str:
    tries = {**_TRY, **_TRY_READING} if reading else _TRY
    return tries.get(code or 0, "Try again." if reading else "Try again, or choose another place.")


def _at(error: OSError, place: Path) -> str:
    """The path at fault: not that of a temporary file, which tells nobody anything."""
    found = None if error.filename is None else os.fsdecode(error.filename)
    return os.fspath(place) if found is None or ".gpupipe-" in found else found


def _space(place: Path, needed: int | None) -> str:
    free = _free(place)
    parts = [] if needed is None else [f"{needed:,} bytes are to be written"]
    parts += [] if free is None else [f"{free:,} bytes are free"]
    return f" {' and '.join(parts)}." if parts else ""


def _free(place: Path) -> int | None:
    for path in (place, *place.parents):
        with contextlib.suppress(OSError):
            return disk.free(path)
    return None


def place(path: object) -> Path:
    """The path a user gave, absolute.

    Raises:
        ParameterError: it is no path, or holds half a character, which no file name can.

    >>> place(3)
    Traceback (most recent call last):
    gpupipe.errors.ParameterError: A path is text or a pathlib.Path, not 3.
    """
    if not isinstance(path, str | os.PathLike):
        raise ParameterError(f"A path is text or a pathlib.Path, not {path!r}.")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ParameterError(f"The path {os.fspath(path)!a} holds half a character, which no name can.") from None
    return Path(os.path.abspath(path))
