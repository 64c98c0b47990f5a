"""DuckDB.

J1: what was tried at a million rows, CPU seconds without the start. Taken: queries over the file itself (medians .4,
means and deviations .4, a small table a vocabulary .65), then one query with 26 left joins, in the order of the file's
rows (2.0), into Arrow and from there a batch at a time into the matrix; together 3.7. Left: a table of the columns in
memory first (1.5 to make, .2 saved in each query); ENUM types and ``try_cast`` for the codes (more than three minutes);
no ORDER BY, and each batch put where its row numbers say (3.9); ``fetchnumpy`` (4.0). A join does not keep the order of
rows, whatever ``preserve_insertion_order`` says.

J2: at half a million rows. Taken: means (1.1) and quantiles (4.2) from the file, the clipped columns as a table (2.4),
their means and deviations (1.2), then one query, a batch at a time into the matrix (2.2). Left: no such table (2.9 for
the moments and 4.3 for the matrix; 10 for the moments with ``greatest`` and ``least`` for CASE); the raw columns as a
table first (1.7, which saves .7 of the means and .4 of the quantiles).

J3: at a million rows. Taken: small tables of means by groups (.4), then one query that joins them, each batch put where
its row numbers say (1.5).
"""

from itertools import combinations
from typing import Any

import duckdb
import numpy as np

from .command import Task, main

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1."""
    base = duckdb.connect()
    base.execute(f"CREATE VIEW input AS FROM read_parquet('{task.data / 'rows.parquet'}', file_row_number = true)")
    numbers = _scaled(base, task.variant == "matrix_zero")
    task.lap("statistics")
    for name in WORDS:
        base.execute(
            f"CREATE TEMP TABLE v_{name} AS SELECT {name} AS value,"
            f" (1 + row_number() OVER (ORDER BY count(*) DESC, {name}))::INTEGER AS code"
            f" FROM input WHERE {name} IS NOT NULL GROUP BY {name} HAVING count(*) >= 15"
        )
    task.lap("vocabularies")
    codes = [f"coalesce(v_{name}.code, (input.{name} IS NOT NULL)::INTEGER) AS {name}" for name in WORDS]
    joins = " ".join(f"LEFT JOIN v_{name} ON input.{name} = v_{name}.value" for name in WORDS)
    query = f"SELECT {', '.join(numbers + codes)} FROM input {joins} ORDER BY file_row_number"
    if task.variant.startswith("parquet"):
        base.execute(f"COPY ({query}) TO '{task.out / 'features.parquet'}' (FORMAT parquet)")
        task.lap("codes, write")
        return
    matrix = _matrix(base, query)
    task.lap("codes, matrix")
    if task.variant == "models":
        label = base.execute("SELECT label FROM input ORDER BY file_row_number").fetchnumpy()["label"]
        task.train(matrix, np.asarray(label))
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _scaled(base: duckdb.DuckDBPyConnection, zero: bool) -> list[str]:
    """The expressions of the numbers, once their statistics are known."""
    medians = ", ".join(f"median({name})" for name in NUMBERS)
    fills = [0] * len(NUMBERS) if zero else base.execute(f"SELECT {medians} FROM input").fetchall()[0]
    logs = [
        f"ln(1 + greatest(coalesce({name}::DOUBLE, {fill!r}), 0))" for name, fill in zip(NUMBERS, fills, strict=True)
    ]
    moments = ", ".join(f"avg({log}), stddev_pop({log})" for log in logs)
    found = base.execute(f"SELECT {moments} FROM input").fetchall()[0]
    return [
        f"(({log} - {mean!r}) / {deviation!r})::FLOAT AS {name}"
        for name, log, mean, deviation in zip(NUMBERS, logs, found[::2], found[1::2], strict=True)
    ]


def _matrix(base: duckdb.DuckDBPyConnection, query: str) -> Any:
    table = base.sql(query).to_arrow_table()
    matrix = np.empty((table.num_rows, table.num_columns), np.float32)
    first = 0
    for batch in table.to_batches(max_chunksize=1 << 13):
        for at, column in enumerate(batch.columns):
            matrix[first : first + batch.num_rows, at] = column.to_numpy(zero_copy_only=False)
        first += batch.num_rows
    return matrix


def wide(task: Task) -> None:
    """J2."""
    base = duckdb.connect()
    base.execute(f"CREATE VIEW input AS FROM read_parquet('{task.data / 'rows.parquet'}')")
    names = [f"x{at}" for at in range(200)]
    means = _one_row(base, "input", [f"avg({name})" for name in names])
    task.lap("means")
    filled = [f"coalesce({name}, {mean!r}::FLOAT)" for name, mean in zip(names, means, strict=True)]
    bounds = _one_row(base, "input", [f"quantile_cont({each}, [0.01, 0.99])" for each in filled])
    task.lap("quantiles")
    clipped = ", ".join(
        f"CASE WHEN {name} IS NULL THEN {mean!r}::FLOAT WHEN {name} < {low!r}::FLOAT THEN {low!r}::FLOAT"
        f" WHEN {name} > {high!r}::FLOAT THEN {high!r}::FLOAT ELSE {name} END AS {name}"
        for name, mean, (low, high) in zip(names, means, bounds, strict=True)
    )
    base.execute(f"CREATE TEMP TABLE clipped AS SELECT {clipped} FROM input")
    moments = _one_row(base, "clipped", [f"avg({name}), stddev_pop({name})" for name in names])
    task.lap("clipped, moments")
    scaled = ", ".join(
        f"(({name} - ({mean!r})) / {deviation!r})::FLOAT AS {name}"
        for name, mean, deviation in zip(names, moments[::2], moments[1::2], strict=True)
    )
    products = ", ".join(f"{one} * {other} AS {one}_{other}" for one, other in combinations(names[:10], 2))
    matrix = _matrix(base, f"SELECT *, {products} FROM (SELECT {scaled} FROM clipped)")
    task.lap("features, matrix")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _one_row(base: duckdb.DuckDBPyConnection, table: str, expressions: list[str]) -> Any:
    return base.execute(f"SELECT {', '.join(expressions)} FROM {table}").fetchall()[0]


TARGET_MEAN = """
    CREATE TEMP TABLE t_{0} AS
    WITH parts AS (SELECT {0}, fold, sum(tipped) AS s, count(*) AS n FROM input GROUP BY ALL),
    priors AS (
        SELECT fold, (sum(sum(s)) OVER () - sum(s)) / (sum(sum(n)) OVER () - sum(n)) AS prior FROM parts GROUP BY fold
    )
    SELECT {0}, fold, ((sum(s) OVER w - s + 20 * prior) / (sum(n) OVER w - n + 20))::FLOAT AS {0}_target_mean
    FROM parts JOIN priors USING (fold) WINDOW w AS (PARTITION BY {0})
