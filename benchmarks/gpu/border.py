"""Rows into a device's memory and out of it: Parquet, CSV, cuDF frames, CuPy arrays, against the host's readers."""

import csv
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.devices import required
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.columns import Column, on_host
from gpupipe.schema import String
from gpupipe.sources import on_device
from gpupipe.sources.border import to_arrow, to_column

from .report import Record, load, wall_seconds

ROWS = 300_000


def run(record: Record, rows: int) -> None:
    """Record what differs from the host, and how long a file takes."""
    n = min(rows, ROWS)
    table = every_type(n)
    with tempfile.TemporaryDirectory() as folder:
        for name, options in FILES.items():
            record.attempt(f"Parquet, {name}", lambda name=name, options=options: file(Path(folder), table, options))  # type: ignore[misc]
        record.attempt("CSV", lambda: text_file(Path(folder), n))
    steps: dict[str, Callable[[pa.Table], Any]] = {
        "cuDF frame": frame, "part of a cuDF frame": part, "CuPy array": array, "cuDF frame out": frame_out,
        "CuPy matrix out": matrix_out,
    }  # fmt: skip
    for name, step in steps.items():
        record.attempt(name, lambda step=step: step(table))  # type: ignore[misc]


FILES: dict[str, dict[str, Any]] = {
    "one row group": {},
    "many row groups": {"row_group_size": 10_001},
    "many pages": {"row_group_size": 150_000, "data_page_size": 4096, "compression": "zstd"},
    "no dictionaries, version 1.0": {"use_dictionary": False, "version": "1.0", "data_page_version": "2.0"},
}


def every_type(n: int) -> pa.Table:
    """Every type that is decoded on a device, with nulls, NaN, extremes, and text of few and of many values."""
    rng = np.random.default_rng(0)
    missing = [rng.random(n) < 0.1 for _ in range(4)]
    whole = rng.integers(-(2**62), 2**62, n)
    numbers = {
        kind: pa.array(whole.astype(kind), mask=missing[at % 4])
        for at, kind in enumerate(("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"))
    }
    real = rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n)
    real[rng.random(n) < 0.05] = np.nan
    words = pa.array([f"word {at % 7919} ä" for at in range(n)], mask=missing[0])
    return pa.table(
        {
            **numbers,
            "f4": pa.array(rng.normal(size=n).astype(np.float32), mask=missing[1]),
            "f8": pa.array(real, mask=missing[2]),
            "no nulls": pa.array(rng.normal(size=n)),
            "flag": pa.array(rng.random(n) < 0.5, mask=missing[3]),
            "day": pa.array(rng.integers(-40_000, 40_000, n).astype(np.int32), mask=missing[0]).cast(pa.date32()),
            "time": pa.array(rng.integers(-(10**15), 10**15, n), pa.timestamp("us"), mask=missing[1]),
            "zoned": pa.array(rng.integers(0, 10**15, n), pa.timestamp("us", "Europe/Rome"), mask=missing[2]),
            "few": pa.array(rng.choice(["a", "", "b"], n), mask=missing[3]).cast(pa.string()),
            "many": words,
            "null text": pa.nulls(n, pa.string()),
        }
    )


def file(folder: Path, table: pa.Table, options: dict[str, Any]) -> dict[str, Any]:
    """Every partition of a file, decoded on the device and on the host."""
    path = folder / "a.parquet"
    pq.write_table(table, path, **options)
    source, device = gp.scan(path, partitions=3), required()
    told = compared(source)
    if told["on the host"]:  # then the host is compared with itself
        raise RuntimeError(f"cuDF did not decode it: {told['on the host']}")
    part = source.partitions[0]
    told["device, ms"] = wall_seconds(lambda: on_device.read(part, list(source.schema), device), 3) * 1e3
    told["host, ms"] = wall_seconds(lambda: part.read(list(source.schema)), 3) * 1e3
    return told


