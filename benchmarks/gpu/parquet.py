"""How fast cuDF decodes Parquet, strings as strings and as categories, whole and in chunks; memory at its peak."""

import pathlib
import tempfile
from typing import Any

import numpy as np

from .report import Record, load, wall_seconds

ROWS = 4_000_000
FLOATS, STRINGS = 28, 12
KEPT: list[Any] = []


def run(record: Record, rows: int) -> None:
    """Write one file with pyarrow, read it in several ways."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "mixed.parquet")
        size = record.attempt("file", lambda: write(path))
        if size is None:
            return
        record.attempt("pyarrow, 16 threads", lambda: host_read(path, size))
        record.attempt("strings", lambda: device_read(path, size, False))
        record.attempt("categories", lambda: device_read(path, size, True))
        record.attempt("floats only", lambda: device_read(path, size, False, FLOATS))
        record.attempt("strings only, as strings", lambda: device_read(path, size, False, -STRINGS))
        record.attempt("strings only, as categories", lambda: device_read(path, size, True, -STRINGS))
        record.attempt("what categories are", lambda: categories(path))
        record.attempt("codes of a column of 100,000 words", lambda: codes(path))
        record.attempt("chunked, 256 MiB", lambda: chunked(path, size, 256 << 20))
        record.attempt("values equal pyarrow's", lambda: equal(path))
        record.attempt("from memory, strings", lambda: device_read(path, size, False, memory=True))


def column_names(which: int | None) -> list[str]:
    """All columns, the first `which` or the last `-which`."""
    names = [f"f{j}" for j in range(FLOATS)] + [f"s{j}" for j in range(STRINGS)]
    return names if which is None else names[:which] if which > 0 else names[which:]


def write(path: str) -> dict[str, Any]:
    """28 float32 columns with 5 % nulls and 12 string columns of 3 to 100,000 words; Snappy, 500,000 rows a group."""
    pa, pq = load("pyarrow"), load("pyarrow.parquet")
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for j in range(FLOATS):
        columns[f"f{j}"] = pa.array(rng.normal(size=ROWS).astype(np.float32), mask=rng.random(ROWS) < 0.05)
    for j, size in enumerate(np.geomspace(3, 100_000, STRINGS).astype(int)):
        words = pa.array([f"word_{i * 7919 % 1000003}" for i in range(size)])
        ids = pa.array(rng.integers(0, size, ROWS).astype(np.int32), mask=rng.random(ROWS) < 0.02)
        columns[f"s{j}"] = pa.DictionaryArray.from_arrays(ids, words).cast(pa.string())
    table = pa.table(columns)
    pq.write_table(table, path, row_group_size=500_000, compression="snappy", use_dictionary=column_names(-STRINGS))
    return {"file bytes": pathlib.Path(path).stat().st_size, "decoded bytes": table.nbytes, "rows": ROWS}


def options(path: str, categories: bool, which: int | None = None, memory: bool = False) -> Any:
    """pylibcudf's reader options."""
    plc = load("pylibcudf")
    source: Any = [path]
    if memory:
        source = [load("io").BytesIO(pathlib.Path(path).read_bytes())]
        KEPT[:] = source  # SourceInfo points into these bytes and does not keep them alive
    build = plc.io.parquet.ParquetReaderOptions.builder(plc.io.SourceInfo(source))
    build = build.convert_strings_to_categories(categories)
    made = build.build()
    made.set_column_names(column_names(which))
    return made


def device_read(
    path: str, size: dict[str, Any], categories: bool, which: int | None = None, memory: bool = False
) -> dict[str, Any]:
    """Seconds and rates of one way to read, and the peak of device memory."""
    plc, rmm = load("pylibcudf"), load("rmm")
    base = rmm.mr.get_current_device_resource()
    counted = rmm.mr.StatisticsResourceAdaptor(rmm.mr.PoolMemoryResource(base, initial_pool_size=8 << 30))
    rmm.mr.set_current_device_resource(counted)
    try:
        setting = options(path, categories, which, memory)
        seconds = wall_seconds(lambda: plc.io.parquet.read_parquet(setting), 5)
        peak = counted.allocation_counts.peak_bytes
    finally:
        rmm.mr.set_current_device_resource(base)
    result = {"s": seconds, "file GB/s": size["file bytes"] / seconds / 1e9, "peak MB": peak / 1e6}
    if which is None:
        result["decoded GB/s"] = size["decoded bytes"] / seconds / 1e9
        result["peak of decoded"] = peak / size["decoded bytes"]
    return result


