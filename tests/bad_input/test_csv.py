"""Bad input in CSV: what its text is where a table was expected."""

import numpy as np
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import CastError, FileFormatError, ParameterError, TypeMismatchError

from .case import bad_input, check, runs
from .files import features, text

X = [col("x")]


@bad_input(
    "ragged CSV",
    "a record with a field too few",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv, line 5, row 1: the record has 1 field where the header has 2: 2. Quote fields "
        "that hold a comma, or complete the record."
    ),
    backends=False,
)
def ragged(device, folder):
    gp.scan(text(folder / "a.csv", 'x,name\n1,"a\nb"\n\n2\n3,c\n'))


@bad_input(
    "ragged CSV",
    "a comma in a field that is not quoted, far down in a file of several blocks",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv, line 502, row 500: the record has 3 fields where the header has 2: 2,b,c. Quote "
        "fields that hold a comma, or complete the record."
    ),
    backends=False,
)
def ragged_far_down(device, folder):
    gp.scan(text(folder / "a.csv", "x,name\n" + "1,a\n" * 500 + "2,b,c\n"), partition_bytes=100)


@bad_input(
    "CSV integers beyond int64",
    "an integer of 20 digits, and arithmetic with its column",
    told="planning",
    error=TypeMismatchError,
    message=(
        "* takes numbers, not String and Int64. Use .cast(…) or another operator. In: (x * 2). In "
        "FOLDER/a.csv the column 'x' is text because of '99999999999999999999' in line 3; without such "
        "values it is Int64. Correct the file, or give schema= to gpupipe.scan."
    ),
)
def beyond_int64(device, folder):
    features([col("x") * 2], text(folder / "a.csv", "x\n1\n99999999999999999999\n2\n"), device)


@bad_input(
    "CSV integers beyond int64",
    "an integer of 20 digits, and `schema={'x': 'Int64'}`",
    told="fitting",
    error=CastError,
    message=(
        "FOLDER/a.csv, line 3, row 1, column 'x': '99999999999999999999' cannot be read as Int64. "
        "Correct the file, or schema=."
    ),
)
def beyond_int64_asked(device, folder):
    path = text(folder / "a.csv", "x\n1\n99999999999999999999\n2\n")
    features(X, gp.scan(path, schema={"x": "Int64"}), device)


@bad_input(
    "CSV integers beyond int64",
    "identifiers of 20 digits, as categories",
    told="fitting",
    message="they stay text, every digit kept: two codes",
    answer={"x": [2, 3, 2]},
)
def beyond_int64_as_text(device, folder):
    path = text(folder / "a.csv", "x\n99999999999999999998\n99999999999999999999\n99999999999999999998\n")
    return features([col("x").codes()], path, device)


@bad_input(
    "integers above 2^53 beside float",
    "2^53 + 1 in a CSV file to score, where the fit saw fractions",
    told="scoring",
    error=CastError,
    message=(
        "FOLDER/a.csv, line 4, row 2, column 'x': 9007199254740993 is a whole number that Float64 does "
        "not hold exactly. Read the column as Int64 or String, by schema=; col('x').cast('Float64') of a "
        "String rounds it."
    ),
)
def rounded_at_scoring_csv(device, folder):
    pipeline = gp.Pipeline(X, device=device).fit({"x": [0.5, 1.5]})
    pipeline.transform(text(folder / "a.csv", "x\n1\n9007199254740992\n9007199254740993\n"))


@bad_input(
    "CSV of mixed types",
    "one word among 3,000 numbers, beyond any sample",
    told="planning",
    error=TypeMismatchError,
    message=(
        "standardize takes a number, not String. For text there are .mode(), .str parts and .codes(). In: "
        "x.standardize(). In FOLDER/a.csv the column 'x' is text because of 'oops' in line 3,002; "
        "without such values it is Int64. Correct the file, or give schema= to gpupipe.scan."
    ),
)
def word_among_numbers(device, folder):
    content = "x\n" + "1\n" * 3000 + "oops\n" + "2\n" * 100
    features([col("x").standardize()], text(folder / "a.csv", content), device)


@bad_input(
    "CSV of mixed types",
    "the same, and `gp.numeric()` alone",
    told="planning",
    error=ParameterError,
    message=(
        "The features select no column. List columns, or check the selectors against the schema. In "
        "FOLDER/a.csv the column 'x' is text because of 'oops' in line 4; without such values it is "
        "Int64. Correct the file, or give schema= to gpupipe.scan."
    ),
)
def word_among_numbers_selected(device, folder):
    features([gp.numeric().standardize()], text(folder / "a.csv", "x\n1\n2\noops\n"), device)


