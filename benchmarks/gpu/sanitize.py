"""The fused kernels under compute-sanitizer, on a table small enough to be quick."""

import shutil
import subprocess
import sys

import numpy as np

from . import data, fused
from .kernels import Variant
from .report import Record

TARGETS = (
    Variant(rows=64, rotated=True, log="table"),
    Variant(rows=64, log="table", shared_table=True, blocks=6),
    Variant(rows=64, vec=1, lanes=32),
    Variant(rows=64, coded=26, ld=128, rotated=True),
    Variant("bulk", rows=32, lanes=8, pitch=100, persistent=2),
    Variant("column_major"),
)


def run(record: Record, rows: int) -> None:
    """Memory checker and race checker."""
    for tool in ("memcheck", "racecheck"):
        record.attempt(tool, lambda tool=tool: checked(tool))  # type: ignore[misc]


def checked(tool: str) -> str:
    """The checker's last line; an error if it is not there or finds something."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        raise FileNotFoundError("compute-sanitizer is not on the PATH")
    command = [
        program,
        "--tool",
        tool,
        "--error-exitcode",
        "9",
        "--kernel-name-exclude",
        "kernel_substring=cupy",
    ]
    command += [sys.executable, "-m", "benchmarks.gpu.sanitize"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-1400:])
    return " | ".join(text.strip("= ") for text in done.stdout.splitlines()[-2:])


def main() -> None:
    """Launch each target once and compare its bits."""
    for variant in TARGETS:
        table = data.make(1003, 100, variant.coded)
        out = fused.empty_output(table, variant.ld)
        fused.Launch(variant, table, out)()
        want = fused.expected(table, variant, slice(0, 1003)).view(np.uint32)
        wrong = int((fused.written(out, variant, 1003).get().view(np.uint32) != want).sum())
        print(variant.name, "wrong bits:", wrong)
        assert wrong == 0


if __name__ == "__main__":
    main()