def host_read(path: str, size: dict[str, Any]) -> dict[str, float]:
    """pyarrow on all cores, strings as strings and as dictionaries."""
    pq = load("pyarrow.parquet")
    text = wall_seconds(lambda: pq.read_table(path), 3)
    coded = wall_seconds(lambda: pq.read_table(path, read_dictionary=column_names(-STRINGS)), 3)
    return {"s": text, "decoded GB/s": size["decoded bytes"] / text / 1e9, "as dictionaries, s": coded}


def categories(path: str) -> dict[str, str]:
    """What convert_strings_to_categories makes of a string column."""
    plc = load("pylibcudf")
    table = plc.io.parquet.read_parquet(options(path, True, -1)).tbl
    column = table.columns()[0]
    children = [str(child.type().id()) for child in column.children()]
    return {
        "type": str(column.type().id()),
        "children": ", ".join(children),
        "values": str(column.to_arrow())[:120],
    }


def codes(path: str) -> dict[str, Any]:
    """Milliseconds to dictionary ids on the device, from decoded strings."""
    plc, cudf = load("pylibcudf"), load("cudf")
    made = options(path, False)
    made.set_column_names(["s11"])
    table = plc.io.parquet.read_parquet(made).tbl
    series = cudf.Series.from_pylibcudf(table.columns()[0])
    hashed = "hash_values(xxhash64) + factorize, ms"
    return {
        "encode, ms": wall_seconds(lambda: plc.transform.encode(table)) * 1e3,
        "factorize, ms": wall_seconds(series.factorize) * 1e3,
        hashed: wall_seconds(lambda: series.hash_values(method="xxhash64").factorize()) * 1e3,
        "rows": table.num_rows(),
        "words": plc.transform.encode(table)[0].num_rows(),
    }


def chunked(path: str, size: dict[str, Any], limit: int) -> dict[str, Any]:
    """The chunked reader: chunks, rows, seconds, peak."""
    plc, rmm = load("pylibcudf"), load("rmm")
    base = rmm.mr.get_current_device_resource()
    counted = rmm.mr.StatisticsResourceAdaptor(base)
    rmm.mr.set_current_device_resource(counted)
    chunks: list[int] = []

    def work() -> None:
        chunks.clear()
        reader = plc.io.parquet.ChunkedParquetReader(
            options(path, False), chunk_read_limit=limit, pass_read_limit=limit
        )
        while reader.has_next():
            chunks.append(reader.read_chunk().tbl.num_rows())

    try:
        seconds = wall_seconds(work, 3)
    finally:
        rmm.mr.set_current_device_resource(base)
    return {
        "chunks": len(chunks),
        "all rows": sum(chunks) == ROWS,
        "s": seconds,
        "peak MB": counted.allocation_counts.peak_bytes / 1e6,
        "decoded GB/s": size["decoded bytes"] / seconds / 1e9,
    }


def equal(path: str) -> bool:
    """Three columns, every row, against pyarrow."""
    pa, pq, plc = load("pyarrow"), load("pyarrow.parquet"), load("pylibcudf")
    made = options(path, False)
    names = ["f3", "s0", "s11"]
    made.set_column_names(names)
    got = pa.table(plc.io.parquet.read_parquet(made).tbl.to_arrow())
    want = pq.read_table(path, columns=names)
    pairs = zip(got.columns, want.columns, strict=True)
    return all(a.combine_chunks().cast(b.type).equals(b.combine_chunks()) for a, b in pairs)
