"""scikit-learn's own checks on Pipeline, and its meta-estimators around it.

The lists of exceptions are strict: a check that fails and is not listed, one that is listed and passes, and one that
is skipped and not listed fail the test.
"""

import os
import pickle
import subprocess
import sys
import textwrap
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError as TheirNotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks as checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

import gpupipe as gp


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def scaled(model=None):
    return gp.Pipeline([gp.numeric().fill_null("mean").standardize()], model=model)


ESTIMATORS = {
    "classifier": lambda: scaled(LogisticRegression()),
    "regressor": lambda: scaled(Ridge()),
    "transformer": lambda: scaled(),
    "clusterer": lambda: scaled(KMeans(n_clusters=3, n_init=2, random_state=0)),
    "components": lambda: scaled(PCA(random_state=0)),
    "neighbours": lambda: scaled(KNeighborsClassifier(3)),
}

UNWEIGHTED = (
    "weights reach the model and the metrics; statistics (here the mean and the deviation) are unweighted, as in "
    "scikit-learn's own Pipeline of a StandardScaler and a model"
)
EXCEPTED = {
    "classifier": {"check_sample_weight_equivalence_on_dense_data": UNWEIGHTED},
    "regressor": {"check_sample_weight_equivalence_on_dense_data": UNWEIGHTED},
    "transformer": {},  # it has no weights: without a model they would change nothing
    "clusterer": {"check_sample_weight_equivalence_on_dense_data": UNWEIGHTED},
    "components": {},
    "neighbours": {},
}
SKIPPED = {"check_array_api_input": "needs SCIPY_ARRAY_API set before scipy is imported: run in a process of its own"}
LEAST = {"classifier": 65, "regressor": 63, "transformer": 45, "clusterer": 51, "components": 45, "neighbours": 60}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_check_estimator(name):
    excepted = EXCEPTED[name]
    results = check_estimator(ESTIMATORS[name](), on_fail=None, on_skip=None, expected_failed_checks=excepted)
    told = {status: sorted({r["check_name"] for r in results if r["status"] == status}) for status in STATUSES}
    failures = [f"{r['check_name']}: {r['exception']!r}" for r in results if r["status"] == "failed"]
    assert not failures, "\n".join(failures)
    assert told["xfail"] == sorted(excepted), "an excepted check passes, or is there no longer: take it off the list"
    assert told["skipped"] == sorted(SKIPPED)
    assert not set(told["passed"]) & set(excepted)
    assert len(excepted) <= 6 and Counter(r["status"] for r in results)["passed"] >= LEAST[name]


STATUSES = ("passed", "failed", "xfail", "skipped")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [Ridge(), LinearRegression()])
def test_without_statistics_weights_are_repetitions(model):
    checks.check_sample_weight_equivalence_on_dense_data("Pipeline", gp.Pipeline([gp.numeric() * 2], model=model))


@parametrize_with_checks([scaled()], xfail_strict=True)
@pytest.mark.filterwarnings("ignore")
def test_parametrize_with_checks(estimator, check):
    check(estimator)


