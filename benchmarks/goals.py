"""What the engine was asked to show on two cores, beside what was measured.

    python -m benchmarks.compare --plan goals --patience 60     # measures the jobs; half an hour
    python -m benchmarks.growth                                 # how time and memory grow
    python -m benchmarks --parts small                          # small tables
    python -m benchmarks.goals                                  # this table, of what these three wrote

Ratios are medians of those of neighbours (report.py), each beside the best peer of that measure. The table is written
to MACHINE-goals.md too. What was not measured on this machine is said to be so. The exit code is 1 if a limit is not
kept, 2 if something was not measured.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import growth, machine
from .environments import PEERS
from .lines import OURS, Line, read
from .measure import Row
from .report import Found, Group
from .table import Numbers, grid, read_csv

MEASURES = {"cpu": "CPU", "wall": "wall"}
#: Beside the best peer, by CPU and by wall seconds: the limit, and what is aimed at.
BESIDE = {
    ("clicks", "matrix", 1_000_000): (1.0, 0.7),
    ("clicks", "matrix", 5_000_000): (0.55, 0.4),
    ("clicks", "matrix", 20_000_000): (0.45, 0.3),
    ("clicks", "parquet_files", 5_000_000): (0.7, 0.5),
    ("wide", "matrix", 2_000_000): (0.2, 0.15),
    ("trips", "matrix", 5_000_000): (1.0, 0.6),
}
#: Its CPU seconds over ours.
TIMES = {"sklearn": 12.0, "nvtabular": 12.0, "dask_ml": 7.0}
CLICKS: Group = ("clicks", "matrix", 1_000_000)
SERVING: Group = ("serving", "logistic", 1_000_000)


@dataclass(frozen=True, slots=True)
class Goal:
    """One limit.

    Attributes:
        what: in words.
        must: the limit.
        aim: what is aimed at, if more than the limit.
        found: what was measured; None: nothing was.
        least: whether the limit is the least allowed, not the most.
        note: beside whom, or why nothing was measured.
    """

    what: str
    must: float
    found: float | None
    aim: float | None = None
    least: bool = False
    note: str = ""

    @property
    def kept(self) -> bool:
        """Whether it was measured and is within its limit."""
        return self.found is not None and (self.found >= self.must if self.least else self.found <= self.must)


def goals(found: Found, lines: Sequence[Line], rows: Sequence[Row]) -> list[Goal]:
    """All of them, with what `compare`, `growth` and the part ``small`` found."""
    return [*_beside(found), *_times(found), *_growth(lines), *_serving(found), _small(rows)]


def _beside(found: Found) -> Iterator[Goal]:
    for group, (must, aim) in BESIDE.items():
        for measure, word in MEASURES.items():
            job, variant, count = group
            what = f"{job}/{variant}, {count:,} rows, {word} seconds over the best peer's"
            peers = _measured(found, group)
            if not peers:
                yield Goal(what, must, None, aim)
                continue
            best = min(peers, key=lambda peer: statistics.median(found.values(group, peer, measure)))
            yield Goal(what, must, _ratio(*found.pairs(group, best, measure)), aim, note=PEERS[best].label)


def _measured(found: Found, group: Group) -> list[str]:
    there = found.peers(group) if not found.failure(group, OURS) else []
    return [peer for peer in there if peer != OURS and not found.failure(group, peer)]


def _ratio(mine: Sequence[float], other: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(mine, other, strict=True))


def _times(found: Found) -> Iterator[Goal]:
    for peer, must in TIMES.items():
        what = f"clicks/matrix, 1,000,000 rows, CPU seconds of {PEERS[peer].label} over ours"
        if peer in _measured(found, CLICKS):
            mine, other = found.pairs(CLICKS, peer, "cpu")
            yield Goal(what, must, _ratio(other, mine), least=True)
        else:
            yield Goal(what, must, None, least=True, note=found.failure(CLICKS, peer))


def _growth(lines: Sequence[Line]) -> Iterator[Goal]:
    for measure, word in MEASURES.items():
        seconds = growth.medians(lines, "time", measure)
        slope = growth.exponent(seconds) if len(seconds) > 1 else None
        span = f"{min(seconds):,} to {max(seconds):,}" if slope else "1,000,000 to 20,000,000"
        yield Goal(f"clicks/matrix, {span} rows, {word} seconds grow by rows to the power of", 1.05, slope)
    peak, budget = (growth.medians(lines, "memory", measure) for measure in ("peak", "budget"))
    few, many = (min(peak), max(peak)) if len(peak) > 1 else (2_000_000, 20_000_000)
    folder = f"clicks/parquet_files under memory={f'{budget[many]:,.0f} MiB' if peak else '…'}"
    share = peak[many] / peak[few] if peak else None
    yield Goal(f"{folder}, peak at {many:,} rows over that at {few:,}", 1.2, share)
    yield Goal(f"{folder}, peak of the process, MiB", budget.get(many, 0.0), max(peak.values(), default=None))


def _serving(found: Found) -> Iterator[Goal]:
    def median(phase: str) -> float | None:
        values = found.values(SERVING, OURS, "median_ms", phase)
        return statistics.median(values) if values else None

    row, file, features = (median(phase) for phase in ("1 row", "a file", "a file: features alone"))
    yield Goal("serving, a row of 39 features, µs", 200, 1000 * row if row else None)
    share = features / file if file and features else None
    yield Goal("serving, a file of 1,000,000 rows, share of the transform's rows a second", 0.6, share, least=True)


def _small(rows: Sequence[Row]) -> Goal:
    numbers = Numbers(rows)
    phases = ["first: fit", "first: predict"]
    seconds = numbers.sums("small", "churn, warm", "gpupipe", phases, "wall")
    return Goal("5,000 rows: fit and predict after imports, s", 0.3, statistics.median(seconds) if seconds else None)


def table(found: Sequence[Goal]) -> str:
    """A line a goal, as Markdown."""
    lines = []
    for goal in found:
        limit, aim = (f"{'≥' if goal.least else '≤'} {value:,g}" if value else "" for value in (goal.must, goal.aim))
        measured = "not measured" if goal.found is None else f"{goal.found:,.{0 if goal.found >= 100 else 2}f}"
        kept = "" if goal.found is None else "yes" if goal.kept else "**no**"
        lines.append([goal.what, limit, aim, f"{measured}{f' ({goal.note})' if goal.note else ''}", kept])
    return grid(["what it must show", "limit", "aim", "measured", "kept"], lines)


def _commits(found: Found) -> str:
    return ", ".join(sorted({f"{line.commit} ({line.taken})" for line in found.lines if line.peer == OURS}))


def main(words: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.goals", description=(__doc__ or "").splitlines()[0])
    default = Path(__file__).with_name("results")
    parser.add_argument("--results", type=Path, default=default, help="a folder (default: %(default)s)")
    chosen = parser.parse_args(words)
    stem = machine.short_name()
    path = chosen.results / f"{stem}-jobs.csv"
    found = Found(read(path) if path.exists() else [])
    asked = goals(found, found.lines, read_csv(chosen.results / f"{stem}.csv"))
    facts = f"- machine: {stem}\n- commits: {_commits(found)}"
    page = f"# What was asked, and what was measured\n\n{facts}\n\n{table(asked)}\n"
    path.with_name(f"{stem}-goals.md").write_text(page)
    print(page)
    missed = any(goal.found is not None and not goal.kept for goal in asked)
    return 1 if missed else 2 * any(goal.found is None for goal in asked)


if __name__ == "__main__":
    sys.exit(main())
