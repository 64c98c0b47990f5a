"""A chosen threshold: scikit-learn's decisions, with labels instead of codes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import FixedThresholdClassifier, StratifiedKFold, TunedThresholdClassifierCV
from sklearn.svm import SVC, LinearSVC
from xgboost import XGBClassifier

from gpupipe.errors import ModelError, ParameterError, TargetError, UnsupportedEstimatorError
from gpupipe.models.estimators import describe
from gpupipe.models.model import train

from .composites import FEW, LABELS, NAMES, WEIGHTS, X64, X, agree, codes, reloaded, trained

BASES: dict[str, Any] = {
    "LogisticRegression": LogisticRegression(),
    "LinearSVC": LinearSVC(random_state=0),
    "SVC": SVC(),
    "forest": RandomForestClassifier(**FEW),
    "XGBoost": XGBClassifier(n_estimators=6, n_jobs=1),
    "LightGBM": LGBMClassifier(n_estimators=6, n_jobs=1, verbose=-1),
    "calibrated XGBoost": CalibratedClassifierCV(XGBClassifier(n_estimators=6, n_jobs=1), cv=3),
}
SINGLE = 5e-8  # 1 - p, which XGBoost's wrapper computes in float32
NO, YES = LABELS[2]
LOGISTIC, CALIBRATED = "LogisticRegression", "calibrated XGBoost"


def tolerance(base: str) -> float:
    return SINGLE if base == "XGBoost" else 1e-12


@pytest.mark.parametrize("positive", [None, "no", "yes"])
@pytest.mark.parametrize("base", list(BASES))
def test_a_fixed_threshold(base: str, positive: str | None) -> None:
    code = None if positive is None else [NO, YES].index(positive)
    for threshold in ("auto", 0.3) if base == "calibrated XGBoost" else ("auto", 0.0, 0.3, 0.7, 1.0):
        wrapper = FixedThresholdClassifier(BASES[base], threshold=threshold, pos_label=positive)
        pair = trained(wrapper, pos_label=code)
        agree(pair, tolerance(base))
        told = pair.ours.threshold
        assert told is not None and told["label"] == (positive or "yes")
        default = 0.0 if told["response"] == "decision_function" else 0.5
        assert told["value"] == pytest.approx(default if threshold == "auto" else threshold, rel=1e-7)


def test_probabilities_are_those_of_the_model_inside() -> None:
    wrapped = trained(FixedThresholdClassifier(BASES["forest"], threshold=0.2)).ours
    alone = trained(BASES["forest"]).ours
    assert wrapped.predict_proba(X).tobytes() == alone.predict_proba(X).tobytes()
    assert (wrapped.predict(X) != alone.predict(X)).any()
    assert (wrapped.predict(X) == np.where(alone.predict_proba(X)[:, 1] >= 0.2, "yes", "no")).all()


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_the_response_asked_for(method: str) -> None:
    wrapper = FixedThresholdClassifier(LogisticRegression(), threshold=0.4, response_method=method)
    pair = trained(wrapper)
    agree(pair)
    assert pair.ours.threshold == {"value": 0.4, "label": "yes", "response": method}


def pays(true: Any, predicted: Any) -> float:
    """A user's own: a missed 'no' costs five times a missed 'yes'. It knows labels alone."""
    return -5.0 * float(((true == "no") & (predicted == "yes")).sum()) - float(
        ((true == "yes") & (predicted == "no")).sum()
    )


def pays_by_code(true: Any, predicted: Any) -> float:
    return -5.0 * float(((true == 0) & (predicted == 1)).sum()) - float(((true == 1) & (predicted == 0)).sum())


SCORINGS: dict[str, tuple[Any, Any]] = {  # of labels, and of codes
    "a name": ("balanced_accuracy", "balanced_accuracy"),
    "a positive label": (make_scorer(f1_score, pos_label="no"), make_scorer(f1_score, pos_label=0)),
    "the other one": (make_scorer(f1_score, pos_label="yes"), "f1"),
    "a function": (make_scorer(pays), make_scorer(pays_by_code)),
    "a loss": (make_scorer(pays, greater_is_better=False), make_scorer(pays_by_code, greater_is_better=False)),
}


@pytest.mark.parametrize("scoring", list(SCORINGS))
@pytest.mark.parametrize(
    "base", ["LinearSVC", "XGBoost", *(pytest.param(name, marks=pytest.mark.slow) for name in (LOGISTIC, CALIBRATED))]
)
def test_a_tuned_threshold(base: str, scoring: str) -> None:
    ours, theirs = SCORINGS[scoring]
    tuned = TunedThresholdClassifierCV(BASES[base], scoring=ours, cv=StratifiedKFold(2), thresholds=30)
    pair = trained(tuned, scoring=theirs)
    agree(pair, tolerance(base))
    told = pair.ours.threshold
    assert told is not None and told["value"] == float(pair.theirs.best_threshold_)
    assert told["label"] == ("no" if scoring == "a positive label" else "yes")


def test_a_tuned_threshold_without_refit_and_on_thresholds_given() -> None:
    agree(trained(TunedThresholdClassifierCV(LogisticRegression(), cv=0.5, refit=False, random_state=0)))
    given_ones = TunedThresholdClassifierCV(LogisticRegression(), thresholds=[0.2, 0.4, 0.6], cv=3)
    pair = trained(given_ones)
    agree(pair)
    assert pair.ours.threshold and pair.ours.threshold["value"] in (0.2, 0.4, 0.6)


