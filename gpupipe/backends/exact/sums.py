"""From values to exact sums: which grid, which kernel, and what does not lie on any.

A guess from some of the values picks a grid; the kernels report what does not lie on it, which is tried on a wider one
and then added digit by digit. The guess so decides how long it takes, and nothing else.
"""

import math
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import ModuleType

import numpy as np

from gpupipe import optional
from gpupipe.backends.exact.number import Exact, combined, from_integers, from_places, stacked
from gpupipe.columns import Values
from gpupipe.kernels.reference import exact as reference

# As in `gpupipe.backends.cpu`: NumPy's form costs some 5 ns a value more than Numba's, which takes .4 s to start, or
# .05 s where Numba is running already.
_WORTH_NUMBA, _WORTH_ONE_MORE, _TINY = 64_000_000, 8_000_000, 4_096
_FAST = "gpupipe.kernels.cpu.exact"

_SAMPLE = 256
_SPARE = 4  # bits that the values below those of the sample may need
_LEAST, _GREATEST = -500, 400  # of a grid: squares of its units, and sums of squares, are then well inside float64
_UNIT = 1088  # ungrouped sums are gathered in units of 2^-1088, squares of 2^-2176: every float64 is a whole number
_DIGITS_AT_ONCE = 2**16
_FEW = 64  # up to here Python's whole numbers are quicker than arrays
_GROUPS_AT_ONCE, _FEW_GROUPS = 2**13, 64  # as stay in cache; as are folds
_EXACT_INTEGER = 2**53


class _Tally:
    """How many values NumPy's form has added in this process. Threads may lose a count; nothing hangs on it."""

    values = 0


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """The exact sum of each group's values, and of their squares where asked for."""

    total: Exact
    squares: Exact | None


@cache
def _has_numba() -> bool:
    return optional.available("numba")


@cache
def _fast() -> ModuleType:
    return optional.load("gpupipe.kernels.cpu.exact")


def kernels_for(n_values: int) -> ModuleType:
    """The form of the kernels that is worth its start for so many values more; both give the same."""
    least = _WORTH_ONE_MORE if "numba" in sys.modules else _WORTH_NUMBA
    worth = _Tally.values + n_values >= least or _FAST in sys.modules
    if worth and n_values >= min(_TINY, least) and _has_numba():
        return _fast()
    _Tally.values += n_values
    return reference


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
    run = kernels_for(len(values)) if kernels is None else kernels
    values = np.ascontiguousarray(values)
    if groups is None:
        n_groups = 1
    if times is not None or not _is_float(values):
        spread = np.zeros(len(values), np.int64) if groups is None else groups
        return _Digits(run, n_groups, squares).of(values, spread, times)
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if groups is None or n_groups == 1:
        return _of_all(run, values, squares)
    few = 0 < n_groups <= _FEW_GROUPS and len(values) >= n_groups * reference.ROWS
    return (_one_by_one if few else _by_group)(run, values, groups, n_groups, squares)


def _is_float(values: Values) -> bool:
    """Whether float64 holds every value."""
    if values.dtype.kind in "bf" or not len(values):
        return True
    return bool(values.min() >= -_EXACT_INTEGER and values.max() <= _EXACT_INTEGER)


