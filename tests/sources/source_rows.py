"""Whole sources as Python values, and random tables: shared by the tests of sources."""

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from gpupipe.sources import Source
from gpupipe.sources.border import to_arrow


def rows_of(source: Source, columns: list[str] | None = None) -> dict[str, list[Any]]:
    """Every column of every partition, one below the other, and ``row_ids``."""
    names = list(source.schema) if columns is None else columns
    found: dict[str, list[Any]] = {name: [] for name in [*names, "row_ids"]}
    for index in range(len(source.partitions)):
        frame = source.load(index, names)
        found["row_ids"] += frame.row_ids.tolist()
        for name in names:
            assert len(frame[name]) == frame.n_rows
            found[name] += to_arrow(frame[name]).to_pylist()
    return found


def random_table(seed: int, n_rows: int) -> pa.Table:
    """Nine columns of many types, with nulls, as Arrow."""
    rng = np.random.default_rng(seed)

    def some(values: Any, arrow: pa.DataType) -> pa.Array:
        return pa.array(values, arrow, mask=rng.random(n_rows) < 0.2)

    words = np.array(["red", "green", "blue", "é", ""], dtype=object)
    return pa.table(
        {
            "position": pa.array(np.arange(n_rows)),
            "small": some(rng.integers(-100, 100, n_rows), pa.int8()),
            "float": some(rng.normal(size=n_rows), pa.float64()),
            "flag": some(rng.random(n_rows) < 0.5, pa.bool_()),
            "word": some(words[rng.integers(0, 5, n_rows)], pa.string()),
            "category": some(words[rng.integers(0, 5, n_rows)], pa.string()).dictionary_encode(),
            "unique": pa.array([f"id {k}" for k in range(n_rows)]),
            "day": some(rng.integers(0, 20_000, n_rows).astype(np.int32), pa.date32()),
            "moment": some(rng.integers(0, 10**15, n_rows), pa.timestamp("us", "UTC")),
        }
    )


tables = st.builds(random_table, st.integers(0, 2**32 - 1), st.integers(0, 60))
