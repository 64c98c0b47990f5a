"""Tables larger than memory: what makes them, and what watches how much memory a fit of them takes."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import beyond

ROOM = beyond.DISK * 20e9


def test_files_are_written_until_they_hold_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beyond, "GROUP", 1000)
    rows = beyond.write(tmp_path, 0.002)
    files = sorted(tmp_path.iterdir())
    assert sum(path.stat().st_size for path in files) >= 2e6 > sum(path.stat().st_size for path in files[:-1])
    assert rows == sum(pq.read_metadata(path).num_rows for path in files) == 5000 * len(files)
    table = pq.read_table(tmp_path)
    assert table["x3"].null_count and len(table["c3"].unique()) > 100


def test_a_job_tells_its_rows_and_its_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(beyond, "GROUP", 1000)
    (tmp_path / "data").mkdir()
    rows = beyond.write(tmp_path / "data", 0.001)
    beyond.job(tmp_path / "data", tmp_path / "scores", "none")
    assert f'"rows": {rows}' in capsys.readouterr().out


def test_a_child_belongs_to_the_family() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in beyond.family(os.getpid()) and beyond._resident(child.pid) > 0
    finally:
        child.communicate()
    assert beyond._resident(child.pid) == 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.disk_usage(tempfile.gettempdir()).free < ROOM, reason="needs 48 GB of free disk")
@pytest.mark.parametrize("kind", ["none", "processes"])
def test_twenty_gigabytes_are_fitted_and_scored_within_four_of_memory(kind: str) -> None:
    peaks = [beyond.measured(size, kind, Path(tempfile.gettempdir()))["process"]["peak"] for size in (2, 20)]
    assert peaks[1] <= 4096
    assert peaks[1] <= 1.2 * peaks[0]
