"""Word n-grams: how many columns they may be, and long windows. What they count is tested beside scikit-learn."""

import time

import pytest
from engine import DEVICES, computed

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import ParameterError

SOURCE = {"note": ["aa bb cc", "aa"], "other": ["x", "y"]}


@pytest.mark.parametrize("feature", [col("note").str.word_ngrams(1_001), gp.strings().str.word_ngrams(11, limit=10)])
def test_too_many_columns_are_refused_while_planning_naming_the_column(feature):
    with pytest.raises(ParameterError, match=r"word_ngrams would make 1,?\d+ columns; its limit"):
        gp.Pipeline([feature]).explain(gp.scan(SOURCE))


def test_the_limit_can_be_raised_and_lowered():
    assert len(computed([col("note").str.word_ngrams(1_001, limit=1_001)], "cpu", SOURCE)) == 1_001
    assert len(computed([col("note").str.word_ngrams(1_000)], "cpu", SOURCE)) == 1_000
    with pytest.raises(ParameterError, match="limit is a whole number from 1 on, not 0"):
        col("note").str.word_ngrams(8, limit=0)


@pytest.mark.parametrize("device", DEVICES)
def test_windows_longer_than_any_text_cost_nothing(device):
    started = time.process_time()
    found = computed([col("note").str.word_ngrams(4, n=(1, 10**12))], device, SOURCE)
    assert time.process_time() - started < 1
    assert [sum(row) for row in zip(*found.values(), strict=True)] == [6.0, 1.0]


@pytest.mark.parametrize("seed", [-1, 1.5, True, 2**63])
def test_a_seed_is_checked_where_it_is_written(seed):
    with pytest.raises(ParameterError, match="seed is a whole number"):
        gp.col("x").hash_buckets(8, seed=seed)
    with pytest.raises(ParameterError, match="seed is a whole number"):
        gp.col("x").str.word_ngrams(8, seed=seed)


def test_no_more_buckets_than_codes_can_count():
    with pytest.raises(ParameterError, match="below 2\\^30"):
        gp.col("x").hash_buckets(2**31)
