"""Random tables and ways to write them as Parquet, and reading them by kernels of ours and by Arrow."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpupipe.backends.conform import conform
from gpupipe.columns import Column
from gpupipe.sources import pages
from gpupipe.sources.parquet import ParquetPartition, list_parquet
from gpupipe.sources.partition import frame_of
from gpupipe.sources.together import OTHERS

CODECS = ["none", "snappy", "gzip", "zstd"]
OTHER_CODECS = ["lz4", "brotli"]  # Arrow's to read
NUMBERS = {
    "i8": pa.int8(), "i16": pa.int16(), "i32": pa.int32(), "i64": pa.int64(), "u8": pa.uint8(), "u16": pa.uint16(),
    "u32": pa.uint32(), "u64": pa.uint64(), "f32": pa.float32(), "f64": pa.float64(),
}  # fmt: skip


def random_table(chance: random.Random, n_rows: int) -> pa.Table:
    """A column of each type, with nulls in stretches and one by one, few values repeated and many."""
    rng = np.random.default_rng(chance.randrange(2**32))
    columns: dict[str, Any] = {}
    for name, arrow in NUMBERS.items():
        columns[name] = _with_nulls(chance, rng, _numbers(chance, rng, arrow, n_rows))
    columns["flag"] = _with_nulls(chance, rng, pa.array(rng.random(n_rows) < chance.choice([0, 0.01, 0.5, 1])))
    columns["day"] = _with_nulls(chance, rng, pa.array(rng.integers(-9, 9**5, n_rows).astype(np.int32), pa.date32()))
    for unit, step in (("ms", 1), ("us", 1), ("ns", 1000)):
        times = pa.array(rng.integers(0, 2**40, n_rows) * step, pa.timestamp(unit, chance.choice([None, "UTC"])))
        columns[f"at_{unit}"] = _with_nulls(chance, rng, times)
    for name, arrow in {"text": pa.string(), "large": pa.large_string(), "view": pa.string_view()}.items():
        columns[name] = _with_nulls(chance, rng, _texts(chance, rng, n_rows)).cast(arrow)
    columns["category"] = _with_nulls(chance, rng, _texts(chance, rng, n_rows)).dictionary_encode()
    columns["bytes"] = pa.array([b"x%d" % (row % 7) for row in range(n_rows)], pa.binary())
    columns["amount"] = pa.array(np.arange(n_rows) % 11).cast(pa.decimal128(21, 2))
    columns["half"] = pa.array(np.arange(n_rows, dtype=np.float16))
    fields = [
        pa.field(name, array.type, chance.random() < 0.8 or array.null_count > 0) for name, array in columns.items()
    ]
    return pa.table(list(columns.values()), schema=pa.schema(fields))


def _numbers(chance: random.Random, rng: np.random.Generator, arrow: pa.DataType, n_rows: int) -> pa.Array:
    storage = np.dtype(arrow.to_pandas_dtype())
    if storage.kind == "f":
        special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, 2.5], storage)
        values = rng.standard_normal(n_rows).astype(storage)
        return pa.array(np.where(rng.random(n_rows) < 0.2, rng.choice(special, n_rows), values).astype(storage))
    ends = np.iinfo(storage)
    span = chance.choice([1, 3, 200, None])
    high = ends.max if span is None else min(span, ends.max)
    values = rng.integers(ends.min if span is None else 0, high, n_rows, storage, endpoint=True)
    return pa.array(np.sort(values) if chance.random() < 0.2 else values, arrow)


def _texts(chance: random.Random, rng: np.random.Generator, n_rows: int) -> pa.Array:
    distinct = chance.choice([1, 2, 5, 40, 300, 10**6])
    longest = chance.choice([3, 9, 40])
    letters = [chr(97 + int(k)) for k in rng.integers(0, 26, 60)] + ["é", "\u6f22", "\U0001f600", ""]
    numbers = rng.integers(0, distinct, n_rows)
    words = ["".join(letters[(n * 7 + k) % len(letters)] for k in range(n % longest)) + f"{n:x}" * (n % 3 > 0)
             for n in numbers.tolist()]  # fmt: skip
    return pa.array(words, pa.string())


def _with_nulls(chance: random.Random, rng: np.random.Generator, array: pa.Array) -> pa.Array:
    share = chance.choice([0, 0, 0.02, 0.4, 1])
    where = rng.random(len(array)) < share
    if share and chance.random() < 0.3:
        where = np.arange(len(array)) % 50 < 50 * share
    return pc.if_else(pa.array(where), pa.scalar(None, array.type), array)


def how_written(chance: random.Random, n_rows: int, codecs: list[str]) -> dict[str, Any]:
    """Options of Arrow's writer."""
    return {
        "compression": chance.choice(codecs),
        "data_page_version": chance.choice(["1.0", "2.0"]),
        "data_page_size": chance.choice([1, 64, 1000, 2**20]),
        "write_batch_size": chance.choice([5, 64, 1024]),
        "dictionary_pagesize_limit": chance.choice([16, 200, 2**20]),
        "use_dictionary": chance.choice([True, True, False]),
        "row_group_size": chance.choice([max(n_rows, 1), 100, 37]),
        "version": chance.choice(["1.0", "2.6"]),
        "write_statistics": chance.random() < 0.7,
        "max_rows_per_page": chance.choice([9, 50, 20_000]),
    }


def partition_of(path: Path) -> ParquetPartition:
    """All row groups of a file as one partition."""
    found = list_parquet([str(path)], 1, None).partitions
    assert len(found) == 1
    partition = found[0]
    assert isinstance(partition, ParquetPartition)
    return partition


def by_pages(partition: ParquetPartition) -> dict[str, Column]:
    """The columns that kernels of ours decode."""
    metadata = partition.metadata()
    places = {name: partition.leaves.index(name) for name in partition.types}
    groups = [group.number for group in partition.row_groups]
    with open(partition.file.path, "rb", buffering=0) as file:
        found = dict(pages.decoded(file, metadata, groups, places))
    return {name: conform(name, column, partition.types[name].dtype, OTHERS) for name, column in found.items()}


def by_arrow(partition: ParquetPartition) -> dict[str, Any]:
    """All columns, by Arrow."""
    groups = [group.number for group in partition.row_groups]
    table = partition._decode(partition.metadata(), groups, list(partition.types))
    return dict(frame_of(table, list(partition.types), partition.row_ids(), partition.types).columns)


def assert_same(name: str, ours: Column, theirs: Column) -> None:
    """The same type, nulls and values, to the bit; text as strings."""
    assert ours.dtype == theirs.dtype, name
    assert (ours.valid is None) == (theirs.valid is None), name
    valid = np.ones(len(theirs), bool) if theirs.valid is None else theirs.valid
    if ours.valid is not None:
        assert ours.valid.dtype == np.bool_ and ours.valid.tobytes() == valid.tobytes(), name
    if isinstance(theirs.values, np.ndarray):
        assert ours.values.dtype == theirs.values.dtype and ours.values.flags.aligned, name
        assert ours.values[valid].tobytes() == theirs.values[valid].tobytes(), name
        return
    ours.values.validate(full=True)
    if ours.is_dictionary:
        entries = ours.values.dictionary
        assert entries.null_count == 0 and len(entries.unique()) == len(entries), name
        assert ours.values.indices.type == pa.int32() and 2 * len(entries) <= len(ours), name
    mine, other = (c.values.dictionary_decode() if c.is_dictionary else c.values for c in (ours, theirs))
    assert mine.equals(other), name


def written(path: Path, table: pa.Table, options: dict[str, Any]) -> Path:
    pq.write_table(table, path, **options)
    return path
