"""Several targets, and many classes by classifiers of two: scikit-learn's numbers, from arrays alone."""

import struct
from typing import Any

import numpy as np
import pytest
from catboost import CatBoostRegressor
from lightgbm import LGBMRegressor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    ElasticNet,
    Lars,
    Lasso,
    LassoLars,
    LinearRegression,
    LogisticRegression,
    MultiTaskElasticNet,
    MultiTaskElasticNetCV,
    MultiTaskLasso,
    MultiTaskLassoCV,
    OrthogonalMatchingPursuit,
    Ridge,
    RidgeClassifier,
    RidgeCV,
    SGDClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
from xgboost import XGBClassifier, XGBRegressor, XGBRFRegressor

from gpupipe.errors import (
    ArtifactCorruptError,
    ModelError,
    ParameterError,
    TargetError,
    UnsafeModelError,
    UnsupportedEstimatorError,
)
from gpupipe.models.estimators import ROWS, describe
from gpupipe.models.families.xgb import XGBoost
from gpupipe.models.fitted import Model
from gpupipe.models.model import train

from .composites import FEW, NAMES, SCORES, WEIGHTS, X64, X, agree, same_bytes, trained

TARGETS = ["a", "b", "c"]
NUMBERS = SCORES
CODES = np.stack([np.digitize(SCORES[:, 0], [0]), np.digitize(SCORES[:, 1], [-0.5, 0.5]), SCORES[:, 2] > 0], axis=1)
LABELS = [np.array(["no", "yes"], object), np.array([10, 20, 30]), np.array([False, True])]
BINARY = (SCORES > 0).astype(np.int64)
BOOSTED: dict[str, Any] = {"max_iter": 5, "random_state": 0}
XGB: dict[str, Any] = {"n_estimators": 5, "n_jobs": 1}
LGBM: dict[str, Any] = {"n_estimators": 5, "n_jobs": 1, "verbose": -1}

REGRESSORS: dict[str, Any] = {
    **{
        type(one).__name__: one
        for one in (
            LinearRegression(), Ridge(), RidgeCV(), Lasso(0.01), ElasticNet(0.01), Lars(), LassoLars(0.01),
            OrthogonalMatchingPursuit(), PLSRegression(), MultiTaskLasso(0.05), MultiTaskLassoCV(cv=3),
            MultiTaskElasticNet(0.05), MultiTaskElasticNetCV(cv=3), DecisionTreeRegressor(random_state=0),
            ExtraTreeRegressor(random_state=0), RandomForestRegressor(**FEW), ExtraTreesRegressor(**FEW),
            KNeighborsRegressor(4, weights="distance"), XGBRegressor(**XGB), XGBRFRegressor(**XGB),
            MLPRegressor(hidden_layer_sizes=(4,), max_iter=30, random_state=0),
        )
    },
    "each HistGB": MultiOutputRegressor(HistGradientBoostingRegressor(**BOOSTED)),
    "each LightGBM": MultiOutputRegressor(LGBMRegressor(**LGBM)),
    "each XGBoost": MultiOutputRegressor(XGBRegressor(**XGB)),
    "each CatBoost": MultiOutputRegressor(
        CatBoostRegressor(iterations=5, verbose=False, thread_count=1, allow_writing_files=False)
    ),
    "each SVR": MultiOutputRegressor(SVR()),
    "chain of Ridge": RegressorChain(Ridge(), order=[2, 0, 1]),
    "chain at random": RegressorChain(LinearRegression(), order="random", random_state=3, cv=3),
    "chain of forests": RegressorChain(RandomForestRegressor(**FEW)),
    "chain of HistGB": RegressorChain(HistGradientBoostingRegressor(**BOOSTED)),
    "chain of XGBoost": RegressorChain(XGBRegressor(**XGB)),
}  # fmt: skip

