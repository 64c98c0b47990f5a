"""Trained on partitions, a model has the same bits however its rows lie and whoever works on them in which order."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import drawn, source_of, worked_as
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB

import gpupipe as gp
from gpupipe import col

from .rows import COUNTS, SCALED, table

ROWS = table(700, seed=3)
OUT_OF_FOLD = [*SCALED[:1], col("k").target_mean()]
CASES: dict[str, tuple[Any, Any, Any, Any]] = {  # estimator, target, weights, features
    "logistic": (LogisticRegression(), "two", None, SCALED),
    "weighted": (LogisticRegression(C=10.0, class_weight="balanced"), "three", "w", SCALED),
    "lbfgs": (LogisticRegression(solver="newton-cg", max_iter=15), "three", "w", SCALED),
    "linear": (LinearRegression(), "number", "w", SCALED[:2]),
    "ridge": (Ridge(), ["number", "other"], "w", SCALED[:2]),
    "folds": (Ridge(), "number", "w", OUT_OF_FOLD),
    "components": (PCA(3), None, None, SCALED),
    "clusters": (KMeans(4, random_state=2), None, None, SCALED),
    "random": (KMeans(4, init="random", n_init=2, random_state=5), None, "w", SCALED),
    "gaussian": (GaussianNB(), "three", "w", SCALED),
    "multinomial": (MultinomialNB(), "three", "w", COUNTS),
    "complement": (ComplementNB(), "two", None, COUNTS),
    "bernoulli": (BernoulliNB(), "two", "w", COUNTS),
}


def declared(case: str, memory: Any = None) -> Any:
    model, target, weights, features = CASES[case]
    return gp.Pipeline(features, target, model, weights=weights, training="partitions", memory=memory)


@pytest.fixture(scope="module")
def digests() -> dict[str, str]:
    """Of models fitted on all rows in one partition."""
    found = {}
    for case in CASES:
        found[case] = declared(case).fit(gp.scan(ROWS, partitions=1)).model_.digest()
    return found


def check(case: str, seed: int, digest: str, folder: Path, monkeypatch: Any) -> None:
    layout = drawn(seed, len(ROWS))
    source = source_of(ROWS, layout, folder)
    with worked_as(layout, monkeypatch):
        assert declared(case, layout.memory).fit(source).model_.digest() == digest, (case, layout)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", CASES)
@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_layouts_do_not_show(case: str, seed: int, digests: Any, tmp_path: Path, monkeypatch: Any) -> None:
    check(case, seed, digests[case], tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", CASES)
def test_many_layouts_do_not_show(case: str, digests: Any, tmp_path: Path, monkeypatch: Any) -> None:
    for seed in range(20):
        check(case, seed, digests[case], tmp_path, monkeypatch)


def test_a_key_that_several_rows_share_does_not_show(tmp_path: Path, monkeypatch: Any) -> None:
    """Rows of one key have one identity, by which centres are drawn."""
    found = set()
    for seed in (1, 2, 3):
        layout = drawn(seed, len(ROWS))
        pipeline: Any = gp.Pipeline(SCALED[:1], model=KMeans(4, random_state=0), key="c", training="partitions")
        with worked_as(layout, monkeypatch):
            found.add(pipeline.fit(source_of(ROWS, layout, tmp_path)).model_.digest())
    assert len(found) == 1
