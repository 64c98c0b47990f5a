"""Columns settled by the values kept at their ends alone: the runs and their sums that sorting all rows gives."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends import compiled
from gpupipe.backends.exact.rational import each_moments
from gpupipe.backends.states.ends import Bounds
from gpupipe.backends.states.orders import ranks_of
from gpupipe.backends.states.runs import Runs, runs_of, tails
from gpupipe.backends.states.settling import Asked
from gpupipe.backends.states.singles import Wanted, gathered
from gpupipe.columns import Column
from gpupipe.errors import InternalError
from gpupipe.schema import Float32

pytest.importorskip("numba")
ALL = np.ones(1, bool)
N = 9_000


@pytest.fixture(autouse=True)
def compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled.Work, "started", True)


def states(values: Any, low: float, high: float) -> Any:
    return gathered({0: Wanted(Column(Float32, values.astype(np.float32)), ["order", "tails"], Bounds(low, high))})[0]


def check(values: Any, runs: Runs, whole: Any) -> None:
    """Each run's rows, found by sorting all, lie between its ends; all but the middle's single values are apart."""
    (state,) = tails([runs], [whole])
    values, ends = np.sort(values.astype(np.float32).astype(np.float64)), np.cumsum([0, *runs.counts])
    used = [(a, b) for a, b in pairwise(ends.tolist()) if a < b]
    least, greatest = (key.values for key in state.keys)
    assert state.arrays["n"].tolist() == [b - a for a, b in used]
    for at, ((a, b), found) in enumerate(zip(used, each_moments(state), strict=True)):
        rows = [Fraction(value) for value in values[a:b].tolist()]
        assert (found.n, found.total, found.squares) == (b - a, sum(rows), sum(one * one for one in rows))
        assert least[at] <= values[a] and values[b - 1] <= greatest[at]
        assert at == 0 or greatest[at - 1] < least[at]


def exact_at(values: Any, asked: Asked) -> list[float]:
    ranks = ranks_of(len(values), np.array([asked.q]), asked.later, mirrored=asked.mirrored)
    return np.sort(values.astype(np.float32))[ranks].astype(np.float64).tolist()


@pytest.mark.parametrize(
    ("low", "high", "asked"),
    [
        (-2.0, 2.0, [Asked(ALL, 0.01), Asked(ALL, 0.99)]),
        (-2.0, 2.0, [Asked(ALL, 0.01, (80,)), Asked(ALL, 0.99, (80,), True)]),
        (-2.0, np.nan, [Asked(ALL, 0.005)]),
        (-np.inf, 1.7, [Asked(ALL, 0.99)]),
        (-2.0, 2.0, [Asked(ALL, 0.0), Asked(ALL, 1.0)]),
        (-2.0, 2.0, []),
    ],
)
def test_runs_of_normal_values(low: float, high: float, asked: list[Asked]) -> None:
    values = np.random.default_rng(1).normal(size=N)
    found = states(values, low, high)
    runs = runs_of(found["order"], asked)
    assert runs is not None
    check(values, runs, found["tails"])
    entries = runs.state().entries
    assert entries is not None and int(entries.counts.sum()) == N
    for one in asked:
        assert set(exact_at(values, one)) <= set(entries.values.values.tolist())
    assert (np.diff(entries.values.values) > 0).all()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_runs_of_few_different_values(data: st.DataObject) -> None:
    values = np.random.default_rng(data.draw(st.integers(0, 9))).integers(-50, 50, N) / 4
    low, high = data.draw(st.sampled_from([-np.inf, -12.0, -11.5, -9])), data.draw(st.sampled_from([np.nan, 12, 11.25]))
    qs = data.draw(st.lists(st.sampled_from([0, 0.001, 0.01, 0.03, 0.5, 0.97, 0.999, 1]), max_size=3))
    asked = [Asked(ALL, q, (data.draw(st.integers(0, 99)),)) for q in qs]
    found = states(values, low, high)
    runs = runs_of(found["order"], asked)
    ranked = [value for one in asked for value in exact_at(values, one)]
    assert (runs is None) == any(not (value < low or value >= high) for value in ranked)
    if runs is not None:
        check(values, runs, found["tails"])


def test_what_is_left_to_trips() -> None:
    values = np.random.default_rng(1).normal(size=N)
    assert runs_of(states(values, -2.0, 2.0)["order"], [Asked(ALL, 0.5)]) is None  # between the ends
    assert runs_of(states(values, 0.5, 2.0)["order"], [Asked(ALL, 0.0)]) is None  # most values were kept
    state = states(values, -2.0, 2.0)["order"]
    state.arrays["kept"][3] = -np.inf
    assert runs_of(state, [Asked(ALL, 0.0)]) is None
    state.arrays["kept"][3] = -3
    state.arrays["lost"][0] = 1
    assert runs_of(state, [Asked(ALL, 0.0)]) is None


def test_states_of_other_rows_are_an_error() -> None:
    values = np.random.default_rng(1).normal(size=N)
    runs = runs_of(states(values, -2.0, 2.0)["order"], [Asked(ALL, 0.0)])
    assert runs is not None
    with pytest.raises(InternalError):
        tails([runs], [states(values[1:], -2.0, 2.0)["tails"]])
