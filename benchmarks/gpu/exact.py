"""Order-free statistics on the device: exact sums by integer slices, radix histograms."""

from typing import Any

import numpy as np

from . import data
from .kernels import OPTIONS, exact_source
from .report import Record, device_seconds, load

COLUMNS = 40
CHUNK = 1 << 16


def run(record: Record, rows: int) -> None:
    """Record rates and checks."""
    ceiling = record.attempt(
        "ceiling: read kernel, GB/s", lambda: load("benchmarks.gpu.bandwidth").kernel_rate("read16", 1)
    )
    record.attempt("slices equal exact integers", agrees_with_integers)
    record.attempt("bits under permutation", permutations)
    table = data.make(rows, COLUMNS)
    for name in ("plain", "slice"):
        record.attempt(f"{name} sums and squares", lambda name=name: sums_rate(name, table, ceiling))  # type: ignore[misc]
    kinds = {
        "log-normal": table.numeric[0],
        "normal": load("cupy").random.standard_normal(rows, dtype=np.float32),
        "constant": load("cupy").full(rows, 3.5, np.float32),
    }
    for bits, copies, grouped in (
        (11, 1, False),
        (11, 4, False),
        (11, 8, False),
        (12, 1, False),
        (12, 4, False),
    ):
        for kind, column in kinds.items():
            name = f"histogram {bits} bits, {copies} copies{', grouped' * grouped}, {kind}"
            record.attempt(
                name,
                lambda a=(bits, copies, grouped), c=column: histogram_rate(a, c, table, ceiling),  # type: ignore[misc]
            )
    for kind, column in kinds.items():
        record.attempt(
            f"histogram 12 bits, 1 copies, grouped, {kind}",
            lambda c=column: histogram_rate((12, 1, True), c, table, ceiling),  # type: ignore[misc]
        )


def columns_table(columns: list[Any], valid: list[Any]) -> Any:
    """Pointers of data and bitmaps, on the device."""
    pointers = [[c.data.ptr, v.data.ptr if v is not None else 0] for c, v in zip(columns, valid, strict=True)]
    return load("cupy").asarray(np.array(pointers, np.uint64))


def scale_of(column: Any) -> float:
    """The power of two that brings the largest value just under 2^20."""
    return float(2.0 ** (19 - np.floor(np.log2(float(abs(column).max())))))


