"""The product's own backend on a device: the fused transform, exact statistics, memory, launches, warm starts.

Bytes count data, validity and output once each; shares are of the copy bandwidth measured in the same process.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.backend import backend_for
from gpupipe.backends.devices import required
from gpupipe.backends.features import FittedFeatures
from gpupipe.backends.gpu.backend import GpuBackend
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.columns import AnyColumn, Column, Frame
from gpupipe.compiler.gathering import Intake
from gpupipe.compiler.scans import Gather
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.schema import DType, Float32, String

from . import data, fused
from .report import Record, device_seconds, load, wall_seconds
from .watched import Watched

NUMERIC, CODED = 100, 26
PARTITION = 1 << 20
CHAINS = ("plain", "log1p")


def run(record: Record, rows: int) -> None:
    """Record every figure of the backend itself."""
    device = required()
    ceiling = record.attempt("ceiling: device copy, GB/s", lambda: load("benchmarks.gpu.bandwidth").copy_rate())
    table = data.make(rows, NUMERIC, CODED)
    frame = frame_of(device, table)
    for chain in CHAINS:
        record.attempt(f"fused, {chain}", lambda chain=chain: transform(device, frame, table, chain, ceiling))  # type: ignore[misc]
    record.attempt("statistics: moments", lambda: statistics(device, frame, ["moments"], ceiling))
    record.attempt("statistics: moments, histograms", lambda: statistics(device, frame, ["moments", "order"], ceiling))
    record.attempt("statistics by partitions", lambda: by_partitions(device, frame, ["moments", "order"], ceiling))
    record.attempt("memory of one transform", lambda: memory(device, frame, "log1p"))
    record.attempt("kernel cache", warm_starts)


# -- what is measured ---------------------------------------------------------------------------------------------
def transform(device: Device, frame: Frame, table: data.Table, chain: str, ceiling: float) -> dict[str, Any]:
    """Seconds and launches of one call that makes the float32 matrix of all columns, and of the same in CuPy calls."""
    features = fitted(chain).on(GpuBackend(device))
    out = device.empty((frame.n_rows, len(features.names)), np.float32)
    before = device.launches
    features.matrix(frame, out)
    launches = device.launches - before
    seconds = device_seconds(lambda: features.matrix(frame, out), 9)
    moved = frame.n_rows * ((NUMERIC + CODED) * (4 + 1 / 8) + 4 * (NUMERIC + CODED))
    ours_numbers = fitted(chain, coded=0).on(GpuBackend(device))
    narrow = device.empty((frame.n_rows, NUMERIC), np.float32)
    numbers = device_seconds(lambda: ours_numbers.matrix(frame, narrow), 9)
    flat = load("cupy").asarray(narrow).reshape(-1)
    plain = fused.plain_cupy(table, flat, chain == "log1p", ceiling)
    return {
        "ms": round(seconds * 1e3, 3),
        "GB/s": round(moved / seconds / 1e9, 1),
        "of copy": round(moved / seconds / 1e9 / ceiling, 3),
        "launches": launches,
        "wrong bits": wrong_bits(features, frame, out),
        "times plain CuPy": round(plain["ms"] / (numbers * 1e3), 1),
    }


def statistics(device: Device, frame: Frame, kinds: list[str], ceiling: float) -> dict[str, Any]:
    """Wall seconds of gathering the states of all numeric columns, each read once for each kind."""
    backend = GpuBackend(device)
    intakes, columns = asked_of(frame, kinds)
    before = device.launches
    backend.states(intakes, columns, frame.n_rows)
    launches = device.launches - before
    seconds = wall_seconds(lambda: backend.states(intakes, columns, frame.n_rows))
    moved = frame.n_rows * NUMERIC * (4 + 1 / 8)
    rate = moved / seconds / 1e9
    return {"ms": round(seconds * 1e3, 2), "GB/s": round(rate, 1), "of copy": round(rate / ceiling, 3),
            "launches": launches}  # fmt: skip


def by_partitions(device: Device, frame: Frame, kinds: list[str], ceiling: float) -> dict[str, Any]:
    """The same of partitions of 2^20 rows, from four threads as in a fit: what the host does shows most here."""
    backend = GpuBackend(device)
    parts = [frame.rows(at, min(at + PARTITION, frame.n_rows)) for at in range(0, frame.n_rows, PARTITION)]

    def gathered(part: Frame) -> None:
        intakes, columns = asked_of(part, kinds)
        backend.states(intakes, columns, part.n_rows)

    before = device.launches
    gathered(parts[0])
    launches = device.launches - before
    with ThreadPoolExecutor(4) as pool:
        seconds = wall_seconds(lambda: list(pool.map(gathered, parts)))
    rate = frame.n_rows * NUMERIC * (4 + 1 / 8) / seconds / 1e9
    return {"ms": round(seconds * 1e3, 2), "GB/s": round(rate, 1), "of copy": round(rate / ceiling, 3),
            "launches a partition": launches}  # fmt: skip


def asked_of(frame: Frame, kinds: list[str]) -> tuple[list[Intake], list[AnyColumn]]:
    """Statistics of these kinds of every numeric column, and the columns."""
    names = [f"n{at}" for at in range(NUMERIC)]
    intakes = [
        Intake(Gather(kind, col(name)._node, (), 0, ()), 0, at, ()) for at, name in enumerate(names) for kind in kinds
    ]
    return intakes, [frame.resident(name) for name in names]


def memory(device: Device, frame: Frame, chain: str) -> dict[str, Any]:
    """Peak bytes of a transform beside those of its input and output."""
    watched = Watched(device)
    features = fitted(chain, NUMERIC, CODED).on(GpuBackend(watched))
    out = watched.empty((frame.n_rows, len(features.names)), np.float32)
    features.matrix(frame, out)
    given = int(frame.n_rows * (NUMERIC + CODED) * (4 + 1 / 8)) + out.nbytes
    held, watched.peak = watched.held, watched.held
    features.matrix(frame, out)
    beside = watched.peak - held + (held - out.nbytes)
    return {"input and output, MB": round(given / 1e6), "beside them, MB": round(beside / 1e6, 1),
            "ratio": round(1 + beside / given, 4)}  # fmt: skip


WARM = """
import time
from benchmarks.gpu import engine
import numpy as np
device = engine.required(); device.zeros(1, np.uint8)
frame = engine.small(device)
features = engine.fitted("log1p").on(engine.GpuBackend(device))
out = device.empty((frame.n_rows, len(features.names)), np.float32)
features.outputs; features._prepared
start = time.perf_counter(); features.matrix(frame, out); out.to_host(); print(time.perf_counter() - start)
"""


def warm_starts() -> dict[str, float]:
    """Seconds of the first transform in a new process: with an empty cache of kernels, and with that filled."""
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cold", "from the cache"):
            done = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, timeout=120,
                                  env={**os.environ, "XDG_CACHE_HOME": folder})  # fmt: skip
            if done.returncode:
                raise RuntimeError(done.stderr[-1000:])
            times[f"{name}, s"] = round(float(done.stdout.split()[-1]), 4)
    return times


# -- what it is measured on ---------------------------------------------------------------------------------------
class Fitted:
    """Features fitted on a small table on the CPU, to be computed elsewhere."""

    def __init__(self, features: FittedFeatures) -> None:
        self._features = features

    def on(self, backend: Any) -> FittedFeatures:
        """The features, computed by `backend`."""
        return FittedFeatures(self._features.plan, self._features.fitted, backend)


def fitted(chain: str, numeric: int = NUMERIC, coded: int = CODED) -> Fitted:
    """Fill, clip (, log1p) and standardize of the numbers, codes of the words."""
    numbers = gp.cols(*(f"n{at}" for at in range(numeric))).fill_null("median").clip(0, 25)
    features = [(numbers.log1p() if chain == "log1p" else numbers).standardize()]
    features += [gp.cols(*(f"c{at}" for at in range(coded))).codes()] if coded else []
    pipeline = gp.Pipeline(features, device="cpu").fit(example(numeric, coded))
    return Fitted(pipeline._fit.features)


def example(numeric: int, coded: int) -> pa.Table:
    """Rows to fit on: every word of every dictionary, and numbers with nulls."""
    rows, rng = max([*data.DICTIONARIES[:coded], 1_000]), np.random.default_rng(3)
    columns = {
        f"n{at}": pa.array(rng.lognormal(0, 1.5, rows).astype(np.float32), mask=rng.random(rows) < 0.05)
        for at in range(numeric)
    }
    for at, size in enumerate(data.DICTIONARIES[:coded]):
        columns[f"c{at}"] = pa.array(words(size)).take(pa.array(np.arange(rows) % size))
    return pa.table({name: with_null(column) for name, column in columns.items()})


def with_null(column: pa.Array) -> pa.Array:
    """The column and a null after it, so that every column may have some."""
    return pa.concat_arrays([column, pa.nulls(1, column.type)])


def words(size: int) -> list[str]:
    """The words of a dictionary."""
    return [f"w{at}" for at in range(size)]


def frame_of(device: Device, table: data.Table) -> Frame:
    """The table as columns that are on the device already, dictionary numbers for text."""
    columns = {
        f"n{at}": DeviceColumn(Float32, table.rows, lent(device, values), lent(device, valid, np.uint32))
        for at, (values, valid) in enumerate(zip(table.numeric, table.valid, strict=True))
    }
    for at, (ids, valid) in enumerate(zip(table.ids, table.ids_valid, strict=True)):
        entries = Column(String, pa.array(words(data.DICTIONARIES[at])))
        columns[f"c{at}"] = coded_column(String, table.rows, lent(device, ids), lent(device, valid, np.uint32), entries)
    return Frame(columns, table.rows, np.arange(table.rows, dtype=np.uint64))


def coded_column(dtype: DType, rows: int, ids: DeviceArray, valid: DeviceArray, entries: Column) -> DeviceColumn:
    """A column of dictionary numbers."""
    return DeviceColumn(dtype, rows, None, valid, ids, entries)


def lent(device: Device, array: Any, dtype: Any = None) -> DeviceArray:
    """An array of CuPy as ours, without a copy."""
    found = DeviceArray(device, int(array.data.ptr), np.dtype(array.dtype.str), tuple(array.shape), array)
    return found if dtype is None else found.view(dtype)


def small(device: Device) -> Frame:
    """A few rows of such a table."""
    return frame_of(device, data.make(4_096, NUMERIC, CODED))


def wrong_bits(features: FittedFeatures, frame: Frame, out: DeviceArray, sample: int = 2_000) -> int:
    """Values of the first and the last rows that differ in a bit from the CPU's."""
    on_cpu = FittedFeatures(features.plan, features.fitted, backend_for("cpu"))
    wrong = 0
    for rows in (np.arange(min(sample, frame.n_rows)), np.arange(max(frame.n_rows - sample, 0), frame.n_rows)):
        expected = on_cpu.matrix(frame.take(rows)).view(np.uint32)
        found = out.rows(int(rows[0]), int(rows[-1]) + 1).to_host().view(np.uint32)
        wrong += int((expected != found).sum())
    return wrong

