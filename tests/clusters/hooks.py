"""Sources whose partitions do something before they are read, on whatever worker that is."""

import errno
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import current_process
from pathlib import Path
from typing import Any

import numpy as np

import gpupipe as gp
from gpupipe.errors import DeviceLostError, FileFormatError
from gpupipe.runtime import halving
from gpupipe.sources.partition import Comparison, Partition, Reading
from gpupipe.sources.place import Place
from gpupipe.sources.source import Source


@dataclass(frozen=True, eq=False)
class Hooked(Partition):
    """A partition that calls a function of this module, by its name, before it is read."""

    inner: Partition
    does: str
    folder: str
    number: int

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        DOES[self.does](Path(self.folder), self.number)
        return self.inner.read(columns, where)

    def column_bytes(self, columns: Sequence[str]) -> int:
        return self.inner.column_bytes(columns)

    def origin(self) -> tuple[Any, int] | None:
        return self.inner.origin()

    def place(self, position: int | None) -> Place:
        return self.inner.place(position)


def hooked(source: gp.Source, does: str, folder: Path, only: Sequence[int] | None = None) -> gp.Source:
    """The same rows, of which those partitions (None: all) do something first."""
    parts = source.partitions
    chosen = range(len(parts)) if only is None else only
    made = tuple(
        Hooked(one.first_row, one.n_rows, one.n_bytes, one, does, str(folder), at) if at in chosen else one
        for at, one in enumerate(parts)
    )
    return Source(replace(source._listing, partitions=made), source._steps)


def marked(folder: Path, name: str) -> int:
    """How many marks of a name there are."""
    return len(list(folder.glob(f"{name} *")))


def _mark(folder: Path, name: str) -> None:
    (folder / f"{name} {os.getpid()} {time.time_ns()}").touch()


def _crash(folder: Path, number: int) -> None:
    _mark(folder, "crash")
    os.kill(os.getpid(), signal.SIGKILL)


def _crash_once(folder: Path, number: int) -> None:
    if not marked(folder, f"crash{number}"):
        _mark(folder, f"crash{number}")
        os.kill(os.getpid(), signal.SIGKILL)


def _crash_first(folder: Path, number: int) -> None:
    """The first that a worker has ends it; each other one ends the first process of its own that it is read in."""
    what = "first" if current_process().name.startswith("Dask Worker") else f"apart{number}"
    if not marked(folder, what) and not marked(folder, f"was{number}"):
        _mark(folder, what)
        _mark(folder, f"was{number}")
        os.kill(os.getpid(), signal.SIGKILL)


def _freeze_once(folder: Path, number: int) -> None:
    if not marked(folder, "frozen"):
        _mark(folder, "frozen")
        os.kill(os.getpid(), signal.SIGSTOP)


def _slow(folder: Path, number: int) -> None:
    _mark(folder, "read")
    time.sleep(0.3)


def _flaky(folder: Path, number: int) -> None:
    if marked(folder, f"io{number}") < 2:
        _mark(folder, f"io{number}")
        raise OSError(errno.EIO, "Input/output error")


def _hog(folder: Path, number: int) -> None:
    _mark(folder, "hog")
    held = []
    for _ in range(100):
        held.append(np.ones(2**23))  # 64 MiB
        time.sleep(0.02)


def _corrupt(folder: Path, number: int) -> None:
    raise FileFormatError("A page of it cannot be decoded: its checksum is another.").of("data.parquet")


_attempt = halving._attempt


def fail_at(at: int) -> None:
    """From now on the allocation of that number, counted in this process, fails once: the partition has no memory."""
    count = iter(range(10**9))

    def failing(compute: Any, start: int, stop: int) -> Any:
        return ([], MemoryError("seeded")) if next(count) == at else _attempt(compute, start, stop)

    halving._attempt = failing


def _hang(folder: Path, number: int) -> None:
    _mark(folder, "hang")
    time.sleep(600)


def _lose_device_once(folder: Path, number: int) -> None:
    if not marked(folder, "lost"):
        _mark(folder, "lost")
        raise DeviceLostError("seeded")


DOES: dict[str, Callable[[Path, int], None]] = {
    "crash": _crash, "crash once": _crash_once, "crash first": _crash_first,
    "freeze once": _freeze_once, "slow": _slow, "flaky": _flaky,
    "hog": _hog, "corrupt": _corrupt, "hang": _hang, "lose device once": _lose_device_once,
}  # fmt: skip