class Sums:
    """Sums of some columns by one of the kernels, partial results a block."""

    def __init__(self, name: str, columns: list[Any], valid: list[Any], scales: list[float], chunk: int) -> None:
        cp = load("cupy")
        self.kernel = cp.RawModule(code=exact_source(), options=OPTIONS).get_function(f"{name}_sums")
        rows = columns[0].size
        self.grid = (-(-rows // chunk), len(columns))
        slices = name == "slice"
        self.partial = cp.empty((len(columns), self.grid[0], 7 if slices else 3), cp.int64 if slices else cp.float64)
        self.kept = (columns_table(columns, valid), cp.asarray(scales, cp.float32))
        middle = (self.kept[1],) if slices else ()
        self.args = (self.kept[0], *middle, self.partial, cp.int64(rows), cp.int64(chunk))
        self.columns = columns

    def __call__(self) -> None:
        self.kernel(self.grid, (256,), self.args)

    def exact(self, scale: float) -> tuple[int, int, int, int]:
        """Of column 0: valid rows, sum * 2^21 * scale, sum of squares * (2^21 * scale)^2, rows outside the window."""
        self()
        parts = [sum(int(v) for v in column) for column in self.partial[0].get().T]
        n, h, low, hh, hl, ll, outside = parts
        return n, (h << 21) + low, (hh << 42) + (hl << 22) + ll, outside


def agrees_with_integers(rows: int = 300_001) -> dict[str, Any]:
    """Against Python integers on the same values, with nulls and a length that fits nothing."""
    cp = load("cupy")
    column, valid = data.skewed(rows), data.bitmap(rows, 0.05)
    scale = scale_of(column)
    got = Sums("slice", [column], [valid], [scale], CHUNK).exact(scale)
    x = column.get().astype(np.float64)[data.bools(valid, rows).get()] * (scale * 2**21)
    inside = x[x == np.rint(x)]
    whole = [int(v) for v in inside]
    want = (x.size, sum(whole), sum(v * v for v in whole), x.size - inside.size)
    poison = cp.asarray([np.nan, np.inf, 1.0, 1e-30], cp.float32)
    flagged = Sums("slice", [poison], [None], [1.0], CHUNK).exact(1.0)
    return {"equal": got == want, "outside the window": want[3], "NaN, inf, 1e-30 flagged": flagged[3] == 3}


def permutations(rows: int = 2_000_000) -> dict[str, Any]:
    """Distinct results over five orders, three chunk sizes and two scales."""
    cp = load("cupy")
    column = data.skewed(rows)
    scale = scale_of(column)
    exact, plain = set(), set()
    for chunk in (CHUNK, 4096, 100_000):
        for _ in range(5):
            column = column[cp.random.permutation(rows)]
            n, s1, s2, outside = Sums("slice", [column], [None], [scale], chunk).exact(scale)
            exact.add((n, s1, s2, outside))
            sums = Sums("plain", [column], [None], [scale], chunk)
            sums()
            plain.add(tuple(sums.partial[0].sum(axis=0).get().tolist()))
    coarse = Sums("slice", [column], [None], [scale / 2], CHUNK).exact(scale / 2)
    n, s1, s2, outside = next(iter(exact))
    same = (n, s1, s2) == (coarse[0], coarse[1] * 2, coarse[2] * 4) if outside == coarse[3] else "other window"
    return {"exact": len(exact), "plain float64": len(plain), "half the scale, same sums": same}


def sums_rate(name: str, table: data.Table, ceiling: float) -> dict[str, Any]:
    """GB/s read (data and bitmap), and its share of the read kernel's rate."""
    scales = [scale_of(c) for c in table.numeric]
    sums = Sums(name, table.numeric, table.valid, scales, CHUNK)
    seconds = device_seconds(sums)
    rate = len(table.numeric) * table.rows * (4 + 1 / 8) / seconds / 1e9
    result = {"GB/s": round(rate, 1), "of read": round(rate / ceiling, 3), "ms": round(seconds * 1e3, 3)}
    if name == "slice":
        result["share outside the window"] = float(sums.partial[..., 6].sum() / sums.partial[..., 0].sum())
    return result


def histogram_rate(shape: tuple[int, int, bool], column: Any, table: data.Table, ceiling: float) -> dict[str, Any]:
    """GB/s read for one histogram a column (the same data under 40 bitmaps is too friendly to the cache: copies)."""
    cp = load("cupy")
    bits, copies, grouped = shape
    kernel = cp.RawModule(code=exact_source(bits, copies, grouped), options=OPTIONS).get_function("histogram")
    shared = (4 << bits) * copies
    if shared > 48 * 1024:
        kernel.max_dynamic_shared_size_bytes = shared
    columns = [column.copy() for _ in range(12)]
    counts = cp.zeros((len(columns), 1 << bits), cp.uint32)
    pointers = columns_table(columns, table.valid[: len(columns)])
    chunk = 1 << 17
    grid = (-(-table.rows // chunk), len(columns))
    args = (pointers, counts, cp.int64(table.rows), cp.int64(chunk))
    kernel(grid, (512,), args, shared_mem=shared)
    wrong = int((counts[0] != expected_counts(column, table.valid[0], bits)).sum())
    seconds = device_seconds(lambda: kernel(grid, (512,), args, shared_mem=shared))
    rate = len(columns) * table.rows * (4 + 1 / 8) / seconds / 1e9
    return {"GB/s": round(rate, 1), "of read": round(rate / ceiling, 3), "wrong bins": wrong}


def expected_counts(column: Any, valid: Any, bits: int) -> Any:
    """The histogram by CuPy's bincount."""
    cp = load("cupy")
    raw = column.view(cp.uint32)
    ordered = cp.where(raw >> 31, ~raw, raw | cp.uint32(0x80000000)) >> cp.uint32(32 - bits)
    return cp.bincount(ordered[data.bools(valid, column.size)].astype(cp.int64), minlength=1 << bits)
