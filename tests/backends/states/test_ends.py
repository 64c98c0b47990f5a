"""Values kept at both ends of a column during the scan: the statistics that trips over all rows give, to the bit."""

from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import col, optional
from gpupipe.backends import compiled
from gpupipe.backends.states import ends as ends_module
from gpupipe.backends.states.ends import Bounds, Ends, Kept, state_by_rows
from gpupipe.backends.states.gathering import merge
from gpupipe.backends.states.together import gathered
from gpupipe.columns import Column
from gpupipe.errors import DataError
from gpupipe.kernels.reference import radix
from gpupipe.runtime import ends
from gpupipe.schema import Float32, Float64

x = col("x")
ROWS = 60_000


@pytest.fixture(params=[False, True], ids=["by rows", "compiled"])
def keeps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends are kept of few rows too."""
    monkeypatch.setattr(ends, "LEAST_ROWS", 0)
    if request.param:
        pytest.importorskip("numba")
    monkeypatch.setattr(compiled.Work, "started", request.param)


def normal(dtype: Any = np.float32) -> Any:
    return np.random.default_rng(3).normal(5, 2, ROWS).astype(dtype)


def table(values: Any, nulls: float = 0.05) -> pa.Table:
    known = np.random.default_rng(4).random(len(values)) >= nulls
    return pa.table({"x": pa.array(values, mask=~known)})


def digest(features: list[Any], rows: pa.Table, partitions: int = 4) -> tuple[str, int, list[bytes]]:
    pipeline = gp.Pipeline(features)
    found = pipeline.fit_transform(gp.scan(rows, partitions=partitions), output="numpy")
    return pipeline.state_digest(), pipeline.report_.refinements, [found.tobytes()]


def winsorized(value: gp.Expr) -> Any:
    return value.clip(value.quantile(0.01), value.quantile(0.99)).standardize()


FEATURES = {
    "clipped": [winsorized(x)],
    "filled, clipped": [winsorized(x.fill_null("mean"))],
    "low alone": [x.clip(x.quantile(0.02)).standardize()],
    "high alone, falling": [(-x).clip(None, (-x).quantile(0.97)).standardize()],
    "quantiles alone": [(x - x.quantile(0.03)).fill_null(0), x.fill_null(x.quantile(0.98)).alias("y")],
    "least and greatest": [x.fill_null(0).clip(x.fill_null(0).quantile(0), x.fill_null(0).quantile(1)).standardize()],
}


@pytest.mark.usefixtures("keeps")
@pytest.mark.parametrize("features", FEATURES.values(), ids=FEATURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("partitions", [1, 5])
def test_no_further_trip_and_the_same_digest(features, dtype, partitions, monkeypatch):
    rows = table(normal(dtype))
    kept = digest(features, rows, partitions)
    monkeypatch.setattr(ends, "LEAST_ROWS", 2**60)
    by_trips = digest(features, rows)
    assert kept[1] == 0 and by_trips[1] > 0
    assert (kept[0], kept[2]) == (by_trips[0], by_trips[2])


def awkward() -> dict[str, Any]:
    rng = np.random.default_rng(8)
    values = normal(np.float64)
    infinite = values.copy()
    infinite[[5, 50_000]] = np.inf, -np.inf
    few = np.where(rng.random(ROWS) < 0.01, 7.0, -0.0)
    return {
        "sorted": np.sort(values),
        "sorted, falling": np.sort(values)[::-1].copy(),
        "other later": np.concatenate([values[:20_000], values[20_000:] * 3 - 40]),
        "all equal": np.full(ROWS, 2.5),
        "two values": few,
        "infinite": infinite,
        "one bin": 1.0 + values * 1e-9,
        "all sizes": np.ldexp(values, rng.integers(-80, 80, ROWS)),
        "integers": np.round(values),
    }


@pytest.mark.usefixtures("keeps")
@pytest.mark.parametrize("name", awkward())
def test_whatever_the_rows_are_like(name, monkeypatch):
    rows = table(awkward()[name])
    kept = digest([winsorized(x.fill_null("mean") if name != "infinite" else x)], rows)
    monkeypatch.setattr(ends, "LEAST_ROWS", 2**60)
    assert kept[0] == digest([winsorized(x.fill_null("mean") if name != "infinite" else x)], rows)[0]


@pytest.mark.usefixtures("keeps")
def test_where_ranks_lie_elsewhere_the_bins_are_counted_in_one_more_trip(monkeypatch):
    values = np.concatenate([normal()[:30_000], normal()[30_000:] - 100])
    rows = table(values)
    found, refinements, _ = digest([winsorized(x)], rows, 2)
    monkeypatch.setattr(ends, "LEAST_ROWS", 2**60)
    by_trips = digest([winsorized(x)], rows)
    assert (found, refinements) == (by_trips[0], by_trips[1] + 1)


@pytest.mark.usefixtures("keeps")
def test_quantiles_and_means_are_those_of_numpy():
    values = normal(np.float64)
    clip = x.clip(x.quantile(0.01), x.quantile(0.99))
    pipeline = gp.Pipeline([x.quantile(0.01).cast("Float64").alias("low"), clip.mean().cast("Float64").alias("m")])
    pipeline.fit(gp.scan(pa.table({"x": values}), partitions=3))
    found = pipeline.transform(pa.table({"x": values[:1]}), output="arrow")
    low, high = np.quantile(values, [0.01, 0.99])
    clipped = [Fraction(value) for value in np.clip(values, low, high).tolist()]
    assert (found["low"][0].as_py(), found["m"][0].as_py()) == (low, float(sum(clipped) / len(clipped)))


def test_nan_is_refused_as_without(monkeypatch):
    monkeypatch.setattr(ends, "LEAST_ROWS", 0)
    values = normal()
    wrong = x / (x - float(values[3])) * 0  # NaN in one computed row
    with pytest.raises(DataError, match="NaN stands among the values"):
        gp.Pipeline([winsorized(wrong)]).fit(gp.scan(table(normal(), 0), partitions=3))


@pytest.mark.parametrize("fractions", [[0.5], [0.01, 0.3], [0.99, 0.85]])
def test_ranks_amid_the_rows_are_left_to_bins(fractions):
    assert Ends(fractions, later=False, mirrored=False).bounds(Column(Float32, normal())) is None


def test_bounds_are_the_same_for_all_who_come_later():
    watched = Ends([0.01, 0.99], later=True, mirrored=False)
    first = watched.bounds(Column(Float32, normal()))
    assert first is not None and watched.bounds(Column(Float32, normal() * 100)) is first
    assert np.mean((normal() < first.low) | (normal() >= first.high)) < 0.06


FLOATS = st.floats(-10, 10) | st.sampled_from([0.0, -0.0, np.inf, -np.inf, 1e-300])


@pytest.mark.skipif(not optional.available("numba"), reason="kernels of Numba")
@given(st.lists(FLOATS, min_size=1, max_size=40), st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 2**40))
@settings(max_examples=80, deadline=None)
def test_what_lies_at_the_ends_is_kept(some, low, high, mask):
    low, high = radix.floats_of(radix.first_bits()[radix.bins_of(np.array([min(low, high), max(low, high)]))]).tolist()
    values = np.tile(np.array(some), 300)
    valid = np.array([mask >> at & 1 == 0 for at in range(len(values))])
    column = Column(Float64, values, valid)
    bounds = Bounds(low, high)
    wanted = values[valid & ((values < low) | (values >= high))] + 0.0
    kept = wanted if len(wanted) <= ends_module.most_kept(len(values)) else wanted[:0]
    together = gathered(["order"], column, bounds)
    assert together is not None
    for state in (state_by_rows(bounds, column), together["order"]):
        assert state.arrays["n"] == valid.sum() and np.array_equal(state.arrays["kept"] + 0.0, kept)
        assert state.arrays["lost"] == (len(kept) < len(wanted))


def test_too_many_are_not_kept():
    pytest.importorskip("numba")
    column, bounds = Column(Float64, np.arange(200_000.0)), Bounds(-np.inf, 2.0)
    for state in (state_by_rows(bounds, column), gathered(["order"], column, bounds)["order"]):  # type: ignore[index]
        assert state.arrays["lost"] == 1 and not len(state.arrays["kept"]) and not Kept(state).is_whole
        assert state.arrays["n"] == 200_000


def test_states_with_other_bounds_are_not_put_together():
    column = Column(Float64, np.arange(20_000.0))
    states = [state_by_rows(Bounds(low, np.nan), column) for low in (16.0, 32.0)]
    assert Kept(merge([states[0], states[0]])).is_whole
    assert not Kept(merge(states)).is_whole
