"""Exact sums of device columns: ``gpupipe.backends.exact.sums``, to the bit.

A sample picks a grid; the kernels add what lies on it and name what does not, which is tried once more where it is
much, and then downloaded and added on the host.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gpupipe.backends.exact.digits import Digits
from gpupipe.backends.exact.number import from_places
from gpupipe.backends.exact.sums import kernels_for, of_all
from gpupipe.backends.exact.totals import SAMPLE, Sums, add_totals, grid_of, joined, of_all_rows, placed
from gpupipe.backends.gpu.columns import unpacked
from gpupipe.columns import Values
from gpupipe.kernels.gpu import bits, exact
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.reference.exact import ROWS

_FEW_TILES = 16  # are downloaded without a second try
_ANY_GRID = (0, 2)  # where none fits: the values that do not lie on it, perhaps all, are added on the host
_FEW_RUNS = 64  # of neighbouring tiles are downloaded one by one; of more, all that lies between them is


def sums_of_floats(
    values: DeviceArray,
    valid: DeviceArray | None,
    groups: DeviceArray | None,
    rows: Values,
    *,
    squares: bool,
) -> Sums | None:
    """The exact sums of each group's values, each as float64; None where one is NaN or infinite.

    Args:
        values: of any type.
        valid: bitmap of the rows that count; None: all.
        groups: int32 of shape (rows,), negative: of no group; None: all are of one group.
        rows: int64, how many rows each group has at most.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    if groups is not None:
        return _by_group(values, valid, groups, rows, squares)
    column = Summed(values, valid, squares)
    summed([column])
    return column.sums()


def sums_of_integers(
    values: DeviceArray, valid: DeviceArray | None, groups: DeviceArray | None, n_groups: int, *, squares: bool
) -> Sums:
    """The exact sums of each group's integers, of any size; bool counts as 0 and 1."""
    total, of_squares = exact.integer_sums(values, groups, n_groups, squares, valid=valid)
    return Sums(from_places(total, 0), None if of_squares is None else from_places(of_squares, 0))


