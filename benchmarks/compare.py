"""Run jobs by gpupipe and by its peers, taking turns, and write down what each run took.

    python -m benchmarks.compare --jobs clicks/matrix,wide --rows 1e6,5e6 --peers polars,duckdb --repeats 3
    python -m benchmarks.compare --plan short        # one of plans.py; `make bench` runs this one

Each run is a process of its own, counted whole: its start, imports and end too. First every peer does the job once,
uncounted, and leaves its result, which must agree with ours; then they take turns, in an order that turns round. A slow
peer takes part in the first turns only, as many as `--patience` leaves it. Peers run in their own environments
(environments.py). Lines are appended to MACHINE-jobs.csv in benchmarks/results, with the machine's limits of the same
hour (limits.py); `python -m benchmarks.report` makes tables and plots of it.
"""

import argparse
import contextlib
import fcntl
import importlib
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from . import environments, limits, machine
from .environments import LIGHT, PEERS, NotMeasured
from .jobs.data import HOME as DATA
from .lines import FAILED, Line, append
from .measure import run
from .plans import PLANS, Case

JOBS = ("clicks", "wide", "trips", "serving")
LIMITED = JOBS[:3]  # serving's rows are those of clicks
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Places:
    """Folders; how long a run may take, and all counted runs of one peer (one run, at least)."""

    data: Path
    environments: Path
    limit: float
    lock: Path | None
    patience: float = math.inf


@dataclass(slots=True)
class Turn:
    """One peer, ready to run so many times."""

    name: str
    python: Path
    version: str
    runs: int = 1


class Comparison:
    """One comparison: what its lines share, and whether anything went wrong."""

    def __init__(self, places: Places, repeats: int) -> None:
        self.places = places
        self.repeats = repeats
        self.taken = datetime.now(UTC).isoformat(timespec="seconds")
        self.commit = machine.commit()
        self.wrong: list[str] = []

    def lines(self, case: Case) -> Iterator[Line]:
        """Everything about one case: the first run of each, compared, then the turns."""
        job = module_of(case.job)
        if case.variant not in job.VARIANTS:
            raise SystemExit(f"{case.job} has no variant {case.variant}; it has {', '.join(job.VARIANTS)}")
        data = job.make(self.places.data, case.rows)
        with tempfile.TemporaryDirectory(dir=self.places.data) as folder:
            turns = []
            for name in ("ours", *case.peers):
                ready = self._first(job, case, name, data, Path(folder))
                if isinstance(ready, Turn):
                    turns.append(ready)
                else:
                    yield self._line(case, name, "", ready, FAILED, 0, 0.0)
                    if name == "ours":  # nothing to compare with
                        return
            for repeat in range(self.repeats):
                for turn in turned([each for each in turns if repeat < each.runs], repeat):
                    yield from self._turn(case, turn, data, Path(folder), repeat)

    def _first(self, job: ModuleType, case: Case, name: str, data: Path, folder: Path) -> Turn | str:
        """The uncounted run that leaves its result; why there is no more to come, in words, if so."""
        out = folder / name
        try:
            python = environments.python(PEERS[name], self.places.environments)
            took = self._run(case, Turn(name, python, ""), data, out, keep=True)["process"]["wall"]
            if name != "ours":
                say(f"   {name}: {job.agree(folder / 'ours', out, case.variant)}")
        except (NotMeasured, RuntimeError) as error:
            return self._told(case, name, str(error), serious=name == "ours")
        except (ValueError, OSError) as error:
            return self._told(case, name, f"its result differs: {error}", serious=True)
        finally:
            if name != "ours":
                shutil.rmtree(out, ignore_errors=True)
        runs = self.repeats if name == "ours" else patient(self.repeats, took, self.places.patience)
        return Turn(name, python, environments.version(PEERS[name], python), runs)

    def _told(self, case: Case, name: str, why: str, serious: bool) -> str:
        why = " ".join(why.split())[-300:]
        say(f"   {name}: not measured: {why}")
        if serious:
            self.wrong.append(f"{case}, {name}: {why}")
        return why

    def _turn(self, case: Case, turn: Turn, data: Path, folder: Path, repeat: int) -> Iterator[Line]:
        try:
            phases = self._run(case, turn, data, folder / turn.name, keep=False)
        except RuntimeError as error:
            why = self._told(case, turn.name, str(error), serious=turn.name == "ours")
            yield self._line(case, turn.name, turn.version, why, FAILED, repeat, 0.0)
            return
        whole = phases["process"]
        say(f"   {turn.name}: {whole['cpu']:.2f} CPU s, {whole['wall']:.2f} s, {whole.get('peak', 0):,.0f} MiB")
        for phase, numbers in phases.items():
            for measure, value in numbers.items():
                yield self._line(case, turn.name, turn.version, phase, measure, repeat, value)

    def _run(self, case: Case, turn: Turn, data: Path, out: Path, keep: bool) -> dict[str, dict[str, float]]:
        words = [case.job, "--variant", case.variant, "--data", str(data), "--out", str(out), *["--keep"] * keep]
        with held(self.places.lock):
            return run(PEERS[turn.name].module, words, turn.python, self.places.limit)

    def limits(self, case: Case) -> Iterator[Line]:
        """What the machine can do at most with the rows of a case."""
        job = module_of(case.job)
        path = job.make(self.places.data, case.rows) / job.FILE
        began = time.perf_counter()
        for repeat in range(self.repeats):
            if repeat and time.perf_counter() - began > self.places.patience:
                return
            with held(self.places.lock):
                found = limits.measure(path)
            for phase, numbers in found.items():
                for measure, value in numbers.items():
                    made = Case("limits", case.job, case.rows, ())
                    yield self._line(made, "machine", "", phase, measure, repeat, value)

    def _line(self, case: Case, peer: str, version: str, phase: str, measure: str, repeat: int, value: float) -> Line:
        shared = self.taken, self.commit, case.job, case.variant, case.rows
        return Line(*shared, peer, version, phase, measure, repeat, float(value))


