"""Source of the CUDA kernels: the fixed part stands in the .cu files, the shape of a variant in #defines before it."""

import dataclasses
import pathlib

import numpy as np

from . import twin

HERE = pathlib.Path(__file__).parent
OPTIONS = ("--std=c++17", "--fmad=false")
LOG_CODES = {None: 0, "table": 1, "short": 2, "division": 3}

NUMERIC = np.dtype(
    [("data", "u8"), ("valid", "u8")]
    + [(name, "f8") for name in ("low", "high", "shift", "scale", "fill")]
    + [(name, "f4") for name in ("low_cut", "high_cut", "low_out", "high_out", "null_out")]
    + [("pad", "u4")]
)
CODED = np.dtype([("data", "u8"), ("valid", "u8"), ("remap", "u8"), ("pad", "u8")])


@dataclasses.dataclass(frozen=True)
class Variant:
    """One kernel to measure: how the tile is laid out and which chain it works out."""

    kernel: str = "row_major"
    rows: int = 128
    threads: int = 256
    vec: int = 4
    lanes: int = 8
    pitch: int = 101
    rotated: bool = False
    stream: bool = False
    persistent: int = 0  # blocks on a multiprocessor; 0: one block a tile
    log: str | None = None
    folded: bool = True
    divide: bool = False
    exact32: bool = True
    shared_table: bool = False
    guarded: bool = True
    branchless: bool = True
    blocks: int = 1  # blocks that must fit a multiprocessor: bounds the registers
    numeric: int = 100
    coded: int = 0
    ld: int = 100

    @property
    def name(self) -> str:
        """A short name: what differs from the plainest variant."""
        words = [self.kernel]
        if self.kernel in ("row_major", "bulk"):
            words += [f"{self.rows}x{self.ld}", f"t{self.threads}", f"{4 * self.vec}B"]
            words += [f"lanes{self.lanes}"] * (self.vec == 4)
            words += ["rotated" if self.rotated else f"pitch{self.pitch}"]
        words += ["stream"] * self.stream + [f"persistent{self.persistent}"] * bool(self.persistent)
        words += [f"log1p-{self.log}"] * bool(self.log) + ["divide"] * self.divide
        words += ["stepwise"] * (not self.folded) + ["general"] * (bool(self.log) and not self.exact32)
        words += ["unguarded"] * (bool(self.log) and not self.guarded) + [f"min{self.blocks}"] * (self.blocks > 1)
        words += (
            ["shared-table"] * self.shared_table
            + ["branches"] * (not self.branchless)
            + [f"codes{self.coded}"] * bool(self.coded)
        )
        return " ".join(word for word in words if word)

    @property
    def tile_bytes(self) -> int:
        """Dynamic shared memory of a block, bytes."""
        if self.kernel not in ("row_major", "bulk"):
            return 0
        row = self.ld if self.rotated else self.pitch
        return self.rows * row * 4 * (2 if self.kernel == "bulk" else 1)

    @property
    def source(self) -> str:
        """CUDA C++ of this variant."""
        return self.defines() + (HERE / "log1p.cu").read_text() + (HERE / "fused.cu").read_text()

    def defines(self) -> str:
        """The #defines that shape the kernel."""
        values: dict[str, object] = {
            "ROWS": self.rows,
            "NUMERIC": self.numeric,
            "CODED": self.coded,
            "LD": self.ld,
            "THREADS": self.threads,
            "VEC": self.vec,
            "LANES": self.lanes,
            "PITCH": self.pitch,
            "ROTATED": int(self.rotated),
            "STREAM": int(self.stream),
            "LOG": LOG_CODES[self.log],
            "FOLDED": int(self.folded),
            "DIVIDE": int(self.divide),
            "EXACT32": int(self.exact32),
            "SHARED_TABLE": int(self.shared_table),
            "GUARDED": int(self.guarded),
            "BRANCHLESS": int(self.branchless),
            "BLOCKS": self.blocks,
        }
        return "".join(f"#define {k} {v}\n" for k, v in values.items()) + constants(self.log)


def constants(log: str | None) -> str:
    """The numbers of the chosen logarithm, printed so that every bit arrives."""
    if log is None:
        return ""
    lines = [f"#define LN2_HIGH {twin.LN2_HIGH!r}", f"#define LN2_LOW {twin.LN2_LOW!r}"]
    lines += [f"#define S{i} ({c!r})" for i, c in enumerate(twin.SERIES)]
    lines += [f"#define P{i} ({c!r})" for i, c in enumerate(twin.FDLIBM)]
    lines += [f"#define LOG_OFFSET {twin.OFFSET >> 32:#x}", f"#define FAR {twin.FAR!r}"]
    if log != "division":
        inverse, log_c = twin.log_table().T
        tops = (np.ascontiguousarray(inverse).view(np.uint64) >> np.uint64(32)).tolist()
        lines.append(f"#define LOG_INVERSE_VALUES {','.join(map(hex, tops))}")
        lines.append(f"#define LOG_OF_VALUES {','.join(repr(float(v)) for v in log_c)}")
    return "\n".join(lines) + "\n"


def exact_source(bits: int = 12, copies: int = 1, grouped: bool = False) -> str:
    """CUDA C++ of the exact sums, the histograms and the ceilings."""
    head = f"#define BITS {bits}\n#define COPIES {copies}\n#define GROUPED {int(grouped)}\n"
    return head + (HERE / "exact.cu").read_text()


def cuts(low: float, high: float) -> tuple[np.float32, np.float32]:
    """float32 bounds with ``x < low`` exactly where ``x < low_cut``, and the same above, for every float32 x."""
    low_cut, high_cut = np.float32(low), np.float32(high)
    if float(low_cut) < low:
        low_cut = np.nextafter(low_cut, np.float32(np.inf))
    if float(high_cut) > high:
        high_cut = np.nextafter(high_cut, np.float32(-np.inf))
    return low_cut, high_cut


def numeric_rows(parameters: list[dict[str, float]], variant: Variant) -> np.ndarray:
    """The parameter table, without pointers: one row a numeric column."""
    table = np.zeros(len(parameters), NUMERIC)
    for row, p in zip(table, parameters, strict=True):
        for name, value in p.items():
            row[name] = value
        row["low_cut"], row["high_cut"] = cuts(p["low"], p["high"])
        ends = np.array([p["low"], p["high"], p["fill"]])
        row["low_out"], row["high_out"], row["null_out"] = chain_of(ends, p, variant).astype(np.float32)
    return table


def chain_of(values: np.ndarray, p: dict[str, float], variant: Variant) -> np.ndarray:
    """The variant's chain on float64 values, in NumPy."""
    return twin.chain(values, p["low"], p["high"], p["shift"], p["scale"], variant.log, variant.divide)