CLASSIFIERS: dict[str, Any] = {
    "DecisionTreeClassifier": DecisionTreeClassifier(max_depth=4, random_state=0),
    "ExtraTreeClassifier": ExtraTreeClassifier(max_depth=4, random_state=0),
    "RandomForestClassifier": RandomForestClassifier(**FEW),
    "ExtraTreesClassifier": ExtraTreesClassifier(**FEW),
    "KNeighborsClassifier": KNeighborsClassifier(4, weights="distance"),
    "each LogisticRegression": MultiOutputClassifier(LogisticRegression()),
    "each HistGB": MultiOutputClassifier(HistGradientBoostingClassifier(**BOOSTED)),
    "each XGBoost": MultiOutputClassifier(XGBClassifier(**XGB)),
    "each calibrated": MultiOutputClassifier(CalibratedClassifierCV(LinearSVC(random_state=0), cv=3)),
    "each without probabilities": MultiOutputClassifier(SGDClassifier(random_state=0)),
    "each one against the rest": MultiOutputClassifier(OneVsRestClassifier(LogisticRegression())),
    "chain of labels": ClassifierChain(LogisticRegression(), order=[1, 2, 0]),
    "chain of SVC": ClassifierChain(SVC(), order=[1, 2, 0]),
}


def labelled(found: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    return [labels[column.astype(int)] for labels, column in zip(LABELS, found.T, strict=True)]


def fit(estimator: Any, y: Any, weights: Any = None) -> Model:
    return train(estimator, X, y, weights=weights, feature_names=NAMES, targets=TARGETS)


@pytest.mark.parametrize("name", list(REGRESSORS))
def test_regressors(name: str) -> None:
    model = fit(REGRESSORS[name], list(NUMBERS.T))
    want = clone(REGRESSORS[name]).fit(X64, NUMBERS).predict(X64)
    found = model.predict(X)
    assert found.shape == (len(X), 3) and found.dtype == np.float64 and model.targets == tuple(TARGETS)
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)
    same_bytes(model)


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_classifiers(name: str) -> None:
    model = fit(CLASSIFIERS[name], labelled(CODES))
    theirs = clone(CLASSIFIERS[name]).fit(X64, CODES)
    assert model.classes == (("no", "yes"), (10, 20, 30), (False, True))
    for found, want in zip(model.predict(X).T, labelled(theirs.predict(X64)), strict=True):
        assert found.tolist() == want.tolist()
    assert model.has_probabilities == hasattr(theirs, "predict_proba")
    if model.has_probabilities and not isinstance(theirs, ClassifierChain):  # a chain's are of two classes alone
        for found, want in zip(model.predict_proba(X), theirs.predict_proba(X64), strict=True):
            # XGBoost's wrapper computes 1 - p in float32
            np.testing.assert_allclose(found, want, rtol=0, atol=5e-8 if "XGBoost" in name else 1e-12)
    same_bytes(model)


def test_every_row_of_several_targets_is_tried() -> None:
    tried = {type(one).__name__ for one in (*REGRESSORS.values(), *CLASSIFIERS.values())}
    assert {row.name for row in ROWS if row.targets != "one"} <= tried


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
@pytest.mark.parametrize("cv", [None, 3])
def test_what_a_link_hands_on(method: str, cv: int | None) -> None:
    for inside in (LogisticRegression(), FixedThresholdClassifier(LogisticRegression(), threshold=0.3)):
        chain = ClassifierChain(inside, chain_method=method, cv=cv, order=[2, 0, 1])
        two = np.array(["no", "yes"], object)
        model = fit(chain, [two[column] for column in BINARY.T])
        theirs = clone(chain).fit(X64, BINARY)
        assert (model.predict(X) == two[theirs.predict(X64).astype(int)]).all()
        found = np.stack([shares[:, 1] for shares in model.predict_proba(X)], axis=1)
        np.testing.assert_allclose(found, theirs.predict_proba(X64), rtol=0, atol=1e-12)
        same_bytes(model)


def test_weights_reach_every_model() -> None:
    for estimator in (MultiOutputRegressor(Ridge()), RegressorChain(Ridge()), Ridge(), RandomForestRegressor(**FEW)):
        model = fit(estimator, list(NUMBERS.T), WEIGHTS)
        want = clone(estimator).fit(X64, NUMBERS, sample_weight=WEIGHTS).predict(X64)
        np.testing.assert_allclose(model.predict(X), want, rtol=1e-12, atol=1e-12)
    classifier = MultiOutputClassifier(XGBClassifier(**XGB))
    theirs = clone(classifier).fit(X64, CODES, sample_weight=WEIGHTS)
    for found, want in zip(fit(classifier, labelled(CODES), WEIGHTS).predict_proba(X), theirs.predict_proba(X64),
                           strict=True):  # fmt: skip
        np.testing.assert_allclose(found, want, rtol=0, atol=5e-8)
    with pytest.raises(ParameterError, match="ClassifierChain takes no weights"):
        fit(ClassifierChain(LogisticRegression()), labelled(CODES), WEIGHTS)


