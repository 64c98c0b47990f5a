"""Two renames that POSIX's own lacks: onto nothing only, and one path for another. Linux has both in one call."""

import errno
from pathlib import Path

from gpupipe.storage.calls import disk

_NOREPLACE, _EXCHANGE = 1, 2


def rename_absent(source: Path, target: Path) -> bool:
    """Move the folder `source`, which is not empty, to `target` if nothing stands there; whether it did.

    Without `renameat2` a plain rename does it: POSIX lets a folder replace nothing but an empty folder, so
    all that could be lost there is an empty folder.
    """
    try:
        if not disk.renameat2(source, target, _NOREPLACE):
            disk.rename(source, target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True


def publish_absent(source: Path, target: Path) -> bool:
    """Give the file `source` the name `target` if nothing stands there; whether it did. `source` may keep its name.

    Raises:
        OSError: the file system has neither this rename nor second names of a file.
    """
    try:
        if not disk.renameat2(source, target, _NOREPLACE):
            disk.link(source, target)
    except FileExistsError:
        return False
    return True


def exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where the file system cannot.

    Raises:
        FileNotFoundError: one of the two is not there (any more).
    """
    return disk.renameat2(one, other, _EXCHANGE)
