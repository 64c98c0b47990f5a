"""Quantiles from bins: whatever the rows, their order and their partitions, the values that NumPy finds by sorting."""

from typing import Any

import numpy as np
import pytest
from folds import outside_fold
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.finish import FINISH, order_statistics
from gpupipe.backends.indexes import KeyIndex
from gpupipe.backends.states import orders, settling
from gpupipe.backends.states.gathering import gather, merge, with_rows, without_fold
from gpupipe.backends.states.settling import Asked, Settling
from gpupipe.backends.states.state import State, groups_of
from gpupipe.columns import Column
from gpupipe.errors import InternalError
from gpupipe.expr.node import make
from gpupipe.kernels.cpu import radix as compiled
from gpupipe.kernels.reference import radix
from gpupipe.schema import Boolean, Float32, Float64, Int64

RNG = np.random.default_rng(0)
DTYPES = {"f8": Float64, "f4": Float32, "i8": Int64, "b1": Boolean}


def column(values: Any, valid: Any = None) -> Column:
    values = np.asarray(values)
    return Column(DTYPES[values.dtype.str[1:]], values, valid)


def order_state(parts: Any, folds: Any = None) -> tuple[State, list[Any]]:
    """The merged state of some columns, and the groups of each."""
    keys = [[] for _ in parts] if folds is None else [[column(np.asarray(fold, np.int64))] for fold in folds]
    by = [groups_of(key, len(part)) for key, part in zip(keys, parts, strict=True)]
    return merge([gather("order", part, groups) for part, groups in zip(parts, by, strict=True)]), by


def settled(parts: Any, asked: Any, folds: Any = None, most: int = 2**23) -> tuple[State, int]:
    """The settled state of some columns, and how many trips that took; `asked`: (groups) -> what is asked."""
    state, by = order_state(parts, folds)
    work = Settling(state, asked(state))
    trips = 0
    while (spans := work.wanted(most)) is not None:
        trips += 1
        assert trips <= 6, "it never ends"
        index = KeyIndex(work.keys) if work.keys else None
        numbers = [np.zeros(1, np.int64) if index is None else index.find(groups.keys) for groups in by]
        found = [spans.found(part, *each) for part, each in zip(parts, zip(by, numbers, strict=True), strict=True)]
        work.settle(spans, found if len(found) % 2 else [spans.merged(found[::-1])])
    return work.state(), trips


def all_rows(*qs: float, **more: Any) -> Any:
    return lambda state: [Asked(np.ones(state.n_groups, bool), q, **more) for q in qs]


def finished(state: State, q: float) -> list[float | None]:
    found = FINISH["quantile"](state, make("quantile", make("col", name="v"), keys=0, q=q), Float64)
    valid = np.ones(len(found), bool) if found.valid is None else found.valid
    return [float(value) if ok else None for value, ok in zip(found.values, valid, strict=True)]


def check(values: Any, state: State, q: float) -> None:
    """The two neighbours and the fraction are those of the sorted values, and so is the quantile."""
    expected = np.sort(values)
    place = (len(values) - 1) * q
    lower = int(np.floor(place))
    low, high, fraction = order_statistics(state, q)
    assert low.values[0] == expected[lower] and high.values[0] == expected[min(lower + 1, len(values) - 1)]
    assert fraction[0] == place - lower
    if np.isfinite(values).all() and np.abs(values.astype(float)).max() < 1e300:
        assert finished(state, q) == [np.quantile(values.astype(np.float64), q)]


def pieces(values: Any, cuts: Any) -> list[Column]:
    return [column(part) for part in np.split(values, sorted(cut % (len(values) + 1) for cut in cuts))]


odd = st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 2.0**-64, 2.0**64, 1e308, -1e308, np.inf, -np.inf, 1.0, 1 + 2**-52])
floats = odd | st.floats(allow_nan=False) | st.floats(-4, 4).map(lambda v: round(v, 1))
whole = st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1) | st.integers(2**62, 2**62 + 3)
fractions = st.sampled_from([0.0, 0.5, 1.0, 0.1, 0.7, 1 / 3]) | st.floats(0, 1)
cuts = st.lists(st.integers(0, 60), max_size=4)
arrays = st.one_of(
    st.lists(floats, min_size=1, max_size=60).map(np.array),
    st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=60).map(lambda v: np.array(v, np.float32)),
    st.lists(whole, min_size=1, max_size=60).map(lambda v: np.array(v, np.int64)),
    st.lists(st.booleans(), min_size=1, max_size=60).map(np.array),
)