def test_class_weights_by_label() -> None:
    two = np.array(["no", "yes"], object)
    y = [two[column] for column in BINARY.T]
    same = fit(MultiOutputClassifier(LogisticRegression(class_weight={"yes": 9.0, "no": 1.0})), y)
    want = MultiOutputClassifier(LogisticRegression(class_weight={1: 9.0, 0: 1.0})).fit(X64, BINARY)
    assert (same.predict(X) == two[want.predict(X64)]).all()
    each = [{"no": 1, "yes": 5}, {10: 1, 20: 2, 30: 3}, {False: 1, True: 2}]
    by_code = [{0: 1, 1: 5}, {0: 1, 1: 2, 2: 3}, {0: 1, 1: 2}]
    model = fit(RandomForestClassifier(**FEW, class_weight=each), labelled(CODES))
    theirs = RandomForestClassifier(**FEW, class_weight=by_code).fit(X64, CODES)
    for found, shares in zip(model.predict_proba(X), theirs.predict_proba(X64), strict=True):
        assert (found == shares).all()
    with pytest.raises(ParameterError, match=r"'yes'.*which no training row has|have different labels"):
        fit(MultiOutputClassifier(LogisticRegression(class_weight={"yes": 2})), labelled(CODES))


def test_early_stopping_with_several_targets() -> None:
    stops = XGBRegressor(n_estimators=200, early_stopping_rounds=2, learning_rate=1.0, n_jobs=1)
    held = (X[200:], [column[200:] for column in NUMBERS.T], None)
    rest = [column[:200] for column in NUMBERS.T]
    model = train(stops, X[:200], rest, validation=held, feature_names=NAMES, targets=TARGETS)
    theirs = clone(stops).fit(X64[:200], NUMBERS[:200], eval_set=[(X64[200:], NUMBERS[200:])], verbose=False)
    assert theirs.best_iteration < 50
    np.testing.assert_array_equal(model.predict(X), theirs.predict(X64))


