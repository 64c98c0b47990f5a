"""Parquet decoded by kernels of ours, against Arrow's reader of the same file."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parquet_tables import (
    CODECS,
    NUMBERS,
    OTHER_CODECS,
    assert_same,
    by_arrow,
    by_pages,
    how_written,
    partition_of,
    random_table,
    written,
)

import gpupipe as gp
from gpupipe.backends import compiled
from gpupipe.errors import CastError, FileFormatError, GpupipeError
from gpupipe.kernels.cpu.page_entries import Entries
from gpupipe.sources import decoding, page_kernels
from gpupipe.sources.partition import frame_of

OURS = {*NUMBERS, "flag", "day", "at_ms", "at_us", "at_ns", "text", "large", "view", "category"}
NOT_IN_VERSION_1 = {"u32", "at_ns"}  # stored otherwise, for old readers


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


def check(path, wanted=None):
    """Every column that kernels of ours decode is Arrow's; which those are."""
    partition = partition_of(path)
    ours, theirs = by_pages(partition), by_arrow(partition)
    for name, column in ours.items():
        assert_same(name, column, theirs[name])
    if wanted is not None:
        assert set(ours) >= wanted, wanted - set(ours)
    return set(ours)


def one_random(folder, number, codecs=CODECS):
    chance = random.Random(number)
    n_rows = chance.choice([1, 2, 8, 100, 333, 700])
    options = how_written(chance, n_rows, codecs)
    path = written(folder / "a.parquet", random_table(chance, n_rows), options)
    found = check(path)
    if codecs is CODECS:
        assert found >= (OURS - NOT_IN_VERSION_1 if options["version"] == "1.0" else OURS), (options, OURS - found)


@settings(max_examples=20, deadline=None)
@given(number=st.integers(0, 2**31))
def test_random_files(tmp_path_factory, number):
    one_random(tmp_path_factory.mktemp("a"), number)


@pytest.mark.slow
def test_many_random_files(folder):
    for number in range(3000):
        one_random(folder, number)


@pytest.mark.parametrize("codec", OTHER_CODECS)
def test_other_codecs_are_arrows_to_read(folder, codec):
    table = random_table(random.Random(1), 50)
    assert check(written(folder / "a.parquet", table, {"compression": codec})) == set()


def test_what_is_arrows_to_read(folder):
    table = pa.table({
        "delta": pa.array(range(100)), "split": pa.array(np.arange(100.0)), "prefix": pa.array(["ab"] * 100),
        "list": pa.array([[1]] * 100), "plain": pa.array(range(100)),
        "blob": pa.array([b"a"] * 100, pa.binary()), "time": pa.array(range(100), pa.time64("us")),
    })  # fmt: skip
    encodings = {"delta": "DELTA_BINARY_PACKED", "split": "BYTE_STREAM_SPLIT", "prefix": "DELTA_BYTE_ARRAY"}
    path = folder / "a.parquet"
    pq.write_table(table, path, use_dictionary=False, column_encoding=encodings)
    assert check(path) == {"plain"}
    frame = gp.scan(path).load(0)
    assert frame["delta"].values.tolist() == list(range(100))


def test_a_leaf_of_a_structure_named_as_a_column_is_not_taken_for_it(folder):
    table = pa.table({"a": pa.array([{"x": 1}, {"x": 2}]), "a.x": [7, 8]})
    pq.write_table(table, folder / "a.parquet")
    partition = partition_of(folder / "a.parquet")
    found = decoding.decoded_here(partition.file.path, partition.metadata(), [0], partition.leaves, ["a.x"])
    assert found == {}


def test_no_rows(folder):
    table = random_table(random.Random(2), 10).slice(0, 0)
    path = written(folder / "a.parquet", table, {})
    assert gp.scan(path).load(0).n_rows == 0


def test_a_dictionary_that_grew_too_large(folder):
    """The first pages name entries, the others hold strings; in one row group, and beside groups without them."""
    few, many = ["a", "bcd"] * 400, [f"{k:040d}" for k in range(800)]
    table = pa.table({"s": few + many, "t": [*few[:-1], None, None, *many[1:]], "n": pa.array(range(1600), pa.int64())})
    for group in (1600, 800, 400):
        path = folder / f"{group}.parquet"
        pq.write_table(
            table, path, row_group_size=group, dictionary_pagesize_limit=3000, write_batch_size=50, data_page_size=500
        )
        check(path, {"s", "t", "n"})


def test_dictionaries_of_row_groups_become_one(folder):
    words = [f"word {k % 60}" for k in range(5000)] + [f"word {k % 90}" for k in range(5000)]
    path = folder / "a.parquet"
    pq.write_table(pa.table({"w": words}), path, row_group_size=1000)
    column = by_pages(partition_of(path))["w"]
    assert column.is_dictionary and column.values.dictionary.to_pylist() == list(dict.fromkeys(words))


