"""Tables and plots of what `benchmarks.compare` wrote.

    python -m benchmarks.report                  # the page beside the file of this machine, and its plots
    python -m benchmarks.report --readme         # and the README's table

Of each peer in each job, variant and size the last comparison counts. Seconds are medians of whole processes; ratios
are of neighbours: the runs of one repetition of one comparison. The plots need matplotlib; without it there are none,
which is said.
"""

import argparse
import importlib
import importlib.util
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import machine
from .environments import PEERS
from .lines import FAILED, OURS, Line, latest, read
from .table import grid, ratio

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- jobs: begin -->", "<!-- jobs: end -->"
TITLES = {
    "clicks": "J1, clicks: 13 numbers and 26 text columns",
    "wide": "J2, wide: 200 numbers",
    "trips": "J3, trips: dates, distances, statistics by group",
    "serving": "J4, serving",
}
Group = tuple[str, str, int]


class Found:
    """The numbers of each case, by peer."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = latest(lines)

    def groups(self) -> list[Group]:
        """(job, variant, rows) of all that was compared, in order."""
        jobs = list(TITLES)
        keys = ((line.job, line.variant, line.rows) for line in self.lines if line.job in jobs)
        return sorted(dict.fromkeys(keys), key=lambda key: (jobs.index(key[0]), key[1], key[2]))

    def peers(self, group: Group) -> list[str]:
        """Ours, then the others in the order of the command line's names."""
        there = {line.peer for line in self._of(group)}
        return [name for name in PEERS if name in there]

    def values(self, group: Group, peer: str, measure: str, phase: str = "process", taken: str = "") -> list[float]:
        """One number of each repetition of a comparison, in order; of the last one if not told."""
        when = taken or self.taken(group, peer)
        asked = peer, phase, measure, when
        found = [each for each in self._of(group) if (each.peer, each.phase, each.measure, each.taken) == asked]
        return [line.value for line in sorted(found, key=lambda line: line.repeat)]

    def pairs(self, group: Group, peer: str, measure: str) -> tuple[list[float], list[float]]:
        """Ours and its of each repetition that it took part in, the first ones: the two of one comparison."""
        other = self.values(group, peer, measure)
        return self.values(group, OURS, measure, taken=self.taken(group, peer))[: len(other)], other

    def taken(self, group: Group, peer: str) -> str:
        """When its last comparison began."""
        return max((line.taken for line in self._of(group) if line.peer == peer), default="")

    def phases(self, group: Group, peer: str) -> dict[str, float]:
        """Median CPU seconds of each phase but the whole."""
        when = self.taken(group, peer)
        found = [each for each in self._of(group) if (each.peer, each.taken, each.measure) == (peer, when, "cpu")]
        names = dict.fromkeys(line.phase for line in found if line.phase != "process")
        return {name: statistics.median(self.values(group, peer, "cpu", name)) for name in names}

    def version(self, group: Group, peer: str) -> str:
        """Of the peer, as it ran."""
        return next((line.version for line in self._of(group) if line.peer == peer and line.version), "")

    def failure(self, group: Group, peer: str) -> str:
        """Why it has no numbers, or not all of them; nothing where it has."""
        asked = peer, self.taken(group, peer), FAILED
        return next((line.phase for line in self._of(group) if (line.peer, line.taken, line.measure) == asked), "")

    def limits(self) -> list[tuple[str, str]]:
        """(what, how much) the machine could do, by job."""
        told: dict[tuple[str, int, str, str], list[float]] = {}
        for line in self.lines:
            if line.peer == "machine":
                told.setdefault((line.variant, line.rows, line.phase, line.measure), []).append(line.value)
        return [
            (f"{phase} ({job}, {rows:,} rows)", f"{statistics.median(values):.2f} {UNITS.get(unit, unit)}")
            for (job, rows, phase, unit), values in told.items()
        ]

    def _of(self, group: Group) -> list[Line]:
        return [line for line in self.lines if (line.job, line.variant, line.rows) == group]


UNITS = {"cpu": "CPU s", "wall": "s"}
HEADS = ["whole process", "CPU s", "wall s", "gpupipe's CPU s over its", "wall s", "peak MiB"]


