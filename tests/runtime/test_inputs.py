"""How rows to score find the columns of the fit: by name, by place, as dicts; and what is said where they do not."""

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from xgboost import XGBClassifier

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import (
    ColumnNotFoundError,
    EmptyDataError,
    GpupipeError,
    NotFittedError,
    ParameterError,
    SchemaMismatchError,
    ShapeError,
    TargetError,
    TrainingError,
    TypeMismatchError,
    UnavailableError,
)
from gpupipe.runtime.inputs import UNNAMED, inputs_noted

NAMES = ["a", "b", "c"]
X = np.array([[1.0, 5.0, 2.0], [3.0, 0.0, 7.0], [8.0, 6.0, 1.0], [4.0, 4.0, 9.0]])
FRAME = pd.DataFrame(X, columns=NAMES)


def fitted(data):
    names = NAMES if isinstance(data, pd.DataFrame) else ["x0", "x1", "x2"]
    return gp.Pipeline([(col(names[2]) - col(names[0])).standardize().alias("difference")]).fit(data)


def difference(rows):
    learned = X[:, 2] - X[:, 0]
    return ((rows[:, 2] - rows[:, 0] - learned.mean()) / learned.std()).astype(np.float32)[:, None]


# -- by place and by name -------------------------------------------------------------------------------------
def test_an_array_must_have_the_columns_of_the_fit():
    for pipeline in (fitted(X), fitted(FRAME)):
        for bad in (X[:, :2], np.hstack([X, X])):
            said = f"X has {bad.shape[1]} features, but Pipeline is expecting 3 features as input"
            with pytest.raises(ShapeError, match=said):
                pipeline.transform(bad)
    assert fitted(X).n_features_in_ == fitted(FRAME).n_features_in_ == 3


@pytest.mark.parametrize("rows", [X[:2], X[:2].tolist(), tuple(map(tuple, X[:2])), list(X[:2]), X[:2].astype(object)])
def test_an_array_is_taken_by_place_whatever_holds_it(rows):
    for pipeline in (fitted(X), fitted(X.tolist())):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = pipeline.transform(rows)
        assert isinstance(found, np.ndarray) and found == pytest.approx(difference(X[:2]))
    with pytest.warns(UserWarning, match="its columns are taken by place"):
        assert fitted(FRAME).transform(rows) == pytest.approx(difference(X[:2]))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.from_pandas, lambda frame: pa.Table.from_pandas(frame)])
