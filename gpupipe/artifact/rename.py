"""Two renames that POSIX's own lacks: onto nothing only, and one path for another. Linux has both in one
call."""

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE, _EXCHANGE = 1, 2
# What a kernel, C library or file system (NFS, old overlays) without these flags answers.
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def rename_absent(source: Path, target: Path) -> bool:
    """Move the folder `source`, which is not empty, to `target` if nothing stands there; whether it did.

    Without `renameat2` a plain rename does it: POSIX lets a folder replace nothing but an empty folder, so
    all that could be lost there is an empty folder.
    """
    try:
        if not _renameat2(source, target, _NOREPLACE):
            os.rename(source, target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True


def exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where the file system cannot.

    Raises:
        FileNotFoundError: one of the two is not there (any more).
    """
    return _renameat2(one, other, _EXCHANGE)


def _renameat2(source: Path, target: Path, flags: int) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(flags)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), os.fspath(source), None, os.fspath(target))
