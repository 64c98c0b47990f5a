"""Writing results: whole or not at all."""

import stat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpupipe.errors import DataError, ParameterError, SchemaMismatchError
from gpupipe.sources.write import write_parquet

ONE = pa.table({"a": [1, 2], "s": ["x", None]})


def test_tables_one_below_the_other(tmp_path):
    path = tmp_path / "out.parquet"
    assert write_parquet(iter([ONE, ONE.slice(1), ONE.slice(0, 0)]), path) == 3
    assert pq.read_table(path).to_pydict() == {"a": [1, 2, 2], "s": ["x", None, None]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]


def test_no_table(tmp_path):
    assert write_parquet([], tmp_path / "a.parquet", ONE.schema) == 0
    assert pq.read_schema(tmp_path / "a.parquet").names == ["a", "s"]
    with pytest.raises(DataError, match=r"no table to write to .*b\.parquet, and no schema="):
        write_parquet([], tmp_path / "b.parquet")
    assert not (tmp_path / "b.parquet").exists()


@pytest.mark.parametrize("fault", ["raises", "another schema"])
def test_what_stands_there_stays_until_the_new_file_is_whole(tmp_path, fault):
    path = tmp_path / "out.parquet"
    write_parquet([ONE], path)

    def tables():
        yield pa.table({"a": [9], "s": ["new"]})
        if fault == "raises":
            raise RuntimeError("died")
        yield pa.table({"a": ["text"]})

    with pytest.raises(
        RuntimeError if fault == "raises" else SchemaMismatchError, match=r"died|a: string follows one of"
    ):
        write_parquet(tables(), path)
    assert pq.read_table(path).equals(ONE) and len(list(tmp_path.iterdir())) == 1
    write_parquet([ONE.slice(1)], path)
    assert pq.read_table(path).num_rows == 1


def test_a_path_with_nul_is_told():
    with pytest.raises(ParameterError, match="without NUL"):
        write_parquet([ONE], "a\0b")
