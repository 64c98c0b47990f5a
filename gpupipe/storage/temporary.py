"""Temporary files and folders that a dead writer may leave and the next one sweeps.

What is written stands under ``.NAME.gpupipe-temp-RANDOM`` beside its place until it is whole. It is alive while its
writer holds a lock (flock) on it, which the kernel drops when a process dies, whatever killed it. So locks tell a
living writer from a dead one, across containers too, where process numbers mean nothing. Of a folder, one file in it
is locked: the first one made and the last one removed.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from gpupipe.errors import StorageError
from gpupipe.storage.calls import NO_LOCKS, disk, sync_folder

_LEFTOVER = re.compile(r"\.(?P<target>.+)\.gpupipe-(?P<role>temp|aside)-[0-9a-f]{16}", re.DOTALL)
_ATTEMPTS = 100


class Kind(ABC):
    """What is written as a whole: one file, or a folder of files."""

    @abstractmethod
    def create(self, path: Path) -> int | None:
        """Make it, empty; the descriptor of the file that is to be locked. None: swept away meanwhile.

        Raises:
            OSError: nothing was made.
        """

    @abstractmethod
    def locked_file(self, path: Path) -> Path:
        """The file whose lock says that the writer lives."""

    @abstractmethod
    def is_ours(self, path: Path) -> bool:
        """Whether what stands at `path` is of this kind, so that it may be removed."""

    @abstractmethod
    def remove(self, path: Path) -> None:
        """Remove it, if it is of this kind."""

    def put_back(self, path: Path, target: Path) -> bool:
        """Give what was moved aside its old place, if nothing stands there; whether it did."""
        return False


class _OneFile(Kind):
    def create(self, path: Path) -> int | None:
        try:
            return disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return None
        except OSError:
            with contextlib.suppress(OSError):  # a network's answer may be lost after the file was made
                disk.unlink(path)
            raise

    def locked_file(self, path: Path) -> Path:
        return path

    def is_ours(self, path: Path) -> bool:
        return stat.S_ISREG(disk.lstat(path).st_mode)

    def remove(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(path)


ONE_FILE = _OneFile()


def beside(target: Path, role: str = "temp") -> Path:
    """A new name beside `target`; `role` is ``temp``, or ``aside`` for what is to come back."""
    return target.with_name(f".{target.name}.gpupipe-{role}-{secrets.token_hex(8)}")


def stands_aside(target: Path) -> bool:
    """Whether a writer has moved what stood at `target` aside, or has put something there just now."""
    names = disk.listdir(target.parent)
    return target.name in names or any(name.startswith(f".{target.name}.gpupipe-aside-") for name in names)


@contextlib.contextmanager
def temporary(target: Path, kind: Kind) -> Iterator[tuple[Path, int]]:
    """A new thing of `kind` beside `target`, and its locked file; what stands there at the end is removed.

    Where that fails, no error is raised: it would hide the first one, or spoil a success. The next `sweep` removes it.
    """
    path, descriptor = _claim(target, kind)
    try:
        yield path, descriptor
    finally:
        _discard(path, descriptor, kind)


def sweep(parent: Path, kind: Kind) -> None:
    """Remove what dead writers left in `parent`, and put back what they had moved aside.

    Never raises OSError: where it may not write, there is nothing of ours to remove.
    """
    with contextlib.suppress(OSError):
        for name in disk.listdir(parent):
            if found := _LEFTOVER.fullmatch(name):
                with contextlib.suppress(OSError):
                    _sweep_one(parent / name, parent / found["target"], found["role"], kind)


def stands(path: Path) -> bool:
    """Whether anything is at `path`, also a link that leads nowhere.

    Raises:
        OSError: it cannot be known.
    """
    try:
        disk.lstat(path)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def made_folders(folder: Path) -> Iterator[None]:
    """Make a folder and its parents where they are missing; those made are removed again if what follows fails."""
    made: list[Path] = []
    try:
        _make(folder, made)
        yield
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):  # of another writer's files, or not removable
                disk.rmdir(path)
        raise


def _make(folder: Path, made: list[Path]) -> None:
    try:
        mode = disk.stat(folder).st_mode
    except FileNotFoundError:
        _make(folder.parent, made)
        try:
            made.append(folder)
            disk.mkdir(folder)
        except FileExistsError:  # another writer was quicker: it is not ours to remove
            made.pop()
        sync_folder(folder.parent)
    else:
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(folder))


def _claim(target: Path, kind: Kind) -> tuple[Path, int]:
    for _ in range(_ATTEMPTS):
        path = beside(target)
        descriptor = kind.create(path)
        if descriptor is None:
            continue
        try:
            if _lock(descriptor, kind.locked_file(path)):
                return path, descriptor
        except OSError:
            _discard(path, descriptor, kind)
            raise
        disk.close(descriptor)
    raise StorageError(f"Nothing temporary beside {target} could be kept: others sweep it away. Try again.")


def _discard(path: Path, descriptor: int, kind: Kind) -> None:
    with contextlib.suppress(OSError):  # first: where no file more can be opened, removing needs this one's place
        disk.close(descriptor)
    with contextlib.suppress(OSError):
        kind.remove(path)


def _lock(descriptor: int, path: Path) -> bool:
    """Lock a file made just now; False where a sweeper was quicker."""
    try:
        disk.lock(descriptor)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:  # nobody can sweep there either
            return True
        raise
    try:
        return os.path.samestat(disk.stat(path), disk.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sweep_one(path: Path, target: Path, role: str, kind: Kind) -> None:
    if disk.lstat(path).st_uid != os.geteuid() or not kind.is_ours(path):
        return
    if role == "aside":
        if kind.put_back(path, target):
            return
        # a later version stands: half removed, this one must not return
        disk.rename(path, abandoned := beside(target))
        path = abandoned
    _remove_abandoned(path, kind)


def _remove_abandoned(path: Path, kind: Kind) -> None:
    try:
        descriptor = disk.open(kind.locked_file(path), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        disk.rmdir(path)  # its writer had not begun, or is about to and will take another name
        return
    try:
        disk.lock(descriptor)
        kind.remove(path)
    finally:
        disk.close(descriptor)
