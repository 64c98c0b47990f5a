"""Files that records are appended to, each with its length and a checksum.

A process may be killed, and a machine lose its power, amid any write. What a record's length and checksum do not vouch
for was torn then, if nothing whole follows it; anything else is damage. What was written outlives the process at once,
and the machine once it was forced to the disk (`sync`), which is done a few times a second and not for each record.
"""

import contextlib
import hashlib
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpupipe.errors import RunCorruptError
from gpupipe.storage import disk, pwrite_all, sync_folder

_KIND = b"gpupipe records1"
_MARK = 16  # random bytes that begin every record of one file, so that nothing stored in one looks like another
_FIRST = len(_KIND) + _MARK + 4  # and a sum of both
_HEADER = struct.Struct(f"<{_MARK}sQ32sI")  # the mark, the length, the digest, and a sum of these
_SUMMED = _HEADER.size - 4
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_OLD = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: its first byte, the bytes of what it holds, and their SHA-256."""

    start: int
    size: int
    digest: bytes

    @property
    def end(self) -> int:
        return self.start + _HEADER.size + self.size


class Records:
    """An open file of records; any thread may append and read. Close it.

    >>> import tempfile
    >>> records = Records.new(Path(tempfile.mkdtemp()) / "records")
    >>> place = records.append([b"one ", b"record"])
    >>> records.read(place), [found for _, found in records.whole()]
    (b'one record', [b'one record'])
    >>> records.close()
    """

    def __init__(self, path: Path, descriptor: int, mark: bytes | None, end: int) -> None:
        self.path, self.descriptor = path, descriptor
        self._mark, self._end = mark, end
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._synced = end  # up to this byte

    @classmethod
    def new(cls, path: Path) -> "Records":
        """A new file, mode 0600.

        Raises:
            OSError: it cannot be made, or one stands there.
        """
        descriptor = disk.open(path, _NEW, 0o600)
        try:
            records = cls(path, descriptor, b"", 0)
            records.clear()
            sync_folder(path.parent)
            return records
        except BaseException:
            disk.close(descriptor)
            raise

    @classmethod
    def at(cls, path: Path) -> "Records":
        """The file at `path`; what was torn at its end goes with the first record that is appended.

        Raises:
            OSError: it cannot be opened.
        """
        return cls.of(path, disk.open(path, _OLD))

    @classmethod
    def of(cls, path: Path, descriptor: int) -> "Records":
        """The same of a file that is open."""
        head = disk.pread(descriptor, _FIRST, 0)
        if len(head) < _FIRST and _KIND.startswith(head[: len(_KIND)]):
            return cls(path, descriptor, b"", 0)
        mark = head[len(_KIND) : -4]
        return cls(path, descriptor, mark if head == _beginning(mark) else None, _FIRST)

    @property
    def is_empty(self) -> bool:
        """Whether not even its beginning was written."""
        return self._mark == b""

    def clear(self) -> None:
        """Begin anew: nothing stands in it."""
        disk.ftruncate(self.descriptor, 0)
        mark = secrets.token_bytes(_MARK)
        _write_at(self.descriptor, 0, [_beginning(mark)])
        disk.fsync(self.descriptor)
        self._mark, self._end, self._synced = mark, _FIRST, _FIRST

    def append(self, parts: Sequence[Any]) -> Place:
        """Add a record of some bytes, one after the other.

        Raises:
            OSError: it could not be written; nothing of it counts then.
        """
        views = [memoryview(part).cast("B") for part in parts]
        size, digest = sum(map(len, views)), hashlib.sha256()
        for view in views:
            digest.update(view)
        header = _HEADER.pack(self._mark, size, digest.digest(), 0)[:_SUMMED]
        with self._lock:
            place = Place(self._end, size, digest.digest())
            _write_at(self.descriptor, self._end, [header + struct.pack("<I", zlib.crc32(header)), *views])
            self._end = place.end
        return place

    def sync(self) -> None:
        """Force what was appended to the disk; once it returns all of it is there, whoever did it."""
        with self._syncing:
            with self._lock:
                end = self._end
            if end > self._synced:
                disk.fsync(self.descriptor)
                self._synced = end

    def read(self, place: Place) -> bytes:
        """What a record holds.

        Raises:
            RunCorruptError: it is not what was written.
        """
        found = self._whole_at(place.start, disk.fstat(self.descriptor).st_size)
        if found is None or found[0] != place:
            raise RunCorruptError(f"{self.path} was altered or cut short: what stands at its byte {place.start:,} is "
                                  "not what was written there.")
        return found[1]

    def whole(self) -> Iterator[tuple[Place, bytes]]:
        """All records from the first on, up to what was torn at the end; the next one is appended there.

        Raises:
            RunCorruptError: one was altered, and whole ones follow it.
        """
        if self._mark is None:
            raise RunCorruptError(f"{self.path} was altered: it does not begin as a file of records does.")
        at, size = _FIRST, disk.fstat(self.descriptor).st_size
        while not self.is_empty and (found := self._whole_at(at, size)) is not None:
            yield found
            at = found[0].end
        if not self.is_empty and self._follows(at + 1, size):
            raise RunCorruptError(
                f"{self.path} was altered: the record at its byte {at:,} does not match its checksum, and whole ones "
                "follow it."
            )
        self._end = max(at, _FIRST)

    def cut(self) -> None:
        """Take away what was torn at the end, once :meth:`whole` has found where that is."""
        disk.ftruncate(self.descriptor, self._end)

    def close(self) -> None:
        """Close the file, whose records are whole or torn by now, whatever the system answers."""
        with contextlib.suppress(OSError):
            disk.close(self.descriptor)

    def _header(self, at: int) -> Place | None:
        """The record that begins at a byte, as far as its header tells; None: none does."""
        header = disk.pread(self.descriptor, _HEADER.size, at)
        if len(header) < _HEADER.size:
            return None
        mark, size, digest, summed = _HEADER.unpack(header)
        right = mark == self._mark and summed == zlib.crc32(header[:_SUMMED])
        return Place(at, size, digest) if right else None

    def _whole_at(self, at: int, size: int) -> tuple[Place, bytes] | None:
        """The record that begins at a byte of the file of `size` bytes, and what it holds; None: none that is whole."""
        place = self._header(at)
        if place is None or place.end > size:
            return None
        data = _pread(self.descriptor, at + _HEADER.size, place.size)
        return (place, data) if hashlib.sha256(data).digest() == place.digest else None

    def _follows(self, at: int, size: int) -> bool:
        """Whether a whole record begins anywhere from a byte on."""
        mark = self._mark or b""
        while at < size:
            data = _pread(self.descriptor, at, min(_PIECE, size - at))
            place = data.find(mark)
            if place < 0:
                at += max(len(data) - _MARK + 1, 1)
            elif self._whole_at(at + place, size) is not None:
                return True
            else:
                at += place + 1
        return False


def _beginning(mark: bytes) -> bytes:
    return _KIND + mark + struct.pack("<I", zlib.crc32(_KIND + mark))


def _pread(descriptor: int, at: int, size: int) -> bytes:
    """So many bytes from a byte on; fewer where the file ends before."""
    parts: list[bytes] = []
    missing = size
    while missing:
        parts.append(disk.pread(descriptor, missing, at + size - missing))
        if not parts[-1]:
            break
        missing -= len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write_at(descriptor: int, at: int, parts: Sequence[Any]) -> None:
    for part in parts:
        at = pwrite_all(descriptor, part, at)
