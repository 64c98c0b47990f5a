"""Fits that are killed and gone on with: the same bits, next to nothing done twice, and nothing left over."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .driver import FINISHED, REFUSED, Drivers

FILES = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    draw = np.random.default_rng(3)
    for number in range(FILES):
        n = 3_000
        x = draw.normal(size=n)
        table = {
            "x": pa.array(x, mask=draw.random(n) < 0.1),
            "z": draw.exponential(size=n),
            "c": pa.array(draw.choice(["a", "b", "c"], n), mask=draw.random(n) < 0.1),
            "k": draw.integers(0, 300, n),
            "y": x + draw.normal(size=n),
            "l": draw.integers(0, 2, n),
        }
        pq.write_table(pa.table(table), folder / f"part-{number}.parquet", row_group_size=500)
    return folder


@pytest.fixture(scope="module")
def drivers(data: Path) -> Iterator[Drivers]:
    found = Drivers(data)
    yield found
    found.close()


class Trial:
    """One run in a folder of its own."""

    def __init__(self, drivers: Drivers, data: Path, folder: Path, pipeline: str, **how: Any) -> None:
        self.drivers, self.folder = drivers, folder
        self.run, self.log, self.result = folder / "run", folder / "log", folder / "result"
        self.job = {"data": str(data), "pipeline": pipeline, "log": str(self.log), "result": str(self.result), **how}

    def fit(self, **how: Any) -> dict[str, Any]:
        code = self.drivers.fit(**{"run": str(self.run), **self.job, **how})
        assert code in (FINISHED, REFUSED), code
        found: dict[str, Any] = json.loads(self.result.read_text())
        return found

    def killed_after(self, seconds: float, **how: Any) -> bool:
        """Whether the kill came before the end."""
        process = self.drivers.start(**{"run": str(self.run), **self.job, **how})
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
        return self.drivers.wait() == -signal.SIGKILL

    def killed_at(self, partitions: int, **how: Any) -> None:
        """Once so many partitions were begun."""
        process = self.drivers.start(**{"run": str(self.run), **self.job, **how})
        until = time.monotonic() + 60
        while len(self.worked()) < partitions and time.monotonic() < until:
            time.sleep(0.001)
        os.kill(process, signal.SIGKILL)
        assert self.drivers.wait() == -signal.SIGKILL

    def worked(self) -> list[tuple[str, str, str]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(*line.split("|"),) for line in lines]  # type: ignore[misc]

    def repeated(self) -> int:
        """Partitions that were worked on more than once, in any stage."""
        return sum(count - 1 for count in Counter((stage, index) for stage, index, _ in self.worked()).values())

    def is_clean(self) -> bool:
        """Whether nothing but a small record is left of a finished run."""
        names = sorted(os.listdir(self.run))
        assert names == ["journal"] and (self.run / "journal").stat().st_size < 20_000, names
        return sorted(os.listdir(self.folder)) == ["log", "result", "run"]


@pytest.fixture(scope="module")
def plain(drivers: Drivers, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a fit without a run comes to."""
    known: dict[str, dict[str, Any]] = {}

    def found(pipeline: str) -> dict[str, Any]:
        if pipeline not in known:
            trial = Trial(drivers, data, tmp_path_factory.mktemp("plain"), pipeline)
            known[pipeline] = trial.fit(run=None)
        return known[pipeline]

    return found


def same(found: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(found[name] == other[name] for name in ("digest", "scores", "rows"))


@pytest.mark.parametrize("pipeline", ["ridge", "logistic", "features"])
def test_a_fit_that_is_kept_gives_the_same_bits(
    drivers: Drivers, data: Path, tmp_path: Path, plain: Any, pipeline: str
) -> None:
    trial = Trial(drivers, data, tmp_path, pipeline)
    found = trial.fit()
    assert same(found, plain(pipeline)) and found["resumed"] == 0
    assert trial.repeated() == 0 and trial.is_clean()
    assert "is finished" in trial.fit()["error"]


@pytest.mark.parametrize(("pipeline", "begun"), [("ridge", 20), ("logistic", 70), ("features", 33)])
def test_what_is_killed_is_gone_on_with(
    drivers: Drivers, data: Path, tmp_path: Path, plain: Any, pipeline: str, begun: int
) -> None:
    trial = Trial(drivers, data, tmp_path, pipeline)
    trial.killed_at(begun, pause=0.002)
    found = trial.fit(threads=3)  # another number of threads
    assert same(found, plain(pipeline))
    assert found["resumed"] >= begun - 3
    assert trial.repeated() <= 2
    assert trial.is_clean()


def test_a_fit_that_is_killed_again_and_again_comes_to_its_end(
    drivers: Drivers, data: Path, tmp_path: Path, plain: Any
) -> None:
    trial = Trial(drivers, data, tmp_path, "logistic")
    for kills in range(1, 6):
        trial.killed_at(len(trial.worked()) + 14, pause=0.002)
        assert trial.repeated() <= 2 * kills
    assert same(trial.fit(), plain("logistic"))
    assert trial.repeated() <= 2 * 5 and trial.is_clean()


def randomly(trial: Trial, plain: dict[str, Any], draw: random.Random, longest: float) -> int:
    """Kill at a random moment, go on with any number of threads; how many kills came before the end."""
    before = trial.killed_after(draw.uniform(0, longest), pause=0.001, threads=draw.choice([1, 2, 3]))
    if not before:
        assert "is finished" in trial.fit()["error"]
        return 0
    threads = max([1, *(int(workers) for _, _, workers in trial.worked())])
    found = trial.fit(threads=draw.choice([1, 2, 4]))
    if "error" in found:  # killed after it was finished, before it had told so
        assert "is finished" in found["error"]
        return 0
    assert same(found, plain)
    assert trial.repeated() <= threads
    assert trial.is_clean()
    return 1


def test_random_kills(drivers: Drivers, data: Path, tmp_path: Path, plain: Any) -> None:
    draw = random.Random(7)
    kills = 0
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        trial = Trial(drivers, data, tmp_path / str(number), "logistic")
        kills += randomly(trial, plain("logistic"), draw, 0.5)
    assert kills


@pytest.mark.slow
def test_fifty_random_kills(drivers: Drivers, data: Path, tmp_path: Path, plain: Any) -> None:
    draw = random.Random(11)
    kills = tries = 0
    while kills < 50:
        tries += 1
        (tmp_path / str(tries)).mkdir()
        name = draw.choice(["ridge", "logistic", "features"])
        kills += randomly(Trial(drivers, data, tmp_path / str(tries), name), plain(name), draw, 0.6)
    print(f"{kills} kills in {tries} tries")
