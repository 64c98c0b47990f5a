"""Grouping kernels against Python dictionaries and against each other in every bit."""

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.errors import ParameterError
from gpupipe.kernels.cpu import keyed as cpu
from gpupipe.kernels.reference import keyed as reference

TWINS = pytest.mark.parametrize("keyed", [reference, cpu], ids=["reference", "cpu"])
KEYS = st.lists(st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)), max_size=60)
ROWS = st.lists(st.tuples(st.integers(-1, 4), st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1e300]))), max_size=50)


@TWINS
@settings(max_examples=60, deadline=None)
@given(keys=KEYS, others=KEYS)
def test_factorize_and_lookup(keyed: Any, keys: Any, others: Any) -> None:
    ids, uniques = keyed.factorize(np.array(keys, "i8"))
    assert uniques.tolist() == sorted(set(keys)) and ids.dtype == uniques.dtype == np.int64
    assert [uniques[i] for i in ids] == keys
    place = {key: number for number, key in enumerate(sorted(set(keys)))}
    assert keyed.lookup(np.array(others, "i8"), uniques).tolist() == [place.get(key, -1) for key in others]


@TWINS
@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_statistics_of_groups(keyed: Any, rows: Any) -> None:
    ids, values = np.array([i for i, _ in rows], "i8"), np.array([v for _, v in rows], "f8")
    groups = [[v for i, v in rows if i == group] for group in range(5)]
    assert keyed.keyed_count(ids, 5).tolist() == [len(group) for group in groups]
    with np.errstate(all="ignore"):
        sums = keyed.keyed_sum(ids, values, 5)
    for group, total in zip(groups, sums.tolist(), strict=True):
        wanted = 0.0
        for value in group:
            wanted += value
        assert total == wanted or (math.isnan(total) and math.isnan(wanted))
    least, most = keyed.keyed_min(ids, values, 5), keyed.keyed_max(ids, values, 5)
    assert np.array_equal(least, [np.min(np.array([*g, np.inf])) for g in groups], equal_nan=True)
    assert np.array_equal(most, [np.max(np.array([*g, -np.inf])) for g in groups], equal_nan=True)
    assert not np.signbit(least[least == 0]).any()


@TWINS
@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(-1, 3), st.integers(-2, 2) | st.integers(-(2**63), 2**63 - 1)), max_size=60)
)
def test_value_counts(keyed: Any, pairs: Any) -> None:
    ids, values = np.array([i for i, _ in pairs], "i8"), np.array([v for _, v in pairs], "i8")
    got = [part.tolist() for part in keyed.value_counts(ids, values)]
    wanted = Counter(pair for pair in pairs if pair[0] >= 0)
    assert list(zip(*got, strict=True)) == [(*pair, count) for pair, count in sorted(wanted.items())]


def test_many_rows_give_the_same_bits_in_both() -> None:
    rng = np.random.default_rng(0)
    keys = rng.integers(-(2**40), 2**40, 30_000)[rng.integers(0, 30_000, 200_000)]
    (ids, uniques), (other_ids, other_uniques) = reference.factorize(keys), cpu.factorize(keys)
    assert np.array_equal(ids, other_ids) and np.array_equal(uniques, other_uniques)
    values = rng.normal(size=len(ids)) * np.exp(rng.normal(size=len(ids)) * 20)
    for name in ("keyed_sum", "keyed_min", "keyed_max"):
        a, b = (getattr(module, name)(ids, values, len(uniques)) for module in (reference, cpu))
        assert np.array_equal(a.view("u8"), b.view("u8"))
    for a, b in zip(reference.value_counts(ids % 50, keys), cpu.value_counts(ids % 50, keys), strict=True):
        assert np.array_equal(a, b) and a.dtype == b.dtype


@TWINS
def test_ids_out_of_range_are_refused(keyed: Any) -> None:
    for ids in ([3], [-2]):
        with pytest.raises(ParameterError):
            keyed.keyed_count(np.array(ids), 3)
        with pytest.raises(ParameterError):
            keyed.keyed_sum(np.array(ids), np.ones(1), 3)


def test_the_oracle_itself_groups_as_a_dictionary() -> None:
    sums: dict[int, float] = defaultdict(float)
    for key, value in ((1, 2.0), (1, 3.0), (0, 1.0)):
        sums[key] += value
    assert reference.keyed_sum(np.array([1, 1, 0]), np.array([2.0, 3.0, 1.0]), 2).tolist() == [sums[0], sums[1]]
