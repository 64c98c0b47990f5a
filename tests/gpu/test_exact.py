"""Exact sums on a device: the totals, and the tiles and positions, of the reference; whatever the order of blocks."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.backends.gpu.columns import packed
from gpupipe.kernels.gpu import exact, extremes
from gpupipe.kernels.gpu.batch import Column, run
from gpupipe.kernels.reference import exact as reference

GRIDS = [(2, True), (3, True), (4, True), (2, False)]
BY_GROUP = [(1, True), (2, True), (3, True), (4, True), (1, False), (2, False)]
few = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def hard(shape, n, seed=0):
    """Values that lie on a grid of the shape's top in part."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=n)
    with np.errstate(over="ignore"):
        return {
            "normal": lambda: noise.astype(np.float32),
            "wide": lambda: np.ldexp(noise, rng.integers(-60, 40, n)),
            "whole": lambda: rng.integers(-1000, 1000, n) * 0.5,
            "large": lambda: np.where(rng.random(n) < 1e-3, 2.0 ** rng.integers(0, 30, n), 1) * rng.integers(-1, 2, n),
            "all exponents": lambda: np.ldexp(noise, rng.integers(-1074, 1000, n)),
            "nothing": lambda: np.zeros(n),
            "odd": lambda: rng.choice([np.nan, np.inf, -np.inf, 1.0, -0.0], n, p=[1e-4, 1e-4, 1e-4, 0.6, 0.3997]),
            "one": lambda: np.full(n, 1.0),
        }[shape]()  # fmt: skip


SHAPES = ["normal", "wide", "whole", "large", "all exponents", "nothing", "odd", "one"]


def both_tiles(device, values, low, slices, squares, valid=None):
    found = []
    totals = np.zeros(reference.n_totals(slices, squares), np.int64)
    filled = values if valid is None else np.where(valid, values, 0)
    wrong = reference.tile_sums(filled, low, slices, squares, totals)
    found.append((totals.tolist(), wrong.tolist()))
    totals = np.zeros_like(totals)
    words = None if valid is None else device.upload(packed(valid))
    wrong = exact.tile_sums(device.upload(values), low, slices, squares, totals, valid=words)
    found.append((totals.tolist(), wrong.tolist()))
    return found


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("slices", "squares"), GRIDS)
def test_tiles(device, dtype, slices, squares):
    """Every shape at once, a run of tiles each, the last one short."""
    with np.errstate(over="ignore"):
        values = np.concatenate([hard(shape, 3 * reference.ROWS, 5) for shape in SHAPES])[:-77].astype(dtype)
    low = 3 - reference.width_of(squares) * slices
    wanted, found = both_tiles(device, values, low, slices, squares)
    assert found == wanted
    assert 0 < len(wanted[1]) < 3 * len(SHAPES)
    valid = np.random.default_rng(2).random(len(values)) < 0.8
    wanted, found = both_tiles(device, values, low, slices, squares, valid)
    assert found == wanted


@few
@given(
    st.sampled_from(SHAPES), st.sampled_from([0, 1, 2047, 2048, 2049, 5000]), st.sampled_from(GRIDS),
    st.integers(-60, 10), st.integers(0, 99),
)  # fmt: skip
def test_tiles_of_any_grid(device, shape, n, grid, top, seed):
    slices, squares = grid
    values = hard(shape, n, seed)
    wanted, found = both_tiles(device, values, top - reference.width_of(squares) * slices, slices, squares)
    assert found == wanted


@pytest.mark.parametrize("low", [-500, 400])
@pytest.mark.parametrize(("slices", "squares"), GRIDS)
def test_ends_of_the_grids(device, low, slices, squares):
    values = np.random.default_rng(0).integers(-1000, 1000, 3000) * 2.0 ** (low + 5)
    wanted, found = both_tiles(device, values, low, slices, squares)
    assert found == wanted and not wanted[1]


@pytest.mark.parametrize("squares", [False, True])
def test_a_tile_may_hold_as_much_as_it_may(device, squares):
    """Up to the limit of a tile's first slices, and one unit beyond; many values just above what is surely small."""
    unit = 2.0 ** reference.width_of(squares)
    most = 2**26 - 1 if squares else 2**51 - 1
    for large in (most, most + 1, -most, -most - 1, most + 0.25):
        for rest in ([], [1.0, 1.0], [2.0**13 + 0.5] * 3):
            values = np.zeros(2 * reference.ROWS)
            values[[7, *range(100, 100 + len(rest))]] = [large * unit, *(unit * value for value in rest)]
            wanted, found = both_tiles(device, values, 0, 2, squares)
            assert found == wanted
    values = np.full(reference.ROWS, 1.5 * unit * 2.0 ** (20 if squares else 39))
    wanted, found = both_tiles(device, values, 0, 2, squares)
    assert found == wanted


