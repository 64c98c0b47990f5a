"""From values to exact sums: which grid, which kernel, and what does not lie on any.

A guess from some of the values picks a grid; the kernels report what does not lie on it, which is tried on a wider one
and then added digit by digit. The guess so decides how long it takes, and nothing else.
"""

from functools import cache
from itertools import pairwise
from types import ModuleType

import numpy as np

from gpupipe import optional
from gpupipe.backends import compiled
from gpupipe.backends.exact.digits import Digits
from gpupipe.backends.exact.number import from_integers, stacked
from gpupipe.backends.exact.small import of_small_wholes
from gpupipe.backends.exact.totals import UNIT, Sums, add_totals, grid_of, joined, of_all_rows, placed
from gpupipe.columns import Values
from gpupipe.kernels.reference import exact as reference

_FEW = 64  # up to here Python's whole numbers are quicker than arrays
_FEW_GROUPS = 64  # as are folds
_EXACT_INTEGER = 2**53


@cache
def _fast() -> ModuleType:
    return optional.load("gpupipe.kernels.cpu.exact")


def kernels_for(n_values: int) -> ModuleType:
    """The form of the kernels that is worth its start for so many values more; both give the same."""
    return _fast() if compiled.worth(n_values) else reference


def sums(
    values: Values,
    groups: Values | None = None,
    n_groups: int = 1,
    times: Values | None = None,
    *,
    squares: bool = False,
    kernels: ModuleType | None = None,
) -> Sums | None:
    """The exact sums of values by group; None where a value is NaN or infinite.

    Args:
        values: float32, float64, int64 or bool of shape (n,).
        groups: int64 of shape (n,); None: all are one group.
        times: int64 of shape (n,), how often each value counts; None: once.
        squares: whether the sums of squares are wanted too.
        kernels: the form of the kernels; None: whichever is worth it.

    >>> sums(np.array([1e16, 1.0, -1e16])).total.fractions()
    [Fraction(1, 1)]
    """
    values = np.ascontiguousarray(values)
    if groups is None:
        n_groups = 1
    if kernels is None and len(values) <= _FEW and n_groups <= _FEW:
        return _of_few(values, groups, n_groups, times, squares)
    run = kernels_for(len(values)) if kernels is None else kernels
    if times is not None or not _is_float(values):
        spread = np.zeros(len(values), np.int64) if groups is None else groups
        return Digits(run, n_groups, squares).of(values, spread, times)
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if groups is None or n_groups == 1:
        return of_all(run, values, squares)
    if (small := of_small_wholes(values, groups, n_groups, squares)) is not None:
        return small
    few = 0 < n_groups <= _FEW_GROUPS and len(values) >= n_groups * reference.ROWS
    return (_one_by_one if few else _by_group)(run, values, groups, n_groups, squares)


def _is_float(values: Values) -> bool:
    """Whether float64 holds every value."""
    if values.dtype.kind in "bf" or not len(values):
        return True
    return bool(values.min() >= -_EXACT_INTEGER and values.max() <= _EXACT_INTEGER)


def of_all(run: ModuleType, values: Values, squares: bool) -> Sums | None:
    """The exact sums of float32 or float64 values, all of one group; None where one is NaN or infinite."""
    found = [0, 0]
    left = add_all(run, values, squares, found)
    parts = [of_all_rows(found, squares)]
    if len(left):
        rest = Digits(run, 1, squares).of(left, np.zeros(len(left), np.int64), None)
        if rest is None:
            return None
        parts.append(rest)
    return joined(parts, 1)


def add_all(run: ModuleType, values: Values, squares: bool, found: list[int]) -> Values:
    """Add values to the sum and the sum of squares in `found`, in units of UNIT; gives what is left, mostly nothing:
    values of very different sizes, or not finite."""
    grid = None
    for slices in ((2, 3, 4), (4,)) if squares else ((2,), (2,)):
        grid = grid_of(values, slices, squares) if len(values) else None
        values = values if grid is None else _tiles(run, values, *grid, squares, found)
    if grid is not None and len(values):  # of many tiles few values are off the grid
        off = reference.off_grid(values, *grid, squares)
        values = np.concatenate([_tiles(run, values[~off], *grid, squares, found), values[off]])
    return _add_each(values, squares, found) if len(values) <= _FEW and np.isfinite(values).all() else values


