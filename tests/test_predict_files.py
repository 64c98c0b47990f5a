"""`gpupipe predict` over many files: killed at any time and gone on with, flat in memory, every kind of file."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

import gpupipe as gp
from gpupipe import cli, col

ROWS = 50


def table(number: int) -> pa.Table:
    rng = np.random.default_rng(number)
    first = number * ROWS
    found = {"id": np.arange(first, first + ROWS), "x": rng.normal(size=ROWS), "z": rng.normal(size=ROWS)}
    return pa.table({**found, "c": rng.choice(["a", "b"], ROWS), "y": rng.choice(["no", "yes"], ROWS)})


def written(folder: Path, files: int) -> Path:
    folder.mkdir()
    for number in range(files):
        pq.write_table(table(number), folder / f"day-{number:04}.parquet")
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an artifact, and the folders `few` and `many` of files to score."""
    folder = tmp_path_factory.mktemp("predict")
    pipeline = gp.Pipeline(
        [gp.cols("x", "z").standardize(), col("c").one_hot()], target="y", model=LogisticRegression()
    )
    pipeline.fit(pa.concat_tables([table(number) for number in range(4)])).save(folder / "m.gpp")
    written(folder / "few", 12)
    written(folder / "many", 100)
    return folder


def words(work: Path, data: str, out: Path, *more: str) -> list[str]:
    return ["predict", f"{work}/m.gpp", "--data", data, "--out", str(out), "--keep", "id", *more]


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}


def check_all(out: Path, files: int) -> None:
    found = pq.read_table(out)
    assert found["id"].to_pylist() == list(range(files * ROWS)), "every row once, in order"


