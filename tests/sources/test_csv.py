"""CSV: the inference table, blocks against the whole, and every malformed file by its message."""

import csv
import gzip
import io
import random
import re
import zipfile
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_rows import rows_of

from gpupipe.errors import (
    CastError,
    DuplicateNameError,
    FileFormatError,
    ParameterError,
    SchemaMismatchError,
)
from gpupipe.schema import Boolean, Date, Datetime, DType, Duration, Float32, Float64, Int8, Int64, Null, String
from gpupipe.sources import scan
from gpupipe.sources.border import arrow_type
from gpupipe.sources.inference import both, infer


def write(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


INFERENCE: list[tuple[list[Any], DType]] = [
    (["1", "-2", "0"], Int64),
    (["9223372036854775807"], Int64),
    (["1", "2.5"], Float64),
    (["1e5", "inf", "-.5", "3."], Float64),
    (["0.5", "-0.25", "0"], Float64),
    (["007"], String),
    (["1", "007"], String),
    (["007.5", "1.5"], String),
    (["-01"], String),
    (["0x1F"], String),
    (["12345678901234567890"], String),
    (["12345678901234567890", "1.5"], String),
    (["9223372036854775807", "1.5"], String),  # a Float64 would round it
    (["9223372036854775808.0", "1.5"], Float64),
    (["9007199254740992", "1.5"], Float64),
    (["-9007199254740993", "1.5"], String),
    (["true", "False", "TRUE"], Boolean),
    (["true", "1"], String),
    (["yes", "no"], String),
    (["2024-02-29"], Date),
    (["2023-02-29"], String),
    (["2024-1-1"], String),
    (["2024-02-29T01:02:03", "2024-02-29 01:02:03.25"], Datetime()),
    (["2024-02-29", "2024-02-29T01:02:03"], Datetime()),
    (["2024-02-29T01:02:03Z", "2024-02-29T01:02:03+02:00"], Datetime("UTC")),
    (["2024-02-29T01:02:03Z", "2024-02-29T01:02:03"], String),
    (["2024-02-29T01:02:03.123456789"], String),
    (["12:30"], String),
    (["1,000"], String),
    ([" 5"], String),
    (["", "a"], String),
    ([None, None], Null),
    ([], Null),
]


@pytest.mark.parametrize(("texts", "dtype"), INFERENCE, ids=[str(texts) for texts, _ in INFERENCE])
def test_inference(texts, dtype):
    assert infer(pa.array(texts, pa.string())).dtype == dtype
    assert infer(pa.array([*texts, None], pa.string())).dtype == dtype


READABLE = [(texts, dtype) for texts, dtype in INFERENCE if texts and None not in texts and "" not in texts]


@pytest.mark.parametrize(("texts", "dtype"), READABLE, ids=[str(texts) for texts, _ in READABLE])
def test_what_is_inferred_can_be_read(tmp_path, texts, dtype):
    """The reader takes every form that inference does, to the value of Arrow's cast."""
    rows = "".join(f'"{text}",{at}\n' for at, text in enumerate(texts))
    source = scan(write(tmp_path / "a.csv", f"x,n\n{rows}"))
    assert source.schema["x"].dtype == dtype
    wanted = pa.array(texts, pa.string())
    if dtype == Boolean:
        assert rows_of(source)["x"] == [text.lower() == "true" for text in texts]
    else:
        assert rows_of(source)["x"] == wanted.cast(arrow_type(dtype)).to_pylist()


VALUES = sorted({text for texts, _ in INFERENCE for text in texts if text})


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(VALUES), max_size=6), st.integers(0, 6))
def test_inference_does_not_depend_on_blocks(texts, cut):
    whole = infer(pa.array(texts, pa.string())).dtype
    parts = both(infer(pa.array(texts[:cut], pa.string())), infer(pa.array(texts[cut:], pa.string())))
    assert parts.dtype == whole


