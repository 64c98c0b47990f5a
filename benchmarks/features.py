"""Fit and transform a demo's features: gpupipe against the equal scikit-learn ColumnTransformer, on the same rows.

A job fits on the training rows and gives their features, then transforms the held-out rows; then it does all of that
again in the same process. ``first`` so pays for what a first use loads (Numba and its cached code; scikit-learn's lazy
parts), ``again`` does not. From ``tables`` both start at one pandas frame, read, joined and split beforehand; from
``files`` both start at the raw Parquet files: gpupipe's source reads, filters, joins and splits, pandas does the same
for scikit-learn.
"""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sklearn.model_selection import train_test_split

from gpupipe.examples import demo

from .measure import Clock, Row, rows_of, run, tell

SIDES = ("gpupipe", "scikit-learn")
TEST, SEED = 0.25, 0


def measure(repeats: int, cases: tuple[str, ...] = ("flights", "churn", "disease")) -> Iterator[Row]:
    """All cases, the two sides taking turns; one uncounted run of each first."""
    for name in cases:
        for way in ("tables", "files"):
            for repeat in range(-1, repeats):
                for side in SIDES if repeat % 2 else SIDES[::-1]:
                    found = run("features", [name, way, side])
                    if repeat >= 0:
                        yield from rows_of("features", f"{name} from {way}", side, repeat, found)


def halves(example: ModuleType, tables: Any) -> Any:
    """(training rows, held-out rows, their targets) of a demo, as pandas."""
    rows, target = example.frame(tables)
    return train_test_split(rows, target, test_size=TEST, random_state=SEED, stratify=target)


def ours(example: ModuleType, tables: Any, ready: Any, clock: Clock, when: str) -> None:
    """gpupipe's turn; `ready` holds the split pandas frame, or None where it reads the files."""
    train, test = example.source(tables).split(test=TEST, seed=SEED) if ready is None else ready[:2]
    pipeline = example.pipeline()
    pipeline.model = None
    pipeline.fit_transform(train, output="numpy")
    clock.lap(f"{when}: fit_transform")
    pipeline.transform(test, output="numpy")
    clock.lap(f"{when}: transform")


def theirs(example: ModuleType, tables: Any, ready: Any, clock: Clock, when: str) -> None:
    """scikit-learn's turn."""
    train, test, target, _ = halves(example, tables) if ready is None else ready
    if ready is None:
        clock.lap(f"{when}: read")
    features = example.reference()[0]
    features.fit_transform(train, target)
    clock.lap(f"{when}: fit_transform")
    features.transform(test)
    clock.lap(f"{when}: transform")


def main(words: list[str]) -> None:
    """``NAME tables|files SIDE``: one measurement."""
    name, way, side = words
    example = importlib.import_module(f"gpupipe.examples.{name}")
    clock = Clock()
    clock.since_start("start")
    tables = example.prepare(demo.cache_folder(name))
    ready = halves(example, tables) if way == "tables" else None
    clock.lap("prepare")
    for when in ("first", "again"):
        (ours if side == SIDES[0] else theirs)(example, tables, ready, clock, when)
    tell(clock.phases)


if __name__ == "__main__":
    main(sys.argv[1:])
