"""Compiled kernels on disk, for the next process: in a folder that only this user can read or write.

What is read here is executed on the device, so it is taken only from a regular file of this user's that nobody else can
write, whose content has the digest that stands before it, and which says that it is what was asked for.
"""

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

_HEAD = b"gpupipe kernel 1\n"
_MOST_FILES, _MOST_BYTES = 2000, 64 * 2**20
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


def default_folder() -> Path:
    """Where kernels are kept: ``gpupipe/kernels`` in the user's folder for caches (XDG_CACHE_HOME, else ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path("~/.cache").expanduser()) / "gpupipe" / "kernels"


def digest(*parts: object) -> str:
    """The name of what `parts` make, as 64 hexadecimal digits.

    >>> digest("source", (1, 2)) == digest("source", (1, 2)) != digest("source", (1, 3))
    True
    """
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()


class Kept:
    """Binaries by the digest of all that they depend on. A cache: what cannot be kept is made again.

    Args:
        folder: where; made if it is not there. None: nothing is kept.

    Attributes:
        failure: why nothing is read or written; None: it is.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = Kept(Path(folder) / "kernels")
    ...     kept.put(digest("k"), b"binary")
    ...     kept.get(digest("k")), kept.get(digest("other")), oct((Path(folder) / "kernels").stat().st_mode & 0o777)
    (b'binary', None, '0o700')
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.failure: str | None = "nothing is kept" if folder is None else None
        if folder is not None:
            with self._failing(), self._opened():
                pass

    def get(self, key: str) -> bytes | None:
        """What was put under a key; None: nothing was, or what is there cannot be trusted."""
        if self.failure is not None:
            return None
        with contextlib.suppress(OSError), self._opened() as folder:
            data = _read(folder, key)
            head = _HEAD + key.encode() + b"\n"
            if data.startswith(head):
                told, content = data[len(head) : len(head) + 32], data[len(head) + 32 :]
                if hashlib.sha256(content).digest() == told:
                    return content
        return None

    def put(self, key: str, content: bytes) -> None:
        """Keep a binary, whole or not at all; a failure is remembered, not raised."""
        if self.failure is not None:
            return
        with self._failing(), self._opened() as folder:
            temporary = f"{key}.{secrets.token_hex(8)}"
            try:
                _write(folder, temporary, _HEAD + key.encode() + b"\n" + hashlib.sha256(content).digest() + content)
                os.replace(temporary, key, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            _thin_out(folder)

    def drop(self, key: str) -> None:
        """Keep it no longer: the device did not take it."""
        if self.failure is None:
            with contextlib.suppress(OSError), self._opened() as folder:
                os.unlink(key, dir_fd=folder)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = f"{self.folder}: {error.strerror or error}"

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        assert self.folder is not None
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(mode=_PRIVATE_FOLDER)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _refuse_shared(os.fstat(descriptor))
            yield descriptor
        finally:
            os.close(descriptor)


def _refuse_shared(status: os.stat_result) -> None:
    """Raise OSError where another user owns it or may write it."""
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(None, "another user owns it, or may write to it; it is not used")


def _read(folder: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _refuse_shared(status)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            raise OSError(None, "no kernel of ours")
        return file.read(_MOST_BYTES)


def _write(folder: int, name: str, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, _PRIVATE_FILE, dir_fd=folder), "wb") as file:
        file.write(data)


def _thin_out(folder: int) -> None:
    """Delete the older half once there are very many: sources change, and no one asks for their kernels again."""
    names = os.listdir(folder)
    if len(names) > _MOST_FILES:
        times = {}
        for name in names:
            with contextlib.suppress(OSError):
                times[name] = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns
        for name in sorted(times, key=times.__getitem__)[: len(times) // 2]:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
