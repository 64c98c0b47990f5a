"""J4's timing and check, ties in J1's check, and what processes that a peer starts are counted as."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.jobs import clicks, serving
from benchmarks.peers import calls, family
from benchmarks.peers.command import Task


def task(folder: Path) -> Task:
    return Task(folder, folder, "logistic", keep=True)


def test_the_kept_auc_is_scikit_learns(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    label, scores = rng.integers(0, 2, 500), rng.integers(0, 40, 500) / 40  # many ties
    calls.keep(task(tmp_path), np.zeros((2, 39)), scores, label)
    kept = json.loads((tmp_path / "models.json").read_text())["logistic"]
    assert kept == pytest.approx(roc_auc_score(label, scores), abs=1e-12)


def test_calls_are_timed_and_take_turns(tmp_path: Path) -> None:
    seen: list[int] = []
    mine = task(tmp_path)
    calls.timed(mine, "a file", seen.append, [1, 2])
    assert len(seen) == 4 and set(seen) == {1, 2}  # one that does not count
    assert mine.clock.phases["a file"].keys() == {"median_ms", "p99_ms", "cpu_ms"}
    rows = calls.python_rows({"a": [1, 2, 3, 4, 5], "b": [1, 2, 3, 4, 5]}, 2)
    assert rows == [{"a": [1, 2], "b": [1, 2]}, {"a": [3, 4], "b": [3, 4]}]


def test_only_ties_may_differ() -> None:
    mine = np.array([2, 2, 3, 3, 4, 1, 0], np.float32)
    assert clicks._same("c1", mine, mine.copy())
    assert not clicks._same("c1", mine, np.array([3, 3, 2, 2, 4, 1, 0], np.float32))
    for other in ([2, 2, 4, 4, 3, 1, 0], [2, 3, 3, 2, 4, 1, 0], [2, 2, 3, 3, 1, 1, 0]):
        with pytest.raises(ValueError, match="rows differ"):
            clicks._same("c1", mine, np.array(other, np.float32))


def test_serving_is_compared_by_features_and_auc(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    features = np.random.default_rng(1).integers(0, 9, (50, 39))
    for folder, second in ((ours, np.linspace(0, 1, 50)), (theirs, np.linspace(1, 0, 50))):
        folder.mkdir()
        calls.keep(task(folder), features, second, (np.arange(50) > 20).astype(int))
    assert "codes equal" in serving.agree(ours, ours, "logistic")
    with pytest.raises(ValueError, match="AUC"):
        serving.agree(ours, theirs, "logistic")


@pytest.mark.skipif(not Path("/proc").exists(), reason="counts come from Linux's /proc")
def test_children_count(tmp_path: Path) -> None:
    lines = "import time", "while time.process_time() < .3: pass", "print(1, flush=True)", "input()"
    command = [sys.executable, "-c", "\n".join(lines)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline()
        mine = task(tmp_path)
        family.note_family(mine)
        assert Path(f"/proc/{child.pid}") in family._descendants(os.getpid())
        child.communicate(b"\n")
    own = task(tmp_path)
    family.note_family(own)
    cpu = mine.clock.phases["process"]["cpu"] - own.clock.phases["process"]["cpu"]
    assert 0.2 < cpu < 5
    assert mine.clock.phases["process"]["peak"] > own.clock.phases["process"]["peak"]
    assert family._ticks(Path("/proc/self")) > 0
