"""LightGBM as arrays: every objective, missing values, categories and boosting, against LightGBM's own numbers."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor

import gpupipe as gp
from gpupipe.errors import (
    ArtifactCorruptError,
    ColumnNotFoundError,
    ModelError,
    ParameterError,
    TargetError,
    UnsafeModelError,
)
from gpupipe.models.families import lightgbm_trees
from gpupipe.models.fitted import Model
from gpupipe.models.model import train

from .boosted_cases import LGBM
from .case import LABELS, N_ROWS, NAMES, matrix, target

X, CLEAN = matrix(True, False), matrix(False, False)
Y, Y2, Y3 = target(False, 0), target(False, 2), target(False, 3)
HOLES = np.where(np.random.default_rng(1).random(X.shape) < 0.3, np.float32(np.nan), X)


def check(estimator: Any, y: Any, rows: Any = HOLES, X: Any = X, fit: Any = None, **given: Any) -> Model:
    """Train through the seam, and compare with LightGBM: sums in bits, probabilities to 1e-12, labels all."""
    model = train(estimator, X, y, feature_names=NAMES, **given)
    theirs = type(estimator)(**estimator.get_params()) if fit is None else fit
    if fit is None:
        theirs.fit(X, y)
    raw = theirs.predict(rows, raw_score=True)
    if estimator.boosting_type == "rf":  # LightGBM gives the sum here, and its mean to the link
        raw = raw / theirs.n_estimators
    assert (model.body.raw(rows).reshape(raw.shape) == raw).all()  # LightGBM adds trees in order, and so do we
    if model.classes is not None:
        np.testing.assert_allclose(model.predict_proba(rows), theirs.predict_proba(rows), rtol=1e-12)
        assert (model.predict(rows) == theirs.classes_[theirs.predict_proba(rows).argmax(axis=1)]).all()
    else:
        np.testing.assert_allclose(model.predict(rows), theirs.predict(rows), rtol=1e-12)
    document, arrays, blobs = model.to_parts()
    again = Model.from_parts(json.loads(json.dumps(document)), arrays, blobs)
    one = [again.body.raw(rows[at : at + 1]) for at in range(20)]
    assert np.concatenate(one).tobytes() == model.body.raw(rows)[:20].tobytes()
    assert model.form == "trees" and not blobs
    return model


@pytest.mark.parametrize("objective", sorted(lightgbm_trees.REGRESSOR_LINKS))
@pytest.mark.parametrize("boosting", ["gbdt", "dart", "rf"])
def test_every_objective_of_a_regression(objective: str, boosting: str) -> None:
    y = 1 / (1 + np.exp(-Y)) if objective.startswith("cross_entropy") else Y
    rf: dict[str, Any] = {"subsample": 0.6, "subsample_freq": 1, "random_state": 0} if boosting == "rf" else {}
    check(LGBMRegressor(**LGBM, objective=objective, boosting_type=boosting, **rf), y)


@pytest.mark.parametrize("more", [{"data_sample_strategy": "goss"}, {"reg_sqrt": True}, {"extra_trees": True}, {}])
def test_other_ways_to_grow(more: dict[str, Any]) -> None:
    check(LGBMRegressor(**LGBM, **more), Y, weights=None)


@pytest.mark.parametrize("objective", [None, "binary", "cross_entropy"])
def test_two_classes(objective: str | None) -> None:
    model = check(LGBMClassifier(**LGBM, objective=objective), LABELS[2][Y2])
    assert model.link == "sigmoid" and model.classes == ("no", "yes")


@pytest.mark.parametrize("objective", [None, "multiclass", "multiclassova"])
@pytest.mark.parametrize("boosting", ["gbdt", "rf"])
def test_three_classes(objective: str | None, boosting: str) -> None:
    rf: dict[str, Any] = {"subsample": 0.6, "subsample_freq": 1} if boosting == "rf" else {}
    check(LGBMClassifier(**LGBM, objective=objective, boosting_type=boosting, **rf), LABELS[3][Y3])


def test_a_steeper_sigmoid_is_kept_in_the_scores() -> None:
    model = train(LGBMClassifier(**LGBM, sigmoid=2.5), X, Y2, feature_names=NAMES)
    theirs = LGBMClassifier(**LGBM, sigmoid=2.5).fit(X, Y2)
    np.testing.assert_allclose(model.predict_proba(HOLES), theirs.predict_proba(HOLES), rtol=1e-12)
    want = 2.5 * np.asarray(theirs.predict(HOLES, raw_score=True))
    np.testing.assert_allclose(model.decision_function(HOLES), want, rtol=1e-12)


@pytest.mark.parametrize("more", [{}, {"use_missing": False}, {"max_bin": 15}])
@pytest.mark.parametrize("trained_on", ["holes", "clean"])
def test_missing_values_seen_in_training_or_not(more: dict[str, Any], trained_on: str) -> None:
    """A feature without NaN in training takes NaN for 0; one with NaN sends it where it fitted best."""
    rows = {"holes": X, "clean": CLEAN}[trained_on]
    check(LGBMRegressor(**LGBM, **more), Y, X=rows)


def test_numbers_next_to_zero_are_zero_to_lightgbm() -> None:
    rng = np.random.default_rng(5)
    tiny = CLEAN.copy()
    tiny[:, 0] = rng.choice([-1e-30, -1e-35, -1e-36, 0.0, -0.0, 1e-36, 1e-35, 1e-30, np.nan], N_ROWS)
    y = np.nan_to_num(tiny[:, 0] * 1e30) + (tiny[:, 0] == 0) + rng.normal(size=N_ROWS) / 9
    edges = np.array([-1e-35, 1e-35], np.float32)
    rows = np.repeat(tiny[:2], 8, axis=0)
    zeros = np.array([0.0, -1e-40], np.float32)
    near = [np.nextafter(edges, np.float32(1)), np.nextafter(edges, np.float32(-1)), edges, zeros]
    rows[:8, 0] = rows[8:, 0] = np.concatenate(near)
    check(LGBMRegressor(**LGBM), y, X=tiny, rows=rows)


def categorical(n_values: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(8)
    X = matrix(True, False).copy()
    X[:, 2] = rng.integers(0, n_values, N_ROWS)
    X[:, 5] = rng.choice([1.0, 7.0, 900.0, 100_000.0, np.nan, -3.0], N_ROWS)
    y = np.isin(X[:, 2] % 7, [1, 4]) * 2.0 + (X[:, 5] > 8) + rng.normal(size=N_ROWS) / 5
    return X, y


CATEGORIES: dict[str, Any] = {"min_data_per_group": 2, "cat_smooth": 1, "min_child_samples": 3, "max_cat_to_onehot": 2}


@pytest.mark.parametrize("n_values", [3, 60, 380])
@pytest.mark.parametrize("chosen", [["f5", "f2"], [2, 5]])
def test_categorical_features(n_values: int, chosen: Any) -> None:
    X, y = categorical(n_values)
    theirs = LGBMRegressor(**LGBM, **CATEGORIES).fit(X, y, categorical_feature=[2, 5])
    odd = np.concatenate([X, X])
    odd[:N_ROWS, 2] = np.resize([3.5, np.nan, -0.5, -1.0, 1e9, 2.0, 1e30, -np.inf, np.inf], N_ROWS)
    odd[N_ROWS:, 5] = np.resize([7.99, 900.0, 12.0, 99_999.5, -3.0], N_ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # LightGBM warns of categorical_feature in its constructor: not of ours
        model = check(LGBMRegressor(**LGBM, **CATEGORIES, categorical_feature=chosen), y, odd, X, theirs)
    assert (model.arrays["category_set"] >= 0).sum() >= 3 and model.params["truncate"] is True


def test_more_categories_than_256() -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 3000, 6000)
    X = np.stack([codes, rng.normal(size=6000)], axis=1).astype(np.float32)
    y = rng.normal(size=3000)[codes]
    settings: dict[str, Any] = {**LGBM, **CATEGORIES, "n_estimators": 40, "max_cat_threshold": 400, "cat_l2": 0.0}
    model = train(LGBMRegressor(**settings, categorical_feature=["code"]), X, y, feature_names=["code", "x"])
    theirs = LGBMRegressor(**settings).fit(X, y, categorical_feature=[0])
    assert len(model.arrays["category_values"]) > 256
    assert (model.predict(X) == theirs.predict(X)).all()
    assert (Model.from_parts(*model.to_parts()).predict(X) == theirs.predict(X)).all()


def test_categories_beyond_what_a_form_holds_are_refused() -> None:
    X = np.stack([np.repeat([1.0, 2.0, 2.0**24 + 4], 100)], axis=1).astype(np.float32)
    y = (X[:, 0] > 5) + np.tile([0.0, 0.1], 150)
    with pytest.raises(UnsafeModelError, match=r"codes above 16,777,215.*target_mean"):
        few: dict[str, Any] = {**LGBM, **CATEGORIES, "n_estimators": 1}
        train(LGBMRegressor(**few, categorical_feature=[0]), X, y, feature_names=["code"])


@pytest.mark.parametrize("name", ["early_stopping_rounds", "early_stopping_round", "n_iter_no_change"])
def test_early_stopping_keeps_the_best_iteration(name: str) -> None:
    rng = np.random.default_rng(6)
    noisy, held = Y + rng.normal(size=N_ROWS) * 2, (CLEAN[:150], Y[:150])
    settings: dict[str, Any] = {**LGBM, "n_estimators": 200, "learning_rate": 0.5, name: 5}
    weights = rng.uniform(0.1, 2.0, 150)
    model = train(LGBMRegressor(**settings), X, noisy, validation=(*held, weights), feature_names=NAMES)
    theirs = LGBMRegressor(**settings).fit(
        X, noisy, eval_X=(held[0],), eval_y=(held[1],), eval_sample_weight=[weights]
    )
    assert len(model.arrays["roots"]) == theirs.best_iteration_ < 100
    assert (model.predict(X) == theirs.predict(X)).all()


def test_early_stopping_of_classes_validates_by_label() -> None:
    settings: dict[str, Any] = {**LGBM, "n_estimators": 100, "learning_rate": 0.5, "early_stopping_rounds": 3}
    y = LABELS[3][Y3]
    model = train(LGBMClassifier(**settings), X, y, validation=(CLEAN[:99], y[:99], None), feature_names=NAMES)
    theirs = LGBMClassifier(**settings).fit(X, Y3, eval_X=(CLEAN[:99],), eval_y=(Y3[:99],))
    assert len(model.arrays["roots"]) == 3 * theirs.best_iteration_ < 300
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)


def test_weights_and_class_weights_by_label() -> None:
    weights = np.random.default_rng(3).uniform(0.1, 3.0, N_ROWS)
    y = LABELS[2][Y2]
    theirs = LGBMClassifier(**LGBM, class_weight={0: 1.0, 1: 5.0}).fit(X, Y2, sample_weight=weights)
    estimator = LGBMClassifier(**LGBM, class_weight={"no": 1.0, "yes": 5.0})
    model = train(estimator, X, y, weights=weights, feature_names=NAMES)
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)
    with pytest.raises(ParameterError, match="class_weight names the label 'maybe'"):
        train(LGBMClassifier(class_weight={"maybe": 2.0}), X, y, feature_names=NAMES)
    check(LGBMClassifier(**LGBM, class_weight="balanced"), LABELS[3][Y3])
    check(LGBMClassifier(**LGBM, is_unbalance=True), LABELS[2][Y2])


@pytest.mark.parametrize("name", ["monotone_constraints", "monotone_constraint", "mc"])
def test_constraints_by_feature_name(name: str) -> None:
    named: dict[str, Any] = {name: {"f1": -1, "f0": 1}}
    model = train(LGBMRegressor(**LGBM, **named), CLEAN, Y, feature_names=NAMES)
    theirs = LGBMRegressor(**LGBM, monotone_constraints=[1, -1, 0, 0, 0, 0, 0]).fit(CLEAN, Y)
    assert (model.predict(CLEAN) == theirs.predict(CLEAN)).all()
    rising = np.repeat(CLEAN[:1], 50, axis=0)
    rising[:, 0] = np.linspace(-3, 3, 50)
    assert (np.diff(model.predict(rising)) >= 0).all()


def test_interactions_by_feature_name() -> None:
    named = LGBMRegressor(**LGBM, interaction_constraints=[["f0", "f1"], ["f2", "f3", "f4", "f5", "f6"]])
    theirs = LGBMRegressor(**LGBM, interaction_constraints=[[0, 1], [2, 3, 4, 5, 6]]).fit(X, Y)
    assert (train(named, X, Y, feature_names=NAMES).predict(X) == theirs.predict(X)).all()


def test_a_tree_may_be_a_single_leaf() -> None:
    check(LGBMRegressor(**{**LGBM, "min_child_samples": N_ROWS}), Y)
    check(LGBMRegressor(**LGBM), np.full(N_ROWS, 2.5))


@pytest.mark.parametrize(
    ("estimator", "error", "says"),
    [
        (LGBMRegressor(linear_tree=True), UnsafeModelError, "linear_tree=True has no saved form"),
        (LGBMRegressor(linear_trees=True), UnsafeModelError, "linear_tree=True has no saved form"),
        (LGBMRegressor(zero_as_missing=True), ModelError, r"null_if\(0\)"),
        (LGBMRegressor(objective=lambda y, p: (p - y, y)), UnsafeModelError, "objective that is a function"),
        (LGBMRegressor(categorical_feature=["nowhere"]), ColumnNotFoundError, "categorical_feature names .*'nowhere'"),
        (LGBMRegressor(categorical_feature=[9]), ParameterError, "position 9, and there are 7"),
        (LGBMRegressor(categorical_feature="f1"), ParameterError, "is a list of features"),
        (LGBMRegressor(monotone_constraints={"f9": 1}), ColumnNotFoundError, "names the feature 'f9'"),
        (LGBMRegressor(early_stopping_round=3), ParameterError, "early_stopping_round=3.* needs validation rows"),
        (LGBMRegressor(objective="gamma"), ModelError, r"LGBMRegressor refused .*: \[gamma\]: at least one target"),
        (LGBMClassifier(objective="poisson"), TargetError, "fractional"),
    ],
)
def test_what_has_no_form_is_refused(estimator: Any, error: type[Exception], says: str) -> None:
    estimator.set_params(verbosity=-1, n_estimators=2)
    with pytest.raises(error, match=says):
        train(estimator, X, Y - 1.0, feature_names=NAMES)


def test_other_refusals() -> None:
    with pytest.raises(UnsafeModelError, match=r"objective 'poisson' has no saved form. There are: binary"):
        train(LGBMClassifier(**LGBM, objective="poisson"), X, Y2, feature_names=NAMES)
    with pytest.raises(UnsafeModelError, match="LGBMRegressor with the objective 'binary' has no saved form"):
        train(LGBMRegressor(**LGBM, objective="binary"), X, Y2, feature_names=NAMES)
    with pytest.raises(UnsafeModelError, match="2 scores for 2 classes"):
        train(LGBMClassifier(**LGBM, objective="multiclass", num_class=2), X, Y2, feature_names=NAMES)
    with pytest.raises(ParameterError, match="early_stopping_round is not set"):
        train(LGBMRegressor(**LGBM), X, Y, validation=(X, Y, None), feature_names=NAMES)
    with pytest.raises(ParameterError, match=r"takes no groups, .*use a ranker: XGBRanker, LGBMRanker"):
        train(LGBMRegressor(**LGBM), X, Y, groups=Y2, feature_names=NAMES)


def test_it_trains_quietly_and_scores_without_lightgbm(capfd: pytest.CaptureFixture[str]) -> None:
    train(LGBMRegressor(n_estimators=3), X, Y, feature_names=NAMES)
    train(LGBMRanker(n_estimators=3), X, np.round(Y), groups=np.arange(N_ROWS) // 10, feature_names=NAMES)
    assert capfd.readouterr() == ("", "")
    code = (
        "import sys, gpupipe.models.families.lightgbm_models, gpupipe.models.families.catboost_models;"
        "import gpupipe.models.bodies;"
        "assert not {'lightgbm', 'catboost', 'sklearn', 'xgboost'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


SETS: dict[str, tuple[str, Any]] = {
    "sets too narrow": ("category_bits", lambda a: a[:, :0]),
    "sets gone": ("category_bits", lambda a: a[:0]),
    "sets of another kind": ("category_bits", lambda a: a.astype(np.int32)),
    "sets of one dimension": ("category_bits", lambda a: a.ravel()),
    "a set too far": ("category_set", lambda a: np.full_like(a, 10**6)),
    "categories unsorted": ("category_values", lambda a: a[::-1].copy()),
    "categories gone": ("category_values", lambda a: a[:-1]),
}


@pytest.mark.parametrize("damage", list(SETS))
def test_damaged_categories_are_refused(damage: str) -> None:
    X, y = categorical(60)
    estimator = LGBMRegressor(**LGBM, **CATEGORIES, categorical_feature=[2, 5])
    document, arrays, blobs = train(estimator, X, y, feature_names=NAMES).to_parts()
    part, change = SETS[damage]
    with pytest.raises(ArtifactCorruptError, match="damaged"):
        Model.from_parts(document, {**arrays, part: change(arrays[part])}, blobs)
    for truncate in (False, None, 1, "yes"):
        with pytest.raises(ArtifactCorruptError, match="truncate"):
            Model.from_parts({**document, "params": {"average": False, "truncate": truncate}}, arrays, blobs)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(2, 12))
def test_random_models_say_what_lightgbm_says(seed: int, categories: bool, leaves: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.choice([-1.0, -1e-36, 0.0, 0.5, 1.0, 2.0, 3.0, np.nan, np.inf, 1e30], (120, 3)).astype(np.float32)
    y = rng.normal(size=120) + np.nan_to_num(X[:, 0] == 1.0)
    given: dict[str, Any] = {**LGBM, "num_leaves": leaves, "min_child_samples": 2, "n_estimators": 4}
    given |= CATEGORIES | {"min_child_samples": 2}
    fit: dict[str, Any] = {"categorical_feature": [1]} if categories else {}
    theirs = LGBMRegressor(**given).fit(X, y, **fit)
    model = train(LGBMRegressor(**given, **fit), X, y, feature_names=["a", "b", "c"])
    rows = rng.choice([-7.5, -1.0, -0.0, 1e-40, 0.25, 1.0, 1.5, 2.5, 7.0, np.nan, np.inf, -np.inf], (60, 3))
    rows = rows.astype(np.float32)
    assert (model.predict(rows) == theirs.predict(rows)).all()


def test_nulls_and_a_sigmoid_a_class_through_a_pipeline(tmp_path: Path) -> None:
    rows = pa.table({name: pa.array(HOLES[:, at], from_pandas=True) for at, name in enumerate(NAMES)})
    rows = rows.append_column("y", pa.array(LABELS[3][Y3]))
    model = LGBMClassifier(**LGBM, objective="multiclassova")
    fitted = gp.Pipeline([gp.numeric()], "y", model).fit(rows)
    theirs = LGBMClassifier(**LGBM, objective="multiclassova").fit(HOLES, Y3)
    np.testing.assert_allclose(fitted.predict_proba(rows, output="numpy"), theirs.predict_proba(HOLES), rtol=1e-12)
    metrics = fitted.evaluate(rows, allow_overlap=True).metrics
    assert metrics["accuracy"].value == pytest.approx(np.mean(theirs.predict(HOLES) == Y3))
    assert metrics["log_loss"].value is None  # a sigmoid a class is no distribution: LightGBM's need not add up to 1
    fitted.save(tmp_path / "m.gpp")
    again = gp.load(tmp_path / "m.gpp").predict_proba(rows, output="numpy")
    assert again.tobytes() == fitted.predict_proba(rows, output="numpy").tobytes()
