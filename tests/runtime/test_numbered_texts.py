"""Text whose strings have one number for the whole run: what a fit learns and makes is what it is without.

The oracle is the same fit of the same rows without numbers, and pandas' counts.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.run_texts import RunTexts, TextOfRun
from gpupipe.errors import CastError
from gpupipe.runtime import beneath, halving
from gpupipe.runtime.cache import Cache
from gpupipe.runtime.rows import Rows
from gpupipe.sources import decoding

N_ROWS, GROUP = 40_000, 5_000


@pytest.fixture(autouse=True)
def decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding._Tally, "started", True)
    monkeypatch.setattr(beneath, "_LEAST", 0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The rows of each column whose strings were counted by number."""
    found: list[int] = []
    of_run = RunTexts.counted

    def noted(self: RunTexts, column: Any, rows: Any) -> Any:
        found.append(len(column))
        return of_run(self, column, rows)

    monkeypatch.setattr(RunTexts, "counted", noted)
    yield found


def table() -> pa.Table:
    rng = np.random.default_rng(3)
    few = rng.integers(0, 40, N_ROWS)
    many = (rng.random(N_ROWS) ** 3 * 9_000).astype(int)
    return pa.table(
        {
            "few": pa.array([f"k{number}" for number in few], mask=rng.random(N_ROWS) < 0.1),
            "many": pa.array([f"{number * 2654435761 % 2**32:08x}" for number in many]),
            "long": pa.array([f"ünlike the others {number // 3}" for number in many], mask=rng.random(N_ROWS) < 0.3),
            "nulls": pa.nulls(N_ROWS, pa.string()),
            "x": rng.random(N_ROWS),
        }
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Groups whose dictionaries are small, or end after some rows: the others stand in their pages."""
    found = tmp_path_factory.mktemp("texts") / "rows.parquet"
    pages = {"dictionary_pagesize_limit": 6_000, "data_page_size": 8_000, "write_batch_size": 500}
    pq.write_table(table(), found, row_group_size=GROUP, **pages)
    encodings = pq.read_metadata(found).row_group(0).column(1).encodings
    assert {"PLAIN", "RLE_DICTIONARY"} <= set(encodings)
    return found


TEXTS = ("few", "many", "long")


def pipeline(**how: Any) -> gp.Pipeline:
    return gp.Pipeline([gp.cols(*TEXTS).codes(min_count=3), col("x").standardize()], **how)


def source(path: Path) -> gp.Source:
    return gp.scan(path, partitions=8)


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rows, "number_texts", lambda self, names: None)


def test_codes_are_the_most_frequent_first(path: Path, counted: list[int]) -> None:
    """Of pandas: 0 null, 1 fewer than 3 rows, then by how often, ties by the bytes."""
    found = pipeline().fit_transform(source(path), output="numpy")
    assert len(counted) == 8 * len(TEXTS) and sum(counted) == N_ROWS * len(TEXTS)
    for at, name in enumerate(TEXTS):
        values = pd.Series(table()[name].to_pylist(), dtype=object)
        often = values.value_counts()
        often = often[often >= 3]
        order = sorted(often.index, key=lambda text: (-often[text], text.encode()))
        codes = {text: 2 + number for number, text in enumerate(order)}
        wanted = [0 if pd.isna(text) else codes.get(text, 1) for text in values]
        assert found[:, at].tolist() == wanted


@pytest.mark.parametrize("memory", [None, "1GiB", "20MB", 0])
@pytest.mark.parametrize("output", ["numpy", "arrow", None])
def test_a_fit_without_numbers_gives_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[int], memory: Any, output: Any
) -> None:
    """Where columns wait beneath the matrix, in memory or in files; with little memory few strings have numbers."""

    def made() -> tuple[str, Any]:
        fitted = pipeline(memory=memory)
        if output is None:
            fitted.fit(source(path))
            return fitted.state_digest(), fitted.transform(source(path), output="numpy").tobytes()
        result = fitted.fit_transform(source(path), output=output)
        return fitted.state_digest(), result.tobytes() if output == "numpy" else result

    found = made()
    assert 0 < len(counted) <= 8 * len(TEXTS)
    assert (len(counted) < 8 * len(TEXTS)) == (memory == 0)
    without(monkeypatch)
    assert made() == found


def test_rows_that_a_filter_keeps_have_their_numbers(
    path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    some = gp.scan(path, partitions=1).filter(col("x") > 0.25)
    found = pipeline().fit_transform(some, output="numpy")
    assert len(counted) == 3 and len(set(counted)) == 1 and counted[0] == len(found) < N_ROWS
    without(monkeypatch)
    assert pipeline().fit_transform(some, output="numpy").tobytes() == found.tobytes()


def test_a_partition_that_is_halved(path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[int]) -> None:
    monkeypatch.setattr(halving, "FEWEST", 32)
    expected = pipeline().fit_transform(source(path), output="numpy")
    of_run, failed = RunTexts.counted, list[int]()

    def tight(self: RunTexts, column: Any, rows: Any) -> Any:
        if len(column) == GROUP:
            failed.append(len(column))
            raise MemoryError
        return of_run(self, column, rows)

    monkeypatch.setattr(RunTexts, "counted", tight)
    assert pipeline().fit_transform(source(path), output="numpy").tobytes() == expected.tobytes() and failed


def test_rows_that_could_not_be_kept_are_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = pipeline().fit_transform(source(path), output="numpy")
    put = Cache.put
    monkeypatch.setattr(Cache, "put", lambda self, index, *how: None if index % 2 else put(self, index, *how))
    assert pipeline().fit_transform(source(path), output="numpy").tobytes() == expected.tobytes()


def test_a_second_scan_of_the_same_column(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statistic over codes is of a scan of its own, in which the strings may be counted once more."""
    coded = col("many").codes(min_count=3)
    filled = col("many").fill_null("mode").codes().alias("filled")
    features = [coded.fill_null(0).standardize().alias("scaled"), col("few").codes(), filled]
    found = gp.Pipeline(features).fit_transform(source(path), output="numpy")
    without(monkeypatch)
    assert gp.Pipeline(features).fit_transform(source(path), output="numpy").tobytes() == found.tobytes()


def test_other_uses_of_a_numbered_column(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = [
        col("many").codes(), col("many").str.len_chars().alias("length"), (col("few") == "k3").alias("k3"),
        col("long").str.to_uppercase().codes().alias("upper"), col("few").one_hot(),
        col("x").mean().over("few").alias("mean"), col("long").hash_buckets(16).alias("hashed"),
    ]  # fmt: skip
    found = gp.Pipeline(features).fit_transform(source(path), output="numpy")
    without(monkeypatch)
    assert gp.Pipeline(features).fit_transform(source(path), output="numpy").tobytes() == found.tobytes()


def test_columns_of_nothing_but_nulls(path: Path, counted: list[int]) -> None:
    assert not gp.Pipeline([col("nulls").codes()]).fit_transform(source(path), output="numpy").any()
    assert not counted


def test_the_artifact_is_the_same(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline().fit(source(path)).save(tmp_path / "one.gpp")
    without(monkeypatch)
    pipeline().fit(source(path)).save(tmp_path / "other.gpp")
    one, other = (
        {file.name: file.read_bytes() for file in sorted((tmp_path / name).rglob("*")) if file.is_file()}
        for name in ("one.gpp", "other.gpp")
    )
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


def test_text_that_is_not_utf8_is_refused_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {number % 50}".encode() for number in range(2_000)]
    texts[1_234] = b"\xff\xfe"
    array = pa.array(texts, pa.binary()).view(pa.string())
    pq.write_table(pa.table({"few": array}), tmp_path / "bad.parquet", row_group_size=500)

    def refused() -> str:
        with pytest.raises(CastError) as caught:
            gp.Pipeline([col("few").codes()]).fit(gp.scan(tmp_path / "bad.parquet", partitions=4))
        return str(caught.value)

    found = refused()
    without(monkeypatch)
    assert refused() == found and "1,234" in found


def test_a_column_that_waits_keeps_no_strings(path: Path) -> None:
    """Twice as many strings of the run do not make what is held of a partition larger."""
    with Rows(source(path), ["many"], memory="1GiB") as rows:
        rows.number_texts(["many"])
        first = rows.frame(0)
        held = rows.kept_bytes
        assert isinstance(first["many"], TextOfRun) and held == GROUP * 2
        assert rows.frame(0)["many"].values.to_pylist() == first["many"].values.to_pylist()
        for index in range(1, rows.n_partitions):
            rows.frame(index)
        assert rows.kept_bytes == held * rows.n_partitions
        assert rows.frame(3)["many"].values.to_pylist() == table()["many"][3 * GROUP : 4 * GROUP].to_pylist()


def test_room_for_strings_is_room_that_columns_do_not_have(path: Path) -> None:
    kept = []
    for names in ([], ["many"]):
        with Rows(source(path), ["x", "many"], memory=3_000_000) as rows:
            rows.number_texts(names)
            for index in range(rows.n_partitions):
                rows.frame(index)
            kept.append(rows._cache._budget)
            assert rows.kept_bytes <= kept[-1]
    assert kept[0] - kept[1] == 3_000_000 // 16
