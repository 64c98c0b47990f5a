"""Calibrated classifiers: scikit-learn's probabilities, from arrays alone."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC, LinearSVC
from xgboost import XGBClassifier

import gpupipe as gp
from gpupipe.errors import ModelError, ParameterError, TargetError, UnsupportedEstimatorError
from gpupipe.models.estimators import describe
from gpupipe.models.forms.calibration import Calibrated
from gpupipe.models.model import train

from .composites import FEW, LABELS, NAMES, WEIGHTS, X64, X, agree, codes, trained

BASES: dict[str, Any] = {
    "LogisticRegression": LogisticRegression(),
    "LinearSVC": LinearSVC(random_state=0),
    "SVC": SVC(),
    "GaussianNB": GaussianNB(),
    "KNeighbors": KNeighborsClassifier(),
    "forest": RandomForestClassifier(**FEW, max_depth=4),
    "HistGB": HistGradientBoostingClassifier(max_iter=6, random_state=0),
    "XGBoost": XGBClassifier(n_estimators=6, n_jobs=1),
    "LightGBM": LGBMClassifier(n_estimators=6, n_jobs=1, verbose=-1),
    "CatBoost": CatBoostClassifier(iterations=5, verbose=False, allow_writing_files=False, random_seed=0),
}
SINGLE = 2e-7  # XGBoost responds in float32, of which scikit-learn takes logarithms in float32; ours are float64


METHODS = ("sigmoid", "isotonic", "temperature")
FAST = [(base, method, 2 if method == "sigmoid" else 3) for base in ("LinearSVC", "HistGB", "XGBoost")
        for method in METHODS]  # fmt: skip
ALL = [(base, method, n) for base in BASES if base != "CatBoost" for method in METHODS for n in (2, 3)]
SLOW = [pytest.param(*case, marks=pytest.mark.slow) for case in ALL if case not in FAST]


@pytest.mark.parametrize(("base", "method", "n_classes"), [*FAST, *SLOW])
def test_it_says_what_scikit_learn_says(base: str, method: str, n_classes: int) -> None:
    pair = trained(CalibratedClassifierCV(BASES[base], method=method, cv=3), n_classes)
    steep = base == "GaussianNB" and method == "isotonic"  # knots 1e-9 apart: a last bit of the score is multiplied
    agree(pair, atol=SINGLE if (base, method) == ("XGBoost", "temperature") else 1e-10 if steep else 1e-12)
    assert pair.ours.form == "calibrated" and len(pair.ours.params["members"]) == 3
    assert not pair.ours.blobs  # even XGBoost's is an array of bytes


@pytest.mark.parametrize("base", ["LinearSVC", "forest", "XGBoost", "CatBoost"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_one_model_for_all_folds(base: str, method: str) -> None:
    pair = trained(CalibratedClassifierCV(BASES[base], method=method, cv=3, ensemble=False), 3)
    agree(pair)
    assert len(pair.ours.params["members"]) == 1


@pytest.mark.parametrize("cv", [None, 2, StratifiedKFold(4, shuffle=True, random_state=0), TimeSeriesSplit(3)])
def test_any_splitter(cv: Any) -> None:
    agree(trained(CalibratedClassifierCV(LogisticRegression(), cv=cv)))


def test_splits_listed() -> None:
    held_out = [(np.arange(200), np.arange(200, 300))]  # the later rows, as after a split by time
    agree(trained(CalibratedClassifierCV(BASES["HistGB"], cv=held_out), 3))


def test_a_fold_that_lacks_a_class() -> None:
    """The rows of one class all stand in the second of two folds: one model knows two classes, calibrated as such."""
    y = codes(3)
    rows = np.concatenate([np.flatnonzero(y != 2)[:100], np.flatnonzero(y == 0)[60:], np.flatnonzero(y == 2)])
    pair = trained(CalibratedClassifierCV(LogisticRegression(), cv=KFold(2), method="isotonic"), 3, rows=rows)
    assert isinstance(pair.ours.body, Calibrated)
    assert {member.classes for member in pair.ours.body.members} == {(0, 1), (0, 2)}
    agree(pair)


@pytest.mark.parametrize("base", ["LogisticRegression", "XGBoost"])
def test_weights_reach_the_models_and_the_curves(base: str) -> None:
    weighted = trained(CalibratedClassifierCV(BASES[base], cv=3), weights=True)
    agree(weighted)
    plain = trained(CalibratedClassifierCV(BASES[base], cv=3))
    assert weighted.ours.digest() != plain.ours.digest()


def test_class_weights_by_label_and_constraints_by_name_reach_the_estimator_inside() -> None:
    y = LABELS[2][codes(2)]
    weighted = LogisticRegression(class_weight={"yes": 5.0, "no": 1.0})
    ours = train(CalibratedClassifierCV(weighted, cv=3), X, y, feature_names=NAMES)
    by_code = LogisticRegression(class_weight={1: 5.0, 0: 1.0})
    theirs = CalibratedClassifierCV(by_code, cv=3).fit(X64, codes(2))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X64), rtol=0, atol=1e-12)
    assert weighted.class_weight == {"yes": 5.0, "no": 1.0}  # the user's object is never changed

    boosted = HistGradientBoostingClassifier(max_iter=5, monotonic_cst={"f0": 1}, random_state=0)
    ours = train(CalibratedClassifierCV(boosted, cv=3), X, y, feature_names=NAMES)
    by_place = boosted.set_params(monotonic_cst=[1, 0, 0, 0, 0, 0])
    theirs = CalibratedClassifierCV(by_place, cv=3).fit(X64, codes(2))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X64), rtol=0, atol=1e-12)


def test_nan_is_taken_where_the_model_inside_takes_it() -> None:
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X).astype(np.float32)
    y = codes(2)
    wrapper = CalibratedClassifierCV(BASES["HistGB"], cv=3)
    ours = train(wrapper, holes, LABELS[2][y], feature_names=NAMES)
    want = wrapper.fit(holes.astype(np.float64), y).predict_proba(holes.astype(np.float64))
    np.testing.assert_allclose(ours.predict_proba(holes), want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("base", list(BASES))
def test_the_row_follows_from_the_row_inside(base: str) -> None:
    row, inner = describe(CalibratedClassifierCV(BASES[base])), describe(BASES[base])
    assert row.path == "sklearn.calibration.CalibratedClassifierCV" and row.kind == "classifier"
    assert (row.dtype, row.accepts_nan, row.accepts_weights) == (inner.dtype, inner.accepts_nan, inner.accepts_weights)
    assert row.early_stopping is None and row.inner == inner


def fit(wrapper: Any, y: Any = None, **how: Any) -> Any:
    return train(wrapper, X, LABELS[2][codes(2)] if y is None else y, feature_names=NAMES, **how)


@pytest.mark.parametrize(
    ("wrapper", "error", "says"),
    [
        (CalibratedClassifierCV(Ridge()), UnsupportedEstimatorError, "takes a classifier, and Ridge is a regressor"),
        (CalibratedClassifierCV(), UnsupportedEstimatorError, "holds no estimator"),
        (
            CalibratedClassifierCV(LabelSpreading()),
            UnsupportedEstimatorError,
            "CalibratedClassifierCV holds an estimator that cannot be kept. sklearn's LabelSpreading",
        ),
        (
            CalibratedClassifierCV(FrozenEstimator(LogisticRegression().fit(X64, codes(2)))),
            UnsupportedEstimatorError,
            "FrozenEstimator .* was trained elsewhere",
        ),
        (CalibratedClassifierCV(LogisticRegression(), cv="prefit"), ParameterError, "trained elsewhere"),
        (CalibratedClassifierCV(LogisticRegression(), cv=200), TargetError, "200 folds needs 200 rows.*'no' has 150"),
        (CalibratedClassifierCV(LogisticRegression(), cv=StratifiedKFold(151)), TargetError, "151 folds"),
        (
            CalibratedClassifierCV(XGBClassifier(early_stopping_rounds=3)),
            ParameterError,
            "CalibratedClassifierCV fits XGBClassifier on parts of the training rows",
        ),
        (CalibratedClassifierCV(LogisticRegression(), method="magic"), ModelError, "refused to train.*magic"),
        (
            CalibratedClassifierCV(LogisticRegression(class_weight={"maybe": 2})),
            ParameterError,
            "class_weight names the label 'maybe', which no training row has",
        ),
    ],
)
def test_what_cannot_be_calibrated(wrapper: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        fit(wrapper)


def test_validation_rows_and_weights_it_cannot_hand_on() -> None:
    with pytest.raises(ParameterError, match="does not stop early"):
        fit(CalibratedClassifierCV(BASES["HistGB"]), validation=(X[:50], LABELS[2][codes(2)][:50], None))
    with pytest.raises(ParameterError, match="CalibratedClassifierCV takes no weights"):
        fit(CalibratedClassifierCV(KNeighborsClassifier()), weights=WEIGHTS)


def test_it_scores_without_scikit_learn(tmp_path: Any) -> None:
    table = {**dict(zip(NAMES, X.T, strict=True)), "y": LABELS[2][codes(2)]}
    model = CalibratedClassifierCV(BASES["HistGB"], cv=3, method="isotonic")
    pipeline = gp.Pipeline([gp.numeric()], "y", model).fit(table)
    pipeline.save(tmp_path / "calibrated.gpp")
    np.save(tmp_path / "want.npy", pipeline.predict_proba(table, output="numpy"))
    code = (
        "import sys, numpy as np, gpupipe as gp\n"
        f"scorer = gp.Scorer.load({str(tmp_path / 'calibrated.gpp')!r})\n"
        f"want = np.load({str(tmp_path / 'want.npy')!r})\n"
        f"rng = np.random.default_rng(11); X = rng.normal(size={X.shape}).astype(np.float32)\n"
        "found = scorer.predict_proba({f'f{at}': column for at, column in enumerate(X.T)})\n"
        "assert found.tobytes() == want.tobytes()\n"
        "assert not {'sklearn', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
