"""Folders of results written by workers: the bytes are those of threads, also when workers are killed meanwhile."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

import gpupipe as gp
from gpupipe import col

pytest.importorskip("distributed")
FILES, ROWS = 30, 400


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(5)
    for number in range(FILES):
        ids = np.arange(number * ROWS, (number + 1) * ROWS)
        values = {"id": ids, "x": rng.normal(size=ROWS), "c": rng.choice(["a", "b"], ROWS)}
        pq.write_table(pa.table({**values, "y": rng.choice(["no", "yes"], ROWS)}), folder / f"{number:03}.parquet")
    return folder


@pytest.fixture(scope="module")
def fitted(data: Path) -> gp.Pipeline:
    features = [col("x").standardize(), col("c").target_mean()]
    return gp.Pipeline(features, target="y", model=LogisticRegression()).fit(data)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}


def alone(fitted: gp.Pipeline, data: Path, out: Path) -> dict[str, bytes]:
    """What threads of this process write."""
    with gp.cluster("threads"):
        fitted.predictions(data, keep=["id"], out=f"{out}/")
    return contents(out)


def test_workers_write_the_same_bytes_and_go_on_from_what_stands(
    data: Path, fitted: gp.Pipeline, two: gp.Cluster, tmp_path: Path
) -> None:
    expected = alone(fitted, data, tmp_path / "alone")
    assert fitted.predictions(data, keep=["id"], out=f"{tmp_path}/s/") == FILES * ROWS
    assert contents(tmp_path / "s") == expected and len(expected) == FILES + 1
    for name in sorted(expected)[::4]:
        (tmp_path / "s" / name).unlink()
    assert fitted.predictions(data, keep=["id"], out=f"{tmp_path}/s/") == FILES * ROWS
    assert contents(tmp_path / "s") == expected


def test_features_of_the_training_rows_too(data: Path, two: gp.Cluster, tmp_path: Path) -> None:
    features = [col("x").standardize(), col("c").target_mean()]
    with gp.cluster("threads"):
        gp.Pipeline(features, target="y").fit_transform(data, out=f"{tmp_path}/alone/")
    gp.Pipeline(features, target="y").fit_transform(data, out=f"{tmp_path}/s/")
    assert contents(tmp_path / "s") == contents(tmp_path / "alone")


def test_what_cannot_be_read_is_left_out_by_workers_too(
    data: Path, fitted: gp.Pipeline, two: gp.Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(6):
        stored = bytearray((data / f"{number:03}.parquet").read_bytes())
        if number == 4:
            start = pq.read_metadata(data / "004.parquet").row_group(0).column(1).data_page_offset
            stored[start : start + 60] = bytes(60)
        (folder / f"{number:03}.parquet").write_bytes(stored)
    with gp.cluster("threads"):
        fitted.predictions(folder, keep=["id"], out=f"{tmp_path}/alone/", on_bad_partition="quarantine")
    rows = fitted.predictions(folder, keep=["id"], out=f"{tmp_path}/s/", on_bad_partition="quarantine")
    assert rows == 5 * ROWS and contents(tmp_path / "s") == contents(tmp_path / "alone")
    assert len(os.listdir(tmp_path / "s")) == 6


@pytest.mark.slow
def test_workers_that_are_killed_leave_every_row_once(
    data: Path, fitted: gp.Pipeline, two: gp.Cluster, tmp_path: Path
) -> None:
    expected = alone(fitted, data, tmp_path / "alone")
    killed = 0
    for run in range(5):
        out = tmp_path / f"s{run}"
        stop = threading.Event()

        def kill(out: Path = out, stop: threading.Event = stop) -> None:
            nonlocal killed
            pids = list(two.client.run(os.getpid).values())
            while not (out.exists() and len(os.listdir(out)) > 3):
                if stop.wait(0.01):
                    return
            os.kill(pids[0], signal.SIGKILL)
            killed += 1

        thread = threading.Thread(target=kill)
        thread.start()
        fitted.predictions(data, keep=["id"], out=f"{out}/")
        stop.set()
        thread.join()
        assert contents(out) == expected
    print(f"{killed} workers killed")
    assert killed >= 3
