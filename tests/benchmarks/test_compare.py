"""The runner: turns, failures that are told, files, tables; and that the light peers do the same job as we."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import compare, environments, measure, report
from benchmarks.compare import PLANS, Case, Comparison, Places, module_of, turned
from benchmarks.environments import LIGHT, PEERS, NotMeasured
from benchmarks.lines import FAILED, Line, append, latest, read

ROWS = 20_000


def places(tmp_path: Path, limit: float = 100) -> Places:
    return Places(tmp_path / "data", tmp_path / "environments", limit, tmp_path / "lock")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return module_of("clicks").make(tmp_path_factory.mktemp("data"), ROWS)


@pytest.fixture(scope="module")
def ours(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ours")
    for variant, given in ("matrix", []), ("parquet", ["--set", "memory=1GiB"]):
        words = ["clicks", "--variant", variant, "--data", str(rows), "--out", str(out), "--keep", *given]
        measure.run("peers.ours_", words)
    return out


@pytest.mark.parametrize(
    ("peer", "variant"), [*((peer, "matrix") for peer in LIGHT), ("polars", "parquet"), ("duckdb", "parquet")]
)
def test_light_peers_agree_with_ours(peer: str, variant: str, rows: Path, ours: Path, tmp_path: Path) -> None:
    pytest.importorskip({"sklearn": "sklearn"}.get(peer, peer))
    words = ["clicks", "--variant", variant, "--data", str(rows), "--out", str(tmp_path), "--keep"]
    phases = measure.run(PEERS[peer].module, words)
    assert {"start", "process"} < set(phases) and phases["process"]["cpu"] > phases["start"]["cpu"] > 0
    assert module_of("clicks").agree(ours, tmp_path, variant).endswith("codes equal")


def fake(monkeypatch: pytest.MonkeyPatch, run: object, agree: object = None) -> list[str]:
    """A job and peers that do nothing: `run` is called for each run, in the order that is given back."""
    job = SimpleNamespace(VARIANTS=("matrix",), make=lambda home, rows: home, agree=agree or (lambda *any: "equal"))
    order: list[str] = []

    def noted(module: str, words: list[str], python: object, limit: float) -> object:
        order.append(module.removeprefix("peers.").rstrip("_") + (" kept" if "--keep" in words else ""))
        return run(module)  # type: ignore[operator]

    monkeypatch.setattr(compare, "module_of", lambda name: job)
    monkeypatch.setattr(compare, "run", noted)
    monkeypatch.setattr(environments, "python", lambda peer, home: Path(sys.executable))
    monkeypatch.setattr(environments, "version", lambda peer, python: "1")
    return order


def compared(tmp_path: Path, repeats: int = 2) -> tuple[Comparison, list[Line]]:
    (tmp_path / "data").mkdir()
    comparison = Comparison(places(tmp_path), repeats)
    return comparison, list(comparison.lines(Case("clicks", "matrix", 10, ("polars", "duckdb"))))


def test_they_take_turns_after_a_first_run_that_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = fake(monkeypatch, lambda module: {"process": {"cpu": 2.0, "wall": 1.0}})
    comparison, lines = compared(tmp_path)
    assert order[:3] == ["ours kept", "polars kept", "duckdb kept"]
    assert order[3:] == ["ours", "polars", "duckdb", "ours", "duckdb", "polars"]
    assert len(lines) == 2 * 3 * 2 and not comparison.wrong
    assert {line.repeat for line in lines} == {0, 1}


def test_everybody_is_first_and_last_alike() -> None:
    firsts = [turned(["a", "b", "c"], repeat)[0] for repeat in range(6)]
    assert sorted(firsts) == sorted("aabbcc")


def test_another_result_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def agree(ours: Path, theirs: Path, variant: str) -> str:
        if theirs.name == "duckdb":
            raise ValueError("c3: 5 rows differ")
        return "equal"

    order = fake(monkeypatch, lambda module: {"process": {"cpu": 2.0, "wall": 1.0}}, agree)
    comparison, lines = compared(tmp_path, repeats=1)
    assert order[3:] == ["ours", "polars"]
    (failed,) = [line for line in lines if line.measure == FAILED]
    assert failed.peer == "duckdb" and "its result differs: c3" in failed.phase
    assert "c3: 5 rows differ" in comparison.wrong[0]


def test_a_peer_that_fails_is_told_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(module: str) -> dict[str, dict[str, float]]:
        if module == "peers.polars_":
            raise RuntimeError("ended with -9:\nout of memory")
        return {"process": {"cpu": 2.0, "wall": 1.0}}

    fake(monkeypatch, run)
    comparison, lines = compared(tmp_path, repeats=1)
    assert [line.peer for line in lines] == ["polars", "ours", "ours", "duckdb", "duckdb"]
    assert [line.measure for line in lines] == [FAILED, "cpu", "wall", "cpu", "wall"]
    assert "out of memory" in lines[0].phase and not comparison.wrong


def test_without_ours_there_is_nothing_to_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(module: str) -> dict[str, dict[str, float]]:
        raise RuntimeError("a syntax error")

    order = fake(monkeypatch, run)
    comparison, lines = compared(tmp_path)
    assert order == ["ours kept"] and [(line.peer, line.measure) for line in lines] == [("ours", FAILED)]
    assert "a syntax error" in comparison.wrong[0]


def test_a_run_is_ended_at_its_limit_with_all_it_started(tmp_path: Path) -> None:
    path = tmp_path / "child"
    start = f"child = subprocess.Popen(['sleep', '60']); open({str(path)!r}, 'w').write(str(child.pid))"
    with pytest.raises(RuntimeError, match="after its limit of 2 s"):
        measure._phases([sys.executable, "-c", f"import subprocess, time; {start}; time.sleep(60)"], 2)
    status = Path(f"/proc/{path.read_text()}/stat")
    until = time.monotonic() + 20
    while status.exists() and status.read_text().split()[2] != "Z":
        assert time.monotonic() < until, "the child is still running"
        time.sleep(0.05)


def test_what_a_process_read_is_counted(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(40 << 20))
    told = "from benchmarks.measure import tell; tell({})"
    few, many = (
        measure.run_statement(f"{begin}; {told}")["process"]["read"]
        for begin in ("pass", f"open({str(tmp_path / 'large')!r}, 'rb').read()")
    )
    assert 39 < many - few < 42


def test_what_a_job_says_of_its_own_processes_counts() -> None:
    told = "from benchmarks.measure import tell; tell({'process': {'cpu': 1000.0, 'peak': 7.0}})"
    whole = measure.run_statement(told)["process"]
    assert (whole["cpu"], whole["peak"]) == (1000, 7)


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "PINS", tmp_path)
    with pytest.raises(NotMeasured, match="no pins of polars"):
        environments.python(PEERS["polars"], tmp_path)
    (tmp_path / "polars.txt").write_text("# python 3.99\npolars\n")
    with pytest.raises(NotMeasured, match=r"no python3\.99 here"):
        environments.python(PEERS["polars"], tmp_path)
    with pytest.raises(NotMeasured, match="cannot be made: no such wheel"):
        environments._call([sys.executable, "-c", "raise SystemExit('no such wheel')"])


def test_an_environment_is_made_once_for_its_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "PINS", tmp_path)
    made: list[str] = []


    def make(folder: Path, *given: object) -> None:
        folder.mkdir(parents=True)
        made.append(folder.name)

    monkeypatch.setattr(environments, "_make", make)
    (tmp_path / "polars.txt").write_text("polars==1\n")
    for pins in ("polars==1\n", "polars==1\n", "polars==2\n"):
        (tmp_path / "polars.txt").write_text(pins)
        environments.python(PEERS["polars"], tmp_path / "home")
    assert made == ["polars", "polars"]


def test_every_planned_case_is_one_of_its_job_s() -> None:
    for plan in PLANS.values():
        for case in plan:
            assert case.variant in module_of(case.job).VARIANTS
            assert set(case.peers) <= set(PEERS)


def test_the_command_line_asks_for_cases() -> None:
    chosen = compare.arguments(["--jobs", "clicks/matrix,wide", "--rows", "1e6,5e6", "--peers", "polars"])
    found = [(case.job, case.variant, case.rows, case.peers) for case in compare.cases(chosen)]
    assert found[0] == ("clicks", "matrix", 1_000_000, ("polars",))
    assert [each[:3:2] for each in found[1:3]] == [("clicks", 5_000_000), ("wide", 1_000_000)]
    assert [len(compare.arguments(["--peers", word]).peers) for word in ("none", "all")] == [0, len(PEERS) - 1]
    with pytest.raises(SystemExit, match="no job 'clocks'"):
        compare.cases(compare.arguments(["--jobs", "clocks"]))


def lines_of(peer: str, cpu: list[float], taken: str = "2026-01-01", **other: object) -> list[Line]:
    line = Line(taken, "abc", "clicks", "matrix", 10, peer, "1", "process", "cpu", 0, 0.0)
    made = []
    for repeat, value in enumerate(cpu):
        for measured, number in (("cpu", value), ("wall", value / 2), ("peak", 100.0)):
            made.append(replace(line, measure=measured, repeat=repeat, value=number, **other))  # type: ignore[arg-type]
    return made


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "jobs.csv"
    lines = [*lines_of("ours", [1.5]), replace(lines_of("polars", [0.0])[0], phase='killed, "why"\n', measure=FAILED)]
    append(path, lines[:2])
    append(path, lines[2:])
    assert list(read(path)) == lines


def test_of_each_peer_the_last_comparison_counts_beside_ours_of_then() -> None:
    oldest = lines_of("ours", [7.0], "2025-01-01") + lines_of("polars", [7.0], "2025-01-01")
    old = lines_of("ours", [9.0, 6.0]) + lines_of("polars", [5.0]) + lines_of("pandas", [18.0, 24.0])
    new = lines_of("ours", [1.0], "2026-01-02") + lines_of("polars", [4.0], "2026-01-02")
    other = lines_of("ours", [5.0], rows=20)
    replaced = [line for line in old if line.peer == "polars"]
    kept = latest([*oldest, *old, *new, *other])
    assert kept == [*(line for line in old if line not in replaced), *new, *other]
    found, group = report.Found([*oldest, *old, *new, *other]), ("clicks", "matrix", 10)
    assert found.values(group, "ours", "cpu") == [1.0]
    assert found.pairs(group, "pandas", "cpu") == ([9.0, 6.0], [18.0, 24.0])
    assert found.pairs(group, "polars", "cpu") == ([1.0], [4.0])
    text = report.table(found, group)
    assert "| pandas 1 (2026-01-01, beside gpupipe of then) | 21.00 | 10.50 | **0.38** (0.25–0.50) |" in text
    assert "| gpupipe 1 | 1.00 |" in text and "| Polars 1 | 4.00 | 2.00 | **0.25** (0.25–0.25) |" in text


def test_a_slow_peer_takes_part_in_the_first_turns_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(module: str) -> dict[str, dict[str, float]]:
        return {"process": {"cpu": 2.0, "wall": 25.0 if module == "peers.polars_" else 5.0}}

    order = fake(monkeypatch, run)
    (tmp_path / "data").mkdir()
    comparison = Comparison(replace(places(tmp_path), patience=60.0), 3)
    lines = list(comparison.lines(Case("clicks", "matrix", 10, ("polars", "duckdb"))))
    assert [order[3:].count(name) for name in ("ours", "polars", "duckdb")] == [3, 2, 3]
    found = report.Found(lines)
    assert found.pairs(("clicks", "matrix", 10), "polars", "wall") == ([5.0, 5.0], [25.0, 25.0])


def test_what_is_no_json_is_a_failure_of_the_run() -> None:
    with pytest.raises(RuntimeError, match="without its line of JSON"):
        measure.run_statement("print('progress: {}')")


def test_ratios_in_the_tables_are_medians_of_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    failed = replace(lines_of("duckdb", [0.0])[0], phase="it was killed", measure=FAILED)
    found = report.Found([*lines_of("ours", [1.0, 3.0, 2.0]), *lines_of("polars", [4.0, 6.0, 8.0]), failed])
    text = report.page(found, [("machine", "one")])
    assert "| Polars 1 | 6.00 | 3.00 | **0.25** (0.25–0.50) | **0.25** (0.25–0.50) | 100 |" in text
    assert "DuckDB: not measured: it was killed" in text
    assert "| 2.00 | 6.00 (Polars) | **0.25** (0.25–0.50) |" in report.readme(found, "one")


def test_the_best_peer_is_each_measure_s_own() -> None:
    slow_but_wide = [replace(line, value=0.1) if line.measure == "wall" else line for line in lines_of("duckdb", [9.0])]
    found = report.Found([*lines_of("ours", [1.0]), *lines_of("polars", [4.0]), *slow_but_wide])
    text = report.readme(found, "one")
    assert "Machine `one`: gpupipe 1, Polars 1, DuckDB 1;" in text and "at abc (2026-01-01), by" in text
    assert "| 1.00 | 4.00 (Polars) | **0.25** (0.25–0.25) | 0.50 | 0.10 (DuckDB) | **5.00** (5.00–5.00) |" in text


def test_the_readme_s_table_stands_between_its_marks() -> None:
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.into_readme(text, "new") == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    with pytest.raises(ValueError, match="once each"):
        report.into_readme("nothing", "new")
    report.into_readme(report.README.read_text(), "there are marks")


def test_a_machine_without_results_is_told_whose_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other-jobs.csv").touch()
    with pytest.raises(SystemExit):
        report.main(["--results", str(tmp_path)])
    assert "benchmarks.compare writes it" in (told := capsys.readouterr().err) and "other-jobs.csv" in told


def test_plots_are_files_of_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = report.Found([*lines_of("ours", [1.0]), *lines_of("ours", [2.0], rows=20), *lines_of("polars", [4.0])])
    (path,) = report.plots(found, tmp_path / "one")
    first = path.read_bytes()
    assert path.name == "one-clicks-matrix.svg" and b"<svg" in first
    report.plots(found, tmp_path / "one")
    assert path.read_bytes() == first


def test_others_wait_while_one_is_measured(tmp_path: Path) -> None:
    with compare.held(tmp_path / "lock"):
        busy = os.system(f"flock --nonblock {tmp_path / 'lock'} true")
    free = os.system(f"flock --nonblock {tmp_path / 'lock'} true")
    assert busy and not free
