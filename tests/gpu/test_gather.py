"""States of device columns: the host's arrays, keys, entries and errors, to the bit; in any order, on both devices."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.backends.gpu import gather as module
from gpupipe.backends.gpu.columns import DeviceColumn, uploaded
from gpupipe.backends.gpu.gather import gather
from gpupipe.backends.gpu.keys import groups_of
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.states import gathering as host
from gpupipe.backends.states import state as states
from gpupipe.backends.states.settling import Asked, Settling
from gpupipe.backends.states.values import in_order
from gpupipe.columns import Column
from gpupipe.errors import NonFiniteError
from gpupipe.kernels.reference.exact import ROWS
from gpupipe.schema import Boolean, Date, Float32, Float64, Int32, Int64, String, UInt64

from . import awkward

KINDS = ["count", "sum", "moments", "tails", "extremes", "order", "values"]
few = settings(max_examples=7, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def same(found, wanted):
    """Two states are the same, to the bit."""
    assert found.kind == wanted.kind and found.rows.dtype == wanted.rows.dtype
    assert found.rows.tolist() == wanted.rows.tolist()
    assert len(found.keys) == len(wanted.keys)
    for one, other in zip(found.keys, wanted.keys, strict=True):
        awkward.same(one, other)
    assert list(found.arrays) == list(wanted.arrays)
    for name, array in wanted.arrays.items():
        assert (found.arrays[name].dtype, found.arrays[name].shape) == (array.dtype, array.shape), name
        assert found.arrays[name].tobytes() == array.tobytes(), name
    assert (found.entries is None) == (wanted.entries is None)
    if wanted.entries is not None:
        one, other = in_order(found.entries), in_order(wanted.entries)
        awkward.same(one.values, other.values)
        assert (one.groups.tolist(), one.counts.tolist()) == (other.groups.tolist(), other.counts.tolist())


def attempt(function, *args):
    """What it gives, or the error that it raises: its text with the row."""
    try:
        return function(*args)
    except NonFiniteError as error:
        return type(error), str(error), error.row


def agree(device, kind, column, keys=()):
    """The state of the device, and that it is the host's."""
    n_rows = len(column)
    wanted = attempt(host.gather, kind, column, states.groups_of(list(keys), n_rows))
    by = groups_of([uploaded(device, key) for key in keys], n_rows)
    found = attempt(gather, kind, uploaded(device, column), by)
    if isinstance(wanted, tuple):
        assert found == wanted
    else:
        same(found, wanted)
    return found


def numbers(dtype, shape, n, seed, nulls):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=n)
    with np.errstate(all="ignore"):
        values = {
            "noise": lambda: noise * 100,
            "wide": lambda: np.ldexp(noise, rng.integers(-60, 60, n)),
            "all exponents": lambda: np.ldexp(noise, rng.integers(-1074, 1000, n)),
            "constant": lambda: np.full(n, 1.1),
            "few": lambda: rng.choice([-0.0, 0.0, 1.0, -7.5], n),
            "whole": lambda: rng.integers(-(2**62), 2**62, n),
            "tiny": lambda: noise * 1e-320,
        }[shape]()  # fmt: skip
        values = values > 0 if dtype == Boolean else values.astype(dtype.storage)
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, np.array(1, values.dtype))
    return Column(dtype, values, rng.random(n) >= nulls if nulls else None)


SHAPES = ["noise", "wide", "all exponents", "constant", "few", "whole", "tiny"]
TYPES = [Float64, Float32, Int64, Int32, Boolean, Date]


