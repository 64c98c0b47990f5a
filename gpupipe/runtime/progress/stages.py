"""The stages of a run: what each is doing while it goes on, and what it did."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gpupipe.runtime.resident import peak_memory

if TYPE_CHECKING:
    from gpupipe.runtime.rows import Rows

_REMEMBERED = 32  # moments that the time left is told by
_APART = 0.5  # seconds between two of them
_COUNTED = ("bytes_read", "kept_bytes", "spilled_bytes", "retries", "io_retries", "seconds_reading")


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage of a run did: a trip over rows, or training.

    Attributes:
        name: what it was.
        seconds: by the clock.
        cpu_seconds: of all processors that this process used meanwhile, whatever for.
        reading_seconds: spent on reading and decoding, summed over threads.
        rows: rows gone over.
        partitions: pieces of the source gone over.
        bytes_read: bytes read from the source, as stored.
        decoded_bytes: what the columns gone over take decoded, as far as metadata tell; none of rows read back.
        kept_bytes: bytes of columns that it put into memory for further trips.
        spilled_bytes: bytes of them that it wrote to temporary files.
        retries: how many times something was tried again for want of memory.
        peak_bytes: the most memory this process ever had, from its start to the end of the stage.
        finished: whether it went through to its end.
        where: who did it, where that was not the threads of this process.
        io_retries: how many times a read was tried again after a failure that may pass.
        rows_read_back: rows whose results an earlier process had kept in the run: no part of what is told a second.
    """

    name: str
    seconds: float
    cpu_seconds: float = 0.0
    reading_seconds: float = 0.0
    rows: int = 0
    partitions: int = 0
    bytes_read: int = 0
    decoded_bytes: int = 0
    kept_bytes: int = 0
    spilled_bytes: int = 0
    retries: int = 0
    peak_bytes: int = 0
    finished: bool = True
    where: str = ""
    io_retries: int = 0
    rows_read_back: int = 0

    @property
    def tried_again(self) -> int:
        """How many times something was, whatever for."""
        return self.retries + self.io_retries

    @property
    def rows_a_second(self) -> float:
        """Rows a second by the clock."""
        return (self.rows - self.rows_read_back) / max(self.seconds, 1e-9)

    @property
    def decoded_a_second(self) -> float:
        """Decoded bytes a second by the clock."""
        return self.decoded_bytes / max(self.seconds, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


class Running:
    """A stage that goes on. Partitions are told to it from any thread.

    Args:
        name: what it is.
        rows: what it goes over; None: it goes over nothing, as training does.

    Attributes:
        name: what it is.
        over: the rows that it goes over, or None.
        partitions: how many it goes over.
        done: how many of them are done.
        threads: how many partitions are at work at a time.
        where: says who does it, where that is not the threads of this process.
    """

    def __init__(self, name: str, rows: "Rows | None" = None) -> None:
        self.name, self.over = name, rows
        self.partitions = 0 if rows is None else rows.n_partitions
        self.threads = 1 if rows is None else rows.n_workers
        self.done = self._rows = self._read_back = 0
        self.where: Callable[[], str] = str
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self.start()

    def start(self) -> None:
        """It begins now."""
        self._before = _counts(self.over)
        self._started, self._cpu = time.perf_counter(), time.process_time()
        self._recent.clear()
        self._recent.append((self._started, 0))

    def expect(self, partitions: int) -> None:
        """It goes over so many partitions, not all."""
        self.partitions = partitions

    def advance(self, n_rows: int) -> None:
        """A partition of so many rows is done."""
        with self._lock:
            self._rows += n_rows
            self.done += 1
            now = time.perf_counter()
            if now - self._recent[-1][0] >= _APART:
                self._recent.append((now, self.done))

    def read_back(self, n_rows: int) -> None:
        """What comes of a partition of so many rows was known: the pace is that of others, from now on."""
        with self._lock:
            self._rows += n_rows
            self._read_back += n_rows
            self.done += 1
            self._recent.clear()
            self._recent.append((time.perf_counter(), self.done))

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._started

    @property
    def share(self) -> float | None:
        """What is done of it, from 0 to 1; None where it has no partitions."""
        return min(self.done / self.partitions, 1.0) if self.partitions else None

    @property
    def seconds_left(self) -> float | None:
        """At the pace of the last quarter minute or more; None as long as there is none."""
        with self._lock:
            (first, before), (last, after) = self._recent[0], self._recent[-1]
            done = self.done
        now = time.perf_counter()
        if after > before:
            pace = (last - first) / (after - before)
            return max((self.partitions - done) * pace - (now - last), 0.0)
        return (self.partitions - done) * (now - first) / (done - before) if done > before else None

    def now(self, finished: bool = True) -> Stage:
        """What it did so far."""
        since = {name: value - self._before[name] for name, value in _counts(self.over).items()}
        with self._lock:
            rows, back, done = self._rows, self._read_back, self.done
        return Stage(
            self.name,
            seconds=self.seconds,
            cpu_seconds=time.process_time() - self._cpu,
            reading_seconds=since.pop("seconds_reading", 0.0),
            rows=rows,
            partitions=done,
            decoded_bytes=int((rows - back) * self._bytes_a_row) if rows > back else 0,
            peak_bytes=peak_memory(),
            finished=finished,
            where=self.where(),
            rows_read_back=back,
            **{name: int(value) for name, value in since.items()},
        )

    @cached_property
    def _bytes_a_row(self) -> float:
        """Of the columns that are asked for, once one partition was."""
        if self.over is None:
            return 0.0
        read = self.over.whole
        every = sum(part.n_rows for part in read.source.partitions)
        return read.decoded_bytes(read.asked) / max(every, 1)


def _counts(rows: "Rows | None") -> Mapping[str, float]:
    return {} if rows is None else {name: getattr(rows.whole, name) for name in _COUNTED}


def stage_table(stages: Sequence[Stage]) -> list[list[str]]:
    """The stages as a table of text, its head first; what is nothing in all of them is left out."""
    columns: list[tuple[str, Callable[[Stage], str]]] = [
        ("seconds", lambda stage: f"{stage.seconds:.2f}"),
        ("CPU s", lambda stage: f"{stage.cpu_seconds:.2f}"),
        ("reading s", lambda stage: _some(stage.reading_seconds, 1, ".2f")),
        ("partitions", lambda stage: _some(stage.partitions)),
        ("rows", lambda stage: _some(stage.rows)),
        ("read back", lambda stage: _some(stage.rows_read_back)),
        ("rows/s", lambda stage: _some(stage.rows_a_second)),
        ("GB/s", lambda stage: _some(stage.decoded_a_second, 1e9, ".2f")),
        ("read MB", lambda stage: _some(stage.bytes_read, 1e6, ",.1f")),
        ("kept MB", lambda stage: _some(stage.kept_bytes, 1e6, ",.1f")),
        ("spilled MB", lambda stage: _some(stage.spilled_bytes, 1e6, ",.1f")),
        ("peak so far MB", lambda stage: _some(stage.peak_bytes, 1e6)),
        ("retries", lambda stage: _some(stage.tried_again)),
        ("by", lambda stage: stage.where),
        ("", lambda stage: "" if stage.finished else "stopped"),
    ]
    shown = [(name, told) for name, told in columns if any(told(stage) for stage in stages)]
    head = ["stage", *(name for name, _ in shown)]
    return [head, *([stage.name, *(told(stage) for _, told in shown)] for stage in stages)]


def _some(value: float, unit: float = 1, form: str = ",.0f") -> str:
    """A number, or nothing where it rounds to 0."""
    text = format(value / unit, form)
    return text if text.strip("0.,") else ""
