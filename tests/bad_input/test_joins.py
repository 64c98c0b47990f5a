"""Bad input in joins: keys that stand twice, that are missing, or that never compare."""

import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import CastError, DuplicateKeyError, DuplicateNameError, TypeMismatchError

from .case import bad_input, check, runs
from .files import features, not_utf8, parquet

V = [col("v").fill_null(0)]


@bad_input(
    "duplicate join keys in a dimension",
    "a key that stands twice, in two files of the dimension",
    told="fitting",
    error=DuplicateKeyError,
    message=(
        "FOLDER/dim/2.parquet, row group 0, row 1, column 'k': A join needs each key once in the table "
        "joined, and 1 stand more than once in 2 Parquet files, FOLDER/dim/1.parquet first: k=2. "
        "Aggregate it, or join on more columns."
    ),
)
def key_twice(device, folder):
    (folder / "dim").mkdir()
    parquet(folder / "dim" / "1.parquet", {"k": [1, 2], "v": [10, 20]})
    parquet(folder / "dim" / "2.parquet", {"k": [3, 2], "v": [30, 21]})
    features(V, gp.scan({"k": [1, 2]}).join(folder / "dim", on="k"), device)


@bad_input(
    "duplicate join keys in a dimension",
    "a pair of keys that stands twice",
    told="fitting",
    error=DuplicateKeyError,
    message=(
        "Row 2: A join needs each key once in the table joined, and 1 stand more than once in a table in "
        "memory of 3 rows: k=1, s='a'. Aggregate it, or join on more columns."
    ),
)
def pair_twice(device, folder):
    dim = {"k": [1, 1, 1], "s": ["a", "b", "a"], "v": [10, 20, 30]}
    features(V, gp.scan({"k": [1], "s": ["a"]}).join(dim, on=["k", "s"]), device)


@bad_input(
    "duplicate join keys in a dimension",
    "null and NaN, each twice, as keys of the dimension",
    told="fitting",
    message="they match nothing, so they are no duplicates: v is 10, 0, 0",
    answer=[10.0, 0.0, 0.0],
)
def no_key_twice(device, folder):
    nan = float("nan")
    dim = pa.table({"k": [1.0, None, None, nan, nan], "v": [10, 20, 30, 40, 50]})
    return features(V, gp.scan(pa.table({"k": [1.0, None, nan]})).join(dim, on="k"), device)["v"]


@bad_input(
    "null and NaN as join keys",
    "rows whose key is null or NaN",
    told="fitting",
    message="a left join keeps them without a match, an inner one drops them; `report_` counts them: 2",
    answer=[[10.0, 0.0, 0.0], {"left join on k": 2}, [10.0], {"inner join on k": 2}],
)
def rows_without_a_key(device, folder):
    found = []
    for how in ("left", "inner"):
        rows = gp.scan(pa.table({"k": [1.0, None, float("nan")]}))
        source = rows.join(pa.table({"k": [1.0, 2.0], "v": [10.0, 20.0]}), on="k", how=how)
        pipeline = gp.Pipeline([col("v").fill_null("mean") * (col("v").is_not_null())], device=device)
        found += [features(V, source, device)["v"], dict(pipeline.fit(source).report_.rows_without_key)]
    return found


@bad_input(
    "join keys of two types",
    "text joined with whole numbers",
    told="writing",
    error=TypeMismatchError,
    message=(
        "The join key 'k' is String and 'k' is Int64: they never compare equal. Read or convert one of "
        "them so that both have one type."
    ),
    backends=False,
)
def text_and_numbers(device, folder):
    gp.scan({"k": ["1", "2"]}).join({"k": [1, 2], "v": [10, 20]}, on="k")


@bad_input(
    "join keys of two types",
    "unsigned numbers beyond int64 joined with signed ones",
    told="fitting",
    message="only equal numbers match, though 2^64 - 1 and -1 share their bits: v is 0, 5",
    answer=[0.0, 5.0],
)
def unsigned_and_signed(device, folder):
    rows = gp.scan(pa.table({"k": pa.array([2**64 - 1, 7], pa.uint64())}))
    return features(V, rows.join({"k": [-1, 7], "v": [1, 5]}, on="k"), device)["v"]


@bad_input(
    "names in a join",
    "a name of the dimension that is taken with the suffix too",
    told="writing",
    error=DuplicateNameError,
    message="The join would give two columns named 'v_right'. Choose another suffix=.",
    backends=False,
)
def names_taken(device, folder):
    gp.scan({"k": [1], "v": [1], "v_right": [2]}).join({"k": [1], "v": [3]}, on="k")


@bad_input(
    "invalid UTF-8",
    "a dimension's file with text that is not UTF-8",
    told="fitting",
    error=CastError,
    message=(
        "FOLDER/dim.parquet, row group 0, row 1, column 'v': the bytes b'\\xe9' are not valid UTF-8 (in "
        "Latin-1 they would be 'é'). Convert them to UTF-8 at the source, or leave the column unused."
    ),
)
def latin_dimension(device, folder):
    dim = parquet(folder / "dim.parquet", {"k": [1, 2], "v": not_utf8(b"a", b"\xe9")})
    features([col("v").codes()], gp.scan({"k": [1, 2]}).join(dim, on="k"), device)


@bad_input(
    "a column of lists",
    "a column of lists in the dimension",
    told="planning",
    error=TypeMismatchError,
    message=(
        "Column 'items' cannot be used. Arrow's type list<element: int64> is not one a feature can be "
        "made from. There are numbers, booleans, text, dates, timestamps and durations. Flatten or "
        "convert it at the source, or leave the column unused. In: (items + 1)"
    ),
)
def lists_in_a_dimension(device, folder):
    dim = parquet(folder / "dim.parquet", {"k": [1, 2], "items": [[1], [2]]})
    features([col("items") + 1], gp.scan({"k": [1, 2]}).join(dim, on="k"), device)


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