"""
KILOMETRES = """
    2 * 6371 * asin(sqrt(
        pow(sin(radians(dropoff_lat - pickup_lat) / 2), 2)
        + cos(radians(pickup_lat)) * cos(radians(dropoff_lat)) * pow(sin(radians(dropoff_lon - pickup_lon) / 2), 2)
    ))
"""


def trips(task: Task) -> None:
    """J3."""
    base = duckdb.connect()
    file = task.data / "rows.parquet"
    base.execute(
        f"CREATE VIEW input AS SELECT *, hour(pickup_at) AS hour FROM read_parquet('{file}', file_row_number = true)"
    )
    base.execute(
        "CREATE TEMP TABLE fares AS SELECT pickup_zone, hour, avg(fare) AS zone_hour_fare FROM input GROUP BY ALL"
    )
    keys = ("driver", "pickup_zone", "dropoff_zone")
    for key in keys:
        base.execute(TARGET_MEAN.format(key))
    one_hot = [each for name in ("vendor", "payment", "rate") for each in _one_hot(base, name)]
    task.lap("statistics")
    features = [
        *("hour", "isodow(pickup_at)", "day(pickup_at)", "month(pickup_at)", "dayofyear(pickup_at)"),
        *("isodow(pickup_at) >= 6", "date_diff('second', pickup_at, dropoff_at)", f"coalesce({KILOMETRES}, 'nan')"),
        *("coalesce(passengers, 1)", "pickup_zone", "dropoff_zone", "zone_hour_fare"),
        *(f"{key}_target_mean" for key in keys),
        *one_hot,
    ]
    columns = ", ".join(f"({feature})::FLOAT AS f{at}" for at, feature in enumerate(features))
    joins = " ".join(f"JOIN t_{key} USING ({key}, fold)" for key in keys)
    query = f"SELECT {columns}, file_row_number FROM input JOIN fares USING (pickup_zone, hour) {joins}"
    (count,) = _one_row(base, "input", ["count(*)"])
    matrix = np.empty((count, len(features)), np.float32)
    for batch in base.sql(query).to_arrow_reader(1 << 16):
        *values, rows = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
        matrix[rows] = np.column_stack(values)
    task.lap("features, matrix")
    if task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _one_hot(base: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    found = base.execute(f"SELECT DISTINCT {name} FROM input WHERE {name} IS NOT NULL ORDER BY {name}").fetchall()
    return [f"coalesce({name} = '{value}', false)" for (value,) in found]


if __name__ == "__main__":
    main({"clicks": clicks, "wide": wide, "trips": trips})
