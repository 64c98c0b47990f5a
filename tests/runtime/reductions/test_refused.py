"""What cannot be trained on partitions, and rows that nothing can be learned from."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import (
    EmptyDataError,
    LeakageError,
    ModelOptionError,
    NonFiniteError,
    ParameterError,
    TargetError,
    TrainingError,
    UnsupportedEstimatorError,
    WeightsError,
)

from .rows import SCALED, TABLE, fitted

Pipeline: Any = gp.Pipeline


def test_an_estimator_that_is_not_in_the_table() -> None:
    with pytest.raises(UnsupportedEstimatorError) as told:
        Pipeline(SCALED, "two", ExtraTreesClassifier(), training="partitions").fit(TABLE)
    text = str(told.value)
    assert text.startswith("ExtraTreesClassifier cannot be trained on partitions. These can: LinearRegression, Ridge")
    assert "XGBClassifier" in text and "training='gather'" in text
    assert "; on a cluster of GPUs, gp.cluster('cuda'), also RandomForestClassifier, RandomForestRegressor. " in text


def test_what_the_gpus_of_a_cluster_alone_train() -> None:
    with pytest.raises(UnsupportedEstimatorError) as told:
        Pipeline(SCALED, "two", RandomForestClassifier(), training="partitions").fit(TABLE)
    text = str(told.value)
    assert text.startswith("training='partitions' trains RandomForestClassifier by cuml.dask, on a cluster of GPUs al")
    assert "There is no cluster here. Fit on one: gp.cluster('cuda')" in text and "training='gather'" in text


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (LogisticRegression(solver="liblinear"), "two"),
        (LogisticRegression(l1_ratio=0.5, solver="saga"), "two"),
        (LinearRegression(positive=True), "number"),
        (KMeans(3, random_state=np.random.RandomState(0)), None),
        (KMeans(3, init=lambda X, n, random_state: X[:n]), None),
        (PCA("mle"), None),
        (PCA(2, svd_solver="randomized"), None),
        (BernoulliNB(alpha=[1.0, 2.0]), "two"),
    ],
)
def test_an_option_that_it_is_not_trained_with(model: Any, target: Any) -> None:
    pipeline = Pipeline(SCALED, target, model, training="partitions")
    for refused in (lambda: pipeline.fit(TABLE), lambda: pipeline.explain(TABLE)):
        with pytest.raises(ModelOptionError, match=r"is not trained so with .*=.*training='gather'"):
            refused()


def test_training_is_one_of_three_words() -> None:
    with pytest.raises(ParameterError, match="training='partition' is none of None, 'partitions' and 'gather'"):
        Pipeline(SCALED, "two", LogisticRegression(), training="partition").fit(TABLE)


def test_a_pipeline_is_cloned_with_it() -> None:
    pipeline = Pipeline(SCALED, "two", LogisticRegression(), training="partitions")
    assert clone(pipeline).get_params(deep=False)["training"] == "partitions"


def test_gathered_is_what_is_trained_today() -> None:
    by_name = Pipeline(SCALED, "number", Ridge(), training="gather").fit(TABLE)
    assert by_name.report_.trained_on_rows == "training='gather' was asked for" and by_name.report_.training is None
    forest = RandomForestClassifier(5, random_state=0)
    one, other = (Pipeline(SCALED, "two", forest, training=how).fit(TABLE).model_ for how in ("gather", None))
    assert one.digest() == other.digest()


def test_explain_and_the_report_say_how() -> None:
    pipeline = Pipeline(SCALED, "two", LogisticRegression(), training="partitions")
    assert "trained on partitions (Newton's method or L-BFGS, a trip a step)" in str(pipeline.explain(TABLE))
    gathered = Pipeline(SCALED, "two", LogisticRegression(), training="gather")
    assert "matrix of all rows" in str(gathered.explain(TABLE))
    report = pipeline.fit(TABLE).report_
    assert report.training.startswith("on partitions, in ") and "trained on partitions" in repr(report)
    assert report.scans == 1 + int(report.training.split()[3]) and report.source_reads == 1


def test_an_artifact_is_the_same_as_any(tmp_path: Any) -> None:
    pipeline = fitted(GaussianNB(), "two")
    pipeline.save(tmp_path / "bayes.gpp")
    loaded = gp.load(tmp_path / "bayes.gpp")
    assert loaded.predict(TABLE).equals(pipeline.predict(TABLE)) and loaded.model_.digest() == pipeline.model_.digest()  # type: ignore[union-attr]


def test_folds_are_trained_on_rows_by_name_alone() -> None:
    pipeline = Pipeline(SCALED, "two", LogisticRegression(), training="partitions")
    with pytest.raises(ParameterError, match=r"matrix of each fold's rows.*training='partitions' was declared"):
        gp.cross_validate(pipeline, TABLE, folds=2)
    ridge = Pipeline(SCALED, "number", Ridge(), training="partitions")
    assert gp.cross_validate(ridge, TABLE, folds=2) is not None


def test_keys_that_the_model_has_seen_are_known() -> None:
    pipeline = Pipeline(SCALED[:1], "two", GaussianNB(), key="c", training="partitions")
    pipeline.fit(gp.scan(TABLE, partitions=7))
    with pytest.raises(LeakageError):
        pipeline.evaluate(TABLE.slice(0, 10))
    plain = Pipeline(SCALED[:1], "two", GaussianNB(), key="c").fit(TABLE)
    seen, known = (each._fit.seen.keys for each in (pipeline, plain))
    assert (seen.name, seen.hashes.tolist(), seen.whole) == (known.name, known.hashes.tolist(), known.whole)


# -- rows ---------------------------------------------------------------------------------------------------------
def rows(**columns: Any) -> pa.Table:
    return pa.table({"x": [1.0, 2.0, 3.0, 4.0], "y": ["a", "b", "a", "b"], **columns})


def trained(table: pa.Table, model: Any, target: Any = "y", **declared: Any) -> Any:
    pipeline = Pipeline([col("x")], target, model, training="partitions", **declared)
    return pipeline.fit(gp.scan(table, partitions=2))


@pytest.mark.parametrize("model", [LogisticRegression(), GaussianNB()])
def test_one_class(model: Any) -> None:
    with pytest.raises(TargetError, match="one class, 'a', in all 4 rows"):
        trained(rows(y=["a"] * 4), model)


def test_a_null_target_names_its_row() -> None:
    with pytest.raises(TargetError, match="target y is null") as told:
        trained(rows(y=["a", "b", "a", None]), GaussianNB())
    assert "ow 3" in str(told.value)


def test_a_fractional_label() -> None:
    with pytest.raises(TargetError, match=r"fractional numbers, such as 0\.5"):
        trained(rows(y=[0.0, 0.5, 1.0, 1.0]), LogisticRegression())


def test_an_infinite_target() -> None:
    with pytest.raises(TargetError, match="infinite"):
        trained(rows(y=[0.0, 0.5, 1.0, np.inf], w=[1.0] * 4), Ridge(), weights="w")


def test_nan_in_a_feature_names_its_row() -> None:
    with pytest.raises(NonFiniteError, match=r"feature 'x' is .*inf here") as told:
        trained(rows(x=[1.0, 2.0, 3.0, np.inf]), GaussianNB())
    assert "ow 3" in str(told.value)


@pytest.mark.parametrize("weight", [-1.0, None, np.nan])
def test_weights_that_are_none(weight: Any) -> None:
    with pytest.raises(WeightsError, match="Weights are numbers from 0 on"):
        trained(rows(w=[1.0, 1.0, 1.0, weight]), GaussianNB(), weights="w")


def test_weights_of_nothing_but_zeros() -> None:
    with pytest.raises(WeightsError, match="All weights are 0"):
        trained(rows(w=[0.0] * 4), LogisticRegression(), weights="w")
    with pytest.raises(TrainingError, match="all rows of a class have the weight 0"):
        trained(rows(w=[0.0, 1.0, 0.0, 1.0]), GaussianNB(), weights="w")


def test_no_rows() -> None:
    with pytest.raises(EmptyDataError):
        Pipeline([col("x")], "y", GaussianNB(), training="partitions").fit(gp.scan(rows()).filter(col("x") > 9))


def test_partitions_without_rows_do_not_matter() -> None:
    for model, target in ((LogisticRegression(), "y"), (GaussianNB(), "y"), (KMeans(2), None), (PCA(), None)):
        pipeline = Pipeline([col("x")], target, model, training="partitions")
        sources = [gp.scan(rows(), partitions=number).filter(col("x") != 3) for number in (1, 4)]
        one, other = (pipeline.fit(source).model_.digest() for source in sources)
        assert one == other


def test_counts_below_zero() -> None:
    with pytest.raises(TrainingError, match=r"MultinomialNB takes counts, from 0 on, and the feature 'x' is -1\.0"):
        trained(rows(x=[1.0, 2.0, -1.0, 0.0]), MultinomialNB())


@pytest.mark.parametrize(
    ("model", "target", "said"),
    [
        (LogisticRegression(C=-1.0), "y", "'C' parameter"),
        (KMeans(9), None, "cannot find 9 clusters in 4 rows"),
        (KMeans(2, init=np.zeros((3, 1))), None, r"init has the shape \(3, 1\), and it takes \(2, 1\)"),
        (PCA(7), None, "cannot find 7 components in 4 rows × 1 feature"),
        (GaussianNB(priors=[1.0]), "y", "1 priors for 2 classes"),
        (GaussianNB(priors=[0.9, 0.9]), "y", "together 1"),
        (MultinomialNB(class_prior=[1.0]), "y", "class_prior has 1 numbers for 2 classes"),
        (MultinomialNB(alpha=[1.0, 2.0]), "y", "alpha holds 2 numbers for 1 features"),
    ],
)
def test_parameters_that_make_no_sense(model: Any, target: Any, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        trained(rows(), model, target)


def test_rows_to_stop_by_that_nothing_stops_by() -> None:
    with pytest.raises(ParameterError, match="does not stop early"):
        Pipeline([col("x")], "y", GaussianNB(), training="partitions").fit(rows(), validation=rows())


def test_classes_that_are_told_apart_without_a_penalty() -> None:
    """scikit-learn warns, and gives large coefficients."""
    with pytest.warns(ConvergenceWarning, match="tells the classes apart in every row"):
        model = trained(rows(y=["a", "a", "b", "b"]), LogisticRegression(C=np.inf)).model_
    assert (model.predict(np.array([[1], [4]], np.float32)) == ["a", "b"]).all()


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
def test_too_few_trips(solver: str) -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=2 trips were not enough"):
        fitted(LogisticRegression(max_iter=2, solver=solver), "two")


def test_fewer_places_than_clusters() -> None:
    with pytest.warns(ConvergenceWarning, match="asked for 3 clusters and found 2"):
        trained(rows(x=[1.0, 1.0, 5.0, 5.0]), KMeans(3, random_state=0), None)


def test_features_that_depend_on_each_other_nearly() -> None:
    """A penalty tells them apart."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    columns = {"x": x, "z": x + 1e-6 * rng.normal(size=500), "y": x + rng.normal(size=500), "w": rng.random(500)}
    how: dict[str, Any] = {"weights": "w", "training": "partitions"}
    with pytest.raises(TrainingError, match=r"so nearly dependent .* take Ridge with a penalty, or give training="):
        Pipeline([gp.cols("x", "z")], "y", LinearRegression(), **how).fit(columns)
    found = Pipeline([gp.cols("x", "z")], "y", Ridge(1.0), **how).fit(columns).model_
    X = np.stack([columns["x"], columns["z"]], axis=1).astype(np.float32).astype(np.float64)
    theirs = Ridge(1.0).fit(X, columns["y"], columns["w"])
    assert np.allclose(found.arrays["coefficients"], theirs.coef_, rtol=1e-6)