def patient(repeats: int, seconds: float, patience: float) -> int:
    """How many counted runs there are of what takes `seconds`, where `patience` is for all of them.

    >>> [patient(5, seconds, 60) for seconds in (1, 25, 300)]
    [5, 2, 1]
    """
    return max(1, int(min(repeats, patience / max(seconds, 1e-9))))


def turned(turns: Sequence[T], repeat: int) -> list[T]:
    """The order of one repetition: each begins in its turn, and every other one goes backwards.

    >>> [turned("abc", repeat) for repeat in range(3)]
    [['a', 'b', 'c'], ['a', 'c', 'b'], ['c', 'a', 'b']]
    """
    cut = repeat % max(len(turns), 1)
    order = [*turns[cut:], *turns[:cut]]
    return order[::-1] if repeat % 2 else order


def module_of(job: str) -> ModuleType:
    """The job's module."""
    return importlib.import_module(f"benchmarks.jobs.{job}")


@contextlib.contextmanager
def held(lock: Path | None) -> Iterator[None]:
    """Others that measure wait for the same file (as ``flock FILE`` does)."""
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def cases(chosen: argparse.Namespace) -> list[Case]:
    """What the command line asks for."""
    if chosen.plan:
        return list(PLANS[chosen.plan])
    found = []
    for name in chosen.jobs:
        job, _, variant = name.partition("/")
        if job not in JOBS:
            raise SystemExit(f"there is no job {job!r}; there are {', '.join(JOBS)}")
        variants = [variant] if variant else module_of(job).VARIANTS
        found += [Case(job, each, rows, tuple(chosen.peers)) for rows in chosen.rows for each in variants]
    return found


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--plan", choices=list(PLANS), help="jobs, sizes and peers that belong together")
    parser.add_argument("--jobs", type=_words, default=["clicks"], help="JOB or JOB/VARIANT, comma-separated")
    parser.add_argument("--rows", type=_numbers, default=[1_000_000], help="comma-separated (default: 1e6)")
    parser.add_argument("--peers", type=_words, default=list(LIGHT), help=f"default: {','.join(LIGHT)}; or all, none")
    parser.add_argument("--repeats", type=int, default=3, help="counted runs of each (default: %(default)s)")
    parser.add_argument("--patience", type=float, default=math.inf, help="seconds for all counted runs of one peer")
    parser.add_argument("--limit", type=float, default=900, help="seconds a run may take (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="a folder for the jobs' rows (default: %(default)s)")
    parser.add_argument("--environments", type=Path, default=environments.HOME, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"), help="a folder for the file")
    parser.add_argument("--lock", type=Path, help="a file to hold locked during each run, where others measure too")
    chosen = parser.parse_args(words)
    if chosen.peers == ["all"]:
        chosen.peers = [name for name in PEERS if name != "ours"]
    if chosen.peers == ["none"]:
        chosen.peers = []
    unknown = set(chosen.peers) - (set(PEERS) - {"ours"})
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if chosen.repeats < 1:
        parser.error("--repeats takes at least 1")
    return chosen


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(float(word)) for word in text.split(",")]


def main(words: list[str] | None = None) -> int:
    """Run what was asked; lines are written as they come. The exit code is 1 if a result differs, or ours failed."""
    chosen = arguments(words)
    path = chosen.out / f"{machine.short_name()}-jobs.csv"
    chosen.data.mkdir(parents=True, exist_ok=True)
    places = Places(chosen.data, chosen.environments, chosen.limit, chosen.lock, chosen.patience)
    comparison = Comparison(places, chosen.repeats)
    asked = cases(chosen)
    for case in asked:
        say(f"== {case}")
        for line in comparison.lines(case):
            append(path, [line])
    for job in dict.fromkeys(case.job for case in asked if case.job in LIMITED):
        say(f"== limits, {job}")
        largest = max((case for case in asked if case.job == job), key=lambda case: case.rows)
        append(path, comparison.limits(largest))
    for wrong in comparison.wrong:
        say(f"WRONG: {wrong}")
    say(f"written to {path}")
    return 1 if comparison.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
