"""DuckDB.

J1: what was tried at a million rows, CPU seconds without the start. Taken: queries over the file itself (medians .4,
means and deviations .4, a small table a vocabulary .65), then one query with 26 left joins, in the order of the file's
rows (2.0), into Arrow and from there a batch at a time into the matrix; together 3.7. Left: a table of the columns in
memory first (1.5 to make, .2 saved in each query); ENUM types and ``try_cast`` for the codes (more than three minutes);
no ORDER BY, and each batch put where its row numbers say (3.9); ``fetchnumpy`` (4.0). A join does not keep the order of
rows, whatever ``preserve_insertion_order`` says.
"""

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
    if task.variant == "parquet":
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


if __name__ == "__main__":
    main({"clicks": clicks})