def test_labels_that_are_numbers_keep_scikit_learns_positive_one() -> None:
    """scoring="f1" means the label 1: of 1 and 2 that is the first class, code 0."""
    y = codes(2) + 1
    wrapper = TunedThresholdClassifierCV(LogisticRegression(), scoring="f1", cv=3)
    ours = train(wrapper, X, y, feature_names=NAMES)
    theirs = clone(wrapper).fit(X64, y)
    assert (ours.predict(X) == theirs.predict(X64)).all() and ours.threshold is not None
    assert ours.threshold["label"] == 1 and ours.threshold["value"] == theirs.best_threshold_


def test_weights_and_validation_rows_pass_through_a_fixed_threshold() -> None:
    """All that its fit does is to fit the model inside."""
    y = LABELS[2][codes(2)]
    stops = XGBClassifier(n_estimators=200, early_stopping_rounds=3, n_jobs=1, learning_rate=1.0)
    held = (X[200:], y[200:], None)
    how: dict[str, Any] = {"weights": WEIGHTS[:200], "validation": held, "feature_names": NAMES}
    wrapped = train(FixedThresholdClassifier(stops, threshold=0.3), X[:200], y[:200], **how)
    alone = train(stops, X[:200], y[:200], **how)
    assert wrapped.predict_proba(X).tobytes() == alone.predict_proba(X).tobytes()
    row = describe(FixedThresholdClassifier(stops))
    assert row.early_stopping == "eval_set" and row.accepts_weights
    assert not describe(TunedThresholdClassifierCV(stops)).accepts_weights


@settings(max_examples=25, deadline=None)
@given(threshold=st.floats(0.0, 1.0), positive=st.sampled_from(["no", "yes"]))
def test_a_row_is_positive_from_the_threshold_on(threshold: float, positive: str) -> None:
    wrapper = FixedThresholdClassifier(LogisticRegression(), threshold=threshold, pos_label=positive)
    model = reloaded(train(wrapper, X, LABELS[2][codes(2)], feature_names=NAMES))
    share = model.predict_proba(X)[:, [NO, YES].index(positive)]
    assert ((model.predict(X) == positive) == (share >= threshold)).all()


F1 = TunedThresholdClassifierCV(LogisticRegression(), scoring="f1")
LR = LogisticRegression()


@pytest.mark.parametrize(
    ("wrapper", "error", "says"),
    [
        (FixedThresholdClassifier(LR, threshold=1.2), ParameterError, "lie between 0 and 1.*decision_function"),
        (FixedThresholdClassifier(LR, threshold=-0.1), ParameterError, "lie between 0 and 1"),
        (FixedThresholdClassifier(LR, threshold=float("nan")), ParameterError, "is no number"),
        (FixedThresholdClassifier(LR, threshold="half"), ParameterError, "is no number"),
        (FixedThresholdClassifier(LR, threshold=True), ParameterError, "is no number"),
        (FixedThresholdClassifier(LR, pos_label="maybe"), ParameterError, r"'maybe', which no training row has.*'no'"),
        (FixedThresholdClassifier(Ridge()), UnsupportedEstimatorError, "takes a classifier, and Ridge is a regressor"),
        (
            FixedThresholdClassifier(LinearSVC(), response_method="predict_proba"),
            ParameterError,
            "needs predict_proba of LinearSVC",
        ),
        (TunedThresholdClassifierCV(LR, cv="prefit", refit=False), ParameterError, "trained elsewhere"),
        (TunedThresholdClassifierCV(LR, cv=3, refit=False), ModelError, "refused to train"),
        (TunedThresholdClassifierCV(LR, scoring=pays), ParameterError, r"no scoring.*make_scorer\(your_function\)"),
        (TunedThresholdClassifierCV(LR, scoring="f2"), ParameterError, "'f2' is no scoring"),
        (F1, ParameterError, r"takes the label 1 for the positive one, and there are \['no', 'yes'\]. Give .*'yes'"),
    ],
)
def test_what_is_no_threshold(wrapper: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        train(wrapper, X, LABELS[2][codes(2)], feature_names=NAMES)


@pytest.mark.parametrize("wrapper", [FixedThresholdClassifier(LR), TunedThresholdClassifierCV(LR)])
def test_of_three_classes_none_is_chosen_by_a_threshold(wrapper: Any) -> None:
    with pytest.raises(TargetError, match="chooses between two classes, and the target has 3"):
        train(wrapper, X, LABELS[3][codes(3)], feature_names=NAMES)


def test_weights_that_a_tuned_threshold_cannot_hand_on() -> None:
    with pytest.raises(ParameterError, match="TunedThresholdClassifierCV takes no weights"):
        train(TunedThresholdClassifierCV(LR), X, LABELS[2][codes(2)], weights=WEIGHTS, feature_names=NAMES)


def test_a_threshold_on_a_decision_value_may_be_any_number() -> None:
    agree(trained(FixedThresholdClassifier(LinearSVC(random_state=0), threshold=-1.5)))


def test_histogram_boosting_by_names_inside_two_wrappers() -> None:
    boosted = HistGradientBoostingClassifier(max_iter=5, monotonic_cst={"f0": 1}, random_state=0)
    nested = FixedThresholdClassifier(CalibratedClassifierCV(boosted, cv=3), threshold=0.4, pos_label="no")
    model = train(nested, X, LABELS[2][codes(2)], feature_names=NAMES)
    same = CalibratedClassifierCV(clone(boosted).set_params(monotonic_cst=[1, 0, 0, 0, 0, 0]), cv=3)
    want = same.fit(X64, codes(2)).predict_proba(X64)
    np.testing.assert_allclose(model.predict_proba(X), want, rtol=0, atol=1e-12)
    assert (model.predict(X) == np.where(want[:, 0] >= 0.4, "no", "yes")).all()
