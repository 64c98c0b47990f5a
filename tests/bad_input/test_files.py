"""Bad input in files: what is not there, not whole, not what its name says, or not like the files beside it."""

import gzip
import os
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import (
    CastError,
    ColumnNotFoundError,
    DuplicateNameError,
    EmptyDataError,
    FileFormatError,
    SchemaMismatchError,
    SourceAccessError,
    SourceNotFoundError,
    TypeMismatchError,
)

from .case import bad_input, check, runs
from .files import arrow, as_another_user, cut, features, not_utf8, parquet, text

X = [col("x")]


# -- nothing there ---------------------------------------------------------------------------------------------
@bad_input(
    "no file matches",
    "a glob that no file matches",
    told="reading",
    error=SourceNotFoundError,
    message="No file matches FOLDER/*.parquet. The folder looked at is FOLDER.",
    backends=False,
)
def no_file_matches(device, folder):
    gp.scan(folder / "*.parquet")


@bad_input(
    "no file matches",
    "a file name with a letter missing",
    told="reading",
    error=SourceNotFoundError,
    message="There is no file FOLDER/tran.parquet. Did you mean FOLDER/train.parquet? The folder FOLDER holds: "
    "train.parquet.",
    backends=False,
)
def no_such_file(device, folder):
    parquet(folder / "train.parquet", {"x": [1]})
    gp.scan(folder / "tran.parquet")


@bad_input(
    "no file matches",
    "a folder in which no file has a known ending",
    told="reading",
    error=SourceNotFoundError,
    message=(
        "The folder FOLDER holds no file ending in .parquet, .pq, .parq, .csv, .csv.gz, .csv.zip, "
        ".arrow, .feather, .ipc. The folder FOLDER holds: _SUCCESS, notes.txt."
    ),
    backends=False,
)
def folder_without_tables(device, folder):
    text(folder / "_SUCCESS", "")
    text(folder / "notes.txt", "none yet")
    gp.scan(folder)


@bad_input(
    "no file matches",
    "a glob that matches folders alone",
    told="reading",
    error=SourceNotFoundError,
    message=(
        "No file matches FOLDER/2024-*. The folder looked at is FOLDER. It matches the folder "
        "FOLDER/2024-01; for the files in it, add /*."
    ),
    backends=False,
)
def glob_of_folders(device, folder):
    (folder / "2024-01").mkdir()
    parquet(folder / "2024-01" / "a.parquet", {"x": [1]})
    gp.scan(folder / "2024-*")


@bad_input(
    "other files beside",
    "a folder with `_SUCCESS`, hidden files, checksums and notes beside the table",
    told="reading",
    message="they are no tables, and are left out: x is 1, 2",
    answer={"x": [1.0, 2.0]},
)
def files_beside(device, folder):
    parquet(folder / "part-0.parquet", {"x": [1, 2]})
    for name in ("_SUCCESS", ".part-0.parquet.crc", ".hidden.parquet", "_metadata.parquet", "notes.txt"):
        text(folder / name, "")
    return features(X, folder, device)


@bad_input(
    "a folder named as a file",
    "folders named `1.parquet` and `2.parquet`, as Spark writes them, by a glob",
    told="reading",
    message="the files in them are read: x is 1, 2, 3",
    answer={"x": [1.0, 2.0, 3.0]},
)
def folders_named_as_files(device, folder):
    for name, values in (("1.parquet", [1, 2]), ("2.parquet", [3])):
        (folder / name).mkdir()
        parquet(folder / name / "part-0.parquet", {"x": values})
        text(folder / name / "_SUCCESS", "")
    return features(X, folder / "*.parquet", device)


@bad_input(
    "a link in a folder",
    "a folder that holds a link to another one, and that one a link back",
    told="reading",
    message="links are followed, and no folder is read twice: x is 1, 2",
    answer={"x": [1.0, 2.0]},
)
def links_between_folders(device, folder):
    for name in ("a", "b"):
        (folder / name).mkdir()
    parquet(folder / "a" / "1.parquet", {"x": [1]})
    parquet(folder / "b" / "2.parquet", {"x": [2]})
    (folder / "a" / "more").symlink_to(folder / "b")
    (folder / "b" / "back").symlink_to(folder / "a")
    return features(X, folder / "a", device)


