"""``gpupipe demo``: one of the demos from raw tables to scores that a new process computes again."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe.errors import InternalError
from gpupipe.sources.border import to_arrow
from gpupipe.sources.write import write_parquet

NAMES = ("flights", "churn", "disease")
SCORES = "scores.parquet"
TEST, SEED = 0.25, 0


def file_of(name: str) -> Path:
    """The file that holds a demo's pipeline: a user's file like any other."""
    return Path(__file__).with_name(f"{name}.py")


def cache_folder(name: str) -> Path:
    """Where a demo's raw tables are kept: under $XDG_CACHE_HOME, else ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "gpupipe", "demo", name)


def run(name: str, example: Mapping[str, Any], out: Path) -> None:
    """The whole job. `example` holds the names of one of the demo files; results go to the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    with _step(f"raw tables in {cache_folder(name)}"):
        tables = example["prepare"](cache_folder(name))
    source = example["source"](tables)
    train, test = source.split(test=TEST, seed=SEED)
    pipeline = example["pipeline"]()
    print("\n", train, "\n\n", pipeline.explain(train), "\n", sep="")
    with _step("fit"):
        pipeline.fit(train, progress=True)
    print("\n", pipeline.report_, "\n", sep="")
    with _step("evaluate on held-out rows"):
        evaluation = pipeline.evaluate(test)
    print("\n", evaluation, "\n", sep="")
    artifact = out / f"{name}.gpp"
    with _step(f"save to {artifact}"):
        pipeline.save(artifact, overwrite=True)
    _score_again(pipeline, test, artifact, out)


def _score_again(pipeline: gp.Pipeline, test: gp.Source, artifact: Path, out: Path) -> None:
    held_out = out / "held-out.parquet"
    with _step(f"write the held-out rows to {held_out}"):
        write_parquet(_tables(test), held_out)
    words = ["predict", str(artifact), "--data", str(held_out), "--out", str(out), "--one-file"]
    command = [sys.executable, "-m", "gpupipe", *words]
    with _step("a new process loads the artifact and scores them"):
        if subprocess.run(command).returncode != 0:
            raise InternalError(f"The new process failed; what it said stands above. It was: {' '.join(command)}")
    _check_same_bytes(pa.concat_tables(pipeline.predictions(test)), pq.read_table(out / SCORES))


def _check_same_bytes(ours: pa.Table, theirs: pa.Table) -> None:
    if not ours.schema.equals(theirs.schema) or any(
        _bits(mine) != _bits(other) for mine, other in zip(ours.columns, theirs.columns, strict=True)
    ):
        raise InternalError("The new process computed other scores than this one. Please report this as a bug.")
    print(f"the same bytes as this process: {ours.num_rows:,} rows of {', '.join(ours.column_names)}")


def _bits(column: pa.ChunkedArray) -> Any:
    return column.to_numpy().tobytes() if pa.types.is_floating(column.type) else column.to_pylist()


def _tables(rows: gp.Source) -> Iterator[pa.Table]:
    for partition in range(len(rows.partitions)):
        frame = rows.load(partition)
        yield pa.table({name: to_arrow(frame[name]) for name in frame.columns})


@contextmanager
def _step(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"[{time.perf_counter() - began:6.2f} s] {what}", flush=True)