@pytest.mark.parametrize(
    ("estimator", "y", "error", "says"),
    [
        (HistGradientBoostingRegressor(), NUMBERS.T, UnsupportedEstimatorError, "sklearn.multioutput.MultiOutputReg"),
        (LogisticRegression(), BINARY.T, UnsupportedEstimatorError, "sklearn.multioutput.MultiOutputClassifier"),
        (CalibratedClassifierCV(SVC()), BINARY.T, UnsupportedEstimatorError, "learns one target, and there are 3"),
        (MultiOutputRegressor(SVC()), NUMBERS.T, UnsupportedEstimatorError, "takes a regressor, and SVC is a class"),
        (
            MultiOutputRegressor(MultiTaskLasso()),
            NUMBERS.T,
            UnsupportedEstimatorError,
            "takes a regressor of one target, and MultiTaskLasso learns several targets",
        ),
        (RegressorChain(SVR()), NUMBERS.T, UnsafeModelError, "it keeps training rows in float32"),
        (RegressorChain(Ridge(), order=[0, 0, 1]), NUMBERS.T, ModelError, "refused to train.*invalid order"),
        (
            ClassifierChain(LogisticRegression(), chain_method="predict_log_proba"),
            BINARY.T,
            UnsafeModelError,
            "chain_method='predict_log_proba' has no saved form",
        ),
        (
            ClassifierChain(RidgeClassifier(), chain_method="predict_proba"),
            BINARY.T,
            ParameterError,
            "ClassifierChain needs predict_proba of RidgeClassifier, which has none",
        ),
        (
            XGBRegressor(multi_strategy="multi_output_tree", n_estimators=2),
            NUMBERS.T,
            UnsafeModelError,
            "multi_output_tree",
        ),
    ],
)
def test_what_cannot_learn_several_targets(estimator: Any, y: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        fit(estimator, list(y))


def test_one_target_for_what_learns_several() -> None:
    for estimator in (MultiTaskLasso(), MultiOutputRegressor(Ridge()), RegressorChain(Ridge())):
        with pytest.raises(UnsupportedEstimatorError, match="learns several targets, and there is one"):
            train(estimator, X, NUMBERS[:, 0], feature_names=NAMES)


def test_an_error_in_one_target_names_it() -> None:
    holes = [NUMBERS[:, 0], np.where(NUMBERS[:, 1] > 1, np.nan, NUMBERS[:, 1]), NUMBERS[:, 2]]
    with pytest.raises(TargetError, match=r"'b': The target is null"):
        fit(Ridge(), holes)
    with pytest.raises(TargetError, match=r"'a': .*must be numbers"):
        fit(Ridge(), labelled(CODES))
    one_class = [np.zeros(len(X), int), *BINARY.T[1:]]
    with pytest.raises(TargetError, match=r"'a': The target has one class"):
        fit(RandomForestClassifier(), one_class)


def test_what_several_targets_do_not_have() -> None:
    model = fit(CLASSIFIERS["each LogisticRegression"], labelled(CODES))
    with pytest.raises(ModelError, match=r"no decision_function of several targets\. Use"):
        model.decision_function(X)
    assert not model.has_scores
    with pytest.raises(ModelError, match="no predict_proba"):
        fit(CLASSIFIERS["each without probabilities"], labelled(CODES)).predict_proba(X)


def test_nan_reaches_the_models_side_by_side_but_no_chain() -> None:
    boosted = HistGradientBoostingRegressor()
    assert describe(MultiOutputRegressor(boosted)).accepts_nan and not describe(RegressorChain(boosted)).accepts_nan


# -- many classes by classifiers of two ---------------------------------------------------------------------------
TWO: dict[str, Any] = {
    "LogisticRegression": LogisticRegression(),
    "LinearSVC": LinearSVC(random_state=0),
    "SVC": SVC(),
    "forest": RandomForestClassifier(**FEW),
    "XGBoost": XGBClassifier(**XGB),
    "calibrated": CalibratedClassifierCV(LogisticRegression(), cv=2),
    "threshold": FixedThresholdClassifier(LogisticRegression(), threshold=0.3),
}


@pytest.mark.parametrize("n_classes", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("base", list(TWO))
def test_one_against_the_rest_and_one_against_one(base: str, n_classes: int) -> None:
    for wrapper in (OneVsRestClassifier(TWO[base]), OneVsOneClassifier(TWO[base])):
        pair = trained(wrapper, n_classes)
        agree(pair, 2e-7 if base == "XGBoost" else 1e-12)
        assert pair.ours.has_scores == hasattr(pair.theirs, "decision_function")
        if pair.ours.has_scores:
            want = pair.theirs.decision_function(X64)
            np.testing.assert_allclose(pair.ours.decision_function(X), want, rtol=0, atol=1e-11)


def test_class_weights_inside_are_of_the_two_classes_there() -> None:
    agree(trained(OneVsRestClassifier(LogisticRegression(class_weight={0: 1, 1: 4})), 3))
    with pytest.raises(ParameterError, match="OneVsRestClassifier takes no weights"):
        trained(OneVsRestClassifier(LogisticRegression()), 3, weights=True)




# -- several targets in one booster -------------------------------------------------------------------------------
BASES = (b"[]", b"[1,2]", b"[1,2,3,4]", b"[nan,1,2]", b"", b"x", b"[[1],2,3]", b"1e999", b"[" * 9999, b"9" * 400)


@pytest.mark.parametrize("text", BASES)
def test_a_booster_with_other_base_scores_is_refused(text: bytes) -> None:
    body = fit(XGBRegressor(**XGB), list(NUMBERS.T)).body
    assert isinstance(body, XGBoost) and body.n_outputs == 3
    start = body.ubj.index(b"base_score") + len(b"base_score")
    (length,) = struct.unpack(">q", body.ubj[start + 2 : start + 10])
    changed = body.ubj[: start + 2] + struct.pack(">q", len(text)) + text + body.ubj[start + 10 + length :]
    with pytest.raises(ArtifactCorruptError, match="base"):
        XGBoost.from_parts({"outputs": 3}, {}, {"ubj": changed}, len(NAMES))


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_a_booster_of_other_targets_is_refused(outputs: int) -> None:
    body = fit(XGBRegressor(**XGB), list(NUMBERS.T)).body
    with pytest.raises(ArtifactCorruptError, match="other outputs"):
        XGBoost.from_parts({"outputs": outputs}, {}, {"ubj": body.to_parts()[2]["ubj"]}, len(NAMES))