@bad_input(
    "a link in a folder",
    "a link to a file that is not there",
    told="reading",
    error=SourceNotFoundError,
    message="FOLDER/2.parquet: it is a link to a file that is not there. Scan again what there is.",
    backends=False,
)
def broken_link(device, folder):
    parquet(folder / "1.parquet", {"x": [1]})
    (folder / "2.parquet").symlink_to(folder / "gone.parquet")
    gp.scan(folder)


@bad_input(
    "permission denied",
    "a file that may not be read",
    told="reading",
    error=SourceAccessError,
    message=("FOLDER/a.parquet: it may not be read: permission is denied. Ask its owner, or run as someone who may."),
    backends=False,
)
def unreadable_file(device, folder):
    path = parquet(folder / "a.parquet", {"x": [1]})
    os.chmod(path, 0)
    with as_another_user():
        gp.scan(path)


@bad_input(
    "permission denied",
    "a folder inside the one scanned that may not be listed",
    told="reading",
    error=SourceAccessError,
    message="FOLDER/more: it may not be read: permission is denied. Ask its owner, or run as someone who may.",
    backends=False,
)
def unlisted_folder(device, folder):
    parquet(folder / "a.parquet", {"x": [1]})
    (folder / "more").mkdir()
    with _unlisted(folder / "more"):
        gp.scan(folder)


@bad_input(
    "permission denied",
    "a folder that `**` runs through and that may not be listed",
    told="reading",
    error=SourceAccessError,
    message="FOLDER/more: it may not be read: permission is denied. Ask its owner, or run as someone who may.",
    backends=False,
)
def unlisted_folder_in_a_glob(device, folder):
    parquet(folder / "a.parquet", {"x": [1]})
    (folder / "more").mkdir()
    with _unlisted(folder / "more"):
        gp.scan(folder / "**" / "*.parquet")


def _unlisted(folder):
    """Nobody may list the folder; root may list any, so that it takes a stand-in."""
    real = os.scandir

    def scandir(path="."):
        if os.fspath(path) == os.fspath(folder):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    return mock.patch("os.scandir", scandir)


@bad_input(
    "a pipe",
    "a named pipe, which can be read once",
    told="reading",
    error=FileFormatError,
    message=("FOLDER/x.csv: it is a pipe, a socket or a device, which cannot be read twice. Write it to a file first."),
    backends=False,
)
def pipe(device, folder):
    os.mkfifo(folder / "x.csv")
    gp.scan(folder / "x.csv")


# -- not whole -------------------------------------------------------------------------------------------------
@bad_input(
    "zero-byte file",
    "a Parquet file of no byte among others",
    told="reading",
    error=FileFormatError,
    message="FOLDER/2.parquet: it is empty: it has no byte. Write it again, or leave it out.",
    backends=False,
)
def zero_byte_parquet(device, folder):
    parquet(folder / "1.parquet", {"x": [1]})
    text(folder / "2.parquet", "")
    gp.scan(folder)


@bad_input(
    "zero-byte file",
    "a CSV file of no byte",
    told="reading",
    error=FileFormatError,
    message="FOLDER/a.csv: it is empty. A CSV file begins with a line of column names.",
    backends=False,
)
def zero_byte_csv(device, folder):
    gp.scan(text(folder / "a.csv", ""))


@bad_input(
    "zero-byte file",
    "an Arrow file of no byte",
    told="reading",
    error=FileFormatError,
    message="FOLDER/a.arrow: it is empty: it has no byte. Write it again, or leave it out.",
    backends=False,
)
def zero_byte_arrow(device, folder):
    gp.scan(text(folder / "a.arrow", ""))


@bad_input(
    "truncated file",
    "a Parquet file cut short, as by a full disk",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/2.parquet: it begins as Parquet and has no footer at its end: it was cut short or "
        "damaged. Copy or write it again, or leave it out."
    ),
    backends=False,
)
def truncated_parquet(device, folder):
    parquet(folder / "1.parquet", {"x": [1]})
    cut(parquet(folder / "2.parquet", {"x": list(range(1000))}), 0.5)
    gp.scan(folder)


