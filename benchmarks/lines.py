"""The file of results of jobs: a line a number, appended, each line whole by itself."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

FAILED = "not measured"
OURS = "ours"


@dataclass(frozen=True, slots=True)
class Line:
    """One number of one run.

    Attributes:
        taken: when the comparison began, ISO 8601; lines of one comparison share it.
        commit: of this repository.
        job: which job; ``limits`` for what the machine can do.
        variant: of the job.
        rows: how many.
        peer: its name on the command line.
        version: of the peer.
        phase: ``process`` is the whole run, its start included; where nothing was measured, the reason.
        measure: ``cpu``, ``wall`` (seconds), ``peak``, ``read`` (MiB), a noted number, or ``not measured``.
        repeat: from 0.
        value: the number.
    """

    taken: str
    commit: str
    job: str
    variant: str
    rows: int
    peer: str
    version: str
    phase: str
    measure: str
    repeat: int
    value: float


def append(path: Path, lines: Iterable[Line]) -> None:
    """Add lines to a file, which gets its header when it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Line)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows({**asdict(line), "value": f"{line.value:.6g}"} for line in lines)


def read(path: Path) -> Iterator[Line]:
    """The lines of a file, in order."""
    with path.open(newline="") as file:
        for words in csv.DictReader(file):
            made: dict[str, Any] = {**words, "rows": int(words["rows"]), "repeat": int(words["repeat"])}
            yield Line(**{**made, "value": float(words["value"])})


def latest(lines: Iterable[Line]) -> list[Line]:
    """Of each peer in each job, variant and size what its last comparison found, in the file's order.

    Ratios are of one comparison, so ours stays in every one of these.
    """
    kept = list(lines)
    newest: dict[tuple[str, str, int, str], str] = {}
    for line in kept:
        key = line.job, line.variant, line.rows, line.peer
        newest[key] = max(newest.get(key, ""), line.taken)
    wanted = {(*key[:3], taken) for key, taken in newest.items()}

    def stays(line: Line) -> bool:
        case = line.job, line.variant, line.rows
        own = line.taken == newest[(*case, line.peer)]
        return own or (line.peer == OURS and (*case, line.taken) in wanted)

    return [line for line in kept if stays(line)]
