"""Rows to judge by that the fit has seen, and the target under another name."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import LeakageError

from .case import PLANNING, bad_input, check, runs
from .files import parquet

TABLE = pa.table(
    {
        "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        "customer": [1, 1, 2, 2, 3, 3, 4, 4],
        "y": [0, 1, 1, 0, 1, 0, 0, 1],
    }
)
SEEN, KEYS, UNDER_ANOTHER = "rows that the fit has seen", "a key on both sides", "the target under another name"


def model(device, **options):
    return gp.Pipeline([col("x")], "y", LogisticRegression(), device=device, **options)


# -- rows -----------------------------------------------------------------------------------------------------
@bad_input(
    SEEN,
    "`fit(table)`, then `evaluate(table)`",
    told="evaluating",
    error=LeakageError,
    message="All 8 rows were in the fit, the first being row 0 of a table in memory of 8 rows. What a model says of "
    "rows it has seen does not tell how it does on new ones. Split first: train, test = gp.scan(data).split(test=0.2), "
    "then fit(train) and evaluate(test); on the command line, --split 0.2 of both. To judge by them all the same: "
    "evaluate(…, allow_overlap=True), or --allow-overlap.",
)
def the_rows_of_the_fit(device, folder):
    model(device).fit(TABLE).evaluate(TABLE)


@bad_input(
    SEEN,
    "a file of the fit among others, in a loaded pipeline",
    told="evaluating",
    error=LeakageError,
    message="4 of the 8 rows were in the fit, the first being FOLDER/1.parquet, row group 0, row 0. What a model says "
    "of rows it has seen does not tell how it does on new ones. Split first: train, test = "
    "gp.scan(data).split(test=0.2), then fit(train) and evaluate(test); on the command line, --split 0.2 of both. To "
    "judge by them all the same: evaluate(…, allow_overlap=True), or --allow-overlap.",
)
def a_file_of_the_fit(device, folder):
    paths = [parquet(folder / f"{number}.parquet", TABLE.slice(4 * number, 4)) for number in range(2)]
    model(device).fit(paths[1]).save(folder / "m.gpp")
    gp.load(folder / "m.gpp", device=device).evaluate(paths)


@bad_input(
    SEEN,
    "the rows of `validation=`, by which the model stopped",
    told="evaluating",
    error=LeakageError,
    message="All 4 rows told the model when to stop (validation=), the first being row 4 of a table in memory of 8 "
    "rows. What a model says of rows it has seen does not tell how it does on new ones. Split first: train, test = "
    "gp.scan(data).split(test=0.2), then fit(train) and evaluate(test); on the command line, --split 0.2 of both. To "
    "judge by them all the same: evaluate(…, allow_overlap=True), or --allow-overlap.",
)
def rows_of_early_stopping(device, folder):
    xgboost = pytest.importorskip("xgboost")
    rows = gp.scan(TABLE)
    learn, stop = rows.filter(col("x") < 5), rows.filter(col("x") >= 5)
    booster = xgboost.XGBClassifier(n_estimators=2, early_stopping_rounds=1, n_jobs=1)
    gp.Pipeline([col("x")], "y", booster, device=device).fit(learn, validation=stop).evaluate(stop)


@bad_input(
    SEEN,
    "features whose statistics have seen them: `fit_transform(all)`, cut into train and test afterwards",
    told="evaluating",
    error=LeakageError,
    message="4 of the 4 rows came out of a transform whose statistics have seen them: its means, categories and "
    "encodings know the rows to judge by. Fit the features on the training rows alone; declared beside the model they "
    "are: gp.Pipeline(features=…, model=…).fit(train). To judge by them all the same: evaluate(…, allow_overlap=True), "
    "or --allow-overlap.",
)
def statistics_of_all_rows(device, folder):
    made = gp.Pipeline([gp.numeric().standardize()], device=device).fit_transform(np.arange(16.0).reshape(8, 2))
    fitted = gp.Pipeline([gp.numeric()], model=LogisticRegression(), device=device).fit(made[:4], [0, 1, 0, 1])
    fitted.evaluate(made[4:], [0, 1, 0, 1])


@bad_input(
    SEEN,
    "`update` with rows of the fit",
    told="fitting",
    error=LeakageError,
    message="4 of the 8 rows were in the fit, the first being row 0 of a table in memory of 8 rows, and would count "
    "twice. Give only the rows that came after the fit.",
)
def an_update_with_rows_of_the_fit(device, folder):
    rows = gp.scan(TABLE)
    model(device).fit(rows.head(4), keep_state=True).update(rows)


@bad_input(
    SEEN,
    "asked for, by `allow_overlap=True`",
    told="evaluating",
    message="The report says how many of the rows the fit has seen.",
    answer=(8, 4),
)
def allowed(device, folder):
    rows = gp.scan(TABLE)
    found = model(device).fit(rows.head(4)).evaluate(rows, allow_overlap=True)
    return found.n_rows, found.rows_seen


@bad_input(
    KEYS,
    "`key=\"customer\"`, and other rows of customers of the fit",
    told="evaluating",
    error=LeakageError,
    message="4 of the 4 values of the key 'customer' in these rows were in the fit's rows too: rows of one key belong "
    "together, and the model knows them. Split by the key: gp.scan(data).split(test=0.2, key='customer'). To judge by "
    "them all the same: evaluate(…, allow_overlap=True), or --allow-overlap.",
)
def customers_of_the_fit(device, folder):
    rows = gp.scan(TABLE)
    odd = col("x") % 2 == 1
    model(device, key="customer").fit(rows.filter(odd)).evaluate(rows.filter(~odd))


# -- the target -----------------------------------------------------------------------------------------------
@bad_input(
    UNDER_ANOTHER,
    "a column in the memory of the target's: `table.append_column(\"label\", table[\"y\"])`",
    told=PLANNING,
    error=LeakageError,
    message="The feature label uses 'label', which is the target's column 'y' under another name, so it would tell the "
    "model what it is to learn. Leave it out of the features, or out of the data.",
)
def a_copy_of_the_target(device, folder):
    features = [col("x"), col("label")]
    table = TABLE.append_column("label", TABLE["y"])
    gp.Pipeline(features, "y", LogisticRegression(), device=device).fit(table)


@bad_input(
    UNDER_ANOTHER,
    "`fit(X, y)` with `y` a column of `X` too",
    told=PLANNING,
    error=LeakageError,
    message="The feature label uses 'label', which is y under another name, so it would tell the model what it is to "
    "learn. Leave it out of the features, or out of the data.",
)
def y_in_the_columns(device, folder):
    labels = np.array([0, 1, 1, 0])
    rows = {"x": np.arange(4.0), "label": labels}
    gp.Pipeline([gp.numeric()], model=LogisticRegression(), device=device).fit(rows, labels)


@bad_input(
    UNDER_ANOTHER,
    "a join of a file with itself, which brings the target once more",
    told=PLANNING,
    error=LeakageError,
    message="The feature y_right.fill_null(0) uses 'y_right', which is the target's column 'y' under another name, so "
    "it would tell the model what it is to learn. Leave it out of the features, or out of the data.",
)
def a_join_that_brings_the_target(device, folder):
    path = parquet(folder / "rows.parquet", TABLE)
    rows = gp.scan(path).join(path, on="x")
    gp.Pipeline([col("y_right").fill_null(0)], "y", LogisticRegression(), device=device).fit(rows)


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
