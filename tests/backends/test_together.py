"""Several states of a column in one pass: the very states that each kind gathers by itself."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.exact.rational import exact_moments
from gpupipe.backends.states import together
from gpupipe.backends.states.gathering import gather
from gpupipe.backends.states.state import State, groups_of
from gpupipe.columns import Column
from gpupipe.errors import NonFiniteError
from gpupipe.kernels.cpu import columns
from gpupipe.kernels.reference import radix
from gpupipe.schema import parse_dtype

RNG = np.random.default_rng(3)
KINDS = ("moments", "order", "tails")
N = 20_011
TYPES = ("Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "Boolean")


def equal(one: State, other: State) -> None:
    assert one.kind == other.kind
    assert one.rows.tolist() == other.rows.tolist()
    assert {name: array.tolist() for name, array in one.arrays.items()} == {
        name: array.tolist() for name, array in other.arrays.items()
    }
    assert (one.entries is None) == (other.entries is None)
    if one.entries is not None and other.entries is not None:
        assert one.entries.values.dtype == other.entries.values.dtype
        assert one.entries.values.values.dtype == other.entries.values.values.dtype
        for name in ("groups", "counts"):
            assert getattr(one.entries, name).tolist() == getattr(other.entries, name).tolist()
        assert one.entries.values.values.tolist() == other.entries.values.values.tolist()


def alone(column: Column) -> dict[str, State]:
    by = groups_of([], len(column))
    return {kind: gather(kind, column, by) for kind in KINDS}


def check(column: Column) -> None:
    assert together.takes(column)
    found = together.gathered(KINDS, column)
    assert found is not None
    for kind, state in alone(column).items():
        equal(found[kind], state)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("nulls", [0.0, 0.3, 1.0])
def test_every_width(name: str, nulls: float) -> None:
    dtype = parse_dtype(name)
    if name.startswith("Float"):
        values = (RNG.standard_cauchy(N) * 100).astype(dtype.storage)
    elif name == "Boolean":
        values = RNG.random(N) < 0.4
    else:
        bounds = np.iinfo(dtype.storage)
        low, high = max(bounds.min, -(2**53)), min(bounds.max, 2**53)
        values = RNG.integers(low, high, N, dtype=dtype.storage, endpoint=True)
    valid = RNG.random(N) >= nulls
    if name.startswith("Float"):
        values[~valid] = np.nan  # what stands under a null counts for nothing
    check(Column(dtype, values, valid))
    check(Column(dtype, np.repeat(values, 2)[::2], np.repeat(valid, 3)[::3]))
    check(Column(dtype, values.copy()[: N - N % 2048], None)) if name[0] != "F" else None


SCALES = {
    "one size": lambda: RNG.normal(size=N),
    "a logarithm": lambda: np.log1p(RNG.exponential(size=N)),
    "1e15 and noise": lambda: 1e15 + RNG.normal(size=N),
    "all exponents": lambda: np.ldexp(RNG.normal(size=N), RNG.integers(-1060, 1000, N)),
    "1e300 beside 1e-300": lambda: np.where(RNG.random(N) < 0.001, 1e300, 1e-300),
    "an outlier": lambda: np.where(np.arange(N) == 7777, 1e30, RNG.normal(size=N)),
    "zeros of both signs": lambda: np.where(RNG.random(N) < 0.5, -0.0, 0.0),
    "subnormals": lambda: RNG.integers(-9, 9, N) * 5e-324,
    "clipped": lambda: np.clip(RNG.normal(size=N).astype(np.float32).astype(np.float64), -1.1, 1.7),
}


NO_GRID = {"all exponents", "1e300 beside 1e-300", "subnormals"}  # these are added digit by digit, for each kind anew


@pytest.mark.parametrize("scale", SCALES)
def test_every_size(scale: str) -> None:
    values = SCALES[scale]()
    valid = RNG.random(N) > 0.05
    found = together.gathered(["moments"], Column(parse_dtype("Float64"), values, valid))
    if scale in NO_GRID:
        assert found is None
        return
    check(Column(parse_dtype("Float64"), values, valid))
    assert found is not None
    exact = exact_moments(found["moments"])
    seen = [Fraction(value) for value in values[valid].tolist()]
    assert (exact.n, exact.total) == (len(seen), sum(seen))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_refused_is_left_to_who_tells(bad: float) -> None:
    values = RNG.normal(size=N)
    values[N // 2] = bad
    column = Column(parse_dtype("Float64"), values)
    assert together.gathered(["moments"], column) is None
    assert together.gathered(["moments", "order"], column) is None
    with pytest.raises(NonFiniteError):
        gather("moments", column, groups_of([], N))
    orders = together.gathered(["order"], column)
    if np.isnan(bad):
        assert orders is None
    else:
        assert orders is not None
        equal(orders["order"], gather("order", column, groups_of([], N)))


def test_integers_that_no_float_is() -> None:
    values = RNG.integers(0, 9, N)
    values[5] = 2**53 + 1
    assert together.gathered(["moments"], Column(parse_dtype("Int64"), values)) is None
    orders = together.gathered(["order"], Column(parse_dtype("Int64"), values))
    assert orders is not None
    equal(orders["order"], gather("order", Column(parse_dtype("Int64"), values), groups_of([], N)))


def test_more_rows_than_totals_hold() -> None:
    values = RNG.integers(-99, 99, together._AT_ONCE + N).astype(np.float32)
    check(Column(parse_dtype("Float32"), values, RNG.random(len(values)) < 0.9))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-(2.0**300), 2.0**300), min_size=1, max_size=40), st.data())
def test_any_floats(some: list[float], data: st.DataObject) -> None:
    values = np.resize(np.array(some), 8_200)
    valid = np.resize(np.array(data.draw(st.lists(st.booleans(), min_size=1, max_size=50))), 8_200)
    column = Column(parse_dtype("Float64"), values, valid)
    found = together.gathered(KINDS, column)
    for kind, state in alone(column).items() if found is not None else ():
        assert found is not None
        equal(found[kind], state)


@pytest.mark.parametrize("name", TYPES)
def test_rows_between_of_every_width(name: str) -> None:
    dtype = parse_dtype(name)
    values = np.round(RNG.standard_cauchy(N) * 10).clip(-100, 100) if name != "Boolean" else RNG.random(N) < 0.5
    if name.startswith("Float"):
        values[::7], values[::11], values[::13] = np.inf, -np.inf, -0.0
    if name.startswith("U"):
        values = np.abs(values)
    values, valid = values.astype(dtype.storage), RNG.random(N) > 0.1
    bounds = np.array([-50.0, -3.5, -3.0, 0.0, 1.0, 2.0, 40.0])
    for cut in (bounds[:2], bounds[:4], bounds[3:5], np.append(bounds[1:6], np.nan), np.array([-np.inf, np.inf])):
        bits = radix.ordered_bits(cut)
        bits[np.isnan(cut)] = radix.first_bits()[-1]
        low, high = bits[0::2], bits[1::2]
        expected = radix.rows_between(values.astype(np.float64), low, high)
        found = columns.rows_between(values, valid, low, high)
        assert found.tolist() == expected[valid[expected]].tolist()
        strided = columns.rows_between(np.repeat(values, 2)[::2], np.repeat(valid, 3)[::3], low, high)
        assert strided.tolist() == found.tolist()
        assert columns.rows_between(values, None, low, high).tolist() == expected.tolist()
