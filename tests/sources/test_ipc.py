"""Arrow IPC files: views of the file, cuts inside record batches, broken files."""

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_rows import rows_of, tables

from gpupipe.errors import FileFormatError, SchemaMismatchError
from gpupipe.expr import col
from gpupipe.sources import scan


def write(path, table, batch=10, compression=None):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=batch)
    return path


@settings(max_examples=40, deadline=None)
@given(tables, st.integers(1, 20), st.integers(1, 9), st.sampled_from([None, "lz4"]), st.integers(0, 60))
def test_any_partitioning_is_the_same_rows(tmp_path_factory, table, batch, parts, compression, cut):
    folder = tmp_path_factory.mktemp("ipc")
    write(folder / "a.arrow", table.slice(0, cut), batch, compression)
    write(folder / "b.arrow", table.slice(cut), 7)
    source = scan(folder, partitions=parts)
    assert rows_of(source) == {**table.to_pydict(), "row_ids": list(range(len(table)))}
    assert rows_of(source, ["flag"])["flag"] == table["flag"].to_pylist()
    assert source.n_rows == len(table)


def test_schema_sizes_and_views(tmp_path):
    path = write(tmp_path / "a.feather", pa.table({"x": np.arange(100.0), "s": ["a", None] * 50}), 100)
    source = scan(path, partitions=4)
    assert [p.n_rows for p in source.partitions] == [25] * 4 and source.nbytes(["x"]) == 800
    assert [source.schema[name].nullable for name in ("x", "s")] == [False, True]
    frame, report = source.load_with_report(2, ["x"])
    assert not frame["x"].values.flags.writeable and not frame["x"].values.flags.owndata
    assert report.bytes_read == 200 and frame["x"].values[0] == 50
    assert source.filter(col("x") >= 90).counts().rows_filtered == {"(x >= 90)": 90}


def test_feather_and_sniffed_files(tmp_path):
    pyarrow.feather.write_feather(pa.table({"a": [1]}), tmp_path / "a.feather")
    assert rows_of(scan(tmp_path / "a.feather"))["a"] == [1]
    write(tmp_path / "no_ending", pa.table({"a": [2]}))
    assert rows_of(scan(tmp_path / "no_ending"))["a"] == [2]


def test_no_rows(tmp_path):
    source = scan(write(tmp_path / "a.arrow", pa.table({"a": pa.array([], pa.int8())})))
    assert source.count() == 0 and source.load(0)["a"].values.dtype == np.int8


def test_broken_and_unequal_files(tmp_path):
    write(tmp_path / "a.arrow", pa.table({"a": list(range(100))}))
    whole = (tmp_path / "a.arrow").read_bytes()
    for content in (b"", b"ARROW1\0\0", whole[: len(whole) // 2]):
        (tmp_path / "bad.arrow").write_bytes(content)
        with pytest.raises(FileFormatError, match=r"bad\.arrow: it (is empty|cannot be read as Arrow IPC)"):
            scan(tmp_path / "bad.arrow")
    write(tmp_path / "b.arrow", pa.table({"a": ["x"]}))
    with pytest.raises(
        SchemaMismatchError, match=r"b\.arrow, column 'a': it is String here and Int64 in .*a\.arrow"
    ):
        scan([tmp_path / "a.arrow", tmp_path / "b.arrow"])
