"""One flat folder of regular files: opened as a whole, filled, removed. Links are never followed."""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from gpupipe.errors import ArtifactBusyError, ArtifactCorruptError
from gpupipe.storage import Kind, disk, read_all, rename_absent, stands, sync_folder, write_all

MANIFEST = "manifest.json"
MAX_FILES = 64
BLOBS = ("ubj", "skops")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.(json|safetensors|arrow|ubj|skops)")

# A link is refused, and a pipe put in a file's place must not block.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# A link; a socket or a device; gone since it was listed.
_NO_FILE = {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.ENODEV, errno.ENOENT}
_ATTEMPTS = 100


@contextlib.contextmanager
def opened(path: Path) -> Iterator[dict[str, int | None]]:
    """Every entry of the folder at `path`, all opened before one is read: name to descriptor, None where it
    is no regular file.

    If another process replaces the folder meanwhile, the new one is opened: it is always one whole folder.

    Raises:
        FileNotFoundError: nothing is there.
        ArtifactCorruptError: not a folder, or one with more than `MAX_FILES` entries.
        ArtifactError: it was replaced all the time.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(_ATTEMPTS):
            files = _open_all(path, stack)
            if files is not None:
                yield files
                return
            stack.close()
        raise ArtifactBusyError(f"{path} was replaced {_ATTEMPTS} times while it was opened. Try again.")


def read(descriptor: int, name: str, limit: int) -> bytes:
    """All bytes of an open file, read once.

    Raises:
        ArtifactCorruptError: the file holds more than `limit` bytes.
    """
    size = disk.fstat(descriptor).st_size
    if size > limit:
        raise ArtifactCorruptError(f"{name} holds {size:,} bytes; at most {limit:,} were expected.")
    return read_all(descriptor, size)


def fill(path: Path, files: Mapping[str, bytes], manifest: int) -> None:
    """Write the files into the folder, mode 0600, and force them to the disk; the open manifest last."""
    for name in sorted(files.keys() - {MANIFEST}):
        descriptor = disk.open(path / name, _NEW, 0o600)
        try:
            _write(descriptor, files[name])
        except BaseException:
            with contextlib.suppress(OSError):  # it would hide the first error
                disk.close(descriptor)
            raise
        disk.close(descriptor)
    _write(manifest, files[MANIFEST])
    sync_folder(path)


def remove(path: Path) -> None:
    """Remove the folder, the manifest last, if it is one of :func:`flat_names`; else leave it alone."""
    names = flat_names(path)
    if names is None:
        return
    with contextlib.suppress(FileNotFoundError):  # another process may be removing it as well
        for name in sorted(names, key=lambda name: name == MANIFEST):
            with contextlib.suppress(FileNotFoundError):
                disk.unlink(path / name)
        disk.rmdir(path)


def flat_names(path: Path) -> list[str] | None:
    """The names in the folder `path`; None if it is a link, no folder, or holds anything but regular files with
    names that ours have.
    """
    try:
        if not stat.S_ISDIR(disk.lstat(path).st_mode):
            return None
        names = disk.listdir(path)
        flat = all(NAME.fullmatch(name) and stat.S_ISREG(disk.lstat(path / name).st_mode) for name in names)
        return names if flat else None
    except (FileNotFoundError, NotADirectoryError):
        return None


class _FlatFolder(Kind):
    """An artifact being written: its manifest is the file whose lock says that the writer lives."""

    def create(self, path: Path) -> int | None:
        try:
            disk.mkdir(path, 0o700)
            return disk.open(path / MANIFEST, _NEW, 0o600)
        except FileExistsError:
            return None
        except OSError as error:
            with contextlib.suppress(OSError):
                disk.unlink(path / MANIFEST)  # a network's answer may be lost after the file was made
            with contextlib.suppress(OSError):
                disk.rmdir(path)
            if isinstance(error, FileNotFoundError) and stands(path.parent):
                return None
            raise

    def locked_file(self, path: Path) -> Path:
        return path / MANIFEST

    def is_ours(self, path: Path) -> bool:
        return flat_names(path) is not None

    def remove(self, path: Path) -> None:
        remove(path)

    def put_back(self, path: Path, target: Path) -> bool:
        return rename_absent(path, target)


FLAT_FOLDER = _FlatFolder()


def _open_all(path: Path, stack: contextlib.ExitStack) -> dict[str, int | None] | None:
    try:
        folder = disk.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError:
        raise ArtifactCorruptError(
            f"{path} is a file, and an artifact is a folder holding {MANIFEST}. Give the folder that save wrote."
        ) from None
    stack.callback(_close, folder)
    names = disk.listdir(folder)
    if len(names) > MAX_FILES:
        raise ArtifactCorruptError(f"{path} holds {len(names)} files; an artifact holds at most {MAX_FILES}.")
    files = {name: _open(folder, name, stack) for name in sorted(names)}
    # All of them only if the folder still stands at the path: one that was replaced is being emptied.
    return files if _is_current(path, folder) else None


def _is_current(path: Path, folder: int) -> bool:
    try:
        return os.path.samestat(disk.stat(path), disk.fstat(folder))
    except FileNotFoundError:
        return False


def _open(folder: int, name: str, stack: contextlib.ExitStack) -> int | None:
    try:
        descriptor = disk.open(name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    stack.callback(_close, descriptor)
    return descriptor if stat.S_ISREG(disk.fstat(descriptor).st_mode) else None


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # of a file that was only read nothing can be lost
        disk.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    disk.fchmod(descriptor, 0o600)
    write_all(descriptor, data)
    disk.fsync(descriptor)
