"""Ten million distinct keys within two gibibytes, against Polars' streaming engine, and the common case besides.

    python -m benchmarks.keyed                                   # 20 million rows, 10 million distinct; ten minutes
    python -m benchmarks.keyed --rows 2000000 --distinct 1000000

Every job is a process of its own; its peak memory is counted by the system. What was learned is compared by a digest of
all entries and counts (or means), in order.
"""

import argparse
import hashlib
import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .measure import Clock, run, tell

PARTS = 64
JOBS = {  # job -> whether the digests of both sides are to be equal
    "codes text, min_count 1": True,
    "codes text, min_count 3": True,
    "codes int, min_count 1": True,
    "mean over text": False,  # Polars' own means differ in the last digits
    "sum over int": True,
    "target mean of text": False,
}


def write(folder: Path, rows: int, distinct: int) -> None:
    """Files of rows whose keys all occur: text of 16 to 20 bytes, int64 over its whole range, a number, a label."""
    rng = np.random.default_rng(3)
    for part, (first, last) in enumerate(_stretches(rows)):
        row = np.arange(first, last)
        key = np.where(row < distinct, (row * 2_654_435_761) % distinct, rng.integers(0, distinct, last - first))
        spread = (key * np.int64(0x9E37_79B9)) % np.int64(2**31 - 1)
        text = np.char.add(np.char.add("id-", key.astype("U9")), np.char.add("-", spread.astype("U10")))
        table = pa.table(
            {
                "text": pa.array(text.tolist()),
                "int": (key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64),
                "x": rng.normal(0, 1, last - first).astype(np.float32),
                "y": rng.integers(0, 2, last - first),
            }
        )
        pq.write_table(table, folder / f"{part:02}.parquet")


def _stretches(rows: int) -> list[tuple[int, int]]:
    return list(pairwise(rows * part // PARTS for part in range(PARTS + 1)))


def ours(job: str, folder: Path, memory: str) -> tuple[dict[str, Any], str]:
    """gpupipe's turn: seconds by phase, digest."""
    gp = importlib.import_module("gpupipe")  # here, so that neither side has the other's library in memory
    col = gp.col
    feature = {
        "codes text, min_count 1": lambda: col("text").codes(),
        "codes text, min_count 3": lambda: col("text").codes(min_count=3),
        "codes int, min_count 1": lambda: col("int").codes(),
        "mean over text": lambda: col("x").mean().over("text").alias("mean"),
        "sum over int": lambda: col("y").sum().over("int").alias("sum"),
        "target mean of text": lambda: col("text").target_mean(),
    }[job]()
    target = "y" if job.startswith("target") else None
    clock = Clock()
    pipeline = gp.Pipeline([feature], target=target, memory=memory)
    source = gp.scan(str(folder / "*.parquet"), partitions=PARTS)
    pipeline.fit(source)
    clock.lap("fit")
    one = gp.scan(str(folder / "00.parquet"))
    pipeline.transform(one, output="numpy")
    clock.lap("transform of the first file")
    pipeline.transform(gp.scan(str(folder / "01.parquet")), output="numpy")
    clock.lap("transform of another")
    (learned,) = pipeline._fit.features.fitted.slots[0]
    if learned.counts is not None:
        return clock.phases, digest([learned.value, learned.counts])
    return clock.phases, digest([*learned.keys, learned.value])


def theirs(job: str, folder: Path, memory: str) -> tuple[dict[str, Any], str]:
    """Polars' turn."""
    pl = importlib.import_module("polars")
    rows = pl.scan_parquet(str(folder / "*.parquet"))
    counted = {"codes text, min_count 1": ("text", 1), "codes text, min_count 3": ("text", 3),
               "codes int, min_count 1": ("int", 1)}  # fmt: skip
    clock = Clock()
    if job in counted:
        name, least = counted[job]
        found = rows.group_by(name).len().filter(pl.col("len") >= least)
        table = found.sort(["len", name], descending=[True, False]).collect(engine="streaming").to_arrow()
        clock.lap("fit")
        return clock.phases, digest([table[name], table["len"].cast(pa.int64())])
    key, made = {
        "mean over text": ("text", [pl.col("x").mean().alias("v")]),
        "sum over int": ("int", [pl.col("y").sum().alias("v")]),
        "target mean of text": ("text", [pl.col("y").sum().alias("v"), pl.len()]),
    }[job]
    table = rows.group_by(key).agg(made).sort(key).collect(engine="streaming").to_arrow()
    clock.lap("fit")
    return clock.phases, digest([table[key], table["v"]])


def digest(columns: Sequence[Any]) -> str:
    """SHA-256 of columns: of text its bytes and lengths, of numbers their bytes."""
    found = hashlib.sha256()
    for column in columns:
        values = getattr(column, "values", column)
        if isinstance(values, pa.ChunkedArray):
            values = pa.concat_arrays(values.chunks)
        if isinstance(values, pa.Array) and not pa.types.is_primitive(values.type):
            text = values.cast(pa.large_string())
            _, offsets, data = text.buffers()
            ends = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
            found.update(np.diff(ends).tobytes())
            found.update(memoryview(data)[ends[0] : ends[-1]])
        else:
            found.update(np.ascontiguousarray(np.asarray(values)).tobytes())
    return found.hexdigest()


SIDES: dict[str, Callable[[str, Path, str], tuple[dict[str, Any], str]]] = {"gpupipe": ours, "polars": theirs}


def main(words: list[str]) -> None:
    """``JOB FOLDER SIDE MEMORY``: one measurement; without words, all of them."""
    if len(words) == 4 and words[2] in SIDES:
        job, folder, side, memory = words
        phases, found = SIDES[side](job, Path(folder), memory)
        tell({**phases, "digest": {found: 1.0}})
        return
    chosen = arguments(words)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        write(Path(name), chosen.rows, chosen.distinct)
        size = sum(file.stat().st_size for file in Path(name).iterdir())
        print(f"{chosen.rows:,} rows, {chosen.distinct:,} distinct keys, {PARTS} files, {size / 1e6:,.0f} MB")
        for job in chosen.jobs.split(";") if chosen.jobs else JOBS:
            measured(job, name, chosen.memory)


def measured(job: str, folder: str, memory: str) -> None:
    """Both sides of one job, told in a line each."""
    found = {side: run("keyed", [job, folder, side, memory]) for side in SIDES}
    for side, phases in found.items():
        times = {name: round(each["cpu"], 2) for name, each in phases.items() if "cpu" in each and name != "process"}
        print(f"{job}: {side}: CPU seconds {json.dumps(times)}, peak {phases['process']['peak']:,.0f} MiB", flush=True)
    ratio = found["gpupipe"]["fit"]["cpu"] / found["polars"]["fit"]["cpu"]
    same = found["gpupipe"]["digest"].keys() == found["polars"]["digest"].keys()
    print(f"  ratio of CPU {ratio:.2f}; the same entries: {same}" + ("" if same or not JOBS[job] else "  WRONG"))


def arguments(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keyed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--distinct", type=int, default=10_000_000)
    parser.add_argument("--memory", default="2GiB", help="gp.Pipeline(memory=…)")
    parser.add_argument("--jobs", default="", help=f"of {'; '.join(JOBS)}")
    parser.add_argument("--folder", type=Path, help="where the files are written, and removed from at the end")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(sys.argv[1:])
