"""Files of which not even their columns and rows can be told: an error that names them, or left out and told."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import Ridge

import gpupipe as gp
from gpupipe import cli, col
from gpupipe.errors import FileFormatError, SchemaMismatchError, SourceNotFoundError
from gpupipe.runtime.quarantine import LeftOut, Quarantine, scanned
from gpupipe.runtime.standing import MANIFEST

WRITERS: dict[str, Callable[[pa.Table, Path], object]] = {
    "parquet": lambda table, path: pq.write_table(table, path),
    "csv": lambda table, path: pa_csv.write_csv(table, path),
    "arrow": lambda table, path: feather.write_feather(table, path),
}
ROWS, BAD = 40, 2


def table(number: int) -> pa.Table:
    draw = np.random.default_rng(number)
    x = draw.normal(size=ROWS)
    return pa.table({"x": x, "y": 2 * x + draw.normal(size=ROWS)})


def files(folder: Path, kind: str = "parquet", count: int = 5) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number}.{kind}" for number in range(count)]
    for number, path in enumerate(paths):
        WRITERS[kind](table(number), path)
    return paths


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def pipeline() -> gp.Pipeline:
    return gp.Pipeline([col("x").fill_null("median").standardize()], target="y", model=Ridge())


@pytest.fixture
def torn(tmp_path: Path) -> list[Path]:
    """Files of which one was cut short."""
    paths = files(tmp_path / "rows")
    cut_short(paths[BAD])
    return paths


@pytest.mark.parametrize("damage", [cut_short, lambda path: path.write_bytes(b"")], ids=["cut short", "empty"])
@pytest.mark.parametrize("how", ["folder", "glob", "list"])
def test_a_fit_leaves_them_out(damage: Callable[[Path], object], how: str, tmp_path: Path) -> None:
    paths = files(tmp_path / "rows")
    damage(paths[BAD])
    data = {"folder": tmp_path / "rows", "glob": f"{tmp_path}/rows/*.parquet", "list": paths}[how]
    fitted = pipeline().fit(data, on_bad_partition="quarantine")
    others = pipeline().fit([path for path in paths if path != paths[BAD]])
    assert fitted.model_ and others.model_
    assert fitted.state_digest() == others.state_digest() and fitted.model_.digest() == others.model_.digest()
    (left,) = fitted.report_.quarantined
    assert (left.file, left.row_group, left.rows) == (str(paths[BAD]), None, None) and "leave it out" in left.why
    assert f"left out: all rows of {paths[BAD]}: " in repr(fitted.report_)
    assert json.loads(json.dumps(fitted.report_.to_dict()))["quarantined"][0]["rows"] is None


def test_otherwise_the_error_names_the_file_and_what_to_do(torn: list[Path]) -> None:
    for read in (gp.scan, pipeline().fit):
        with pytest.raises(FileFormatError, match=r"rows/2\.parquet: .*cut short or damaged\. Copy or write it again"):
            read(torn)
    with pytest.raises(FileFormatError, match=r"rows/2\.parquet"):
        pipeline().fit(gp.scan(torn[:BAD]), on_bad_partition="quarantine").predict(torn)


def test_a_page_and_a_file_are_both_told(torn: list[Path]) -> None:
    stored = bytearray(torn[4].read_bytes())
    start = pq.read_metadata(torn[4]).row_group(0).column(0).data_page_offset
    stored[start : start + 60] = bytes(60)
    torn[4].write_bytes(stored)
    fitted = pipeline().fit(torn, on_bad_partition="quarantine")
    assert [(left.file, left.rows) for left in fitted.report_.quarantined] == [
        (str(torn[2]), None),
        (str(torn[4]), ROWS),
    ]
    assert fitted.report_.rows == 3 * ROWS


def test_it_is_gone_on_with_in_a_run(torn: list[Path], tmp_path: Path) -> None:
    fitted = pipeline().fit(torn, on_bad_partition="quarantine", run=tmp_path / "run")
    assert fitted.state_digest() == pipeline().fit(torn, on_bad_partition="quarantine").state_digest()


@pytest.mark.parametrize("method", ["transform", "predictions"])
def test_results_in_a_folder_tell_them(method: str, torn: list[Path], tmp_path: Path) -> None:
    fitted = pipeline().fit(torn[:BAD])
    for _ in range(2):  # made, and found whole
        assert getattr(fitted, method)(torn, out=f"{tmp_path}/s/", on_bad_partition="quarantine") == 4 * ROWS
        assert fitted.last_report_
        (left,) = fitted.last_report_.quarantined
        assert left.file == str(torn[BAD])
        assert json.loads((tmp_path / "s" / MANIFEST).read_text())["left_out"] == [left._asdict()]


@pytest.mark.parametrize("kind", list(WRITERS))
def test_of_every_format(kind: str, tmp_path: Path) -> None:
    paths = files(tmp_path / "rows", kind, 3)
    paths[1].write_bytes(b"" if kind != "csv" else b'x,y\n"1,2\n')
    left = Quarantine()
    assert scanned(gp.scan, paths, left).n_rows == 2 * ROWS
    assert [each.file for each in left.found] == [str(paths[1])]


def test_what_no_one_file_is_to_blame_for_stays_an_error(torn: list[Path], tmp_path: Path) -> None:
    pq.write_table(table(0).rename_columns(["x", "z"]), torn[BAD])
    with pytest.raises(SchemaMismatchError, match=r"2\.parquet, column 'y'"):
        pipeline().fit(torn, on_bad_partition="quarantine")
    with pytest.raises(SourceNotFoundError, match="nowhere"):
        pipeline().fit([torn[0], tmp_path / "nowhere.parquet"], on_bad_partition="quarantine")
    for path in torn:
        cut_short(path)
    with pytest.raises(FileFormatError, match=r"rows/0\.parquet"):
        pipeline().fit(torn, on_bad_partition="quarantine")


def test_files_are_told_before_partitions(torn: list[Path]) -> None:
    left, source = Quarantine(), gp.scan(torn[0])
    left.add(0, source.partitions[0], "a page")
    scanned(gp.scan, torn, left)
    assert [each.rows for each in left.found] == [None, ROWS]
    assert left.left_out(0) == LeftOut(str(torn[0]), None, ROWS, "a page") and left.left_out(1) is None


def test_the_command_line_tells_them(torn: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline().fit(torn[:BAD]).save(tmp_path / "m.gpp")
    command = ["predict", str(tmp_path / "m.gpp"), "--data", str(tmp_path / "rows"), "--out", str(tmp_path / "s")]
    for _ in range(2):
        assert cli.main([*command, "--on-bad-partition", "quarantine", "--quiet"]) == 3
        assert f"left out: {torn[BAD]}: it begins as Parquet" in capsys.readouterr().err
