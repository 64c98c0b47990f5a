"""What the machine can do at most: copies, decoding Parquet alone, building a hash table. Each in a process of its own.

    python -m benchmarks.limits FILE.parquet
"""

import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from .measure import Clock, run, tell

COPY = 1 << 28
KEYS = 1 << 22
Found = dict[str, dict[str, float]]


def measure(path: Path) -> Found:
    """GB/s of copies by threads, seconds of decoding the file by reader, millions of hashed values a second.

    Polars' reader decodes twice as fast as pyarrow's on text; the limit is the better of all.
    """
    found: Found = {}
    for words in ["copy"], *(["decode", str(path), reader] for reader in READERS), ["hash"]:
        found |= {phase: numbers for phase, numbers in run("limits", words).items() if phase != "process"}
    return found


def copy(clock: Clock) -> Found:
    """GB/s of reading and writing an array far larger than the cache: the bytes of both, by 1 and 2 threads."""
    source, target = np.ones(COPY // 8), np.zeros(COPY // 8)
    return {f"copy, {count} threads": {"GB/s": 2 * COPY / _fastest(count, source, target) / 1e9} for count in (1, 2)}


def _fastest(count: int, source: Any, target: Any) -> float:
    """Seconds of one copy: the median of seven."""
    pieces = list(zip(np.array_split(source, count), np.array_split(target, count), strict=True))
    taken = []
    for _ in range(7):
        threads = [threading.Thread(target=np.copyto, args=(into, out_of)) for out_of, into in pieces]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def decode(clock: Clock, path: str, reader: str) -> Found:
    """CPU and wall seconds of all columns into memory, nothing kept."""
    READERS[reader](path)
    name = f"decode, {reader}"
    clock.lap(name)
    return {name: clock.phases[name]}


def _by_row_groups(path: str) -> None:
    """Two threads, a row group each: less CPU time than pyarrow's own threads over columns."""

    def work(first: int) -> None:
        file = pq.ParquetFile(path)
        for group in range(first, file.num_row_groups, 2):
            file.read_row_group(group, use_threads=False)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _as_dictionaries(path: str) -> None:
    """pyarrow, text left as the dictionaries that the pages hold."""
    text = [field.name for field in pq.read_schema(path) if pa.types.is_string(field.type)]
    file = pq.ParquetFile(path, read_dictionary=text)
    for group in range(file.num_row_groups):
        file.read_row_group(group)


READERS: dict[str, Callable[[str], object]] = {
    "pyarrow": lambda path: pq.read_table(path),
    "pyarrow, row groups": _by_row_groups,
    "pyarrow, dictionaries": _as_dictionaries,
    "Polars": lambda path: pl.read_parquet(path),
}


def hashes(clock: Clock) -> Found:
    """Million values a second into a hash table by one thread: text of a million distinct values, by two libraries."""
    keys = np.random.default_rng(1).integers(0, 1_000_000, KEYS)
    texts = pa.array([f"{key:08x}" for key in range(1_000_000)]).take(pa.array(keys))
    clock.lap("made")
    texts.dictionary_encode()
    clock.lap("hash, pyarrow")
    series = pl.from_arrow(texts)
    clock.lap("converted")
    series.n_unique()
    clock.lap("hash, Polars")
    rates = {name: KEYS / clock.phases[name]["cpu"] / 1e6 for name in ("hash, pyarrow", "hash, Polars")}
    return {name: {"million/s": rate} for name, rate in rates.items()}


KINDS: dict[str, Callable[..., Found]] = {"copy": copy, "decode": decode, "hash": hashes}


def main(words: Sequence[str]) -> None:
    """``copy``, ``decode FILE READER`` or ``hash``: one measurement; a file alone: all, as text."""
    if words and words[0] in KINDS:
        tell(KINDS[words[0]](Clock(), *words[1:]))
        return
    for phase, numbers in measure(Path(words[0])).items():
        print(f"{phase}: {', '.join(f'{value:.2f} {name}' for name, value in numbers.items())}")


if __name__ == "__main__":
    main(sys.argv[1:])
