"""What the values kept at both ends of a column tell by themselves: its quantiles, and the sums of its rows between
them, with neither bins nor a trip.

A column so settled is a list of runs of rows: each value at a rank asked for is one, and all values between two of
those are one. All but the run that holds the middle of the column stand among the kept values, put in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType

import numpy as np

from gpupipe import optional
from gpupipe.backends import compiled
from gpupipe.backends.exact.number import Exact, from_places
from gpupipe.backends.states.ends import Bounds, Kept
from gpupipe.backends.states.integers import distinct
from gpupipe.backends.states.moments import TAILS
from gpupipe.backends.states.orders import ranks_of
from gpupipe.backends.states.settling import Asked, alike
from gpupipe.backends.states.state import Entries, State
from gpupipe.columns import Column, Values
from gpupipe.errors import InternalError
from gpupipe.kernels.reference import radix
from gpupipe.schema import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """A column of float32, its rows all in one group, as runs.

    Attributes:
        rows: as of its state.
        kept: float32, the kept values in order.
        edges: int64, where among them each run begins, and the last one ends.
        middle: the run that holds the rows that are not kept.
        counts: int64, how many rows each run has.
        least, greatest: float64, of each run the values that it lies between; anything where it has no rows.
    """

    rows: Values
    kept: Values
    edges: Values
    middle: int
    counts: Values
    least: Values
    greatest: Values

    def state(self) -> State:
        """The state of kind ``values``: exact at the ranks asked for, one entry for all between two of those."""
        used = np.flatnonzero(self.counts)
        entries = Entries(Column(Float64, self.least[used]), np.zeros(len(used), np.int64), self.counts[used])
        return State("values", [], self.rows, {}, entries)


def runs_of(state: State, asked: Sequence[Asked]) -> Runs | None:
    """The runs of a merged state of kind ``ends``; None where its values do not tell all, or infinities are among them.

    Args:
        asked: the quantiles.
    """
    kept, bounds = Kept(state), Bounds(*state.arrays["bounds"][0].tolist())
    values, n = kept.column.values, int(state.arrays["n"][0])
    if not compiled.Work.started or values.dtype != np.float32 or not kept.is_whole:
        return None
    values, low = np.sort(values), bounds.narrow[0]
    below = int(np.searchsorted(values, low))
    ranks = _ranks(n, asked)
    among = np.where(ranks < below, ranks, ranks - (n - len(values)))
    if (among < np.minimum(ranks, below)).any() or (len(values) and not np.isfinite(values[[0, -1]]).all()):
        return None
    return _runs(state.rows, values, distinct(values[among]), n, below, bounds)


def _ranks(n: int, asked: Sequence[Asked]) -> Values:
    found = [np.zeros(0, np.int64)]
    for same in alike(asked, lambda one: (one.later, one.mirrored)):
        found.append(ranks_of(n, np.array([one.q for one in same]), same[0].later, mirrored=same[0].mirrored))
    return np.concatenate(found)


def _runs(rows: Values, values: Values, exact: Values, n: int, below: int, bounds: Bounds) -> Runs:
    sides = [np.searchsorted(values, exact, side) for side in ("left", "right")]
    edges = np.array([0, *np.stack(sides, axis=1).ravel(), len(values)])
    middle = 2 * int(np.searchsorted(exact, bounds.narrow[0]))
    counts = np.diff(edges)
    counts[middle] += n - len(values)
    wide = np.append(values, np.float32(0)).astype(np.float64) + 0.0  # no zero is negative, and there is a last one
    least, greatest = wide[edges[:-1]], wide[edges[1:] - 1]
    if edges[middle] >= below:
        least[middle] = bounds.low
    if edges[middle + 1] <= below:
        last = np.inf if np.isnan(bounds.high) else radix.floats_of(radix.ordered_bits(np.array([bounds.high])) - 1)[0]
        greatest[middle] = last
    return Runs(rows, values, edges, middle, counts, least, greatest)


def tails(runs: Sequence[Runs], wholes: Sequence[State]) -> list[State]:
    """The states of kind ``tails`` of the same columns with two more keys: between which values a run of rows lies.

    Raises:
        InternalError: these are not the rows that the states saw.
    """
    kernels, found = _kernels(), []
    for of_one, whole in zip(runs, wholes, strict=True):
        if of_one.counts.sum() != whole.arrays["n"][0]:
            raise InternalError("A column's states saw different rows. Please report this.")
        sums, squares = kernels.add_runs(of_one.kept, of_one.edges)
        for digits, name, base in zip((sums, squares), ("sum", "squares"), kernels.BASES, strict=True):
            digits[of_one.middle] = 0
            digits[of_one.middle] = _digits_of(whole, name, base, digits.shape[1]) - digits.sum(axis=0)
        found.append((sums, squares))
    each = [np.concatenate(parts).T for parts in zip(*found, strict=True)]
    numbers = [from_places(*one) for one in zip(each, kernels.BASES, strict=False)]
    edges = np.cumsum([0, *(len(of_one.counts) for of_one in runs)]).tolist()
    return [
        _state(of_one, [Exact(one.digits[begin:end], one.scale[begin:end]) for one in numbers])
        for of_one, (begin, end) in zip(runs, pairwise(edges), strict=True)
    ]


def _digits_of(whole: State, name: str, base: int, size: int) -> Values:
    """The one number of a state as digits in units of 2^(32 base)."""
    digits, found = whole.arrays[name][0], np.zeros(size, np.int64)
    at = int(whole.arrays[f"{name}_scale"][0]) - base
    if digits.any():
        found[at : at + len(digits)] = digits
        found[at + len(digits) - 1] = digits[-1:].view(np.int32)[0]
    return found


def _state(runs: Runs, numbers: Sequence[Exact]) -> State:
    used = np.flatnonzero(runs.counts)
    keys = [Column(Float64, ends[used]) for ends in (runs.least, runs.greatest)]
    arrays = {"n": runs.counts[used], "infinite": np.zeros((len(used), 2), np.int64)}
    for name, number in zip(("sum", "squares"), numbers, strict=True):
        arrays |= {name: number.digits[used], f"{name}_scale": number.scale[used]}
    return State(TAILS.name, keys, arrays["n"], arrays)


def _kernels() -> ModuleType:
    return optional.load("gpupipe.kernels.cpu.singles")