def _grid(values: Values, slices: tuple[int, ...], squares: bool) -> tuple[int, int] | None:
    """(low, number of slices) that most of the values should lie on; None for values out of reach of any."""
    some = np.abs(values[:: max(1, len(values) // _SAMPLE)].astype(np.float64))
    some = some[(some > 0) & (some < np.inf)]
    if not len(some):
        some = np.ones(1)
    bits = some.view(np.int64)
    last_bits = some - (bits & (bits - 1)).view(np.float64)  # of a power of two up to one bit less
    least, top = (math.frexp(number)[1] for number in (float(last_bits.min()), float(some.max())))
    width = reference.width_of(squares)
    for number in slices:
        low = top + (1 if squares else 2) - width * number  # then many rows of the largest value pass
        if least >= low + _SPARE:
            break
    return (low, number) if _LEAST <= low <= _GREATEST else None


def _of_all(run: ModuleType, values: Values, squares: bool) -> Sums | None:
    found, grid = [0, 0], None
    for slices in ((2, 3, 4), (4,)) if squares else ((2,), (2,)):
        grid = _grid(values, slices, squares) if len(values) else None
        values = values if grid is None else _tiles(run, values, *grid, squares, found)
    if grid is not None and len(values):  # of many tiles few values are off the grid
        off = reference.off_grid(values, *grid, squares)
        values = np.concatenate([_tiles(run, values[~off], *grid, squares, found), values[off]])
    if len(values) <= _FEW and np.isfinite(values).all():
        values = _add_each(values, squares, found)
    total = from_integers([found[0]], -_UNIT)
    parts = [Sums(total, from_integers([found[1]], -2 * _UNIT) if squares else None)]
    if len(values):
        rest = _Digits(run, 1, squares).of(values, np.zeros(len(values), np.int64), None)
        if rest is None:
            return None
        parts.append(rest)
    return _joined(parts, 1)


def _add_each(values: Values, squares: bool, found: list[int]) -> Values:
    """Add a few values of any size to `found`; gives what is left, none."""
    for value in values.tolist():
        whole, unit = value.as_integer_ratio()
        whole <<= _UNIT + 1 - unit.bit_length()
        found[0] += whole
        found[1] += whole * whole if squares else 0
    return values[:0]


def _tiles(run: ModuleType, values: Values, low: int, slices: int, squares: bool, found: list[int]) -> Values:
    """Add what lies on a grid to `found`; gives the values of the tiles that do not."""
    at_once, rest = reference.TILES_AT_ONCE * reference.ROWS, []
    for first in range(0, len(values), at_once):
        part = values[first : first + at_once]
        totals = np.zeros(reference.n_totals(slices, squares), np.int64)
        wrong = run.tile_sums(part, low, slices, squares, totals)
        rest += [part[tile * reference.ROWS : (tile + 1) * reference.ROWS] for tile in wrong.tolist()]
        _add_totals(totals.tolist(), low, slices, squares, found)
    return np.concatenate(rest) if rest else values[:0]


def _add_totals(totals: list[int], low: int, slices: int, squares: bool, found: list[int]) -> None:
    width = reference.width_of(squares)
    total = sum(totals[place] << width * (slices - 1 - place) for place in range(slices))
    found[0] += total << (low + _UNIT)
    if squares:
        pairs = zip(reference.pairs_of(slices), totals[slices:], strict=True)
        total = sum(value << (width * (2 * slices - 2 - i - j) + (i != j)) for (i, j), value in pairs)
        found[1] += total << 2 * (low + _UNIT)


def _one_by_one(run: ModuleType, values: Values, groups: Values, n_groups: int, squares: bool) -> Sums | None:
    """Few groups of many rows, as the folds of a cross-validation are: brought together, each is a fast sum of all."""
    values = values[np.argsort(groups.astype(np.int8), kind="stable")]
    edges = np.cumsum([0, *np.bincount(groups, minlength=n_groups)])
    parts = [_of_all(run, values[first:end], squares) for first, end in pairwise(edges.tolist())]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    total = stacked([part.total for part in known])
    return Sums(total, stacked([part.squares for part in known if part.squares is not None]) if squares else None)


def _by_group(run: ModuleType, values: Values, groups: Values, n_groups: int, squares: bool) -> Sums | None:
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        return None
    grid = _grid(values, (1, 2, 3, 4) if squares else (1, 2), squares) if len(values) else None
    if grid is None:
        return _Digits(run, n_groups, squares).of(values, groups, None)
    low, slices = grid
    parts, off = [], []
    for rows in _few_of_a_group(groups, n_groups):
        totals = np.zeros((n_groups, 3 * slices - 1 if squares else slices), np.int64)
        off.append(run.group_sums(values[rows], groups[rows], low, slices, squares, totals) + (rows.start or 0))
        parts.append(_placed(totals, low, slices, squares))
    missed = np.concatenate(off)
    if len(missed):
        rest = _Digits(run, n_groups, squares).of(values[missed], groups[missed], None)
        parts += [] if rest is None else [rest]
    return _joined(parts, n_groups)


def _few_of_a_group(groups: Values, n_groups: int) -> list[slice]:
    """All rows at once, or as many as surely have no more of one group than the kernels' totals hold."""
    size = reference.GROUP_ROWS
    if len(groups) <= size or np.bincount(groups, minlength=n_groups).max() <= size:
        return [slice(None)]
    return [slice(first, first + size) for first in range(0, len(groups), size)]


def _placed(totals: Values, low: int, slices: int, squares: bool) -> Sums:
    """Totals of slices and of products, which stand for bits that are no multiples of 32, as exact numbers."""
    width = reference.width_of(squares)
    total = _numbers(totals[:, :slices], [low + width * (slices - 1 - place) for place in range(slices)])
    if not squares:
        return Sums(total, None)
    weights = range(2 * slices - 1)
    return Sums(
        total, _numbers(totals[:, slices:], [2 * low + width * (2 * slices - 2 - weight) for weight in weights])
    )


def _numbers(totals: Values, exponents: list[int]) -> Exact:
    base = min(exponents) // 32
    blocks = []
    for first in range(0, len(totals), _GROUPS_AT_ONCE):
        block = np.ascontiguousarray(totals[first : first + _GROUPS_AT_ONCE].T)
        places = np.zeros((max(exponents) // 32 - base + 3, block.shape[1]), np.int64)
        for value, exponent in zip(block, exponents, strict=True):
            at, shift = exponent // 32 - base, exponent % 32
            places[at] += (value << shift) & 0xFFFF_FFFF
            above = value >> (32 - shift)
            places[at + 1] += above & 0xFFFF_FFFF
            places[at + 2] += above >> 32
        blocks.append(from_places(places, base))
    return stacked(blocks)


def _joined(parts: list[Sums], n_groups: int) -> Sums:
    if len(parts) == 1:
        return parts[0]
    groups = np.tile(np.arange(n_groups), len(parts))
    squares = [part.squares for part in parts if part.squares is not None]
    return Sums(
        combined(stacked([part.total for part in parts]), groups, n_groups),
        combined(stacked(squares), groups, n_groups) if squares else None,
    )


class _Digits:
    """Sums of any values, one by one; slower, and for every exponent."""

    def __init__(self, run: ModuleType, n_groups: int, squares: bool) -> None:
        self._run, self._n_groups, self._squares = run, n_groups, squares

    def of(self, values: Values, groups: Values, times: Values | None) -> Sums | None:
        """The sums; None where a value is NaN or infinite."""
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return None
        found: dict[bool, list[tuple[Exact, Values]]] = {False: [], True: []}
        for first in range(0, max(len(values), 1), _DIGITS_AT_ONCE):
            rows = slice(first, first + _DIGITS_AT_ONCE)
            often = None if times is None else times[rows]
            present, local = np.unique(groups[rows], return_inverse=True)
            for squares in (False, True) if self._squares else (False,):
                found[squares].append((self._part(values[rows], local, len(present), often, squares), present))
        return Sums(self._whole(found[False]), self._whole(found[True]) if self._squares else None)

    def _part(self, values: Values, groups: Values, n_groups: int, times: Values | None, squares: bool) -> Exact:
        whole, exponents = _whole(values)
        used = exponents[whole != 0] >> 5
        base, last = (int(used.min()), int(used.max())) if len(used) else (0, 0)
        base, width = (2 * base, 2 * (last - base) + 8) if squares else (base, last - base + 5)
        places = np.zeros((width, n_groups), np.int64)
        self._run.digit_sums(whole, exponents, times, groups, base, squares, places)
        return from_places(places, base)

    def _whole(self, parts: list[tuple[Exact, Values]]) -> Exact:
        groups = np.concatenate([present for _, present in parts])
        return combined(stacked([part for part, _ in parts]), groups, self._n_groups)


def _whole(values: Values) -> tuple[Values, Values]:
    """(int64 whole, int64 exponent) of each value: value = whole * 2^exponent."""
    if values.dtype.kind != "f":
        return values.astype(np.int64), np.zeros(len(values), np.int64)
    parts, exponents = np.frexp(values.astype(np.float64))
    return (parts * 2.0**53).astype(np.int64), exponents.astype(np.int64) - 53