def table(found: Found, group: Group) -> str:
    """One case: a line a peer, and a line under it for those that could not be measured."""
    lines, failed = [], []
    for peer in found.peers(group):
        if why := found.failure(group, peer):
            failed.append(f"{PEERS[peer].label}: not measured: {why}")
        else:
            lines.append(row(found, group, peer))
    return "\n\n".join([grid(HEADS, lines)] * bool(lines) + failed)


def row(found: Found, group: Group, peer: str) -> list[str]:
    """Medians, and ratios with their range."""
    name = f"{PEERS[peer].label} {found.version(group, peer)}".strip()
    if (when := found.taken(group, peer)) != found.taken(group, OURS):
        name = f"{name} ({when}, beside gpupipe of then)"
    cells = [f"{statistics.median(found.values(group, peer, measure)):.2f}" for measure in ("cpu", "wall")]
    for measure in ("cpu", "wall"):
        mine, other = found.pairs(group, peer, measure)
        comparable = peer != OURS and len(mine) == len(other) > 0
        cells.append(ratio(mine, other) if comparable else "")
    return [name, *cells, f"{statistics.median(found.values(group, peer, 'peak')):,.0f}"]


def calls(found: Found, group: Group) -> str:
    """J4: milliseconds a call, which are no matter of the whole process."""
    lines = []
    names = dict.fromkeys(line.phase for line in found._of(group) if line.measure == "median_ms")
    for peer in found.peers(group):
        if why := found.failure(group, peer):
            lines.append([PEERS[peer].label, f"not measured: {why}", *[""] * (len(names) - 1)])
            continue
        medians = [found.values(group, peer, "median_ms", name) for name in names]
        told = [f"{statistics.median(values):,.3f}" if values else "" for values in medians]
        lines.append([f"{PEERS[peer].label} {found.version(group, peer)}", *told])
    return grid(["ms a call, median", *names], lines)


def title(group: Group) -> str:
    """A case in words."""
    job, variant, rows = group
    return f"{TITLES[job]} → {variant.replace('_', ' ')}, {rows:,} rows"


def page(found: Found, facts: Iterable[tuple[str, str]]) -> str:
    """Everything, as Markdown."""
    parts = ["# gpupipe and its peers, job by job", "\n".join(f"- {name}: {value}" for name, value in facts)]
    for group in found.groups():
        parts += [f"### {title(group)}", (calls if group[0] == "serving" else table)(found, group)]
        parts += [steps for peer in found.peers(group) if (steps := _phases(found, group, peer))]
    if limits := found.limits():
        parts += ["### What the machine can do", grid(["limit", "median"], limits)]
    return "\n\n".join(parts) + "\n"


def _phases(found: Found, group: Group, peer: str) -> str:
    phases = found.phases(group, peer)
    told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in phases.items() if name != "rest" or seconds > 0.01)
    return f"{PEERS[peer].label}, CPU s by phase: {told}." if told else ""


def readme(found: Found, machine_name: str) -> str:
    """The README's table, and how it was taken: every case beside its best peer, by CPU seconds and by wall seconds."""
    lines = []
    for group in found.groups():
        others = [peer for peer in found.peers(group) if peer != OURS and not found.failure(group, peer)]
        if group[0] == "serving" or found.failure(group, OURS) or not others:
            continue
        cpu, wall = (beside_the_best(found, group, others, measure) for measure in ("cpu", "wall"))
        peak = statistics.median(found.values(group, OURS, "peak"))
        lines.append([title(group), *cpu, *wall, f"{peak:,.0f}"])
    sides = ["gpupipe {}", "best peer", "ratio"]
    heads = [word.format(measure) for measure in ("CPU s", "wall s") for word in sides]
    return f"{_how(found, machine_name)}\n\n{grid(['job, whole process', *heads, 'peak MiB'], lines)}"


