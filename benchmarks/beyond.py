"""Tables larger than memory: 2 and 20 GB of Parquet, made as a stream, fitted and scored within 4 GiB.

    python -m benchmarks.beyond                          # 2 and 20 GB, threads; half an hour and 48 GB of disk
    python -m benchmarks.beyond --gigabytes 1,10 --cluster processes

Each size is fitted (a fill, a clip by the own quantiles, standardize, codes, ridge on partitions) and scored to a
folder by a process of its own; its peak memory is counted by the system, with that of its workers. The peak of the
larger size is told as a multiple of the smaller one's. What was scored is counted, and nothing else is kept.
"""

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp

from .measure import Clock, run, tell

NUMBERS = [f"x{at}" for at in range(24)]
WORDS = [f"c{at}" for at in range(4)]
GROUP = 250_000  # rows: 50 MB a row group
GROUPS_A_FILE = 5
MEMORY = "4GiB"
DISK = 2.4  # bytes for each of the data: these, columns that wait, results


def write(folder: Path, gigabytes: float) -> int:
    """Files of `GROUPS_A_FILE` row groups each until they hold so much; gives the number of rows."""
    written = rows = 0
    while written < gigabytes * 1e9:
        path = folder / f"{rows // (GROUP * GROUPS_A_FILE):05}.parquet"
        with pq.ParquetWriter(path, _group(0).schema, compression="none", use_dictionary=WORDS) as writer:
            for _ in range(GROUPS_A_FILE):
                writer.write_table(_group(rows))
                rows += GROUP
        written += path.stat().st_size
    return rows


def _group(first: int) -> pa.Table:
    rng = np.random.default_rng(first)
    x = rng.standard_normal((len(NUMBERS), GROUP))
    columns = {name: pa.array(values, mask=rng.random(GROUP) < 0.05) for name, values in zip(NUMBERS, x, strict=True)}
    for at, name in enumerate(WORDS):
        columns[name] = pa.array([f"k{code}" for code in range(10 ** (at + 1))]).take(
            pa.array(np.minimum(rng.zipf(1.3, GROUP), 10 ** (at + 1)) - 1)
        )
    columns["y"] = pa.array(x[0] * 2 - x[1] + rng.standard_normal(GROUP))
    return pa.table(columns)


def pipeline() -> gp.Pipeline:
    """What is fitted."""
    filled = [gp.col(name).fill_null("mean") for name in NUMBERS]
    numbers = [x.clip(x.quantile(0.01), x.quantile(0.99)).standardize() for x in filled]
    ridge = importlib.import_module("sklearn.linear_model").Ridge()
    features = [*numbers, gp.cols(*WORDS).codes(min_count=10)]
    return gp.Pipeline(features, target="y", model=ridge, memory=MEMORY, training="partitions")


@contextmanager
def crew(kind: str) -> Iterator[None]:
    """The bare loop of this process, or a cluster of it."""
    with ExitStack() as stack:
        if kind != "none":
            limit = "2GiB" if kind == "processes" else None
            stack.enter_context(gp.cluster(kind, n_workers=2, memory_limit=limit))
        yield


class Resident(threading.Thread):
    """Watches what this process and those that it started have resident, together, in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self._ended = 0.0, threading.Event()

    def run(self) -> None:
        """Look some times a second, until `end`."""
        while not self._ended.wait(0.1):
            self.peak = max(self.peak, sum(map(_resident, family(os.getpid()))))

    def end(self) -> float:
        """The most that was seen."""
        self._ended.set()
        self.join()
        return self.peak


def family(root: int) -> list[int]:
    """A process and all that it started."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            told = path.read_text().rpartition(")")[2].split()
            children.setdefault(int(told[1]), []).append(int(path.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _resident(pid: int) -> float:
    """MiB that are this process's alone or its share of what several have."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(told.partition("Pss:")[2].split()[0]) / 1024


def job(data: Path, out: Path, kind: str) -> None:
    """Fit and score one size in this process."""
    clock, watch = Clock(), Resident()
    watch.start()
    with crew(kind):
        fitted = pipeline().fit(gp.scan(str(data / "*.parquet")))
        clock.lap("fit")
        rows = fitted.predictions(gp.scan(str(data / "*.parquet")), out=f"{out}/")
        clock.lap("score")
    scored = sum(pq.read_metadata(path).num_rows for path in sorted(out.glob("*.parquet")))
    digest = int(fitted.state_digest()[:12], 16)
    tell({**clock.phases, "told": {"rows": scored, "given": float(rows), "digest": float(digest)},
          "process": {"peak": watch.end()}})  # fmt: skip


def measured(gigabytes: float, kind: str, home: Path) -> dict[str, dict[str, float]]:
    """Make, fit, score and delete one size; gives its phases.

    Raises:
        RuntimeError: the disk has not the room, it failed, or rows are missing.
    """
    needed, free = DISK * 1e9 * gigabytes, shutil.disk_usage(home).free
    if free < needed:
        raise RuntimeError(f"{gigabytes:g} GB and what is kept of them: {needed / 1e9:.0f} GB; {free / 1e9:.0f} free")
    with tempfile.TemporaryDirectory(dir=home) as folder:
        data, out = Path(folder, "data"), Path(folder, "scores")
        data.mkdir()
        rows = write(data, gigabytes)
        found = run("beyond", ["--job", str(data), str(out), "--cluster", kind])
        if not rows == found["told"]["rows"] == found["told"]["given"]:
            raise RuntimeError(f"{rows:,} rows were made, and {found['told']['rows']:,.0f} scored")
    return found


def main(words: Sequence[str]) -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", default="2,20", help="sizes, one after the other")
    parser.add_argument("--cluster", default="none", choices=("none", "threads", "processes"))
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()), help="a folder with the room")
    parser.add_argument("--job", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.job:
        data, out = given.job
        job(data, out, given.cluster)
        return
    first = 0.0
    for size in map(float, given.gigabytes.split(",")):
        found = measured(size, given.cluster, given.home)
        peak, rows = found["process"]["peak"], found["told"]["rows"]
        first = first or peak
        print(f"{size:g} GB, {rows:,.0f} rows, {given.cluster}: peak {peak:,.0f} MiB, {peak / first:.2f} of the first")
        for phase in ("fit", "score"):
            wall, cpu = found[phase]["wall"], found[phase]["cpu"]
            print(f"    {phase}: {wall:.0f} s, {size / wall:.2f} GB/s, {cpu:.0f} CPU s of this process")


if __name__ == "__main__":
    main(sys.argv[1:])
