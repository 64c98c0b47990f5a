"""Trips over rows: from memory, from temporary files under a small budget, and from Parquet again each time.

A job goes over a table of numbers and text (snappy, its text as dictionaries) three times and adds up every column; or
it fits features that need two trips. Peak memory is the process's; `start` is what it had before the first row.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe.columns import Frame
from gpupipe.runtime.crew import threads
from gpupipe.runtime.orders import Local
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows

from .measure import Clock, Row, peak_memory, rows_of, run, tell

ROWS, GROUP = 6_000_000, 250_000
NOTHING = "nothing"
#: What is kept for further trips, as `Pipeline(memory=)` takes it.
SIDES = {"memory": "64GiB", "temporary files": "128MiB", "Parquet again": NOTHING}


def write(path: Path, rows: int = ROWS, group: int = GROUP) -> None:
    """The table: 12 columns of float64 with nulls, 8 of float32, 4 of int32, 4 of text; about 210 bytes a row."""
    rng = np.random.default_rng(0)
    words = pa.array([f"word {number}" for number in range(50)])
    writer: Any = None
    for start in range(0, rows, group):
        n = min(group, rows - start)
        columns: dict[str, Any] = {
            f"d{at}": pa.array(np.round(rng.normal(size=n), 3), mask=rng.random(n) < 0.1) for at in range(12)
        }
        columns |= {f"f{at}": rng.normal(size=n).astype(np.float32) for at in range(8)}
        columns |= {f"i{at}": rng.integers(0, 10_000, n).astype(np.int32) for at in range(4)}
        columns |= {f"s{at}": words.take(pa.array(rng.integers(0, 50, n))) for at in range(4)}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=group)
    writer.close()


def measure(repeats: int) -> Iterator[Row]:
    """All sides in turn; one uncounted run of each first."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        write(path)
        for job in JOBS:
            for repeat in range(-1, repeats):
                for side, memory in SIDES.items():
                    if job == "trips" or memory != NOTHING:
                        found = run("cache", [str(path), job, memory])
                        yield from rows_of("cache", job, side, repeat, found) if repeat >= 0 else ()


def added(rows: Rows, index: int, frame: Frame) -> float:
    """The sum of every column: each byte is looked at."""
    return sum(
        float(column.values.sum()) if isinstance(column.values, np.ndarray) else len(column.values)
        for column in map(frame.__getitem__, frame.columns)
    )


def trips(source: gp.Source, memory: str, clock: Clock) -> dict[str, float]:
    """Three trips over all columns."""
    sums = set()
    keep = memory != NOTHING
    with Rows(source, list(source.schema), keep=keep, memory=memory if keep else None) as rows:
        with threads(rows.n_workers) as crew:
            for number in range(1, 4):
                sums.add(sum(crew.listed(rows, Local("sums", added), Silent())))
                clock.lap(f"trip {number}")
        (same,) = sums
        return {"kept_mib": rows.kept_bytes / 2**20, "spilled_mib": rows.spilled_bytes / 2**20, "found": same}


def pipeline(memory: int | str | None = None) -> gp.Pipeline:
    """Features of the table whose statistics need two trips."""
    numbers = [gp.col(f"{kind}{at}") for kind, count in (("d", 12), ("f", 8)) for at in range(count)]
    scaled = [column.fill_null("mean").standardize().tanh().standardize() for column in numbers]
    return gp.Pipeline([*scaled, *(gp.col(f"s{at}").codes() for at in range(4))], memory=memory)


def fit(source: gp.Source, memory: str, clock: Clock) -> dict[str, float]:
    """A fit of two trips; found: the first digits of the digest of what it learned."""
    fitted = pipeline(memory).fit(source)
    clock.lap("fit")
    report = fitted.report_
    assert report.source_reads == 1 and report.scans > 1, report
    found = {"kept_mib": report.kept_bytes / 2**20, "spilled_mib": report.spilled_bytes / 2**20}
    return {**found, "found": int(fitted.state_digest()[:12], 16)}


JOBS = {"trips": trips, "fit": fit}


def main(words: list[str]) -> None:
    """``PATH trips|fit MEMORY [PARTITIONS]``: one measurement."""
    path, job, memory, *partitions = words
    source = gp.scan(path, partitions=int(partitions[0]) if partitions else None)
    start = peak_memory()
    clock = Clock()
    held = JOBS[job](source, memory, clock)
    tell({**clock.phases, "cache": held, "start": {"peak": start}})


if __name__ == "__main__":
    main(sys.argv[1:])