@settings(max_examples=80, deadline=None)
@given(arrays, cuts, st.lists(fractions, min_size=1, max_size=4), st.booleans())
def test_any_partitioning_gives_the_order_statistics(values: Any, at: Any, qs: Any, divided: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if divided:
            patch.setattr(settling, "_FEW_ROWS", 0)
            patch.setattr(settling, "_SHARE", 0)
        state, _ = settled(pieces(values, at), all_rows(*qs))
    for q in qs:
        check(values, state, q)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40).map(np.array), st.data(), fractions)
def test_nulls_have_no_rank(values: Any, data: Any, q: float) -> None:
    valid = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    half = len(values) // 2
    parts = [column(values[:half], valid[:half]), column(values[half:], valid[half:])]
    state, _ = settled(parts, all_rows(q))
    assert state.rows.tolist() == [len(values)]
    if valid.any():
        check(values[valid], state, q)
    else:
        assert finished(state, q) == [None]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(floats.filter(np.isfinite) | st.integers(0, 9).map(float), min_size=0, max_size=30).map(np.array),
    st.lists(st.tuples(st.integers(0, 12), st.none() | floats.filter(np.isfinite) | st.integers(0, 9)), max_size=3),
    fractions,
)
def test_rows_whose_value_is_known_later(values: Any, constants: Any, q: float) -> None:
    """Settled before the values are known, whether they lie among the others, equal some, or turn out to be null."""
    values = np.asarray(values, np.float64)
    state, trips = settled([column(values)], all_rows(q, later=tuple(times for times, _ in constants)))
    assert trips <= 1
    for times, value in constants:
        valid = None if value is not None else np.array([False])
        late = Column(Float64, np.array([0.0 if value is None else float(value)]), valid)
        state = with_rows(state, late, np.array([times]), np.array([0]))
    together = np.concatenate([values, *(np.repeat(float(v), times) for times, v in constants if v is not None)])
    if len(together):
        check(together, state, q)
    else:
        assert finished(state, q) == [None]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=40).map(np.array), fractions)
def test_mirrored_for_a_decreasing_step(values: Any, q: float) -> None:
    state, _ = settled([column(values)], all_rows(q, mirrored=True))
    low, high, fraction = order_statistics(state, q, mirrored=True)
    turned = np.sort(1 - values)
    place = (len(values) - 1) * q
    lower = int(np.floor(place))
    ends = (turned[lower], turned[min(lower + 1, len(values) - 1)])
    assert (1 - low.values[0], 1 - high.values[0]) == ends and fraction[0] == place - lower


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 80), st.integers(0, 2**32), fractions, fractions)
def test_training_parts_of_folds(n: int, seed: int, p: float, q: float) -> None:
    """One trip settles what each fold may know; the parts are made of the settled state."""
    rng = np.random.default_rng(seed)
    values, fold = np.round(rng.normal(0, 2, n), 1), rng.integers(0, 3, n)
    half = n // 2
    parts, folds = [column(values[:half]), column(values[half:])], [fold[:half], fold[half:]]

    def asked(state: State) -> list[Asked]:
        masks = [np.ones(state.n_groups, bool), *(state.keys[0].values != k for k in range(3))]
        return [Asked(mask, one) for mask in masks for one in (p, q)]

    state, trips = settled(parts, asked, folds)
    assert trips <= 1
    for one in (p, q):
        check(values, without_fold(state), one)
        for k in range(3):
            if (fold != k).any():
                check(values[fold != k], outside_fold(state, k), one)