@bad_input(
    "truncated file",
    "a Parquet file with a whole footer and a damaged column",
    told="fitting",
    error=FileFormatError,
    message=(
        "FOLDER/a.parquet: it cannot be decoded: it was cut short or damaged (Couldn't deserialize "
        "thrift: don't know what type: ). Copy or write it again, or leave it out."
    ),
)
def damaged_parquet(device, folder):
    path = parquet(folder / "a.parquet", {"x": list(range(1000))})
    at = pq.read_metadata(path).row_group(0).column(0).dictionary_page_offset
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"\xff" * 50)
    features(X, path, device)


@bad_input(
    "truncated file",
    "an Arrow file cut short",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.arrow: it cannot be read as Arrow IPC (Feather 2): it was cut short or damaged (Not an "
        "Arrow file). Copy or write it again, or leave it out."
    ),
    backends=False,
)
def truncated_arrow(device, folder):
    gp.scan(cut(arrow(folder / "a.arrow", {"x": list(range(1000))}), 0.5))


@bad_input(
    "truncated file",
    "a compressed CSV file cut short",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv.gz: it cannot be decompressed: Compressed file ended before the end-of-stream "
        "marker was reached. It was cut short or damaged, or is not compressed: copy it again, or name "
        "it after what it is."
    ),
    backends=False,
)
def truncated_gzip(device, folder):
    gp.scan(cut(text(folder / "a.csv.gz", gzip.compress(b"x\n" + b"1\n" * 1000)), 0.8))


@bad_input(
    "not a Parquet file",
    "text in a file named `.parquet`",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.parquet: it is not Parquet. It begins with b'x,y\\n', and Parquet with b'PAR1'. Rename "
        "it after what it is, or leave it out."
    ),
    backends=False,
)
def not_parquet(device, folder):
    gp.scan(text(folder / "a.parquet", "x,y\n1,2\n"))


@bad_input(
    "not a Parquet file",
    "a file without a known ending or beginning",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.xlsx: .xlsx is no format that scan reads. Parquet, CSV and Arrow IPC are read, by "
        "the endings .parquet, .pq, .parq, .csv, .csv.gz, .csv.zip, .arrow, .feather, .ipc. Of this "
        "one give the table: gp.scan(polars.read_excel(path))."
    ),
    backends=False,
)
def unknown_format(device, folder):
    gp.scan(text(folder / "a.xlsx", b"PK\3\4"))


@bad_input(
    "two formats",
    "Parquet and CSV files scanned together",
    told="reading",
    error=FileFormatError,
    message="FOLDER/1.parquet is Parquet and FOLDER/2.csv is CSV. One source has one format; scan them apart.",
    backends=False,
)
def two_formats(device, folder):
    parquet(folder / "1.parquet", {"x": [1]})
    text(folder / "2.csv", "x\n1\n")
    gp.scan(folder)


# -- changed while being read ----------------------------------------------------------------------------------
@bad_input(
    "a file that changes",
    "a file rewritten after it was scanned, its size and rows the same",
    told="fitting",
    error=FileFormatError,
    message=(
        "FOLDER/a.parquet: the file was changed or replaced after it was scanned (492 bytes then, 492 "
        "now). Scan it again, and let nothing write to it before the work is done."
    ),
)
def changed_file(device, folder):
    path = parquet(folder / "a.parquet", {"x": [1, 2]})
    source = gp.scan(path)
    parquet(path, {"x": [1, 3]})
    os.utime(path, ns=(0, 0))
    features(X, source, device)


@bad_input(
    "a file that changes",
    "a CSV file rewritten between a fit's two trips over it",
    told="fitting",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv: the file was changed or replaced after it was scanned (6 bytes then, 6 now). Scan "
        "it again, and let nothing write to it before the work is done."
    ),
)
def changed_csv(device, folder):
    path = text(folder / "a.csv", "x\n1\n2\n")
    source = gp.scan(path)
    text(path, "x\n1\n3\n")
    os.utime(path, ns=(0, 0))
    features(X, source, device)


