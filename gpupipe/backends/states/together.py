"""Several states of one column in one pass over it: what a mean and a quantile of the same column both need."""

from collections.abc import Collection
from types import ModuleType

import numpy as np

from gpupipe import optional
from gpupipe.backends.exact.sums import add_all, of_all
from gpupipe.backends.exact.totals import Sums, add_totals, grid_of, joined, of_all_rows
from gpupipe.backends.states.ends import Bounds, most_kept, state_of
from gpupipe.backends.states.gathering import merge
from gpupipe.backends.states.moments import MOMENTS, TAILS, arrays_of
from gpupipe.backends.states.orders import ORDER, of_places
from gpupipe.backends.states.state import Arrays, State
from gpupipe.columns import Column, Values
from gpupipe.kernels.reference.exact import ROWS, TILES_AT_ONCE
from gpupipe.schema import Float64, Int64

#: The kinds of state that are gathered so.
KINDS = frozenset({MOMENTS.name, TAILS.name, ORDER.name})

_FEW_ROWS = 8_192  # up to here a pass over the table of all bins takes longer than sorting
_AT_ONCE = TILES_AT_ONCE * ROWS
_SUMMED = {MOMENTS.name, TAILS.name}


def takes(column: Column) -> bool:
    """Whether the column's values are taken in as they are stored, and there are enough of them."""
    plain = column.dtype.is_float or column.dtype.is_integer or column.dtype.name == "Boolean"
    return (
        plain and isinstance(column.values, np.ndarray) and column.values.dtype != np.uint64 and len(column) > _FEW_ROWS
    )


def gathered(kinds: Collection[str], column: Column, bounds: Bounds | None = None) -> dict[str, State] | None:
    """The states of these kinds of a column that is all one group, its floats and integers of any width.

    With `bounds` the values beyond them are kept in the place of an order state. None where one of them may have to be
    refused, or needs more than a pass: :func:`gathering.gather` then says.
    """
    parts = []
    for first in range(0, len(column), _AT_ONCE):
        part = _of_part(kinds, column.rows(first, first + _AT_ONCE), bounds)
        if part is None:
            return None
        parts.append(part)
    return {kind: merge([part[kind] for part in parts]) for kind in kinds}


def _of_part(kinds: Collection[str], column: Column, bounds: Bounds | None) -> dict[str, State] | None:
    values, valid = column.values, column.valid
    summed = bool(_SUMMED.intersection(kinds))
    grid = _grid(values, valid) if summed else None
    if summed and grid is None:
        return None
    counted = ORDER.name in kinds
    ends = None if bounds is None or not counted else (bounds.low, bounds.high, most_kept(len(values)))
    found = _kernels().totals_of(values, valid, grid, counted=counted and ends is None, ends=ends)
    if found.missing or (summed and found.beyond):
        return None
    arrays: Arrays = {}
    if grid is not None:
        sums = _sums(values, valid, grid, found.totals.tolist(), found.wrong)
        if sums is None:
            return None
        arrays = {"n": np.array([found.n]), **arrays_of(sums)}
    rows, none = np.array([len(values)]), {"infinite": np.zeros((1, 2), np.int64)}
    states = {kind: State(kind, [], rows, arrays | none if kind == TAILS.name else arrays) for kind in _SUMMED}
    if bounds is not None and counted:
        states[ORDER.name] = state_of(bounds, column, found.n, found.kept)
    elif counted:
        dtype = Float64 if column.dtype.is_float else Int64
        states[ORDER.name] = State(ORDER.name, [], rows, {}, of_places(dtype, found.bins, found.counts))
    return states


def _grid(values: Values, valid: Values | None) -> tuple[int, int] | None:
    step = max(1, len(values) // 256)
    some = values[::step]
    some = some if valid is None else some[valid[::step]]
    return grid_of(some, (2, 4), squares=True)


def _sums(values: Values, valid: Values | None, grid: tuple[int, int], totals: list[int], wrong: Values) -> Sums | None:
    """The sums of the tiles on the grid, and those of the others; None where one of these is infinite or NaN."""
    gathered = [0, 0]
    add_totals(totals, *grid, True, gathered)
    off = values[:0]
    if len(wrong):
        tiles = [slice(tile * ROWS, (tile + 1) * ROWS) for tile in wrong.tolist()]
        off = np.concatenate([values[rows] if valid is None else values[rows][valid[rows]] for rows in tiles])
        off = add_all(_exact(), off if off.dtype.kind == "f" else off.astype(np.float64), True, gathered)
    parts = [of_all_rows(gathered, squares=True)]
    if len(off):
        more = of_all(_exact(), off, squares=True)
        if more is None:
            return None
        parts.append(more)
    return parts[0] if len(parts) == 1 else joined(parts, 1)


def _kernels() -> ModuleType:
    return optional.load("gpupipe.kernels.cpu.columns")


def _exact() -> ModuleType:
    return optional.load("gpupipe.kernels.cpu.exact")