def test_values_that_do_not_start_on_16_bytes(device):
    values = hard("normal", 5000)
    whole = device.upload(values)
    for start in (1, 2, 3):
        totals, again = np.zeros(5, np.int64), np.zeros(5, np.int64)
        wrong = exact.tile_sums(whole.rows(start, 4999), -39, 2, True, totals)
        assert wrong.tolist() == reference.tile_sums(values[start:4999], -39, 2, True, again).tolist()
        assert totals.tolist() == again.tolist()


def tiles(device, columns, squares):
    asked = exact.Tiles(columns, squares)
    run(device, asked.jobs)
    return asked.found()


def test_some_tiles(device):
    values = hard("wide", 9 * reference.ROWS + 5)
    chosen = np.array([1, 4, 8, 9])
    (found,) = tiles(device, [exact.OnGrid(Column(device.upload(values)), -60, 4, chosen)], True)
    totals, wanted = np.zeros(14, np.int64), []
    for tile in chosen.tolist():
        part = values[tile * reference.ROWS : (tile + 1) * reference.ROWS]
        wanted += [tile] * len(reference.tile_sums(part, -60, 4, True, totals))
    assert (found.totals, found.wrong.tolist()) == (totals.tolist(), wanted)
    assert found.n_valid == 3 * reference.ROWS + 5


def test_columns_at_once(device):
    """Of several types, lengths and grids, with nulls and without, a run of tiles of one: a launch a type and number of
    slices, and what each would give alone."""
    rng = np.random.default_rng(0)
    columns, wanted = [], []
    for number, n in enumerate([5000, 1, 2048, 9000, 0, 2049]):
        values = hard("wide" if number % 2 else "normal", n, number).astype("f8" if number % 3 else "f4")
        flags = rng.random(n) < 0.8
        low, slices = -70 + number, 2 + number % 3
        totals = np.zeros(reference.n_totals(slices, True), np.int64)
        filled = np.where(flags, values, 0) if number > 1 else values
        wrong = reference.tile_sums(filled, low, slices, True, totals)
        words = device.upload(packed(flags)) if number > 1 else None
        columns.append(exact.OnGrid(Column(device.upload(values), words), low, slices))
        wanted.append((totals.tolist(), wrong.tolist(), int(flags.sum()) if number > 1 else n))
    found = tiles(device, columns, True)
    assert [(each.totals, each.wrong.tolist(), each.n_valid) for each in found] == wanted
    assert device.launches == len({(each.column.values.dtype, each.slices) for each in columns})


def test_more_rows_than_totals_of_64_bits_would_hold(device):
    """Totals of many tiles are kept in halves; here one warp of a small grid gets many."""
    values = np.full(40 * reference.ROWS, 2.0**18 - 1, np.float32)
    (found,) = tiles(device, [exact.OnGrid(Column(device.upload(values)), 0, 2)], True)
    whole = (2**18 - 1) * len(values)
    assert not len(found.wrong) and (found.totals[0] << 21) + found.totals[1] == whole


def both_by_group(device, values, groups, n_groups, low, slices, squares, valid=None):
    seen = groups >= 0
    if valid is not None:
        seen &= valid
    rows = np.flatnonzero(seen)
    width = 3 * slices - 1 if squares else slices
    totals = np.zeros((n_groups, width), np.int64)
    off = reference.group_sums(values[rows], groups[rows], low, slices, squares, totals)
    wanted = totals.tolist(), rows[off].tolist()
    totals = np.zeros_like(totals)
    words = None if valid is None else device.upload(packed(valid))
    there, of = device.upload(values), device.upload(groups.astype(np.int32))
    off = exact.group_sums(there, of, low, slices, squares, totals, valid=words)
    return wanted, (totals.tolist(), off.tolist())


