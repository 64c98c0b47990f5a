"""CatBoost as arrays: losses, missing values, ways of growing, against CatBoost's own numbers."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from catboost import CatBoostClassifier, CatBoostRanker, CatBoostRegressor, Pool
from hypothesis import given, settings
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe.errors import (
    ArtifactCorruptError,
    ColumnNotFoundError,
    GpupipeError,
    ModelError,
    NullableFeatureError,
    ParameterError,
    UnsafeModelError,
)
from gpupipe.models.estimators import describe
from gpupipe.models.fitted import Model
from gpupipe.models.forms import oblivious
from gpupipe.models.model import train

from .boosted_cases import CAT
from .case import LABELS, N_ROWS, NAMES, matrix, target

X, CLEAN = matrix(True, False), matrix(False, False)
Y, Y2, Y3 = target(False, 0), target(False, 2), target(False, 3)
HOLES = np.where(np.random.default_rng(1).random(X.shape) < 0.3, np.float32(np.nan), X)
HOLES[:20, 0], HOLES[20:40, 1] = np.inf, -np.inf


def check(estimator: Any, y: Any, codes: Any = None, X: Any = X, **given: Any) -> Model:
    """Train through the seam, and compare with CatBoost: sums in bits, probabilities to 1e-12, labels all."""
    model = train(estimator, X, y, feature_names=NAMES, **given)
    theirs = type(estimator)(**estimator.get_params()).fit(X, y if codes is None else codes)
    raw = theirs.predict(HOLES, prediction_type="RawFormulaVal")
    assert (model.body.raw(HOLES).reshape(raw.shape) == raw).all()
    if model.classes is not None:
        np.testing.assert_allclose(model.predict_proba(HOLES), theirs.predict_proba(HOLES), rtol=1e-12)
        assert (model.predict(HOLES) == np.array(model.classes)[np.ravel(theirs.predict(HOLES)).astype(int)]).all()
    else:
        np.testing.assert_allclose(model.predict(HOLES), theirs.predict(HOLES), rtol=1e-12)
    document, arrays, blobs = model.to_parts()
    again = Model.from_parts(json.loads(json.dumps(document)), arrays, blobs)
    one = np.concatenate([again.body.raw(HOLES[at : at + 1]) for at in range(20)])
    many = np.concatenate([HOLES] * 50)  # more rows than go through the trees at once
    assert len(many) > oblivious.ROWS and (again.body.raw(many)[:N_ROWS] == model.body.raw(HOLES)).all()
    assert one.tobytes() == model.body.raw(HOLES)[:20].tobytes() == model.body.raw(HOLES[:20]).tobytes()
    assert not blobs
    return model


LOSSES = ["RMSE", "MAE", "Quantile:alpha=0.3", "MAPE", "Lq:q=3", "Huber:delta=1", "Expectile:alpha=0.3", "LogCosh"]


@pytest.mark.parametrize("loss", [*LOSSES, "Poisson", "Tweedie:variance_power=1.5"])
def test_every_loss_of_a_regression(loss: str) -> None:
    model = check(CatBoostRegressor(**CAT, loss_function=loss), Y)
    assert model.form == "oblivious" and model.link == ("exp" if loss[:2] in ("Po", "Tw") else "identity")


@pytest.mark.parametrize("loss", [None, "Logloss", "CrossEntropy", "Focal:focal_alpha=0.5;focal_gamma=1"])
def test_two_classes(loss: str | None) -> None:
    model = check(CatBoostClassifier(**CAT, loss_function=loss), LABELS[2][Y2], Y2)
    assert model.link == "sigmoid" and model.classes == ("no", "yes")


@pytest.mark.parametrize("loss", [None, "MultiClass", "MultiClassOneVsAll"])
@pytest.mark.parametrize("growth", ["SymmetricTree", "Depthwise", "Lossguide"])
def test_three_classes(loss: str | None, growth: str) -> None:
    model = check(CatBoostClassifier(**CAT, loss_function=loss, grow_policy=growth), LABELS[3][Y3], Y3)
    assert model.form == ("oblivious" if growth == "SymmetricTree" else "trees")


@pytest.mark.parametrize("growth", ["SymmetricTree", "Depthwise", "Lossguide"])
@pytest.mark.parametrize("nan_mode", ["Min", "Max"])
@pytest.mark.parametrize("trained_on", ["holes", "clean"])
def test_missing_values_seen_in_training_or_not(growth: str, nan_mode: str, trained_on: str) -> None:
    rows = {"holes": X, "clean": CLEAN}[trained_on]
    model = check(CatBoostRegressor(**CAT, grow_policy=growth, nan_mode=nan_mode), Y, X=rows)
    above = model.arrays.get("missing_above")
    assert above is None or above.any() == (nan_mode == "Max" and trained_on == "holes")


def test_missing_values_forbidden() -> None:
    estimator = CatBoostRegressor(**CAT, nan_mode="Forbidden")
    assert describe(CatBoostRegressor()).accepts_nan and not describe(estimator).accepts_nan
    with pytest.raises(ModelError, match="nan values for  float features are not allowed"):
        train(estimator, X, Y, feature_names=NAMES)
    check(estimator, Y, X=CLEAN)


@pytest.mark.parametrize("depth", [1, 9, 11])
def test_trees_of_any_depth(depth: int) -> None:
    check(CatBoostRegressor(**{**CAT, "depth": depth, "n_estimators": 3}), Y)


def test_a_tree_may_be_a_single_leaf() -> None:
    flat = np.full(X.shape, 2.0, np.float32)
    flat[:, 0] = np.arange(N_ROWS) % 2
    y = np.arange(N_ROWS) // 2 % 2 * 1.0  # which no feature tells
    theirs = CatBoostRegressor(**CAT, min_data_in_leaf=N_ROWS, grow_policy="Lossguide").fit(flat, y)
    model = train(
        CatBoostRegressor(**CAT, min_data_in_leaf=N_ROWS, grow_policy="Lossguide"), flat, y, feature_names=NAMES
    )
    assert (model.predict(flat) == theirs.predict(flat)).all()
    body = oblivious.Oblivious(
        feature=np.zeros(1, np.int32),
        border=np.zeros(1, np.float32),
        depth=np.array([0, 1, 0], np.uint8),
        value=np.array([[1.0], [2.0], [3.0], [4.0]]),
        scale=np.ones(1),
        start=np.zeros(1),
        missing_above=np.zeros(1, np.uint8),
    )
    rows = np.array([[-1.0], [1.0], [np.nan]], np.float32)
    assert body.raw(rows).ravel().tolist() == [7.0, 8.0, 7.0]
    assert body.raw(np.repeat(rows, 100, axis=0)).ravel().tolist() == np.repeat([7.0, 8.0, 7.0], 100).tolist()


@pytest.mark.parametrize("rounds", [{"early_stopping_rounds": 5}, {"od_wait": 5, "od_type": "Iter"}, {}])
def test_validation_rows_choose_the_best_iteration(rounds: dict[str, Any]) -> None:
    rng = np.random.default_rng(6)
    noisy, weights = Y + rng.normal(size=N_ROWS) * 2, rng.uniform(0.1, 2.0, 150)
    given: dict[str, Any] = {**CAT, "n_estimators": 100, "learning_rate": 0.5, **rounds}
    model = train(
        CatBoostRegressor(**given), X, noisy, validation=(CLEAN[:150], Y[:150], weights), feature_names=NAMES
    )
    theirs = CatBoostRegressor(**given).fit(X, noisy, eval_set=Pool(CLEAN[:150], Y[:150], weight=weights))
    assert len(model.arrays["depth"]) == theirs.tree_count_ == theirs.best_iteration_ + 1 < 60
    assert (model.predict(X) == theirs.predict(X)).all()


def test_weights_and_class_weights_by_label() -> None:
    weights = np.random.default_rng(3).uniform(0.1, 3.0, N_ROWS)
    y = LABELS[2][Y2]
    theirs = CatBoostClassifier(**CAT, class_weights=[1.0, 5.0]).fit(X, Y2, sample_weight=weights)
    for class_weights in ({"no": 1.0, "yes": 5.0}, [1.0, 5.0]):
        estimator = CatBoostClassifier(**CAT, class_weights=class_weights)
        model = train(estimator, X, y, weights=weights, feature_names=NAMES)
        np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)
        assert estimator.get_params()["class_weights"] == class_weights
    with pytest.raises(ParameterError, match="class_weights names the label 'maybe'"):
        train(CatBoostClassifier(**CAT, class_weights={"maybe": 2.0}), X, y, feature_names=NAMES)
    check(CatBoostClassifier(**CAT, auto_class_weights="Balanced"), LABELS[3][Y3], Y3)
    check(CatBoostClassifier(**CAT, scale_pos_weight=3.0), LABELS[2][Y2], Y2)


@pytest.mark.parametrize("constraints", [{"f1": -1, "f0": 1}, {1: -1, 0: 1}, [1, -1, 0, 0, 0, 0, 0]])
def test_constraints_by_feature_name(constraints: Any) -> None:
    model = train(CatBoostRegressor(**CAT, monotone_constraints=constraints), CLEAN, Y, feature_names=NAMES)
    theirs = CatBoostRegressor(**CAT, monotone_constraints=[1, -1, 0, 0, 0, 0, 0]).fit(CLEAN, Y)
    assert (model.predict(CLEAN) == theirs.predict(CLEAN)).all()
    rising = np.repeat(CLEAN[:1], 50, axis=0)
    rising[:, 0] = np.linspace(-3, 3, 50)
    assert (np.diff(model.predict(rising)) >= 0).all()


class Loss:
    def calc_ders_range(self, approxes: Any, targets: Any, weights: Any) -> Any:
        return [(t - a, -1.0) for a, t in zip(approxes, targets, strict=True)]


@pytest.mark.parametrize(
    ("estimator", "error", "says"),
    [
        (CatBoostRegressor(cat_features=[1]), UnsafeModelError, r"cat_features has no .*codes\(\), one_hot\(\)"),
        (CatBoostRegressor(loss_function=Loss(), eval_metric="RMSE"), UnsafeModelError, "loss 'of your own'"),
        (CatBoostRegressor(loss_function="RMSEWithUncertainty"), UnsafeModelError, "There are: RMSE, MAE"),
        (CatBoostRegressor(objective="MultiRMSE"), UnsafeModelError, "loss 'MultiRMSE' has no saved form"),
        (CatBoostRegressor(monotone_constraints={"f9": 1}), ColumnNotFoundError, "names the feature 'f9'"),
        (CatBoostRegressor(monotone_constraints={12: 1}), ColumnNotFoundError, "names the feature '12'"),
        (CatBoostRegressor(early_stopping_rounds=3), ParameterError, "needs validation rows, and none were"),
        (CatBoostRegressor(depth=20), ModelError, "CatBoostRegressor refused to train"),
        (CatBoostClassifier(text_features=[1]), UnsafeModelError, "text_features"),
        (CatBoostClassifier(embedding_features=[1]), UnsafeModelError, "embedding_features"),
        (CatBoostClassifier(class_names=["a", "b"]), ModelError, "Leave class_names unset"),
    ],
)
def test_what_has_no_form_is_refused(estimator: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        train(estimator, X, Y2 if isinstance(estimator, CatBoostClassifier) else Y - 1.0, feature_names=NAMES)


def test_validation_rows_that_would_not_matter_are_refused() -> None:
    with pytest.raises(ParameterError, match="use_best_model is False"):
        train(CatBoostRegressor(use_best_model=False), X, Y, validation=(X, Y, None), feature_names=NAMES)


@pytest.mark.parametrize("loud", [{}, {"verbose": 1}, {"silent": False}, {"logging_level": "Verbose"}])
def test_nothing_is_written_or_printed(
    loud: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train(CatBoostRegressor(n_estimators=3, **loud), X, Y, feature_names=NAMES)
    train(CatBoostRanker(iterations=3, **loud), X, np.round(Y), groups=np.arange(N_ROWS) // 10, feature_names=NAMES)
    assert capfd.readouterr() == ("", "")
    assert os.listdir(tmp_path) == []


DAMAGES: dict[str, tuple[str, Any]] = {
    "a feature too far": ("feature", lambda a: np.full_like(a, len(NAMES))),
    "a feature below 0": ("feature", lambda a: np.full_like(a, -1)),
    "questions gone": ("feature", lambda a: a[:-1]),
    "borders gone": ("border", lambda a: a[:-1]),
    "borders of NaN": ("border", lambda a: np.full_like(a, np.nan)),
    "borders of another kind": ("border", lambda a: a.astype(np.float64)),
    "a tree too deep": ("depth", lambda a: np.full_like(a, 17)),
    "a tree deeper than its leaves": ("depth", lambda a: a + np.uint8(1)),
    "trees gone": ("depth", lambda a: a[:-1]),
    "leaves gone": ("value", lambda a: a[:-1]),
    "leaves too wide": ("value", lambda a: np.repeat(a, 2, axis=1)),
    "no outputs": ("start", lambda a: a[:0]),
    "a scale of NaN": ("scale", lambda a: a * np.nan),
    "two scales": ("scale", lambda a: np.repeat(a, 2)),
    "a direction of 2": ("missing_above", lambda a: np.full_like(a, 2)),
    "directions gone": ("missing_above", lambda a: a[:-1]),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_damaged_trees_are_refused(damage: str) -> None:
    document, arrays, blobs = train(CatBoostRegressor(**CAT), X, Y, feature_names=NAMES).to_parts()
    part, change = DAMAGES[damage]
    with pytest.raises(ArtifactCorruptError, match="damaged"):
        Model.from_parts(document, {**arrays, part: change(arrays[part])}, blobs)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_depths_are_read_or_refused(data: st.DataObject) -> None:
    """Whatever the depths say, no walk leaves the arrays."""
    depth = np.array(data.draw(st.lists(st.integers(0, 20), max_size=6)), np.uint8)
    questions, leaves = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 40))
    if data.draw(st.booleans()):
        questions, leaves = int(depth.sum()), int(sum(1 << int(one) for one in depth if one < 12))
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "feature": rng.integers(0, 3, questions, dtype=np.int32),
        "border": rng.normal(size=questions).astype(np.float32),
        "depth": depth,
        "value": rng.normal(size=(leaves, 2)),
        **{"scale": np.ones(1), "start": np.zeros(2), "missing_above": np.array([0, 1, 0], np.uint8)},
    }
    try:
        body = oblivious.Oblivious.from_parts({}, arrays, {}, 3)
    except GpupipeError as error:
        assert isinstance(error, ArtifactCorruptError)
        return
    rows = rng.normal(size=(100, 3)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    assert body.raw(rows)[:9].tobytes() == body.raw(rows[:9]).tobytes()


@pytest.mark.parametrize("growth", ["SymmetricTree", "Lossguide"])
def test_nulls_through_a_pipeline(growth: str, tmp_path: Path) -> None:
    rows = pa.table({name: pa.array(X[:, at], from_pandas=True) for at, name in enumerate(NAMES)})
    model = CatBoostRegressor(**CAT, grow_policy=growth)
    fitted = gp.Pipeline([gp.numeric()], model=model).fit(rows, Y)
    got = fitted.predict(rows, output="numpy")
    theirs = CatBoostRegressor(**CAT, grow_policy=growth).fit(X, Y)
    assert (got == theirs.predict(X)).all()
    fitted.save(tmp_path / "m.gpp")
    assert gp.load(tmp_path / "m.gpp").predict(rows, output="numpy").tobytes() == got.tobytes()
    with pytest.raises(NullableFeatureError, match="f0"):
        gp.Pipeline([gp.numeric()], model=CatBoostRegressor(nan_mode="Forbidden")).fit(rows, Y)
