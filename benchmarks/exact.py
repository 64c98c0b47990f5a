"""What exact sums cost: a fit from Parquet files with them, and with plain float64 sums in their place.

Both sides are the same pipeline but for the state of moments: the plain one is n, the float64 sum and the float64 sum
of squares, each by NumPy's quickest call, added up as they come; its digits depend on the order and cancel. One process
fits with either in turn, after uncounted fits of each; files are read anew each time. The kernels are timed besides.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe import optional
from gpupipe.backends import finish
from gpupipe.backends.exact import sums
from gpupipe.backends.states import gathering, kinds, moments, together
from gpupipe.backends.states.integers import counts, total
from gpupipe.backends.states.state import Arrays, State, StateKind
from gpupipe.columns import Column, Values
from gpupipe.examples import demo
from gpupipe.kernels.reference import exact as plain_kernels
from gpupipe.schema import Float64

from .measure import Clock, Row, rows_of, run, tell

SIDES = ("exact", "plain")
FORMS = ("plain", "NumPy", "Numba")
ROWS = {"strings": 1_000_000, "floats": 250_000}
ROWS_A_GROUP, NUMBERS, TEXTS, FLOATS = 62_500, 13, 26, 200
_WARM = 6  # fits before those that count: by then Numba's forms run
_TILE = 2048  # so short that BLAS starts no threads


def measure(repeats: int, cases: Sequence[str] = ("strings", "floats")) -> Iterator[Row]:
    """All cases, the two sides taking turns; then the kernels."""
    for case in cases:
        for phase, numbers in run("exact", [case, str(repeats)]).items():
            side, _, number = phase.partition(" ")
            if side in SIDES:
                yield from rows_of("exact", _TOLD[case], side, int(number), {"fit": numbers})
    for repeat in range(repeats):
        for side, numbers in run("exact", ["kernels"]).items():
            if side in FORMS:
                yield from (Row("exact", "kernels", side, case, "ns", repeat, ns) for case, ns in numbers.items())


# -- the data and the pipelines --------------------------------------------------------------------------------
_TOLD = {
    "strings": f"{NUMBERS} float columns and {TEXTS} of text as codes",
    "floats": f"{FLOATS} float32 columns",
}


def file_of(case: str, folder: Path) -> Path:
    """The case's Parquet file, written if it is not there."""
    path = folder / f"{case}-{ROWS[case]}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        pq.write_table(_strings() if case == "strings" else _floats(), part, row_group_size=ROWS_A_GROUP)
        part.rename(path)
    return path


def _numbers(rng: np.random.Generator, rows: int) -> pa.Array:
    values = rng.lognormal(2, 1, rows).astype(np.float32)
    return pa.array(values, mask=rng.random(rows) < 0.05)


def _strings() -> pa.Table:
    rng, rows = np.random.default_rng(0), ROWS["strings"]
    columns = {f"n{at}": _numbers(rng, rows) for at in range(NUMBERS)}
    for at in range(TEXTS):
        words = pa.array([f"{word:08x}" for word in range(10 ** (1 + at % 4))])
        places = np.minimum(rng.zipf(1.3, rows), len(words)) - 1
        columns[f"c{at}"] = words.take(pa.array(places, mask=rng.random(rows) < 0.05))
    return pa.table(columns)


def _floats() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table({f"x{at}": _numbers(rng, ROWS["floats"]) for at in range(FLOATS)})


def pipeline(case: str) -> gp.Pipeline:
    """Numbers as the scores of their logs, text as codes."""
    numbers = gp.numeric().log1p().standardize().fill_null(0.0)
    return gp.Pipeline([numbers, gp.strings().codes()] if case == "strings" else [numbers])


# -- the plain side --------------------------------------------------------------------------------------------
def _plain_sums(values: Values, groups: Values, n_groups: int) -> Values:
    return np.array([values.sum()]) if n_groups == 1 else np.bincount(groups, weights=values, minlength=n_groups)


def _plain_update(
    column: Column, groups: Values, n_groups: int, times: Values | None, counted: Values | None
) -> Arrays:
    values = column.values.astype(np.float64, copy=False)
    squares = np.array([_plain_squares(values)]) if n_groups == 1 else _plain_sums(values * values, groups, n_groups)
    found = {"sum": _plain_sums(values, groups, n_groups), "squares": squares}
    if not np.isfinite(squares).all():
        raise ValueError("a value is not finite")
    return {"n": counts(groups, n_groups, times) if counted is None else counted, **found}


def _plain_squares(values: Values) -> float:
    whole = len(values) // _TILE * _TILE
    tiles = values[:whole].reshape(-1, _TILE)
    return float(np.vecdot(tiles, tiles).sum() + np.dot(values[whole:], values[whole:]))