@pytest.mark.parametrize("n_groups", [1, 7, 3000])
@pytest.mark.parametrize(("slices", "squares"), BY_GROUP)
def test_by_group(device, slices, squares, n_groups):
    """In registers, in shared memory and in global memory."""
    rng = np.random.default_rng(3)
    values = np.concatenate([hard(shape, 700, 4) for shape in SHAPES]).astype(np.float64)
    groups = rng.integers(-1, n_groups, len(values))
    low = 3 - reference.width_of(squares) * slices
    wanted, found = both_by_group(device, values, groups, n_groups, low, slices, squares)
    assert found == wanted and 0 < len(wanted[1]) < len(values)
    valid = rng.random(len(values)) < 0.8
    wanted, found = both_by_group(device, values, groups, n_groups, low, slices, squares, valid)
    assert found == wanted


def test_many_groups_of_many_rows_are_added_in_halves(device):
    values = np.random.default_rng(0).integers(-(2**40), 2**40, 2000) * 1.0
    groups = np.random.default_rng(1).integers(0, 3000, 2000).astype(np.int32)
    found = []
    for largest in (100, None, 2**19):
        column = Column(device.upload(values), None, device.upload(groups), 3000)
        low, high, off = exact.sums_by_group(exact.OnGrid(column, 0, 2, largest=largest), True)
        assert off is None and (high is None) == (largest == 100 or largest is None)
        found.append((low.astype(object) + (0 if high is None else high.astype(object) * 2**32)).tolist())
    assert found[0] == found[1] == found[2]
    assert high is not None and high.any()


@few
@given(st.sampled_from([0, 1, 33, 2049]), st.sampled_from([1, 5, 3000]), st.booleans(), st.integers(0, 99))
def test_integers(device, n, n_groups, squares, seed):
    rng = np.random.default_rng(seed)
    edges = np.array([0, 1, -1, 2**63 - 1, -(2**63), 2**32, -(2**32), 2**32 - 1, 2**53 + 1])
    values = np.where(rng.random(n) < 0.5, rng.choice(edges, n), rng.integers(-(2**63), 2**63 - 1, n))
    groups, valid = rng.integers(-1, n_groups, n), rng.random(n) < 0.9
    there, of, words = device.upload(values), device.upload(groups.astype(np.int32)), device.upload(packed(valid))
    found = exact.integer_sums(there, of, n_groups, squares, valid=words)
    rows = valid & (groups >= 0)
    for digits, is_square in zip(found[: 1 + squares], (False, True), strict=False):
        totals = np.zeros((8, n_groups), np.int64)
        exponents = np.zeros(rows.sum(), np.int64)
        reference.digit_sums(values[rows], exponents, None, groups[rows], 0, is_square, totals)
        assert digits is not None
        assert digits.tolist() == totals[: len(digits)].tolist() and not totals[len(digits) :].any()
    assert (found[1] is None) == (not squares)


@pytest.mark.parametrize("kind", ["bool", "i1", "i2", "i4", "u1", "u2", "u4"])
def test_narrow_integers(device, kind):
    raw = np.random.default_rng(0).integers(0, 256, 333 * np.dtype(kind).itemsize, np.uint8)
    values = raw > 99 if kind == "bool" else raw.view(kind)
    total, squares = exact.integer_sums(device.upload(values), None, 1, True)
    whole = [int(value) for value in values.tolist()]
    assert sum(int(digit) << 32 * k for k, (digit,) in enumerate(total.tolist())) == sum(whole)
    assert squares is not None
    assert sum(int(digit) << 32 * k for k, (digit,) in enumerate(squares.tolist())) == sum(x * x for x in whole)


def test_no_order_of_rows_shows(device):
    """Permuted rows, and rows in two parts, give the same totals; so does another number of blocks."""
    values = hard("normal", 6000)
    groups = np.random.default_rng(7).integers(0, 5, 6000).astype(np.int32)
    found = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(6000)
        device.n_processors = 1 + seed
        totals, by_group = np.zeros(5, np.int64), np.zeros((5, 5), np.int64)
        for part in (order[: 1000 * seed], order[1000 * seed :]):
            there, of = device.upload(values[part]), device.upload(groups[part])
            assert not len(exact.tile_sums(there, -39, 2, True, totals))
            assert not len(exact.group_sums(there, of, -39, 2, True, by_group))
        found.append((totals.tolist(), by_group.tolist()))
    assert found[0] == found[1] == found[2]
    whole = [Fraction(value) for value in values.tolist()]
    assert Fraction(found[0][0][0]) * 2**-18 + Fraction(found[0][0][1]) * Fraction(2) ** -39 == sum(whole)


