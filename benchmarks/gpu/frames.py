"""Does cuDF work here: frames, group-by, Parquet, dictionaries, hashes, nulls, views without copies."""

import pathlib
import tempfile
from typing import Any

import numpy as np

from .report import Record, load, wall_seconds

ROWS = 2_000_000
XXH64_ABC = 0x44BC2CF5AD770999  # XXH64("abc", seed 0), a published test vector


def run(record: Record, rows: int) -> None:
    """Record what works, each step on its own."""
    record.attempt("import", lambda: load("cudf").__version__)
    host = pandas_frame()
    record.attempt("frame from pandas, s", lambda: wall_seconds(lambda: load("cudf").from_pandas(host), 3))
    for step in (group_by, parquet, factorize, hashes, views, null_masks, views_of_columns, cupy_to_frame):
        record.attempt(step.__name__, lambda step=step: step(host))  # type: ignore[misc]
    record.attempt("allocator of CuPy after import cudf", allocator)


def pandas_frame() -> Any:
    """A frame of keys, strings, floats with nulls and integers."""
    pd = load("pandas")
    rng = np.random.default_rng(0)
    key = rng.integers(0, 1000, ROWS).astype(np.int32)
    x = pd.Series(rng.normal(size=ROWS).astype(np.float32), dtype="Float32")
    return pd.DataFrame(
        {
            "key": key,
            "name": np.char.add("name_", key.astype(str)),
            "x": x.mask(rng.random(ROWS) < 0.05),
            "y": rng.integers(-50, 50, ROWS),
        }
    )


def group_by(host: Any) -> dict[str, Any]:
    """Sum, mean, count by key, against pandas."""
    cudf = load("cudf")
    frame = cudf.from_pandas(host)
    wanted = {"x": ["sum", "mean", "count"], "y": ["sum", "max"]}
    got = frame.groupby("key").agg(wanted).sort_index().to_pandas()
    want = host.groupby("key").agg(wanted)
    gap = np.nanmax(np.abs((got - want).to_numpy(dtype=float)))
    seconds = wall_seconds(lambda: frame.groupby("key").agg(wanted))
    exact = bool((got["y"].to_numpy() == want["y"].to_numpy()).all())
    return {"integers equal": exact, "largest gap": float(gap), "ms": seconds * 1e3, "rows": ROWS}


def parquet(host: Any) -> dict[str, Any]:
    """Write with cuDF, read with cuDF and pyarrow."""
    cudf, pq = load("cudf"), load("pyarrow.parquet")
    frame = cudf.from_pandas(host)
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "a.parquet")
        frame.to_parquet(path)
        back = cudf.read_parquet(path)
        table = pq.read_table(path)
        same = back.to_arrow().combine_chunks().equals(frame.to_arrow().combine_chunks())
        arrow = all(table[c].to_pylist()[:1000] == back[c].to_arrow().to_pylist()[:1000] for c in back.columns)
    return {"same as written": bool(same), "same as pyarrow reads": arrow, "rows": len(back)}


def factorize(host: Any) -> dict[str, Any]:
    """Codes of strings, three ways."""
    cudf, plc = load("cudf"), load("pylibcudf")
    names = cudf.Series(host["name"])
    codes, uniques = names.factorize()
    seen = set(zip(codes.get()[:5000].tolist(), host["name"][:5000], strict=True))
    category = names.astype("category")
    column = names.to_pylibcudf()[0]
    keys, encoded = plc.transform.encode(plc.Table([column]))
    return {
        "uniques": len(uniques),
        "one code a string": len(seen) == len({s for _, s in seen}),
        "codes dtype": str(codes.dtype),
        "categories": len(category.cat.categories),
        "encode keys sorted": keys.num_rows(),
        "factorize, ms": wall_seconds(names.factorize) * 1e3,
        "astype category, ms": wall_seconds(lambda: names.astype("category")) * 1e3,
        "encode, ms": wall_seconds(lambda: plc.transform.encode(plc.Table([column]))) * 1e3,
        "encoded type": str(encoded.type().id()),
    }


