"""Measure gpupipe against the equal scikit-learn work on this machine.

    python -m benchmarks                                  # all parts, a few minutes
    python -m benchmarks --parts import,scoring --repeats 9

Writes MACHINE.csv (every number) and MACHINE.md (medians and ratios) into benchmarks/results. Parts that are not asked
for stay as they stand in that file, which the page says.
"""

import argparse
import sys
from pathlib import Path

from . import cache, exact, features, imports, interpreter, machine, quality, quantiles, scoring, small, table

PARTS = {
    "features": features.measure,
    "scoring": scoring.measure,
    "small": small.measure,
    "import": imports.measure,
    "cache": cache.measure,
    "quantiles": quantiles.measure,
    "quality": quality.measure,
    "exact": exact.measure,
    "interpreter": interpreter.measure,
}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated; default: all (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"), help="a folder")
    chosen = parser.parse_args(words)
    unknown = set(chosen.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if chosen.repeats < 1:
        parser.error("--repeats takes at least 1")
    return chosen


def main(words: list[str] | None = None) -> int:
    """Run what was asked; what is known is written after each part, and the page printed at the end."""
    chosen = arguments(words)
    target = chosen.out / machine.short_name()
    facts = {**machine.facts(), "pairs of runs": str(chosen.repeats)}
    asked = chosen.parts.split(",")
    rows = [row for row in table.read_csv(target.with_suffix(".csv")) if row.part not in asked]
    if rows:
        facts["of earlier runs"] = ", ".join(dict.fromkeys(row.part for row in rows))
    loads = [machine.load()]
    for name in asked:
        print(f"== {name}", file=sys.stderr, flush=True)
        rows += PARTS[name](chosen.repeats)
        loads.append(machine.load())
        spread = f"{min(loads):.1f} to {max(loads):.1f} (about 1 is the benchmark itself; more is others at work)"
        page = table.page(rows, {**facts, "load average": spread})
        chosen.out.mkdir(parents=True, exist_ok=True)
        table.write_csv(rows, target.with_suffix(".csv"))
        target.with_suffix(".md").write_text(page)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
