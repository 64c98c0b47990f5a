"""The demos' pipelines learn what the equal scikit-learn pipelines learn, on the same rows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import gpupipe as gp
from gpupipe.examples import churn, disease, flights

Halves = tuple[Any, Any, Any, Any]
AGREEMENT = 0.002  # between our AUC and scikit-learn's, on the same rows


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Callable[[ModuleType], Halves]:
    """From a demo to (training rows, held-out rows, their targets): 75/25, stratified, seed 0."""
    folder: Path = tmp_path_factory.mktemp("raw")

    def split(example: ModuleType) -> Halves:
        rows, target = example.frame(example.prepare(folder))
        found: Halves = tuple(train_test_split(rows, target, test_size=0.25, random_state=0, stratify=target))
        return found

    return split


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """OpenMP's threads wait for each other by spinning: on a busy machine two are much slower than one."""
    with threadpool_limits(1):
        yield


def auc(pipeline: gp.Pipeline, halves: Halves) -> float:
    train, test, _, y = halves
    return float(roc_auc_score(y, pipeline.fit(train).predict_proba(test)[:, 1]))


def reference_auc(example: ModuleType, halves: Halves, model: Any = None) -> float:
    train, test, y_train, y_test = halves
    reference = example.reference()
    if model is not None:
        reference.steps[-1] = ("model", model)
    return float(roc_auc_score(y_test, reference.fit(train, y_train).predict_proba(test)[:, 1]))


@pytest.mark.parametrize(("example", "floor"), [(churn, 0.844), (disease, 0.9955)], ids=["churn", "disease"])
def test_logistic_demos_reach_scikit_learn(
    example: ModuleType, floor: float, halves: Callable[[ModuleType], Halves]
) -> None:
    rows = halves(example)
    ours = auc(example.pipeline(), rows)
    assert ours >= floor
    assert abs(ours - reference_auc(example, rows)) <= AGREEMENT


def test_flights_reach_their_floor(halves: Callable[[ModuleType], Halves]) -> None:
    assert auc(flights.pipeline(), halves(flights)) >= 0.776


@pytest.mark.slow
def test_flights_agree_with_scikit_learn(halves: Callable[[ModuleType], Halves]) -> None:
    rows = halves(flights)
    assert abs(auc(flights.pipeline(), rows) - reference_auc(flights, rows)) <= AGREEMENT


@pytest.mark.slow
def test_flights_with_a_logistic_model_agree_with_scikit_learn(halves: Callable[[ModuleType], Halves]) -> None:
    rows = halves(flights)
    pipeline = flights.pipeline()
    pipeline.model = LogisticRegression(max_iter=500)
    ours = auc(pipeline, rows)
    assert ours >= 0.653
    assert abs(ours - reference_auc(flights, rows, LogisticRegression(max_iter=500))) <= AGREEMENT


def test_flights_source_joins_as_pandas_does(tmp_path: Path) -> None:
    tables = flights.prepare(tmp_path)
    source, (frame, target) = flights.source(tables), flights.frame(tables)
    assert source.counts().rows_kept == len(frame)
    names = ["temp", "seats", "arr_delay", "wind_dir"]
    found = [source.load(number, names) for number in range(len(source.partitions))]
    for name in names:
        columns = [part[name] for part in found]
        values = [np.where(True if c.valid is None else c.valid, c.values.astype(float), np.nan) for c in columns]
        np.testing.assert_array_equal(np.concatenate(values), frame[name].to_numpy(float))
    assert float(target.mean()) == pytest.approx(0.23715, abs=1e-5)
