"""Exact sums of device columns: ``gpupipe.backends.exact.sums``, to the bit.

A sample picks a grid; the kernels add what lies on it and name what does not, which is tried once more where it is
much, and then downloaded and added on the host.
"""

import numpy as np

from gpupipe.backends.exact.digits import Digits
from gpupipe.backends.exact.number import from_places
from gpupipe.backends.exact.sums import kernels_for, of_all
from gpupipe.backends.exact.totals import SAMPLE, Sums, add_totals, grid_of, joined, of_all_rows, placed
from gpupipe.backends.gpu.columns import unpacked
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.columns import Values
from gpupipe.kernels.gpu import bits, exact
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.reference.exact import ROWS

_FEW_TILES = 16  # are downloaded without a second try
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
        NotOnDevice: values by group that are out of reach of every grid.
        DeviceMemoryError: the device has not so much memory.
    """
    if groups is None:
        return _of_all(values, valid, squares)
    return _by_group(values, valid, groups, rows, squares)


def sums_of_integers(
    values: DeviceArray, valid: DeviceArray | None, groups: DeviceArray | None, n_groups: int, *, squares: bool
) -> Sums:
    """The exact sums of each group's integers, of any size; bool counts as 0 and 1."""
    total, of_squares = exact.integer_sums(values, groups, n_groups, squares, valid=valid)
    return Sums(from_places(total, 0), None if of_squares is None else from_places(of_squares, 0))


def _of_all(values: DeviceArray, valid: DeviceArray | None, squares: bool) -> Sums | None:
    found, some, left = [0, 0], bits.samples(values, valid, SAMPLE), None
    for slices in ((2, 3, 4), (4,)) if squares else ((2,), (2,)):
        if left is not None:
            some = _sample_of(values, left)
        grid = grid_of(some, slices, squares)
        if grid is not None:
            totals, left = exact.tiles(values, *grid, squares, valid=valid, chosen=left)
            add_totals(totals, *grid, squares, found)
        if left is not None and len(left) <= _FEW_TILES:
            break
    rest = _downloaded(values, valid, np.arange(-(-len(values) // ROWS)) if left is None else left)
    on_host = of_all(kernels_for(len(rest)), rest, squares)
    return None if on_host is None else joined([of_all_rows(found, squares), on_host], 1)


def _sample_of(values: DeviceArray, tiles: Values) -> Values:
    """Some of the values of these tiles, of rows that are not valid too: it is but for a guess."""
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
        raise NotOnDevice("values beyond 2^400, or all below 2^-400, are summed by group on the host")
    n_groups, largest = len(rows), int(rows.max(initial=0))
    halves, off = exact.halves_by_group(values, groups, n_groups, *grid, squares, valid=valid, largest=largest)
    parts = [placed(halves[..., 0], *grid, squares, halves[..., 1])]
    if off is not None:
        missed = bits.take(values, off).to_host().astype(np.float64)
        of_missed = bits.take(groups, off).to_host().astype(np.int64)
        rest = Digits(kernels_for(len(missed)), n_groups, squares).of(missed, of_missed, None)
        if rest is None:
            return None
        parts.append(rest)
    return joined(parts, n_groups)
