"""A table of 5,000 rows: fit and predict after the imports, in a process of its own.

The churn demo's pipeline over its first 5,000 rows, from a pandas frame held in memory to predictions as NumPy; of the
flights', whose boosted trees take seconds by themselves, the features alone: fit and transform. ``first`` is what a new
process pays: everything but imports (gpupipe, pandas and the model's class). ``again`` is the same once more in that
process. ``cold`` runs with an empty cache of compiled kernels, ``warm`` with the user's.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

from .measure import Clock, Row, rows_of, run, tell

ROWS = 5_000
SIDES = ("gpupipe", "scikit-learn")
CASES = ("churn", "flights")


def measure(repeats: int) -> Iterator[Row]:
    """The demos, the two sides taking turns; the first runs of each do not count but for what they leave on disk."""
    for name in CASES:
        for repeat in range(-1, repeats):
            for side in SIDES if repeat % 2 else SIDES[::-1]:
                found = run("small", [name, side, "warm"])
                if repeat >= 0:
                    yield from rows_of("small", f"{name}, warm", side, repeat, found)
            if repeat >= 0:
                yield from rows_of("small", f"{name}, cold", SIDES[0], repeat, run("small", [name, SIDES[0], "cold"]))


def main(words: list[str]) -> None:
    """``NAME SIDE warm|cold``: one measurement."""
    name, side, cache = words
    with tempfile.TemporaryDirectory() as folder:
        if cache == "cold":
            os.environ["NUMBA_CACHE_DIR"] = folder
        clock = Clock()
        example, demo = (import_module(f"gpupipe.examples.{module}") for module in (name, "demo"))
        frame, target = example.frame(example.prepare(demo.cache_folder(name)))
        frame = frame.head(ROWS)
        clock.lap("imports and rows")
        for when in ("first", "again"):
            fitted = (_ours if side == SIDES[0] else _theirs)(example, name == "churn", frame, target[:ROWS])
            clock.lap(f"{when}: fit")
            fitted()
            clock.lap(f"{when}: predict")
        tell(clock.phases)


def _ours(example: ModuleType, whole: bool, frame: Any, target: Any) -> Callable[[], Any]:
    pipeline = example.pipeline()
    if not whole:
        pipeline.model = None
    fitted = pipeline.fit(frame)
    return partial(fitted.predict if whole else fitted.transform, frame, output="numpy")


def _theirs(example: ModuleType, whole: bool, frame: Any, target: Any) -> Callable[[], Any]:
    reference = example.reference()
    fitted = (reference if whole else reference[0]).fit(frame, target)
    return partial(fitted.predict if whole else fitted.transform, frame)


if __name__ == "__main__":
    main(sys.argv[1:])
