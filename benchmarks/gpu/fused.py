"""A table is one kernel: layouts of the tile, chains, code columns, plain CuPy beside them, bits against NumPy."""

import dataclasses
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from . import data
from .kernels import OPTIONS, Variant, chain_of
from .report import Record, device_seconds, load

POISON = 0xFFBADBAD  # a NaN no kernel here makes: an element that was not written shows
SAMPLE = 6_000
BEST = Variant(rows=64)
ODD_SIZES = (
    Variant("column_major", persistent=8),
    Variant("direct"),
    Variant("square"),
    Variant(rows=64, log="table", shared_table=True),
    Variant(rows=64, rotated=True),
    Variant("bulk", rows=32, lanes=8, pitch=100, persistent=6),
)


def layouts() -> list[Variant]:
    """Ways to bring columns into rows, all with clip and standardize."""
    return [
        *(Variant("column_major", blocks=b) for b in (1, 5, 8)),
        *(Variant("column_major", persistent=8, blocks=b) for b in (5, 8)),
        Variant("direct"),
        Variant("square"),
        *(Variant(rows=r, vec=1, lanes=32, blocks=b) for r, b in ((64, 5), (64, 8), (128, 4))),
        *(Variant(rows=r, blocks=b) for r, b in ((32, 6), (64, 1), (64, 4), (64, 5), (64, 6), (64, 8), (128, 3))),
        *(Variant(rows=64, threads=t, blocks=b) for t, b in ((128, 10), (192, 7), (320, 4), (448, 3))),
        *(Variant(rows=64, lanes=16, blocks=b) for b in (1, 5, 6)),
        *(Variant(rows=128, lanes=n, blocks=b) for n, b in ((16, 4), (32, 4))),
        *(Variant(rows=r, rotated=True, blocks=b) for r, b in ((32, 6), (64, 1), (64, 5), (128, 4))),
        Variant(rows=64, blocks=5, stream=True),
        *(Variant(rows=64, persistent=p, blocks=p) for p in (5, 6)),
        *(Variant("bulk", rows=32, lanes=8, pitch=100, persistent=p, blocks=p) for p in (5, 6, 8)),
    ]


def chains(best: Variant) -> list[Variant]:
    """Other chains over the best layout and over no transposition at all, then ways to fit log1p."""
    change = dataclasses.replace
    result = []
    for base in (best, Variant("column_major")):
        table = change(base, log="table")
        result += [
            change(base, folded=False),
            change(base, folded=False, divide=True),
            table,
            change(table, branchless=False),
            change(table, guarded=False),
            change(table, exact32=False),
            change(table, folded=False),
            change(base, log="short"),
            change(base, log="division"),
        ]
    shared = Variant(rows=64, log="table", shared_table=True)
    result += [change(shared, lanes=n, blocks=b) for n in (8, 16) for b in (1, 4, 5, 6)]
    result += [change(shared, threads=t, blocks=b) for t, b in ((128, 12), (192, 8), (320, 5))]
    result += [change(shared, rotated=True, blocks=b) for b in (5, 6)]
    result += [change(shared, rows=128, lanes=16, blocks=4), change(shared, rows=32, blocks=6)]
    result += [change(shared, log=log, blocks=b) for log in ("short", "division") for b in (5, 6)]
    result += [change(shared, folded=False, guarded=g, blocks=5) for g in (True, False)]
    result += [change(shared, exact32=False, blocks=5), change(shared, persistent=5, blocks=5)]
    result += [change(shared, kernel="column_major", persistent=p, blocks=5) for p in (4, 8, 32)]
    return [v for i, v in enumerate(result) if v not in result[:i]]


def with_codes() -> list[Variant]:
    """100 numeric columns and 26 code columns in one launch."""
    narrow, wide = Variant(rows=64, coded=26, ld=126, pitch=127), Variant(coded=26, ld=128, rotated=True)
    change = dataclasses.replace
    result = [change(narrow, rows=r, blocks=b) for r, b in ((64, 1), (64, 5), (128, 3))]
    result += [change(wide, rows=r, blocks=b) for r, b in ((32, 6), (64, 1), (64, 5), (128, 3))]
    return [*result, change(narrow, log="table", shared_table=True, blocks=5)]


