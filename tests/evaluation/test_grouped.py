"""Measures of a ranking, against scikit-learn, XGBoost, LightGBM, and every order of tied rows written out."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from gpupipe.errors import DataError, ParameterError, TargetError
from gpupipe.evaluation import evaluate_arrays
from gpupipe.evaluation.grouped import RANKER, Ranked

RNG = np.random.default_rng(0)
N = 1200
GROUPS = RNG.integers(0, 90, N)
TRUE = RNG.choice([0, 0, 0, 1, 2, 3], N) * (GROUPS % 7 != 0)  # every seventh group has nothing relevant
SCORES = np.round(TRUE * 0.3 + RNG.normal(size=N), 1)  # with ties


def each(measure: Any) -> np.ndarray[Any, Any]:
    """A function of (relevance, scores) by group; NaN where a group tells nothing."""
    found = []
    for group in np.unique(GROUPS):
        mine = group == GROUPS
        tells = mine.sum() > 1 and TRUE[mine].any()
        found.append(measure(TRUE[mine], SCORES[mine]) if tells else np.nan)
    return np.array(found)


@pytest.mark.parametrize("k", [None, 5, 10, 1])
def test_ndcg_is_scikit_learns(k: int | None) -> None:
    got = Ranked(TRUE * 1.0, SCORES, GROUPS).ndcg(k)
    want = each(lambda true, scores: ndcg_score([true], [scores], k=k))
    tells = ~np.isnan(want)
    np.testing.assert_allclose(got[tells], want[tells], rtol=1e-12)


def test_average_precision_is_scikit_learns_where_no_scores_tie() -> None:
    ranks = np.argsort(np.argsort(SCORES, kind="stable"))
    got = Ranked(TRUE * 1.0, ranks * 1.0, GROUPS).measures()["map"]
    want = [
        average_precision_score(TRUE[mine] > 0, ranks[mine]) if mine.sum() > 1 and TRUE[mine].any() else np.nan
        for mine in (group == GROUPS for group in np.unique(GROUPS))
    ]
    np.testing.assert_allclose(got, want, rtol=1e-12)


def in_order(true: Any) -> dict[str, float]:
    """The measures of rows in this order, by their definitions."""
    hits = [at for at, one in enumerate(true, 1) if one > 0]
    best = sorted(true, reverse=True)
    discounted = {k: [sum(t / np.log2(i + 2) for i, t in enumerate(o[:k])) for o in (true, best)] for k in (5, 10, 99)}
    ndcg = {k: got / top for k, (got, top) in discounted.items()}
    precision = [n / at for n, at in enumerate(hits, 1)]
    return {"ndcg_at_5": ndcg[5], "ndcg_at_10": ndcg[10], "ndcg": ndcg[99],
            "map": sum(precision) / len(precision), "mrr": 1 / hits[0]}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=6))
def test_ties_count_as_every_order_on_average(rows: list[tuple[int, int]]) -> None:
    true, scores = (np.array(column, float) for column in zip(*rows, strict=True))
    found = Ranked(true, scores, np.zeros(len(true), int)).measures()
    orders = [order for order in itertools.permutations(range(len(true))) if (np.diff(scores[list(order)]) <= 0).all()]
    for name in RANKER:
        if not true.any():
            assert np.isnan(found[name]).all()
        else:
            want = np.mean([in_order(true[list(order)].tolist())[name] for order in orders])
            assert found[name][0] == pytest.approx(want, rel=1e-12)


def test_the_value_is_the_mean_over_groups_that_tell_something() -> None:
    found = evaluate_arrays("ranker", TRUE, SCORES, groups=GROUPS)
    want = each(lambda true, scores: ndcg_score([true], [scores], k=10))
    assert found.metrics["ndcg_at_10"].value == pytest.approx(np.nanmean(want), rel=1e-12)
    assert np.isnan(want).sum() >= 12 and list(found.metrics) == list(RANKER)
    assert found.n_groups == len(np.unique(GROUPS))
    flat = each(lambda true, scores: ndcg_score([true], [np.zeros(len(true))]))
    assert found.baseline["ndcg"].value == pytest.approx(np.nanmean(flat), rel=1e-12)
    assert found.baseline["ndcg"].low is None


def test_intervals_draw_whole_groups() -> None:
    """Rows repeated within their groups are no further evidence: the interval stays as wide."""
    once = evaluate_arrays("ranker", TRUE, SCORES, groups=GROUPS).metrics["ndcg"]
    assert once.low is not None and once.high is not None and once.value is not None
    per_group = each(lambda true, scores: ndcg_score([true], [scores]))
    per_group = per_group[~np.isnan(per_group)]
    half = 1.96 * per_group.std(ddof=1) / np.sqrt(len(per_group))
    assert once.low < once.value < once.high
    assert (once.high - once.low) / 2 == pytest.approx(half, rel=0.25)


def test_intervals_cover_the_truth() -> None:
    """Samples of groups from a population whose mean is known: about 95 of 100 intervals hold it."""
    rng, covered = np.random.default_rng(5), 0
    rows = [row for row in itertools.product([0, 1], repeat=6) if any(row)]
    truth = np.mean([ndcg_score([row], [np.zeros(6)]) for row in rows])
    for trial in range(100):
        groups = np.repeat(np.arange(40), 6)
        true = rng.integers(0, 2, 240)
        found = evaluate_arrays("ranker", true, rng.normal(size=240), groups=groups, seed=trial)
        metric = found.metrics["ndcg"]
        covered += metric.low <= truth <= metric.high
    assert 85 <= covered <= 100


def test_neither_order_nor_names_of_groups_matter() -> None:
    plain = evaluate_arrays("ranker", TRUE, SCORES, groups=GROUPS)
    order = RNG.permutation(N)
    names = np.array([f"q{group * 7 % 90}" for group in GROUPS], object)
    again = evaluate_arrays("ranker", TRUE[order], SCORES[order], groups=names[order], row_ids=np.arange(N)[order])
    for name, metric in plain.metrics.items():
        other = again.metrics[name]
        assert [metric.value, metric.low, metric.high] == pytest.approx([other.value, other.low, other.high], rel=1e-12)


def test_weights_weigh_groups() -> None:
    weight = np.where(GROUPS < 45, 2.0, 0.0)
    found = evaluate_arrays("ranker", TRUE, SCORES, groups=GROUPS, weights=weight)
    want = each(lambda true, scores: ndcg_score([true], [scores]))
    assert found.metrics["ndcg"].value == pytest.approx(np.nanmean(want[np.unique(GROUPS) < 45]), rel=1e-12)


def test_slices_and_the_page() -> None:
    city = np.where(GROUPS % 2, "x", "y")
    found = evaluate_arrays("ranker", TRUE, SCORES, groups=GROUPS, slices={"city": city})
    alone = evaluate_arrays("ranker", TRUE[city == "x"], SCORES[city == "x"], groups=GROUPS[city == "x"])
    assert found.slices["city"]["x"].metrics["map"].value == pytest.approx(alone.metrics["map"].value)
    assert "Evaluation of a ranker on 1,200 rows in 90 groups" in repr(found)
    assert "ndcg_at_10" in repr(found) and "by city" in found._repr_html_()
    assert found.to_dict()["n_groups"] == 90 and found.to_dict()["metrics"]["mrr"]["low"] is not None


def test_nothing_relevant_gives_reasons() -> None:
    for true, groups in ((np.zeros(4), [0, 0, 1, 1]), (np.ones(4), [0, 1, 2, 3])):
        found = evaluate_arrays("ranker", true, np.arange(4.0), groups=groups)
        assert {metric.reason for metric in found.metrics.values()} == {
            "no group of two rows or more has a relevant row"
        }
        assert all(metric.value is None for metric in found.baseline.values())


def test_rankings_as_xgboost_and_lightgbm_judge_them() -> None:
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    order = np.argsort(GROUPS, kind="stable")
    keep = [g for g in np.unique(GROUPS) if TRUE[g == GROUPS].any() and (g == GROUPS).sum() > 1]
    order = order[np.isin(GROUPS[order], keep)]  # they give groups without a relevant row 0 or 1
    true, groups = TRUE[order], GROUPS[order]
    X = np.stack([np.argsort(np.argsort(SCORES[order], kind="stable")), RNG.normal(size=len(order))], axis=1)
    sizes = np.unique(groups, return_counts=True)[1]
    theirs: dict[str, dict[str, list[float]]] = {}
    light = lightgbm.LGBMRanker(n_estimators=20, n_jobs=1, num_leaves=63, min_child_samples=1, verbosity=-1,
                                label_gain=[0, 1, 2, 3], learning_rate=0.3)  # fmt: skip
    light.fit(X, true, group=sizes, eval_X=(X.copy(),), eval_y=(true,), eval_group=[sizes], eval_at=[5, 10],
              eval_metric=["ndcg", "map"], callbacks=[lightgbm.record_evaluation(theirs)])  # fmt: skip
    scores = light.predict(X)
    scores += np.arange(len(scores)) * -1e-12  # LightGBM sorts ties by position
    found = evaluate_arrays("ranker", true, scores, groups=groups).metrics
    last = {name: values[-1] for name, values in next(iter(theirs.values())).items()}
    assert found["ndcg_at_5"].value == pytest.approx(last["ndcg@5"], rel=1e-9)
    assert found["ndcg_at_10"].value == pytest.approx(last["ndcg@10"], rel=1e-9)
    model = xgboost.XGBRanker(n_estimators=20, n_jobs=1, ndcg_exp_gain=False, eval_metric=["ndcg@5", "ndcg", "map"])
    binary = (true > 0).astype(int)
    model.fit(X, binary, qid=groups, eval_set=[(X, binary)], eval_qid=[groups], verbose=False)
    scores = model.predict(X) + np.arange(len(X)) * -1e-7
    last = {name: values[-1] for name, values in model.evals_result()["validation_0"].items()}
    found = evaluate_arrays("ranker", binary, scores, groups=groups).metrics
    assert found["ndcg_at_5"].value == pytest.approx(last["ndcg@5"], abs=1e-6)
    assert found["ndcg"].value == pytest.approx(last["ndcg"], abs=1e-6)
    assert found["map"].value == pytest.approx(last["map"], abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"groups": None}, ParameterError, "judged within groups"),
        ({"groups": [1, 1, 2]}, ParameterError, "3 groups for 4 rows"),
        ({"groups": [1, None, 2, 2]}, DataError, "null in 1 of 4 rows"),
        ({"y_true": [1.0, -1.0, 0.0, 0.0]}, TargetError, "from 0 on"),
        ({"y_true": ["a", "b", "c", "d"]}, TargetError, "numeric"),
        ({"y_true": [], "outputs": [], "groups": []}, TargetError, "null|no rows|numeric"),
    ],
)
def test_what_is_refused(changes: Any, error: type[Exception], says: str) -> None:
    given: dict[str, Any] = {"y_true": [1, 0, 0, 2], "outputs": [1.0, 2.0, 3.0, 4.0], "groups": [1, 1, 2, 2]}
    with pytest.raises(error, match=says):
        evaluate_arrays("ranker", **{**given, **changes})
