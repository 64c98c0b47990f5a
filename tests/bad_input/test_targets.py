"""Bad targets and weights."""

import math

import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, LogisticRegressionCV

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import ColumnNotFoundError, ParameterError, TargetError, TypeMismatchError, WeightsError

from .case import PLANNING, bad_input, check, runs

X = {"x": [1.0, 2.0, 3.0, 4.0]}
LABELS = {**X, "label": ["a", "b", "a", "b"]}


def fit(device, data, target="y", model=None, **options):
    return gp.Pipeline([col("x")], target, model, device=device, **options).fit(pa.table(data))


def classified(device, **options):
    return fit(device, LABELS, "label", LogisticRegression(), **options)


# -- values of the target ----------------------------------------------------------------------------------------
@bad_input(
    "null target",
    "a label that is null",
    told="fitting",
    error=TargetError,
    message="Row 2, column 'y': The target y is null in 1 of 4 rows, first in this one. Leave them out before "
    "the fit: gp.scan(data).filter(gp.col('y').is_not_null()).",
)
def null_label(device, folder):
    fit(device, {**X, "y": ["a", "b", None, "b"]}, model=LogisticRegression())


@bad_input(
    "null target",
    "a number that is null, before a regression",
    told="fitting",
    error=TargetError,
    message="Row 2, column 'y': The target y is null in 2 of 4 rows, first in this one. Leave them out before "
    "the fit: gp.scan(data).filter(gp.col('y').is_not_null()).",
)
def null_number(device, folder):
    fit(device, {**X, "y": [1.0, 2.0, None, None]}, model=LinearRegression())


@bad_input(
    "null target",
    "`fit(X, y)` with a None in `y`",
    told="fitting",
    error=TargetError,
    message="Row 2: The target y is null in 1 of 4 rows, first in this one. Leave those rows out of all that "
    "is given to fit.",
)
def null_in_y(device, folder):
    gp.Pipeline([col("x")], model=LogisticRegression(), device=device).fit(X, ["a", "b", None, "b"])


@bad_input(
    "NaN target",
    "a number that is NaN, before a regression",
    told="fitting",
    error=TargetError,
    message="Row 1, column 'y': The target y is NaN in 1 of 4 rows, first in this one. Leave them out before "
    "the fit: gp.scan(data).filter(gp.col('y').is_finite()).",
)
def nan_number(device, folder):
    fit(device, {**X, "y": [1.0, math.nan, 3.0, 4.0]}, model=LinearRegression())


@bad_input(
    "NaN target",
    "a label that is NaN, before a classifier",
    told="fitting",
    error=TargetError,
    message="Row 1, column 'y': The target y is NaN in 1 of 4 rows, first in this one. Leave them out before "
    "the fit: gp.scan(data).filter(gp.col('y').is_finite()).",
)
def nan_label(device, folder):
    fit(device, {**X, "y": [1.0, math.nan, 0.0, 1.0]}, model=LogisticRegression())


@bad_input(
    "NaN target",
    "an infinite number, before a regression",
    told="fitting",
    error=TargetError,
    message="The target is infinite in 1 of 4 rows. Filter these rows out.",
)
def infinite_number(device, folder):
    fit(device, {**X, "y": [1.0, math.inf, 3.0, 4.0]}, model=LinearRegression())


@bad_input(
    "one-class target",
    "every row of one class",
    told="fitting",
    error=TargetError,
    message="The target has one class, 'a', in all 4 rows; a classifier needs two. Check the target's expression and "
    "the filters.",
)
def one_class(device, folder):
    fit(device, {**X, "y": ["a", "a", "a", "a"]}, model=LogisticRegression())


@bad_input(
    "a target of another type",
    "text before a regression",
    told="fitting",
    error=TargetError,
    message="The target of a regression must be numbers, and label is String. Cast it, or use a classifier.",
)
def text_for_a_regression(device, folder):
    fit(device, LABELS, "label", LinearRegression())


