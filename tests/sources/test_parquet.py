"""Parquet: partitions of row groups, what is read and what is not, and every broken file."""

import datetime as dt
import os
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_rows import rows_of, tables

from gpupipe.errors import FileFormatError, SchemaMismatchError, SourceNotFoundError, TypeMismatchError
from gpupipe.expr import col, lit
from gpupipe.schema import Float64, String
from gpupipe.sources import scan


def write(path, table, **options):
    pq.write_table(table, path, **options)
    return str(path)


@settings(max_examples=40, deadline=None)
@given(tables, st.integers(1, 20), st.sampled_from([1, 500, 1500, 2**27]), st.integers(0, 60))
def test_any_partitioning_is_the_same_rows(tmp_path_factory, table, group, size, cut):
    folder = tmp_path_factory.mktemp("parts")
    write(folder / "a.parquet", table.slice(0, cut), row_group_size=group)
    write(folder / "b.parquet", table.slice(cut), row_group_size=7)
    source = scan(folder, partition_bytes=size)
    assert rows_of(source) == {**table.to_pydict(), "row_ids": list(range(len(table)))}
    assert source.n_rows == len(table) == source.count()


def test_row_groups_are_put_together_up_to_a_size(tmp_path):
    path = write(tmp_path / "a.parquet", pa.table({"x": np.random.default_rng(0).random(1000)}), row_group_size=100)
    one = scan(path, partition_bytes=1).partitions
    assert [p.n_rows for p in one] == [100] * 10 and [p.first_row for p in one] == list(range(0, 1000, 100))
    assert len(scan(path, partition_bytes=int(one[0].n_bytes * 2.5)).partitions) == 5
    assert len(scan(path).partitions) == 1 and len(scan(path, partitions=2).partitions) == 2


def test_a_file_without_rows(tmp_path):
    source = scan(write(tmp_path / "a.parquet", pa.table({"x": pa.array([], pa.int8())})))
    assert source.count() == 0 and source.load(0)["x"].values.dtype == np.int8
    assert scan(write(tmp_path / "b.parquet", pa.table({}))).count() == 0


def test_nulls_are_ruled_out_by_statistics(tmp_path):
    table = pa.table({"full": [1, 2], "gap": [1, None], "text": ["a", "b"]})
    schema = scan(write(tmp_path / "a.parquet", table)).schema
    assert [schema[name].nullable for name in table.column_names] == [False, True, False]
    schema = scan(write(tmp_path / "b.parquet", table, write_statistics=False)).schema
    assert [schema[name].nullable for name in table.column_names] == [True, True, True]
    both = scan([tmp_path / "a.parquet", tmp_path / "b.parquet"]).schema
    assert both["full"].nullable


def test_repeated_text_is_read_as_a_dictionary_and_unique_text_is_not(tmp_path):
    n = 30_000
    table = pa.table({"few": [f"v{k % 9}" for k in range(n)], "many": [f"long unique text {k}" for k in range(n)]})
    frame = scan(write(tmp_path / "a.parquet", table, row_group_size=10_000)).load(0)
    assert frame["few"].is_dictionary and len(frame["few"].values.dictionary) == 9
    assert not frame["many"].is_dictionary
    views = table.cast(pa.schema([("few", pa.string_view()), ("many", pa.string_view())]))
    assert scan(write(tmp_path / "b.parquet", views)).load(0)["few"].is_dictionary


def damaged(path, groups, columns):
    """Overwrite some column chunks with garbage, so that whoever reads them fails."""
    metadata = pq.read_metadata(path)
    with open(path, "r+b") as file:
        for group in groups:
            for at in columns:
                chunk = metadata.row_group(group).column(at)
                file.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
                file.write(b"\xff" * chunk.total_compressed_size)


def test_only_needed_columns_are_read(tmp_path):
    path = write(tmp_path / "a.parquet", pa.table({"a": [1, 2, 3], "b": [1.0, 2.0, 3.0], "c": ["x", "y", "z"]}))
    damaged(path, [0], [1])
    source = scan(path)
    assert rows_of(source, ["a", "c"]) == {"a": [1, 2, 3], "c": ["x", "y", "z"], "row_ids": [0, 1, 2]}
    assert rows_of(source.filter(col("a") > 1), ["c"])["c"] == ["y", "z"]
    with pytest.raises(FileFormatError, match=r"a\.parquet: it cannot be decoded"):
        source.load(0, ["b"])
    chunk = pq.read_metadata(path).row_group(0).column(0)
    assert source.load_with_report(0, ["a"])[1].bytes_read == chunk.total_compressed_size
    assert source.nbytes(["a"]) == chunk.total_uncompressed_size