@settings(few, max_examples=15)
@given(
    st.sampled_from(KINDS), st.sampled_from(TYPES), st.sampled_from(SHAPES),
    st.sampled_from([1, 2, 33, ROWS - 1, ROWS, ROWS + 1, 5000]), st.sampled_from([0.0, 0.2, 1.0]),
    st.sampled_from([0, 1, 5, 90]), st.integers(0, 99),
)  # fmt: skip
def test_states(device, kind, dtype, shape, n, nulls, n_groups, seed):
    rng = np.random.default_rng(seed)
    keys = []
    if n_groups:
        key = rng.integers(0, n_groups, n) * 1.0
        key[rng.random(n) < 0.1] = np.nan  # such rows are of no group
        keys = [Column(Float64, key, rng.random(n) < 0.9)]
    agree(device, kind, numbers(dtype, shape, n, seed, nulls), keys)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", TYPES[:3], ids=str)
def test_every_kind_and_type(device, kind, dtype):
    column = numbers(dtype, "noise", 700, 1, 0.1)
    agree(device, kind, column)
    agree(device, kind, column, [Column(Int64, np.arange(700) % 7)])
    agree(device, kind, column, [Column(Int64, np.arange(700) % 90, np.arange(700) % 8 > 0)])  # beyond what tables hold


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 600, 50))
def test_six_hundred_states(device, first):
    for seed in range(first, first + 50):
        rng = np.random.default_rng(seed)
        n, nulls = int(rng.choice([1, 40, 2047, 2048, 2049, 9000])), float(rng.choice([0, 0.1, 0.9]))
        column = numbers(TYPES[seed % 6], str(rng.choice(SHAPES)), n, seed, nulls)
        keys = [Column(Int64, rng.integers(0, int(rng.choice([1, 3, 70, 4000])), n))] if seed % 5 else []
        for kind in KINDS:
            agree(device, kind, column, keys)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_and_no_group(device, kind):
    for dtype in (Float64, Int64, Boolean):
        agree(device, kind, numbers(dtype, "noise", 0, 0, 0))
        agree(device, kind, numbers(dtype, "noise", 0, 0, 0), [Column(Int64, np.zeros(0, np.int64))])
        agree(device, kind, numbers(dtype, "noise", 40, 0, 0), [Column(Float64, np.full(40, np.nan))])


@pytest.mark.parametrize("kind", KINDS)
def test_nan_is_an_error_that_names_its_first_row(device, kind):
    values = numbers(Float64, "few", 2500, 2, 0).values
    values[[2401, 1500, 77]] = np.nan
    valid = np.ones(2500, bool)
    valid[77] = False
    key = np.zeros(2500)
    key[1500] = np.nan
    assert agree(device, kind, Column(Float32, values.astype(np.float32)))[2] == 77
    assert agree(device, kind, Column(Float64, values, valid))[2] == 1500
    assert agree(device, kind, Column(Float64, values, valid), [Column(Float64, key)])[2] == 2401


@pytest.mark.parametrize("keys", [[], [Column(Int64, np.arange(5000) % 3)]], ids=["all", "by group"])
def test_infinities(device, keys):
    values = numbers(Float64, "few", 5000, 2, 0).values
    values[[3001, 2500]] = -np.inf, np.inf
    for kind in ("count", "extremes", "order", "values"):
        agree(device, kind, Column(Float64, values), keys)
    assert agree(device, "moments", Column(Float64, values), keys)[2] == 2500
    by = groups_of([uploaded(device, key) for key in keys], 5000)
    for kind in ("sum", "tails"):
        with pytest.raises(NotOnDevice, match="infinite"):
            gather(kind, uploaded(device, Column(Float64, values)), by)
    values[4000] = np.nan
    for kind in KINDS:
        assert agree(device, kind, Column(Float64, values), keys)[2] == 4000


def test_what_is_left_to_the_host(device):
    by = groups_of([], 9)
    with pytest.raises(NotOnDevice, match="without a sign"):
        gather("extremes", uploaded(device, Column(UInt64, np.arange(9, dtype=np.uint64))), by)
    with pytest.raises(NotOnDevice, match="text"):
        gather("extremes", uploaded(device, Column(String, pa.array(["a"] * 9))), by)


