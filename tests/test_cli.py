"""The command line, from what a user types to exit codes, files and messages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

import gpupipe as gp
from gpupipe import cli, doctor, optional
from gpupipe.backends import devices
from gpupipe.errors import SourceNotFoundError
from gpupipe.own_file import load_pipeline

USER_FILE = '''
"""A user's own file."""
import gpupipe as gp
from gpupipe import col
from sklearn.linear_model import LogisticRegression

pipeline = gp.Pipeline(
    features=[gp.numeric().fill_null("median").standardize(), col("plan").one_hot()],
    target=col("left") == "yes",
    model=LogisticRegression(),
)

def other():
    return gp.Pipeline(features=[col("age").fill_null(0)], target=col("left") == "yes", model=LogisticRegression())

number = 3
'''


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a user's file, its data, and the artifact that `gpupipe fit` made of them."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "churn.py").write_text(USER_FILE, encoding="utf-8")
    random = np.random.default_rng(5)
    age, plan = random.normal(40, 12, 600).round(2), random.choice(["basic", "plus", "pro"], 600)
    left = np.where(age + 20 * (plan == "pro") + random.normal(0, 8, 600) > 48, "yes", "no")
    data = pa.table({"age": pa.array(age, mask=random.random(600) < 0.1), "plan": plan, "left": left})
    pq.write_table(data, folder / "data.parquet")
    pc.write_csv(data, folder / "data.csv")
    assert cli.main(["fit", f"{folder}/churn.py", "--data", f"{folder}/data.parquet", "--split", "0.25",
                     "--out", f"{folder}/churn.gpp", "--quiet"]) == 0  # fmt: skip
    return folder


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gpupipe", *words]
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def test_help_teaches_by_example() -> None:
    ran = run("--help")
    assert ran.returncode == 0
    for words in ("gpupipe fit churn.py --data", "gpupipe predict churn.gpp", "is run as", "exit codes: 0 done"):
        assert words in ran.stdout


@pytest.mark.parametrize("command", ["fit", "evaluate", "predict", "explain", "inspect", "demo", "doctor"])
def test_every_command_has_a_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert "usage: gpupipe " + command in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [[], ["fly"], ["fit", "a.py"], ["fit", "a.py", "--data", "d", "--out", "o", "--split", "1.5"], ["demo", "cats"]],
)
def test_wrong_usage_is_2_and_says_where_help_is(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    assert "--help" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nowhere.py", "no Python file 'nowhere.py'"),
        ("churn.gpp", "no Python file"),
        ("churn.py:pipelin", "Did you mean 'pipeline'?"),
        ("churn.py:number", "no Pipeline called 'number'"),
    ],
)
def test_a_file_or_name_that_is_not_there_is_2(
    work: Path, spec: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    assert cli.main(["fit", spec, "--data", "data.csv", "--out", "new.gpp"]) == 2
    assert words in capsys.readouterr().err


def test_a_failure_is_1_with_one_message_and_no_traceback(work: Path) -> None:
    ran = run("evaluate", f"{work}/churn.gpp", "--data", f"{work}/nothing-*.parquet")
    assert ran.returncode == 1 and ran.stdout == ""
    assert ran.stderr.startswith("gpupipe: ") and ran.stderr.count("\n") == 1 and "nothing-" in ran.stderr


def test_debug_shows_the_traceback(work: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        cli.main(["--debug", "evaluate", f"{work}/churn.gpp", "--data", f"{work}/nothing-*.parquet"])


def test_fit_says_what_it_did(work: Path, tmp_path: Path) -> None:
    ran = run("fit", f"{work}/churn.py:other", "--data", f"{work}/data.csv", "--split", "0.3", "--out", f"{tmp_path}/a")
    assert ran.returncode == 0, ran.stderr
    assert "Scans" in ran.stdout and "roc_auc" in ran.stdout and f"saved to {tmp_path}/a" in ran.stdout
    assert gp.load(tmp_path / "a").features_ is not None


def test_fit_refuses_an_artifact_that_is_there_before_it_reads_a_row(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", f"{work}/churn.py", "--data", f"{work}/no-data.csv", "--out", f"{work}/churn.gpp"]
    assert cli.main(words) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_evaluate_prints_a_table_or_json(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", f"{work}/churn.gpp", "--data", f"{work}/data.parquet", "--split", "0.25"]
    assert cli.main(words) == 0 and "roc_auc" in capsys.readouterr().out
    assert cli.main([*words, "--json", "--by", "plan"]) == 0
    found = json.loads(capsys.readouterr().out)
    test = gp.scan(work / "data.parquet").split(test=0.25, seed=0)[1]
    assert found["metrics"] == gp.load(work / "churn.gpp").evaluate(test).to_dict()["metrics"]
    assert {row["label"] for row in found["slices"]["plan"]} == {"basic", "plus", "pro"}


def test_predict_writes_what_the_api_predicts(work: Path, tmp_path: Path) -> None:
    assert cli.main(["predict", f"{work}/churn.gpp", "--data", f"{work}/data.csv", "--out", f"{tmp_path}/s"]) == 0
    scores = pq.read_table(tmp_path / "s")
    pipeline = gp.load(work / "churn.gpp")
    expected = pipeline.predict_proba(work / "data.parquet", output="numpy")
    assert scores["probability_True"].to_numpy().tobytes() == expected[:, 1].tobytes()
    assert scores["prediction"].to_pylist() == (expected[:, 1] > 0.5).tolist()


def test_explain_takes_a_file_with_data_or_an_artifact(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", f"{work}/churn.py", "--data", f"{work}/data.parquet"]) == 0
    assert "plan" in capsys.readouterr().out
    assert cli.main(["explain", f"{work}/churn.gpp"]) == 0
    assert "plan" in capsys.readouterr().out
    assert cli.main(["explain", f"{work}/churn.py"]) == 2
    assert "--data" in capsys.readouterr().err


def test_inspect_tells_what_an_artifact_holds(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", f"{work}/churn.gpp"]) == 0
    page = capsys.readouterr().out
    assert all(words in page for words in ("age", "plan_pro", "LogisticRegression", "gpupipe"))
    assert cli.main(["inspect", f"{work}/churn.gpp", "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_inspect_of_an_altered_artifact_fails(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy.gpp"
    copy.mkdir()
    for path in (work / "churn.gpp").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    with open(copy / "model.safetensors", "ab") as file:
        file.write(b"x")
    assert cli.main(["inspect", str(copy)]) == 1
    assert "model.safetensors" in capsys.readouterr().err


def test_a_user_file_finds_its_neighbours(work: Path) -> None:
    (work / "neighbour.py").write_text("from churn import pipeline as pipeline\n", encoding="utf-8")
    assert isinstance(load_pipeline(f"{work}/neighbour.py"), gp.Pipeline)


def test_a_missing_optional_package_names_the_extra(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "boost.py").write_text("raise ModuleNotFoundError('no xgboost', name='xgboost')\n", encoding="utf-8")
    assert cli.main(["fit", f"{work}/boost.py", "--data", "d", "--out", "o"]) == 1
    assert "pip install 'gpupipe[xgboost]'" in capsys.readouterr().err


def test_an_error_in_the_users_own_file_keeps_its_traceback(work: Path) -> None:
    (work / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    ran = run("fit", f"{work}/broken.py", "--data", "d", "--out", "o")
    told = f'{work}/broken.py failed:\n  File "{work}/broken.py", line 1, in <module>\n    1 / 0\n'
    assert ran.returncode == 1 and told in ran.stderr and "ZeroDivisionError" in ran.stderr
    assert "runpy" not in ran.stderr and "gpupipe/cli.py" not in ran.stderr
    assert "runpy" in run("--debug", "fit", f"{work}/broken.py", "--data", "d", "--out", "o").stderr


def test_an_expression_of_the_users_file_that_is_wrong_is_told_with_its_line(work: Path) -> None:
    (work / "misspelt.py").write_text("from gpupipe import col\n\nx = col('x').fillna(0)\n", encoding="utf-8")
    ran = run("fit", f"{work}/misspelt.py", "--data", "d", "--out", "o")
    assert ran.returncode == 1
    assert ran.stderr == (
        f"gpupipe: {work}/misspelt.py, line 3, \"x = col('x').fillna(0)\": Expressions have no method 'fillna'. "
        "Here it is called 'fill_null'.\n"
    )


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["fitt", "a.py"], "Did you mean fit?"),
        (["fit", "a.py", "--data", "d", "--uot", "o"], "Did you mean --out?"),
        (["fit", "a.py", "--data", "d", "--out", "o", "--splitt", "0.2"], "Did you mean --split?"),
        (["evaluate", "a.gpp", "--data", "d", "--json=1", "--bye", "x"], "argument --json"),
        (["demo", "flight"], "Did you mean flights?"),
    ],
)
def test_a_misspelt_option_or_command_is_told_the_nearest(words: list[str], meant: str) -> None:
    ran = run(*words)
    assert ran.returncode == 2 and meant in ran.stderr


def test_a_reader_that_stops_early_is_no_error() -> None:
    script = f"{sys.executable} -m gpupipe doctor | true; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_starting_up_imports_nothing_heavy() -> None:
    ask = "import sys, gpupipe.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60)
    assert not {"sklearn", "scipy", "pandas", "polars", "xgboost", "numba", "dask"} & set(ran.stdout.split())


def test_version() -> None:
    assert run("--version").stdout == f"gpupipe {gp.__version__}\n"


def test_the_doctor_names_every_package_and_is_honest_about_the_gpu() -> None:
    page = doctor.report()
    assert not set(doctor.BRINGS) & set(doctor.ON_GPU)
    assert set(doctor.BRINGS) | set(doctor.ON_GPU) == set(optional.EXTRAS)
    assert all(name in page for name in (*optional.EXTRAS, "python", "cores", "memory"))
    found = devices.gpu()
    assert f"device='auto' computes on the {'CPU' if found.device is None else 'GPU'}" in page and found.why in page


def test_the_doctor_tells_how_to_get_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional, "available", lambda package: package != "xgboost")
    (line,) = [line for line in doctor.report().splitlines() if line.strip().startswith("xgboost")]
    assert "missing" in line and "pip install 'gpupipe[xgboost]'" in line


def test_the_demo_runs_to_the_same_bytes(tmp_path: Path) -> None:
    ran = run("demo", "disease", "--out", f"{tmp_path}/out", XDG_CACHE_HOME=f"{tmp_path}/cache")
    assert ran.returncode == 0, ran.stderr
    assert "the same bytes" in ran.stdout and "roc_auc" in ran.stdout and "held-out" in ran.stdout
    assert (tmp_path / "cache/gpupipe/demo/disease/tumours.parquet").is_file()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"disease.gpp", "held-out.parquet", "scores.parquet"}


def test_update_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, new, file, saved = (tmp_path / name for name in ("rows.csv", "new.csv", "paid.py", "paid.gpp"))
    data.write_text("age,paid\n31,2\n17,1\n52,4\n", encoding="utf-8")
    new.write_text("age,paid\n44,3\n", encoding="utf-8")
    made = "gp.Pipeline([gp.col('age').standardize()], 'paid', Ridge())"
    file.write_text(f"import gpupipe as gp\nfrom sklearn.linear_model import Ridge\npipeline = {made}\n")
    fit = ["fit", str(file), "--data", str(data), "--out", str(saved), "--keep-state", "yes", "--quiet"]
    assert cli.main(fit) == 0
    update = ["update", str(saved), "--data", str(new), "--quiet"]
    assert cli.main(update) == 2
    assert "has a model, which an update trains anew. Name the file that declares it" in capsys.readouterr().err
    update += ["--pipeline", str(file)]
    assert cli.main(update) == 1
    assert "'age', 'paid' of the earlier rows again. Give them as seen=… (--seen)" in capsys.readouterr().err
    assert cli.main([*update, "--seen", str(data)]) == 0
    whole = load_pipeline(str(file)).fit({"age": [31, 17, 52, 44], "paid": [2, 1, 4, 3]})
    assert gp.load(saved).predict({"age": [40]}).equals(whole.predict({"age": [40]}))


def test_update_reads_new_rows_alone(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, file = tmp_path / "old.csv", tmp_path / "new.csv", tmp_path / "ages.py"
    old.write_text("age,city\n31,Rome\n17,Oslo\n", encoding="utf-8")
    new.write_text("age,city\n44,Rome\n", encoding="utf-8")
    features = "[gp.col('age').standardize(), gp.col('city').codes()]"
    file.write_text(f"import gpupipe as gp\npipeline = gp.Pipeline({features})\n", encoding="utf-8")
    saved = str(tmp_path / "ages.gpp")
    assert cli.main(["fit", str(file), "--data", str(old), "--out", saved, "--keep-state", "yes", "--quiet"]) == 0
    old.unlink()
    assert cli.main(["update", saved, "--data", str(new), "--quiet"]) == 0
    assert "1 rows read" not in capsys.readouterr().out
    whole = gp.Pipeline(load_pipeline(str(file)).features).fit({"age": [31, 17, 44], "city": ["Rome", "Oslo", "Rome"]})
    scored = gp.load(saved).transform({"age": [44], "city": ["Rome"]}).to_pydict()
    assert scored == whole.transform({"age": [44], "city": ["Rome"]}).to_pydict()
    assert cli.main(["update", saved, "--data", str(new), "--out", saved]) == 1
    assert "is there already" in capsys.readouterr().err
    (tmp_path / "left.state").mkdir()  # told before the fit, not after it
    left = ["fit", str(file), "--data", str(old), "--out", str(tmp_path / "left"), "--keep-state", "yes"]
    assert cli.main(left) != 0
    told = capsys.readouterr()
    assert "left.state is there already" in told.err and "scan 1" not in told.out
