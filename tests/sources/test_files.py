"""Paths, globs, folders and lists: which files, in which order, of which format."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_rows import rows_of

from gpupipe.errors import FileFormatError, ParameterError, SourceNotFoundError
from gpupipe.sources import scan
from gpupipe.sources.files import find_files


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"name": [name]}), path)


def names(found, folder):
    return [os.path.relpath(path, folder) for path in found]


def test_order_is_that_of_bytes_or_of_the_list(tmp_path):
    touch(tmp_path, "é.parquet", "b.parquet", "a/z.pq", "10.parquet", "9.parquet", "Z.parquet")
    in_order = ["10.parquet", "9.parquet", "Z.parquet", "a/z.pq", "b.parquet", "é.parquet"]
    assert names(find_files(tmp_path), tmp_path) == in_order
    assert rows_of(scan(tmp_path))["name"] == in_order
    assert names(find_files(f"{tmp_path}/*.parquet"), tmp_path) == [n for n in in_order if "/" not in n]
    assert names(find_files(f"{tmp_path}/**/*.p*q*"), tmp_path) == in_order
    listed = [tmp_path / "b.parquet", str(tmp_path / "9.parquet"), tmp_path / "a"]
    assert names(find_files(listed), tmp_path) == ["b.parquet", "9.parquet", "a/z.pq"]
    assert rows_of(scan(tuple(listed)))["row_ids"] == [0, 1, 2]


def test_a_folder_skips_what_is_no_table(tmp_path):
    touch(tmp_path, "a.parquet", "_temporary/b.parquet", ".hidden.parquet", "_metadata.parquet")
    (tmp_path / "README.txt").write_text("hello")
    (tmp_path / "_SUCCESS").touch()
    assert names(find_files(tmp_path), tmp_path) == ["a.parquet"]


def test_a_file_whose_name_looks_like_a_glob(tmp_path):
    touch(tmp_path, "a[1].parquet")
    assert scan(tmp_path / "a[1].parquet").count() == 1


def test_nothing_there(tmp_path, monkeypatch):
    touch(tmp_path, "train.parquet")
    with pytest.raises(
        SourceNotFoundError, match=r"There is no file .*tran\.parquet\..* The folder .* holds: train\.parquet"
    ):
        scan(tmp_path / "tran.parquet")
    with pytest.raises(SourceNotFoundError, match=r"No file matches .*/x/.*csv: there is no folder .*/x\."):
        scan(f"{tmp_path}/x/*.csv")
    with pytest.raises(SourceNotFoundError, match=r"Nor is there a folder .*/nowhere"):
        scan(tmp_path / "nowhere" / "a.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceNotFoundError, match=r"The folder .*empty holds no file ending in \.parquet"):
        scan(tmp_path / "empty")
    with pytest.raises(ParameterError, match="The list of paths is empty"):
        scan([])
    with pytest.raises(FileNotFoundError, match="There is no file"):
        scan("no/such/file.csv")


def test_formats(tmp_path):
    touch(tmp_path, "plain")
    assert scan(tmp_path / "plain").count() == 1  # by its first bytes
    touch(tmp_path, "a.parquet")
    (tmp_path / "b.csv").write_text("name\nx\n")
    with pytest.raises(FileFormatError, match=r"a\.parquet is Parquet and .*b\.csv is CSV. One source has one format"):
        scan([tmp_path / "a.parquet", tmp_path / "b.csv"])
    (tmp_path / "c.xlsx").write_bytes(b"PK\3\4")
    with pytest.raises(FileFormatError, match=r"c\.xlsx: \.xlsx is no format that scan reads"):
        scan(tmp_path / "c.xlsx")


def test_home(tmp_path, monkeypatch):
    touch(tmp_path, "a.parquet")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_files("~/a.parquet") == [str(Path(tmp_path) / "a.parquet")]