N = 1000
PRUNED = pa.table(
    {
        "i": np.arange(N),
        "f": np.arange(N) / 4,
        "s": [f"{k:05}" for k in range(N)],
        "d": pa.array(np.arange(N, dtype=np.int32), pa.date32()),
        "t": pa.array(np.arange(N) * 1_000_000, pa.timestamp("us", "UTC")),
        "m": pa.array([Decimal(k).scaleb(-1) for k in range(N)], pa.decimal128(9, 1)),
        "b": np.arange(N) >= 800,
        "n": pa.array([None] * 500 + list(range(500)), pa.int64()),
    }
)
PREDICATES = {
    "int": (col("i") >= 900, 100, 1),
    "flipped": (lit(900) <= col("i"), 100, 1),
    "equal": (col("i") == 450, 1, 1),
    "float": (col("f") < 25, 100, 1),
    "int against float": (col("i") < 99.5, 100, 1),
    "both sides": ((col("i") > 149) & (col("f") <= 50), 51, 2),
    "text": (col("s") > "00899", 100, 1),
    "date": (col("d") < dt.date(1970, 4, 11), 100, 1),
    "moment": (col("t") < dt.datetime(1970, 1, 1, 0, 1, 40, tzinfo=dt.UTC), 100, 1),
    "decimal": (col("m") >= 90, 100, 1),
    "null groups": (col("n") >= 0, 500, 5),
    "not known": (col("i") + 0 >= 900, 100, 10),
    "or": ((col("i") < 1) | (col("i") > 998), 2, 10),
    "unequal": (col("i") != 5, 999, 10),
}


@pytest.mark.parametrize("name", list(PREDICATES))
def test_row_groups_are_ruled_out_by_statistics(tmp_path, name):
    expression, kept, groups_read = PREDICATES[name]
    path = write(tmp_path / "a.parquet", PRUNED, row_group_size=100)
    pruned, plain = scan(path).filter(expression), scan(PRUNED).filter(expression)
    frame, report = pruned.load_with_report(0)
    assert rows_of(pruned) == rows_of(plain) and frame.n_rows == kept
    assert report.rows_read == 100 * groups_read and report.rows_listed == N
    assert report.rows_filtered == plain.load_with_report(0)[1].rows_filtered
    assert frame.row_ids.tolist() == frame["i"].values.tolist()  # identity counts what was not read


def test_what_is_ruled_out_is_not_read(tmp_path):
    path = write(tmp_path / "a.parquet", PRUNED, row_group_size=100)
    damaged(path, range(9), range(PRUNED.num_columns))
    source = scan(path).filter(col("i") >= 900, col("f") > 240)
    assert source.count() == 39
    assert source.counts().bytes_read < scan(path).nbytes() / 5
    assert source.counts().rows_filtered == {"(i >= 900)": 900, "(f > 240)": 61}
    with pytest.raises(FileFormatError):
        scan(path).load(0)


def test_floats_with_nan_are_not_ruled_out_wrongly(tmp_path):
    table = pa.table({"x": [float("nan"), 1.0, float("nan"), 9.0]})
    path = write(tmp_path / "a.parquet", table, row_group_size=2)
    for expression in (col("x") > 5, col("x") <= 1, col("x") != 1):
        assert rows_of(scan(path).filter(expression))["row_ids"] == rows_of(scan(table).filter(expression))["row_ids"]


def test_large_integers_against_floats(tmp_path):
    big = 2**53
    table = pa.table({"x": pa.array([big - 1, big, big + 1, big + 2])})
    path = write(tmp_path / "a.parquet", table, row_group_size=1)
    for expression in (col("x") >= float(big), col("x") > float(big), col("x") == float(big), col("x") == big + 1):
        assert rows_of(scan(path).filter(expression)) == rows_of(scan(table).filter(expression))


def test_filters_after_what_drops_rows_do_not_reach_the_reader(tmp_path):
    path = write(tmp_path / "a.parquet", PRUNED, row_group_size=100)
    train, _ = scan(path).split(0.5, seed=1)
    report = train.filter(col("i") >= 900).counts()
    assert report.rows_read == N and report.rows_kept + report.rows_filtered["(i >= 900)"] == train.count()


