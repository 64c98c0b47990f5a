"""Rows to score that are not as those of the fit."""

import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import (
    ColumnNotFoundError,
    NonFiniteError,
    NotFittedError,
    ParameterError,
    SchemaMismatchError,
    ShapeError,
    UnavailableError,
    UnknownCategoryError,
    WideFeatureError,
)

from .case import bad_input, check, runs

TRAINING = pa.table(
    {
        "age": [31.0, 17.0, 45.0, 60.0],
        "city": ["Rome", "Oslo", "Rome", "Lima"],
        "left": ["yes", "no", "yes", "no"],
    }
)


def fitted(device, *features, model=None):
    features = features or (col("age"), col("city").one_hot())
    target = "left" if model is not None else None
    return gp.Pipeline(list(features), target, model, device=device).fit(TRAINING)


def table(found):
    return {name: found.column(name).to_pylist() for name in found.column_names}


# -- categories ---------------------------------------------------------------------------------------------------
@bad_input(
    "unseen category at scoring",
    "a city that no training row had, before `one_hot`",
    told="scoring",
    message="all its columns are 0",
    answer={"city_Lima": [0.0], "city_Oslo": [0.0], "city_Rome": [0.0]},
)
def unseen_one_hot(device, folder):
    return table(fitted(device, col("city").one_hot()).transform(pa.table({"city": ["Bern"]})))


@bad_input(
    "unseen category at scoring",
    "the same before `codes`",
    told="scoring",
    message="code 1, which stands for all other values",
    answer={"city": [1, 2]},
)
def unseen_codes(device, folder):
    return table(fitted(device, col("city").codes()).transform(pa.table({"city": ["Bern", "Rome"]})))


@bad_input(
    "unseen category at scoring",
    "the same before `frequency`",
    told="scoring",
    message="0: its share of the training rows",
    answer={"city_frequency": [0.0, 0.5]},
)
def unseen_frequency(device, folder):
    return table(fitted(device, col("city").frequency()).transform(pa.table({"city": ["Bern", "Rome"]})))


@bad_input(
    "unseen category at scoring",
    "the same before `ordinal(['Oslo', 'Rome'])`, which lists all there may be",
    told="scoring",
    error=UnknownCategoryError,
    message="Row 1, column 'city': city.ordinal(['Oslo', 'Rome']): 'Bern' is not among the 2 values listed. List it, "
    "or give unknown='null'.",
)
def unseen_ordinal(device, folder):
    data = TRAINING.filter(pa.array([True, True, True, False]))
    pipeline = gp.Pipeline([col("city").ordinal(["Oslo", "Rome"])], device=device).fit(data)
    pipeline.transform(pa.table({"city": ["Rome", "Bern"]}))


@bad_input(
    "a wide one_hot",
    "more categories than `limit=`: `col('city').one_hot(limit=2)` of three cities",
    told="fitting",
    error=WideFeatureError,
    message="Column 'city': city.one_hot() would become 3 columns; its limit is 2. Raise limit=, give min_count= or "
    "max_size=, or use .codes() or .target_mean().",
)
def wide(device, folder):
    fitted(device, col("city").one_hot(limit=2))


@bad_input(
    "a wide one_hot",
    "a column of 1,001 distinct values, and no `limit=`",
    told="fitting",
    error=WideFeatureError,
    message="Column 'user': user.one_hot() would become 1,001 columns; its limit is 1,000. Raise limit=, give "
    "min_count= or max_size=, or use .codes() or .target_mean().",
)
def very_wide(device, folder):
    data = pa.table({"user": [f"u{number}" for number in range(1001)]})
    gp.Pipeline([col("user").one_hot()], device=device).fit(data)


# -- columns ------------------------------------------------------------------------------------------------------
@bad_input(
    "missing columns at scoring",
    "rows without a column that a feature needs",
    told="scoring",
    error=ColumnNotFoundError,
    message="There is no column 'city', which the features need. There are: age.",
)
def missing(device, folder):
    fitted(device).transform(pa.table({"age": [20.0]}))


@bad_input(
    "missing columns at scoring",
    "rows without any of them",
    told="scoring",
    error=ColumnNotFoundError,
    message="There are no columns 'age', 'city', which the features need. There are: years.",
)
def all_missing(device, folder):
    fitted(device).transform(pa.table({"years": [20.0]}))


@bad_input(
    "missing columns at scoring",
    "an array with fewer columns than that of the fit",
    told="scoring",
    error=ShapeError,
    message="X has 2 features, but Pipeline is expecting 3 features as input: an array's columns are told apart by "
    "their places. Give all columns of the fit in its order, or a table with their names.",
)
def narrow_array(device, folder):
    pipeline = gp.Pipeline([gp.numeric()], device=device).fit(np.eye(3))
    pipeline.transform(np.ones((1, 2)))


@bad_input(
    "missing columns at scoring",
    "rows without the target, which scoring does not need",
    told="scoring",
    message="the predictions",
    answer=["yes"],
)
def without_the_target(device, folder):
    pipeline = fitted(device, model=LogisticRegression())
    return pipeline.predict(pa.table({"age": [40.0], "city": ["Rome"]}))["prediction"].to_pylist()


