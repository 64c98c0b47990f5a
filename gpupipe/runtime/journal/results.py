"""What one process keeps of partitions: a file of records in the run's folder."""

import contextlib
import secrets
import socket
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpupipe.errors import RunFolderError
from gpupipe.runtime.journal.packing import packed
from gpupipe.runtime.journal.records import Records
from gpupipe.storage import disk, failing

JOURNAL, RESULTS = "journal", "results-"
_BETWEEN = 0.5  # seconds between two times that results are forced to the disk, at least


class Results:
    """What one process keeps of partitions: a file in the run's folder, made when the first is kept.

    Args:
        folder: the run's.
        token: what the run is known by where another process keeps results for it: text that its journal holds.

    Attributes:
        file: closes it.
    """

    def __init__(self, folder: Path, token: str) -> None:
        self._folder, self._token = folder, token
        self.file = contextlib.ExitStack()
        self._records: Records | None = None
        self._lock = threading.Lock()
        self._synced = time.monotonic()

    def __reduce__(self) -> tuple[Any, tuple[Path, str]]:
        """For another process: that keeps what it makes in a file of its own."""
        return _of_this_process, (self._folder, self._token)

    def keep(self, stage: str, number: int, document: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Keep what came of a partition; from any thread.

        Raises:
            StorageError: the disk is full, failing, or may not be written to.
        """
        parts = packed({"stage": stage, "number": number, **document}, arrays)
        with writing(self._folder, sum(map(len, parts))):
            records = self._opened()
            records.append(parts)
            if time.monotonic() - self._synced > _BETWEEN:
                self._synced = time.monotonic()
                records.sync()

    def sync(self) -> None:
        """Force what was kept to the disk."""
        if self._records is not None:
            with writing(self._folder):
                self._records.sync()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._records = None
            self.file.close()

    def _opened(self) -> Records:
        with self._lock:
            if self._records is None:
                _refuse_unseen(self._folder, self._token)
                self._records = Records.new(self._folder / f"{RESULTS}{self._token}-{secrets.token_hex(8)}")
                self.file.callback(self._records.close)
            return self._records


_open: weakref.WeakValueDictionary[tuple[Path, str], Results] = weakref.WeakValueDictionary()
_opening = threading.Lock()


def _of_this_process(folder: Path, token: str) -> Results:
    """Where this process keeps what it does for a run that another one drives: one file, while it does any of it."""
    with _opening:
        found = _open.get((folder, token))
        if found is None:
            found = _open[folder, token] = Results(folder, token)
            weakref.finalize(found, found.file.close)
        return found


def _refuse_unseen(folder: Path, token: str) -> None:
    try:
        seen = token.encode() in (folder / JOURNAL).read_bytes()
    except FileNotFoundError:
        seen = False
    if not seen:
        raise RunFolderError(
            f"The run {folder} is not seen from {socket.gethostname()}, where a worker was to keep results in it. Give "
            "run= a folder that all workers share, such as one on a network's file system."
        )


def remove_results(folder: Path) -> None:
    """Remove what was kept of partitions."""
    for name in disk.listdir(folder):
        if name.startswith(RESULTS):
            with contextlib.suppress(FileNotFoundError):
                disk.unlink(folder / name)


def writing(folder: Path, needed: int | None = None) -> contextlib.AbstractContextManager[None]:
    return failing(f"The run {folder} was not written", folder, needed)


def reading(folder: Path) -> contextlib.AbstractContextManager[None]:
    return failing(f"The run {folder} was not read", folder, reading=True)
