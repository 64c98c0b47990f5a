"""Scratch files without a name: nobody else finds them, and the system frees them when the process ends, killed or not.

They stand in the folder for temporary files (TMPDIR, else the system's). Where that is held in memory, as /tmp often
is, large files would take what they are to save, so they go to /var/tmp then.
"""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from gpupipe.storage.calls import UNSUPPORTED, disk
from gpupipe.storage.temporary import ONE_FILE, beside, sweep

_LARGE = Path("/var/tmp")
_IN_MEMORY = ("tmpfs", "ramfs")
_NO_TMPFILE = UNSUPPORTED | {errno.EISDIR}


def scratch_folder() -> Path:
    """The folder for large temporary files.

    Raises:
        OSError: there is none that can be written to.
    """
    folder = Path(tempfile.gettempdir())
    chosen = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    if chosen or not in_memory(folder) or in_memory(_LARGE) or not os.access(_LARGE, os.W_OK | os.X_OK):
        return folder
    return _LARGE


def in_memory(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether a folder's file system is held in memory; where that cannot be known, or nothing is there: no."""
    with contextlib.suppress(OSError):
        device = disk.stat(folder).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        for line in mounts.read_text().splitlines():
            mount, _, system = line.partition(" - ")
            if mount.split()[2:3] == [number]:
                return system.split()[:1] in [[name] for name in _IN_MEMORY]
    return False


def nameless(folder: Path) -> int:
    """A new, empty file in `folder`, mode 0600, as its open descriptor. Closing that frees what was written.

    Raises:
        OSError: it cannot be made.
    """
    if tmpfile := getattr(os, "O_TMPFILE", 0):
        try:
            return disk.open(folder, tmpfile | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
    return _unlinked(folder)


def _unlinked(folder: Path) -> int:
    """The same where a file is made with a name: it has one for an instant."""
    sweep(folder, ONE_FILE)  # an empty one, whose writer was killed in that instant
    while True:
        path = beside(folder / "scratch")
        descriptor = ONE_FILE.create(path)
        if descriptor is None:
            continue
        try:
            disk.unlink(path)
        except FileNotFoundError:  # swept by another, since it is not locked: without a name it is what we want
            pass
        except BaseException:
            disk.close(descriptor)
            raise
        return descriptor