def test_wide_indices(folder):
    """Dictionaries of many entries: indices of 9 to 18 bits."""
    for bits in (8, 9, 12, 15, 16, 17, 18):
        values = np.random.default_rng(bits).permutation(np.repeat(np.arange(2**bits, dtype=np.int64), 1))
        path = folder / f"{bits}.parquet"
        pq.write_table(
            pa.table({"n": values, "s": pa.array(values % 2 ** (bits - 1)).cast(pa.string())}), path,
            dictionary_pagesize_limit=2**30,
        )  # fmt: skip
        check(path, {"n", "s"})


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "uncompressed"])
def test_files_of_polars_and_duckdb(folder, compression, version):
    duckdb = pytest.importorskip("duckdb")
    rows = table = random_table(random.Random(3), 3000).drop_columns(["view", "category", "half", "amount"])
    frame = pl.DataFrame(table)
    frame.write_parquet(folder / "p.parquet", compression=compression, row_group_size=700, data_page_size=2000)
    check(folder / "p.parquet", {"f64", "text", "i64", "u8"})
    duckdb.from_arrow(rows).query(
        "rows",
        f"copy (from rows) to '{folder / 'd.parquet'}' (format parquet, codec '{compression}', row_group_size 2048, "
        f"parquet_version v{version})",
    )
    check(folder / "d.parquet", {"flag"} if version == "2" else {"f64", "text", "i32", "flag"})


def test_text_that_is_not_utf8(folder):
    array = pa.array([b"fine", b"a\xffb", b"fine", None], pa.binary())
    wrong = pa.Array.from_buffers(pa.string(), 4, array.buffers())
    for use_dictionary in (True, False):
        path = folder / "a.parquet"
        pq.write_table(pa.table({"s": wrong}), path, use_dictionary=use_dictionary)
        with pytest.raises(CastError) as ours:
            by_pages(partition_of(path))
        with pytest.raises(CastError) as theirs:
            by_arrow(partition_of(path))
        assert (str(ours.value), ours.value.row) == (str(theirs.value), theirs.value.row)


def test_a_time_finer_than_a_microsecond(folder):
    pq.write_table(pa.table({"t": pa.array([None, 1500], pa.timestamp("ns"))}), folder / "a.parquet")
    with pytest.raises(CastError, match="finer than a microsecond") as caught:
        by_pages(partition_of(folder / "a.parquet"))
    assert caught.value.row == 1


def test_of_two_wrong_columns_the_first_is_told_whoever_decodes_it(folder, monkeypatch):
    """Times of the day are Arrow's to decode, timestamps are decoded here."""
    finer = [1500, None]
    table = pa.table({"clock": pa.array(finer, pa.time64("ns")), "when": pa.array(finer, pa.timestamp("ns"))})
    pq.write_table(table, folder / "a.parquet")
    told = []
    for worth in (False, True):
        monkeypatch.setattr(decoding, "_are_worth", lambda n_values, worth=worth: worth)
        with pytest.raises(CastError, match="'clock'") as caught:
            gp.scan(folder / "a.parquet").load(0)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_threads_decode_at_once(folder):
    path = written(folder / "a.parquet", random_table(random.Random(5), 2000), {"row_group_size": 300})
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(lambda _: check(path, OURS), range(16)))) == 16


def test_scan_uses_it_once_it_pays_and_reads_the_same(folder, monkeypatch):
    path = written(folder / "a.parquet", random_table(random.Random(6), 500), {"row_group_size": 120})
    monkeypatch.setattr(decoding, "_are_worth", lambda n_values: False)
    arrow, told = gp.scan(path).load_with_report(0)
    monkeypatch.setattr(decoding, "_are_worth", lambda n_values: True)
    ours, said = gp.scan(path).load_with_report(0)
    assert told == said and list(ours.columns) == list(arrow.columns)
    for name in arrow.columns:
        assert_same(name, ours[name], arrow[name])


def test_few_values_are_arrows_to_read(folder, monkeypatch):
    path = written(folder / "a.parquet", random_table(random.Random(7), 500), {})
    monkeypatch.setattr(decoding._Tally, "values", 0)
    monkeypatch.setattr(decoding._Tally, "started", False)
    monkeypatch.setattr(compiled.Work, "expected", 0)
    monkeypatch.setattr(decoding.optional, "load", lambda name: pytest.fail(f"{name} was loaded"))
    gp.scan(path).load(0)
    assert 0 < decoding._Tally.values < decoding._READY and not decoding._Tally.started


def test_the_kernels_start_with_what_is_kept_or_for_many_values(folder, monkeypatch):
    path = written(folder / "a.parquet", random_table(random.Random(7), 500), {})
    monkeypatch.setattr(decoding._Tally, "values", 0)
    monkeypatch.setattr(decoding._Tally, "started", False)
    monkeypatch.setattr(decoding, "_READY", 100)
    monkeypatch.setattr(page_kernels, "are_ready", lambda: False)
    gp.scan(path).load(0)
    assert not decoding._Tally.started
    monkeypatch.setattr(decoding, "_COLD", decoding._Tally.values + 1)
    gp.scan(path).load(0)
    assert decoding._Tally.started


