"""From a sample to a grid, and from totals of slices on a grid to exact numbers."""

import math
from dataclasses import dataclass

import numpy as np

from gpupipe.backends.exact.number import Exact, combined, each_of_places, from_integers, from_places, stacked
from gpupipe.columns import Values
from gpupipe.kernels.reference import exact as reference

#: How many values a grid is guessed from.
SAMPLE = 256
#: Ungrouped sums are gathered in units of 2^-1088, squares of 2^-2176: every float64 is a whole number of them.
UNIT = 1088

_SPARE = 4  # bits that the values below those of the sample may need
_LEAST, _GREATEST = -500, 400  # of a grid: squares of its units, and sums of squares, are then well inside float64
_BITS = 32
_GROUPS_AT_ONCE = 2**13  # as stay in cache


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """The exact sum of each group's values, and of their squares where asked for."""

    total: Exact
    squares: Exact | None

    def without_squares(self) -> "Sums":
        """The sums alone."""
        return Sums(self.total, None)


def grid_of(values: Values, slices: tuple[int, ...], squares: bool) -> tuple[int, int] | None:
    """(low, number of slices) that most of the values should lie on; None for values out of reach of any."""
    return grid_for(*ends_of(values), slices, squares)


def ends_of(values: Values) -> tuple[float, float]:
    """The largest of some values' sizes, and the least last bit that one of them has; of none but zeros 1 and 1."""
    some = np.abs(values[:: max(1, len(values) // SAMPLE)].astype(np.float64))
    some = some[(some > 0) & (some < np.inf)]
    if not len(some):
        return 1.0, 1.0
    bits = some.view(np.int64)
    last_bits = some - (bits & (bits - 1)).view(np.float64)  # of a power of two up to one bit less
    return float(some.max()), float(last_bits.min())


def grid_for(largest: float, finest: float, slices: tuple[int, ...], squares: bool) -> tuple[int, int] | None:
    """The same, from what :func:`ends_of` says of some values."""
    least, top = math.frexp(finest)[1], math.frexp(largest)[1]
    width = reference.width_of(squares)
    for number in slices:
        low = top + (1 if squares else 2) - width * number  # then many rows of the largest value pass
        if least >= low + _SPARE:
            break
    return (low, number) if _LEAST <= low <= _GREATEST else None


def add_totals(totals: list[int], low: int, slices: int, squares: bool, found: list[int]) -> None:
    """Add what `tile_sums` gave, of a grid, to the sum and to the sum of squares in `found`, in units of `UNIT`."""
    width = reference.width_of(squares)
    total = sum(totals[place] << width * (slices - 1 - place) for place in range(slices))
    found[0] += total << (low + UNIT)
    if squares:
        pairs = zip(reference.pairs_of(slices), totals[slices:], strict=True)
        total = sum(value << (width * (2 * slices - 2 - i - j) + (i != j)) for (i, j), value in pairs)
        found[1] += total << 2 * (low + UNIT)


def of_all_rows(found: list[int], squares: bool) -> Sums:
    """The sum, and the sum of squares, that `add_totals` has gathered."""
    total = from_integers([found[0]], -UNIT)
    return Sums(total, from_integers([found[1]], -2 * UNIT) if squares else None)


def each_of_totals(halves: Values, low: Values, slices: int, squares: bool) -> list[Sums]:
    """The sums of columns, each with a grid of its own, from the totals that `tile_sums` adds, in two halves each.

    Args:
        halves: int64 of shape (columns, totals, 2): low and high, of totals low + 2^32 high.
        low: int64 of shape (columns,), of their grids.
    """
    width = reference.width_of(squares)
    exponents = [width * (slices - 1 - place) for place in range(slices)]
    total = _each_of(halves[:, :slices], np.add.outer(low, exponents))
    if not squares:
        return [Sums(number, None) for number in total]
    exponents = [width * (2 * slices - 2 - i - j) + (i != j) for i, j in reference.pairs_of(slices)]
    return list(map(Sums, total, _each_of(halves[:, slices:], np.add.outer(2 * low, exponents))))


def _each_of(halves: Values, exponents: Values) -> list[Exact]:
    """The sum of each row: of (columns, totals, 2) halves in units of 2^exponent, of shape (columns, totals)."""
    values = halves.reshape(len(halves), -1)
    units = np.add.outer(exponents, [0, _BITS]).reshape(values.shape)
    at, shift = units >> 5, units & 31
    base = at.min(axis=1)
    places = np.zeros((int((at.max(axis=1) - base).max()) + 3, len(values)), np.int64)
    index = ((at - base[:, None]) * len(values) + np.arange(len(values))[:, None]).reshape(-1)
    above = values >> (32 - shift)
    for further, part in enumerate(((values << shift) & 0xFFFF_FFFF, above & 0xFFFF_FFFF, above >> 32)):
        np.add.at(places.reshape(-1), index + further * len(values), part.reshape(-1))
    return each_of_places(places, base)


def placed(totals: Values, low: int, slices: int, squares: bool, high: Values | None = None) -> Sums:
    """Totals of slices and of products, which stand for bits that are no multiples of 32, as exact numbers.

    Args:
        totals: int64, as `group_sums` gives them.
        high: of the same shape, what belongs to them 2^32 times.
    """
    width = reference.width_of(squares)
    exponents = [low + width * (slices - 1 - place) for place in range(slices)]
    if squares:
        exponents += [2 * low + width * (2 * slices - 2 - weight) for weight in range(2 * slices - 1)]

    def of(places: slice) -> Exact:
        if high is None or not high.any():
            return numbers_of(totals[:, places], exponents[places])
        both = np.concatenate([totals[:, places], high[:, places]], axis=1)
        return numbers_of(both, exponents[places] + [exponent + _BITS for exponent in exponents[places]])

    return Sums(of(slice(slices)), of(slice(slices, None)) if squares else None)


def numbers_of(totals: Values, exponents: list[int]) -> Exact:
    """The number of each group: the sum of its totals, int64, each in units of 2^exponent of its own.

    Args:
        totals: int64 of shape (n_groups, totals).
    """
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


def joined(parts: list[Sums], n_groups: int) -> Sums:
    """The sums of all parts, added by group."""
    if len(parts) == 1:
        return parts[0]
    groups = np.tile(np.arange(n_groups), len(parts))
    squares = [part.squares for part in parts if part.squares is not None]
    return Sums(
        combined(stacked([part.total for part in parts]), groups, n_groups),
        combined(stacked(squares), groups, n_groups) if squares else None,
    )
