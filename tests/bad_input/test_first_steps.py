"""What a first try gets wrong: arguments of another kind than those asked for, told by what to write instead."""

# What is wrong here, the stub knows too.
# mypy: disable-error-code="arg-type, attr-defined, call-arg"

import math

import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from xgboost import XGBClassifier

import gpupipe as gp
from gpupipe import cli, col
from gpupipe.errors import ArgumentError, FileFormatError, ParameterError, SourceNotFoundError, TargetError
from gpupipe.serve.scorer import Scorer

from .case import PLANNING, WRITING, bad_input, check, runs
from .files import parquet, text

DATA = {"x": [1.0, 2.0, 3.0, 4.0], "churned": ["y", "n", "y", "n"]}
X = {"x": DATA["x"]}


def fitted(device, model=None):
    return gp.Pipeline([col("x")], model=model or LogisticRegression(), device=device)


# -- y and what goes beside the rows ------------------------------------------------------------------------------
@bad_input(
    "a column's name as values",
    "`fit(df, 'abcd')`, with as many letters as rows",
    told=PLANNING,
    error=ParameterError,
    message="y is values, one a row, as a list or an array, not 'abcd'. To name a column of the rows, declare "
    "Pipeline(target='abcd').",
)
def y_as_text(device, folder):
    fitted(device).fit(X, "abcd")


@bad_input(
    "a column's name as values",
    "`fit(df, col('churned'))`",
    told=PLANNING,
    error=ParameterError,
    message="y is values, one a row, as a list or an array, not the expression churned. To name a column of "
    "the rows, declare Pipeline(target=…).",
)
def y_as_expression(device, folder):
    fitted(device).fit(X, col("churned"))


@bad_input(
    "a column's name as values",
    "`fit(df, y, sample_weight='w')`",
    told=PLANNING,
    error=ParameterError,
    message="sample_weight is values, one a row, as a list or an array, not 'abcd'. To name a column of the "
    "rows, declare Pipeline(weights='abcd').",
)
def weights_as_text(device, folder):
    fitted(device).fit(X, DATA["churned"], sample_weight="abcd")


@bad_input(
    "a column's name as values",
    "`score(df, {'y': …})`",
    told="evaluating",
    error=ParameterError,
    message="y is values, one a row, as a list or an array, not a dict. To name a column of the rows, declare "
    "Pipeline(target=…).",
)
def y_as_dict(device, folder):
    fitted(device).fit(X, DATA["churned"]).score(X, {"churned": DATA["churned"]})


# -- validation rows ----------------------------------------------------------------------------------------------
@bad_input(
    "validation rows of another kind",
    "`validation=0.2`, a share as other libraries take it",
    told=PLANNING,
    error=ParameterError,
    message="validation=0.2 is no rows. It takes rows as X does, or a tuple (X, y), (X, y, sample_weight) or "
    "(X, y, sample_weight, groups). For a share of the data: train, held = "
    "gp.scan(data).split(test=0.2), then fit(train, validation=held).",
)
def validation_as_share(device, folder):
    gp.Pipeline([col("x")], "churned", XGBClassifier(early_stopping_rounds=2), device=device).fit(DATA, validation=0.2)


@bad_input(
    "validation rows of another kind",
    "`validation=[(X, y)]`, as `eval_set` is given",
    told=PLANNING,
    error=ParameterError,
    message="validation=[(X, y)] is no rows. It takes rows as X does, or a tuple (X, y), (X, y, sample_weight) "
    "or (X, y, sample_weight, groups). For a share of the data: train, held = "
    "gp.scan(data).split(test=0.2), then fit(train, validation=held).",
)
def validation_as_list(device, folder):
    fitted(device, XGBClassifier(early_stopping_rounds=2)).fit(X, [0, 1, 0, 1], validation=[(X, [0, 1, 0, 1])])


@bad_input(
    "validation rows of another kind",
    "a model that stops early, and none",
    told=PLANNING,
    error=ParameterError,
    message="XGBClassifier(early_stopping_rounds=2) needs validation rows, and none were given. Give fit(data, "
    "validation=…), on the command line --validation DATA, or leave early_stopping_rounds unset.",
)
def no_validation(device, folder):
    gp.Pipeline([col("x")], "churned", XGBClassifier(early_stopping_rounds=2), device=device).fit(DATA)


