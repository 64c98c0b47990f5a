"""What one process keeps of partitions: a file of records in the run's folder."""

import contextlib
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpupipe.runtime.journal.packing import packed
from gpupipe.runtime.journal.records import Records
from gpupipe.storage import disk, failing

RESULTS = "results-"
_BETWEEN = 0.5  # seconds between two times that results are forced to the disk, at least


class Results:
    """What one process keeps of partitions: a file in the run's folder, made when the first is kept.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: Records | None = None
        self._lock = threading.Lock()
        self._synced = time.monotonic()

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        """For another process: that keeps what it makes in a file of its own."""
        return _of_this_process, (self._folder,)

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
            records, self._records = self._records, None
        if records is not None:
            records.close()

    def _opened(self) -> Records:
        with self._lock:
            if self._records is None:
                self._records = Records.new(self._folder / f"{RESULTS}{secrets.token_hex(8)}")
            return self._records


_OPEN: dict[Path, Results] = {}
_OPENING = threading.Lock()


def _of_this_process(folder: Path) -> Results:
    """Where this process keeps what it does for a run that another one drives."""
    with _OPENING:
        for other in [path for path in _OPEN if path != folder]:
            _OPEN.pop(other).close()
        return _OPEN.setdefault(folder, Results(folder))


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
