"""A file as it was when it was scanned: what is read later must be the same file."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gpupipe.errors import DataError, FileFormatError, SourceAccessError, SourceNotFoundError


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file's path and, to tell another one in its place, its size, time of change and number in the file system."""

    path: str
    size: int
    changed_ns: int
    inode: int
    device: int = field(default=0, compare=False)  # a network's may be mounted anew

    @property
    def identity(self) -> tuple[int, int, int, int]:
        """What tells the file from others, under whatever name."""
        return self.device, self.inode, self.size, self.changed_ns

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What is read inside is what was scanned; where it is not, that is the error, whatever reading ran into.

        Raises:
            SourceNotFoundError: the file is gone.
            FileFormatError: it was changed or replaced.
        """
        try:
            yield
        finally:
            now = listed(self.path)
            if now != self:
                raise FileFormatError(
                    f"the file was changed or replaced after it was scanned ({self.size:,} bytes then, {now.size:,} "
                    "now). Scan it again, and let nothing write to it before the work is done."
                ).of(self.path)


def listed(path: str) -> ListedFile:
    """The file at `path` as it is now.

    Raises:
        SourceNotFoundError: there is none.
        SourceAccessError: it may not be looked at.
        FileFormatError: it is no file but a pipe, a socket or a device.
    """
    with opening(path):
        found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise FileFormatError(
            "it is a pipe, a socket or a device, which cannot be read twice. Write it to a file first."
        ).of(path)
    return ListedFile(path, found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev)


@contextmanager
def opening(path: str) -> Iterator[None]:
    """What the system says of opening a file or folder, as an error of ours that names it."""
    try:
        yield
    except DataError:  # said already
        raise
    except FileNotFoundError as error:
        was = "it is a link to a file that is not there" if os.path.islink(path) else "it is not there any more"
        raise SourceNotFoundError(f"{was}. Scan again what there is.").of(path) from error
    except PermissionError as error:
        why = "it may not be read: permission is denied. Ask its owner, or run as someone who may."
        raise SourceAccessError(why).of(path) from error
    except OSError as error:
        raise FileFormatError(f"it cannot be read: {error.strerror or error}.").of(path) from error
