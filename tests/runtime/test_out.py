"""Features written where the caller says: the same as those given back, and refused where they would not fit."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.cluster import KMeans

import gpupipe as gp
from gpupipe import col, errors
from gpupipe.runtime.streaming import streamed

ROWS = 1000


def table() -> pa.Table:
    rng = np.random.default_rng(3)
    x = pa.array(rng.normal(size=ROWS).astype(np.float32), mask=rng.random(ROWS) < 0.1)
    return pa.table({"x": x, "s": pa.array(rng.choice(["a", "b", "c"], ROWS)), "n": np.arange(ROWS)})


def pipeline(model: object = None) -> gp.Pipeline:
    return gp.Pipeline([col("x").fill_null("median").standardize(), col("s").codes()], model=model)


@pytest.mark.parametrize("partitions", [1, 7])
def test_an_array_gets_what_transform_gives(partitions: int, tmp_path: Path) -> None:
    source = gp.scan(table(), partitions=partitions)
    expected = pipeline().fit_transform(table(), output="numpy")
    mapped = np.memmap(tmp_path / "m", np.float32, "w+", shape=(ROWS, 2))
    inside = np.zeros((ROWS, 4), np.float32)
    fitted = pipeline()
    assert fitted.fit_transform(source, out=mapped) is mapped
    fitted.transform(source, out=inside[:, 1:3])
    np.testing.assert_array_equal(mapped, expected)
    np.testing.assert_array_equal(inside[:, 1:3], expected)
    assert not inside[:, [0, 3]].any()


def test_an_array_of_filtered_rows_whose_number_only_reading_tells() -> None:
    source = gp.scan(table(), partitions=5).filter(col("n") % 3 == 0)
    out = np.empty((334, 2), np.float32)
    fitted = pipeline().fit(source)
    assert gp.Pipeline.transform(fitted, gp.scan(table(), partitions=5).filter(col("n") % 3 == 0), out=out) is out
    np.testing.assert_array_equal(out, fitted.transform(source, output="numpy"))


def test_a_parquet_file_gets_what_transform_gives_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "features.parquet"
    assert pipeline().fit_transform(gp.scan(table(), partitions=7), out=path) == ROWS
    assert pq.read_table(path).equals(pipeline().fit_transform(table(), output="arrow").combine_chunks())
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_text_stands_in_the_file_as_text_and_numbers_without_a_dictionary(tmp_path: Path) -> None:
    path, when = tmp_path / "features.parquet", pa.array(np.arange(ROWS), pa.timestamp("us"))
    given = table().append_column("when", when).append_column("yes", pa.array([True, None] * (ROWS // 2)))
    codes = col("s").codes().alias("codes")
    fitted = gp.Pipeline([col("s"), col("x"), col("when"), codes, col("yes").cast("Boolean").alias("yes")]).fit(given)
    fitted.transform(gp.scan(given, partitions=3), out=str(path))
    group, found = pq.read_metadata(path).row_group(0), pq.read_table(path)
    for name in ("s", "x", "when", "yes"):
        assert found[name].to_pylist() == given[name].to_pylist()
    assert found["codes"].to_pylist() == fitted.transform(given)["codes"].to_pylist()
    assert [group.column(at).has_dictionary_page for at in range(5)] == [True, False, False, False, False]
    assert "DELTA_BINARY_PACKED" in group.column(2).encodings and "DELTA_BINARY_PACKED" in group.column(3).encodings


@pytest.mark.parametrize("where", ["array", "file"])
def test_components_are_written_too(where: str, tmp_path: Path) -> None:
    fitted = pipeline(KMeans(2, n_init=1, random_state=0)).fit(table())
    expected = fitted.transform(table(), output="numpy")
    if where == "array":
        found = fitted.transform(gp.scan(table(), partitions=3), out=np.empty((ROWS, 2), np.float32))
    else:
        fitted.transform(gp.scan(table(), partitions=3), out=tmp_path / "c.parquet")
        found = pq.read_table(tmp_path / "c.parquet").to_pandas().to_numpy()
    np.testing.assert_array_equal(found, expected.astype(np.float32) if where == "array" else expected)


@pytest.mark.parametrize(
    ("out", "kind", "says"),
    [
        (3, errors.ParameterError, "out= takes a NumPy array, or the path of a Parquet file; it was int."),
        (np.empty((ROWS, 2)), errors.ParameterError, "can be written to, and this one is float64."),
        (np.empty((ROWS, 3), np.float32), errors.ShapeError, "out has the shape (1000, 3), and there are 2 columns"),
        (np.empty((9, 2), np.float32), errors.ShapeError, "out has 9 rows, and there are 1,000 to write."),
        (np.broadcast_to(np.float32(0), (ROWS, 2)), errors.ParameterError, "float32, read-only"),
    ],
)
def test_what_out_does_not_take(out: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=re.escape(says)):
        pipeline().fit(table()).transform(table(), out=out)


def test_rows_that_do_not_fit_leave_the_rest_of_the_memory_alone() -> None:
    whole = np.zeros((400, 2), np.float32)
    with pytest.raises(errors.ShapeError, match="out has 300 rows, and there are 334 to write"):
        pipeline().fit(table()).transform(gp.scan(table(), partitions=5).filter(col("n") % 3 == 0), out=whole[:300])
    assert not whole[300:].any()


def test_what_float32_does_not_hold_is_refused_by_name() -> None:
    fitted = gp.Pipeline([col("n").cast("Int64"), col("x")]).fit(table())
    with pytest.raises(errors.TypeMismatchError, match=re.escape("does not hold 'n' (Int64) as they are. Cast them")):
        fitted.transform(table(), out=np.empty((ROWS, 2), np.float32))


def test_one_place_at_a_time() -> None:
    with pytest.raises(errors.ParameterError, match=re.escape("Both output='pandas' and out= were given.")):
        pipeline().fit(table()).transform(table(), output="pandas", out="x.parquet")


def test_few_results_wait_and_none_is_begun_once_nobody_takes_them() -> None:
    begun: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        results = streamed(lambda index: begun.append(index) or index, 100, pool, ahead=3)
        assert [next(results), next(results)] == [0, 1]
        results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 6
