"""The command line that all peers' scripts share (the standard library only, Python 3.10 and newer).

    python -m benchmarks.peers.polars_ clicks --variant matrix --data FOLDER --out FOLDER [--keep] [--set NAME=VALUE]

does the job once, and prints one line of JSON: what each phase took, and what was noted. With ``--keep`` the result is
left in the folder OUT under the names that the job states (``matrix.npy``, ``features.parquet``), for comparison.
"""

import argparse
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..measure import Clock, tell


@dataclass
class Task:
    """One run of a job: what a peer's function is given.

    Attributes:
        data: the folder with the job's rows.
        out: an existing folder that results go to.
        variant: which of the job's variants.
        keep: whether the result must be left in `out`; a variant that ends in a file writes it anyway.
        settings: what ``--set`` gave, for trying a peer's own settings; none in a comparison.
        clock: laps the phases. Importing the peer is in its phase ``start`` already.
    """

    data: Path
    out: Path
    variant: str
    keep: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    notes: dict[str, float] = field(default_factory=dict)

    def lap(self, phase: str) -> None:
        """What was done since the last lap was `phase`."""
        self.clock.lap(phase)

    def note(self, name: str, value: float) -> None:
        """A number that is no time: an AUC, a count."""
        self.notes[name] = float(value)

    def train(self, matrix: Any, label: Any) -> None:
        """The models of J1 on `matrix`; scikit-learn and XGBoost are loaded only here."""
        importlib.import_module("benchmarks.peers.training").train(self, matrix, label)


Job = Callable[[Task], None]


def main(jobs: Mapping[str, Job], words: "list[str] | None" = None) -> None:
    """Do the job that the command line names, once."""
    chosen = _arguments(jobs, words)
    clock = Clock()
    clock.since_start("start")
    chosen.out.mkdir(parents=True, exist_ok=True)
    task = Task(chosen.data, chosen.out, chosen.variant, chosen.keep, dict(chosen.set), clock)
    jobs[chosen.job](task)
    task.clock.lap("rest")
    tell({**task.clock.phases, **({"notes": task.notes} if task.notes else {})})


def _arguments(jobs: Mapping[str, Job], words: "list[str] | None") -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("job", choices=list(jobs))
    parser.add_argument("--variant", required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the job's rows")
    parser.add_argument("--out", type=Path, required=True, help="a folder for results")
    parser.add_argument("--keep", action="store_true", help="leave the result in OUT")
    parser.add_argument("--set", action="append", default=[], type=_setting, metavar="NAME=VALUE")
    return parser.parse_args(words)


def _setting(text: str) -> "tuple[str, str]":
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