# -- a target that its own expression makes null or NaN -------------------------------------------------------------
@bad_input(
    "NaN target",
    "an expression that makes NaN: `col('y').log1p()` of -3",
    told="fitting",
    error=TargetError,
    message="Row 2, column 'y': The target y.log1p() is NaN in 1 of 4 rows, first in this one. Correct the "
    "expression, or leave them out before the fit: gp.scan(data).filter(made.is_finite()), made being "
    "that expression.",
)
def nan_made(device, folder):
    data = {"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.0, -3.0, 4.0]}
    gp.Pipeline([col("x")], col("y").log1p(), LinearRegression(), device=device).fit(data)


@bad_input(
    "NaN target",
    "the same, left out as the message says",
    told="fitting",
    message="3 rows remain",
    answer=3,
)
def nan_made_left_out(device, folder):
    made, data = col("y").log1p(), {"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.0, -3.0, math.nan]}
    rows = gp.scan(pa.table({**data, "y": [1.0, 2.0, -3.0, 4.0]})).filter(made.is_finite())
    return gp.Pipeline([col("x")], made, LinearRegression(), device=device).fit(rows).report_.rows


# -- files and places -----------------------------------------------------------------------------------------------
@bad_input(
    "a file of another format",
    "Excel",
    told="reading",
    error=FileFormatError,
    message="FOLDER/a.xlsx: .xlsx is no format that scan reads. Parquet, CSV and Arrow IPC are read, by the "
    "endings .parquet, .pq, .parq, .csv, .csv.gz, .csv.zip, .arrow, .feather, .ipc. Of this one give "
    "the table: gp.scan(polars.read_excel(path)).",
    backends=False,
)
def excel(device, folder):
    gp.scan(text(folder / "a.xlsx", b"PK\3\4"))


@bad_input(
    "a file of another format",
    "JSON lines",
    told="reading",
    error=FileFormatError,
    message="FOLDER/a.jsonl: .jsonl is no format that scan reads. Parquet, CSV and Arrow IPC are read, by the "
    "endings .parquet, .pq, .parq, .csv, .csv.gz, .csv.zip, .arrow, .feather, .ipc. Of this one give "
    "the table: gp.scan(polars.read_ndjson(path)).",
    backends=False,
)
def json_lines(device, folder):
    gp.scan(text(folder / "a.jsonl", '{"x": 1}\n'))


@bad_input(
    "a file of another format",
    "values apart by tabs",
    told="reading",
    error=FileFormatError,
    message="FOLDER/a.tsv: .tsv is no format that scan reads. Parquet, CSV and Arrow IPC are read, by the "
    "endings .parquet, .pq, .parq, .csv, .csv.gz, .csv.zip, .arrow, .feather, .ipc. Of this one give "
    "the table: gp.scan(polars.read_csv(path, separator='\\t')).",
    backends=False,
)
def tabs(device, folder):
    gp.scan(text(folder / "a.tsv", "x\ty\n1\t2\n"))


@bad_input(
    "no file matches",
    "a URL",
    told="reading",
    error=SourceNotFoundError,
    message="s3://bucket/train.parquet is a URL: object stores and the web are not read. Download it, or mount "
    "the store, and give the path on this machine.",
    backends=False,
)
def url(device, folder):
    gp.scan("s3://bucket/train.parquet")


@bad_input(
    "no file matches",
    "a folder with two letters exchanged",
    told="reading",
    error=SourceNotFoundError,
    message="There is no file FOLDER/trian. Did you mean FOLDER/train? The folder FOLDER holds: train.",
    backends=False,
)
def folder_misspelt(device, folder):
    (folder / "train").mkdir()
    gp.scan(folder / "trian")


@bad_input(
    "no file matches",
    "a glob in such a folder",
    told="reading",
    error=SourceNotFoundError,
    message="No file matches FOLDER/trian/*.parquet: there is no folder FOLDER/trian. Did you mean FOLDER/train?",
    backends=False,
)
def glob_misspelt(device, folder):
    (folder / "train").mkdir()
    gp.scan(folder / "trian" / "*.parquet")


# -- expressions and calls ------------------------------------------------------------------------------------------
@bad_input(
    "features that are none",
    "a dict of expressions",
    told=PLANNING,
    error=ParameterError,
    message="Features are a list of expressions, not a dict. A name is given by .alias: "
    "[gp.col('x').standardize().alias('a'), …].",
)
def features_as_dict(device, folder):
    gp.Pipeline({"a": col("x")}, device=device).fit(X)


@bad_input(
    "features that are none",
    "pairs of a name and an expression",
    told=PLANNING,
    error=ParameterError,
    message="Features are a list of expressions, not pairs of a name and one. A name is given by .alias: "
    "[gp.col('x').standardize().alias('a'), …].",
)
def features_as_pairs(device, folder):
    gp.Pipeline([("a", col("x"))], device=device).fit(X)


@bad_input(
    "features that are none",
    "`col('a', 'b')`",
    told=WRITING,
    error=ParameterError,
    message="col is one column, and 2 are named. Several are gp.cols('a', 'b').",
    backends=False,
)
def col_of_two(device, folder):
    col("a", "b")


@bad_input(
    "misspelt parameters",
    "`predict`'s, which has no threshold",
    told="scoring",
    error=ArgumentError,
    message="predict has no parameter 'threshold'. There are: X, output.",
)
def predict_threshold(device, folder):
    fitted(device).fit(X, DATA["churned"]).predict(X, threshold=0.3)


@bad_input(
    "misspelt parameters",
    "`filter(x=3)`",
    told=WRITING,
    error=ArgumentError,
    message="filter takes expressions, not x=3. Write gp.col('x') == 3.",
    backends=False,
)
def filter_by_name(device, folder):
    gp.scan(X).filter(x=3)


@bad_input(
    "misspelt parameters",
    "`Scorer(path)`",
    told="loading",
    error=ParameterError,
    message="A scorer of an artifact is Scorer.load('churn.gpp').",
    backends=False,
)
def scorer_of_path(device, folder):
    Scorer("churn.gpp")


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_every_case(case, device, tmp_path):
    check(case, device, tmp_path)


def test_validation_rows_on_the_command_line(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "import gpupipe as gp\nfrom xgboost import XGBClassifier\n"
        "model = XGBClassifier(n_estimators=4, early_stopping_rounds=2)\n"
        "pipeline = gp.Pipeline([gp.col('x')], 'y', model)\n"
    )
    data = str(parquet(tmp_path / "data.parquet", {"x": [1.0, 2.0, 3.0, 4.0], "y": [0, 1, 0, 1]}))
    words = ["fit", str(tmp_path / "mine.py"), "--data", data, "--out", str(tmp_path / "m.gpp"), "--quiet"]
    assert cli.main(words) == 1
    assert "--validation DATA" in capsys.readouterr().err
    assert cli.main([*words, "--validation", data]) == 0
    assert gp.load(tmp_path / "m.gpp").predict({"x": [1.0]}).num_rows == 1