def _add_each(values: Values, squares: bool, found: list[int]) -> Values:
    """Add a few values of any size to `found`; gives what is left, none."""
    for value in values.tolist():
        whole, unit = value.as_integer_ratio()
        whole <<= UNIT + 1 - unit.bit_length()
        found[0] += whole
        found[1] += whole * whole if squares else 0
    return values[:0]


def _of_few(values: Values, groups: Values | None, n_groups: int, times: Values | None, squares: bool) -> Sums | None:
    """The sums of a few values of any size; None where one is NaN or infinite."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return None
    total, of_squares = [0] * n_groups, [0] * n_groups
    of_row = [0] * len(values) if groups is None else groups.tolist()
    counts = [1] * len(of_row) if times is None else times.tolist()
    for value, group, often in zip(values.tolist(), of_row, counts, strict=True):
        whole, unit = value.as_integer_ratio()
        whole <<= UNIT + 1 - unit.bit_length()
        total[group] += whole * often
        of_squares[group] += whole * whole * often if squares else 0
    return Sums(from_integers(total, -UNIT), from_integers(of_squares, -2 * UNIT) if squares else None)


def _tiles(run: ModuleType, values: Values, low: int, slices: int, squares: bool, found: list[int]) -> Values:
    """Add what lies on a grid to `found`; gives the values of the tiles that do not."""
    at_once, rest = reference.TILES_AT_ONCE * reference.ROWS, []
    for first in range(0, len(values), at_once):
        part = values[first : first + at_once]
        totals = np.zeros(reference.n_totals(slices, squares), np.int64)
        wrong = run.tile_sums(part, low, slices, squares, totals)
        rest += [part[tile * reference.ROWS : (tile + 1) * reference.ROWS] for tile in wrong.tolist()]
        add_totals(totals.tolist(), low, slices, squares, found)
    return np.concatenate(rest) if rest else values[:0]


def _one_by_one(run: ModuleType, values: Values, groups: Values, n_groups: int, squares: bool) -> Sums | None:
    """Few groups of many rows, as the folds of a cross-validation are: brought together, each is a fast sum of all."""
    values = values[np.argsort(groups.astype(np.int8), kind="stable")]
    edges = np.cumsum([0, *np.bincount(groups, minlength=n_groups)])
    parts = [of_all(run, values[first:end], squares) for first, end in pairwise(edges.tolist())]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    total = stacked([part.total for part in known])
    return Sums(total, stacked([part.squares for part in known if part.squares is not None]) if squares else None)


def _by_group(run: ModuleType, values: Values, groups: Values, n_groups: int, squares: bool) -> Sums | None:
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        return None
    grid = grid_of(values, (1, 2, 3, 4) if squares else (1, 2), squares) if len(values) else None
    if grid is None:
        return Digits(run, n_groups, squares).of(values, groups, None)
    low, slices = grid
    parts, off = [], []
    for rows in _few_of_a_group(groups, n_groups):
        totals = np.zeros((n_groups, 3 * slices - 1 if squares else slices), np.int64)
        off.append(run.group_sums(values[rows], groups[rows], low, slices, squares, totals) + (rows.start or 0))
        parts.append(placed(totals, low, slices, squares))
    missed = np.concatenate(off)
    if len(missed):
        rest = Digits(run, n_groups, squares).of(values[missed], groups[missed], None)
        parts += [] if rest is None else [rest]
    return joined(parts, n_groups)


def _few_of_a_group(groups: Values, n_groups: int) -> list[slice]:
    """All rows at once, or as many as surely have no more of one group than the kernels' totals hold."""
    size = reference.GROUP_ROWS
    if len(groups) <= size or np.bincount(groups, minlength=n_groups).max() <= size:
        return [slice(None)]
    return [slice(first, first + size) for first in range(0, len(groups), size)]
