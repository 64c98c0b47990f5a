"""Exact sums of device columns: ``gpupipe.backends.exact.sums``, to the bit.

A sample picks a grid; the kernels add what lies on it and name what does not, which is tried once more where it is
much, and then downloaded and added on the host.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gpupipe.backends.exact.digits import Digits
from gpupipe.backends.exact.number import from_places
from gpupipe.backends.exact.sums import kernels_for, of_all
from gpupipe.backends.exact.totals import SAMPLE, Sums, each_of_totals, ends_of, grid_for, joined, placed
from gpupipe.backends.gpu.columns import unpacked
from gpupipe.columns import Values
from gpupipe.kernels.gpu import bits, exact
from gpupipe.kernels.gpu.batch import Column, Job, run
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.reference.exact import ROWS

_FEW_TILES = 16  # are downloaded without a second try
_ANY_GRID = (0, 2)  # by group, where none fits: values that do not lie on it, perhaps all, are added on the host
_FEW_RUNS = 64  # of neighbouring tiles are downloaded one by one; of more, all that lies between them is


@dataclass(eq=False, slots=True)
class Summed:
    """The sums of a column's values by group, each as float64, on their way.

    Attributes:
        column: of any type, one row at least.
        squares: whether the sums of squares are wanted too.
        rows: int64, how many rows each group has at most; None: all rows are of one group.
        parts: what was added so far.
        left: the tiles that are not in it yet; None: all. Of one group alone.
        off: int64 positions, on the device, of the values that are not in it; None: all are. By group alone.
        n_valid: how many rows count; None: not known.
    """

    column: Column
    squares: bool
    rows: Values | None = None
    parts: list[Sums] = field(default_factory=list)
    left: Values | None = None
    off: DeviceArray | None = None
    n_valid: int | None = None
    _sums: Sums | None = None
    _done: bool = False

    def on_grid(self, largest: float, finest: float, *, again: bool = False) -> exact.OnGrid | None:
        """What is left, on the grid that such values ask for; None where there is none."""
        if self.rows is not None:
            known = grid_for(largest, finest, (1, 2, 3, 4) if self.squares else (1, 2), self.squares)
            return exact.OnGrid(self.column, *(known or _ANY_GRID), largest=int(self.rows.max(initial=0)))
        wide = (4,) if again else (2, 3, 4)
        grid = grid_for(largest, finest, wide if self.squares else (2,), self.squares)
        return None if grid is None else exact.OnGrid(self.column, *grid, self.left)

    def sums(self) -> Sums | None:
        """All of it, what is left added on the host; None where a value is NaN or infinite. Done at the first call."""
        if not self._done:
            self._sums, self._done = self._added(), True
        return self._sums

    def _added(self) -> Sums | None:
        parts, n_groups = list(self.parts), 1 if self.rows is None else len(self.rows)
        rest = self._missed(n_groups) if self.rows is not None else self._of_tiles()
        if rest is not None:
            found = rest[0]
            if found is None:
                return None
            parts.append(found)
        return joined(parts, n_groups)

    def _missed(self, n_groups: int) -> tuple[Sums | None] | None:
        """The sums of values off the grid, by group; None: there are none."""
        if self.off is None or self.column.groups is None:
            return None
        missed = bits.take(self.column.values, self.off).to_host().astype(np.float64)
        of_missed = bits.take(self.column.groups, self.off).to_host().astype(np.int64)
        return (Digits(kernels_for(len(missed)), n_groups, self.squares).of(missed, of_missed, None),)

    def _of_tiles(self) -> tuple[Sums | None] | None:
        tiles = np.arange(-(-len(self.column) // ROWS)) if self.left is None else self.left
        if not len(tiles):
            return None
        rest = _downloaded(self.column.values, self.column.valid, tiles)
        return (of_all(kernels_for(len(rest)), rest, self.squares),)


class Pass:
    """One look at columns whose grids are known.

    Attributes:
        asked: the columns that have a grid, and that.
        jobs: what does it.
    """

    def __init__(self, asked: Iterable[tuple[Summed, exact.OnGrid | None]]) -> None:
        self.asked = [(one, grid) for one, grid in asked if grid is not None]
        alike: dict[tuple[bool, bool], list[tuple[Summed, exact.OnGrid]]] = {}
        for one, grid in self.asked:
            alike.setdefault((one.squares, one.rows is None), []).append((one, grid))
        self._parts = [
            (some, (exact.Tiles if of_all_rows else exact.ByGroup)([grid for _, grid in some], squares))
            for (squares, of_all_rows), some in alike.items()
        ]
        self.jobs: list[Job] = [job for _, part in self._parts for job in part.jobs]

    def take(self) -> None:
        """Take in what the jobs found."""
        for some, part in self._parts:
            if isinstance(part, exact.ByGroup):
                for (one, grid), (totals, high, off) in zip(some, part.found(), strict=True):
                    one.off = off
                    one.parts.append(placed(totals, grid.low, grid.slices, one.squares, high))
            else:
                _take_tiles(some, part.found())


def _take_tiles(some: Sequence[tuple[Summed, exact.OnGrid]], found: Sequence[exact.Found]) -> None:
    alike: dict[int, list[tuple[Summed, exact.OnGrid, exact.Found]]] = {}
    for (one, grid), its in zip(some, found, strict=True):
        alike.setdefault(grid.slices, []).append((one, grid, its))
        if one.left is None:
            one.n_valid = its.n_valid
        one.left = its.wrong
    for slices, group in alike.items():
        halves, low = np.stack([its.halves for *_, its in group]), np.array([grid.low for _, grid, _ in group])
        for (one, *_), sums in zip(group, each_of_totals(halves, low, slices, group[0][0].squares), strict=True):
            one.parts.append(sums)


def once_more(columns: Sequence[Summed]) -> None:
    """A second look at columns of which many tiles are left, on wider grids.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    again = [column for column in columns if column.left is not None and len(column.left) > _FEW_TILES]
    if again:
        second = Pass((column, column.on_grid(*_ends_of(column), again=True)) for column in again)
        run(again[0].column.values.device, second.jobs)
        second.take()


def sums_of_integers(found: tuple[Values, Values | None]) -> Sums:
    """The exact sums of each group's integers, of any size, from what a kernel found of them."""
    total, of_squares = found
    return Sums(from_places(total, 0), None if of_squares is None else from_places(of_squares, 0))


def _ends_of(column: Summed) -> tuple[float, float]:
    """How large and how fine values are that are left, of rows that are not valid too: it is but for a guess."""
    values, tiles = column.column.values, column.left
    assert tiles is not None
    places = np.linspace(0, len(tiles) * ROWS - 1, SAMPLE).astype(np.int64)
    rows = np.minimum(tiles[places // ROWS] * ROWS + places % ROWS, len(values) - 1)
    return ends_of(bits.take(values, values.device.upload(rows)).to_host())


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
