"""The intervals: formulas written out, quadratic forms, and how often they cover the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from gpupipe.evaluation import evaluate_arrays, intervals
from gpupipe.evaluation.ranking import Ranking, effective_size


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 10), (1, 10), (50, 100), (99, 100), (10, 10), (1, 1), (123, 45678)]
)
def test_wilson_solves_its_equation(hits, n):
    low, high = intervals.wilson(hits / n, n)
    for bound in (low, high):  # |share - p| = z sqrt(p (1 - p) / n)
        assert abs(hits / n - bound) == pytest.approx(
            1.959964 * math.sqrt(bound * (1 - bound) / n), rel=1e-5, abs=1e-9
        )
    assert 0 <= low <= hits / n <= high <= 1
    exact = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((exact.low, exact.high), rel=1e-9, abs=1e-12)


def delong_by_pairs(scores, positive, weights):
    """Every pair looked at: the area, and its variance by DeLong's formula."""
    x, y, wx, wy = scores[positive], scores[~positive], weights[positive], weights[~positive]
    psi = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    area = wx @ psi @ wy / (wx.sum() * wy.sum())
    variance = 0
    for values, w in ((psi @ wy / wy.sum(), wx), (wx @ psi / wx.sum(), wy)):
        size = w.sum() ** 2 / (w**2).sum()
        variance += (w**2 * (values - area) ** 2).sum() / w.sum() ** 2 * size / (size - 1)
    return area, variance


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("n", [10, 200])
def test_delong_is_what_all_pairs_give(n, levels, weighted):
    rng = np.random.default_rng(n)
    positive = rng.random(n) < 0.4
    scores = rng.normal(size=n) + positive
    scores = np.round(scores * levels) if levels else scores
    weights = rng.uniform(0, 3, n) if weighted else np.ones(n)
    area, errors = Ranking.of(scores, positive).roc_auc(weights)
    expected_area, variance = delong_by_pairs(scores, positive, weights)
    assert area == pytest.approx(expected_area, rel=1e-12)
    assert np.sum(errors**2) == pytest.approx(variance, rel=1e-10)
    if not weighted:  # the textbook's form, with the sample variances of the placements
        x, y = scores[positive], scores[~positive]
        psi = (x[:, None] > y) + 0.5 * (x[:, None] == y)
        textbook = psi.mean(1).var(ddof=1) / len(x) + psi.mean(0).var(ddof=1) / len(y)
        assert np.sum(errors**2) == pytest.approx(textbook, rel=1e-10)


def test_delong_stays_inside_and_is_honest_where_all_is_in_order():
    low, high = intervals.delong(1.0, np.zeros(20), 10.0)
    assert 0.6 < low < 0.8 and high == 1.0
    low, high = intervals.delong(0.99, np.full(4, 0.02), 10.0)
    assert 0 < low < 0.99 < high < 1


def test_effective_size():
    assert effective_size(np.full(7, 0.3)) == pytest.approx(7)
    assert effective_size(np.array([5.0, 0, 0])) == 1
    assert effective_size(np.zeros(0)) == 0


def test_draws_are_poisson_and_independent():
    ids = np.arange(4000, dtype=np.uint64)
    counts = np.concatenate(list(intervals.draws(ids, 0))).astype(float)
    assert counts.shape == (intervals.REPLICATES, 4000)
    expected = stats.poisson(1).pmf(np.arange(7)) * counts.size
    seen = np.bincount(counts.astype(int).ravel(), minlength=7)[:7]
    assert stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-4
    by_row = np.corrcoef(counts.T[:200])
    by_replicate = np.corrcoef(counts)
    assert np.abs(by_row - np.eye(200)).max() < 6 / math.sqrt(intervals.REPLICATES)
    assert np.abs(by_replicate - np.eye(intervals.REPLICATES)).max() < 6 / math.sqrt(4000)