N = 200_000
COLUMNS = {
    "normal": (RNG.normal(100, 10, N), 1),
    "around 0": (RNG.normal(size=N), 1),
    "of very many sizes": (RNG.lognormal(0, 5, N), 1),
    "seconds of a week": (1.7e9 + RNG.random(N) * 604_800, 2),
    "microseconds of a day": (1_700_000_000_000_000 + RNG.integers(0, 86_400_000_000, N), 2),
    "one value": (np.full(N, 3.3), 1),
    "one value, with jitter": (3.3 + RNG.integers(0, 1000, N) * 2.0**-51, 3),
    "two values an ulp apart": (np.where(RNG.random(N) < 0.5, 1.0, np.nextafter(1.0, 2)), 3),
    "subnormal": (RNG.normal(size=N) * 1e-310, 4),
    "beyond 2**64": (RNG.normal(1, 0.01, N) * 1e200, 3),
    "small integers": (RNG.integers(0, 100, N), 0),
    "booleans": (RNG.random(N) < 0.3, 0),
    "integers beyond 2**53": (2**62 + RNG.integers(0, 10**9, N), 3),
    "integers of one float64": (2**62 + RNG.integers(0, 400, N), 4),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_hard_columns(name: str) -> None:
    values, most_trips = COLUMNS[name]
    qs = (0.5, 0.1, 0.999)
    state, trips = settled([column(part) for part in np.array_split(values, 3)], all_rows(*qs))
    assert trips <= most_trips, trips
    for q in qs:
        check(values, state, q)


def test_a_thousand_quantiles_of_a_narrow_column() -> None:
    values = 1e6 + RNG.random(N)
    qs = np.arange(1, 1000) / 1000
    state, trips = settled([column(values)], all_rows(*qs))
    assert trips <= 3
    assert [finished(state, q)[0] for q in qs] == np.quantile(values, qs).tolist()


def test_states_stay_small_whatever_the_rows() -> None:
    """At most a bin's entry a group while scanning; in the end what lies at and between the ranks asked for."""
    values = np.concatenate([RNG.normal(size=N), RNG.lognormal(0, 40, N)])
    fold = RNG.integers(0, 4, len(values))
    state, _ = order_state([column(values)], [fold])
    assert state.entries is not None and len(state.entries) <= 4 * radix.BINS
    after, _ = settled([column(values)], all_rows(0.5, 0.9), [fold])
    assert after.entries is not None and len(after.entries) <= 4 * (2 * 4 + 1)
    work = Settling(*(lambda made: (made, all_rows(0.5)(made)))(order_state([column(1e9 + RNG.random(N))])[0]))
    spans = work.wanted(1000)
    assert spans is not None and spans.widths is not None
    many = column(1e9 + RNG.random(N))
    found = spans.found(many, groups_of([], N), np.zeros(1, np.int64))
    assert len(found.values) <= 2 * 65_536


def test_rows_that_change_between_trips_are_told() -> None:
    values = RNG.normal(size=100)
    state = order_state([column(values)])[0]
    work = Settling(state, all_rows(0.5)(state))
    spans = work.wanted(100)
    assert spans is not None
    with pytest.raises(InternalError, match="changed between two trips"):
        work.settle(spans, [spans.found(column(values[:-60]), groups_of([], 40), np.zeros(1, np.int64))])


def test_bins_alone_give_no_quantile() -> None:
    with pytest.raises(InternalError, match="nobody has settled"):
        finished(order_state([column(RNG.normal(size=9))])[0], 0.5)


@pytest.mark.parametrize("layouts", [10, pytest.param(1000, marks=pytest.mark.slow)])
def test_one_state_whatever_the_layout(layouts: int) -> None:
    """1 to 64 partitions of shuffled rows, merged and settled: the same state, before and after."""
    values = np.concatenate([RNG.normal(100, 10, 2000), np.round(RNG.lognormal(0, 9, 2000), 1), [np.inf, -0.0, 0.0]])
    fold = RNG.integers(0, 3, len(values))
    seen = set()
    for _ in range(layouts):
        order = RNG.permutation(len(values))
        cut = np.sort(RNG.integers(0, len(values), RNG.integers(0, 64)))
        parts = [column(part) for part in np.split(values[order], cut)]
        folds = np.split(fold[order], cut)
        asked = all_rows(0.1, 0.5, 0.99, later=(7,))
        for state in (order_state(parts, folds)[0], settled(parts, asked, folds)[0]):
            entries = state.entries
            assert entries is not None
            seen.add(
                (state.kind, *(part.tobytes() for part in (entries.values.values, entries.groups, entries.counts)))
            )
    assert len(seen) == 2


@pytest.mark.parametrize("n_groups", [1, 5, 100])
@pytest.mark.parametrize("n", [0, 10, 50_000])
def test_both_forms_make_the_same_states(n: int, n_groups: int, monkeypatch: Any) -> None:
    values = np.append(RNG.normal(size=n), [np.inf, -0.0, 0.0])
    fold = RNG.integers(0, n_groups, len(values))
    found = []
    for form in (radix, compiled):
        monkeypatch.setattr(orders, "kernels", lambda form=form: form)
        entries = order_state([column(values)], [fold])[0].entries
        assert entries is not None
        found.append((entries.values.values.tolist(), entries.groups.tolist(), entries.counts.tolist()))
    assert found[0] == found[1]
    first = np.searchsorted(radix.first_bits(), radix.ordered_bits(values), side="right") - 1
    pairs, counts = np.unique(np.stack([np.unique(fold, return_inverse=True)[1], first]), axis=1, return_counts=True)
    assert found[0][2] == counts.tolist() and len(pairs[0]) == len(found[0][0])


@pytest.mark.parametrize("dtype", ["f8", "i8"])
def test_bins_of_entries_are_the_entries(dtype: str) -> None:
    values = np.append(RNG.lognormal(0, 20, 5000), -RNG.lognormal(0, 20, 5000)).clip(-9e18, 9e18).astype(dtype)
    entries = order_state([column(values)])[0].entries
    assert entries is not None
    again = orders.binned(entries.values, entries.groups, entries.counts)
    assert np.array_equal(again.values.values, entries.values.values)
    assert np.array_equal(again.counts, entries.counts)
