"""`--cluster` and `--workers` of the command line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

USER_FILE = """
import gpupipe as gp
from sklearn.linear_model import Ridge

pipeline = gp.Pipeline([gp.col("age").fill_null("median").standardize(), gp.col("plan").one_hot()],
                       target="paid", model=Ridge())
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    (folder / "paid.py").write_text(USER_FILE)
    draw = np.random.default_rng(1)
    table = pa.table(
        {"age": draw.normal(40, 9, 900), "plan": draw.choice(["a", "b"], 900), "paid": draw.normal(size=900)}
    )
    for at in range(3):
        pq.write_table(table.slice(at * 300, 300), folder / f"part-{at}.parquet")
    return folder


def gpupipe(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gpupipe", *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
    )


def test_a_fit_on_workers_is_the_fit_without_them(work: Path) -> None:
    fit = ["fit", "paid.py", "--data", "part-*.parquet", "--quiet", "--out"]
    for out, more in (("bare.gpp", []), ("on.gpp", ["--cluster", "processes", "--workers", "2"])):
        ran = gpupipe(work, *fit, out, *more)
        assert ran.returncode == 0, ran.stderr
    for name in ("state.safetensors", "model.safetensors"):
        assert (work / "on.gpp" / name).read_bytes() == (work / "bare.gpp" / name).read_bytes()


def test_what_dask_is_configured_for(work: Path) -> None:
    fit = ["fit", "paid.py", "--data", "part-*.parquet", "--quiet", "--out", "it.gpp", "--cluster", "configured"]
    assert gpupipe(work, *fit, DASK_GPUPIPE__CLUSTER="threads").returncode == 0
    ran = gpupipe(work, *fit, "--overwrite")
    assert ran.returncode != 0 and "Dask's configuration names no cluster" in ran.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--workers", "3"], "--workers 3 goes with --cluster, such as: --cluster processes."),
        (["--cluster", "proceses"], "'proceses' is no cluster."),
        (["--cluster", "threads", "--workers", "0"], "n_workers=0 is no count"),
        (["--cluster", "processes", "--workers", "two"], "invalid int value: 'two'"),
    ],
)
def test_refused(work: Path, words: list[str], told: str) -> None:
    ran = gpupipe(work, "fit", "paid.py", "--data", "part-*.parquet", "--out", "no.gpp", *words)
    assert ran.returncode != 0 and told in ran.stderr and "Traceback" not in ran.stderr
    assert not (work / "no.gpp").exists()


@pytest.mark.parametrize("command", ["fit", "update", "predict", "evaluate"])
def test_help_tells(work: Path, command: str) -> None:
    told = " ".join(gpupipe(work, command, "--help").stdout.split())
    assert "--cluster WHAT" in told and "the file of a scheduler" in told and "--workers N" in told