@bad_input(
    "a file that vanishes",
    "a file deleted after it was scanned",
    told="fitting",
    error=SourceNotFoundError,
    message="FOLDER/a.parquet: it is not there any more. Scan again what there is.",
)
def vanished_file(device, folder):
    source = gp.scan(parquet(folder / "a.parquet", {"x": [1, 2]}))
    os.unlink(folder / "a.parquet")
    features(X, source, device)


# -- files that differ -----------------------------------------------------------------------------------------
@bad_input(
    "a column missing in one file of many",
    "the second of three files lacks a column",
    told="reading",
    error=SchemaMismatchError,
    message=(
        "FOLDER/2.parquet, column 'city': the column is missing here; FOLDER/1.parquet has it. There "
        "are: x. Files scanned together need the same columns: add it at the source, or scan them apart."
    ),
    backends=False,
)
def column_missing(device, folder):
    for name, columns in (("1", {"x": [1], "city": ["a"]}), ("2", {"x": [1]}), ("3", {"x": [1], "city": ["b"]})):
        parquet(folder / f"{name}.parquet", columns)
    gp.scan(folder)


@bad_input(
    "a column missing in one file of many",
    "a CSV file with one column more than the first",
    told="reading",
    error=SchemaMismatchError,
    message=(
        "FOLDER/2.csv, column 'City': the column is not in FOLDER/1.csv. Did you mean 'city'? Files "
        "scanned together need the same columns: add it there at the source, or scan them apart."
    ),
    backends=False,
)
def column_added(device, folder):
    text(folder / "1.csv", "x,city\n1,a\n")
    text(folder / "2.csv", "x,city,City\n1,a,b\n")
    gp.scan(folder)


@bad_input(
    "a column of another type in one file of many",
    "text where the first file has whole numbers",
    told="reading",
    error=SchemaMismatchError,
    message=(
        "FOLDER/2.parquet, column 'y': it is String here and Int64 in FOLDER/1.parquet. Files scanned "
        "together need the same columns: cast it at the source, or scan them apart."
    ),
    backends=False,
)
def other_type(device, folder):
    parquet(folder / "1.parquet", {"x": [1], "y": [2]})
    parquet(folder / "2.parquet", {"x": [1], "y": ["two"]})
    gp.scan(folder)


@bad_input(
    "a column of another type in one file of many",
    "lists where the first file has whole numbers",
    told="reading",
    error=SchemaMismatchError,
    message=(
        "FOLDER/2.parquet, column 'x': it cannot be used here. Arrow's type list<element: int64> is not "
        "one a feature can be made from. There are numbers, booleans, text, dates, timestamps and "
        "durations. Flatten or convert it at the source, or leave the column unused. In FOLDER/1.parquet "
        "it is Int64. Files scanned together need the same columns: convert it at the source, or scan "
        "them apart."
    ),
    backends=False,
)
def other_type_a_list(device, folder):
    parquet(folder / "1.parquet", {"x": [1]})
    parquet(folder / "2.parquet", {"x": [[1, 2]]})
    gp.scan(folder)


@bad_input(
    "int beside float",
    "a column of whole numbers in one file, of fractions in the next",
    told="reading",
    message="it is Float64, every value exact: 1, null, 2.5",
    answer=["Float64?", [1.0, None, 2.5]],
)
def int_beside_float(device, folder):
    parquet(folder / "1.parquet", {"x": [1, None]})
    parquet(folder / "2.parquet", {"x": [2.5]})
    field = gp.scan(folder).schema["x"]
    return [f"{field.dtype}{'?' * field.nullable}", features([col("x").cast("Float64")], folder, device)["x"]]


@bad_input(
    "integers above 2^53 beside float",
    "2^60 in a file of whole numbers, beside a file of fractions",
    told="reading",
    message="Float64 holds 2^60, so it is read: 2^60, 0.5",
    answer=[2.0**60, 0.5],
)
def exact_beside_float(device, folder):
    parquet(folder / "1.parquet", {"x": [2**60]})
    parquet(folder / "2.parquet", {"x": [0.5]})
    return features([col("x").cast("Float64")], folder, device)["x"]