def test_one_launch(device):
    there, of = device.upload(hard("normal", 5000)), device.upload(np.zeros(5000, np.int32))
    exact.tile_sums(there, -39, 2, True, np.zeros(5, np.int64))
    exact.group_sums(there, of, -39, 2, True, np.zeros((3, 5), np.int64))
    exact.integer_sums(device.upload(np.arange(9)), None, 1, True)
    extremes.extremes(there, of, 3)
    assert device.launches == 4


@few
@given(
    st.sampled_from(["bool", "i1", "u4", "i8", "f4", "f8"]), st.sampled_from([0, 1, 33, 2049]),
    st.sampled_from([1, 4, 5000]), st.integers(0, 99),
)  # fmt: skip
def test_extremes(device, kind, n, n_groups, seed):
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, n * np.dtype(kind).itemsize, np.uint8)
    values = raw > 99 if kind == "bool" else raw.view(kind)
    if values.dtype.kind == "f":
        values = np.where(rng.random(n) < 0.3, rng.choice(np.array([0.0, -0.0, np.inf, -np.inf], kind), n), values)
        values = np.where(np.isnan(values), np.array(1, kind), values)
    groups, valid = rng.integers(-1, n_groups, n), rng.random(n) < 0.9
    least, greatest, odd = extremes.extremes(
        device.upload(values), device.upload(groups.astype(np.int32)), n_groups, valid=device.upload(packed(valid))
    )  # fmt: skip
    counted = extremes.counts(device.upload(groups.astype(np.int32)), n_groups, valid=device.upload(packed(valid)))
    assert odd is None
    assert least.dtype == greatest.dtype == (np.int64 if kind == "bool" else values.dtype)
    for group in range(n_groups) if n_groups < 9 else rng.integers(0, n_groups, 20).tolist():
        own = values[valid & (groups == group)]
        assert counted[group, 0] == len(own)
        if len(own):
            assert (least[group], greatest[group]) == (own.min(), own.max())
            assert not (np.signbit(np.array([least[group], greatest[group]])) & (own[:1].dtype.kind == "f") & (
                np.array([least[group], greatest[group]]) == 0)).any()  # fmt: skip


@pytest.mark.parametrize("n_groups", [1, 3])
def test_extremes_of_every_warp_count(device, n_groups):
    """Wherever among the threads of a block, and of blocks, the least and the greatest value stand."""
    groups = np.arange(2100, dtype=np.int32) % n_groups
    of = device.upload(groups)
    for row in [*range(0, 1100, 97), 2047, 2048, 2099]:
        values = groups * 100.0
        values[row] -= 7.0
        values[2099 - row] += 9.0
        least, greatest, _ = extremes.extremes(device.upload(values), of, n_groups)
        for group in range(n_groups):
            own = values[groups == group]
            assert (least[group], greatest[group]) == (own.min(), own.max())


def test_extremes_name_the_first_nan(device):
    values = np.zeros(3000)
    values[[1700, 2100, 50]] = np.nan
    flags = np.ones(3000, bool)
    flags[50] = False
    groups = np.zeros(3000, np.int32)
    groups[1700] = -1
    there, of, valid = device.upload(values), device.upload(groups), device.upload(packed(flags))
    assert extremes.extremes(there, None, 1)[2] == 50
    assert extremes.extremes(there, None, 1, valid=valid)[2] == 1700
    assert extremes.extremes(there, of, 1, valid=valid)[2] == 2100


@pytest.mark.parametrize("n_entries", [3, 20_000])
def test_counts_of_groups_and_entries(device, n_entries):
    rng = np.random.default_rng(0)
    groups, ids, flags = rng.integers(-1, 4, 5000), rng.integers(0, n_entries, 5000), rng.random(5000) < 0.7
    found = extremes.counts(
        device.upload(groups.astype(np.int32)), 4, valid=device.upload(packed(flags)),
        ids=device.upload(ids.astype(np.int32)), n_entries=n_entries,
    )  # fmt: skip
    wanted = np.zeros((4, n_entries), np.int64)
    rows = flags & (groups >= 0)
    np.add.at(wanted, (groups[rows], ids[rows]), 1)
    assert (found == wanted).all()