@bad_input(
    "a label unseen at evaluation",
    "`evaluate` of rows with a label that no training row had",
    told="evaluating",
    error=TargetError,
    message="The target holds labels the model does not know: 'c' (1 row). It learned 'a', 'b'. Filter those rows "
    "out, or train on rows that have them.",
)
def unseen_label(device, folder):
    classified(device).evaluate({"x": [1.0, 2.0], "label": ["a", "c"]})


# -- which target ------------------------------------------------------------------------------------------------
@bad_input(
    "a target that is not there",
    "a model that needs a target, and none declared or given",
    told=PLANNING,
    error=TargetError,
    message="LogisticRegression needs a target: it requires y to be passed, but the target y is None. Give "
    "Pipeline(target=…), or fit(X, y).",
)
def no_target(device, folder):
    fit(device, X, None, LogisticRegression())


@bad_input(
    "a target that is not there",
    "`col('city').target_mean()` without a target",
    told=PLANNING,
    error=ParameterError,
    message="A feature uses the target, and the pipeline has none. Give Pipeline(target=…). In: label.target_mean()",
)
def no_target_for_its_mean(device, folder):
    gp.Pipeline([col("label").target_mean()], device=device).fit(LABELS)


@bad_input(
    "a target that is not there",
    "a target's column misspelt: `target='lable'`",
    told=PLANNING,
    error=ColumnNotFoundError,
    message="There is no column 'lable'. Did you mean 'label'? In: lable",
)
def misspelt_target(device, folder):
    fit(device, LABELS, "lable", LogisticRegression())


@bad_input(
    "a target that is not there",
    "`evaluate` of rows without the target",
    told="evaluating",
    error=ColumnNotFoundError,
    message="There is no column 'label', which the target label is made of; rows to judge a model on need their "
    "target. There are: x.",
)
def no_target_to_evaluate(device, folder):
    classified(device).evaluate(X)


@bad_input(
    "a target given twice",
    "`Pipeline(target='label')` and `fit(X, y)`",
    told=PLANNING,
    error=ParameterError,
    message="The target was declared and given to fit too. Give it in one place.",
)
def twice(device, folder):
    gp.Pipeline([col("x")], "label", LogisticRegression(), device=device).fit(LABELS, [1, 0, 1, 0])


@bad_input(
    "a target that needs all rows",
    "a statistic in the target: `target=col('x') > col('x').mean()`",
    told=PLANNING,
    error=ParameterError,
    message="The target, weights and groups are known row by row; (z > z.mean()) needs a statistic of all rows. "
    "Compute it beforehand and compare with the number.",
)
def statistic(device, folder):
    fit(device, {**X, "z": X["x"]}, col("z") > col("z").mean(), LogisticRegression())


@bad_input(
    "a target of another length",
    "`fit(X, y)` with fewer labels than rows",
    told=PLANNING,
    error=TargetError,
    message="2 values were given for 4 rows. Give one for each row.",
)
def too_short(device, folder):
    gp.Pipeline([col("x")], model=LogisticRegression(), device=device).fit(X, ["a", "b"])


# -- folds -------------------------------------------------------------------------------------------------------
@bad_input(
    "fewer rows than folds",
    "`target_mean(folds=5)` of 3 rows: a fold may be empty, and rows see the others",
    told="fitting",
    message="each row has the mean of the rows of other folds",
    answer=True,
)
def folds_of_target_mean(device, folder):
    data = {"city": ["a", "a", "b"], "y": [1.0, 0.0, 1.0]}
    pipeline = gp.Pipeline([col("city").target_mean(smoothing=0, folds=5)], "y", device=device)
    found = pipeline.fit_transform(pa.table(data))["city_target_mean"].to_pylist()
    # Rows 0 and 1 see each other if their folds differ; row 2 is alone with its city and has the prior of the rest.
    return all(value is not None and 0 <= value <= 1 for value in found)