# -- killed ---------------------------------------------------------------------------------------------------
def kill_and_go_on(work: Path, data: Path, out: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill runs at random instants until one ends by itself, and begin again, until there were so many kills."""
    files = len(os.listdir(data))
    clean = out.with_name("clean")
    assert cli.main(words(work, f"{data}/*.parquet", clean)) == 0
    expected = contents(clean)
    command = [sys.executable, "-m", "gpupipe", *words(work, f"{data}/*.parquet", out)]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    took = time.perf_counter() - started
    chance, counts = random.Random(seed), {"killed": 0, "with files": 0, "finished": 0, "torn": 0}
    shutil.rmtree(out)
    while counts["killed"] < kills:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(took * chance.uniform(0.3, 1.0))
        process.send_signal(signal.SIGKILL)
        said, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        stands = {name: stored for name, stored in contents(out).items() if name[0] != "."} if out.exists() else {}
        assert stands.items() <= expected.items(), "what stands is whole"
        counts["torn"] += any(name[0] == "." for name in (os.listdir(out) if out.exists() else ()))
        if process.returncode == 0:
            assert stands == expected and f"{files * ROWS:,} rows scored" in said
            counts["finished"] += 1
            shutil.rmtree(out)
            continue
        counts["killed"] += 1
        counts["with files"] += bool(stands)
    assert cli.main(words(work, f"{data}/*.parquet", out)) == 0
    assert contents(out) == expected, "and nothing else stands there"
    check_all(out, files)
    return counts


def test_killed_three_times_it_goes_on_to_the_same_bytes(work: Path, tmp_path: Path) -> None:
    kill_and_go_on(work, work / "few", tmp_path / "s", kills=3, seed=1)


@pytest.mark.slow
def test_killed_fifty_times_it_goes_on_to_the_same_bytes(work: Path, tmp_path: Path) -> None:
    counts = kill_and_go_on(work, work / "many", tmp_path / "s", kills=50, seed=2)
    print(counts)
    assert counts["killed"] == 50 and counts["with files"] > 15


# -- memory ---------------------------------------------------------------------------------------------------
_PEAK = """
import re, sys
from gpupipe import cli
code = cli.main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
sys.exit(code)
"""


def peak(work: Path, data: str, out: Path) -> int:
    """The most memory, in KiB, that scoring takes in a process of its own (what wait4 tells is its parent's too)."""
    command = [sys.executable, "-c", _PEAK, *words(work, data, out)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def test_memory_does_not_grow_with_the_number_of_files(work: Path, tmp_path: Path) -> None:
    few, many = peak(work, f"{work}/few", tmp_path / "few"), peak(work, f"{work}/many", tmp_path / "many")
    assert many < 1.1 * few, (few, many)


@pytest.mark.slow
def test_memory_at_a_thousand_files_is_that_at_a_hundred(work: Path, tmp_path: Path) -> None:
    written(tmp_path / "thousand", 1000)
    few = peak(work, f"{work}/many", tmp_path / "few")
    many = peak(work, f"{tmp_path}/thousand", tmp_path / "s")
    print(f"{few} KiB at 100 files, {many} KiB at 1,000")
    assert many < 1.1 * few
    check_all(tmp_path / "s", 1000)


# -- what the command says ------------------------------------------------------------------------------------
def test_it_says_what_was_made_and_what_stood_there(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = words(work, f"{work}/few/*.parquet", tmp_path / "s")
    assert cli.main(command) == 0
    assert capsys.readouterr().out == f"600 rows scored to {tmp_path}/s: 12 files\n"
    assert cli.main(command) == 0
    assert capsys.readouterr().out == f"600 rows scored to {tmp_path}/s: 12 files, 12 of which stood there\n"
    check_all(tmp_path / "s", 12)
    manifest = json.loads((tmp_path / "s" / "_manifest.json").read_text())
    assert [os.path.basename(file["from"]["file"]) for file in manifest["files"]] == sorted(os.listdir(work / "few"))


def test_other_data_are_refused_unless_they_may_replace(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words(work, f"{work}/few", tmp_path / "s")) == 0
    assert cli.main(words(work, f"{work}/few/*-000[0-4].parquet", tmp_path / "s")) == 1
    said = capsys.readouterr().err
    assert "day-0005.parquet (and 6 others) is not among the inputs now" in said and "--overwrite" in said
    assert cli.main(words(work, f"{work}/few/*-000[0-4].parquet", tmp_path / "s", "--overwrite")) == 0
    check_all(tmp_path / "s", 5)
    assert len(os.listdir(tmp_path / "s")) == 6


def test_one_file_and_many_files_do_not_stand_beside_each_other(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words(work, f"{work}/few", tmp_path / "one", "--one-file")) == 0
    assert os.listdir(tmp_path / "one") == ["scores.parquet"]
    assert cli.main(words(work, f"{work}/few", tmp_path / "one")) == 1
    assert "holds scores.parquet, all scores in one file. Pass --one-file to replace it" in capsys.readouterr().err
    assert cli.main(words(work, f"{work}/few", tmp_path / "many")) == 0
    assert cli.main(words(work, f"{work}/few", tmp_path / "many", "--one-file")) == 1
    assert "holds scores as many files. Choose another folder for --one-file" in capsys.readouterr().err
    assert pq.read_table(tmp_path / "one").equals(pq.read_table(tmp_path / "many"))


@pytest.mark.parametrize("kind", ["csv", "arrow"])
def test_csv_and_arrow_files_are_scored_the_same(kind: str, work: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        path = tmp_path / "in" / f"{number}.{kind}"
        if kind == "csv":
            table(number).to_pandas().to_csv(path, index=False)
        else:
            feather.write_feather(table(number), path, compression="uncompressed")
    assert cli.main(words(work, str(tmp_path / "in"), tmp_path / "s")) == 0
    assert cli.main(words(work, f"{work}/few/day-000[0-2].parquet", tmp_path / "t")) == 0
    assert pq.read_table(tmp_path / "s").equals(pq.read_table(tmp_path / "t"))
    assert len(os.listdir(tmp_path / "s")) == 4


def test_a_file_that_cannot_be_read_is_named(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = written(tmp_path / "in", 20)  # so many are opened by several threads
    (data / "day-0017.parquet").write_bytes(b"PAR1 and no more")
    (data / "day-0019.parquet").write_bytes(b"")
    assert cli.main(words(work, str(data), tmp_path / "s")) == 1
    assert "day-0017.parquet: it begins as Parquet and has no footer" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_what_cannot_be_read_is_left_out_if_asked_and_said(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = written(tmp_path / "in", 20)
    (data / "day-0003.parquet").write_bytes(b"PAR1 and no more")
    for number in (7, 8):  # pages that cannot be decoded, which only reading them shows
        stored = bytearray((data / f"day-{number:04}.parquet").read_bytes())
        start = pq.read_metadata(data / f"day-{number:04}.parquet").row_group(0).column(1).data_page_offset
        stored[start : start + 60] = bytes(60)
        (data / f"day-{number:04}.parquet").write_bytes(stored)
    command = words(work, str(data), tmp_path / "s", "--on-bad-partition", "quarantine")
    for _ in range(2):  # they are tried again
        assert cli.main(command) == 3
        told = capsys.readouterr()
        assert f"850 rows scored to {tmp_path}/s: 17 files" in told.out
        for number in (3, 7, 8):
            assert f"left out: {data}/day-{number:04}.parquet: " in told.err
    left = {3, 7, 8}
    expected = [row for number in range(20) if number not in left for row in range(number * ROWS, (number + 1) * ROWS)]
    assert pq.read_table(tmp_path / "s")["id"].to_pylist() == expected
    manifest = json.loads((tmp_path / "s" / "_manifest.json").read_text())
    assert [os.path.basename(each["file"]) for each in manifest["left_out"]] == [
        "day-0003.parquet", "day-0007.parquet", "day-0008.parquet"
    ]  # fmt: skip
    assert [each["rows"] for each in manifest["left_out"]] == [None, ROWS, ROWS]
    assert cli.main(words(work, str(data), tmp_path / "t")) == 1


def test_where_nothing_can_be_read_that_is_the_error(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = written(tmp_path / "in", 2)
    for path in data.iterdir():
        path.write_bytes(b"PAR1")
    assert cli.main(words(work, str(data), tmp_path / "s", "--on-bad-partition", "quarantine")) == 1
    assert "day-0000.parquet" in capsys.readouterr().err
    data = written(tmp_path / "more", 2)
    for path in data.iterdir():
        stored = bytearray(path.read_bytes())
        start = pq.read_metadata(path).row_group(0).column(1).data_page_offset
        stored[start : start + 60] = bytes(60)
        path.write_bytes(stored)
    assert cli.main(words(work, str(data), tmp_path / "s", "--on-bad-partition", "quarantine")) == 1
    assert "more/day-000" in capsys.readouterr().err