def text_file(folder: Path, n: int) -> dict[str, Any]:
    """Every partition of a CSV file, split on the device and on the host: quotes, lines in fields, nulls, extremes."""
    words = ["", "NA", "a", " b ", 'c ""', "d,e", "f\ng", "ä 😀", '"h"', "007"]
    whole, flags = ["", "0", "-7", str(2**63 - 1), str(-(2**63))], ["true", "False", ""]
    days = ["", "0001-01-01", "1969-12-31", "9999-12-31"]
    rng = np.random.default_rng(0)
    columns = [rng.choice(each, n).tolist() for each in (words, whole, flags, days)]
    real = np.char.mod("%.17g", rng.normal(size=n)).tolist()
    with open(folder / "a.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["number", "word", "whole", "flag", "day", "real", "unlike"])
        rows.writerows(zip(range(n), *columns, real, map("text {}".format, range(n)), strict=True))
    source, device = gp.scan(folder / "a.csv", partitions=3), required()
    told = compared(source)
    if told["on the host"].keys() != {"real"}:
        raise RuntimeError(f"cuDF did not split it: {told['on the host']}")
    part = source.partitions[0]
    names = [name for name in source.schema if name != "real"]
    told["device, ms"] = wall_seconds(lambda: on_device.read(part, names, device), 3) * 1e3
    told["host, ms"] = wall_seconds(lambda: part.read(names), 3) * 1e3
    return told


def compared(source: gp.Source) -> dict[str, Any]:
    """The values of a source that differ between the device's reading and the host's, and which the host reads."""
    names, device, found = list(source.schema), required(), 0
    refused: dict[str, str] = {}
    for part in source.partitions:
        host = part.read(names).frame
        reading, why = on_device.read(part, names, device)
        refused |= why
        for name in names:
            there = reading.frame.resident(name)
            if isinstance(there, DeviceColumn) == (name in why):
                raise AssertionError(f"{name} is not where it is said to be")
            found += wrong(host[name], on_host(there))
    return {"wrong values": found, "partitions": len(source.partitions), "on the host": refused}


def wrong(here: Column, there: Column) -> int:
    """The rows in which two columns differ: in a null, or in the bits of a value."""
    if here.dtype != there.dtype:
        raise AssertionError(f"{here.dtype} is not {there.dtype}")
    left, right = flat(here), flat(there)
    nulls = np.asarray(left.is_null()) != np.asarray(right.is_null())
    if here.dtype == String:
        return int(nulls.sum()) + int(pc.sum(pc.not_equal(left, right)).as_py() or 0)
    bits = [column.values.view(f"u{column.values.itemsize}") for column in (here, there)]
    return int((nulls | (np.asarray(left.is_valid()) & (bits[0] != bits[1]))).sum())


def flat(column: Column) -> pa.Array:
    """The Arrow array of a column, text as text."""
    array = to_arrow(column)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def frame(table: pa.Table) -> dict[str, Any]:
    """A cuDF frame in three parts."""
    return compared(gp.scan(load("cudf").DataFrame.from_arrow(table.drop_columns(["day", "null text"])), partitions=3))


def part(table: pa.Table) -> dict[str, Any]:
    """A frame that begins amid the memory of another."""
    whole = load("cudf").DataFrame.from_arrow(table.drop_columns(["day", "null text"]))
    return compared(gp.scan(whole.iloc[37:-5]))


def array(table: pa.Table) -> dict[str, Any]:
    """A CuPy matrix with NaN, by rows and by columns, against NumPy's."""
    cupy, values = load("cupy"), np.asarray(table.select(["f8", "no nulls"]).to_pandas())
    told = {}
    for order in ("C", "F"):
        source = gp.scan(cupy.asarray(values, order=order), partitions=2)
        numpy = gp.scan(values, partitions=2)
        others = sum(wrong(source.load(at)[name], numpy.load(at)[name]) for at in range(2) for name in ("x0", "x1"))
        told[f"{order}, wrong values"] = compared(source)["wrong values"] + others
    return told


def frame_out(table: pa.Table) -> dict[str, Any]:
    """Features as a cuDF frame, against Arrow's of the CPU."""
    numbers = [col("no nulls").standardize(), col("f4").fill_null(0) * 2, col("i4").cast("Int64")]
    features = [*numbers, col("flag"), col("few")]
    there, here = (gp.Pipeline(features, device=device).fit(table) for device in ("gpu", "cpu"))
    made = there.transform(table, output="cudf").to_arrow(preserve_index=False)
    wanted = here.transform(table)
    pairs = [[to_column(side.column(name)) for side in (wanted, made)] for name in wanted.column_names]
    return {"wrong values": sum(wrong(*pair) for pair in pairs)}


def matrix_out(table: pa.Table) -> dict[str, Any]:
    """Features as a CuPy matrix, and the same by DLPack: one memory."""
    cupy = load("cupy")
    made = gp.Pipeline([col("no nulls").standardize(), col("f4") * 2], device="gpu").fit(table)
    matrix = made.transform(table, output="cupy")
    wanted = made.transform(table, output="numpy")
    handed = cupy.from_dlpack(matrix)
    return {
        "equal": bool((matrix.get().view(np.uint32) == wanted.view(np.uint32)).all()),
        "one memory by DLPack": handed.data.ptr == matrix.data.ptr,
        "row-major": bool(matrix.flags.c_contiguous),
    }
