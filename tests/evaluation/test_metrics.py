"""Every measure against scikit-learn's, weighted and not, with ties, on hard shapes of data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from gpupipe.evaluation import evaluate_arrays
from gpupipe.evaluation.measure import measure
from gpupipe.evaluation.metrics import Classification, Regression


def near(expected):
    return pytest.approx(expected, rel=1e-12, abs=1e-12)


def values(sample, weights=None):
    """The values alone; what is undefined is left out."""
    weights = np.ones(len(sample.true)) if weights is None else weights
    found = measure(sample, weights, None, None, 0)
    return {name: metric.value for name, metric in found.items() if metric.value is not None}


def binary(y, p):
    return Classification(y, np.column_stack([1 - p, p]), True)


def expected_binary(y, p, w):
    said = (p > 1 - p).astype(int)
    weigh = {"sample_weight": w}
    return {
        "accuracy": oracle.accuracy_score(y, said, **weigh),
        "balanced_accuracy": oracle.balanced_accuracy_score(y, said, **weigh),
        "precision": oracle.precision_score(y, said, **weigh),
        "recall": oracle.recall_score(y, said, **weigh),
        "f1": oracle.f1_score(y, said, **weigh),
        "log_loss": oracle.log_loss(y, np.column_stack([1 - p, p]), labels=[0, 1], **weigh),
        "brier": oracle.brier_score_loss(y, p, **weigh),
        "roc_auc": oracle.roc_auc_score(y, p, **weigh),
        "pr_auc": oracle.average_precision_score(y, p, **weigh),
    }


def make(rng, n, classes, levels, weighted):
    """Labels with every class present and predicted, probabilities of few levels (ties), weights with
    zeros."""
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    z = rng.normal(size=(n, classes))
    z[np.arange(n), y] += 0.7
    z[:classes] = np.eye(classes) * 5
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    if levels and classes == 2:
        p = np.round(p[:, 1] * levels) / levels
        p = np.column_stack([1 - p, p])
    w = rng.choice([0.0, 0.25, 1.0, 3.7], n) if weighted else None
    if w is not None:
        w[:classes] = 1
    return y, p, w


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("levels", [0, 3, 10])
@pytest.mark.parametrize("n", [2, 5, 60, 3000])
def test_two_classes(n, levels, weighted):
    y, p, w = make(np.random.default_rng(n + levels), n, 2, levels, weighted)
    assert values(binary(y, p[:, 1]), w) == near(expected_binary(y, p[:, 1], w))


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([0, 0.1, 0.5, 0.50001, 0.9, 1]), st.integers(0, 3)),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=80, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_two_classes_with_any_ties(rows):
    y, p, w = (np.array(column, float) for column in zip(*rows, strict=True))
    if not w.any():
        return
    sample = binary(y.astype(int), p)
    found, expected = values(sample, w), expected_binary(y.astype(int), p, w)
    undefined = expected.keys() - found.keys()
    assert found == near({name: expected[name] for name in found})
    positive, said = w[y == 1].sum(), w[sample.predicted == 1].sum()
    should = set()
    should |= {"precision"} if not said else set()
    should |= {"f1"} if not said + positive else set()
    should |= {"recall", "pr_auc"} if not positive else set()
    should |= {"roc_auc", "balanced_accuracy"} if positive in (0, w.sum()) else set()
    assert undefined == should


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [3, 5, 7])
def test_many_classes(classes, weighted):
    y, p, w = make(np.random.default_rng(classes), 2000, classes, 0, weighted)
    said, weigh = p.argmax(axis=1), {"sample_weight": w}
    macro = {"average": "macro", **weigh}
    expected = {
        "accuracy": oracle.accuracy_score(y, said, **weigh),
        "balanced_accuracy": oracle.balanced_accuracy_score(y, said, **weigh),
        "precision": oracle.precision_score(y, said, **macro),
        "recall": oracle.recall_score(y, said, **macro),
        "f1": oracle.f1_score(y, said, **macro),
        "log_loss": oracle.log_loss(y, p, **weigh),
        "brier": oracle.brier_score_loss(y, p, **weigh),
        "roc_auc": oracle.roc_auc_score(y, p, multi_class="ovr", **macro),
        "pr_auc": oracle.average_precision_score(y, p, **macro),
    }
    sample = Classification(y, p, True)
    assert values(sample, w) == near(expected)
    matrix = sample.confusion(np.ones((1, len(y))) if w is None else w[None])[0]
    np.testing.assert_allclose(matrix, oracle.confusion_matrix(y, said, **weigh), rtol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_a_class_that_is_never_predicted_or_never_occurs():
    y = np.array([0, 0, 1, 1, 2, 2])
    for said in ([0, 0, 1, 0, 1, 0], [0, 3, 1, 1, 2, 3]):
        p = np.eye(4)[said] * 0.6 + 0.1
        found = values(Classification(y, p, True))
        for name, function in (("precision", oracle.precision_score), ("f1", oracle.f1_score)):
            assert found[name] == near(function(y, said, average="macro"))
        assert found["balanced_accuracy"] == near(oracle.balanced_accuracy_score(y, said))
        assert "roc_auc" not in found and "pr_auc" not in found


@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_constant_scores(score):
    y = np.array([0, 1, 1, 0, 1])
    found = values(binary(y, np.full(5, score)))
    assert found["roc_auc"] == 0.5
    assert found["pr_auc"] == near(0.6)
    expected = oracle.log_loss(y, np.column_stack([np.full(5, 1 - score), np.full(5, score)]))
    assert found["log_loss"] == near(expected)


def test_decision_values_have_no_losses():
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, 300), rng.normal(size=300)
    found = values(Classification(y, np.column_stack([-scores, scores]), False))
    assert found.keys() == {"accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc"}
    assert found["accuracy"] == near(oracle.accuracy_score(y, scores > 0))
    assert found["roc_auc"] == near(oracle.roc_auc_score(y, scores))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_regression(shift, weighted):
    rng = np.random.default_rng(3)
    y = rng.normal(size=800) + shift
    said = y + rng.normal(size=800)
    w = rng.choice([0.0, 0.5, 4.0], 800) if weighted else None
    expected = {
        "rmse": oracle.root_mean_squared_error(y, said, sample_weight=w),
        "mae": oracle.mean_absolute_error(y, said, sample_weight=w),
        "r2": oracle.r2_score(y, said, sample_weight=w),
    }
    assert values(Regression(y, said), w) == near(expected)


def test_a_constant_target_has_no_r2():
    assert values(Regression(np.full(9, 0.1), np.arange(9.0))).keys() == {"rmse", "mae"}
    weights = np.array([1.0, 1, 0])
    assert values(Regression(np.array([0.1, 0.1, 5]), np.arange(3.0)), weights).keys() == {"rmse", "mae"}


@pytest.mark.parametrize("kind", ["two", "six", "regressor"])
def test_the_order_of_rows_changes_no_bit(kind):
    rng = np.random.default_rng(8)
    n, ids = 700, rng.permutation(10**6)[:700].astype(np.uint64)
    w, city = rng.uniform(0.1, 3, n), rng.choice(["a", "b", "c"], n)
    if kind == "regressor":
        y = rng.normal(size=n)
        given, classes = y + rng.normal(size=n), None
    else:
        y, given, _ = make(rng, n, {"two": 2, "six": 6}[kind], 0, False)
        classes = list(range(given.shape[1]))
    family = "regressor" if kind == "regressor" else "classifier"
    found = []
    for order in (np.arange(n), rng.permutation(n), np.arange(n)[::-1]):
        slices = {"city": city[order]}
        result = evaluate_arrays(family, y[order], given[order], classes, w[order], ids[order], slices)
        found.append(result.to_dict())
    assert found[0] == found[1] == found[2]