@pytest.mark.parametrize("far", [1e300, -1.7e308, 5e-324])
def test_values_out_of_reach_of_every_grid(device, far):
    for keys in ([], [Column(Int64, np.arange(9) % 2)]):
        agree(device, "sum", Column(Float64, np.full(9, far)), keys)
        agree(device, "moments", Column(Float64, np.array([far, 1.0, -0.1] * 3)), keys)


def test_values_off_the_grid(device, monkeypatch):
    """A few values that no sample shows; then so many that a second grid is tried; then such that none holds."""
    monkeypatch.setattr("gpupipe.backends.gpu.sums._FEW_TILES", 2)
    rng = np.random.default_rng(0)
    values = rng.integers(0, 9, 6 * ROWS) * 1.0
    keys = [Column(Int64, rng.integers(0, 4, len(values)))]
    for share, unlike in ((2e-4, 1e9 + 0.1), (0.01, 1e-9), (0.01, 1e-200), (0.5, 5e-324)):
        mixed = np.where(rng.random(len(values)) < share, unlike, values)
        for kind in ("sum", "moments"):
            agree(device, kind, Column(Float64, mixed, rng.random(len(values)) < 0.9))
            agree(device, kind, Column(Float64, mixed), keys)


def test_tiles_far_apart_are_downloaded_at_once(device, monkeypatch):
    monkeypatch.setattr("gpupipe.backends.gpu.sums._FEW_RUNS", 2)
    values = np.ones(12 * ROWS + 5)
    values[[5, 3 * ROWS, 7 * ROWS, 12 * ROWS]] = 1e-300
    valid = np.random.default_rng(0).random(len(values)) < 0.9
    agree(device, "moments", Column(Float64, values))
    agree(device, "moments", Column(Float64, values, valid))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "values"])
def test_numbers_that_stand_by_entries(device, kind):
    """What a function of text gives: a value an entry."""
    rng = np.random.default_rng(0)
    for entries in (
        Column(Int64, np.array([3, -7, 9, 2**62]), np.array([True, True, False, True])),
        Column(Float64, np.array([0.1, -0.0, 1e300, 7.0])),
        Column(Boolean, np.array([True, False, True, False])),
    ):
        ids, valid = rng.integers(0, 3, 500).astype(np.int32), rng.random(500) < 0.9
        words = uploaded(device, Column(Boolean, valid, valid)).valid
        column = DeviceColumn(entries.dtype, 500, None, words, device.upload(ids), entries)
        for keys in ([], [Column(Int64, rng.integers(0, 3, 500))]):
            by = groups_of([uploaded(device, key) for key in keys], 500)
            same(gather(kind, column, by), host.gather(kind, column.to_host(), states.groups_of(keys, 500)))


def test_entries_that_are_nan_or_too_many_are_left_to_the_host(device, monkeypatch):
    ids = device.upload(np.zeros(9, np.int32))
    column = DeviceColumn(Float64, 9, None, None, ids, Column(Float64, np.array([np.nan, 1.0])))
    with pytest.raises(NotOnDevice, match="NaN"):
        gather("sum", column, groups_of([], 9))
    monkeypatch.setattr(module, "_MOST_PAIRS", 1)
    with pytest.raises(NotOnDevice, match="table"):
        gather("sum", column, groups_of([], 9))


@pytest.mark.parametrize("keys", [0, 3])
def test_text_is_counted(device, keys):
    words = pa.array([["a", "b", None, "c"][i % 4] for i in range(100)])
    column = Column(String, words.fill_null(""), np.asarray(words.is_valid()))
    by = [Column(Int64, np.arange(100) % keys)] if keys else []
    for kind in ("count", "values"):
        agree(device, kind, column, by)


