"""J4: how calls that score are timed, the same for all."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .command import Task

ONE, HUNDRED, MANY, ALL = 1, 100, 10_000, 1_000_000
LIMIT_MS = 20_000
#: How many calls are timed, by phase; of others three.
CALLS = {"1 row": 2000, "100 rows": 200, "10000 rows": 10}


def timed(task: Task, phase: str, call: Callable[[Any], Any], given: Sequence[Any]) -> None:
    """Note milliseconds a call as `phase`, other rows each time, after a few that do not count; for 20 s at most."""
    calls = CALLS.get(phase, 3)
    wall: list[float] = []
    cpu: list[float] = []
    for number in range(-max(1, min(calls // 10, 20)), calls):
        if sum(wall) > LIMIT_MS and len(wall) > 2:
            break
        rows = given[number % len(given)]
        began, used = time.perf_counter(), time.process_time()
        call(rows)
        if number >= 0:
            wall.append(1e3 * (time.perf_counter() - began))
            cpu.append(1e3 * (time.process_time() - used))
    high = statistics.quantiles(wall, n=100)[98] if len(wall) >= 100 else max(wall)
    task.clock.phases[phase] = {
        "median_ms": statistics.median(wall), "p99_ms": high, "cpu_ms": statistics.median(cpu),
    }  # fmt: skip


def phase_of(rows: int) -> str:
    """``1 row``, ``100 rows``, …"""
    return f"{rows} row{'s' * (rows > 1)}"


def python_rows(table: dict[str, list[Any]], size: int) -> list[dict[str, list[Any]]]:
    """Dicts of lists of `size` rows each."""
    total = len(next(iter(table.values())))
    return [{name: values[at : at + size] for name, values in table.items()} for at in range(0, total - size + 1, size)]


def keep(task: Task, features: Any, second: Any, label: Any) -> None:
    """Leave the features of some rows, and the AUC of their scores (computed by ranks; ties count half)."""
    order = np.argsort(second, kind="stable")
    _, inverse, counts = np.unique(second[order], return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    ranks = np.empty(len(second))
    ranks[order] = middle[inverse]
    positive = int(label.sum())
    auc = (ranks[label == 1].sum() - positive * (positive + 1) / 2) / (positive * (len(label) - positive))
    np.save(task.out / "matrix.npy", np.ascontiguousarray(features, np.float32))
    (task.out / "models.json").write_text(json.dumps({"logistic": float(auc)}))