def compiled(variant: Variant) -> Any:
    """The loaded kernel of a variant."""
    kernel = load("cupy").RawModule(code=variant.source, options=OPTIONS).get_function(variant.kernel)
    if variant.tile_bytes > 48 * 1024:
        kernel.max_dynamic_shared_size_bytes = variant.tile_bytes
    return kernel


class Launch:
    """A variant bound to a table and an output; calling it launches the kernel once."""

    def __init__(self, variant: Variant, table: data.Table, out: Any) -> None:
        cp = load("cupy")
        self.kernel, self.variant = compiled(variant), variant
        self.kept = (table.numeric_table(variant), table.coded_table(), out)
        self.block = 256 if variant.kernel == "square" else variant.threads
        self.args: tuple[Any, ...] = (*self.kept, cp.int64(table.rows))
        if variant.kernel == "column_major":
            self.args += (cp.int64(table.rows + -table.rows % 4),)
        self.grid = self._grid(table.rows)

    def _grid(self, rows: int) -> tuple[int, ...]:
        v = self.variant
        if v.kernel == "direct":
            return (-(-rows // v.threads),)
        if v.kernel == "square":
            return (-(-rows // 32), -(-v.numeric // 32))
        if v.kernel == "column_major":
            return (-(-rows // (4 * v.threads * max(1, v.persistent))), v.numeric)
        tiles = -(-rows // v.rows)
        processors = load("cupy").cuda.Device().attributes["MultiProcessorCount"]
        return (min(tiles, v.persistent * processors) if v.persistent else tiles,)

    def __call__(self) -> None:
        self.kernel(self.grid, (self.block,), self.args, shared_mem=self.variant.tile_bytes)


def empty_output(table: data.Table, width: int) -> Any:
    """Room for either layout of the output, flat."""
    return load("cupy").empty((table.rows + -table.rows % 4) * width, np.float32)


def written(out: Any, variant: Variant, rows: int) -> Any:
    """The output as (rows, ld), whatever its layout."""
    if variant.kernel == "column_major":
        stride = rows + -rows % 4
        return out[: stride * variant.numeric].reshape(variant.numeric, stride)[:, :rows].T
    return out[: rows * variant.ld].reshape(rows, variant.ld)


def expected(table: data.Table, variant: Variant, part: slice) -> np.ndarray:
    """What NumPy makes of some rows, in float64 with one rounding at the end."""
    count = len(range(*part.indices(table.rows)))
    result = np.zeros((count, variant.ld), np.float32)
    for j in range(variant.numeric):
        p = table.parameters[j]
        valid = data.bools(table.valid[j], table.rows)[part].get()
        x = np.where(valid, table.numeric[j][part].get().astype(np.float64), p["fill"])
        result[:, j] = chain_of(x, p, variant)
    for j in range(variant.coded):
        valid = data.bools(table.ids_valid[j], table.rows)[part].get()
        codes = table.remap[j].get()[table.ids[j][part].get()]
        result[:, variant.numeric + j] = np.where(valid, codes, 0)
    return result


class Checker:
    """Compares bits: samples with NumPy, whole outputs of one chain with each other."""

    def __init__(self, table: data.Table) -> None:
        self.table = table
        self.samples: dict[Any, list[np.ndarray]] = {}

    def wrong(self, variant: Variant, out: Any) -> int:
        """Values of the first and last rows whose bits differ from NumPy's."""
        parts = [slice(0, SAMPLE), slice(-SAMPLE, None)]
        key = (variant.log, variant.divide, variant.coded, variant.ld)
        if key not in self.samples:
            self.samples[key] = [expected(self.table, variant, part) for part in parts]
        got = written(out, variant, self.table.rows)
        pairs = zip(parts, self.samples[key], strict=True)
        return sum(int((got[p].get().view(np.uint32) != want.view(np.uint32)).sum()) for p, want in pairs)


def moved_bytes(variant: Variant, rows: int) -> float:
    """Bytes a launch must read and write: data, bitmaps, output."""
    return rows * ((variant.numeric + variant.coded) * (4 + 1 / 8) + 4 * variant.ld)


def measure(variant: Variant, table: data.Table, out: Any, check: Checker, ceiling: float) -> dict[str, Any]:
    """Time one variant and compare its output."""
    launch = Launch(variant, table, out)
    out.view(np.uint32).fill(POISON)
    launch()
    wrong = check.wrong(variant, out)
    unwritten = int((written(out, variant, table.rows).view(np.uint32) == POISON).sum())
    seconds = device_seconds(launch, 9)
    rate = moved_bytes(variant, table.rows) / seconds / 1e9
    return {
        "GB/s": round(rate, 1),
        "of copy": round(rate / ceiling, 3),
        "ms": round(seconds * 1e3, 3),
        "wrong bits": wrong,
        "unwritten": unwritten,
        "registers": launch.kernel.num_regs,
        "local bytes": launch.kernel.local_size_bytes,
    }


def run(record: Record, rows: int) -> None:
    """Measure all variants; the best layout so far carries the other chains."""
    from_start = time.perf_counter()
    bandwidth = load("benchmarks.gpu.bandwidth")
    ceiling = record.attempt("ceiling: device copy, GB/s", bandwidth.copy_rate)
    table = data.make(rows, 100, 26)
    out = empty_output(table, 128)
    check = Checker(table)

    def one(variant: Variant) -> Any:
        return record.attempt(variant.name, lambda: measure(variant, table, out, check, ceiling))

    record.attempt("odd sizes", lambda: odd_sizes(ODD_SIZES))
    found = {v: one(v) for v in layouts()}
    usable = {v: f["GB/s"] for v, f in found.items() if f and not f["wrong bits"] and v.kernel == "row_major"}
    best = max(usable, key=lambda v: usable[v]) if usable else BEST
    record.put("best row-major layout", best.name)
    for variant in chains(best):
        one(variant)
    for variant in with_codes():
        one(variant)
    record.attempt("compile", compile_times)
    for log in (False, True):
        name = "plain CuPy calls, float64" + ", log1p" * log
        record.attempt(name, lambda log=log: plain_cupy(table, out, log, ceiling))  # type: ignore[misc]
    record.put("seconds in all", round(time.perf_counter() - from_start, 1))


def odd_sizes(variants: tuple[Variant, ...]) -> dict[str, int]:
    """Wrong bits over whole small tables whose sizes fit no tile."""
    result = {}
    for rows in (1, 31, 65, 1003):
        table = data.make(rows, 100)
        for variant in variants:
            out = empty_output(table, variant.ld)
            out.view(np.uint32).fill(POISON)
            Launch(variant, table, out)()
            want = expected(table, variant, slice(0, rows)).view(np.uint32)
            got = written(out, variant, rows).get().view(np.uint32)
            result[f"{variant.kernel} {rows}"] = int((got != want).sum())
    return {"wrong bits": sum(result.values()), **{k: v for k, v in result.items() if v}}


def plain_cupy(table: data.Table, out: Any, log: bool, ceiling: float) -> dict[str, Any]:
    """The same chain as a user would write it with CuPy, a column at a time."""
    cp = load("cupy")
    variant = Variant()
    matrix = written(out, variant, table.rows)

    def work() -> None:
        for j, p in enumerate(table.parameters):
            valid = data.bools(table.valid[j], table.rows)
            v = cp.where(valid, table.numeric[j].astype(cp.float64), p["fill"])
            v = cp.clip(v, p["low"], p["high"])
            v = cp.log1p(v) if log else v
            matrix[:, j] = (v - p["shift"]) * p["scale"]

    seconds = device_seconds(work, 3, 1)
    rate = moved_bytes(variant, table.rows) / seconds / 1e9
    return {"GB/s": round(rate, 1), "of copy": round(rate / ceiling, 3), "ms": round(seconds * 1e3, 2)}


LOAD_AGAIN = """
import time
from benchmarks.gpu import fused, kernels
import cupy; cupy.zeros(1)
variant = kernels.Variant(rows=64, rotated=True, log="table", threads=320)
variant.source; start = time.perf_counter()
fused.compiled(variant); print(time.perf_counter() - start)
"""


def compile_times() -> dict[str, float]:
    """Seconds from source to a loaded kernel: cold, and from CuPy's cache on disk in a new process."""
    times = {}
    for name in ("cold", "from disk"):
        done = subprocess.run(
            [sys.executable, "-c", LOAD_AGAIN],
            capture_output=True,
            text=True,
            timeout=120,
            env=dict(os.environ),
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-1000:])
        times[f"{name}, s"] = float(done.stdout.split()[-1])
    return times