@bad_input(
    "CSV of mixed types",
    "the same, and `schema={'x': 'Int64'}`",
    told="fitting",
    error=CastError,
    message=(
        "FOLDER/a.csv, line 3,002, row 3,000, column 'x': 'oops' cannot be read as Int64. Correct the file, or schema=."
    ),
)
def word_among_numbers_asked(device, folder):
    content = "x\n" + "1\n" * 3000 + "oops\n" + "2\n" * 100
    source = gp.scan(text(folder / "a.csv", content), schema={"x": "Int64"}, partition_bytes=500)
    features([col("x").standardize()], source, device)


@bad_input(
    "CSV with two header lines",
    "a line of units under the names",
    told="planning",
    error=TypeMismatchError,
    message=(
        "* takes numbers, not String and Int64. Use .cast(…) or another operator. In: (mass * 2). In "
        "FOLDER/a.csv the column 'mass' is text because of 'kg' in line 2; without such values it is "
        "Int64. Correct the file, or give schema= to gpupipe.scan."
    ),
)
def two_headers(device, folder):
    features([col("mass") * 2], text(folder / "a.csv", "mass,length\nkg,m\n1,2\n3,4\n"), device)


@bad_input(
    "CSV with other separators",
    "semicolons",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv, line 1: the header is one column, 'x;y': fields seem to be separated by ';', and "
        "a CSV file here separates them by commas. Write it again with commas."
    ),
    backends=False,
)
def semicolons(device, folder):
    gp.scan(text(folder / "a.csv", "x;y\n1,5;2\n"))


@bad_input(
    "CSV with an open quote",
    "a quote that is never closed",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv, line 3: a quote opens here and is never closed, so that all that follows would be "
        'one field: 2,"b. Close it, or write it twice ("") inside a quoted field.'
    ),
    backends=False,
)
def open_quote(device, folder):
    gp.scan(text(folder / "a.csv", 'x,name\n1,a\n2,"b\n3,c\n4,d\n'))


@bad_input(
    "CSV with quotes inside fields",
    '`5" pipe`, not quoted, three times',
    told="fitting",
    message="the quotes are part of the text, as in Python's csv: lengths 7, 4, 7",
    answer={"n": [7.0, 4.0, 7.0]},
)
def quotes_inside(device, folder):
    path = text(folder / "a.csv", 'x,name\n1,5" pipe\n2,"a\nbc"\n3,6" pipe\n')
    return features([col("name").str.len_chars().alias("n")], gp.scan(path, partition_bytes=4), device)


@bad_input(
    "CSV as Excel writes it",
    "a byte-order mark, carriage returns, blank lines, a last line without an end",
    told="fitting",
    message="none of these is data: x is 1, 2",
    answer={"x": [1.0, 2.0]},
)
def bom_and_returns(device, folder):
    return features(X, text(folder / "a.csv", b"\xef\xbb\xbfx,y\r\n1,2\r\n\r\n2,3"), device)


@bad_input(
    "CSV with white space",
    "spaces around numbers, and `schema={'x': 'Int64'}`",
    told="fitting",
    message="they are left out: x is 1, 2, 3",
    answer={"x": [1.0, 2.0, 3.0]},
)
def spaces_asked(device, folder):
    return features(X, gp.scan(text(folder / "a.csv", "x\n 1\n2 \n3\n"), schema={"x": "Int64"}), device)


@bad_input(
    "CSV with white space",
    "spaces around numbers, and no schema",
    told="planning",
    error=TypeMismatchError,
    message=(
        "* takes numbers, not String and Int64. Use .cast(…) or another operator. In: (x * 2). In "
        "FOLDER/a.csv the column 'x' is text because of ' 3' in line 4; without such values it is Int64. "
        "Correct the file, or give schema= to gpupipe.scan."
    ),
)
def spaces(device, folder):
    features([col("x") * 2], text(folder / "a.csv", "x\n1\n2\n 3\n"), device)


@bad_input(
    "CSV spellings of nothing",
    "`NA`, `nan`, `NULL`, `inf` and `-inf` among numbers",
    told="fitting",
    message="the first three are null, the others infinite: null, null, null, inf, -inf, 1",
    answer={"x": [None, None, None, np.inf, -np.inf, 1.0]},
)
def na_texts(device, folder):
    return features(X, text(folder / "a.csv", "x\nNA\nnan\nNULL\ninf\n-inf\n1\n"), device)


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