def hashes(host: Any) -> dict[str, Any]:
    """hash_values("xxhash64") against a published vector, and what nulls and integers give."""
    cudf = load("cudf")
    strings = cudf.Series(["abc", "", "äö", None])
    got = [int(v) & (2**64 - 1) for v in strings.hash_values(method="xxhash64", seed=0).to_arrow().to_pylist()]
    default = [int(v) & (2**64 - 1) for v in strings.hash_values(method="xxhash64").to_arrow().to_pylist()]
    integers = cudf.Series([1, 2], dtype="int64").hash_values(method="xxhash64", seed=0).to_arrow().to_pylist()
    floats = cudf.Series([0.0, -0.0]).hash_values(method="xxhash64", seed=0).to_arrow().to_pylist()
    names = cudf.Series(host["name"])
    return {
        "XXH64(abc) equal": got[0] == XXH64_ABC,
        "XXH64 of the empty string equal": got[1] == 0xEF46DB3751D8E999,
        "hex": [hex(v) for v in got],
        "default seed is 0": default == got,
        "int64 1, 2": [hex(int(v) & (2**64 - 1)) for v in integers],
        "0.0 and -0.0 equal": floats[0] == floats[1],
        "ms": wall_seconds(lambda: names.hash_values(method="xxhash64", seed=0)) * 1e3,
    }


def views(host: Any) -> dict[str, Any]:
    """CuPy sees a column's memory; a write through it shows in cuDF."""
    cudf, cp = load("cudf"), load("cupy")
    column = cudf.Series(np.arange(1000, dtype=np.float32))
    view = cp.asarray(column)
    pointer = column.__cuda_array_interface__["data"][0]
    view[0] = 77
    return {"same pointer": view.data.ptr == pointer, "write shows": float(column.iloc[0]) == 77.0}


def null_masks(host: Any) -> dict[str, Any]:
    """Where the mask lies and whether it is an Arrow bitmap."""
    cudf, cp = load("cudf"), load("cupy")
    column = cudf.from_pandas(host[["x"]])["x"]
    plain, _ = column.to_pylibcudf()
    mask = plain.null_mask()
    bits = cp.unpackbits(cp.asarray(mask).view(cp.uint8), bitorder="little")[: len(column)]
    want = ~host["x"].isna().to_numpy()
    interface = column.__cuda_array_interface__
    return {
        "bitmap equal": bool((bits.get().astype(bool) == want).all()),
        "mask type": type(mask).__name__,
        "null_count": plain.null_count(),
        "offset": plain.offset(),
        "interface carries mask": "mask" in interface,
        "no-null column's mask": str(cudf.Series([1.0]).to_pylibcudf()[0].null_mask()),
    }


def views_of_columns(host: Any) -> dict[str, Any]:
    """Pointers and alignment of a frame's columns, and of a slice of one."""
    cudf = load("cudf")
    frame = cudf.from_pandas(host[["x", "y"]])
    pointers = [frame[c].to_pylibcudf()[0].data().__cuda_array_interface__["data"][0] for c in frame.columns]
    part = frame["y"].iloc[3:1000].to_pylibcudf()[0]
    return {
        "aligned to 256": all(p % 256 == 0 for p in pointers),
        "slice offset": part.offset(),
        "slice pointer moved": part.data().__cuda_array_interface__["data"][0] - pointers[1],
    }


def cupy_to_frame(host: Any) -> dict[str, Any]:
    """A CuPy column becomes a Series without a copy; a frame of float32 becomes a matrix with one."""
    cudf, cp = load("cudf"), load("cupy")
    values = cp.arange(1000, dtype=cp.float32)
    series = cudf.Series(values)
    frame = cudf.DataFrame({f"c{i}": values + i for i in range(4)})
    matrix = frame.to_cupy()
    return {
        "same pointer": series.__cuda_array_interface__["data"][0] == values.data.ptr,
        "to_cupy is column-major": bool(matrix.flags.f_contiguous),
    }


def allocator() -> str:
    """Which allocator CuPy uses once cuDF is imported."""
    load("cudf")
    cupy = load("cupy")
    rmm = load("rmm")
    current = getattr(cupy.cuda.get_allocator(), "__qualname__", str(cupy.cuda.get_allocator()))
    return f"{current}, resource {type(rmm.mr.get_current_device_resource()).__name__}"
