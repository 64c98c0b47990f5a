"""From tidy rows to a CSV file and a page of Markdown. Ratios are of neighbours: each repetition's two runs."""

import csv
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from .measure import Row

Key = tuple[str, str, str, str, str]


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One line a number."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**asdict(row), "value": f"{row.value:.6g}"} for row in rows)


def read_csv(path: Path) -> list[Row]:
    """What `write_csv` wrote; nothing where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        made: list[Row] = []
        for words in csv.DictReader(file):
            part, case, side, phase, measure, repeat, value = words.values()
            made.append(Row(part, case, side, phase, measure, int(repeat), float(value)))
        return made


class Numbers:
    """Rows looked up by what they are: the repetitions' values, in order.

    >>> Numbers([Row("p", "c", "s", "x", "cpu", 0, 2.0)]).sums("p", "c", "s", ["x"], "cpu")
    [2.0]
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._values: dict[Key, list[float]] = {}
        for row in sorted(rows, key=lambda row: row.repeat):
            self._values.setdefault((row.part, row.case, row.side, row.phase, row.measure), []).append(row.value)

    def cases(self, part: str) -> list[str]:
        """The cases of a part, in order."""
        return list(dict.fromkeys(key[1] for key in self._values if key[0] == part))

    def phases(self, part: str, case: str) -> list[str]:
        """The phases of a case, in order."""
        return list(dict.fromkeys(key[3] for key in self._values if key[:2] == (part, case)))

    def sums(self, part: str, case: str, side: str, phases: Sequence[str], measure: str) -> list[float]:
        """For each repetition the sum over `phases` (a phase that a side lacks counts nothing)."""
        found = [self._values[key] for phase in phases if (key := (part, case, side, phase, measure)) in self._values]
        return [sum(values) for values in zip(*found, strict=True)]

    def one(self, part: str, case: str, side: str, phase: str, measure: str) -> float:
        """The median over repetitions."""
        return statistics.median(self._values[(part, case, side, phase, measure)])