def test_all_kernels_are_prepared_together():
    page_kernels.prepare()
    assert page_kernels.are_ready()


def test_without_numba_arrow_reads(folder, monkeypatch):
    path = written(folder / "a.parquet", random_table(random.Random(7), 50), {})
    monkeypatch.setattr(decoding._Tally, "started", False)
    monkeypatch.setattr(decoding, "_READY", 0)
    monkeypatch.setattr(decoding.optional, "available", lambda name: False)
    monkeypatch.setattr(decoding.optional, "load", lambda name: pytest.fail(f"{name} was loaded"))
    assert gp.scan(path).load(0).n_rows == 50


# -- hostile ---------------------------------------------------------------------------------------------------
def test_strings_made_to_collide_are_given_up_soon():
    """All of one slot of the table, and of different hashes: taken in, they would cost the square of their number."""
    entries = Entries(np.empty)
    inverse, size = [pow(0x9E3779B97F4A7C15, -1, 2**64), 0xD6E8FEB86659FD93], 300_000

    def of_hash(wanted):  # the hash of 8 bytes, backwards
        state = ((wanted ^ wanted >> 32) * inverse[0] % 2**64) ^ inverse[1]
        return ((state ^ state >> 32) * inverse[0] % 2**64) ^ inverse[1] * 9 % 2**64

    page = np.zeros((size, 12), np.uint8)
    page[:, 0] = 8
    page[:, 4:] = np.array([of_hash(number + 1 << 32) for number in range(size)], np.uint64)[:, None].view(np.uint8)
    started = time.perf_counter()
    assert not entries.copy(page.ctypes.data, page.nbytes, size)
    assert not entries.add(page.ctypes.data, page.nbytes, size, np.empty(size, np.uint32))
    assert time.perf_counter() - started < 5  # their square is 9e10


# -- damage ---------------------------------------------------------------------------------------------------
def damaged(folder, number):
    """A small file, some bits of its pages flipped: what kernels of ours make of it, and what Arrow does."""
    chance = random.Random(number)
    n_rows = chance.choice([3, 40, 300])
    options = how_written(chance, n_rows, CODECS) | {"row_group_size": max(n_rows // 2, 1)}
    path = written(folder / "a.parquet", random_table(chance, n_rows), options)
    octets = bytearray(path.read_bytes())
    footer = 8 + int.from_bytes(octets[-8:-4], "little")
    for _ in range(chance.choice([1, 1, 2, 20])):
        octets[chance.randrange(4, len(octets) - footer)] ^= 1 << chance.randrange(8)
    path.write_bytes(octets)
    return partition_of(path)


def outcome(partition):
    """How many columns both read, and how many Arrow refuses and kernels of ours read; where both read, the same."""
    counts = [0, 0]
    metadata, groups = partition.metadata(), [group.number for group in partition.row_groups]
    for name in sorted(OURS):
        try:
            found = decoding.decoded_here(partition.file.path, metadata, groups, partition.leaves, [name])
        except CastError:
            found = {}
        try:
            table = partition._decode(metadata, groups, [name])
            arrow = by_arrow_of(partition, table, name)
        except GpupipeError:
            counts[1] += name in found
            continue
        if name in found:
            assert_same(name, found[name], arrow)
            counts[0] += 1
    return counts


def by_arrow_of(partition, table, name):
    from_arrow = frame_of(table, [name], partition.row_ids(), partition.types)
    return from_arrow[name]


def test_some_damaged_files(folder, monkeypatch):
    monkeypatch.setattr(decoding, "_are_worth", lambda n_values: True)
    totals = np.sum([outcome(damaged(folder, number)) for number in range(25)], axis=0)
    assert totals[0] > 100 and totals[1] == 0


@pytest.mark.slow
def test_many_damaged_files(folder, monkeypatch):
    monkeypatch.setattr(decoding, "_are_worth", lambda n_values: True)
    totals = np.sum([outcome(damaged(folder, 1000 + number)) for number in range(2000)], axis=0)
    print(totals)
    assert totals[0] > 10_000 and totals[1] == 0


def test_a_file_cut_short_is_refused(folder, monkeypatch):
    monkeypatch.setattr(decoding, "_are_worth", lambda n_values: True)
    path = written(folder / "a.parquet", random_table(random.Random(9), 3000), {})
    source = gp.scan(path)
    partition = source.partitions[0]
    with open(path, "r+b") as file:
        file.truncate(2000)
    with open(path, "rb", buffering=0) as file:
        places = {name: partition.leaves.index(name) for name in OURS}  # type: ignore[attr-defined]
        assert len(dict(decoding.optional.load("gpupipe.sources.pages").decoded(
            file, pq.read_metadata(written(folder / "b.parquet", random_table(random.Random(9), 3000), {})), [0], places
        ))) < len(OURS)  # fmt: skip
    with pytest.raises(FileFormatError):
        source.load(0)
