"""Training: each estimator against its own library, batches by bytes, labels, weights, early stopping."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import threadpoolctl
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from xgboost import XGBClassifier, XGBRegressor

import gpupipe as gp
from gpupipe.errors import (
    ColumnNotFoundError,
    GpupipeError,
    ModelError,
    ParameterError,
    SchemaMismatchError,
    TargetError,
    TrainingError,
    UnsafeModelError,
    WeightsError,
)
from gpupipe.models import model as seam
from gpupipe.models.forms import ubj
from gpupipe.models.model import train

from .cases import CASES, FEW, HIST, LABELS, N_ROWS, NAMES, XGB, matrix, ours, outputs, target, theirs

X, Y2, Y3, Y = matrix(False, False), target(False, 2), target(False, 3), target(False, 0)
EACH = pytest.mark.parametrize("name", list(CASES))


@EACH
def test_it_says_what_the_library_says(name: str) -> None:
    case, model, fitted = CASES[name], ours(name), theirs(name)
    found = outputs(model, case.X)
    X64 = case.X.astype(np.float64)
    for method, got in found.items():
        if case.n_classes and method == "predict":
            assert (got == LABELS[case.n_classes][np.ravel(fitted.predict(X64))]).all()
        elif hasattr(fitted, method):
            tolerance = 1e-6 if "KMeans" in name else 1e-12  # theirs cancels: ‖x‖² - 2 x·c + ‖c‖²
            if "XGB" in name:
                tolerance = 1e-7
            want = np.asarray(getattr(fitted, method)(X64), dtype=np.float64)
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    asked = {"predict", "predict_proba", "transform"} & set(dir(fitted)) - {"score"}
    assert asked - {"transform"} <= set(found), "a method of the library's is missing"


def test_trees_agree_to_the_last_bit() -> None:
    for name in CASES:
        if ours(name).form == "trees":
            method = "predict_proba" if CASES[name].n_classes else "predict"
            if ours(name).link in ("given", "identity"):  # no exponential in the way
                got, want = (getattr(model, method)(CASES[name].X) for model in (ours(name), theirs(name)))
                assert (got == want).all(), name


@EACH
def test_one_row_a_batch_and_all_rows_give_the_same_bytes(name: str) -> None:
    case, model = CASES[name], ours(name)
    many = np.concatenate([case.X] * 6)  # more rows than a tile
    whole = outputs(model, many)
    for size, n_rows in ((1, 40), (7, 70), (N_ROWS, len(many))):
        parts = [outputs(model, many[start : start + size]) for start in range(0, n_rows, size)]
        for method, want in whole.items():
            got = np.concatenate([part[method] for part in parts])
            assert got.tolist() == want[:n_rows].tolist() if got.dtype == object else True
            if model.form == "skops":  # scored by scikit-learn, whose products differ in their last bits
                assert got.dtype == object or np.allclose(got, want[:n_rows], rtol=1e-9, atol=1e-12)
                continue
            assert got.dtype == object or got.tobytes() == want[:n_rows].tobytes(), (method, size)
    for method, got in outputs(model, many[:0]).items():
        assert len(got) == 0 and got.shape[1:] == whole[method].shape[1:] and got.dtype == whole[method].dtype


@EACH
def test_the_estimator_given_is_not_touched(name: str) -> None:
    ours(name)
    estimator = CASES[name].estimator
    assert not [attribute for attribute in vars(estimator) if attribute.endswith("_")]
    assert repr(estimator.get_params()) == repr(theirs(name).get_params()) or "XGB" in name


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (np.array([False, True]), bool),
        (np.array([-3, 7], dtype=np.int8), np.int64),
        (np.array([1.0, 2.0]), np.float64),
        (np.array(["no", "yes"]), object),
        (np.array(["no", "yes"], dtype=object), object),
    ],
)
@pytest.mark.parametrize("arrow", [False, True])
def test_labels_of_any_type(labels: Any, dtype: Any, arrow: bool) -> None:
    y = labels[Y2]
    for estimator in (LogisticRegression(), RandomForestClassifier(**FEW), XGBClassifier(**XGB)):
        model = train(estimator, X, pa.array(y) if arrow else y, feature_names=NAMES)
        assert model.classes == tuple(labels.tolist())
        assert [type(label) for label in model.classes] == [type(label) for label in labels.tolist()]
        predicted = model.predict(X)
        assert predicted.dtype == dtype and (predicted == y).mean() > 0.6
        assert (model.predict_proba(X).argmax(axis=1) == np.searchsorted(labels, predicted)).all()


def test_weights_reach_the_fit() -> None:
    weights = np.random.default_rng(5).integers(0, 4, N_ROWS).astype(np.float64)
    for estimator, y in (
        (LinearRegression(), Y),
        (LogisticRegression(), Y3),
        (KMeans(3, n_init=1, random_state=0), None),
    ):
        model = train(estimator, X, y, weights=weights, feature_names=NAMES)
        fitted = estimator.__class__(**estimator.get_params()).fit(X.astype(float), y, sample_weight=weights)
        if y is None:
            np.testing.assert_allclose(model.arrays["centres"], fitted.cluster_centers_)
        else:
            want = fitted.predict_proba(X) if y is Y3 else fitted.predict(X)
            got = model.predict_proba(X) if y is Y3 else model.predict(X)
            np.testing.assert_allclose(got, want, rtol=1e-6)  # theirs scores in float32 here
        other = train(estimator, X, y, feature_names=NAMES)
        assert model.digest() != other.digest()


def test_class_weight_is_given_by_label() -> None:
    y = np.array(["low", "high"])[Y2]
    heavy = train(LogisticRegression(class_weight={"low": 50.0}), X, y, feature_names=NAMES)
    # "high" sorts before "low", so its code is 0
    fitted = LogisticRegression(class_weight={1: 50.0}).fit(X.astype(float), 1 - Y2)
    np.testing.assert_allclose(heavy.arrays["coefficients"], fitted.coef_, rtol=1e-12)
    with pytest.raises(ParameterError, match="'lo'"):
        train(LogisticRegression(class_weight={"lo": 50.0}), X, y, feature_names=NAMES)


@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_on_rows_given(weighted: bool) -> None:
    Xt, yt, Xv, yv = X[:250], Y2[:250], X[250:], Y2[250:]
    weights = np.linspace(0.5, 2.0, len(Xv)) if weighted else None
    labels = np.array(["n", "y"])
    xgb = XGBClassifier(n_estimators=300, early_stopping_rounds=3, n_jobs=1)
    hist = HistGradientBoostingClassifier(max_iter=300, early_stopping=True, n_iter_no_change=3, random_state=0)
    models = [
        train(estimator, Xt, labels[yt], validation=(Xv, labels[yv], weights), feature_names=NAMES)
        for estimator in (xgb, hist)
    ]
    xgb.fit(Xt, yt, eval_set=[(Xv, yv)], verbose=False, sample_weight_eval_set=[weights] if weighted else None)
    hist.fit(Xt, yt, X_val=Xv, y_val=yv, sample_weight_val=weights)
    for model, fitted in zip(models, (xgb, hist), strict=True):
        np.testing.assert_allclose(model.predict_proba(X), fitted.predict_proba(X), rtol=1e-6, atol=1e-7)
    rounds = ubj.read(models[0].blobs["ubj"])["learner"]["gradient_booster"]["model"]["iteration_indptr"]
    assert len(rounds) - 1 == xgb.best_iteration + 1 < 300
    assert len(models[1].arrays["roots"]) == hist.n_iter_ < 300


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (XGBClassifier(n_estimators=3), "early_stopping_rounds is not set"),
        (HistGradientBoostingClassifier(early_stopping=False), "early_stopping is False"),
        (LogisticRegression(), "does not stop early.*XGBRegressor"),
    ],
)
def test_validation_rows_that_would_not_matter(estimator: Any, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        train(estimator, X, Y2, validation=(X, Y2, None), feature_names=NAMES)


def test_early_stopping_needs_rows() -> None:
    with pytest.raises(ParameterError, match="needs validation rows"):
        train(XGBRegressor(early_stopping_rounds=3), X, Y, feature_names=NAMES)
    with pytest.raises(TargetError, match="label 2"):
        stop = XGBClassifier(early_stopping_rounds=3)
        train(stop, X, Y2, validation=(X, Y3, None), feature_names=NAMES)


def test_what_a_library_raises_on_constant_features_is_ours() -> None:
    with pytest.raises(TrainingError, match="LinearDiscriminantAnalysis refused to train on 4 rows"):
        train(LinearDiscriminantAnalysis(), np.ones((4, 1), np.float32), [0, 1, 0, 1], feature_names=["x"])


@pytest.mark.parametrize(
    ("estimator", "y", "error", "says"),
    [
        (LogisticRegression(), None, TargetError, "needs a target"),
        (LogisticRegression(), Y2[:9], TargetError, "9 values for 400"),
        (LogisticRegression(), np.zeros(N_ROWS), TargetError, "one class, 0.0"),
        (LogisticRegression(), np.array(["a", None], dtype=object)[Y2], TargetError, r"null or NaN in \d+ of 400"),
        (LogisticRegression(), np.where(Y2, 1.0, np.nan), TargetError, r"null or NaN in \d+ of 400"),
        (LogisticRegression(), Y, TargetError, "fractional"),
        (LinearRegression(), np.where(Y2, "a", "b"), TargetError, "must be numbers"),
        (LinearRegression(), np.where(Y2, np.inf, 1.0), TargetError, "infinite in"),
        (PCA(2), Y, TargetError, "without a target"),
        (PCA(99), None, ModelError, "refused to train.*n_components"),
        (Ridge(alpha=-1.0), Y, ModelError, "refused to train.*alpha"),
        (SGDClassifier(loss="nope"), Y2, ModelError, "refused to train"),
        (XGBClassifier(objective="binary:hinge"), Y2, UnsafeModelError, "binary:hinge"),
        (XGBRegressor(objective=lambda y, p: (p - y, p)), Y, UnsafeModelError, "function"),
        (XGBRegressor(booster="gblinear"), Y, UnsafeModelError, "gblinear"),
        (XGBRegressor(missing=0.0), Y, ModelError, "missing=0.0"),
        (HistGradientBoostingClassifier(categorical_features=["f9"]), Y2, ColumnNotFoundError, "'f9'"),
    ],
)
def test_what_cannot_be_trained_is_refused(estimator: Any, y: Any, error: type[GpupipeError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        train(estimator, X, y, feature_names=NAMES)
    assert isinstance(caught.value, GpupipeError)


@pytest.mark.parametrize("weights", [np.ones(3), np.full(N_ROWS, -1.0), np.full(N_ROWS, np.nan), np.zeros(N_ROWS)])
def test_weights_that_cannot_be(weights: Any) -> None:
    with pytest.raises(WeightsError, match="weights"):
        train(LinearRegression(), X, Y, weights=weights, feature_names=NAMES)
    with pytest.raises(ParameterError, match="takes no weights"):
        train(PCA(2), X, weights=np.ones(N_ROWS), feature_names=NAMES)


@pytest.mark.parametrize("wrong", [X.astype(np.float64), X[:, :3], X[0], X.tolist()])
def test_a_matrix_of_another_kind_is_refused(wrong: Any) -> None:
    with pytest.raises(SchemaMismatchError, match=r"shape \(rows, 7\)"):
        ours("LinearRegression").predict(wrong)
    with pytest.raises(SchemaMismatchError):
        train(LinearRegression(), wrong, Y, feature_names=NAMES)


def test_a_library_whose_inner_parts_changed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = RandomForestClassifier(**FEW)
    monkeypatch.setattr(RandomForestClassifier, "predict_proba", lambda self, X: np.full((len(X), 2), 0.5))
    with pytest.raises(UnsafeModelError, match=r"scikit-learn|sklearn \d"):
        train(forest, X, Y2, feature_names=NAMES)


def test_a_column_order_other_than_c_gives_the_same() -> None:
    model = ours("HistGradientBoostingRegressor")
    rows = CASES["HistGradientBoostingRegressor"].X
    assert (model.predict(np.asfortranarray(rows)) == model.predict(rows)).all()
    assert HIST["max_iter"] == len(model.arrays["roots"])


SCORE_ALL = """
import json, sys, numpy as np
from gpupipe.models.fitted import Model
for index, document in enumerate(json.load(open(sys.argv[1] + "/documents.json"))):
    model = Model.from_parts(document, dict(np.load(f"{sys.argv[1]}/{index}.npz")), {})
    score = model.transform if model.kind == "transformer" else model.predict
    assert len(score(np.ones((3, 7), np.float32))) == 3
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_scoring_needs_neither_scikit_learn_nor_dask(tmp_path: Path) -> None:
    documents = []
    for name in CASES:
        document, arrays, blobs = ours(name).to_parts()
        if not blobs:
            np.savez(tmp_path / f"{len(documents)}.npz", **arrays)  # type: ignore[arg-type]
            documents.append(document)
    (tmp_path / "documents.json").write_text(json.dumps(documents))
    ran = subprocess.run([sys.executable, "-c", SCORE_ALL, tmp_path], capture_output=True, text=True, check=True)
    assert "numpy" in ran.stdout and len(documents) > 50
    for package in ("sklearn", "scipy", "xgboost", "dask", "numba", "joblib", "skops"):
        assert repr(package) not in ran.stdout, package


def test_few_values_train_on_one_thread_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second thread would spend its time waiting; a large matrix takes what there is."""
    seen = []

    def fit(self: Any, X: Any, y: Any, **more: Any) -> Any:
        seen.append(max(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"))
        return real(self, X, y, **more)

    real = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", fit)
    before = max(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")
    rows = {"x": [1.0, 2.0, 8.0, 9.0], "y": [0, 0, 1, 1]}
    gp.Pipeline([gp.col("x")], target="y", model=LogisticRegression()).fit(rows)
    monkeypatch.setattr(seam, "_ONE_THREAD_TRAINS", 0)
    gp.Pipeline([gp.col("x")], target="y", model=LogisticRegression()).fit(rows)
    assert seen == [1, before]
