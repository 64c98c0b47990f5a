"""`--cluster` and `--workers` of the command line."""

from collections.abc import Callable
from pathlib import Path

import dask
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpupipe import cli

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


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gpupipe(work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line: its exit code, and what it wrote to stdout and to stderr."""
    monkeypatch.chdir(work)

    def ran(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = cli.main(list(words))
        except SystemExit as ending:  # of argparse
            code = int(ending.code or 0)
        return code, *capsys.readouterr()

    return ran


def test_a_fit_on_workers_is_the_fit_without_them(work: Path, gpupipe: Command) -> None:
    fit = ["fit", "paid.py", "--data", "part-*.parquet", "--quiet", "--out"]
    for out, more in (("bare.gpp", []), ("on.gpp", ["--cluster", "processes", "--workers", "2"])):
        code, _, told = gpupipe(*fit, out, *more)
        assert code == 0, told
    for name in ("state.safetensors", "model.safetensors"):
        assert (work / "on.gpp" / name).read_bytes() == (work / "bare.gpp" / name).read_bytes()


def test_what_dask_is_configured_for(gpupipe: Command) -> None:
    fit = ["fit", "paid.py", "--data", "part-*.parquet", "--quiet", "--out", "it.gpp", "--cluster", "configured"]
    with dask.config.set({"gpupipe.cluster": "threads"}):
        assert gpupipe(*fit)[0] == 0
    code, _, told = gpupipe(*fit, "--overwrite")
    assert code != 0 and "Dask's configuration names no cluster" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--workers", "3"], "--workers 3 goes with --cluster, such as: --cluster processes."),
        (["--cluster", "proceses"], "'proceses' is no cluster."),
        (["--cluster", "threads", "--workers", "0"], "--workers: '0' is no count. It takes an integer of at least 1"),
        (["--cluster", "processes", "--workers", "two"], "argument --workers: 'two' is no count"),
    ],
)
def test_refused(work: Path, gpupipe: Command, words: list[str], told: str) -> None:
    code, _, error = gpupipe("fit", "paid.py", "--data", "part-*.parquet", "--out", "no.gpp", *words)
    assert code != 0 and told in error and "Traceback" not in error
    assert not (work / "no.gpp").exists()


@pytest.mark.parametrize("command", ["fit", "update", "predict", "evaluate"])
def test_help_tells(gpupipe: Command, command: str) -> None:
    told = " ".join(gpupipe(command, "--help")[1].split())
    assert "--cluster WHAT" in told and "the file of a scheduler" in told and "--workers N" in told
