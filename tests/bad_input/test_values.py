"""Bad input in values: what a column holds where another kind of value was expected."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import (
    CastError,
    EmptyDataError,
    IntegerOverflowError,
    NonFiniteError,
    SchemaMismatchError,
    TypeMismatchError,
    UnknownCategoryError,
    WeightsError,
    WideFeatureError,
)

from .case import bad_input, check, runs
from .files import features, parquet, text

NAN, INF = float("nan"), float("inf")


# -- no value, one value ---------------------------------------------------------------------------------------
@bad_input(
    "all-null column",
    "the mean of a column that holds nothing",
    told="fitting",
    error=EmptyDataError,
    message=(
        "Column 'x': x.mean() has no value: there are nothing but nulls in the 2 rows of the fit. Leave "
        "the feature out, or fill its column with a constant first."
    ),
)
def mean_of_nulls(device, folder):
    features([col("x").fill_null("mean")], {"x": pa.nulls(2, pa.float64())}, device)


@bad_input(
    "all-null column",
    "a selector that fills and scales, over one such column of two",
    told="fitting",
    error=EmptyDataError,
    message=(
        "Column 'y': y.mean() has no value: there are nothing but nulls in the 2 rows of the fit. Leave "
        "the feature out, or fill its column with a constant first."
    ),
)
def selector_over_nulls(device, folder):
    path = parquet(folder / "a.parquet", {"x": [1.0, 2.0], "y": pa.nulls(2, pa.float64())})
    features([gp.numeric().fill_null("mean").standardize()], path, device)


@bad_input(
    "all-null column",
    "a column of nulls, filled with a constant",
    told="fitting",
    message="nothing is learned, and nothing is wrong: x is 7, 7",
    answer={"x": [7.0, 7.0]},
)
def filled_nulls(device, folder):
    return features([col("x").fill_null(7)], {"x": pa.nulls(2, pa.float64())}, device)


@bad_input(
    "constant column",
    "a column of one value, standardized",
    told="fitting",
    message="its spread of 0 divides as 1, which `report_` lists: x is 0, 0, 0",
    answer=[[0.0, 0.0, 0.0], ["x"]],
)
def constant(device, folder):
    pipeline = gp.Pipeline([col("x").standardize()], device=device)
    found = pipeline.fit_transform({"x": [0.1, 0.1, 0.1]})
    return [found["x"].to_pylist(), list(pipeline.report_.constant)]


# -- NaN and infinities ----------------------------------------------------------------------------------------
@bad_input(
    "NaN and infinities",
    "the mean of a column with NaN, in the second row group of a file",
    told="fitting",
    error=NonFiniteError,
    message=(
        "FOLDER/a.parquet, row group 1, row 3, column 'x': x.mean(): NaN stands among the values. Use "
        ".nan_to_null() before, then .fill_null(…) if needed."
    ),
)
def nan_in_a_mean(device, folder):
    path = parquet(folder / "a.parquet", {"x": [1.0, 2.0, 3.0, NAN]}, row_group_size=2)
    features([col("x").standardize()], gp.scan(path, partition_bytes=1), device)


@bad_input(
    "NaN and infinities",
    "the spread of a column with an infinity, after a filter",
    told="fitting",
    error=NonFiniteError,
    message=(
        "FOLDER/a.parquet, row group 0, row 3, column 'x': x.mean(): an infinite value has no place in a "
        "mean, a variance or a standard deviation. Clip it, or filter it out."
    ),
)
def infinity_in_a_spread(device, folder):
    path = parquet(folder / "a.parquet", {"x": [0.0, 1.0, None, -INF]})
    features([col("x").standardize()], gp.scan(path).filter(col("x").is_null() | (col("x") != 0)), device)


@bad_input(
    "NaN and infinities",
    "the least and greatest of a column with infinities",
    told="fitting",
    message="they are infinite, as in NumPy: -inf, inf",
    answer=[[-INF] * 3, [INF] * 3],
)
def infinities_in_extremes(device, folder):
    table = pa.table({"x": [INF, -INF, 1.0]})
    listed = [(col("x").min() + 0 * col("x").is_null().cast("Float64")).alias("least"),
              (col("x").max() + 0 * col("x").is_null().cast("Float64")).alias("most")]  # fmt: skip
    return list(features(listed, table, device).values())


@bad_input(
    "NaN and infinities",
    "arithmetic with NaN and infinities",
    told="fitting",
    message="follows IEEE 754: 1/x of NaN, inf, 0 is NaN, 0, inf",
    answer=["nan", "0.0", "inf"],
)
def arithmetic_with_nan(device, folder):
    found = features([(1 / col("x")).alias("y")], pa.table({"x": [NAN, INF, 0.0]}), device)
    return [str(value) for value in found["y"]]


@bad_input(
    "NaN and infinities",
    "NaN in pandas and NumPy, where it means missing",
    told="fitting",
    message="it is null: filled with 0",
    answer=[[1.0, 0.0]] * 2,
)
def nan_of_numpy(device, folder):
    listed = [col("x0").fill_null(0)]
    array = np.array([[1.0], [NAN]])
    return [features(listed, data, device)["x0"] for data in (array, {"x0": array[:, 0]})]


@bad_input(
    "NaN and infinities",
    "NaN as a key of groups",
    told="fitting",
    message="it is no key, so its row has no group: 1.5, 1.5, null",
    answer=[1.5, 1.5, None],
)
def nan_as_a_group(device, folder):
    table = pa.table({"k": [1.0, 1.0, NAN], "v": [1.0, 2.0, 30.0]})
    return features([col("v").mean().over("k")], table, device)["v"]


@bad_input(
    "NaN and infinities",
    "NaN among categories",
    told="fitting",
    error=NonFiniteError,
    message=(
        "Row 2, column 'k': k.vocabulary(min_count=1, max_size=None): NaN stands among the values. Use "
        ".nan_to_null() before, then .fill_null(…) if needed."
    ),
)
def nan_as_a_category(device, folder):
    features([col("k").codes()], gp.scan(pa.table({"k": [1.0, 2.0, NAN, NAN]}), partitions=2), device)


@bad_input(
    "NaN and infinities",
    "a weight that is NaN, of a column",
    told="fitting",
    error=WeightsError,
    message=(
        "Row 3, column 'w': The weight w is nan. Weights are numbers from 0 on, none of them null, NaN "
        "or infinite. Fill or filter them."
    ),
)
def nan_weight(device, folder):
    table = pa.table({"x": [1.0, 2.0, 3.0, 4.0], "y": [0, 1, 0, 1], "w": [1.0, 1.0, 1.0, NAN]})
    source = gp.scan(table, partitions=2).filter(col("x") > 1)
    gp.Pipeline([col("x")], target="y", weights="w", model=LogisticRegression(), device=device).fit(source)


# -- times -----------------------------------------------------------------------------------------------------
@bad_input(
    "dates before 1970",
    "dates and times before 1970, and before 1900",
    told="fitting",
    message="their parts are those of the calendar: as Python's datetime says",
    answer=[[1969, 12, 31, 2, 23], [1900, 2, 28, 2, 0], [1, 1, 1, 0, 12]],
)
def old_dates(device, folder):
    moments = [dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.datetime(1900, 2, 28), dt.datetime(1, 1, 1, 12)]
    part = col("t").dt
    listed = [part.year(), part.month(), part.day(), (part.weekday() - 1).alias("weekday"), part.hour()]
    path = parquet(folder / "a.parquet", {"t": pa.array(moments, pa.timestamp("us"))})
    found = features([feature.cast("Int64") for feature in listed], path, device)
    assert [m.weekday() for m in moments] == found["weekday"]
    return [list(row) for row in zip(*found.values(), strict=True)]


@bad_input(
    "dates out of range",
    "dates of the years -5,877,641 and 5,881,580, the first and last that days count",
    told="fitting",
    message="their years are right, as NumPy's datetime64 says",
    answer=[-5_877_641, 5_881_580],
)
def far_dates(device, folder):
    days = np.array([-(2**31), 2**31 - 1])
    table = pa.table({"d": pa.array(days.astype(np.int32)).cast(pa.date32())})
    found = features([col("d").dt.year().cast("Int64")], table, device)["d_year"]
    assert found == (days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970).tolist()
    return found


@bad_input(
    "dates out of range",
    "seconds since 1970 that microseconds cannot count",
    told="fitting",
    error=CastError,
    message=(
        "Row 1, column 't': the time, 4611686018427387904 s, is beyond int64 microseconds (about the "
        "years -290,000 to 294,000). Make such times null at the source."
    ),
)
def far_seconds(device, folder):
    table = pa.table({"t": pa.array([0, 2**62], pa.timestamp("s"))})
    features([col("t").dt.year()], table, device)


@bad_input(
    "dates out of range",
    "nanoseconds that are no whole microseconds",
    told="fitting",
    error=CastError,
    message=(
        "FOLDER/a.parquet, row group 1, row 2, column 't': the time, 1500 ns, is finer than a "
        "microsecond, which gpupipe counts. Round at the source: .dt.round('us') in pandas, "
        ".dt.cast_time_unit('us') in Polars, or pc.round_temporal."
    ),
)
def nanoseconds(device, folder):
    path = parquet(folder / "a.parquet", {"t": pa.array([0, 1000, 1500], pa.timestamp("ns"))}, row_group_size=2)
    features([col("t").dt.year()], path, device)


@bad_input(
    "dates out of range",
    "a day that no month has, in CSV",
    told="planning",
    error=TypeMismatchError,
    message=(
        "dt.year takes Date or Datetime, not String. Read it first: .str.to_datetime(format). In: "
        "d.dt.year(). In FOLDER/a.csv the column 'd' is text because of '2023-02-29' in line 4; without "
        "such values it is Date. Correct the file, or give schema= to gpupipe.scan."
    ),
)
def no_such_day(device, folder):
    path = text(folder / "a.csv", "d\n2024-02-28\n2024-02-29\n2023-02-29\n")
    features([col("d").dt.year()], path, device)


@bad_input(
    "mixed time zones",
    "one zone in a file, another in the next",
    told="reading",
    error=SchemaMismatchError,
    message=(
        "FOLDER/2.parquet, column 't': it is Datetime(Europe/Rome) here and Datetime(UTC) in "
        "FOLDER/1.parquet. Files scanned together need the same columns: cast it at the source, or scan "
        "them apart."
    ),
    backends=False,
)
def zones_of_files(device, folder):
    for name, zone in (("1", "UTC"), ("2", "Europe/Rome")):
        parquet(folder / f"{name}.parquet", {"t": pa.array([0], pa.timestamp("us", zone))})
    gp.scan(folder)


@bad_input(
    "mixed time zones",
    "times with a zone in a file, without one in the next",
    told="reading",
    error=SchemaMismatchError,
    message=(
        "FOLDER/2.parquet, column 't': it is Datetime here and Datetime(UTC) in FOLDER/1.parquet. Files "
        "scanned together need the same columns: cast it at the source, or scan them apart."
    ),
    backends=False,
)
def zone_and_none(device, folder):
    for name, zone in (("1", "UTC"), ("2", None)):
        parquet(folder / f"{name}.parquet", {"t": pa.array([0], pa.timestamp("us", zone))})
    gp.scan(folder)


@bad_input(
    "mixed time zones",
    "several offsets in one column of CSV",
    told="fitting",
    message="they are instants, in UTC: hours 0, 22",
    answer={"t_hour": [0.0, 22.0]},
)
def offsets(device, folder):
    path = text(folder / "a.csv", "t\n2024-01-01T02:00:00+02:00\n2024-01-01T22:00:00Z\n")
    return features([col("t").dt.hour()], path, device)


@bad_input(
    "mixed time zones",
    "a time without an offset among others that have one, in CSV",
    told="planning",
    error=TypeMismatchError,
    message=(
        "dt.hour takes Datetime, not String. Read it first: .str.to_datetime(format). In: t.dt.hour(). "
        "In FOLDER/a.csv the column 't' is text because of '2024-01-03T02:00:00' in line 4; without such "
        "values it is Datetime(UTC). Correct the file, or give schema= to gpupipe.scan."
    ),
)
def offset_missing(device, folder):
    path = text(folder / "a.csv", "t\n2024-01-01T02:00:00Z\n2024-01-02T02:00:00Z\n2024-01-03T02:00:00\n")
    features([col("t").dt.hour()], path, device)


# -- numbers ---------------------------------------------------------------------------------------------------
@bad_input(
    "decimals of other scale",
    "decimals of 2, 4 and 30 digits after the point, each in a file",
    told="fitting",
    message="each is the nearest Float64, as Python's float: 1.07, 0.1234, 0.1, null",
    answer=[1.07, 0.1234, 0.1, None],
)
def decimals(device, folder):
    parquet(folder / "1.parquet", {"x": pa.array([Decimal("1.07")], pa.decimal128(10, 2))})
    parquet(folder / "2.parquet", {"x": pa.array([Decimal("0.1234")], pa.decimal128(12, 4))})
    parquet(folder / "3.parquet", {"x": pa.array([Decimal("0.1"), None], pa.decimal256(60, 30))})
    return features([col("x").cast("Float64")], folder, device)["x"]


@bad_input(
    "uint64 above 2^63",
    "unsigned numbers of 2^63, in the second partition",
    told="fitting",
    error=IntegerOverflowError,
    message=(
        "FOLDER/a.parquet, row group 1, row 3, column 'x': the value 9223372036854775808 is 2^63 or "
        "more, and integers compute in int64. Cast the column to Float64 or String at the source."
    ),
)
def unsigned(device, folder):
    path = parquet(folder / "a.parquet", {"x": pa.array([1, 2, 3, 2**63], pa.uint64())}, row_group_size=2)
    features([col("x") * 2], gp.scan(path, partition_bytes=1), device)


@bad_input(
    "uint64 above 2^63",
    "the same, where the column is in no feature",
    told="fitting",
    message="nothing is lost by it: y is 1, 2",
    answer={"y": [1.0, 2.0]},
)
def unsigned_unused(device, folder):
    path = parquet(folder / "a.parquet", {"x": pa.array([1, 2**63], pa.uint64()), "y": [1, 2]})
    return features([col("y")], path, device)


@bad_input(
    "integers beyond int64",
    "a product that leaves int64, after a filter and a join",
    told="fitting",
    error=IntegerOverflowError,
    message=(
        "FOLDER/a.parquet, row group 1, row 2: (x * v): the result leaves int64, of 4611686018427387904 "
        "and 20. Cast an operand to Float64 before."
    ),
)
def overflow(device, folder):
    path = parquet(folder / "a.parquet", {"x": [5, 1, 2**62, 7], "k": [1, 2, 3, 9]}, row_group_size=2)
    source = gp.scan(path).filter(col("k") > 1).join({"k": [2, 3], "v": [10, 20]}, on="k", how="inner")
    features([(col("x") * col("v")).alias("product")], source, device)


@bad_input(
    "integers beyond int64",
    "a sum that leaves int64",
    told="fitting",
    error=IntegerOverflowError,
    message=("Column 'x': x.sum(): the sum of its integers leaves int64. Cast the column to Float64 before summing."),
)
def overflowing_sum(device, folder):
    features([col("x") / col("x").sum()], {"x": [2**62, 2**62, 1]}, device)


@bad_input(
    "a strict cast",
    "text that is no number, in a file of CSV",
    told="fitting",
    error=CastError,
    message=(
        "FOLDER/a.csv, line 6, row 2, column 'x': x.cast('Int64'): 'three' cannot be read as Int64. "
        "strict=False makes such values null."
    ),
)
def no_number(device, folder):
    path = text(folder / "a.csv", 'x,note\n1,"two\nlines"\n\n2,\nthree,\n')
    features([col("x").cast("Int64")], gp.scan(path, partition_bytes=8), device)


@bad_input(
    "a strict cast",
    "300 as Int8, in the third row group of the second file",
    told="fitting",
    error=CastError,
    message=(
        "FOLDER/2.parquet, row group 2, row 4, column 'x': x.cast('Int8'): the value 300 does not fit "
        "the type of the cast. strict=False makes such values null."
    ),
)
def too_large(device, folder):
    parquet(folder / "1.parquet", {"x": [1, 2, 3]})
    parquet(folder / "2.parquet", {"x": [4, 5, 6, 7, 300, 8]}, row_group_size=2)
    source = gp.scan(folder, partition_bytes=1).filter(col("x") != 2)
    features([col("x").cast("Int8")], source, device)


@bad_input(
    "a strict cast",
    "the same, with `strict=False`",
    told="fitting",
    message="what does not fit is null: 1, null",
    answer={"x": [1, None]},
)
def too_large_and_lenient(device, folder):
    return features([col("x").cast("Int8", strict=False)], {"x": [1, 300]}, device)


@bad_input(
    "a strict cast",
    "a value that `ordinal(…, unknown='error')` does not list",
    told="fitting",
    error=UnknownCategoryError,
    message=(
        "Row 3, column 'size': size.ordinal(['S', 'M', 'L'], unknown='error'): 'XL' is not among the 3 "
        "values listed. List it, or give unknown='null'."
    ),
)
def unlisted(device, folder):
    data = gp.scan({"size": ["S", "M", "L", "XL"]}, partitions=2)
    features([col("size").ordinal(["S", "M", "L"], unknown="error")], data, device)


@bad_input(
    "a wide one_hot",
    "five values, and `limit=3`",
    told="fitting",
    error=WideFeatureError,
    message=(
        "Column 's': s.one_hot() would become 5 columns; its limit is 3. Raise limit=, give min_count= "
        "or max_size=, or use .codes() or .target_mean()."
    ),
)
def wide_one_hot(device, folder):
    features([col("s").one_hot(limit=3)], {"s": list("abcde")}, device)


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
