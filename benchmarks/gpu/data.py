"""Columns on the device as cuDF would hold them: float32 or int32 data and Arrow validity bitmaps."""

import dataclasses
from typing import Any

import numpy as np

from .kernels import CODED, Variant, numeric_rows
from .report import load

DICTIONARIES = np.unique(np.geomspace(3, 100_000, 26).astype(int)).tolist()  # sizes of the code columns' dictionaries


@dataclasses.dataclass
class Table:
    """`rows` rows of numeric and coded columns; every array lives on the device."""

    rows: int
    numeric: list[Any]
    valid: list[Any]
    parameters: list[dict[str, float]]
    ids: list[Any] = dataclasses.field(default_factory=list)
    ids_valid: list[Any] = dataclasses.field(default_factory=list)
    remap: list[Any] = dataclasses.field(default_factory=list)

    def numeric_table(self, variant: Variant) -> Any:
        """Device copy of the kernel's parameter table, pointers filled in."""
        rows = numeric_rows(self.parameters, variant)
        rows["data"] = [a.data.ptr for a in self.numeric]
        rows["valid"] = [a.data.ptr for a in self.valid]
        return load("cupy").asarray(rows.view(np.uint8))

    def coded_table(self) -> Any:
        """The same for the code columns; one zero row where there are none."""
        rows = np.zeros(max(1, len(self.ids)), CODED)
        for row, data, valid, remap in zip(rows, self.ids, self.ids_valid, self.remap, strict=False):
            row["data"], row["valid"], row["remap"] = data.data.ptr, valid.data.ptr, remap.data.ptr
        return load("cupy").asarray(rows.view(np.uint8))


def bitmap(rows: int, nulls: float) -> Any:
    """A random Arrow bitmap with about that share of nulls, padded to 64 bytes."""
    cp = load("cupy")
    bits = cp.packbits(cp.random.random(rows, dtype=cp.float32) >= nulls, bitorder="little")
    padded = cp.zeros((bits.size + 63) // 64 * 64, cp.uint8)
    padded[: bits.size] = bits
    return padded


def bools(valid: Any, rows: int) -> Any:
    """A bitmap as booleans, on the device."""
    cp = load("cupy")
    return cp.unpackbits(valid, bitorder="little")[:rows].astype(bool)


def skewed(rows: int) -> Any:
    """Log-normal values of three magnitudes, a third of them negative: clip and log1p both have work."""
    cp = load("cupy")
    return cp.exp(1.5 * cp.random.standard_normal(rows, dtype=cp.float32)) - cp.float32(0.5)


def parameters(columns: int) -> list[dict[str, float]]:
    """One set of constants a column, none of them a round number, some bounds no float32."""
    rng = np.random.default_rng(1)
    return [
        {
            "low": 0.0 if j % 2 else 0.01 * rng.random(),
            "high": 20 + 10 * rng.random(),
            "shift": rng.normal(),
            "scale": 0.5 + rng.random(),
            "fill": 0.3 + rng.random(),
        }
        for j in range(columns)
    ]


def make(rows: int, numeric: int, coded: int = 0, nulls: float = 0.05) -> Table:
    """A random table on the device."""
    cp = load("cupy")
    cp.random.seed(7)
    table = Table(
        rows,
        [skewed(rows) for _ in range(numeric)],
        [bitmap(rows, nulls) for _ in range(numeric)],
        parameters(numeric),
    )
    for size in DICTIONARIES[:coded]:
        table.ids.append(cp.random.randint(0, size, rows, dtype=cp.int32))
        table.ids_valid.append(bitmap(rows, nulls))
        table.remap.append(cp.random.permutation(size).astype(cp.int32) + 2)
    return table
