"""Where errors say a value stands: whatever filters, joins, keys and partitions lie between, the file has it there."""

import csv
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import CastError, DataError, IntegerOverflowError, NonFiniteError, TargetError, WeightsError
from gpupipe.sources import Source

DEVICES = ("cpu", "reference")
BAD = 300  # what Int8 does not hold


def written(path: Any, values: list[int], kind: str, piece: int) -> None:
    table = pa.table(
        {"x": pa.array(values, pa.int64()), "k": [value % 3 for value in values], "s": list(map(str, values))}
    )
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=piece)
    elif kind == "arrow":
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table, max_chunksize=piece)
    else:
        with open(path, "w", newline="") as text:
            rows = csv.writer(text, quoting=csv.QUOTE_ALL)
            rows.writerows([["x", "k", "note", "s"], *([v, v % 3, "two\nlines", v] for v in values)])


def read_back(kind: str, error: DataError) -> Any:
    """The value of x where the error says, read by Arrow, or by Python's csv and its lines."""
    assert error.file is not None and error.row is not None
    if kind == "csv":
        with open(error.file, newline="") as text:
            reader = csv.reader(text)
            begins = {}
            for number in range(-1, error.row + 1):
                begins[number], record = reader.line_num + 1, next(reader)
        assert error.line == begins[error.row]
        return int(record[0])
    assert error.row_group is not None
    if kind == "arrow":
        file = pa.ipc.open_file(error.file)
        starts = np.cumsum([0, *(file.get_batch(at).num_rows for at in range(file.num_record_batches))])
        assert starts[error.row_group] <= error.row < starts[error.row_group + 1]
        return file.read_all()["x"][error.row].as_py()
    groups = pq.ParquetFile(error.file)
    first = sum(groups.metadata.row_group(at).num_rows for at in range(error.row_group))
    return groups.read_row_group(error.row_group)["x"][error.row - first].as_py()


def on_its_way(source: Source, steps: list[str]) -> Source:
    """The source after steps that drop some rows, none of them the bad one."""
    dimension = {"k": [0, 1, 2], "v": [10, 20, 30]}
    for step in steps:
        if step == "filter":
            source = source.filter((col("x") % 5 != 1) | (col("x") == BAD))
        elif step == "join":
            source = source.join(dimension, on="k", how="inner", suffix=f"_{len(source.schema)}")
        elif step == "key":
            source = source.with_key("s")
        else:
            sides = source.split(0.5, seed=3)
            source = max(sides, key=lambda side: BAD in _values(side))
    return source


def _values(source: Source) -> list[int]:
    return [value for at in range(len(source.partitions)) for value in source.load(at, ["x"])["x"].values.tolist()]


SMALL = st.lists(st.integers(0, 100), max_size=12)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["parquet", "arrow", "csv"]),
    st.lists(SMALL, min_size=1, max_size=3),
    st.data(),
    st.lists(st.sampled_from(["filter", "join", "key", "split"]), max_size=4, unique=True),
    st.sampled_from(DEVICES),
)
def test_the_value_stands_where_the_error_says(tmp_path_factory, kind, files, data, steps, device):
    folder = tmp_path_factory.mktemp("place")
    at = data.draw(st.integers(0, len(files) - 1))
    files[at].insert(data.draw(st.integers(0, len(files[at]))), BAD)
    for number, values in enumerate(files):
        written(folder / f"{number}.{kind}", values, kind, data.draw(st.integers(1, 5)))
    source = gp.scan(
        folder, schema={"s": "String"} if kind == "csv" else None, partition_bytes=data.draw(st.integers(1, 300))
    )
    with pytest.raises(CastError) as raised:
        gp.Pipeline([col("x").cast("Int8")], device=device).fit_transform(on_its_way(source, steps))
    error = raised.value
    assert error.file == str(folder / f"{at}.{kind}") and error.column == "x"
    assert error.row == files[at].index(BAD) and read_back(kind, error) == BAD
    assert str(error).startswith(f"{error.file}, ") and f"row {error.row:,}, column 'x': " in str(error)


@pytest.mark.parametrize("device", DEVICES)
def test_in_memory_the_row_is_that_of_the_table_given(device):
    values = [*range(100), BAD, *range(50)]
    source = gp.scan({"x": values, "k": ["a"] * 151}, partitions=7).filter(col("x") > 40).with_key("k")
    with pytest.raises(CastError) as raised:
        gp.Pipeline([col("x").cast("Int8")], device=device).fit_transform(source)
    assert (raised.value.file, raised.value.row_group, raised.value.row) == (None, None, 100)
    assert str(raised.value).startswith("Row 100, column 'x': ")


def of_floats(values: list[Any]) -> Source:
    table = pa.table(
        {"x": pa.array(values, pa.float64()), "y": [float(at) for at in range(len(values))], "z": [1.0] * len(values)}
    )
    return gp.scan(table, partitions=3).filter(col("y") != 2)


NAN = float("nan")
CASES = {
    "NaN in a mean": (NonFiniteError, lambda s, d: gp.Pipeline([col("x").standardize()], device=d).fit(s), "x"),
    "NaN in a mean over groups": (
        NonFiniteError,
        lambda s, d: gp.Pipeline([col("x").mean().over(col("y").floor() % 2)], device=d).fit(s),
        "x",
    ),
    "NaN before a model": (
        NonFiniteError,
        lambda s, d: gp.Pipeline([col("x") + 1], "y", LinearRegression(), device=d).fit(s),
        None,
    ),
    "a null target": (
        TargetError,
        lambda s, d: gp.Pipeline([col("z")], col("x").nan_to_null(), LinearRegression(), device=d).fit(s),
        "x",
    ),
    "a weight of NaN": (
        WeightsError,
        lambda s, d: gp.Pipeline([col("z")], "y", LinearRegression(), weights="x", device=d).fit(s),
        "x",
    ),
    "a strict cast of NaN": (
        CastError,
        lambda s, d: gp.Pipeline([col("x").cast("Int64")], device=d).fit_transform(s),
        "x",
    ),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_error_names_the_row(case, device):
    error, run, column = CASES[case]
    with pytest.raises(error) as raised:
        run(of_floats([1.0, 2.0, NAN, 4.0, 5.0, 6.0, NAN, 8.0, NAN]), device)  # row 2 is filtered out
    assert raised.value.row == 6 and raised.value.column == column
    assert str(raised.value).startswith("Row 6")


@pytest.mark.parametrize("device", DEVICES)
def test_rows_to_score_are_named_too(device):
    pipeline = gp.Pipeline([col("x") * col("x")], device=device).fit({"x": [1, 2]})
    source = gp.scan({"x": [1, 2, 3, 4, 2**62]}, partitions=2)
    for use in (pipeline.transform, lambda rows: list(pipeline.predictions(rows))):
        with pytest.raises(IntegerOverflowError) as raised:
            use(source)
        assert raised.value.row == 4


def test_both_backends_say_the_same():
    said = set()
    for device in DEVICES:
        with pytest.raises(DataError) as raised:
            gp.Pipeline([(col("x") * 2 + 1).cast("Int16")], device=device).fit_transform(
                {"x": [1, None, 20_000, 2**62]}
            )
        said.add((str(raised.value), raised.value.row))
    assert len(said) == 1


def test_an_error_keeps_its_place_when_it_is_copied():
    error = CastError("no number.").at(3, "x")
    error.of("a.csv", line=5, row=3, column="x")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "a.csv, line 5, row 3, column 'x': no number."