def _how(found: Found, machine_name: str) -> str:
    """The machine, the versions, the commits and the commands, in a paragraph."""
    versions: dict[str, set[str]] = {}
    for line in found.lines:
        if line.peer in PEERS and line.version:
            versions.setdefault(line.peer, set()).add(line.version)
    told = [f"{PEERS[peer].label} {' and '.join(sorted(versions[peer]))}" for peer in PEERS if peer in versions]
    commits = sorted({(line.taken[:10], line.commit) for line in found.lines if line.peer == OURS})
    return (
        f"Machine `{machine_name}`: {', '.join(told)}; fresh processes taking turns, medians of neighbours (range in"
        f" brackets), below 1 gpupipe is faster; at {', '.join(f'{commit} ({day})' for day, commit in commits)}, by"
        " `python -m benchmarks.compare` (`--plan goals` runs them all) and `python -m benchmarks.report"
        " --readme`."
    )


def beside_the_best(found: Found, group: Group, others: Sequence[str], measure: str) -> list[str]:
    """Our median, the least median of the others and whose it is, and the ratio."""
    medians = {peer: statistics.median(found.values(group, peer, measure)) for peer in others}
    best = min(medians, key=lambda peer: medians[peer])
    mine, other = found.pairs(group, best, measure)
    compared = ratio(mine, other)
    return [f"{statistics.median(mine):.2f}", f"{medians[best]:.2f} ({PEERS[best].label})", compared]


def into_readme(text: str, block: str) -> str:
    """`text` with `block` between the two marks.

    Raises:
        ValueError: the marks are not there, once each.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the README holds {BEGIN} and {END} once each, around the table")
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{block}\n{END}{rest.partition(END)[2]}"


def plot(found: Found, group: Sequence[Group], path: Path) -> None:
    """CPU seconds of one job and variant by rows, a line a peer, logarithmic both ways."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for peer in PEERS:
        points = [(each[2], found.values(each, peer, "cpu")) for each in group]
        measured = [(rows, statistics.median(values)) for rows, values in points if values]
        if measured:
            axes.plot(*zip(*measured, strict=True), marker="o", label=PEERS[peer].label)
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="CPU seconds, whole process", title=TITLES[group[0][0]])
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def plots(found: Found, stem: Path) -> list[Path]:
    """One picture a job and variant; none where matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        print("no plots: matplotlib is not installed (pip install '.[bench]')", file=sys.stderr)
        return []
    importlib.import_module("matplotlib").rcParams["svg.hashsalt"] = "gpupipe"  # the same bytes for the same numbers
    made = []
    for job, variant in dict.fromkeys(group[:2] for group in found.groups() if group[0] != "serving"):
        made.append(stem.with_name(f"{stem.name}-{job}-{variant}.svg"))
        plot(found, [group for group in found.groups() if group[:2] == (job, variant)], made[-1])
    return made


def main(words: list[str] | None = None) -> int:
    """Write the page, the plots, and the README's table where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=(__doc__ or "").splitlines()[0])
    default = Path(__file__).with_name("results")
    parser.add_argument("--results", type=Path, default=default, help="a folder (default: %(default)s)")
    parser.add_argument("--file", type=Path, help="what compare wrote there (default: this machine's)")
    parser.add_argument("--readme", action="store_true", help="write the README's table too")
    chosen = parser.parse_args(words)
    path = chosen.file or chosen.results / f"{machine.short_name()}-jobs.csv"
    if not path.exists():
        others = ", ".join(sorted(str(each) for each in path.parent.glob("*-jobs.csv"))) or "none"
        parser.error(f"there is no {path}: python -m benchmarks.compare writes it; --file takes another ({others})")
    found = Found(read(path))
    facts = [("machine", path.stem.removesuffix("-jobs"))]
    facts += [("taken", ", ".join(sorted({f"{line.taken} ({line.commit})" for line in found.lines})))]
    facts += [("how", "python -m benchmarks.compare, fresh processes taking turns; below 1 gpupipe is faster")]
    path.with_suffix(".md").write_text(page(found, facts))
    plots(found, path.with_suffix(""))
    if chosen.readme:
        README.write_text(into_readme(README.read_text(), readme(found, path.stem.removesuffix("-jobs"))))
    print(page(found, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