@dataclass(eq=False, slots=True)
class Summed:
    """The sums of a column's rows, all of one group, on their way.

    Attributes:
        values: of any type, one row at least.
        valid: bitmap; None: all rows count.
        squares: whether the sums of squares are wanted too.
        found: the sum and the sum of squares so far, as :func:`add_totals` has them.
        left: the tiles that are not in it yet.
        n_valid: how many rows count; None: not known.
    """

    values: DeviceArray
    valid: DeviceArray | None
    squares: bool
    found: list[int] = field(default_factory=lambda: [0, 0])
    left: Values | None = None
    n_valid: int | None = None
    _sums: Sums | None = None
    _done: bool = False

    def on_grid(self, some: Values, slices: tuple[int, ...]) -> exact.OnGrid | None:
        """What is left, on the grid that a sample asks for."""
        grid = grid_of(some, slices, self.squares)
        return None if grid is None else exact.OnGrid(self.values, self.valid, *grid, self.left)

    def take(self, column: exact.OnGrid, found: exact.Found) -> None:
        """Take in what was found of it on a grid."""
        add_totals(found.totals, column.low, column.slices, self.squares, self.found)
        if self.left is None:
            self.n_valid = found.n_valid
        self.left = found.wrong

    def sums(self) -> Sums | None:
        """All of it, what is left added on the host; None where a value is NaN or infinite. Done at the first call."""
        if not self._done:
            self._sums, self._done = self._added(), True
        return self._sums

    def _added(self) -> Sums | None:
        rest = _downloaded(self.values, self.valid, np.arange(self.n_tiles) if self.left is None else self.left)
        on_host = of_all(kernels_for(len(rest)), rest, self.squares)
        return None if on_host is None else joined([of_all_rows(self.found, self.squares), on_host], 1)

    @property
    def n_tiles(self) -> int:
        return -(-len(self.values) // ROWS)


def summed(columns: Sequence[Summed]) -> None:
    """Bring columns to where the host can add what is left: their samples at once, and then their tiles.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    some = bits.samples_of([(column.values, column.valid) for column in columns], SAMPLE)
    _pass(columns, some, ((2, 3, 4), (2,)))
    again = [column for column in columns if column.left is not None and len(column.left) > _FEW_TILES]
    _pass(again, [_sample_of(column.values, column.left) for column in again], ((4,), (2,)))


def _pass(columns: Sequence[Summed], some: Sequence[Values], slices: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """Add what lies on grids that samples ask for, of `slices` with squares and without."""
    for squares in (True, False):
        alike = [(one, its) for one, its in zip(columns, some, strict=True) if one.squares == squares]
        asked = [(one, one.on_grid(its, slices[0] if squares else slices[1])) for one, its in alike]
        known = [(one, column) for one, column in asked if column is not None]
        if known:
            for (one, column), found in zip(known, exact.tiles([c for _, c in known], squares), strict=True):
                one.take(column, found)


def _sample_of(values: DeviceArray, tiles: Values | None) -> Values:
    """Some of the values of these tiles, of rows that are not valid too: it is but for a guess."""
    assert tiles is not None
    places = np.linspace(0, len(tiles) * ROWS - 1, SAMPLE).astype(np.int64)
    rows = np.minimum(tiles[places // ROWS] * ROWS + places % ROWS, len(values) - 1)
    return bits.take(values, values.device.upload(rows)).to_host().astype(np.float64)


def _downloaded(values: DeviceArray, valid: DeviceArray | None, tiles: Values) -> Values:
    """The valid values of these tiles, as floats."""
    if not len(tiles):
        return np.zeros(0)
    starts = np.flatnonzero(np.diff(tiles, prepend=-2) != 1)
    if len(starts) > _FEW_RUNS:
        first = int(tiles[0])
        kept = np.repeat(np.isin(np.arange(first, int(tiles[-1]) + 1), tiles), ROWS)
        taken, has = _range(values, valid, first, int(tiles[-1]) + 1)
        parts = [taken[has & kept[: len(taken)]]]
    else:
        ends = np.append(starts[1:], len(tiles)) - 1
        runs = [_range(values, valid, int(tiles[a]), int(tiles[b]) + 1) for a, b in zip(starts, ends, strict=True)]
        parts = [taken[has] for taken, has in runs]
    found = np.concatenate(parts)
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def _range(values: DeviceArray, valid: DeviceArray | None, first: int, end: int) -> tuple[Values, Values]:
    """The values from one tile up to, without, another, and which of them are valid."""
    start, stop = first * ROWS, min(end * ROWS, len(values))
    taken = values.rows(start, stop).to_host()
    if valid is None:
        return taken, np.ones(len(taken), bool)
    return taken, unpacked(valid.rows(start // 32, -(-stop // 32)).to_host(), len(taken))


def _by_group(
    values: DeviceArray, valid: DeviceArray | None, groups: DeviceArray, rows: Values, squares: bool
) -> Sums | None:
    grid = grid_of(bits.samples(values, valid, SAMPLE), (1, 2, 3, 4) if squares else (1, 2), squares)
    if grid is None:
        grid = _ANY_GRID
    n_groups, largest = len(rows), int(rows.max(initial=0))
    totals, high, off = exact.sums_by_group(values, groups, n_groups, *grid, squares, valid=valid, largest=largest)
    parts = [placed(totals, *grid, squares, high)]
    if off is not None:
        missed = bits.take(values, off).to_host().astype(np.float64)
        of_missed = bits.take(groups, off).to_host().astype(np.int64)
        rest = Digits(kernels_for(len(missed)), n_groups, squares).of(missed, of_missed, None)
        if rest is None:
            return None
        parts.append(rest)
    return joined(parts, n_groups)