def test_a_typical_file(tmp_path):
    path = write(
        tmp_path / "a.csv",
        'id,zip,when,ok,x,note\n1,007,2024-01-02T03:04:05Z,true,1.5,"a, ""b""\nc"\n2,123,,false,NA,\n',
    )
    source = scan(path)
    assert repr(source.schema) == (
        "Schema(id: Int64, zip: String, when: Datetime(UTC)?, ok: Boolean, x: Float64?, note: String?)"
    )
    found = rows_of(source)
    assert found["note"] == ['a, "b"\nc', None] and found["zip"] == ["007", "123"] and found["x"] == [1.5, None]
    assert found["row_ids"] == [0, 1]


ODD = {
    "a word": ("1\n2\noops\n4\n", "'oops' in line 4", "Int64"),
    "in a later block": ("1\n" * 300 + "2.5\nx y\n", "'x y' in line 303", "Int64"),
    "units": ("kg\n1.5\n2.5\n", "'kg' in line 2", "Float64"),
    "an identifier": ("1\n2\n007\n", "'007' in line 4", "Int64"),
    "rounded": ("1\n9007199254740993\n0.5\n", "'9007199254740993' in line 3", "Float64"),
    "no such day": ("2024-02-28\n2024-02-29\n2024-02-30\n", "'2024-02-30' in line 4", "Date"),
    "no offset": ("2024-02-28T00:00Z\n2024-02-28T00:00Z\n2024-02-28T00:00\n", "T00:00' in line 4", r"Datetime\(UTC\)"),
    "a truth": ("true\nfalse\nyes\n", "'yes' in line 4", "Boolean"),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("size", [None, 50])
def test_a_note_says_which_value_made_a_column_text(tmp_path, case, size):
    rows, where, usual = ODD[case]
    source = scan(write(tmp_path / "a.csv", "x\n" + rows), partition_bytes=size)
    assert source.schema["x"].dtype == String
    pattern = rf"In .*a\.csv the column 'x' is text because of .*{where}; without such values it is {usual}\."
    assert re.search(pattern, source.schema.notes["x"]) and re.search(pattern, repr(source))


def test_words_and_numbers_need_no_note(tmp_path):
    assert scan(write(tmp_path / "a.csv", "x,y,z\na,1,\nb,2.5,\nc,3,\n")).schema.notes == {}


def test_null_spellings(tmp_path):
    path = write(
        tmp_path / "a.csv", 'n,s\n1,x\n,\nNA,"NA"\nN/A,N/A\nnull,null\nNULL,NULL\nNaN,NaN\nnan,nan\n"","None"\n'
    )
    assert rows_of(scan(path)) == {
        "n": [1] + [None] * 8, "s": ["x"] + [None] * 7 + ["None"], "row_ids": list(range(9)),
    }  # fmt: skip


def test_a_schema_says_the_types(tmp_path):
    path = write(tmp_path / "a.csv", "zip,small,day,when,f,flag\n007,1,2024-01-02,2024-01-02,1,true\n")
    asked = {"zip": Int64, "small": Int8, "when": Datetime(), "f": Float32, "day": String}
    source = scan(path, schema=asked)
    assert {name: source.schema[name].dtype for name in asked} == asked and source.schema["flag"].dtype == Boolean
    assert rows_of(source, ["zip", "day", "f"]) == {"zip": [7], "day": ["2024-01-02"], "f": [1.0], "row_ids": [0]}
    with pytest.raises(SchemaMismatchError, match=r"column 'nope' \(Int64\) is missing"):
        scan(path, schema={"nope": Int64})
    with pytest.raises(ParameterError, match="'small': CSV has no form for a Duration"):
        scan(path, schema={"small": Duration})


def test_values_that_the_schema_refuses(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n1,x\n300,2024-01-01\n")
    source = scan(path, schema={"a": Int8, "b": Date})
    with pytest.raises(CastError, match=r"a\.csv, line 3, row 1, column 'a': '300' cannot be read as Int8"):
        source.load(0, ["a"])
    with pytest.raises(CastError, match=r"line 2, row 0, column 'b': 'x' cannot be read as Date"):
        source.load(0, ["b"])


CELLS = st.sampled_from(["1", "007", "x", "", 'say "hi"', "two\nlines", "a,b", "é", "2024-01-01", "\r\n", "NA"])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, st.integers(0, 99)), max_size=25), st.integers(1, 60), st.booleans())
def test_blocks_are_the_whole(tmp_path_factory, rows, size, bare):
    """Against Python's own csv module, however the file is cut."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n" if bare else "\r\n")
    writer.writerows([("a", "head,\ner", "n"), *rows])
    path = write(tmp_path_factory.mktemp("csv") / "a.csv", text.getvalue())
    asked = {"a": String, "head,\ner": String, "n": Int64}
    source = scan(path, schema=asked, partition_bytes=size)
    nulled = [[None if cell in ("", "NA") else cell for cell in row] for row in rows]
    wanted = {name: [row[at] for row in nulled] for at, name in enumerate(asked)}
    assert rows_of(source) == {**wanted, "row_ids": list(range(len(rows)))}
    assert source.n_rows == len(rows)
    assert scan(path).schema == scan(path, partition_bytes=size).schema
    assert sum(len(p.row_ids()) for p in source.partitions) == len(rows)


def test_large_blocks_against_polars(tmp_path):
    rng = random.Random(0)
    frame = pl.DataFrame(
        {
            "i": range(5000),
            "f": [rng.random() if rng.random() > 0.1 else None for _ in range(5000)],
            "s": [rng.choice(["red", "a,b", 'q"q', "x\ny"]) for _ in range(5000)],
        }
    )
    frame.write_csv(tmp_path / "a.csv")
    source = scan(tmp_path / "a.csv", partition_bytes=9000)
    assert len(source.partitions) > 10
    assert rows_of(source) == {**frame.to_dict(as_series=False), "row_ids": list(range(5000))}
    assert source.load(0)["s"].is_dictionary


def test_several_files_share_types_and_row_ids(tmp_path):
    write(tmp_path / "1.csv", "a,b\n1,x\n2,y\n")
    write(tmp_path / "2.csv", "b,a\nz,2.5\n")
    assert rows_of(scan(tmp_path)) == {"a": [1.0, 2.0, 2.5], "b": ["x", "y", "z"], "row_ids": [0, 1, 2]}
    assert rows_of(scan([tmp_path / "2.csv", tmp_path / "1.csv"]))["a"] == [2.5, 1.0, 2.0]
    write(tmp_path / "3.csv", "a,c\n1,2\n")
    with pytest.raises(
        SchemaMismatchError, match=r"3\.csv, column 'b': the column is missing here; .*1\.csv has it"
    ):
        scan(tmp_path)


def test_compressed_files(tmp_path):
    text = b"\xef\xbb\xbfa,b\n1,x\n2,y\n"
    write(tmp_path / "1.csv", text)
    write(tmp_path / "2.csv.gz", gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "3.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", text)
    assert rows_of(scan(tmp_path, partition_bytes=5)) == {
        "a": [1, 2] * 3, "b": ["x", "y"] * 3, "row_ids": [0, 1, 2, 3, 4, 5],
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "two.csv.zip", "w") as archive:
        archive.writestr("1.csv", text)
        archive.writestr("2.csv", text)
    with pytest.raises(FileFormatError, match=r"two\.csv\.zip: it holds 2 files \(1\.csv, 2\.csv\)"):
        scan(tmp_path / "two.csv.zip")
    for name, content in [
        ("bad.csv.gz", b"no gzip"),
        ("bad.csv.zip", b"no zip"),
        ("cut.csv.gz", gzip.compress(text)[:-9]),
    ]:
        with pytest.raises(FileFormatError, match=f"{name}: it cannot be decompressed"):
            scan(write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", FileFormatError, "is empty. A CSV file begins with a line of column names"),
        ("\n\n", FileFormatError, "is empty"),
        ("a,b\n1,2\n3\n", FileFormatError, "line 3, row 1: the record has 1 field where the header has 2: 3"),
        ('a,b\n1,"x\ny"\n\n1,2,3\n', FileFormatError, "line 5, row 1: the record has 3 fields where the header has 2"),
        (b"a,b\n1,\xff\n", FileFormatError, r"line 2, row 0, column 'b': the bytes b'\\xff' are not valid UTF-8"),
        (b"a,\xff\n1,2\n", FileFormatError, "line 1: the header is not UTF-8"),
        ("a,b,a\n1,2,3\n", DuplicateNameError, "line 1: 2 columns are named 'a'"),
        ("a;b\n1;2\n", FileFormatError, "line 1: the header is one column, 'a;b': fields seem to be separated by ';'"),
        ("a,b\r1,2\r", FileFormatError, "lines end in a carriage return alone"),
    ],
)
def test_malformed_files(tmp_path, text, error, message):
    with pytest.raises(error, match=rf"bad\.csv.*{message}"):
        scan(write(tmp_path / "bad.csv", text))


def test_header_alone_and_blank_lines(tmp_path):
    for text in ("a,b", "a,b\n", "\n\na,b\r\n\r\n"):
        source = scan(write(tmp_path / "a.csv", text))
        assert rows_of(source) == {"a": [], "b": [], "row_ids": []} and source.schema["a"].dtype == Null
    assert rows_of(scan(write(tmp_path / "a.csv", "\na,b\n\n1,2\n\n\n3,4\n\n")))["a"] == [1, 3]


def test_a_file_that_changed_after_the_scan(tmp_path):
    source = scan(write(tmp_path / "a.csv", "a\n11\n22\n"))
    write(tmp_path / "a.csv", "a\n112233\n")
    with pytest.raises(FileFormatError, match="the file was changed or replaced after it was scanned"):
        source.load(0)


def test_bytes_read(tmp_path):
    source = scan(write(tmp_path / "a.csv", "a,b\n1,2\n3,4\n"))
    assert source.load_with_report(0, ["a"])[1].bytes_read == 8 == source.nbytes(["a"])


def test_a_column_of_blanks_is_text(tmp_path):
    path = write(tmp_path / "a.csv", "a\n \n \nx\n")
    assert rows_of(scan(path, partition_bytes=2)) == {"a": [" ", " ", "x"], "row_ids": [0, 1, 2]}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(-(2**70), 2**70) | st.integers(-(2**25), 2**25) | st.just(2**60), min_size=1, max_size=8),
    st.sampled_from([Float32, Float64]),
    st.integers(1, 60),
)
def test_whole_numbers_read_as_floats_are_exact_or_refused(tmp_path_factory, numbers, dtype, size):
    path = write(tmp_path_factory.mktemp("csv") / "a.csv", "x\n" + "".join(f"{number}\n" for number in numbers))
    source = scan(path, schema={"x": dtype}, partition_bytes=size)
    exact = [int(dtype.storage.type(number)) == number for number in numbers]
    if all(exact):
        assert rows_of(source)["x"] == numbers
        return
    with pytest.raises(CastError, match="does not hold exactly") as raised:
        rows_of(source)
    row = exact.index(False)
    assert (raised.value.row, raised.value.line, raised.value.column) == (row, row + 2, "x")


@pytest.mark.parametrize(
    ("number", "dtype"), [("1e400", None), ("-1e39", Float32), ("9" * 400, Float64), ("9" * 5000, Float64)]
)
def test_a_number_beyond_the_largest_float_is_no_infinity(tmp_path, number, dtype):
    path = write(tmp_path / "a.csv", f"x\ninf\n0.5\n-Infinity\n{number}\n")
    with pytest.raises(CastError, match=f"beyond the largest {dtype or Float64}") as raised:
        rows_of(scan(path, schema=dtype and {"x": dtype}))
    assert (raised.value.row, raised.value.line, raised.value.column) == (3, 5, "x")
    infinite = write(tmp_path / "b.csv", "x\ninf\n0.5\n-Infinity\n")
    assert rows_of(scan(infinite))["x"] == [float("inf"), 0.5, float("-inf")]
