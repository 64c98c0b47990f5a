"""Fits on a cluster that are kept in a run: ended amid the way, gone on with there or elsewhere, the same bits."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hooks import hooked, marked
from sklearn.linear_model import LogisticRegression, Ridge

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import RunError
from gpupipe.runtime.journal.results import JOURNAL
from gpupipe.runtime.rows import Rows

FEATURES = [col("x").fill_null("median").standardize(), col("c").fill_null("?").one_hot()]
N = 12


class Interrupted(Exception):
    """In the middle of a fit."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    for number in range(3):
        draw = np.random.default_rng(number)
        x = draw.normal(size=400)
        table = {"x": pa.array(x, mask=draw.random(400) < 0.1), "c": draw.choice(["a", "b"], 400), "y": x + 1}
        table["l"] = draw.integers(0, 2, 400)
        pq.write_table(pa.table(table), folder / f"{number}.parquet", row_group_size=100)
    return folder


def rows(data: Path) -> Any:
    return gp.scan(str(data), partition_bytes=1_000)


def made(kind: str) -> gp.Pipeline:
    if kind == "ridge":
        return gp.Pipeline(FEATURES, target="y", model=Ridge())
    return gp.Pipeline(FEATURES, target="l", model=LogisticRegression(), training="partitions")


def interrupted(pipeline: gp.Pipeline, source: Any, run: Path, told: int) -> None:
    """A fit that ended amid the way, when so many readings of partitions were told to the driver."""
    note, left = Rows.note, [None] * told

    def ending(self: Rows, *arguments: Any) -> None:
        if not left:
            raise Interrupted
        left.pop()
        note(self, *arguments)

    with mock.patch.object(Rows, "note", ending), pytest.raises(Interrupted):
        pipeline.fit(source, run=run)


@pytest.mark.parametrize("kind", ["ridge", "partitions"])
def test_what_began_on_a_cluster_goes_on_without_one(
    two: gp.Cluster, data: Path, tmp_path: Path, kind: str
) -> None:
    run = tmp_path / "run"
    interrupted(made(kind), rows(data), run, 5)
    assert len([name for name in os.listdir(run) if name != JOURNAL]) >= 1
    with gp.cluster("threads", n_workers=3):
        found = made(kind).fit(rows(data), run=run)
        plain = made(kind).fit(rows(data))
    assert found.report_.resumed >= 5 - 1
    assert found.state_digest() == plain.state_digest()
    assert found.predict(rows(data)).equals(plain.predict(rows(data)))
    assert os.listdir(run) == [JOURNAL]


def test_what_began_without_a_cluster_goes_on_there(two: gp.Cluster, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with gp.cluster("threads", n_workers=1):
        plain = made("partitions").fit(rows(data))
        ending = mock.patch("gpupipe.runtime.journal.run.Run.remember", side_effect=Interrupted)
        with ending, pytest.raises(Interrupted):
            made("partitions").fit(rows(data), run=run)
    found = made("partitions").fit(rows(data), run=run)
    assert found.report_.resumed >= 2 * N
    assert found.report_.rows == plain.report_.rows
    assert found.predict(rows(data)).equals(plain.predict(rows(data)))
    assert os.listdir(run) == [JOURNAL]


def test_each_worker_keeps_what_it_makes(two: gp.Cluster, data: Path, tmp_path: Path) -> None:
    run, seen = tmp_path / "run", set()
    listing = os.listdir

    def watched(*arguments: Any) -> None:
        seen.update(name for name in listing(run) if name != JOURNAL)
        raise Interrupted

    with mock.patch("gpupipe.runtime.journal.run.Run.finish", watched), pytest.raises(Interrupted):
        made("ridge").fit(rows(data), run=run)
    assert 1 <= len(seen) <= 2
    assert made("ridge").fit(rows(data), run=run).report_.resumed == 2 * N


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hooks import hooked
import gpupipe as gp

if __name__ == "__main__":
    data, marks, run, where = sys.argv[2:]
    with gp.cluster(where, n_workers=2):
        source = hooked(gp.scan(data, partition_bytes=1_000), "slow", Path(marks))
        gp.Pipeline([gp.col("x").standardize()]).fit(source, run=run)
"""


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_a_driver_that_is_killed(two: gp.Cluster, data: Path, tmp_path: Path, kills: int) -> None:
    """Every other one ends its workers with it; of the others the workers stay, and may still be at a partition."""
    draw, repeated = random.Random(kills), []
    (tmp_path / "driver.py").write_text(DRIVER)
    for number in range(kills):
        folder = tmp_path / str(number)
        folder.mkdir()
        where = str(two.address) if number % 2 else "processes"
        words = [str(Path(__file__).parent), str(data), str(folder), str(folder / "run"), where]
        driver = subprocess.Popen([sys.executable, str(tmp_path / "driver.py"), *words])
        wanted, until = draw.randint(1, N - 2), time.monotonic() + 60
        while marked(folder, "read") < wanted and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(draw.random() * 0.3)
        driver.kill()
        assert driver.wait() == -signal.SIGKILL
        source, made = hooked(rows(data), "slow", folder), gp.Pipeline([col("x").standardize()])
        found = made.fit(source, run=folder / "run")
        assert found.report_.resumed >= wanted - 2
        repeated.append(marked(folder, "read") - N)
        with gp.cluster("threads", n_workers=4):
            assert found.state_digest() == gp.Pipeline([col("x").standardize()]).fit(rows(data)).state_digest()
        assert os.listdir(folder / "run") == [JOURNAL]
    print(f"{kills} kills, {sum(repeated)} partitions done again, at most {max(repeated)} after one")
    assert max(repeated) <= 2


def test_a_folder_that_workers_do_not_see_is_refused(two: gp.Cluster, data: Path, tmp_path: Path) -> None:
    with (
        mock.patch("gpupipe.runtime.journal.run.secrets.token_hex", lambda size: "not what is written"),
        mock.patch("gpupipe.runtime.journal.opening.os.getpid", lambda: 1),
        mock.patch("gpupipe.runtime.journal.run.Run.note", lambda self, document, arrays=None: None),
        pytest.raises(RunError, match=r"is not seen from .*, where a worker was to keep results in it. Give run= a"),
    ):
        made("ridge").fit(rows(data), run=tmp_path / "run")