def page(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """All parts that were measured, as Markdown."""
    numbers = Numbers(rows)
    parts: dict[str, Callable[[Numbers], str]] = {
        "features": features,
        "scoring": scoring,
        "small": small,
        "import": imports,
        "cache": cache,
        "quantiles": quantiles,
        "quality": quality,
        "exact": exact,
    }
    told = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    sections = [write(numbers) for name, write in parts.items() if numbers.cases(name)]
    return "\n\n".join([told, *sections]) + "\n"


def grid(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers.

    >>> print(grid(["a", "b"], [["x", "1"]]))
    | a | b |
    |---|--:|
    | x | 1 |
    """
    rule = "|---|" + "--:|" * (len(heads) - 1)
    return "\n".join([f"| {' | '.join(heads)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)])


def ratio(mine: Sequence[float], other: Sequence[float]) -> str:
    """The median ratio of neighbouring runs, with the least and the greatest."""
    found = [a / b for a, b in zip(mine, other, strict=True)]
    return f"**{statistics.median(found):.2f}** ({min(found):.2f}–{max(found):.2f})"


def features(numbers: Numbers) -> str:
    """CPU seconds of fit and transform, with the ratio to scikit-learn's."""
    lines = []
    for case in numbers.cases("features"):
        for when in ("first", "again"):
            phases = [phase for phase in numbers.phases("features", case) if phase.startswith(when)]
            cpu, wall = (
                [numbers.sums("features", case, side, phases, measure) for side in ("gpupipe", "scikit-learn")]
                for measure in ("cpu", "wall")
            )
            peaks = [numbers.one("features", case, side, "process", "peak") for side in ("gpupipe", "scikit-learn")]
            lines.append(
                [
                    f"{case}, {'first in a process' if when == 'first' else 'again'}",
                    *(f"{statistics.median(values):.3f}" for values in cpu),
                    ratio(*cpu),
                    ratio(*wall),
                    " / ".join(f"{peak:,.0f}" for peak in peaks),
                ]
            )
    heads = ["fit + transform", "gpupipe CPU s", "scikit-learn CPU s", "CPU ratio", "wall ratio", "peak MiB"]
    return "### Features\n\n" + grid(heads, lines)


def scoring(numbers: Numbers) -> str:
    """Milliseconds a call by the number of rows."""
    (case,) = numbers.cases("scoring")
    lines = []
    for phase in numbers.phases("scoring", case):
        if phase != "process":
            sides = ("gpupipe", "scikit-learn")
            medians = [numbers.sums("scoring", case, side, [phase], "median_ms") for side in sides]
            tails = [numbers.one("scoring", case, side, phase, "p99_ms") for side in sides]
            told = [f"{statistics.median(m):.2f} / {tail:.2f}" for m, tail in zip(medians, tails, strict=True)]
            lines.append([phase, *told, ratio(*medians)])
    heads = [f"a call, {case}", "gpupipe ms, median / p99", "scikit-learn ms, median / p99", "ratio"]
    return "### Scoring\n\n" + grid(heads, lines)


def small(numbers: Numbers) -> str:
    """Seconds of fit and predict in a new process, after its imports."""
    lines = []
    for case in numbers.cases("small"):
        for when in ("first", "again"):
            phases = [phase for phase in numbers.phases("small", case) if phase.startswith(when)]
            ours = [numbers.sums("small", case, "gpupipe", phases, measure) for measure in ("wall", "cpu")]
            peer = [numbers.sums("small", case, "scikit-learn", phases, measure) for measure in ("wall", "cpu")]
            told = [f"{statistics.median(values):.3f}" if values else "" for values in (*ours, *peer)]
            lines.append([f"{case}, {when}", *told])
    heads = ["5,000 rows: fit + predict", "gpupipe s", "CPU s", "scikit-learn s", "CPU s"]
    return "### Small tables\n\n" + grid(heads, lines)


def imports(numbers: Numbers) -> str:
    """Seconds of a process that imports and ends, less those of one that only ends."""
    lines = []
    for measure in ("cpu", "wall"):
        nothing, ours, base = (
            numbers.sums("import", "a new process", side, ["process"], measure)
            for side in ("nothing", "gpupipe", "numpy, pyarrow")
        )
        mine, other = ([a - b for a, b in zip(side, nothing, strict=True)] for side in (ours, base))
        medians = (f"{statistics.median(values):.3f}" for values in (mine, other))
        whole = f"{statistics.median(mine) / statistics.median(other):.2f}"
        lines.append([f"{measure} seconds", *medians, f"**{whole}**"])
    return "### Import\n\n" + grid(["new processes", "gpupipe", "numpy, pyarrow", "ratio of medians"], lines)


def cache(numbers: Numbers) -> str:
    """Seconds and peak memory of trips over rows by where their columns wait."""
    lines = []
    for job in numbers.cases("cache"):
        for side in dict.fromkeys(key[2] for key in numbers._values if key[:2] == ("cache", job)):
            phases = [phase for phase in numbers.phases("cache", job) if phase.startswith(("trip", "fit"))]
            told = [
                " / ".join(f"{numbers.one('cache', job, side, phase, measure):.2f}" for phase in phases)
                for measure in ("wall", "cpu")
            ]
            peak = [numbers.one("cache", job, side, *what) for what in (("process", "peak"), ("start", "peak"))]
            held = [numbers.one("cache", job, side, "cache", what) for what in ("kept_mib", "spilled_mib")]
            amounts = [f"{mib:,.0f}" for mib in (*held, peak[0] - peak[1])]
            lines.append([f"{', '.join(phases)}: {side}", *told, *amounts])
    heads = ["columns kept in", "wall s", "CPU s", "kept MiB", "written MiB", "peak MiB more than at the start"]
    return "### Further trips over the rows\n\n" + grid(heads, lines)


def quantiles(numbers: Numbers) -> str:
    """CPU milliseconds a column of a million rows, with the ratio of ours to each peer's."""
    lines = []
    for case in numbers.cases("quantiles"):
        for when in ("first", "again"):
            ours, *others = (
                numbers.sums("quantiles", case, side, [when], "cpu")
                for side in ("gpupipe", "scikit-learn", "NumPy", "NumPy, sorted")
            )
            told = [ratio(ours, peer) if peer else "" for peer in others]
            lines.append([f"{case}, {when}", f"{statistics.median(ours) / 30 * 1e3:.1f}", *told])
    peers = ["over scikit-learn", "over NumPy", "over NumPy, sorted"]
    heads = ["a million values", "gpupipe CPU ms a column", *peers]
    return "### Medians and quantiles\n\n" + grid(heads, lines)


def quality(numbers: Numbers) -> str:
    """ROC AUC on held-out rows."""
    lines = []
    for case in numbers.cases("quality"):
        ours, peer = (numbers.one("quality", case, side, "held out", "roc_auc") for side in ("gpupipe", "scikit-learn"))
        floor = numbers.one("quality", case, "gpupipe", "held out", "floor")
        held = numbers.one("quality", case, "gpupipe", "held out", "rows")
        lines.append([case, f"{held:,.0f}", f"{ours:.4f}", f"{peer:.4f}", f"{ours - peer:+.4f}", f"{floor:.3f}"])
    return "### Held-out quality\n\n" + grid(
        ["demo", "held-out rows", "gpupipe ROC AUC", "scikit-learn", "difference", "floor"], lines
    )


def exact(numbers: Numbers) -> str:
    """CPU and wall seconds of a fit with exact sums and with plain ones, then nanoseconds a value of the kernels."""
    lines = []
    for case in (case for case in numbers.cases("exact") if case != "kernels"):
        cpu, wall = (
            [numbers.sums("exact", case, side, ["fit"], measure) for side in ("exact", "plain")]
            for measure in ("cpu", "wall")
        )
        lines.append([case, *(f"{statistics.median(values):.3f}" for values in cpu), ratio(*cpu), ratio(*wall)])
    heads = ["fit from Parquet", "exact CPU s", "plain CPU s", "CPU ratio", "wall ratio"]
    parts = ["### Exact sums", grid(heads, lines)]
    if "kernels" in numbers.cases("exact"):
        parts.append(_exact_kernels(numbers))
    return "\n\n".join(parts)


def _exact_kernels(numbers: Numbers) -> str:
    lines = []
    for case in numbers.phases("exact", "kernels"):
        found = [numbers.sums("exact", "kernels", form, [case], "ns") for form in ("Numba", "NumPy", "plain")]
        lines.append([case, *(f"{statistics.median(values):.1f}" if values else "" for values in found)])
    return grid(["sums and squares, ns a value", "exact, Numba", "exact, NumPy", "plain NumPy"], lines)