def test_array_api_input_in_a_process_of_its_own():
    code = """
        import warnings; warnings.filterwarnings("ignore")
        import gpupipe as gp
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.utils.estimator_checks import check_array_api_input
        for model in (LogisticRegression(), Ridge(), None):
            pipeline = gp.Pipeline([gp.numeric().fill_null("mean").standardize()], model=model)
            check_array_api_input("Pipeline", pipeline, array_namespace="numpy", expect_only_array_outputs=False)
        print("passed")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == "passed", done.stderr


# -- checks that check_estimator leaves out -------------------------------------------------------------------
OUTSIDE = [
    "check_estimator_cloneable",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
@pytest.mark.parametrize("name", ["classifier", "regressor", "transformer", "clusterer", "components"])
@pytest.mark.parametrize("check", OUTSIDE)
def test_checks_outside(check, name):
    getattr(checks, check)("Pipeline", ESTIMATORS[name]())


@pytest.mark.parametrize("model", [LogisticRegression(), Ridge(), KMeans(2, n_init=1), PCA(1)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_where_no_feature_fills_them(bad, model):
    """What check_estimators_nan_inf asks, but for transform: a feature of a model may hold what the model refuses."""
    good, y = np.random.default_rng(0).random((10, 3)), np.arange(10) % 2
    rows = good.copy()
    rows[0, 0] = bad
    pipeline = gp.Pipeline([gp.numeric()], model=model)
    with pytest.raises(ValueError, match=r"inf|NaN"):
        pipeline.fit(rows, y)
    pipeline.fit(good, y)
    use = pipeline.predict if hasattr(pipeline, "predict") else pipeline.transform
    with pytest.raises(ValueError, match=r"inf|nan"):
        use(rows)


@pytest.mark.parametrize("name", ["classifier", "regressor", "transformer"])
def test_names_are_kept_and_columns_found_by_them(name):
    """scikit-learn wants frames of other columns or another order refused; we promise to find columns by name."""
    with pytest.raises(AssertionError, match="did not raise"):
        checks.check_dataframe_column_names_consistency("Pipeline", ESTIMATORS[name]())
    X, y = make_classification(60, 4, random_state=0)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    pipeline = ESTIMATORS[name]().fit(frame, y)
    assert pipeline.feature_names_in_.dtype == object and list(pipeline.feature_names_in_) == ["a", "b", "c", "d"]
    use = pipeline.transform if name == "transformer" else pipeline.predict
    expected = np.asarray(use(frame))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(use(frame), expected)
        assert np.array_equal(use(frame[["d", "b", "a", "c"]].assign(more="x")), expected)
    with pytest.raises(gp.errors.ColumnNotFoundError, match="'b'"):
        use(frame.drop(columns="b"))
    with pytest.warns(UserWarning, match="X does not have valid feature names, but Pipeline was fitted with"):
        assert np.array_equal(use(X), expected)
    pipeline.fit(X, y)
    assert not hasattr(pipeline, "feature_names_in_") and pipeline.n_features_in_ == 4


@pytest.mark.parametrize("weights", [{0: 1000, 1: 1e-4}, {0: 1e-4, 1: 1000}])
def test_class_weights(weights):
    """What check_class_weight_classifiers asks, of a parameter that is called model__class_weight here."""
    X, y = make_classification(200, 4, flip_y=0.5, random_state=0)
    favoured = max(weights, key=weights.get)
    pipeline = scaled(LogisticRegression()).set_params(model__class_weight=weights).fit(X, y)
    assert (pipeline.predict(X) == favoured).mean() > 0.87


def test_several_targets():
    checks.check_classifier_multioutput("Pipeline", scaled(KNeighborsClassifier(3)))
    tags = {name: make().__sklearn_tags__().target_tags for name, make in ESTIMATORS.items()}
    assert {name for name, tag in tags.items() if tag.multi_output} == {"regressor", "neighbours"}


def test_weights_show_in_the_signature_where_they_count():
    weighed = {name for name, make in ESTIMATORS.items() if has_fit_parameter(make(), "sample_weight")}
    assert weighed == {"classifier", "regressor", "clusterer"}
    for name in set(ESTIMATORS) - weighed:
        with pytest.raises(gp.errors.ParameterError, match="sample_weight"):
            ESTIMATORS[name]().fit(X, Y if name == "neighbours" else None, sample_weight=WEIGHTS)
    bagged = BaggingClassifier(scaled(KNeighborsClassifier(3)), 3, random_state=0).fit(X, Y)
    theirs = BaggingClassifier(make_pipeline(StandardScaler(), KNeighborsClassifier(3)), 3, random_state=0).fit(X, Y)
    assert bagged.predict_proba(X) == pytest.approx(theirs.predict_proba(X))


# -- scikit-learn's meta-estimators ---------------------------------------------------------------------------
X, Y = make_classification(120, 5, random_state=0)
NUMBERS = X @ [1.0, 2.0, 0.0, 0.0, 1.0] + 0.1
WEIGHTS = np.linspace(0.5, 2, 120)
FRAME = pd.DataFrame(X, columns=list("abcde"), index=np.arange(120) * 3)
KINDS = {"numpy": X, "pandas": FRAME, "polars": pl.from_pandas(FRAME)}


def logistic():
    return scaled(LogisticRegression())


def by_hand(**arguments):
    return make_pipeline(StandardScaler(), LogisticRegression(**arguments))


META = {
    "cross_val_predict": lambda X, one: cross_val_predict(one, X, Y, method="predict_proba"),
    "decision_function": lambda X, one: cross_val_predict(one, X, Y, method="decision_function"),
    "roc_auc": lambda X, one: cross_val_score(one, X, Y, scoring="roc_auc", error_score="raise"),
    "neg_log_loss": lambda X, one: cross_val_score(one, X, Y, scoring="neg_log_loss", error_score="raise"),
    "VotingClassifier": lambda X, one: VotingClassifier([("a", one), ("b", one)], voting="soft").fit(X, Y)
    .predict_proba(X),
    "StackingClassifier": lambda X, one: StackingClassifier([("a", one)]).fit(X, Y).predict_proba(X),
    "CalibratedClassifierCV": lambda X, one: CalibratedClassifierCV(one, cv=3).fit(X, Y).predict_proba(X),
    "isotonic": lambda X, one: CalibratedClassifierCV(one, cv=3, method="isotonic", ensemble=False).fit(X, Y)
    .predict_proba(X),
    "OneVsRestClassifier": lambda X, one: OneVsRestClassifier(one).fit(X, Y).predict(X),
    "FixedThresholdClassifier": lambda X, one: FixedThresholdClassifier(one, threshold=0.3).fit(X, Y).predict(X),
    "permutation_importance": lambda X, one: permutation_importance(one.fit(X, Y), X, Y, n_repeats=2, random_state=0)
    .importances,
    "SequentialFeatureSelector": lambda X, one: SequentialFeatureSelector(one, n_features_to_select=2, cv=2).fit(X, Y)
    .get_support(),
    "learning_curve": lambda X, one: learning_curve(one, X, Y, cv=2, train_sizes=[0.5, 1.0])[1],
    "a step": lambda X, one: make_pipeline(StandardScaler(), one).fit(X, Y).predict_proba(X),
}  # fmt: skip




@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize(
    ("case", "kind"),
    [(case, kind) for case in META for kind in KINDS if kind != "polars" or case in ("roc_auc", "decision_function")]
    + [("permutation_importance", "polars"), ("CalibratedClassifierCV", "polars")],
)
def test_meta_estimators_give_what_they_give_around_scikit_learns_pipeline(case, kind):
    ours, theirs = META[case](KINDS[kind], logistic()), META[case](KINDS[kind], by_hand())
    assert np.asarray(ours) == pytest.approx(np.asarray(theirs), abs=1e-5)


@pytest.mark.parametrize("make", [BaggingClassifier, AdaBoostClassifier])
def test_those_that_draw_rows_by_weights_share_the_statistics_of_all_rows(make):
    """They find sample_weight in the signature of fit, and statistics are unweighted."""
    ours = make(logistic(), n_estimators=3, random_state=0).fit(X, Y)
    scaled_beforehand = StandardScaler().fit_transform(X)
    theirs = make(LogisticRegression(), n_estimators=3, random_state=0).fit(scaled_beforehand, Y)
    assert ours.predict_proba(X) == pytest.approx(theirs.predict_proba(scaled_beforehand), abs=1e-5)


def test_two_processes():
    ours, theirs = (cross_val_score(one, FRAME, Y, n_jobs=2, error_score="raise") for one in (logistic(), by_hand()))
    assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_searches(kind):
    for search in (GridSearchCV, HalvingGridSearchCV):
        rest = {"random_state": 0} if search is HalvingGridSearchCV else {}
        found = [
            search(one, {name: [1e-3, 1.0]}, cv=3, error_score="raise", scoring="roc_auc", **rest).fit(KINDS[kind], Y)
            for one, name in ((logistic(), "model__C"), (by_hand(), "logisticregression__C"))
        ]
        ours, theirs = (f.cv_results_["mean_test_score"] for f in found)
        assert ours == pytest.approx(theirs, abs=1e-6)
        assert found[0].predict(KINDS[kind]).shape == (120,)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_go_through(kind):
    scores = [
        cross_validate(one, KINDS[kind], Y, params={name: WEIGHTS}, error_score="raise")["test_score"]
        for one, name in ((logistic(), "sample_weight"), (by_hand(), "logisticregression__sample_weight"))
    ]
    assert scores[0] == pytest.approx(scores[1])
    voting = VotingClassifier([("a", logistic())], voting="soft").fit(KINDS[kind], Y, sample_weight=WEIGHTS)
    alone = logistic().fit(KINDS[kind], Y, sample_weight=WEIGHTS)
    assert np.array_equal(voting.predict_proba(KINDS[kind]), alone.predict_proba(KINDS[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_column_transformer_and_union(kind):
    data = KINDS[kind]
    one = ColumnTransformer([("g", scaled(), [0, 1]), ("rest", "passthrough", [2, 3])])
    expected = np.column_stack([StandardScaler().fit_transform(X[:, :2]), X[:, 2:4]])
    assert np.asarray(one.fit_transform(data, Y)) == pytest.approx(expected, abs=1e-6)
    names = ["x0", "x1", "x2", "x3"] if kind == "numpy" else ["a", "b", "c", "d"]
    assert [name.partition("__")[2] for name in one.get_feature_names_out()] == names
    frame = clone(one).set_output(transform="pandas").fit_transform(data, Y)
    assert isinstance(frame, pd.DataFrame) and frame.to_numpy() == pytest.approx(expected, abs=1e-6)
    both = make_union(scaled(), StandardScaler()).fit_transform(data)
    assert np.asarray(both)[:, :5] == pytest.approx(np.asarray(both)[:, 5:], abs=1e-6)


def test_regressors_that_reshape_predictions():
    theirs = make_pipeline(StandardScaler(), Ridge())
    for kind, data in KINDS.items():
        one = scaled(Ridge())
        if kind != "numpy":
            one.set_output(predict="numpy")
        for make in (
            lambda inner: StackingRegressor([("a", inner)]),
            lambda inner: TransformedTargetRegressor(inner, func=np.cbrt, inverse_func=lambda values: values**3),
        ):
            ours, expected = make(one).fit(data, NUMBERS).predict(data), make(theirs).fit(data, NUMBERS).predict(data)
            assert np.asarray(ours) == pytest.approx(np.asarray(expected), abs=1e-3)


def test_set_output_survives_a_clone_and_leaves_predictions_alone():
    one = logistic().set_output(transform="pandas")
    copy = clone(one).fit(X, Y)
    assert isinstance(copy.transform(X), pd.DataFrame) and isinstance(copy.predict(X), np.ndarray)
    with sklearn.config_context(transform_output="polars"):
        fitted = logistic().fit(X, Y)
        assert isinstance(fitted.transform(X), pl.DataFrame) and isinstance(fitted.predict(X), np.ndarray)
        assert get_scorer("roc_auc")(fitted, FRAME.to_numpy(), Y) > 0.5


def test_pickled_it_is_the_same():
    fitted = logistic().fit(FRAME, Y)
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.predict_proba(FRAME).tobytes() == fitted.predict_proba(FRAME).tobytes()
    assert copy.state_digest() == fitted.state_digest()
    assert list(copy.feature_names_in_) == list(fitted.feature_names_in_)


def test_not_fitted_is_both_errors_even_from_another_process():
    with pytest.raises(TheirNotFittedError) as found:
        logistic().predict(X)
    assert isinstance(found.value, gp.errors.NotFittedError)
    copy = pickle.loads(pickle.dumps(found.value))
    assert isinstance(copy, TheirNotFittedError) and isinstance(copy, gp.errors.NotFittedError)
    assert str(copy) == str(found.value) and "Call fit" in str(copy)


def test_shown_in_a_notebook():
    assert "LogisticRegression" in make_pipeline(StandardScaler(), logistic())._repr_html_()
