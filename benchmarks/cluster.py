"""What a cluster costs, and what it gives: a fit by the bare loop, by one process of a cluster, and by two.

    python -m benchmarks.cluster --rows 2e6 --out results/

Partitions of 64 MiB decoded. One thread each, in the bare loop too. Overhead is the median of one process of a cluster
over that of the bare loop; speed-up that of one process over two. The machine must have nothing else to do.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe import col

COLUMNS, PARTITION = 40, 64 * 2**20


def written(folder: Path, rows: int) -> str:
    """Rows of numbers with nulls and of two texts, as files of four row groups."""
    rng, each = np.random.default_rng(0), PARTITION // (8 * COLUMNS)
    for at, first in enumerate(range(0, rows, each)):
        size = min(each, rows - first)
        columns: dict[str, pa.Array] = {
            f"x{name}": pa.array(rng.standard_normal(size), mask=rng.random(size) < 0.05) for name in range(COLUMNS)
        }
        columns |= {f"c{name}": pa.array(rng.integers(0, 1000, size).astype(str)) for name in range(2)}
        columns["t"] = pa.array((rng.random(size) < 0.3).astype(np.int64))
        pq.write_table(pa.table(columns), folder / f"{at:04}.parquet", row_group_size=-(-size // 4))
    return f"{folder}/*.parquet"


def pipeline() -> gp.Pipeline:
    """Fills by medians, standardised; a target mean of each text."""
    numbers = [col(f"x{name}").fill_null("median").standardize() for name in range(COLUMNS)]
    return gp.Pipeline([*numbers, *(col(f"c{name}").target_mean(smoothing=20) for name in range(2))], "t", device="cpu")


def timed(work: Callable[[], str], repeats: int) -> tuple[float, str]:
    """(the median of the seconds, what it gave), after one that is not counted."""
    digest, seconds = work(), []
    for _ in range(repeats):
        began = time.perf_counter()
        assert work() == digest
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), digest


def measured(rows: int, repeats: int) -> dict[str, float]:
    """Seconds of each, and what follows."""
    found: dict[str, float] = {}
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        source = gp.scan(written(Path(folder), rows), partition_bytes=PARTITION)
        work = lambda: pipeline().fit(source).state_digest()  # noqa: E731
        for name, kind, count in (("bare", "threads", 1), ("one", "processes", 1), ("two", "processes", 2)):
            with gp.cluster(kind, n_workers=count):
                found[name], digest = timed(work, repeats)
                digests.add(digest)
        found["partitions"] = len(source.partitions)
    assert len(digests) == 1, "the bits differ"
    return found | {"overhead": found["one"] / found["bare"] - 1, "speedup": found["one"] / found["two"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=2e6)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    found = measured(int(asked.rows), asked.repeats)
    print(json.dumps(found, indent=1))
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "cluster.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
