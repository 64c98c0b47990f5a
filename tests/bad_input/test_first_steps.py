"""What a first try gets wrong: arguments of another kind than those asked for, told by what to write instead."""

# What is wrong here, the stub knows too.
# mypy: disable-error-code="arg-type, attr-defined, call-arg"

import math

import pyarrow as pa
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from xgboost import XGBClassifier

import gpupipe as gp
from gpupipe import cli, col
from gpupipe.errors import (
    ArgumentError,
    ArtifactCorruptError,
    EmptyDataError,
    FileFormatError,
    LeakageError,
    ModelOptionError,
    ParameterError,
    SchemaMismatchError,
    SourceNotFoundError,
    TargetError,
    TypeMismatchError,
    UnknownNameError,
)
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
    message="predict has no parameter 'threshold'. There are: X, output, progress.",
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


# -- models, operators and what they are told of --------------------------------------------------------------------
@bad_input(
    "a target of one class",
    "a comparison with a value that the column has not",
    told="fitting",
    error=TargetError,
    message="The target (churned == 'yes') is False in all 4 rows, and a classifier needs two classes. The "
    "column 'churned' holds: 'n', 'y'. Compare it with one of its values.",
)
def compared_with_none(device, folder):
    gp.Pipeline([col("x")], col("churned") == "yes", LogisticRegression(), device=device).fit(DATA)


@bad_input(
    "misspelt names of things",
    "`fill_null('meddian')` of numbers",
    told=PLANNING,
    error=TypeMismatchError,
    message="fill_null takes values of one type, not Float64 and String. Did you mean 'median'? In: "
    "x.fill_null('meddian')",
)
def meddian(device, folder):
    gp.Pipeline([col("x").fill_null("meddian")], device=device).fit(DATA)


@bad_input(
    "text where a number is needed",
    "`fill_null('mean')` of text",
    told=PLANNING,
    error=TypeMismatchError,
    message="fill_null('mean') takes a number, not String. Text is filled by 'mode', or by a text of your own. "
    "In: churned.fill_null('mean').one_hot()",
)
def mean_of_text(device, folder):
    gp.Pipeline([col("churned").fill_null("mean").one_hot()], device=device).fit(DATA)


@bad_input(
    "misspelt names of things",
    "`is_between(1, 2)`, which other libraries have",
    told=WRITING,
    error=UnknownNameError,
    message="Expressions have no method 'is_between'. There is none; write (x >= a) & (x <= b).",
    backends=False,
)
def between(device, folder):
    col("x").is_between(1, 2)


@bad_input(
    "misspelt names of things",
    "`rank()`, which other libraries have",
    told=WRITING,
    error=UnknownNameError,
    message="Expressions have no method 'rank'. There is none, as a rank is among all rows and those to score "
    "come later; .qcut(n) gives equal parts.",
    backends=False,
)
def rank(device, folder):
    col("x").rank()


@bad_input(
    "misspelt names of things",
    "`shift(1)`, which other libraries have",
    told=WRITING,
    error=UnknownNameError,
    message="Expressions have no method 'shift'. Rows have no order here, so none comes before another; "
    "compute it where the rows are made.",
    backends=False,
)
def shift(device, folder):
    col("x").shift(1)


@bad_input(
    "misspelt names of things",
    "`dt.strftime('%Y')`, which other libraries have",
    told=WRITING,
    error=UnknownNameError,
    message="Expressions have no method 'dt.strftime'. There is none; take .dt parts, such as .dt.year() and "
    ".dt.month().",
    backends=False,
)
def strftime(device, folder):
    col("x").dt.strftime("%Y")


@bad_input(
    "misspelt names of things",
    "`exclude('x')`, which other libraries have",
    told=WRITING,
    error=UnknownNameError,
    message="Expressions have no method 'exclude'. Selectors are taken from each other: gp.numeric() - gp.cols('x').",
    backends=False,
)
def exclude(device, folder):
    col("x").exclude("x")


@bad_input(
    "misspelt names of things",
    "`when(c).otherwise(1)`",
    told=WRITING,
    error=UnknownNameError,
    message="After when(…) comes .then(value), and .otherwise only after that: gp.when(…).then(…).otherwise(…).",
    backends=False,
)
def otherwise_first(device, folder):
    gp.when(col("x") > 1).otherwise(1)


@bad_input(
    "a feature that refers to the target",
    "a feature of the groups",
    told=PLANNING,
    error=LeakageError,
    message="The feature x uses 'x', which the groups are made of. A feature of it would know groups of the "
    "fit alone, and rows to score come in others.",
)
def of_groups(device, folder):
    gp.Pipeline([col("x")], groups="x", device=device).fit(DATA)


