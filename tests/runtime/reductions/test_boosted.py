"""XGBoost from partitions by its data iterator, against XGBoost on a matrix of all rows."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from xgboost import XGBClassifier, XGBRanker, XGBRegressor, XGBRFClassifier

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import ModelOptionError, ParameterError, TrainingError, UnsupportedEstimatorError

from .rows import TABLE, column, table

FEATURES = [gp.cols("a", "b", "c"), col("k").codes()]  # with nulls
TEST = table(2000, seed=9)
SMALL = {"n_estimators": 20, "max_depth": 3}


def trained(model: Any, target: Any, **how: Any) -> Any:
    fit = {name: how.pop(name) for name in ("validation",) if name in how}
    pipeline = gp.Pipeline(FEATURES, target, model, **how)
    return pipeline.fit(gp.scan(TABLE, partitions=4), **fit)


def auc(pipeline: Any) -> float:
    said = pipeline.predict_proba(TEST, output="numpy")[:, 1]
    return float(roc_auc_score(column("two", TEST) == "yes", said))


@pytest.mark.parametrize("memory", ["1GiB", "20kB"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_a_classifier(memory: str, weights: Any) -> None:
    ours = trained(XGBClassifier(**SMALL), "two", weights=weights, memory=memory, training="partitions")
    theirs = trained(XGBClassifier(**SMALL), "two", weights=weights)
    assert abs(auc(ours) - auc(theirs)) < 0.002 and auc(ours) > 0.7
    where = "in temporary files" if memory == "20kB" else "in memory"
    assert ours.report_.training is not None and ours.report_.training.endswith(where)


@pytest.mark.parametrize("memory", ["1GiB", "20kB"])
def test_rows_to_stop_by(memory: str) -> None:
    model = XGBClassifier(n_estimators=300, early_stopping_rounds=3, learning_rate=1.0)
    ours = trained(model, "two", validation=TEST, memory=memory, training="partitions")
    theirs = trained(model, "two", validation=TEST)
    assert abs(auc(ours) - auc(theirs)) < 0.002
    assert len(ours.model_.body.ubj) < 100_000  # it stopped long before 300 rounds


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (XGBClassifier(**SMALL), "three"),
        (XGBRegressor(**SMALL), ["number", "other"]),
        (XGBRegressor(**SMALL, max_bin=600, monotone_constraints={"a": 1}), "number"),
    ],
)
def test_others(model: Any, target: Any) -> None:
    ours, theirs = trained(model, target, training="partitions"), trained(model, target)
    a, b = (pipeline.model_.predict(matrix()) for pipeline in (ours, theirs))
    if target == "three":
        assert (a == b).mean() > 0.97
    else:
        assert np.abs(a - b).mean() < 0.05 * np.abs(b - b.mean()).mean()
    again = trained(model, target, training="partitions")
    assert again.model_.digest() == ours.model_.digest()


def matrix() -> Any:
    return gp.Pipeline(FEATURES).fit(TABLE).transform(TEST, output="numpy")


def test_no_file_is_left(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    trained(XGBClassifier(**SMALL), "two", memory="20kB", training="partitions")
    with pytest.raises(TrainingError):
        trained(XGBClassifier(**SMALL, eta="x"), "two", memory="20kB", training="partitions")
    assert os.listdir(tmp_path) == []


def test_what_is_refused() -> None:
    how: dict[str, Any] = {"training": "partitions"}
    with pytest.raises(UnsupportedEstimatorError, match="XGBRanker cannot be trained on partitions"):
        gp.Pipeline([col("a")], "c", XGBRanker(), groups="k", **how).fit(TABLE)
    with pytest.raises(ModelOptionError, match="tree_method='exact'"):
        trained(XGBClassifier(tree_method="exact"), "two", **how)
    with pytest.raises(ModelOptionError, match="eval_metric"):
        trained(XGBClassifier(eval_metric=lambda y, p: 0.0), "two", **how)
    with pytest.raises(ParameterError, match="early_stopping_rounds"):
        trained(XGBClassifier(early_stopping_rounds=3), "two", **how)
    with pytest.raises(ParameterError, match="early_stopping_rounds is not set"):
        trained(XGBClassifier(), "two", validation=TEST, **how)


def test_random_forests_of_xgboost() -> None:
    ours = trained(XGBRFClassifier(n_estimators=10, random_state=0), "two", training="partitions")
    theirs = trained(XGBRFClassifier(n_estimators=10, random_state=0), "two")
    assert abs(auc(ours) - auc(theirs)) < 0.01
