"""What was asked of the engine is judged by what was measured, and growth is that of the numbers written."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import goals, growth, machine
from benchmarks.lines import FAILED, OURS, Line, append, read
from benchmarks.measure import Row
from benchmarks.peers import command
from benchmarks.report import Found


def lines_of(peer: str, seconds: float, group: tuple[str, str, int], phase: str = "process") -> list[Line]:
    line = Line("2026-01-01", "abc", *group, peer, "1", phase, "cpu", 0, seconds)
    return [line, replace(line, measure="wall", value=seconds / 2), replace(line, measure="peak", value=100.0)]


def kept(lines: list[Line], rows: list[Row] | None = None) -> dict[str, tuple[float | None, bool, str]]:
    found = goals.goals(Found(lines), lines, rows or [])
    return {goal.what: (goal.found, goal.kept, goal.note) for goal in found}


def test_every_planned_goal_is_told_where_nothing_was_measured() -> None:
    found = goals.goals(Found([]), [], [])
    assert len(found) == 12 + 3 + 4 + 2 + 1
    assert all(goal.found is None and not goal.kept for goal in found)
    assert goals.table(found).count("not measured") == len(found)


def test_the_best_peer_of_the_comparison_counts() -> None:
    group = ("clicks", "matrix", 5_000_000)
    made = [(OURS, 5.0), ("polars", 10.0), ("duckdb", 8.0)]
    found = kept([line for peer, seconds in made for line in lines_of(peer, seconds, group)])
    what = "clicks/matrix, 5,000,000 rows, CPU seconds over the best peer's"
    assert found[what] == (0.625, False, "DuckDB")
    failed = replace(lines_of("duckdb", 0.0, group)[0], phase="killed", measure=FAILED)
    found = kept([line for peer, seconds in made[:2] for line in lines_of(peer, seconds, group)] + [failed])
    assert found[what] == (0.5, True, "Polars")


def test_slower_peers_are_told_as_multiples_of_ours() -> None:
    group = ("clicks", "matrix", 1_000_000)
    made = [(OURS, 2.0), ("sklearn", 30.0), ("dask_ml", 12.0)]
    found = kept([line for peer, seconds in made for line in lines_of(peer, seconds, group)])
    what = "clicks/matrix, 1,000,000 rows, CPU seconds of {} over ours"
    assert found[what.format("scikit-learn")][:2] == (15.0, True)
    assert found[what.format("dask-ml")][:2] == (6.0, False)
    assert found[what.format("NVTabular, CPU")][0] is None


def test_growth_is_judged_by_its_exponent_and_its_peaks() -> None:
    lines = [line for n in (1, 2, 5, 20) for line in lines_of(OURS, 3.0 * n, ("growth", "matrix", n * 1_000_000))]
    for rows, peak in ((2_000_000, 1000.0), (20_000_000, 1300.0)):
        line = lines_of(OURS, 1.0, ("growth", "parquet_files", rows))[2]
        lines += [replace(line, value=peak), replace(line, measure="budget", value=2048.0)]
    found = list(kept(lines).values())[15:19]
    assert found[0][0] == pytest.approx(1.0) and found[0][1] and found[1][1]
    assert found[2][:2] == (1.3, False) and found[3][:2] == (1300.0, True)
    told = growth.told(lines)
    assert "| 20,000,000 | 60.00 | 30.00 | 100 |" in told and "1.30 ×" in told
    assert Found(lines).groups() == []  # a matter of its own, not of the jobs' tables


def test_serving_and_small_tables_are_judged() -> None:
    made = {"1 row": 0.15, "a file": 400.0, "a file: features alone": 200.0}
    lines = [replace(lines_of(OURS, ms, goals.SERVING, phase)[0], measure="median_ms") for phase, ms in made.items()]
    rows = [
        Row("small", "churn, warm", "gpupipe", phase, "wall", n, 0.1) for phase in ("first: fit", "first: predict")
        for n in (0, 1)
    ]  # fmt: skip
    row, share, small = list(kept(lines, rows).values())[-3:]
    assert row[:2] == (150.0, True) and share[:2] == (0.5, False) and small[:2] == (0.2, True)


def test_growth_is_measured_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def run(module: str, words: list[str]) -> dict[str, dict[str, float]]:
        task = command._arguments({"clicks": lambda task: None}, words)
        asked.append((module, task.variant, task.data.name, dict(task.set)))
        return {"process": {"cpu": 1.0, "wall": 2.0, "peak": 100.0}}

    monkeypatch.setattr(growth, "run", run)
    monkeypatch.setattr(growth.clicks, "make", lambda home, rows: home / f"clicks-{rows}")
    words = ["--rows", "500", "1000", "3000", "--repeats", "1", "--data", str(tmp_path / "data"), "--out"]
    assert growth.main([*words, str(tmp_path), "--parts", "memory"]) == 0
    assert "3,000 over 1,000 | 1.00 ×" in capsys.readouterr().out
    given = "peers.ours_", "parquet_files"
    assert asked == [(*given, f"clicks-{rows}", {"memory": "1GiB"}) for rows in (1000, 1000, 3000)]
    (path,) = tmp_path.glob("*-jobs.csv")
    lines = list(read(path))
    assert {(line.job, line.variant, line.rows) for line in lines} == {
        ("growth", "parquet_files", rows) for rows in (1000, 3000)
    }
    assert {line.value for line in lines if line.measure == "budget"} == {1024.0}
    append(path, lines_of(OURS, 1.0, goals.CLICKS))
    assert path.name == f"{machine.short_name()}-jobs.csv"
    assert goals.main(["--results", str(tmp_path)]) == 2
    (page,) = tmp_path.glob("*-goals.md")
    assert "not measured" in capsys.readouterr().out and "abc (2026-01-01)" in page.read_text()