@bad_input(
    "a feature that refers to the target",
    "a feature of the weights",
    told=PLANNING,
    error=LeakageError,
    message="The feature x uses 'x', which the weights are made of, and rows to score have none. To learn from "
    "it too, give the weights as fit(…, sample_weight=…).",
)
def of_weights(device, folder):
    gp.Pipeline([col("x")], "churned", LogisticRegression(), weights="x", device=device).fit(DATA)


@bad_input(
    "a feature that refers to the target",
    "a feature of the key",
    told=PLANNING,
    error=LeakageError,
    message="The feature x uses 'x', which is the key (or named as y is). It tells which rows belong together, "
    "and rows to score have other keys than those of the fit.",
)
def of_key(device, folder):
    gp.Pipeline([col("x")], key="x", device=device).fit(DATA)


@bad_input(
    "constraints that fit no feature",
    "`LGBMClassifier(monotone_constraints=[1, 0])` of one feature",
    told="fitting",
    error=ModelOptionError,
    message="monotone_constraints has length 2, and features are 1. Give one a feature, or a dict by feature's "
    "name: {'x': 1}.",
)
def constraints_of_lightgbm(device, folder):
    fitted(device, LGBMClassifier(monotone_constraints=[1, 0])).fit(X, [0, 1, 0, 1])


@bad_input(
    "constraints that fit no feature",
    "`XGBClassifier(monotone_constraints=(2,))` of one feature",
    told="fitting",
    error=ModelOptionError,
    message="monotone_constraints of 'x' is 2. It is 1 (rising), -1 (falling) or 0 (either).",
)
def constraints_of_xgboost(device, folder):
    fitted(device, XGBClassifier(monotone_constraints=(2,))).fit(X, [0, 1, 0, 1])


@bad_input(
    "constraints that fit no feature",
    "`CatBoostClassifier(monotone_constraints=[1, 0])` of one feature",
    told="fitting",
    error=ModelOptionError,
    message="monotone_constraints has length 2, and features are 1. Give one a feature, or a dict by feature's "
    "name: {'x': 1}.",
)
def constraints_of_catboost(device, folder):
    fitted(device, CatBoostClassifier(monotone_constraints=[1, 0])).fit(X, [0, 1, 0, 1])


@bad_input(
    "no rows",
    "`predict([])`",
    told="scoring",
    error=EmptyDataError,
    message="There are no rows: an empty list was given. Give one row or more, or paths of files.",
)
def no_rows_given(device, folder):
    fitted(device).fit(X, DATA["churned"]).predict([])


@bad_input(
    "a path that is none",
    "`save(3)`",
    told="saving",
    error=ParameterError,
    message="A path is text or a pathlib.Path, not 3.",
    backends=False,
)
def path_as_number(device, folder):
    fitted(device).fit(X, DATA["churned"]).save(3)


@bad_input(
    "a path that is none",
    "`load` of half a character",
    told="loading",
    error=ParameterError,
    message="The path 'a\\ud800.gpp' holds half a character, which no name can.",
    backends=False,
)
def path_of_half(device, folder):
    gp.load("a\ud800.gpp")


@bad_input(
    "a path that is none",
    "`load('mine.py')`",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER/mine.py is a file, and an artifact is a folder holding manifest.json. Give the folder that "
    "save wrote.",
    backends=False,
)
def load_of_code(device, folder):
    gp.load(text(folder / "mine.py", "x = 1"))


@bad_input(
    "a loaded pipeline fitted again",
    "`load(path).fit(data)`",
    told="fitting",
    error=ParameterError,
    message="This pipeline was loaded: it holds what its LogisticRegression learned, and no estimator to "
    "train. To fit it again, declare it again with model=.",
    backends=False,
)
def fitted_again(device, folder):
    fitted(device).fit(X, DATA["churned"]).save(folder / "a.gpp")
    gp.load(folder / "a.gpp").fit(X, DATA["churned"])


@bad_input(
    "a date as text, at scoring",
    "a row of JSON, where the fit had dates",
    told="scoring",
    error=SchemaMismatchError,
    message="Row 0, column 'day': it was Date in the fit; it was given '2022-01-01'. Give "
    "datetime.date.fromisoformat('2022-01-01').",
)
def date_as_text(device, folder):
    days = pa.table({"day": pa.array([1, 2], pa.int32()).cast(pa.date32())})
    gp.Pipeline([col("day").dt.year()], device=device).fit(days).transform({"day": "2022-01-01"})


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