@bad_input(
    "fewer rows than folds",
    "a model that validates by 5 folds, of 4 rows: `LogisticRegressionCV(cv=5)`",
    told="fitting",
    error=gp.errors.TrainingError,
    message="sklearn.linear_model.LogisticRegressionCV refused to train on 4 rows × 1 feature: Cannot have number of "
    "splits n_splits=5 greater than the number of samples: n_samples=4.",
)
def folds_of_a_model(device, folder):
    fit(device, LABELS, "label", LogisticRegressionCV(cv=5))


# -- weights -----------------------------------------------------------------------------------------------------
def weighed(device, weights):
    fit(device, {**LABELS, "w": weights}, "label", LogisticRegression(), weights="w")


@bad_input(
    "bad weights",
    "a weight that is null",
    told="fitting",
    error=WeightsError,
    message="Row 1, column 'w': The weight w is null. Weights are numbers from 0 on, none of them null, NaN or "
    "infinite. Fill or filter them.",
)
def null_weight(device, folder):
    weighed(device, [1.0, None, 1.0, 1.0])


@bad_input(
    "bad weights",
    "a weight that is NaN",
    told="fitting",
    error=WeightsError,
    message="Row 2, column 'w': The weight w is nan. Weights are numbers from 0 on, none of them null, NaN or "
    "infinite. Fill or filter them.",
)
def nan_weight(device, folder):
    weighed(device, [1.0, 1.0, math.nan, 1.0])


@bad_input(
    "bad weights",
    "a negative weight",
    told="fitting",
    error=WeightsError,
    message="Row 3, column 'w': The weight w is -2.0. Weights are numbers from 0 on, none of them null, NaN or "
    "infinite. Fill or filter them.",
)
def negative_weight(device, folder):
    weighed(device, [1.0, 1.0, 1.0, -2.0])


@bad_input(
    "bad weights",
    "all weights 0",
    told="fitting",
    error=WeightsError,
    message="All weights are 0, which is not usable: weights must be finite, at least 0, and some above 0.",
)
def no_weight(device, folder):
    weighed(device, [0.0, 0.0, 0.0, 0.0])


@bad_input(
    "bad weights",
    "weights that are text",
    told=PLANNING,
    error=TypeMismatchError,
    message="weights are numbers, not String: w.",
)
def text_weights(device, folder):
    weighed(device, ["1", "1", "1", "1"])


# -- keys and rows -----------------------------------------------------------------------------------------------
@bad_input(
    "a bad key",
    "a key's column that is not there: `key='user'`",
    told=PLANNING,
    error=ColumnNotFoundError,
    message="There is no column 'user'. There are: x, label.",
)
def no_key(device, folder):
    classified(device, key="user")


@bad_input(
    "a bad key",
    "rows whose key is null: they belong together, a group of their own",
    told="fitting",
    message="they share a fold, and the fit goes on",
    answer=True,
)
def null_key(device, folder):
    data = {**LABELS, "user": [None, None, 1, 2]}
    ids = gp.scan(pa.table(data)).with_key("user").load(0).row_ids
    gp.Pipeline([col("x")], "label", LogisticRegression(), key="user", device=device).fit(pa.table(data))
    return bool(ids[0] == ids[1] and len(set(ids.tolist())) == 3)


@bad_input(
    "no rows",
    "a filter that drops every row, before a model",
    told="fitting",
    error=gp.errors.EmptyDataError,
    message="There are no rows to learn from: 4 in a table in memory of 4 rows, of which (x > 10) dropped 4. Check "
    "the data and the filters.",
)
def all_filtered(device, folder):
    source = gp.scan(pa.table(LABELS)).filter(col("x") > 10)
    gp.Pipeline([col("x")], "label", LogisticRegression(), device=device).fit(source)


@bad_input(
    "no rows",
    "a filter that drops every row, before a statistic",
    told="fitting",
    error=gp.errors.EmptyDataError,
    message="There are no rows to learn from: 4 in a table in memory of 4 rows, of which (x > 10) dropped 4. Check "
    "the data and the filters.",
)
def all_filtered_before_a_statistic(device, folder):
    gp.Pipeline([col("x").standardize()], device=device).fit(gp.scan(pa.table(X)).filter(col("x") > 10))


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