def test_a_frame_for_a_fit_on_an_array(make):
    frame = make(FRAME)
    with pytest.warns(UserWarning, match="X has feature names, but Pipeline was fitted without feature names"):
        assert fitted(X).transform(frame, output="numpy") == pytest.approx(difference(X))
    named = make(FRAME.set_axis(["x0", "x1", "x2"], axis=1)[["x2", "x1", "x0"]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitted(X).transform(named, output="numpy") == pytest.approx(difference(X)), "names count before places"
    with pytest.raises(ColumnNotFoundError, match=r"'x2'.*a, b"):
        fitted(X).transform(make(FRAME[["a", "b"]]))


def test_numbers_that_pandas_makes_up_are_no_names():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitted(X).transform(pd.DataFrame(X), output="numpy") == pytest.approx(difference(X))
        numbered = gp.Pipeline([(col("2") - col("0")).standardize()]).fit(pd.DataFrame(X))
        assert not hasattr(numbered, "feature_names_in_")
        assert numbered.transform(X) == pytest.approx(difference(X))
        assert numbered.transform(pd.DataFrame(X)[[2, 1, 0]], output="numpy") == pytest.approx(difference(X))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        assert fitted(FRAME).transform(pd.DataFrame(X), output="numpy") == pytest.approx(difference(X))


def test_target_weights_and_key_are_not_among_the_columns():
    frame = FRAME.assign(y=[0, 1, 0, 1], w=1.0, k=[1, 2, 3, 4])
    pipeline = gp.Pipeline([gp.numeric()], target="y", weights="w", key="k", model=LogisticRegression()).fit(frame)
    assert list(pipeline.feature_names_in_) == NAMES and pipeline.n_features_in_ == 3
    for rows in (X, frame.to_numpy()):
        with pytest.warns(UserWarning, match="by place"):
            assert np.array_equal(pipeline.predict(rows), pipeline.predict(frame))
    with pytest.warns(UserWarning, match="by place"):
        assert pipeline.score(frame.to_numpy()) == pipeline.score(frame)
    with pytest.raises(ShapeError, match="X has 4 features, but Pipeline is expecting 3"):
        pipeline.predict(np.hstack([X, X[:, :1]]))


@pytest.mark.parametrize("scanned", [False, True])
def test_an_array_may_have_its_target_or_not(tmp_path, scanned):
    whole = np.column_stack([X[:, 0], [0, 1, 0, 1], X[:, 1:]])
    features = [gp.numeric()] if not scanned else [gp.cols("x0", "x2", "x3")]
    pipeline = gp.Pipeline(features, target="x1", model=LogisticRegression()).fit(gp.scan(whole) if scanned else whole)
    pipeline.save(tmp_path / "p.gpp")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one in (pipeline, gp.load(tmp_path / "p.gpp")):
            assert one.n_features_in_ == 3 and one.score(whole) == (one.predict(whole) == whole[:, 1]).mean()
            assert np.array_equal(one.predict_proba(X), one.predict_proba(whole))
            with pytest.raises(ShapeError, match="X has 2 features, but Pipeline is expecting 3"):
                one.predict(X[:, :2])


@given(st.permutations([*NAMES, "d", "e"]), st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_any_order_among_any_others_is_the_same(order, n_rows):
    pipeline = fitted(FRAME)
    frame = FRAME.assign(d="x", e=1)[list(order)].head(n_rows)
    assert pipeline.transform(frame, output="numpy") == pytest.approx(difference(X)[:n_rows])


@pytest.mark.parametrize("data", [X, FRAME], ids=["array", "frame"])
def test_a_saved_pipeline_knows_what_it_may_be_given(tmp_path, data):
    fitted(data).save(tmp_path / "p.gpp")
    loaded = gp.load(tmp_path / "p.gpp")
    assert loaded.transform(data) is not None
    if data is X:
        assert loaded.n_features_in_ == 3 and not hasattr(loaded, "feature_names_in_")
        with pytest.raises(ShapeError, match="X has 2 features, but Pipeline is expecting 3"):
            loaded.transform(X[:, :2])
    else:
        assert list(loaded.feature_names_in_) == ["a", "c"], "the columns that its features read"
        with pytest.raises(ShapeError, match=r"knows its columns by name.*a, c"):
            loaded.transform(X)


def test_a_forged_count_takes_no_memory():
    for forged in (2**60, True, "3", 0, -1, [3], None):
        inputs = inputs_noted({UNNAMED: forged}, fitted(FRAME).plan_, ["x1", "x2000", "y", "x", "x²"])
        assert inputs.count == (2**60 - 2 if forged == 2**60 else 2)


def test_validation_rows_are_found_the_same_way():
    model = XGBClassifier(n_estimators=20, early_stopping_rounds=2)
    pipeline = gp.Pipeline([gp.numeric()], model=model)
    rows, y = np.vstack([X] * 8), np.tile([0, 1, 0, 1], 8)
    named = pd.DataFrame(rows, columns=NAMES)
    by_name = pipeline.fit(named, y, validation=(named[["c", "a", "b"]], y)).predict_proba(named)
    by_place = pipeline.fit(rows, y, validation=(rows, y)).predict_proba(rows)
    assert by_name.tobytes() == by_place.tobytes()
    with pytest.raises(ShapeError, match="X has 2 features"):
        pipeline.fit(rows, y, validation=(rows[:, :2], y))


# -- rows as dicts --------------------------------------------------------------------------------------------
MIXED = pa.table({
    "age": [31.0, 17.0, None, 40.0], "city": ["Rome", "Oslo", "Rome", None],
    "day": pa.array([dt.date(2024, 1, 1 + i) for i in range(4)]), "late": [True, False, True, False],
})  # fmt: skip


def of_people(model=True):
    features = [col("age").fill_null(0), col("city").codes(), col("day").dt.day()]
    return gp.Pipeline(features, target="late", model=LogisticRegression() if model else None).fit(MIXED)


def test_rows_as_dicts_are_scored_as_by_the_scorer(tmp_path):
    pipeline = of_people()
    pipeline.save(tmp_path / "p.gpp")
    scorer, rows = gp.Scorer.load(tmp_path / "p.gpp"), MIXED.drop_columns("late").to_pylist()
    expected = pipeline.predict_proba(MIXED, output="numpy")
    for given_rows, part in ((rows, slice(0, 4)), (rows[:1], slice(0, 1)), (rows[3], slice(3, 4))):
        found = pipeline.predict_proba(given_rows, output="numpy")
        assert found.tobytes() == expected[part].tobytes() == scorer.predict_proba(given_rows).tobytes()
    assert pipeline.predict(rows[1]).to_pylist() == pipeline.predict(MIXED.slice(1, 1)).to_pylist()
    assert pipeline.transform({**rows[0], "tags": [1, 2, 3]}).num_rows == 1


@pytest.mark.parametrize("rows", [{"age": 3, "city": "Rome"}, [{"age": 3, "city": "Rome"}]], ids=["dict", "list"])
def test_a_missing_column_is_one_error_and_one_message(tmp_path, rows):
    pipeline = of_people()
    pipeline.save(tmp_path / "p.gpp")
    table = pa.table({"age": [3.0], "city": ["Rome"]})
    said = []
    for use, data in (
        (pipeline.predict, rows), (gp.Scorer.load(tmp_path / "p.gpp").predict, rows), (pipeline.predict, table),
        (pipeline.predict, table.to_pandas()), (pipeline.predict, gp.scan(table)),
    ):  # fmt: skip
        with pytest.raises(ColumnNotFoundError) as found:
            use(data)
        said.append(str(found.value))
    assert len(set(said)) == 1 and "no column 'day'" in said[0] and "age, city" in said[0], said


def test_a_value_of_another_type_is_named():
    with pytest.raises(SchemaMismatchError, match=r"'age'.*'old'"):
        of_people().predict({"age": "old", "city": "Rome", "day": dt.date(2024, 1, 1)})


# -- what is there and what is not ----------------------------------------------------------------------------
def test_methods_are_there_where_they_work(tmp_path):
    y = [0, 1, 0, 1]
    for model, there in (
        (None, {"transform"}),
        (LogisticRegression(), {"transform", "predict", "predict_proba", "decision_function", "score"}),
        (SGDClassifier(loss="hinge"), {"transform", "predict", "decision_function", "score"}),
        (GaussianNB(), {"transform", "predict", "predict_proba", "score"}),
        (Ridge(), {"transform", "predict", "score"}),
    ):
        pipeline = gp.Pipeline([gp.numeric()], model=model)
        assert methods(pipeline) == there, model
        pipeline.fit(X, None if model is None else y).save(tmp_path / f"{type(model).__name__}.gpp")
        assert methods(pipeline) == methods(gp.load(tmp_path / f"{type(model).__name__}.gpp")) == there, model


def methods(pipeline):
    names = ("transform", "predict", "predict_proba", "decision_function", "score")
    return {name for name in names if hasattr(pipeline, name)}


def test_what_is_not_there_is_explained():
    with pytest.raises(UnavailableError, match=r"no model, so it has no predict\. Use transform"):
        fitted(X).predict  # noqa: B018
    with pytest.raises(AttributeError, match=r"a Ridge, has no predict_proba\. There is: predict, transform"):
        gp.Pipeline([gp.numeric()], model=Ridge()).predict_proba(X)
    unknown = gp.Pipeline([gp.numeric()], model=object())
    assert not hasattr(unknown, "predict")
    with pytest.raises(UnavailableError, match="no estimator gpupipe can keep"):
        unknown.predict(X)
    assert gp.Pipeline.predict.__doc__ and gp.Pipeline.predict.__name__ == "predict"


def test_parameters_that_are_not_there_are_typed():
    pipeline = gp.Pipeline([gp.numeric()], model=Ridge())
    for params, words in (
        ({"features__x": 1}, "Pipeline has no parameter 'features__x'"),
        ({"model__alhpa": 1}, "a Ridge, refused.*alhpa"),
        ({"targit": "y"}, r"Did you mean 'target'\?"),
    ):
        with pytest.raises(ParameterError, match=words):
            pipeline.set_params(**params)
    with pytest.raises(ParameterError, match="the pipeline's model is None"):
        gp.Pipeline([gp.numeric()]).set_params(model__alpha=1)
    assert pipeline.set_params(model=Ridge(), model__alpha=3).model.alpha == 3


def test_a_model_set_after_the_fit_is_not_fitted():
    pipeline = fitted(X).set_params(model=Ridge())
    with pytest.raises(UnavailableError, match=r"fitted without a model\. Fit it again"):
        pipeline.predict(X)


def test_a_name_that_is_not_there_suggests_one():
    with pytest.raises(AttributeError, match=r"gpupipe has no 'sacn'\. Did you mean 'scan'\?"):
        gp.sacn  # noqa: B018
    with pytest.raises(AttributeError, match=r"gpupipe has no '__sacn__'\.$"):
        gp.__sacn__  # noqa: B018


def test_rows_to_judge_on_need_their_target():
    pipeline = of_people()
    for judge in (pipeline.evaluate, pipeline.score):
        with pytest.raises(ColumnNotFoundError, match=r"'late', which the target late is made of.*need their target"):
            judge(MIXED.drop_columns("late"))


def test_one_is_not_many():
    one = pa.table({"x": [1.0], "y": [2.0]})
    pipeline = gp.Pipeline([col("x")], target="y", model=Ridge())
    assert "1 row in 1 partition; 2 columns" in repr(gp.scan(one))
    page = str(pipeline.explain(one))
    assert "1 row in 1 partition;" in page and "1 shape of expression" in page and "1 expression\n" in page
    assert repr(pipeline.fit(one).report_).startswith("1 row, 1 scan of them, 1 from the source")
    two = pa.table({"x": [1.0, 2.0], "y": [2.0, 3.0]})
    assert "on 2 rows" in repr(pipeline.evaluate(two))


# -- refusals: of our tree, and the builtin; scikit-learn's words, and what to try ------------------------------
def logistic():
    return gp.Pipeline([gp.numeric()], model=LogisticRegression())


Y = np.array([0, 1, 0, 1])
REFUSED = {
    "one dimension": (lambda: logistic().fit(X[:, 0], Y), ShapeError, r"Reshape your data: \.reshape\(-1, 1\)"),
    "a list of numbers": (lambda: logistic().fit([1, 2, 3, 4], Y), ShapeError, r"shape \(4,\) is no table"),
    "rows of several lengths": (lambda: logistic().fit([[1, 2], [3]], Y), ShapeError, "not of one length"),
    "one dimension to predict": (lambda: logistic().fit(X, Y).predict(X[0]), ShapeError, "Reshape your data"),
    "no column": (lambda: logistic().fit(X[:, :0], Y), ShapeError, r"0 feature\(s\) \(shape=\(4, 0\)\)"),
    "no row": (lambda: logistic().fit(X[:0], []), EmptyDataError, "There are no rows"),
    "no row, no model": (lambda: fitted(X[:0]), EmptyDataError, "There are no rows"),
    "complex": (lambda: logistic().fit(X + 1j, Y), ParameterError, r"Complex data not supported.*\.real"),
    "complex y": (lambda: logistic().fit(X, Y + 1j), ParameterError, r"Complex data not supported.*\.real"),
    "no y": (lambda: logistic().fit(X), TargetError, r"requires y to be passed.*Give Pipeline\(target=…\)"),
    "a number as y": (lambda: logistic().fit(X, Y / 3), TargetError, "continuous; a classifier needs labels"),
    "y of two columns": (lambda: logistic().fit(X, np.c_[Y, Y, Y][:, :, None]), TargetError, "one value a row"),
    "weights of text": (lambda: logistic().fit(X, Y, sample_weight=list("abcd")), ParameterError, "are string"),
    "weights of zero": (lambda: logistic().fit(X, Y, sample_weight=Y * 0), ParameterError, "All sample .* zero"),
    "weights below 0": (lambda: logistic().fit(X, Y, sample_weight=Y - 1), ParameterError, "2 of 4 sample weights"),
    "weights, no model": (lambda: fitted(X).fit(X, sample_weight=Y), ParameterError, "no model to weigh rows for"),
    "the library's own": (lambda: gp.Pipeline([gp.numeric()], model=Ridge(alpha=-1)).fit(X, Y), TrainingError, "alpha"),
    "other names": (lambda: fitted(FRAME).get_feature_names_out(["a"]), ShapeError, "not equal to feature_names_in_"),
    "too few names": (lambda: fitted(X).get_feature_names_out(["a"]), ShapeError, r"equal to number of features \(3\)"),
    "not fitted": (lambda: logistic().predict(X), NotFittedError, r"Call fit\(data\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    run, error, words = REFUSED[name]
    with pytest.raises(error, match=words) as found:
        run()
    assert isinstance(found.value, ValueError) and isinstance(found.value, GpupipeError)


def test_sparse_data_are_refused():
    for make in (sparse.csr_array, sparse.dok_matrix, sparse.coo_matrix):
        with pytest.raises(TypeMismatchError, match=r"Sparse data .*shape \(4, 3\)\) are not supported.*\.toarray"):
            logistic().fit(make(X), Y)


def test_frames_in_a_list_are_no_rows():
    with pytest.raises(TypeMismatchError, match=r"scan cannot read a builtins\.list"):
        gp.scan([FRAME, FRAME])
    with pytest.raises(TypeMismatchError, match="from_pylist"):
        gp.scan([{"a": 1}])


def test_a_column_vector_is_taken_with_a_warning():
    with pytest.warns(UserWarning, match="A column-vector y was passed when a 1d array was expected"):
        found = logistic().fit(X, Y[:, None])
    assert np.array_equal(found.predict(X), logistic().fit(X, Y).predict(X))


def test_weights_of_any_kind_are_the_same():
    weights = [0.5, 1.0, 2.0, 0.0]
    expected = logistic().fit(X, Y, sample_weight=np.array(weights)).predict_proba(X)
    for given_weights in (weights, pd.Series(weights), pl.Series(weights), pa.array(weights), tuple(weights)):
        assert logistic().fit(X, Y, sample_weight=given_weights).predict_proba(X).tobytes() == expected.tobytes()