@bad_input(
    "extra columns at scoring",
    "rows with columns that no feature needs",
    told="scoring",
    message="they are ignored, and not read",
    answer={"age": [20.0]},
)
def extra(device, folder):
    pipeline = fitted(device, col("age"))
    return table(pipeline.transform(pa.table({"note": ["x"], "age": [20.0], "when": [1]})))


@bad_input(
    "reordered columns at scoring",
    "the columns in another order",
    told="scoring",
    message="they are found by name, and features keep the order of the fit",
    answer={"age": [20.0], "city": [2]},
)
def reordered(device, folder):
    pipeline = fitted(device, col("age"), col("city").codes())
    return table(pipeline.transform(pa.table({"city": ["Rome"], "age": [20.0]})))


@bad_input(
    "a column of another type at scoring",
    "text where the fit had numbers",
    told="scoring",
    error=SchemaMismatchError,
    message="Column 'age': it is String here and was Float64 in the fit. Cast it at the source.",
)
def another_type(device, folder):
    fitted(device).transform(pa.table({"age": ["20"], "city": ["Rome"]}))


@bad_input(
    "a column of another type at scoring",
    "whole numbers where the fit had floats",
    told="scoring",
    message="the same numbers as floats",
    answer={"age": [20.0]},
)
def whole_numbers(device, folder):
    return table(fitted(device, col("age")).transform(pa.table({"age": [20]})))


# -- values -------------------------------------------------------------------------------------------------------
@bad_input(
    "a null that the model refuses, at scoring",
    "a null in a column that had none in the fit, before a model that takes no nulls",
    told="scoring",
    error=NonFiniteError,
    message="Row 1: The feature 'age' is null or NaN here; LogisticRegression takes finite numbers alone. Give "
    "the feature .fill_null(…) or .nan_to_null().fill_null(…), or a model that takes nulls "
    "(DecisionTreeClassifier, ExtraTreeClassifier, RandomForestClassifier, ExtraTreesClassifier, "
    "BaggingClassifier, HistGradientBoostingClassifier, XGBClassifier, XGBRFClassifier, "
    "LGBMClassifier, CatBoostClassifier).",
)
def null_at_scoring(device, folder):
    pipeline = fitted(device, col("age"), model=LogisticRegression())
    pipeline.predict(pa.table({"age": [20.0, None]}))


@bad_input(
    "a null that the model refuses, at scoring",
    "NaN before a model that takes none",
    told="scoring",
    error=NonFiniteError,
    message="Row 1: The feature 'age' is null or NaN here; LogisticRegression takes finite numbers alone. Give "
    "the feature .fill_null(…) or .nan_to_null().fill_null(…), or a model that takes nulls "
    "(DecisionTreeClassifier, ExtraTreeClassifier, RandomForestClassifier, ExtraTreesClassifier, "
    "BaggingClassifier, HistGradientBoostingClassifier, XGBClassifier, XGBRFClassifier, "
    "LGBMClassifier, CatBoostClassifier).",
)
def nan_at_scoring(device, folder):
    pipeline = fitted(device, col("age"), model=LogisticRegression())
    pipeline.predict(pa.table({"age": [20.0, math.nan]}))


@bad_input(
    "no rows at scoring",
    "a table of no rows",
    told="scoring",
    message="no predictions",
    answer=[],
)
def no_rows(device, folder):
    pipeline = fitted(device, model=LogisticRegression())
    return pipeline.predict(TRAINING.slice(0, 0))["prediction"].to_pylist()


# -- what cannot be asked -----------------------------------------------------------------------------------------
@bad_input(
    "a method that is not there yet",
    "`transform` before `fit`",
    told="scoring",
    error=NotFittedError,
    message="This pipeline is not fitted yet. Call fit(data), or gpupipe.load(path) a saved one.",
)
def not_fitted(device, folder):
    gp.Pipeline([col("age")], device=device).transform(TRAINING)


@bad_input(
    "a method that is not there yet",
    "`predict` of a pipeline without a model",
    told="scoring",
    error=UnavailableError,
    message="This pipeline has no model, so it has no predict. Use transform, or give Pipeline(model=…).",
)
def no_model(device, folder):
    fitted(device).predict(TRAINING)


@bad_input(
    "a method that is not there yet",
    "`predict_proba` of a regression",
    told="scoring",
    error=UnavailableError,
    message="The pipeline's model, a LinearRegression, has no predict_proba. There is: predict, transform.",
)
def no_probabilities(device, folder):
    pipeline = gp.Pipeline([col("age")], gp.col("age2"), LinearRegression(), device=device)
    doubled = pa.array([2.0 * (age or 0.0) for age in TRAINING["age"].to_pylist()])
    pipeline.fit(TRAINING.append_column("age2", doubled)).predict_proba(TRAINING)


@bad_input(
    "unknown options",
    "`transform(data, output='panda')`",
    told="scoring",
    error=ParameterError,
    message="There is no output 'panda'. Did you mean 'pandas'?",
)
def output(device, folder):
    fitted(device).transform(TRAINING, output="panda")


@bad_input(
    "unknown options",
    "a column to slice by that is misspelt: `evaluate(data, by='cty')`",
    told="evaluating",
    error=ColumnNotFoundError,
    message="There is no column 'cty'. Did you mean 'city'?",
)
def slice_by(device, folder):
    fitted(device, model=LogisticRegression()).evaluate(TRAINING, by="cty")


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
