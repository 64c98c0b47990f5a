"""What kernels over number columns cost, in CPU ns a value of one thread, beside the bandwidth of a copy.

The tile interpreter takes 39 columns of 131,072 rows, one value in ten null, into a row-major float32 matrix or into
columns, which are touched before. Sums and a histogram are taken of such a column as it is stored, and the rows whose
values lie in two spans. The chains are those of clicks: fill, clip at 0, (log1p,) less a mean, over a deviation.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.backends.exact.totals import grid_of
from gpupipe.kernels.opcodes import Op, load_of, store_of
from gpupipe.kernels.reference import interpreter as plain
from gpupipe.kernels.reference.radix import ordered_bits
from gpupipe.kernels.table import Program, Table

from .measure import Row, run, tell

ROWS, COLUMNS, NULLS = 1 << 17, 39, 0.1
STANDARD: list[tuple[Op, float | None]] = [(Op.COALESCE, 0.5), (Op.MAX_F, 0.0), (Op.SUB_F, 0.3), (Op.DIV_F, 1.7)]
CHAINS: dict[str, list[tuple[Op, float | None]]] = {
    "load and store": [],
    "fill": STANDARD[:1],
    "fill, clip, standardize": STANDARD,
    "fill, clip, log1p, standardize": [*STANDARD[:2], (Op.LOG1P, None), *STANDARD[2:]],
}
Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)


def measure(repeats: int) -> Iterator[Row]:
    """All chains, in both forms, and what is learned of columns."""
    for repeat in range(repeats):
        for side, numbers in run("interpreter", ["kernels"]).items():
            if side in ("compiled", "NumPy"):
                yield from (Row("interpreter", "kernels", side, case, "ns", repeat, ns) for case, ns in numbers.items())


def chain(name: str, dtype: str, *, matrix: bool) -> tuple[Table, list[Any], list[Any]]:
    """The table of one chain over all columns, its inputs and its outputs."""
    steps, constants = [(load_of(dtype), 0, 0, 0, 0)], []
    if dtype.startswith("int"):
        steps.append((Op.I_TO_F, 0, 0, 0, 0))
    for op, constant in CHAINS[name]:
        if constant is not None:
            steps.append((Op.CONST_F, 1, len(constants), 0, 0))
            constants.append(constant)
        steps.append((op, 0, 0, 1, 0))
    steps.append((store_of("float32"), 0, 0, 0, 0))
    table = Table.build([Program(np.array(steps), 2)], [(0, [at], constants, [at]) for at in range(COLUMNS)])
    inputs = [(column(dtype), RNG.random(ROWS) >= NULLS) for _ in range(COLUMNS)]
    whole = np.zeros((ROWS, COLUMNS) if matrix else (COLUMNS, ROWS), np.float32)
    return table, inputs, [(each, None) for each in (whole.T if matrix else whole)]


def column(dtype: str) -> Array:
    """Skewed values."""
    return np.exp(RNG.normal(0, 1.5, ROWS)).astype(dtype)


def taken(work: Callable[[], object], values: int) -> float:
    """CPU ns a value: the least of seven, after one that does not count."""
    work()
    least = float("inf")
    for _ in range(7):
        began = time.thread_time_ns()
        work()
        least = min(least, (time.thread_time_ns() - began) / values)
    return least


def chains(kernels: Any, dtypes: tuple[str, ...] = ("float32", "float64", "int32")) -> dict[str, float]:
    """ns a value of every chain."""
    found = {}
    for name in CHAINS:
        for dtype in dtypes:
            for matrix in (True, False):
                job = chain(name, dtype, matrix=matrix)

                def work(job: Any = job) -> None:
                    kernels.run(*job, 0, ROWS)

                found[f"{name}: {dtype} to {'a matrix' if matrix else 'columns'}"] = taken(work, ROWS * COLUMNS)
    return found


def learned() -> dict[str, float]:
    """ns a value of sums, histograms and the rows of spans, of one column each."""
    kernels = optional.load("gpupipe.kernels.cpu.columns")
    valid = RNG.random(ROWS) >= NULLS
    low, high = ordered_bits(np.array([0.1, 9.0])), ordered_bits(np.array([0.1001, 9.009]))
    found = {}
    for name, values in {"float32": column("float32"), "float64 logarithms": np.log1p(column("float64"))}.items():
        grid = grid_of(values, (2, 4), squares=True)
        jobs: dict[str, Callable[[], object]] = {
            "sums and squares": partial(kernels.totals_of, values, valid, grid, counted=False),
            "histogram": partial(kernels.totals_of, values, valid, None, counted=True),
            "both": partial(kernels.totals_of, values, valid, grid, counted=True),
            "rows of two spans": partial(kernels.rows_between, values, valid, low, high),
        }
        found |= {f"{what} of {name}": taken(work, ROWS) for what, work in jobs.items()}
    return found


def copied() -> dict[str, float]:
    """ns a float32 value of a copy, in cache as these columns are, and far beyond it."""
    small, large = np.ones(ROWS, np.float32), np.ones(1 << 26, np.float32)
    into, far = np.zeros_like(small), np.zeros_like(large)
    return {
        "copy of a column": taken(lambda: np.copyto(into, small), ROWS),
        "copy of 256 MB": taken(lambda: np.copyto(far, large), len(large)),
    }


if __name__ == "__main__":
    compiled = optional.load("gpupipe.kernels.cpu.interpreter")
    tell({"compiled": chains(compiled) | learned() | copied(), "NumPy": chains(plain, ("float32",))})
    sys.exit(0)
