"""One flat folder of regular files: opened as a whole, filled, removed. Links are never followed."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from gpupipe.errors import ArtifactCorruptError

MANIFEST = "manifest.json"
MAX_FILES = 64
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.(json|safetensors|arrow|ubj)")

# A link is refused, and a pipe put in a file's place must not block.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ATTEMPTS = 100


@contextlib.contextmanager
def opened(path: Path) -> Iterator[dict[str, int | None]]:
    """Every entry of the folder at `path`, all opened before one is read: name to descriptor, None where it
    is no regular file.

    If another process replaces the folder meanwhile, the new one is opened: it is always one whole folder.

    Raises:
        FileNotFoundError: nothing is there.
        ArtifactCorruptError: not a folder, or one with more than `MAX_FILES` entries.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(_ATTEMPTS):
            files = _open_all(path, stack)
            if files is not None:
                yield files
                return
            stack.close()
        raise ArtifactCorruptError(f"{path} was replaced {_ATTEMPTS} times while it was opened. Try again.")


def read(descriptor: int, name: str, limit: int) -> bytes:
    """All bytes of an open file, read once.

    Raises:
        ArtifactCorruptError: the file holds more than `limit` bytes.
    """
    size = os.fstat(descriptor).st_size
    if size > limit:
        raise ArtifactCorruptError(f"{name} holds {size:,} bytes; at most {limit:,} were expected.")
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(size)


def fill(path: Path, files: Mapping[str, bytes], manifest: int) -> None:
    """Write the files into the folder, mode 0600, and force them to the disk; the open manifest last."""
    for name in sorted(files.keys() - {MANIFEST}):
        descriptor = os.open(path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            _write(file.fileno(), files[name])
    _write(manifest, files[MANIFEST])
    sync(path)


def sync(path: Path) -> None:
    """Force a folder's list of names to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove the folder, the manifest last, if :func:`is_flat`; else leave it alone."""
    if not is_flat(path):
        return
    with contextlib.suppress(FileNotFoundError):  # another process may be removing it as well
        for name in sorted(os.listdir(path), key=lambda name: name == MANIFEST):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path / name)
        os.rmdir(path)


def is_flat(path: Path) -> bool:
    """Whether `path` is a folder, no link, of nothing but regular files with our names, or empty."""
    try:
        with os.scandir(path) as entries:
            flat = all(NAME.fullmatch(e.name) and e.is_file(follow_symlinks=False) for e in entries)
        return flat and not path.is_symlink()
    except (FileNotFoundError, NotADirectoryError):
        return False


def _open_all(path: Path, stack: contextlib.ExitStack) -> dict[str, int | None] | None:
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError:
        raise ArtifactCorruptError(f"{path} is a file; an artifact is a folder holding {MANIFEST}.") from None
    stack.callback(os.close, folder)
    names = os.listdir(folder)
    if len(names) > MAX_FILES:
        raise ArtifactCorruptError(f"{path} holds {len(names)} files; an artifact holds at most {MAX_FILES}.")
    files = {name: _open(folder, name, stack) for name in sorted(names)}
    # All of them only if the folder still stands at the path: one that was replaced is being emptied.
    return files if _is_current(path, folder) else None


def _is_current(path: Path, folder: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(folder))
    except FileNotFoundError:
        return False


def _open(folder: int, name: str, stack: contextlib.ExitStack) -> int | None:
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except PermissionError:
        raise
    except OSError:  # ELOOP for a link, ENXIO for a socket, ENOENT for a file gone since it was listed
        return None
    stack.callback(os.close, descriptor)
    return descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _write(descriptor: int, data: bytes) -> None:
    os.fchmod(descriptor, 0o600)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    os.fsync(descriptor)
