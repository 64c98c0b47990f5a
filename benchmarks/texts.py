"""Text and keys, decoding left out: counting, merging, codes of J1's 26 text columns; groups of J3's keys by fold, and
their statistics looked up. In CPU seconds a million rows.

    python -m benchmarks.texts                 # three partitions of 262,144 rows
    python -m benchmarks.texts --repeats 5

A partition's columns are as Parquet gives them: dictionaries of far fewer entries than rows, else plain strings.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.backends.categories import Tables, codes
from gpupipe.backends.finish import vocabulary
from gpupipe.backends.indexes import KeyIndex
from gpupipe.backends.states.gathering import gather, merge
from gpupipe.backends.states.state import State, groups_of
from gpupipe.columns import Column
from gpupipe.compiler.fitted import Fitted, Learned
from gpupipe.expr.node import make
from gpupipe.schema import Int16, Int32, Int64, String

from .jobs import clicks

MIN_COUNT = 15


def column(text: pa.ChunkedArray) -> Column:
    """As the border would give it."""
    plain = text.combine_chunks()
    encoded = plain.dictionary_encode()
    valid = np.asarray(plain.is_valid()) if plain.null_count else None
    return Column(String, encoded if 2 * len(encoded.dictionary) <= len(plain) else plain, valid)


def counted(partitions: list[list[Column]]) -> list[list[State]]:
    """The states of each column, partition by partition."""
    return [[gather("values", text, groups_of([], len(text))) for text in partition] for partition in partitions]


def merged(states: list[list[State]]) -> list[State]:
    """The states of all partitions together."""
    return [merge(list(parts)) for parts in zip(*states, strict=True)]


def learned(states: list[State]) -> list[Tables]:
    """What codes are looked up in."""
    wanted = make("vocabulary", min_count=MIN_COUNT, max_size=None, order="count")
    return [Tables(Fitted({0: [Learned(vocabulary(state, wanted, String)[0])]})) for state in states]


def coded(tables: list[Tables], partitions: list[list[Column]]) -> None:
    """The codes of every column."""
    node = make("codes", make("col", name="x"), make("table", slot=0), other_buckets=1)
    for partition in partitions:
        for table, text in zip(tables, partition, strict=True):
            codes(table, node, text)


def keys_of(rows: int) -> list[list[Column]]:
    """Zone and hour; driver, a number, and fold; a name of 200,000, and fold."""
    rng = np.random.default_rng(1)
    zone, driver, name = (rng.integers(0, size, rows) for size in (263, 40_000, 200_000))
    hour, fold = (Column(Int64, rng.integers(0, size, rows)) for size in (24, 5))
    names = pa.array([f"name {number}" for number in range(200_000)]).take(pa.array(name))
    return [
        [Column(Int16, zone.astype(np.int16)), hour],
        [Column(Int32, driver.astype(np.int32)), fold],
        [Column(String, names), fold],
    ]


def run(partitions: list[list[Column]]) -> dict[str, float]:
    """CPU seconds of each phase."""
    found: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = work()
        found[name] = time.process_time() - started
        return result

    states = timed("count", lambda: counted(partitions))
    together = timed("merge", lambda: merged(states))
    tables = timed("finish", lambda: learned(together))
    timed("codes", lambda: coded(tables, partitions))
    return found


def run_keyed(keyed: list[list[Column]]) -> dict[str, float]:
    """CPU seconds of each phase."""
    found: dict[str, float] = {}
    for name, keys in zip(("zone and hour", "driver and fold", "name and fold"), keyed, strict=True):
        started = time.process_time()
        groups = groups_of(keys, len(keys[0]))
        grouped = time.process_time()
        index = KeyIndex(groups.keys)
        built = time.process_time()
        index.find(keys)
        found[f"groups of {name}"], found[f"looked up by {name}"] = grouped - started, time.process_time() - built
    return found


def main() -> None:
    """Print each phase's median."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--partitions", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    tables = [clicks.group(number) for number in range(chosen.partitions)]
    partitions = [[column(table[name]) for name in clicks.WORDS] for table in tables]
    millions = sum(map(len, tables)) / 1e6
    run(partitions)
    runs = [run(partitions) for _ in range(chosen.repeats)]
    for name in runs[0]:
        print(f"{name}: {statistics.median(each[name] for each in runs) / millions:.3f}")
    print(f"all of text: {statistics.median(sum(each.values()) for each in runs) / millions:.3f}")
    keyed = keys_of(1_000_000)
    run_keyed(keyed)
    again = [run_keyed(keyed) for _ in range(chosen.repeats)]
    for name in again[0]:
        print(f"{name}: {statistics.median(each[name] for each in again):.3f}")


if __name__ == "__main__":
    main()