def test_draws_look_at_identity_alone():
    ids = np.random.default_rng(0).integers(0, 2**63, 300_000, dtype=np.uint64)
    whole = np.concatenate(list(intervals.draws(ids, 5)))[:, 1000:1010]
    some = np.concatenate(list(intervals.draws(ids[1000:1010], 5)))
    assert (whole == some).all()
    assert (np.concatenate(list(intervals.draws(ids[:9], 5, cells=10**6))).shape) == (intervals.REPLICATES, 9)
    assert (some != np.concatenate(list(intervals.draws(ids[1000:1010], 6)))).any()


def test_undefined_replicates_are_left_out():
    values = np.arange(200.0)
    values[:50] = np.nan
    assert intervals.percentiles(values) == pytest.approx(tuple(np.quantile(values[50:], [0.025, 0.975])))
    values[:101] = np.nan
    assert intervals.percentiles(values) is None


def simulate(kind, seed):
    rng = np.random.default_rng(seed)
    n = 250
    if kind == "regressor":
        y = rng.normal(size=n)
        return evaluate_arrays(kind, y, 0.5 * y + rng.normal(size=n) * 0.5, seed=seed)
    late = rng.random(n) < 0.4
    p = 1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * (late - 0.5))))
    return evaluate_arrays(kind, late, p, [False, True], seed=seed)


def truth(kind):
    """Each measure on so many rows that it is known."""
    rng = np.random.default_rng(10**6)
    n = 400_000
    if kind == "regressor":
        y = rng.normal(size=n)
        found = fast(kind, y, 0.5 * y + rng.normal(size=n) * 0.5, None)
    else:
        late = rng.random(n) < 0.4
        found = fast(kind, late, 1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * (late - 0.5)))), [False, True])
    return {name: metric.value for name, metric in found.items()}


def fast(kind, y, said, classes):
    before = intervals.REPLICATES
    try:
        intervals.REPLICATES = 4
        return evaluate_arrays(kind, y, said, classes).metrics
    finally:
        intervals.REPLICATES = before


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_intervals_cover_the_truth_as_often_as_they_say(kind):
    known, trials = truth(kind), 150
    inside = dict.fromkeys(known, 0)
    for seed in range(trials):
        for name, metric in simulate(kind, seed).metrics.items():
            assert metric.low <= metric.high
            inside[name] += metric.low <= known[name] <= metric.high
    # 95 % of 150 is 142.5; four standard deviations of chance and a little for small samples.
    assert {name: count for name, count in inside.items() if count < 0.86 * trials} == {}
    assert sum(inside.values()) < 0.99 * trials * len(inside)


def width(metric):
    return metric.high - metric.low


def test_equal_identities_are_drawn_together():
    rng = np.random.default_rng(1)
    y, ids = np.repeat(rng.normal(size=50), 40), np.repeat(np.arange(50), 40)
    said = y + np.repeat(rng.normal(size=50), 40)
    together = evaluate_arrays("regressor", y, said, row_ids=ids).metrics["rmse"]
    apart = evaluate_arrays("regressor", y, said).metrics["rmse"]
    assert together.value == pytest.approx(apart.value)
    assert width(together) > 3 * width(apart)


def test_weights_that_are_repeats_widen_shares_as_repeats_do():
    y, said = np.array([0, 1, 1, 1] * 20), np.array([0.1, 0.9, 0.8, 0.3] * 20)
    plain = evaluate_arrays("classifier", y, said, [0, 1]).metrics["accuracy"]
    scaled = evaluate_arrays("classifier", y, said, [0, 1], np.full(80, 7.0)).metrics["accuracy"]
    assert (plain.low, plain.high) == pytest.approx((scaled.low, scaled.high))
    # Rows that carry no weight are no rows.
    some = np.where(np.arange(80) < 8, 1.0, 0.0)
    few = evaluate_arrays("classifier", y[:8], said[:8], [0, 1]).metrics["accuracy"]
    held = evaluate_arrays("classifier", y, said, [0, 1], some).metrics["accuracy"]
    assert (held.low, held.high) == pytest.approx((few.low, few.high))
