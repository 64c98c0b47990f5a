"""The contract of Pipeline: scikit-learn's, its own on targets, weights and outputs, and folds that leak nothing."""

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import (
    ColumnNotFoundError,
    DataError,
    LeakageError,
    NotFittedError,
    NullableFeatureError,
    ParameterError,
    SchemaMismatchError,
    TargetError,
)
from gpupipe.kernels.reference import hashing
from gpupipe.serve.scorer import Scorer
from gpupipe.sources.memory import TablePartition

EPS32 = float(np.finfo(np.float32).eps)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def people(n=203, seed=3):
    """A data frame with a signal: numbers with nulls, text, a target of each kind."""
    rng = np.random.default_rng(seed)
    age, income = rng.normal(40, 12, n), rng.exponential(30, n)
    city = rng.choice(["Rome", "Oslo", "Lima"], n)
    score = (age - 40) / 10 + (city == "Oslo") + rng.normal(0, 0.7, n)
    age[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame({"age": age, "income": income, "city": city, "late": score > 0.3, "score": score})


FEATURES = [col("age").fill_null("mean").standardize(), col("income").log1p(), col("city").one_hot()]


def classifier(**arguments):
    return gp.Pipeline(FEATURES, model=LogisticRegression(**arguments))


def parts(frame, target="late"):
    return frame[["age", "income", "city"]], frame[target]


# -- scikit-learn's contract ----------------------------------------------------------------------------------
def test_parameters_untouched_and_clone():
    model = LogisticRegression(C=3)
    pipeline = gp.Pipeline(FEATURES, target="late", model=model, device="cpu")
    assert pipeline.features is FEATURES and pipeline.model is model
    params = pipeline.get_params()
    assert params["model__C"] == 3 and params["target"] == "late" and params["weights"] is None
    names = {"features", "target", "model", "weights", "groups", "key", "device", "memory", "training"}
    assert set(pipeline.get_params(deep=False)) == names
    assert pipeline.set_params(model__C=0.5, device="reference") is pipeline
    assert (model.C, pipeline.device) == (0.5, "reference")
    with pytest.raises(ParameterError, match="devise"):
        pipeline.set_params(devise="cpu")
    other = clone(pipeline)
    assert other.model is not model and other.model.C == 0.5 and repr(other) == repr(pipeline)


def test_clone_of_a_fitted_pipeline_is_unfitted():
    fitted = classifier().fit(*parts(people()))
    check_is_fitted(fitted)
    fresh = clone(fitted)
    with pytest.raises(NotFittedError):
        fresh.predict(people())
    with pytest.raises(NotFittedError):
        fresh.state_digest()
    assert is_classifier(fresh) and is_regressor(gp.Pipeline(FEATURES, model=Ridge()))


def test_fit_changes_no_parameter_and_using_changes_no_attribute():
    frame = people()
    model = LogisticRegression()
    pipeline = gp.Pipeline(FEATURES, target="late", model=model)
    assert pipeline.fit(frame) is pipeline
    assert not hasattr(model, "coef_")
    before = {name: id(value) for name, value in vars(pipeline).items()}
    pipeline.predict(frame)
    pipeline.predict_proba(frame)
    pipeline.transform(frame)
    pipeline.score(frame)
    pipeline.evaluate(frame, allow_overlap=True)
    assert {name: id(value) for name, value in vars(pipeline).items()} == before


def by_hand(frame):
    """The features of FEATURES, written out."""
    age = frame["age"].fillna(frame["age"].mean())
    cities = [(frame["city"] == city).astype(float) for city in ("Lima", "Oslo", "Rome")]
    return np.column_stack([(age - age.mean()) / age.std(ddof=0), np.log1p(frame["income"]), *cities])


@pytest.mark.parametrize("weighted", [False, True])
def test_a_model_is_what_the_library_trains_on_these_features(weighted):
    frame = people()
    X, y = parts(frame)
    weights = np.random.default_rng(1).random(len(frame)) + 0.1 if weighted else None
    ours = classifier().fit(X, y, sample_weight=weights)
    theirs = LogisticRegression().fit(by_hand(frame).astype(np.float32).astype(np.float64), y, sample_weight=weights)
    assert np.allclose(ours.predict_proba(X), theirs.predict_proba(by_hand(frame)), atol=1e-5)
    declared = gp.Pipeline(FEATURES, target="late", model=LogisticRegression(), weights="w" if weighted else None)
    declared.fit(frame.assign(w=weights) if weighted else frame)
    assert declared.predict_proba(X).tobytes() == ours.predict_proba(X).tobytes()


@pytest.mark.parametrize("kind", ["pandas", "numpy"])
def test_grid_search_and_cross_validation(kind):
    frame = people()
    X, y = parts(frame)
    pipeline = classifier()
    if kind == "numpy":
        X, y = X[["age", "income"]].to_numpy(), y.to_numpy()
        pipeline = gp.Pipeline([gp.numeric().fill_null("mean").standardize()], model=LogisticRegression())
    search = GridSearchCV(pipeline, {"model__C": [1e-4, 1.0]}, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_["model__C"] == 1.0 and search.best_score_ > 0.7
    assert search.predict(X).shape == (len(frame),)
    assert list(search.classes_) == [False, True]
    scores = cross_val_score(pipeline, X, y, cv=3, scoring="roc_auc", error_score="raise")
    assert scores.shape == (3,) and scores.min() > 0.75
    assert cross_val_score(pipeline, X, y, cv=3, scoring="accuracy", error_score="raise") == pytest.approx(
        cross_val_score(pipeline, X, y, cv=3, error_score="raise")
    )


def test_grid_search_over_features():
    X, y = parts(people(), "score")
    grid = {"features": [[col("income")], [col("age").fill_null("mean"), col("city").one_hot()]]}
    search = GridSearchCV(gp.Pipeline([col("income")], model=Ridge()), grid, cv=3, error_score="raise").fit(X, y)
    assert len(search.best_params_["features"]) == 2


def test_cross_validated_regression():
    frame = people()
    X, y = parts(frame, "score")
    theirs = cross_val_score(Ridge(), by_hand(frame)[:, 1:2], y, cv=3, scoring="r2")
    ours = cross_val_score(gp.Pipeline([col("income").log1p()], model=Ridge()), X, y, cv=3, error_score="raise")
    assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_score_that_has_no_value_is_told(rows):
    frame = people()
    pipeline = gp.Pipeline(FEATURES, target="score", model=Ridge()).fit(frame)
    with pytest.raises(TargetError, match="no r2 of these rows: the target is constant"):
        pipeline.score(pd.concat([frame[:1]] * rows))


@pytest.mark.parametrize("model", [Ridge(), SGDClassifier(random_state=0), LogisticRegression()])
def test_score_is_the_models_own(model):
    frame = people()
    target = "score" if is_regressor(model) else "late"
    pipeline = gp.Pipeline(FEATURES, target=target, model=model).fit(frame)
    predicted = pipeline.predict(frame)
    expected = r2_score(frame[target], predicted) if is_regressor(model) else (predicted == frame[target]).mean()
    assert pipeline.score(frame) == pytest.approx(expected)
    X, y = parts(frame, target)
    assert gp.Pipeline(FEATURES, model=model).fit(X, y).score(X, y) == pytest.approx(expected)
    weights = np.arange(len(y)) % 2.0
    assert gp.Pipeline(FEATURES, model=model).fit(X, y).score(X[weights > 0], y[weights > 0]) == pytest.approx(
        gp.Pipeline(FEATURES, model=model).fit(X, y).score(X, y, sample_weight=weights)
    )


def test_weights_of_the_fit_are_not_those_of_the_score():
    X, y = parts(people())
    weights = np.linspace(0.5, 2, len(y))
    pipeline = classifier().fit(X, y, sample_weight=weights)
    assert pipeline.score(X, y) == pytest.approx((pipeline.predict(X) == y).mean())
    assert pipeline.score(X, y, weights) == pytest.approx(np.average(pipeline.predict(X) == y, weights=weights))
    search = GridSearchCV(classifier(), {"model__C": [0.1, 1.0]}, cv=3, error_score="raise")
    assert search.fit(X, y, sample_weight=weights).best_score_ > 0.7
    declared = gp.Pipeline(FEATURES, target="late", weights="w", model=LogisticRegression())
    frame = people().assign(w=weights)
    assert declared.fit(frame).score(frame) == pytest.approx(pipeline.score(X, y, weights))
    for given in ({"y": y}, {"sample_weight": weights}):
        with pytest.raises(ParameterError, match="declared"):
            declared.score(frame, **given)
    with pytest.raises(ParameterError, match="y"):
        pipeline.score(X)


def test_inside_scikit_learns_pipeline():
    frame = people()
    X, y = parts(frame)
    first = make_pipeline(gp.Pipeline(FEATURES), LogisticRegression())
    assert first.fit(X, y).score(X, y) > 0.75
    assert list(first[0].get_feature_names_out()) == ["age", "income", "city_Lima", "city_Oslo", "city_Rome"]
    last = make_pipeline(StandardScaler(), gp.Pipeline([gp.numeric().fill_null(0)], model=LogisticRegression()))
    numbers = X[["age", "income"]].to_numpy()
    assert last.fit(numbers, y).score(numbers, y) > 0.75
    assert is_classifier(last)
    assert cross_val_score(first, X, y, cv=3, error_score="raise").min() > 0.6


# -- targets, labels, weights ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "labels",
    [[False, True], [3, 7], ["no", "yes"], [-1, 0, 5], ["b", "a", "ä"], [0.0, 1.0]],
    ids=["bool", "int", "str", "ints", "strs", "floats"],
)
def test_labels_come_back_as_they_are(labels):
    frame = people()
    codes = np.digitize(frame["score"], np.quantile(frame["score"], [0.4, 0.7])) % len(labels)
    y = pd.Series([labels[code] for code in codes], index=frame.index)
    X = parts(frame)[0]
    pipeline = classifier().fit(X, y)
    assert list(pipeline.classes_) == sorted(labels)
    predicted = pipeline.predict(X)
    assert isinstance(predicted, pd.Series) and predicted.index.equals(X.index)
    assert set(predicted) <= set(labels) and type(predicted.iloc[0].item() if hasattr(predicted.iloc[0], "item")
                                                  else predicted.iloc[0]) is type(labels[0])  # fmt: skip
    assert pipeline.score(X, y) == pytest.approx((predicted == y).mean())
    theirs = LogisticRegression().fit(by_hand(frame), y)
    assert np.allclose(pipeline.predict_proba(X), theirs.predict_proba(by_hand(frame)), atol=1e-4)


def test_a_target_is_given_once():
    X, y = parts(people())
    with pytest.raises(ParameterError, match="target"):
        gp.Pipeline(FEATURES, target="late", model=LogisticRegression()).fit(X, y)
    with pytest.raises(ParameterError, match="weights"):
        gp.Pipeline(FEATURES, model=LogisticRegression(), weights="income").fit(X, y, sample_weight=np.ones(len(y)))
    with pytest.raises(TargetError):
        classifier().fit(X)
    with pytest.raises(ParameterError, match="Source"):
        classifier().fit(gp.scan(X), y)
    with pytest.raises(TargetError, match="203"):
        classifier().fit(X, y[:-1])
    with pytest.raises(TargetError, match="null"):
        classifier().fit(X, [None, *y[1:]])


def test_an_expression_is_a_target():
    frame = people()
    one = gp.Pipeline(FEATURES, target=col("score") > 0.3, model=LogisticRegression()).fit(frame)
    two = gp.Pipeline(FEATURES, target="late", model=LogisticRegression()).fit(frame)
    X = frame.drop(columns=["late", "score"])
    assert one.predict_proba(X).tobytes() == two.predict_proba(X).tobytes()
    assert one.transform(X).equals(two.transform(X))


def test_selectors_leave_out_target_weights_and_key():
    frame = people().assign(w=1.0, household=np.arange(203) // 2, late=lambda f: f["late"].astype(int))
    pipeline = gp.Pipeline(
        [gp.numeric().fill_null(0)], target=col("late") == 1, weights=col("w") + 1, key="household", model=Ridge()
    )
    assert list(pipeline.fit(frame).get_feature_names_out()) == ["age", "income", "score"]
    for leaking in (col("late") * 2, gp.numeric() | "w", gp.cols("household")):
        with pytest.raises(LeakageError):
            gp.Pipeline([leaking], target="late", weights="w", key="household").fit(frame)


def test_early_stopping_sees_the_validation_features():
    train, held = people(400, 1), people(150, 2)
    X, y = parts(train)
    V, v = parts(held)
    model = XGBClassifier(n_estimators=200, learning_rate=0.5, early_stopping_rounds=3, n_jobs=1)
    pipeline = gp.Pipeline(FEATURES, model=model).fit(X, y, validation=(V, v))
    matrices = [np.asarray(pipeline.features_.transform(part), np.float32) for part in (X, V)]
    theirs = clone(model).fit(matrices[0], y, eval_set=[(matrices[1], v)], verbose=False)
    assert theirs.best_iteration < 199
    assert np.allclose(pipeline.predict_proba(V), theirs.predict_proba(matrices[1]), atol=1e-6)
    declared = gp.Pipeline(FEATURES, target="late", model=model).fit(train, validation=held)
    assert declared.predict_proba(V).tobytes() == pipeline.predict_proba(V).tobytes()
    with pytest.raises(ParameterError, match="validation is"):
        gp.Pipeline(FEATURES, model=model).fit(X, y, validation=held)
    with pytest.raises(ParameterError, match="validation"):
        gp.Pipeline(FEATURES, model=model).fit(X, y)
    with pytest.raises(ParameterError, match="Validation"):
        classifier().fit(X, y, validation=(V, v))


# -- out-of-fold target means ---------------------------------------------------------------------------------
def folds_of(n, folds=5):
    return hashing.counter_uniform(0, 1, np.arange(n, dtype=np.uint64)) % np.uint64(folds)


def smoothed(values, group, of, s):
    inside = values[of & group]
    return (inside.sum() + s * values[of].mean()) / (len(inside) + s)


@pytest.mark.parametrize("n_partitions", [1, 3])
def test_target_mean_out_of_fold_while_fitting_and_full_later(n_partitions):
    frame = people()
    pipeline = gp.Pipeline([col("city").target_mean(smoothing=4.0)], target="score")
    source = gp.scan(frame, partitions=n_partitions)
    training = pipeline.fit_transform(source)["city_target_mean"].to_numpy()
    later = pipeline.transform(source)["city_target_mean"].to_numpy()
    y, city, fold = frame["score"].to_numpy(), frame["city"].to_numpy(), folds_of(len(frame))
    everyone = np.ones(len(frame), bool)
    for row in range(len(frame)):
        group = city == city[row]
        assert training[row] == pytest.approx(smoothed(y, group, fold != fold[row], 4.0), rel=1e-6)
        assert later[row] == pytest.approx(smoothed(y, group, everyone, 4.0), rel=1e-6)
    assert pipeline.transform({"city": ["Atlantis", None]})["city_target_mean"].to_pylist() == pytest.approx(
        [y.mean()] * 2, rel=1e-6
    )


@pytest.mark.parametrize("key", [None, "household"])
def test_no_row_sees_its_own_target(key):
    """Another target for one row (or all rows of its key) changes others' features, never its own."""
    frame = people(61).assign(household=lambda f: np.arange(len(f)) // 4)[["city", "score", "household"]]
    features = [col("city").target_mean(smoothing=1.0).standardize().alias("z"), col("city").target_mean().alias("m")]

    def training(target):
        return gp.Pipeline(features, target="score", key=key).fit_transform(frame.assign(score=target))["m"].to_numpy()

    before = training(frame["score"])
    for row in (0, 17, 60):
        own = frame.index == row if key is None else frame[key] == frame[key][row]
        after = training(frame["score"] + 100.0 * own)
        assert (after[own] == before[own]).all()
        assert (after != before).any()


def test_target_mean_of_several_classes():
    frame = people()
    y = np.digitize(frame["score"], [-0.5, 0.8])
    pipeline = gp.Pipeline([col("city").target_mean(smoothing=2.0)], model=LogisticRegression())
    training = pipeline.fit_transform(frame[["city"]], pd.Series(y).map({0: "a", 1: "b", 2: "c"}))
    assert list(training) == ["city_target_mean_a", "city_target_mean_b", "city_target_mean_c"]
    fold = folds_of(len(frame))
    for label in range(3):
        row = 7 + label
        hand = smoothed(
            (y == label).astype(float), (frame["city"] == frame["city"][row]).to_numpy(), fold != fold[row], 2
        )
        assert training.iloc[row, label] == pytest.approx(hand, rel=1e-6)
    assert training.sum(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-6)


def test_validation_rows_get_the_full_training_statistic():
    train, held = people(300, 1), people(80, 2)
    model = HistGradientBoostingClassifier(max_iter=30, early_stopping=True, random_state=0)
    features = [col("city").target_mean(), col("age")]
    pipeline = gp.Pipeline(features, target="late", model=model).fit(train, validation=held)
    training = gp.Pipeline(features, target="late").fit_transform(train).to_numpy()
    theirs = clone(model).fit(
        training, train["late"], X_val=pipeline.features_.transform(held).to_numpy(), y_val=held["late"]
    )
    X = pipeline.features_.transform(held).to_numpy()
    assert np.allclose(pipeline.predict_proba(held), theirs.predict_proba(X), atol=1e-9)


# -- kinds that come in and go out ----------------------------------------------------------------------------
def test_results_come_in_the_kind_of_the_data():
    frame = people().set_index(np.arange(203) * 2 + 1)
    X, y = parts(frame)
    pipeline = classifier().fit(X, y)
    assert isinstance(pipeline.features_.transform(X), pd.DataFrame)
    expected = pipeline.predict(X)
    assert isinstance(expected, pd.Series) and expected.index.equals(X.index)
    assert isinstance(pipeline.predict_proba(X), np.ndarray)
    arrow, polars = pa.Table.from_pandas(X, preserve_index=False), pl.from_pandas(X)
    for data, kind in (
        (arrow, pa.Table),
        (polars, pl.DataFrame),
        (arrow.to_pydict(), pa.Table),
        (gp.scan(X), pa.Table),
    ):
        assert isinstance(pipeline.transform(data), kind)
        assert isinstance(pipeline.predict_proba(data), np.ndarray if kind is pl.DataFrame else kind)
        assert isinstance(pipeline.predict_proba(data, output="polars"), pl.DataFrame)
        found = pipeline.predict(data)
        values = found["prediction"].to_pylist() if isinstance(found, pa.Table) else found.to_list()
        assert values == expected.to_list()
    assert isinstance(pipeline.transform(polars, output="numpy"), np.ndarray)
    assert isinstance(pipeline.transform(X, output="arrow"), pa.Table)
    assert pipeline.transform(X, output="pandas").index.equals(X.index)
    with pytest.raises(ParameterError, match="panda"):
        pipeline.transform(X, output="panda")


def test_set_output():
    X, _ = parts(people())
    pipeline = gp.Pipeline([col("age").fill_null(0), col("income")]).fit(X)
    assert pipeline.set_output(transform="polars") is pipeline
    assert isinstance(pipeline.transform(X), pl.DataFrame)
    assert isinstance(pipeline.transform(X, output="numpy"), np.ndarray)
    pipeline.set_output(transform="default")
    assert isinstance(pipeline.transform(X), pd.DataFrame)
    with pytest.raises(ParameterError):
        pipeline.set_output(transform="nonsense")


def test_a_numpy_matrix_has_columns_by_place():
    X = np.array([[1.0, np.nan], [3.0, 2.0], [8.0, 6.0]])
    pipeline = gp.Pipeline([gp.numeric().fill_null("mean").standardize()])
    found = pipeline.fit_transform(X)
    filled = np.where(np.isnan(X), 4.0, X)
    assert found.dtype == np.float32 and found == pytest.approx((filled - filled.mean(0)) / filled.std(0), abs=1e-6)
    assert list(pipeline.get_feature_names_out()) == ["x0", "x1"]


def test_components_of_a_transformer():
    frame = people()
    pipeline = gp.Pipeline([gp.cols("income", "score").standardize()], model=PCA(1)).fit(frame)
    found = pipeline.transform(frame, output="numpy")
    X = StandardScaler().fit_transform(frame[["income", "score"]])
    theirs = PCA(1).fit_transform(X)
    assert np.abs(found) == pytest.approx(np.abs(theirs), abs=1e-5)


# -- what scoring may meet ------------------------------------------------------------------------------------
def test_extra_columns_are_ignored_and_missing_ones_named():
    frame = people()
    pipeline = classifier().fit(*parts(frame))
    more = frame.assign(odd=[[1]] * len(frame), another="x")
    assert pipeline.predict_proba(more).tobytes() == pipeline.predict_proba(frame).tobytes()
    with pytest.raises(ColumnNotFoundError, match="income"):
        pipeline.predict(frame.drop(columns="income"))


@pytest.mark.parametrize(
    ("fitted", "scored"),
    [
        (pa.float64(), pa.int64()), (pa.float64(), pa.float32()), (pa.float32(), pa.float64()),
        (pa.int64(), pa.float64()), (pa.int8(), pa.int64()), (pa.int32(), pa.uint8()), (pa.int64(), pa.bool_()),
        (pa.timestamp("us", "UTC"), pa.timestamp("us", "Asia/Tokyo")), (pa.float64(), pa.null()),
        (pa.string(), pa.null()), (pa.date32(), pa.null()), (pa.string(), pa.dictionary(pa.int8(), pa.string())),
    ],
)  # fmt: skip
def test_other_types_that_hold_the_same_values_score_the_same(fitted, scored):
    """A column of whole numbers comes as integers in one file and as floats in the next."""
    x = col("x")
    features = {"timestamp": [x.dt.hour()], "date32": [x.missing_flag()], "string": [x.codes()]}.get(
        str(fitted).partition("[")[0], [(x.fill_null(3) / 7).standardize(), (x * 2).alias("twice")]
    )
    values = [0, 1, None, 1] if not pa.types.is_null(scored) else [None, None]
    step = pa.int32() if pa.types.is_date(fitted) else pa.int64()
    pipeline = gp.Pipeline(features).fit(pa.table({"x": pa.array([0, 1, None, 5], step).cast(fitted)}))
    column = pa.array(values, step)
    plain, other = column.cast(fitted), None
    if pa.types.is_dictionary(scored):
        other = plain.dictionary_encode()
    elif pa.types.is_null(scored):
        other = pa.nulls(len(values))
    else:
        other = (plain if pa.types.is_timestamp(fitted) else column).cast(scored)
    expected = pipeline.transform(pa.table({"x": plain}))
    assert pipeline.transform(pa.table({"x": other})).equals(expected)


@pytest.mark.parametrize(
    ("train", "rows", "say"),
    [([1, 2], [1.5], "1.5"), ([1.0, 2.0], ["a"], "String"), (["a", "b"], [1], "Int64"), ([True, False], [2], "2"),
     (np.array([1], np.int8), [300], "300"), (np.array([1], np.uint64), [-1], "-1")],
)  # fmt: skip
def test_other_types_that_do_not_hold_them_are_refused(train, rows, say):
    pipeline = gp.Pipeline([col("x").codes()]).fit({"x": train})
    with pytest.raises(SchemaMismatchError, match=rf"(?s)'x'.*{say}"):
        pipeline.transform({"x": rows})


def test_nullable_features_are_refused_before_reading(monkeypatch):
    frame = people()

    def read(*args, **kwargs):
        raise AssertionError("rows were read")

    source = gp.scan(frame)
    monkeypatch.setattr(TablePartition, "read", read)
    pipeline = gp.Pipeline([col("age"), col("income")], target="late", model=LogisticRegression())
    with pytest.raises(NullableFeatureError, match="'age'"):
        pipeline.fit(source)
    with pytest.raises(AssertionError, match="were read"):
        pipeline.set_params(model=HistGradientBoostingClassifier()).fit(source)


def test_nan_is_refused_by_name():
    table = pa.table({"a": [1.0, float("nan"), 2.0, 3.0], "b": [0.0, 1.0, 0.5, 2.0], "y": [0, 1, 0, 1]})
    for features in ([col("a"), col("b")], [col("b"), (col("b") - 0.75).log().alias("a")]):
        with pytest.raises(DataError, match="'a'"):
            gp.Pipeline(features, target="y", model=LinearRegression()).fit(table)
    with pytest.raises(DataError, match=r"a\.mean"):
        gp.Pipeline([col("a").standardize()]).fit(table)
    clean = gp.Pipeline([col("a"), col("b")], target="y", model=LinearRegression()).fit(
        table.filter(pa.array([1, 0, 1, 1]).cast(pa.bool_()))
    )
    with pytest.raises(DataError, match="'a'"):
        clean.predict(table)


def test_nan_of_plain_rows_is_missing_for_the_scorer_too():
    """As for pandas and NumPy; in Arrow a NaN stays one, and a linear model refuses it."""
    pipeline = gp.Pipeline([col("x").fill_null(7)], target="y", model=LinearRegression()).fit(
        {"x": [1, 2.5], "y": [0, 1]}
    )
    scorer = Scorer(pipeline._fit.features, pipeline.model_)
    nan = float("nan")
    expected = pipeline.predict(pa.table({"x": [7.0]}), output="numpy").tobytes()
    for rows in ({"x": [nan]}, pd.DataFrame({"x": [nan]}), {"x": np.array([nan])}):
        assert pipeline.predict(rows, output="numpy").tobytes() == expected
    for rows in ({"x": nan}, [{"x": nan}], {"x": [nan]}, {"x": np.array([nan])}, {"x": None}):
        assert scorer.predict(rows).tobytes() == expected
    for predict in (pipeline.predict, scorer.predict):
        with pytest.raises(DataError, match="'x'"):
            predict(pa.table({"x": [nan]}))


# -- keeping --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("through", ["joblib", "pickle"])
@pytest.mark.parametrize("fitted", [False, True])
def test_pickles_travel_between_processes_of_a_search(through, fitted):
    frame = people()
    X, y = parts(frame)
    traced = col("income").map(lambda x: np.sqrt(x) - x.mean()).alias("traced")
    chosen = gp.when(col("age") > 30).then(1).when(col("age") > 20).then(2).otherwise(None).fill_null(0).alias("band")
    pipeline = gp.Pipeline(
        [*FEATURES, traced, chosen, (gp.cols("age", "income") - "income").suffix("_too")],
        model=HistGradientBoostingClassifier(max_iter=5),
    )
    if fitted:
        pipeline.fit(X, y)
    if through == "joblib":
        stream = io.BytesIO()
        joblib.dump(pipeline, stream)
        again = joblib.load(io.BytesIO(stream.getvalue()))
    else:
        again = pickle.loads(pickle.dumps(pipeline))
    assert repr(again) == repr(pipeline)
    if not fitted:
        pipeline.fit(X, y)
        again.fit(X, y)
    assert again.predict_proba(X).tobytes() == pipeline.predict_proba(X).tobytes()
    assert again.state_digest() == pipeline.state_digest()


@pytest.mark.parametrize(
    "model", [LogisticRegression(), HistGradientBoostingClassifier(max_iter=9), XGBClassifier(n_estimators=9)]
)
def test_saved_loaded_and_scored_row_by_row_are_the_same_bytes(model, tmp_path):
    frame = people()
    pipeline = gp.Pipeline([*FEATURES, col("city").target_mean()], target="late", model=model).fit(frame)
    path = tmp_path / "late.gpp"
    pipeline.save(path)
    expected = pipeline.predict_proba(frame)
    again, scorer = gp.load(path), Scorer.load(path)
    assert again.state_digest() == pipeline.state_digest()
    assert again.predict_proba(frame).tobytes() == expected.tobytes()
    X = pa.Table.from_pandas(parts(frame)[0], preserve_index=False)
    assert scorer.predict_proba(X).tobytes() == expected.tobytes()
    for row in (0, 5, 202):
        assert scorer.predict_proba(X.to_pylist()[row]).tobytes() == expected[[row]].tobytes()
    assert pipeline.predict_proba(gp.scan(frame, partitions=4)).to_pandas().to_numpy().tobytes() == expected.tobytes()