@bad_input(
    "integers above 2^53 beside float",
    "2^53 + 1 in a file of whole numbers, beside a file of fractions",
    told="fitting",
    error=SchemaMismatchError,
    message=(
        "FOLDER/1.parquet, row group 1, row 2, column 'x': the value 9007199254740993 is Int64 here, and "
        "the column was Float64 in the other files, which does not hold it exactly. Cast it at the "
        "source, so that it is of one type everywhere."
    ),
)
def rounded_beside_float(device, folder):
    parquet(folder / "1.parquet", {"x": [7, 2**53, 2**53 + 1]}, row_group_size=2)
    parquet(folder / "2.parquet", {"x": [0.5]})
    features(X, folder, device)


@bad_input(
    "integers above 2^53 beside float",
    "9007199254740993 in CSV, and 0.5 in the next file",
    told="planning",
    error=TypeMismatchError,
    message=(
        "standardize takes a number, not String. For text there are .mode(), .str parts and .codes(). In: "
        "x.standardize(). In FOLDER/1.csv the column 'x' is text because of '9007199254740993' in line "
        "3; without such values it is Float64. Correct the file, or give schema= to gpupipe.scan."
    ),
)
def rounded_beside_float_in_csv(device, folder):
    text(folder / "1.csv", "x\n1\n9007199254740993\n")
    text(folder / "2.csv", "x\n0.5\n")
    features([col("x").standardize()], folder, device)


@bad_input(
    "integers above 2^53 beside float",
    "2^53 + 1 scored where the fit saw fractions",
    told="scoring",
    error=SchemaMismatchError,
    message=(
        "Row 1, column 'x': the value 9007199254740993 is Int64 here, and the column was Float64 in the "
        "fit, which does not hold it exactly. Cast it at the source, so that it is of one type "
        "everywhere."
    ),
)
def rounded_at_scoring(device, folder):
    pipeline = gp.Pipeline(X, device=device).fit({"x": [0.5, 1.5]})
    pipeline.transform({"x": [1, 2**53 + 1]})


@bad_input(
    "a null-typed column in the first file",
    "a column of Arrow's type null, whole numbers in the next file",
    told="reading",
    message="the nulls are nulls of that type: null, 1, 2",
    answer={"x": [None, 1.0, 2.0]},
)
def null_typed_first(device, folder):
    parquet(folder / "1.parquet", {"x": pa.nulls(1)})
    parquet(folder / "2.parquet", {"x": [1, 2]})
    return features(X, folder, device)


# -- no rows ---------------------------------------------------------------------------------------------------
@bad_input(
    "zero-row file",
    "a file of no rows between two others",
    told="fitting",
    message="it adds nothing: x over its mean is 0.5, 1.5",
    answer={"x": [0.5, 1.5]},
)
def zero_row_file(device, folder):
    for name, values in (("1", [1.0]), ("2", []), ("3", [3.0])):
        parquet(folder / f"{name}.parquet", {"x": pa.array(values, pa.float64())})
    return features([col("x") / col("x").mean()], folder, device)


@bad_input(
    "zero-row file",
    "a CSV file of a header alone",
    told="fitting",
    error=EmptyDataError,
    message="There are no rows to learn from: 0 in FOLDER/a.csv. Check the data and the filters.",
)
def header_alone(device, folder):
    features(X, text(folder / "a.csv", "x,y\n"), device)


@bad_input(
    "zero-row partition",
    "a row group of no rows, in a partition of its own",
    told="fitting",
    message="it adds nothing: x over its mean is 0.5, 1.5",
    answer=[2, {"x": [0.5, 1.5]}],
)
def zero_row_group(device, folder):
    with pq.ParquetWriter(folder / "a.parquet", pa.schema([("x", pa.float64())])) as file:
        for values in ([1.0], [], [3.0]):
            file.write_table(pa.table({"x": pa.array(values, pa.float64())}))
    source = gp.scan(folder, partition_bytes=1)
    full = sum(partition.n_rows > 0 for partition in source.partitions)
    return [full, features([col("x") / col("x").mean()], source, device)]


