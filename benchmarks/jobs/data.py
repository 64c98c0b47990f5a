"""Where the rows of jobs lie, and how they are made: once, whole or not at all."""

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GROUP = 1 << 18
HOME = Path(os.environ.get("GPUPIPE_BENCH", "~/.cache/gpupipe-bench/data")).expanduser()


def made(home: Path, job: str, rows: int, write: Callable[[Path, int], None]) -> Path:
    """The folder ``home/JOB-ROWS``; where it is not there yet, `write` fills a new one, which is then named so.

    Args:
        write: called with an empty folder and the number of rows.
    """
    folder = home / f"{job}-{rows}"
    if not folder.exists():
        new = home / f".{job}-{rows}-{os.getpid()}"
        new.mkdir(parents=True)
        try:
            write(new, rows)
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return folder


def blocks(rows: int, size: int = GROUP) -> Iterator[tuple[int, int]]:
    """(first row, number of rows) of each row group.

    >>> list(blocks(5, 2))
    [(0, 2), (2, 2), (4, 1)]
    """
    for first in range(0, rows, size):
        yield first, min(size, rows - first)


def write_groups(path: Path, groups: Iterator[pa.Table], **written: Any) -> None:
    """A Parquet file with a row group a table: pyarrow's defaults but for `written`; one at a time in memory."""
    first = next(groups)
    with pq.ParquetWriter(path, first.schema, **written) as writer:
        writer.write_table(first, row_group_size=GROUP)
        for group in groups:
            writer.write_table(group, row_group_size=GROUP)


def main(job: str, make: Callable[[Path, int], Path], words: list[str] | None = None) -> None:
    """``python -m benchmarks.jobs.JOB --rows 1e6``: make the data, and print where they are."""
    parser = argparse.ArgumentParser(description=f"Make the rows of {job}.")
    parser.add_argument("--rows", type=lambda text: int(float(text)), required=True)
    parser.add_argument("--data", type=Path, default=HOME, help="the folder of all jobs' rows (default: %(default)s)")
    chosen = parser.parse_args(words)
    print(make(chosen.data, chosen.rows))
