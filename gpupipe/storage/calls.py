"""Every call of the file system that saving, loading and writing results make, in one place: `disk`.

The methods of `Storage` are the system's own calls and nothing more. Tests put methods in their place that fail, write
half, or end the process at the k-th call; so what happens then is tried for every k, not guessed.
"""

import ctypes
import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BUFFER = 2**20
_AT_FDCWD = -100
# What a kernel, C library or file system answers that does not have a call at all.
UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
# What `Storage.lock` raises where a file system has no locks.
NO_LOCKS = UNSUPPORTED | {errno.ENOLCK}


def _unsupported(*_: Any) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


class Storage:
    """The calls of one file system; each raises OSError as the system does, and none is repeated.

    >>> disk.listdir("/nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'
    """

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    read = staticmethod(os.read)
    write = staticmethod(os.write)
    pread = staticmethod(os.pread)
    pwrite = staticmethod(os.pwrite)
    mmap = staticmethod(mmap.mmap)
    fallocate = staticmethod(getattr(os, "posix_fallocate", _unsupported))  # macOS has none
    ftruncate = staticmethod(os.ftruncate)
    fsync = staticmethod(os.fsync)
    fchmod = staticmethod(os.fchmod)
    fstat = staticmethod(os.fstat)
    stat = staticmethod(os.stat)
    lstat = staticmethod(os.lstat)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    unlink = staticmethod(os.unlink)
    rename = staticmethod(os.rename)
    link = staticmethod(os.link)

    @staticmethod
    def listdir(path: str | os.PathLike[str] | int) -> list[str]:
        """The names in a folder, given by path or descriptor."""
        return os.listdir(path)

    @staticmethod
    def lock(descriptor: int) -> None:
        """Take the one lock (flock) of an open file, or BlockingIOError at once where another holds it."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @staticmethod
    def renameat2(source: Path, target: Path, flags: int) -> bool:
        """Linux's rename with flags; False where there is no such call, or the file system has no such flag."""
        call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if call is None:
            return False
        if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(flags)) == 0:
            return True
        code = ctypes.get_errno()
        if code in UNSUPPORTED:
            return False
        raise OSError(code, os.strerror(code), os.fspath(source), None, os.fspath(target))

    @staticmethod
    def free(path: Path) -> int:
        """The bytes that this user may still write to the file system of `path`."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize


disk = Storage()


def read_all(descriptor: int, size: int) -> bytes:
    """The next `size` bytes of an open file; fewer where it ends before."""
    first = disk.read(descriptor, size)
    parts = [first]
    missing = size - len(first)
    while missing and parts[-1]:  # a call gives at most 2 GiB
        parts.append(disk.read(descriptor, missing))
        missing -= len(parts[-1])
    return first if len(parts) == 1 else b"".join(parts)


def write_all(descriptor: int, data: Any) -> None:
    """All of `data`, anything with a buffer, to an open file."""
    left = memoryview(data).cast("B")
    while left:
        written = disk.write(descriptor, left)
        if written <= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left = left[written:]


def pwrite_all(descriptor: int, data: Any, at: int) -> int:
    """All of `data`, anything with a buffer, to an open file from a byte on; where that ends."""
    left = memoryview(data).cast("B")
    while left:
        written = disk.pwrite(descriptor, left, at)
        if written <= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left, at = left[written:], at + written
    return at


def sync_folder(path: Path) -> None:
    """Force a folder's list of names to the disk, where the file system knows how."""
    descriptor = disk.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        disk.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        disk.close(descriptor)


class Output:
    """An open file for a library that writes to Python's file objects: what it writes goes through `disk`, in order.

    After an error nothing more is written, however often the library tries on its way out.

    Args:
        descriptor: of the file; whoever opened it closes it.
    """

    closed = False

    def __init__(self, descriptor: int, guard: Callable[[], Any]) -> None:
        self._descriptor, self._guard = descriptor, guard
        self._pending = bytearray()
        self._failed = False

    def write(self, data: Any) -> int:
        """Take bytes to be written; gives how many."""
        size = memoryview(data).nbytes
        if not self._failed:
            self._pending += memoryview(data).cast("B")
            if len(self._pending) >= _BUFFER:
                self.flush()
        return size

    def flush(self) -> None:
        """Write what is pending."""
        pending, self._pending = self._pending, bytearray()
        if self._failed:
            return
        try:
            with self._guard():
                write_all(self._descriptor, pending)
        except BaseException:
            self._failed = True
            raise

    def abandon(self) -> None:
        """Write no more."""
        self._failed = True

    def close(self) -> None:
        """Nothing: the file is whoever's who opened it."""