@few
@given(st.sampled_from(KINDS), st.sampled_from(SHAPES), st.booleans(), st.integers(0, 99))
def test_no_order_and_no_division_of_rows_shows(device, kind, shape, grouped, seed):
    """Permuted rows in three parts, one of them gathered on the host, merge to the state of all rows."""
    rng = np.random.default_rng(seed)
    n = 2500
    column, key = numbers(Float64, shape, n, seed, 0.1), Column(Int64, rng.integers(0, 6, n))
    keys = [key] if grouped else []
    wanted = host.merge([host.gather(kind, column, states.groups_of(keys, n))])
    order = rng.permutation(n)
    parts = []
    for number, rows in enumerate(np.split(order, [100, 2300])):
        taken, of = column.take(rows), [each.take(rows) for each in keys]
        if number == 1:
            parts.append(host.gather(kind, taken, states.groups_of(of, len(rows))))
        else:
            by = groups_of([uploaded(device, each) for each in of], len(rows))
            parts.append(gather(kind, uploaded(device, taken), by))
    merged = host.merge(parts)
    one_of_all = host.merge([wanted, host.gather(kind, column.take(order[:0]), states.groups_of(
        [each.take(order[:0]) for each in keys], 0))])  # fmt: skip
    same(merged, one_of_all)


@pytest.mark.parametrize("grouped", [False, True])
def test_quantiles_are_settled_from_the_device(device, grouped):
    """The rows that a refining trip takes in: the same as on the host."""
    rng = np.random.default_rng(3)
    n = 6000
    column = Column(Float64, rng.lognormal(size=n), rng.random(n) < 0.9)
    keys = [Column(Int64, rng.integers(0, 3, n))] if grouped else []
    by, there = states.groups_of(keys, n), uploaded(device, column)
    on_device = groups_of([uploaded(device, key) for key in keys], n)
    state = gather("order", there, on_device)
    settling = Settling(state, [Asked(np.ones(state.n_groups, bool), q) for q in (0.1, 0.5, 0.99)])
    spans = settling.wanted(10**6)
    assert spans is not None
    group_of = np.arange(state.n_groups)
    found, wanted = spans.found(there, by, group_of), spans.found(column, by, group_of)
    assert len(found.values) > 3
    for name in ("values", "groups", "counts"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist()
    settling.settle(spans, [found])
    assert column.valid is not None
    assert settling.exact.tolist() == np.sort(column.values[column.valid])[
        np.unique(np.concatenate([[int(np.floor(q * (k - 1))), int(np.floor(q * (k - 1))) + 1]
                                  for q in (0.1, 0.5, 0.99) for k in [int(column.valid.sum())]]))
    ].tolist()  # fmt: skip


def test_rows_in_spans_of_a_column_with_entries(device):
    column = DeviceColumn(
        Int64, 9, None, None, device.upload(np.arange(9, dtype=np.int32) % 3), Column(Int64, np.array([1, 50, 9]))
    )
    state = host.gather("order", column.to_host(), states.groups_of([], 9))
    spans = Settling(state, [Asked(np.ones(1, bool), 0.5)]).wanted(100)
    if spans is not None:
        rows, values = spans.rows_in(column, states.groups_of([], 9))
        assert rows.tolist() == [row for row in range(9) if row % 3 == 2] and set(values.tolist()) == {9}


LAUNCHES = {"count": 2, "sum": 3, "moments": 3, "tails": 3, "extremes": 2, "order": 3}


@pytest.mark.parametrize("kind", LAUNCHES)
@pytest.mark.parametrize("grouped", [False, True])
def test_launches(device, kind, grouped):
    """Of 10,000 float32 with nulls, as they usually are."""
    values = np.random.default_rng(0).normal(size=10_000).astype(np.float32) + np.float32(100)
    column = uploaded(device, Column(Float32, values, np.arange(10_000) % 20 > 0))
    by = groups_of([uploaded(device, Column(Int64, np.arange(10_000) % 5))] if grouped else [], 10_000)
    before = device.launches
    gather(kind, column, by)
    assert device.launches - before <= LAUNCHES[kind]
