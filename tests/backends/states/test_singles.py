"""Many float32 columns in one pass: the exact sums, and the values at their ends, that NumPy and fractions give."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.exact.rational import exact_moments
from gpupipe.backends.states.ends import Bounds
from gpupipe.backends.states.gathering import gather
from gpupipe.backends.states.singles import Wanted, gathered
from gpupipe.backends.states.state import groups_of
from gpupipe.columns import Column
from gpupipe.schema import Float32

pytest.importorskip("numba")
RNG = np.random.default_rng(3)
N = 10_007  # no whole number of tiles, nor of words of flags
LOWEST, HIGHEST = 2.0**-149, float(np.finfo(np.float32).max)
SIZES = {
    "one size": lambda: RNG.normal(size=N),
    "a wide range": lambda: RNG.normal(size=N) * np.where(np.arange(N) % 7 == 0, 2.0**40, 1),
    "an outlier a tile": lambda: np.where(np.arange(N) % 2048 == 5, 1e35, RNG.normal(size=N)),
    "all exponents": lambda: np.ldexp(RNG.normal(size=N), RNG.integers(-148, 124, N)),
    "subnormals": lambda: RNG.integers(-9, 9, N) * LOWEST,
    "the greatest": lambda: np.full(N, HIGHEST),
    "the greatest beside the least": lambda: np.where(RNG.random(N) < 0.5, HIGHEST, -LOWEST),
    "the least": lambda: np.full(N, -LOWEST),
    "powers of two": lambda: 2.0 ** RNG.integers(-20, 22, N),
    "zeros of both signs": lambda: np.where(RNG.random(N) < 0.5, -0.0, 0.0),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("nulls", [0.0, 0.4, 1.0])
def test_sums_are_the_exact_ones(size: str, nulls: float) -> None:
    values, valid = SIZES[size]().astype(np.float32), RNG.random(N) >= nulls
    values[~valid] = np.nan  # what stands under a null counts for nothing
    column = Column(Float32, values, valid if nulls else None)
    state = gathered({4: Wanted(column, ["tails"], None)})[4]["tails"]
    other = gather("tails", Column(Float32, values, valid), groups_of([], N))
    assert {name: array.tolist() for name, array in state.arrays.items()} == {
        name: array.tolist() for name, array in other.arrays.items()
    }
    seen, found = [Fraction(value) for value in values[valid].tolist()], exact_moments(state)
    assert (found.n, found.total, found.squares) == (len(seen), sum(seen), sum(one * one for one in seen))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=60))
def test_sums_of_any_floats(some: list[float]) -> None:
    column = Column(Float32, np.resize(np.array(some, np.float32), 8_193))
    found = exact_moments(gathered({0: Wanted(column, ["moments"], None)})[0]["moments"])
    seen = [Fraction(value) for value in column.values.tolist()]
    assert (found.total, found.squares) == (sum(seen), sum(one * one for one in seen))


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 1.5), (-np.inf, 2.0), (-2.0, np.nan), (-0.1, 0.1000000000001), (-1e300, 1e300), (0.0, 9.0)]
)
def test_values_at_the_ends_of_several_columns(low: float, high: float) -> None:
    wanted = {}
    for number in range(3):
        values, valid = RNG.normal(scale=0.5, size=N).astype(np.float32), RNG.random(N) >= 0.2
        wanted[number] = Wanted(Column(Float32, values, valid), ["order", "moments"], Bounds(low, high))
    for number, states in gathered(wanted).items():
        column, state = wanted[number].column, states["order"]
        wide = column.values.astype(np.float64)
        assert column.valid is not None
        inside = column.valid & ((wide < low) | (wide >= high))
        kept = column.values[inside]
        lost = len(kept) > N // 8 + 8_192
        assert state.kind == "ends" and state.arrays["lost"].tolist() == [lost]
        assert state.arrays["kept"].tolist() == ([] if lost else kept.tolist())
        assert state.arrays["n"].tolist() == [int(column.valid.sum())] and state.rows == N


def test_a_column_with_too_many_values_leaves_the_others_theirs() -> None:
    columns = [Column(Float32, RNG.random(N).astype(np.float32)) for _ in range(3)]
    bounds = [Bounds(0.1, 0.9), Bounds(0.99, np.nan), Bounds(0.2, np.nan)]
    found = gathered({at: Wanted(columns[at], ["tails", "order"], bounds[at]) for at in range(3)})
    assert [found[at]["order"].arrays["lost"].item() for at in range(3)] == [0, 1, 0]
    kept = [
        column.values[(column.values < one.low) | (column.values >= one.high)]
        for column, one in zip(columns, bounds, strict=True)
    ]
    assert all(found[at]["order"].arrays["kept"].tolist() == kept[at].tolist() for at in (0, 2))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_column_that_may_be_refused_is_left_out_alone(bad: float) -> None:
    columns = [Column(Float32, RNG.random(N).astype(np.float32)) for _ in range(3)]
    columns[1].values[-1] = bad
    found = gathered({at: Wanted(column, ["moments"], None) for at, column in enumerate(columns)})
    assert list(found) == [0, 2]


def test_what_is_taken() -> None:
    values, ok = RNG.random(N).astype(np.float32), np.ones(N, bool)
    assert Wanted(Column(Float32, values), ["moments"], None).is_taken
    assert Wanted(Column(Float32, values, ok), ["order", "tails"], Bounds(0.1, 0.9)).is_taken
    assert not Wanted(Column(Float32, values, ok), ["order", "tails"], None).is_taken  # bins
    assert not Wanted(Column(Float32, values, ok), ["order"], Bounds(0.1, 0.9)).is_taken  # no sums
    assert not Wanted(Column(Float32, np.repeat(values, 2)[::2]), ["moments"], None).is_taken
    assert not Wanted(Column(Float32, values, np.repeat(ok, 2)[::2]), ["moments"], None).is_taken
    assert not Wanted(Column(Float32, values[:100]), ["moments"], None).is_taken
    assert not Wanted(Column(Float32, values.astype(np.float64)), ["moments"], None).is_taken