@bad_input(
    "zero-row partition",
    "a partition of which a filter leaves nothing",
    told="fitting",
    message="it adds nothing: x over its mean is 0.5, 1.5",
    answer={"x": [0.5, 1.5]},
)
def filtered_partition(device, folder):
    source = gp.scan({"x": [1.0, 3.0, 90.0, 91.0]}, partitions=2).filter(col("x") < 50)
    return features([col("x") / col("x").mean()], source, device)


@bad_input(
    "all partitions empty",
    "a filter that no row passes",
    told="fitting",
    error=EmptyDataError,
    message=(
        "There are no rows to learn from: 4 in a table in memory of 4 rows, of which (x > 9) dropped 4. "
        "Check the data and the filters."
    ),
)
def all_partitions_empty(device, folder):
    source = gp.scan({"x": [1, 2, 3, 4]}, partitions=2).filter(col("x") > 9)
    features([col("x").standardize()], source, device)


@bad_input(
    "all partitions empty",
    "rows to score of which none is left",
    told="scoring",
    message="no rows come out: x is empty",
    answer={"x": []},
)
def nothing_to_score(device, folder):
    pipeline = gp.Pipeline([col("x").standardize()], device=device).fit({"x": [1.0, 3.0]})
    return pipeline.transform(gp.scan({"x": [1.0, 2.0]}, partitions=2).filter(col("x") > 9)).to_pydict()


# -- names -----------------------------------------------------------------------------------------------------
@bad_input(
    "duplicate names",
    "two columns of one name in a Parquet file",
    told="reading",
    error=DuplicateNameError,
    message="FOLDER/a.parquet: 2 columns are named 'x'. Rename all but one at the source.",
    backends=False,
)
def duplicate_names(device, folder):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    gp.scan(parquet(folder / "a.parquet", table))


@bad_input(
    "duplicate names",
    "two columns of one name in a CSV header",
    told="reading",
    error=DuplicateNameError,
    message="FOLDER/a.csv, line 1: 2 columns are named 'x'. Rename all but one in the header.",
    backends=False,
)
def duplicate_names_in_csv(device, folder):
    gp.scan(text(folder / "a.csv", "x,y,x\n1,2,3\n"))


@bad_input(
    "names differing in case",
    "columns `Age` and `age`",
    told="fitting",
    message="they are two columns: Age is 1, age is 20",
    answer={"Age": [1.0], "age": [20.0]},
)
def names_in_two_cases(device, folder):
    return features([col("Age"), col("age") * 10], parquet(folder / "a.parquet", {"Age": [1], "age": [2]}), device)


@bad_input(
    "names differing in case",
    "`col('Age')` where the column is `age`",
    told="planning",
    error=ColumnNotFoundError,
    message="There is no column 'Age'. Did you mean 'age'? In: Age",
)
def name_in_another_case(device, folder):
    features([col("Age")], {"age": [2], "city": ["a"]}, device)


# -- text ------------------------------------------------------------------------------------------------------
@bad_input(
    "invalid UTF-8",
    "Latin-1 in a CSV file",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv, line 4, row 2, column 'name': the bytes b'Jos\\xe9' are not valid UTF-8 (in "
        "Latin-1 they would be 'José'). Convert them to UTF-8 at the source, or leave the column unused."
    ),
    backends=False,
)
def latin_csv(device, folder):
    gp.scan(text(folder / "a.csv", b"x,name\n1,Ana\n2,\n3,Jos\xe9\n"))


@bad_input(
    "invalid UTF-8",
    "Latin-1 in a CSV header",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv, line 1: the header is not UTF-8, from the bytes b'\\xf1o\\n' on. Convert the file to UTF-8."
    ),
    backends=False,
)
def latin_header(device, folder):
    gp.scan(text(folder / "a.csv", b"x,a\xf1o\n1,2\n"))


