"""How the time and the memory of J1 grow with its rows.

    python -m benchmarks.growth                          # on two free cores 3 minutes, once the rows are made
    python -m benchmarks.growth --parts memory --repeats 1

``time``: to a matrix in memory, 1, 2, 5 and 20 million rows taking turns; the exponent is the slope of the line through
the logarithms of the medians, and the steepest step is that between two sizes next to each other. ``memory``: to a
folder of Parquet under a budget, at the second size and the last: the most that the whole process had resident. What
may be kept for a second trip is kept, so under a larger budget than the fewer rows fill the more rows take more. Lines
are appended to MACHINE-jobs.csv, where `benchmarks.goals` finds them.
"""

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from . import machine
from .compare import say, turned
from .jobs import clicks
from .jobs.data import HOME as DATA
from .lines import OURS, Line, append
from .measure import run
from .table import grid

JOB = "growth"
SIZES = (1_000_000, 2_000_000, 5_000_000, 20_000_000)
MEASURES = ("cpu", "wall", "peak", "budget")
VARIANTS = {"time": "matrix", "memory": "parquet_files"}
BUDGET = 1.0  # GiB


def sizes_of(part: str, sizes: Sequence[int]) -> list[int]:
    """Time is measured at all of them, memory at the second and the last.

    >>> sizes_of("memory", SIZES)
    [2000000, 20000000]
    """
    return list(sizes) if part == "time" else [sizes[1], sizes[-1]]


def measured(part: str, sizes: Sequence[int], repeats: int, data: Path, budget: float = BUDGET) -> Iterator[Line]:
    """All sizes taking turns, after a run of the least that does not count; `budget` in GiB, of memory alone."""
    shared = datetime.now(UTC).isoformat(timespec="seconds"), machine.commit(), JOB, VARIANTS[part]
    folders = {rows: clicks.make(data, rows) for rows in sizes}
    given = ["--set", f"memory={budget:g}GiB"] if part == "memory" else []
    _once(part, folders[min(sizes)], given)
    for repeat in range(repeats):
        for rows in turned(sizes, repeat):
            found = _once(part, folders[rows], given) | ({"budget": 1024 * budget} if given else {})
            say(f"   {rows:,} rows: {found['cpu']:.2f} CPU s, {found['wall']:.2f} s, {found['peak']:,.0f} MiB")
            for measure in MEASURES:
                if measure in found:
                    yield Line(*shared, rows, OURS, "", "process", measure, repeat, found[measure])


def _once(part: str, data: Path, given: Sequence[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=data.parent) as out:
        words = ["clicks", "--variant", VARIANTS[part], "--data", str(data), "--out", out]
        return run("peers.ours_", [*words, *given])["process"]


def medians(lines: Sequence[Line], part: str, measure: str) -> dict[int, float]:
    """By rows, from the fewest."""
    found: dict[int, list[float]] = {}
    for line in lines:
        if (line.job, line.variant, line.measure) == (JOB, VARIANTS[part], measure):
            found.setdefault(line.rows, []).append(line.value)
    return {rows: statistics.median(found[rows]) for rows in sorted(found)}


def exponent(seconds: Mapping[int, float]) -> float:
    """The slope of log seconds over log rows, by least squares.

    >>> round(exponent({10: 2.0, 100: 20.0, 1000: 200.0}), 6)
    1.0
    """
    fit = statistics.linear_regression([math.log(n) for n in seconds], [math.log(s) for s in seconds.values()])
    return fit.slope


def steepest(seconds: Mapping[int, float]) -> float:
    """The largest exponent between two sizes next to each other.

    >>> round(steepest({10: 2.0, 100: 2.0, 1000: 200.0}), 6)
    2.0
    """
    return max(math.log(b[1] / a[1]) / math.log(b[0] / a[0]) for a, b in pairwise(seconds.items()))


def told(lines: Sequence[Line]) -> str:
    """What was found, as Markdown; nothing of a part that was not measured."""
    parts = []
    cpu, wall, peak = (medians(lines, "time", measure) for measure in ("cpu", "wall", "peak"))
    if len(cpu) > 1:
        table = [[f"{rows:,}", f"{cpu[rows]:.2f}", f"{wall[rows]:.2f}", f"{peak[rows]:,.0f}"] for rows in cpu]
        slopes = [f"{exponent(each):.2f} (steepest step {steepest(each):.2f})" for each in (cpu, wall)]
        table.append(["grows by rows to the power of", *slopes, ""])
        parts.append(grid(["J1 to a matrix, rows", "CPU s", "wall s", "peak MiB"], table))
    peak = medians(lines, "memory", "peak")
    if len(peak) > 1:
        few, many = min(peak), max(peak)
        budget = medians(lines, "memory", "budget")
        table = [[f"{rows:,}", f"{peak[rows]:,.0f}", f"{budget[rows]:,.0f}"] for rows in peak]
        table.append([f"{many:,} over {few:,}", f"{peak[many] / peak[few]:.2f} ×", ""])
        parts.append(grid(["J1 to a folder of Parquet, rows", "peak MiB of the process", "memory=, MiB"], table))
    return "\n\n".join(parts)


def main(words: list[str] | None = None) -> int:
    """Measure, write, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--rows", type=float, nargs="+", default=list(SIZES), help="three sizes or more, growing")
    parser.add_argument("--repeats", type=int, default=3, help="counted runs of each (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=BUDGET, help="GiB, of memory (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="a folder for the rows (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"), help="a folder for the file")
    chosen = parser.parse_args(words)
    sizes = sorted({int(rows) for rows in chosen.rows})
    if len(sizes) < 3 or chosen.repeats < 1:
        parser.error("--rows takes three sizes or more, --repeats at least 1")
    chosen.data.mkdir(parents=True, exist_ok=True)
    path = chosen.out / f"{machine.short_name()}-jobs.csv"
    found: list[Line] = []
    for part in chosen.parts:
        say(f"== {part}")
        for line in measured(part, sizes_of(part, sizes), chosen.repeats, chosen.data, chosen.budget):
            append(path, [line])
            found.append(line)
    print(told(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
