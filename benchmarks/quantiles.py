"""Medians and quantiles of columns in memory: a fit of ours, scikit-learn's imputer, NumPy on the bare arrays.

30 columns of a million rows, one value in ten missing. gpupipe takes an Arrow table in 8 partitions through one scan
and a trip that settles the quantiles; scikit-learn takes the matrix with NaN; NumPy takes one array after the other, by
its partial sort, or by sorting distinct values. Each job checks its first column. ``first`` pays for what a first use
loads, ``again`` does not.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.impute import SimpleImputer

import gpupipe as gp
from gpupipe import col

from .measure import Clock, Row, rows_of, run, tell

SIDES = ("gpupipe", "scikit-learn", "NumPy", "NumPy, sorted")
ROWS, COLUMNS, PARTITIONS = 1_000_000, 30, 8
DECILES = tuple(np.arange(1, 10) / 10)
CASES = {
    "medians": "a median each",
    "deciles": "nine quantiles each",
    "seconds": "a median each, of times within a week",
}


def measure(repeats: int, cases: Sequence[str] = tuple(CASES)) -> Iterator[Row]:
    """All cases, the sides taking turns; one uncounted run of each first."""
    for case in cases:
        for repeat in range(-1, repeats):
            for side in SIDES if repeat % 2 else SIDES[::-1]:
                if side == "scikit-learn" and case == "deciles":
                    continue
                found = run("quantiles", [case, side])
                if repeat >= 0:
                    yield from rows_of("quantiles", CASES[case], side, repeat, found)


def drawn(case: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Values of shape (columns, rows), and which are missing."""
    rng = np.random.default_rng(0)
    missing = rng.random((COLUMNS, ROWS)) < 0.1
    if case == "seconds":
        return 1.7e9 + rng.random((COLUMNS, ROWS)) * 604_800, missing
    return rng.normal(100, 10, (COLUMNS, ROWS)), missing


def fit(case: str, values: Any, missing: Any) -> Callable[[], list[list[float]]]:
    """The fit of ours; gives each column's quantiles."""
    names = [f"x{at}" for at in range(COLUMNS)]
    table = pa.table({name: pa.array(values[at], mask=missing[at]) for at, name in enumerate(names)})
    source = gp.scan(table, partitions=PARTITIONS)
    qs = DECILES if case == "deciles" else (0.5,)
    features = [col(name).quantile(q).cast("Float64").alias(f"{name} {q}") for name in names for q in qs]

    def job() -> list[list[float]]:
        found = gp.Pipeline(features).fit(source).transform(table.slice(0, 1), output="arrow")
        return [[found[f"{name} {q}"][0].as_py() for q in qs] for name in names]

    return job


def peer(side: str, case: str, values: Any, missing: Any) -> Callable[[], list[list[float]]]:
    """The same by scikit-learn, NumPy's partial sort, or its sort."""
    holes = [np.where(gone, np.nan, column) for column, gone in zip(values, missing, strict=True)]
    qs = np.array(DECILES if case == "deciles" else (0.5,))
    if side == "scikit-learn":
        matrix = np.stack(holes, axis=1)
        return lambda: [[float(value)] for value in SimpleImputer(strategy="median").fit(matrix).statistics_]
    if side == "NumPy":
        if len(qs) == 1:
            return lambda: [[float(np.nanmedian(column))] for column in holes]
        return lambda: [np.nanquantile(column, qs).tolist() for column in holes]
    return lambda: [_of_distinct(column[~gone], qs) for column, gone in zip(values, missing, strict=True)]


def _of_distinct(values: Any, qs: Any) -> list[float]:
    distinct, counts = np.unique(values, return_counts=True)
    ends = np.cumsum(counts)
    place = (len(values) - 1) * qs
    low, fraction = np.floor(place).astype(int), place % 1
    first, second = (
        distinct[np.searchsorted(ends, rank, "right")] for rank in (low, np.minimum(low + 1, ends[-1] - 1))
    )
    return (
        np.where(fraction < 0.5, first + (second - first) * fraction, second - (second - first) * (1 - fraction))
    ).tolist()


def main(words: Sequence[str]) -> None:
    """One job."""
    case, side = words
    values, missing = drawn(case)
    job = fit(case, values, missing) if side == "gpupipe" else peer(side, case, values, missing)
    clock = Clock()
    job()
    clock.lap("first")
    found = job()
    clock.lap("again")
    known = values[0][~missing[0]]
    assert found[0] == np.quantile(known, DECILES if case == "deciles" else (0.5,)).tolist(), found[0]
    tell(clock.phases)


if __name__ == "__main__":
    main(sys.argv[1:])