@bad_input(
    "invalid UTF-8",
    "a CSV file in UTF-16",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv, line 1: the header holds NUL bytes, so this is no UTF-8 text (perhaps UTF-16, or "
        "a file that was never written to the end). Convert it to UTF-8."
    ),
    backends=False,
)
def wide_csv(device, folder):
    gp.scan(text(folder / "a.csv", "x,y\n1,2\n".encode("utf-16")))


@bad_input(
    "invalid UTF-8",
    "bytes that are not UTF-8 in a Parquet file's column of text",
    told="fitting",
    error=CastError,
    message=(
        "FOLDER/a.parquet, row group 1, row 2, column 'name': the bytes b'Jos\\xe9' are not valid UTF-8 "
        "(in Latin-1 they would be 'José'). Convert them to UTF-8 at the source, or leave the column "
        "unused."
    ),
)
def latin_parquet(device, folder):
    names = not_utf8(b"Ana", b"Bob", b"Jos\xe9")
    features([col("name").codes()], parquet(folder / "a.parquet", {"name": names}, row_group_size=2), device)


@bad_input(
    "invalid UTF-8",
    "bytes that are not UTF-8 in an Arrow table's column of bytes",
    told="fitting",
    error=CastError,
    message=(
        "Row 2, column 'name': the bytes b'Jos\\xe9' are not valid UTF-8 (in Latin-1 they would be "
        "'José'). Convert them to UTF-8 at the source, or leave the column unused."
    ),
)
def latin_bytes(device, folder):
    features([col("name").codes()], pa.table({"name": [b"Ana", None, b"Jos\xe9"]}), device)


@bad_input(
    "NUL bytes",
    "text with a NUL byte, in CSV and in Parquet",
    told="fitting",
    message="it is a byte like others: lengths 1, 3, and two codes",
    answer=[[[2.0, 3.0], [1.0, 3.0]]] * 2,
)
def nul_in_text(device, folder):
    values = ["a", "a\0b"]
    paths = [text(folder / "a.csv", "s\na\na\0b\n"), parquet(folder / "a.parquet", {"s": values})]
    listed = [col("s").codes().cast("Float32"), col("s").str.len_chars().alias("n")]
    return [list(features(listed, path, device).values()) for path in paths]


@bad_input(
    "NUL bytes",
    "a CSV file of NUL bytes, as a crash leaves behind",
    told="reading",
    error=FileFormatError,
    message=(
        "FOLDER/a.csv, line 1: the header holds NUL bytes, so this is no UTF-8 text (perhaps UTF-16 "
        "without a mark, or a file that was never written to the end). Convert it to UTF-8."
    ),
    backends=False,
)
def nul_header(device, folder):
    gp.scan(text(folder / "a.csv", b"\0" * 100))


# -- columns of other kinds ------------------------------------------------------------------------------------
@bad_input(
    "a column of lists",
    "arithmetic with a column of lists",
    told="planning",
    error=TypeMismatchError,
    message=(
        "Column 'items' cannot be used. Arrow's type list<element: int64> is not one a feature can be "
        "made from. There are numbers, booleans, text, dates, timestamps and durations. Flatten or "
        "convert it at the source, or leave the column unused. In: (items * 2)"
    ),
)
def lists(device, folder):
    features([col("items") * 2], parquet(folder / "a.parquet", {"items": [[1], [2, 3]], "x": [1, 2]}), device)


@bad_input(
    "a column of lists",
    "a struct beside the columns that are used",
    told="fitting",
    message="selectors pass it over: x is 1, 2",
    answer={"x": [1.0, 2.0]},
)
def structs_beside(device, folder):
    path = parquet(folder / "a.parquet", {"where": [{"lat": 1}, {"lat": 2}], "x": [1, 2]})
    return features([gp.numeric()], path, device)


@bad_input(
    "a null in a dictionary",
    "a dictionary-encoded column with a null among its entries",
    told="fitting",
    message="the rows that point to it are null: missing in rows 1 and 2",
    answer={"missing": [0.0, 1.0, 1.0, 0.0], "s": [2, 0, 0, 2]},
)
def null_in_dictionary(device, folder):
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0]), pa.array(["a", None]))
    return features([col("s").is_null().alias("missing"), col("s").codes()], pa.table({"s": column}), device)


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