# -- broken and unequal files -------------------------------------------------------------------------------
BROKEN = {
    "empty": (b"", "it is empty: it has no byte"),
    "magic alone": (b"PAR1", "it begins as Parquet and has no footer at its end"),
    "text": (b"not parquet at all, but longer than a footer", "it is not Parquet. It begins with b'not '"),
    "cut": (None, "it begins as Parquet and has no footer at its end: it was cut short or damaged"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_files_that_are_not_parquet(tmp_path, content, message):
    path = tmp_path / "bad.parquet"
    write(path, pa.table({"a": list(range(1000))}))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if content is None else content)
    with pytest.raises(FileFormatError, match=rf"bad\.parquet: {message}") as raised:
        scan(path)
    assert raised.value.file == str(path)


@pytest.mark.parametrize(
    ("other", "column", "message"),
    [
        ({"a": ["x"], "b": [1]}, "a", r"it is String here and Int64 in .*1\.parquet"),
        ({"a": [1]}, "b", r"the column is missing here; .*1\.parquet has it"),
        ({"a": [1], "b": [1], "c": [1.5]}, "c", r"the column is not in .*1\.parquet"),
        ({"a": [1], "b": [[1]]}, "b", r"Arrow's type list<element: int64> .* In .*1\.parquet it is Int64"),
    ],
)
def test_files_of_other_columns(tmp_path, other, column, message):
    write(tmp_path / "1.parquet", pa.table({"a": [1], "b": [1]}))
    write(tmp_path / "2.parquet", pa.table(other))
    with pytest.raises(SchemaMismatchError, match=rf"2\.parquet, column '{column}': .*{message}") as raised:
        scan(tmp_path)
    assert raised.value.file == str(tmp_path / "2.parquet") and raised.value.column == column


NUMBERS = {
    "i1": st.integers(-128, 127), "i8": st.integers(-(2**63), 2**63 - 1),
    "u1": st.integers(0, 255), "u8": st.integers(0, 2**64 - 1),
    "f4": st.floats(width=32, allow_nan=False), "f8": st.floats(allow_nan=False),
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*NUMBERS, "null"]), min_size=1, max_size=4), st.data())
def test_numbers_of_several_types_are_read_exactly_or_refused(tmp_path_factory, kinds, data):
    """Whatever the files' types and their order: every value is the one written, else an error names its row."""
    folder = tmp_path_factory.mktemp("numbers")
    written: list[Any] = []
    for number, kind in enumerate(kinds):
        values = [None] * 2 if kind == "null" else data.draw(st.lists(NUMBERS[kind] | st.none(), max_size=3))
        array = pa.nulls(2) if kind == "null" else pa.array(values, pa.from_numpy_dtype(np.dtype(kind)))
        write(folder / f"{number}.parquet", pa.table({"x": array}))
        written += array.to_pylist()
    source = scan(folder)
    try:
        read = rows_of(source)["x"]
    except SchemaMismatchError as error:
        refused = pq.read_table(error.file)["x"][error.row].as_py()
        wanted = source.schema["x"].dtype.storage.type
        assert isinstance(refused, int) and (refused > 2**63 - 1 or int(wanted(refused)) != refused)
        return
    assert read == written  # Python compares an int with a float exactly


def test_files_of_the_same_columns_in_another_order_or_representation(tmp_path):
    write(tmp_path / "1.parquet", pa.table({"a": [1], "b": ["x"]}))
    write(tmp_path / "2.parquet", pa.table({"b": pa.array(["y"]).dictionary_encode(), "a": [2]}))
    assert rows_of(scan(tmp_path)) == {"a": [1, 2], "b": ["x", "y"], "row_ids": [0, 1]}


def test_a_file_that_changed_or_went_away_after_the_scan(tmp_path):
    path = write(tmp_path / "a.parquet", pa.table({"a": [1, 2, 3]}))
    source = scan(path)
    write(path, pa.table({"a": [1, 2]}))
    with pytest.raises(FileFormatError, match=r"a\.parquet: the file was changed or replaced after it was scanned"):
        source.load(0)
    os.unlink(path)
    with pytest.raises(SourceNotFoundError, match=r"a\.parquet: it is not there any more"):
        source.load(0)
    with pytest.raises(SourceNotFoundError, match=r"There is no file .*a\.parquet"):
        scan(path)


def test_nested_columns_do_not_disturb_their_neighbours(tmp_path):
    table = pa.table({"p": [{"x": 1, "y": 2}] * 3, "q": [1, 2, 3], "l": [[1, 2]] * 3, "x": ["a", "b", None]})
    source = scan(write(tmp_path / "a.parquet", table))
    assert list(source.schema) == ["q", "x"] and not source.schema["q"].nullable
    assert rows_of(source.filter(col("q") > 1)) == {"q": [2, 3], "x": ["b", None], "row_ids": [1, 2]}
    with pytest.raises(TypeMismatchError, match=r"Column 'p' cannot be used.*struct"):
        source.load(0, ["p"])


def test_types_are_normalised(tmp_path):
    table = pa.table({"m": pa.array([Decimal("1.07")], pa.decimal128(9, 2)), "v": pa.array(["x"], pa.string_view())})
    source = scan(write(tmp_path / "a.parquet", table), schema={"m": Float64, "v": String})
    assert rows_of(source) == {"m": [1.07], "v": ["x"], "row_ids": [0]}


def test_every_row_group_ruled_out(tmp_path):
    path = write(tmp_path / "a.parquet", PRUNED, row_group_size=100)
    frame, report = scan(path).filter(col("i") > 5000).load_with_report(0)
    assert frame.n_rows == 0 and report.rows_read == 0 and report.bytes_read == 0
    assert report.rows_filtered == {"(i > 5000)": N}
    assert frame["s"].values.type == pa.string() and frame["f"].values.dtype == np.float64
