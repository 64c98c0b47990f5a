"""Files with flipped bits, replaced bytes and lost ends: read, or refused by a typed error; never worse."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from damage import KINDS

SCRIPT = Path(__file__).with_name("damage.py")


def outcomes(folder: Path, kind: str, first: int, count: int) -> dict[str, int]:
    """How many of the damaged files were read and refused, in a process of its own: a crash is an outcome too."""
    command = [sys.executable, str(SCRIPT), str(folder), kind, str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    found: dict[str, int] = ast.literal_eval(done.stdout.splitlines()[-1])
    assert sum(found.values()) == count
    return found


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_some_damaged_files(tmp_path, kind):
    assert outcomes(tmp_path, kind, 0, 40)["refused"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files(tmp_path, kind):
    assert outcomes(tmp_path, kind, 1000, 1500)["refused"] > 500
