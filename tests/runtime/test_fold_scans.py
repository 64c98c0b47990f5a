"""What a scan by folds gives each fold is what a fit on a source without the fold's rows gives."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from folds import only, outside_fold
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import TARGETS, drawn_tables, feature_lists

import gpupipe as gp
from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.backend import backend_for
from gpupipe.backends.exact.sums import sums
from gpupipe.backends.features import FittedFeatures
from gpupipe.backends.states.folds import ByFold
from gpupipe.backends.states.gathering import gather, merge
from gpupipe.backends.states.kinds import KINDS
from gpupipe.backends.states.state import State, groups_of
from gpupipe.columns import Column
from gpupipe.compiler.expand import flatten
from gpupipe.errors import GpupipeError
from gpupipe.expr.expr import as_column
from gpupipe.kernels.reference.hashing import counter_uniform
from gpupipe.runtime.crew import threads
from gpupipe.runtime.fit import Declared, run_fit
from gpupipe.runtime.folds.dealing import Dealing, deal
from gpupipe.runtime.folds.rows import DEALT
from gpupipe.runtime.folds.scans import ScansByFold
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows
from gpupipe.schema import Float64, Int64

CPU = backend_for("cpu")
QUICK = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FOLDS = 3
outcomes: Counter[str] = Counter()


def digests(declared: Declared, source: gp.Source) -> list[str]:
    """The digest of what each of three folds learns from a scan by folds."""
    plan = declared.plan(source.schema)
    with Rows(source, plan.fit_columns) as rows, threads(1) as crew:
        folds = deal(Dealing(FOLDS), rows, None, "", crew, Silent())
        fitted, _ = ScansByFold(plan, rows, CPU, crew, Silent()).learned(folds)
    each = [FittedFeatures(plan, one, CPU) for one in fitted]
    assert all(one.outputs for one in each)  # features whose names turn out to be equal are refused here
    return [Fit(one, None, declared.target, None, declared.task, None, {}).digest() for one in each]


def folds_of(n_rows: int) -> Any:
    """The fold of each row."""
    return counter_uniform(0, DEALT, np.arange(n_rows)) % np.uint64(FOLDS)


def fits(declared: Declared, source: gp.Source) -> list[str]:
    """The digests of fits on the rows outside each fold."""
    fold = folds_of(source.n_rows or 0)
    sources = [only(source, np.flatnonzero(fold != number)) for number in range(FOLDS)]
    return [run_fit(declared, rows, None, CPU, Silent()).fit.digest() for rows in sources]


def attempt(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except GpupipeError as error:
        return type(error).__name__


def check(drawn: Any, features: Any, target: str, partitions: int) -> None:
    source = gp.scan(drawn.table, partitions=partitions)
    assume(len(np.unique(folds_of(drawn.table.num_rows))) == FOLDS)
    declared = Declared(flatten(features), as_column(target), None, None, None)
    expected, found = attempt(fits, declared, source), attempt(digests, declared, source)
    outcomes["refused" if isinstance(expected, str) else "compared"] += 1
    if isinstance(expected, str):
        assert isinstance(found, str)
    else:
        assert found == expected


@settings(QUICK)
@given(drawn_tables(), feature_lists(), st.sampled_from(TARGETS), st.integers(1, 4))
def test_random_pipelines_by_folds(drawn, features, target, partitions):
    check(drawn, features, target, partitions)


def test_most_of_them_were_compared():
    assert outcomes["compared"] > sum(outcomes.values()) / 2 or not outcomes


@pytest.mark.slow
@settings(QUICK, max_examples=1500, derandomize=False)
@given(drawn_tables(), feature_lists(most=6, depth=3), st.sampled_from(TARGETS), st.integers(1, 4))
def test_many_random_pipelines_by_folds(drawn, features, target, partitions):
    check(drawn, features, target, partitions)


def arrays(state: State) -> list[list[Any]]:
    """All of a state as lists."""
    found = [key.values.tolist() for key in state.keys] + [state.rows.tolist()]
    found += [array.tolist() for _, array in sorted(state.arrays.items())]
    if state.entries is not None:
        found += [np.asarray(state.entries.values.values).tolist(), state.entries.groups.tolist()]
        found += [state.entries.counts.tolist()]
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("keyed", [False, True])
def test_a_state_of_some_folds_is_that_of_their_rows(kind, keyed):
    rng = np.random.default_rng(0)
    n, parts = 300, []
    values = Column(Float64, rng.normal(size=n).round(1), rng.random(n) < 0.9)
    key, fold = Column(Int64, rng.integers(0, 40, n)), Column(Int64, rng.integers(0, 5, n))
    keys = [key] if keyed else []
    for rows in np.array_split(np.arange(n), 4):
        by = groups_of([each.take(rows) for each in (*keys, fold)], len(rows))
        parts.append(gather(kind, values.take(rows), by))
    whole = merge(parts)
    for folds in ({0, 1, 2, 3}, {2}, {0, 4}, set(range(5))):
        rows = np.flatnonzero(np.isin(fold.values, list(folds)))
        by = groups_of([each.take(rows) for each in keys], len(rows))
        assert arrays(ByFold(whole).among(folds)) == arrays(gather(kind, values.take(rows), by))
    assert arrays(ByFold(whole).among({0, 1, 3, 4})) == arrays(outside_fold(whole, 2))


@pytest.mark.parametrize("kind", ["count", "sum", "moments"])
@pytest.mark.parametrize("dtype", [Float64, Int64])
def test_what_is_left_of_the_whole_is_what_is_merged(kind, dtype):
    """Ten folds of groups that are in all of them: taking one out of the whole is less work than merging nine."""
    rng = np.random.default_rng(2)
    n = 4000
    values = rng.normal(size=n) * 2.0 ** rng.integers(-80, 80, n) if dtype == Float64 else rng.integers(-9, 9, n)
    key, fold = Column(Int64, rng.integers(0, 30, n)), Column(Int64, rng.integers(0, 10, n))
    key.values[fold.values == 4] = 99  # a group of one fold alone
    state = gather(kind, Column(dtype, values, rng.random(n) < 0.9), groups_of([key, fold], n))
    by = ByFold(state)
    for one in range(10):
        others = state.keys[-1].values == one
        seen = np.zeros(len(by._keys[0]), bool)
        seen[by._group[~others]] = True
        assert arrays(by._less(others, seen)) == arrays(by._merged(~others, seen)) == arrays(outside_fold(state, one))
        assert arrays(by.among(set(range(10)) - {one})) == arrays(outside_fold(state, one))


@pytest.mark.parametrize("squares", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e290, 1e-300, 2.0**-1074])
def test_sums_of_few_groups_are_those_of_each(squares, scale):
    """Folds are brought together and summed one by one: in digits the same as by groups, and as each by itself."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=20_000) * scale * 2.0 ** rng.integers(-30, 30, 20_000)
    groups = rng.integers(0, 4, 20_000)
    found: Any = sums(values, groups, 4, squares=squares)
    for one in range(4):
        alone: Any = sums(values[groups == one], squares=squares)
        assert found.total.fractions()[one] == alone.total.fractions()[0]
        assert not squares or found.squares.fractions()[one] == alone.squares.fractions()[0]
    assert sums(np.append(values, np.inf), np.append(groups, 2), 4, squares=squares) is None