def _plain_combine(arrays: Arrays, groups: Values, n_groups: int) -> Arrays:
    found = {name: _plain_sums(arrays[name], groups, n_groups) for name in ("sum", "squares")}
    return {"n": total(arrays["n"], groups, n_groups), **found}


def _plain_each(arrays: Arrays) -> list[Arrays]:
    return [{name: array[at : at + 1] for name, array in arrays.items()} for at in range(len(arrays["n"]))]


def _plain_mean(state: State, *_: Any) -> Column:
    return Column(Float64, state.arrays["sum"] / state.arrays["n"])


def _plain_std(state: State, *_: Any) -> Column:
    n, first, second = (state.arrays[name] for name in ("n", "sum", "squares"))
    return Column(Float64, np.sqrt(np.maximum(second / n - (first / n) ** 2, 0)))


_KINDS = {
    "exact": kinds.KINDS["moments"],
    "plain": StateKind("moments", _plain_update, _plain_combine, invertible=False),
}
#: States that one pass gives together, by sums of its own: none on the plain side.
_TOGETHER: dict[str, frozenset[str]] = {"exact": together.KINDS, "plain": frozenset()}
#: How the sums of many columns, added as one array, are taken apart again.
_EACH: dict[str, Callable[[Arrays], list[Arrays]]] = {"exact": moments.each, "plain": _plain_each}
_FINISH: dict[str, dict[str, Callable[..., Column]]] = {
    "exact": {op: finish.FINISH[op] for op in ("mean", "std")},
    "plain": {"mean": _plain_mean, "std": _plain_std},
}


def use(side: str) -> None:
    """From now on this process sums so."""
    kinds.KINDS["moments"] = _KINDS[side]
    together.KINDS = _TOGETHER[side]
    setattr(gathering, "each", _EACH[side])  # noqa: B010
    finish.FINISH |= _FINISH[side]


# -- the kernels -----------------------------------------------------------------------------------------------
def kernels() -> dict[str, dict[str, float]]:
    """CPU nanoseconds a value of the sums and sums of squares of a column of 250,000, by form; the median of 15."""
    rng = np.random.default_rng(0)
    forms: dict[str, Any] = {"NumPy": plain_kernels}
    if optional.available("numba"):
        forms["Numba"] = optional.load("gpupipe.kernels.cpu.exact")
    n = 250_000
    cases: dict[str, Values] = {
        "float32": rng.normal(size=n).astype(np.float32),
        "float64": rng.normal(size=n),
        "float64, log-normal, deviation 3": rng.lognormal(0, 3, n),
        "whole numbers": rng.integers(0, 100, n) * 1.0,
        "exponents of all sizes": np.ldexp(rng.normal(size=n), rng.integers(-1000, 1000, n)),
    }
    keys = rng.integers(0, 20_000, n)
    found: dict[str, dict[str, float]] = {"plain": {}}
    for case, values in cases.items():
        found["plain"][case] = _ns(_plain_job(values), n)
        for name, form in forms.items():
            found.setdefault(name, {})[case] = _ns(_job(form, values), n)
            if "sizes" not in case:
                found[name][f"{case}, 20,000 groups"] = _ns(_job(form, values, keys, 20_000), n)
    return found


def _plain_job(values: Values) -> Callable[[], object]:
    def job() -> None:
        with np.errstate(all="ignore"):
            wide = values.astype(np.float64, copy=False)
            wide.sum(), _plain_squares(wide)

    return job


def _job(form: Any, values: Values, groups: Values | None = None, n_groups: int = 1) -> Callable[[], object]:
    return lambda: sums.sums(values, groups, n_groups, squares=True, kernels=form)


def _ns(job: Callable[[], object], n: int) -> float:
    job()
    times = []
    for _ in range(15):
        began = time.thread_time()
        job()
        times.append(time.thread_time() - began)
    return float(np.median(times)) / n * 1e9


def main(words: list[str]) -> None:
    """``CASE REPEATS``, or ``kernels``: one measurement."""
    if words == ["kernels"]:
        return tell(kernels())
    case, repeats = words[0], int(words[1])
    path = file_of(case, demo.cache_folder("exact"))
    clock = Clock()
    for repeat in range(-_WARM, repeats):
        for side in SIDES if repeat % 2 else SIDES[::-1]:
            use(side)
            clock.lap("between")
            pipeline(case).fit(gp.scan(path))
            clock.lap(f"{side} {repeat}")
    tell({phase: numbers for phase, numbers in clock.phases.items() if "-" not in phase and phase != "between"})


if __name__ == "__main__":
    main(sys.argv[1:])
