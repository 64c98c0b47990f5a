"""What a cluster costs, and what it gives: a fit by the bare loop, by one process of a cluster, and by two.

    python -m benchmarks.cluster --partitions 24 --out results/

Partitions of 64 MiB decoded, of 41 columns of numbers and two of text. One thread each, in the bare loop too. The three
are run in turns, so that what else the machine does meets all of them; told are medians over the turns: of the seconds
of each, of the overhead (one process of a cluster over the bare loop, of the same turn), and of the speed-up (one
process over two). The processes of all three stay, so that none has fitted more often than another: for the first few
fits of a process the system clears more pages. Files are in the system's cache. The machine should have nothing else
to do.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe import col
from gpupipe.clusters.current import entered, left

COLUMNS, PARTITION = 40, 64 * 2**20
_PER_ROW = 9 * (COLUMNS + 1) + 2 * 7.5  # bytes decoded


def written(folder: Path, partitions: int) -> str:
    """So many row groups of numbers with nulls and of two texts, four to a file."""
    rng, size = np.random.default_rng(0), int(PARTITION / _PER_ROW)
    for number in range(partitions):
        columns: dict[str, pa.Array] = {
            f"x{name}": pa.array(rng.standard_normal(size), mask=rng.random(size) < 0.05) for name in range(COLUMNS)
        }
        columns |= {f"c{name}": pa.array(rng.integers(0, 1000, size).astype(str)) for name in range(2)}
        columns["t"] = pa.array((rng.random(size) < 0.3).astype(np.int64))
        pq.write_table(pa.table(columns), folder / f"{number:04}.parquet", row_group_size=size)
    return f"{folder}/*.parquet"


def pipeline() -> gp.Pipeline:
    """Fills by medians, standardised; a target mean of each text."""
    numbers = [col(f"x{name}").fill_null("median").standardize() for name in range(COLUMNS)]
    return gp.Pipeline([*numbers, *(col(f"c{name}").target_mean(smoothing=20) for name in range(2))], "t", device="cpu")


def timed(work: Callable[[], str]) -> tuple[float, float, str]:
    """(seconds, those of this process's cores, what it gave)."""
    began, used = time.perf_counter(), _used()
    digest = work()
    return time.perf_counter() - began, _used() - used, digest


def _used() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def measured(partitions: int, repeats: int) -> dict[str, float]:
    """Seconds of each, and what follows."""
    seconds: dict[str, list[float]] = {"bare": [], "one": [], "two": []}
    cores: dict[str, list[float]] = {name: [] for name in seconds}
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        source = gp.scan(written(Path(folder), partitions), partition_bytes=PARTITION)
        work = lambda: pipeline().fit(source).state_digest()  # noqa: E731
        kinds = {"bare": ("threads", 1), "one": ("processes", 1), "two": ("processes", 2)}
        with ExitStack() as ended:
            clusters = {name: ended.enter_context(gp.cluster(kind, n_workers=n)) for name, (kind, n) in kinds.items()}
            for turn in range(repeats + 1):  # the first is not counted
                for name, cluster in clusters.items():
                    left(cluster)
                    entered(cluster)  # it is current again
                    work()  # what is compiled is there, and memory that this process had before
                    took, used, digest = timed(work)
                    digests.add(digest)
                    if turn:
                        seconds[name].append(took)
                        cores[name].append(used)
        found = {"partitions": float(len(source.partitions))}
    assert len(digests) == 1, "the bits differ"
    return found | summary(seconds) | {f"{name} here": statistics.median(all_) for name, all_ in cores.items()}


def summary(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Medians over turns."""
    found = {name: statistics.median(all_) for name, all_ in seconds.items()}
    overheads = [one / bare - 1 for one, bare in zip(seconds["one"], seconds["bare"], strict=True)]
    gains = [one / two for one, two in zip(seconds["one"], seconds["two"], strict=True)]
    return found | {"overhead": statistics.median(overheads), "speedup": statistics.median(gains)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    found = measured(asked.partitions, asked.repeats)
    print(json.dumps(found, indent=1))
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "cluster.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
