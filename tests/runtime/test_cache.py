"""Columns kept for further trips: what comes back is what went in, to the bit, and nothing is left behind.

The oracle is the column itself, and a fit with all the memory it wants.
"""

import dataclasses
import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults import ERRNOS, GROWING, Counting, FailsFrom, FailsOnce, exit_of, forked, in_child, in_place, open_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from strategies import drawn_tables, matrix_features

import gpupipe as gp
from gpupipe import col
from gpupipe.columns import Column, Frame, Values
from gpupipe.errors import GpupipeError, ParameterError
from gpupipe.runtime import spill as spill_module
from gpupipe.runtime.cache import Cache, column_bytes
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.spill import Spill
from gpupipe.schema import Boolean, Float64, Int64, Null, String
from gpupipe.sources.border import to_column

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert tempfile.gettempdir() == str(folder)  # tries it by a file with a name: now, not in a child that is watched
    return folder


@pytest.fixture(params=[False, True], ids=["read", "mapped"])
def mapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether columns are mapped into memory on the way back, however small."""
    monkeypatch.setattr(spill_module, "_WORTH_MAPPING", 1 if request.param else 2**60)
    return bool(request.param)


# -- what comes back --------------------------------------------------------------------------------------------
def same(a: Column, b: Column) -> bool:
    """Equal to the bit, values under nulls included, and of one form."""
    if a.dtype != b.dtype or (a.valid is None) != (b.valid is None) or not same_arrays(a.valid, b.valid):
        return False
    if isinstance(a.values, np.ndarray):
        return same_arrays(a.values, b.values)
    if a.is_dictionary and not a.values.dictionary.equals(b.values.dictionary):
        return False
    return bool(a.values.type == b.values.type and a.values.equals(b.values))


def same_arrays(a: Values | None, b: Values | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def same_frames(a: Frame, b: Frame) -> bool:
    assert list(a.columns) == list(b.columns) and a.n_rows == b.n_rows
    assert same_arrays(a.row_ids, b.row_ids) and same_arrays(a.places, b.places)
    return all(same(a[name], b[name]) for name in a.columns)


def put_and_taken(frame: Frame, budget: int) -> Frame:
    cache = Cache(budget)
    cache.put(0, frame)
    found = cache.frame(0, list(frame.columns))
    assert found is not None and cache.failure is None
    assert cache.kept_bytes <= budget
    assert cache.spilled_bytes > 0 or budget > 0 or not any(column_bytes(frame[name]) for name in frame.columns)
    cache.close()  # what was taken stays
    return found


@QUICK
@given(drawn_tables(), st.sampled_from([0, 100, 10_000, 10**9]), st.integers(0, 400))
def test_every_type_comes_back_as_it_was(drawn: Any, budget: int, start: int) -> None:
    table = drawn.table
    table = table.slice(min(start, table.num_rows))  # arrays with an offset, and empty ones
    columns = {name: to_column(table.column(name)) for name in table.column_names}
    frame = Frame(columns, table.num_rows, np.arange(start, start + table.num_rows, dtype=np.uint64))
    assert same_frames(put_and_taken(frame, budget), frame)


AWKWARD = {
    "NaN of any kind, and signs of zero": Column(
        Float64, np.array([0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000001, 1 << 63, 1], "u8").view("f8")
    ),
    "values under nulls": Column(Int64, np.array([3, -1, 7]), np.array([True, False, False])),
    "no null, and an array that says so": Column(Int64, np.array([3]), np.array([True])),
    "booleans over several bytes": Column(Boolean, np.arange(17) % 3 == 0, np.arange(17) % 2 == 0),
    "nothing but nulls": Column(Null, np.zeros(3, bool), np.zeros(3, bool)),
    "text whose nulls only validity states": Column(String, pa.array(["", "b", "ü"]), np.array([False, True, True])),
    "text whose nulls Arrow states too": Column(String, pa.array(["a", None]), np.array([True, False])),
    "text from the middle": Column(String, pa.array(["a", None, "c", "dd"])[1:3], np.array([False, True])),
    "a dictionary with an entry that no row uses": Column(
        String, pa.DictionaryArray.from_arrays(pa.array([1, None, 1], pa.int32()), pa.array(["x", "y", "z"])),
        np.array([True, False, True]),
    ),
    "a dictionary's rows from the middle": Column(
        String, pa.DictionaryArray.from_arrays(pa.array([2, 0, 1, 1], pa.int32()), pa.array(["x", "y", "z"]))[1:3]
    ),
    "several columns in one": Column(Float64, np.arange(6.0).reshape(2, 3), np.array([True, False, True])),
    "several, not side by side": Column(Float64, np.arange(6.0).reshape(3, 2).T),
    "every other value": Column(Int64, np.arange(10)[::2]),
    "no rows": Column(Int64, np.zeros(0, np.int64)),
    "no rows of text": Column(String, pa.array([], pa.string())),
}  # fmt: skip


@pytest.mark.parametrize("column", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("budget", [0, 10**6], ids=["spilled", "kept"])
def test_awkward_columns_come_back(column: Column, budget: int, mapped: bool) -> None:
    frame = Frame({"x": column}, len(column), np.arange(len(column), dtype=np.uint64))
    assert same_frames(put_and_taken(frame, budget), frame)


@pytest.mark.parametrize("budget", [0, 10**6], ids=["spilled", "kept"])
@pytest.mark.parametrize("ids", [[4, 5, 6], [4, 6, 5], [4, 5, 7], [6, 6, 6], [2**64 - 1, 0, 1]], ids=str)
def test_identities_and_places_come_back(ids: list[int], budget: int) -> None:
    numbers = np.array(ids, np.uint64)
    columns = {"x": Column(Int64, np.arange(3))}
    for frame in (Frame(columns, 3, numbers), Frame(columns, 3, numbers, np.array([3, 4, 5], np.uint64)),
                  Frame(columns, 3, np.array([3, 4, 5], np.uint64), numbers)):  # fmt: skip
        assert same_frames(put_and_taken(frame, budget), frame)


def test_rows_one_after_the_other_take_no_room() -> None:
    cache = Cache(10**6)
    cache.put(0, Frame({}, 1000, np.arange(7, 1007, dtype=np.uint64)))
    assert cache.kept_bytes == cache.spilled_bytes == 0
    cache.put(1, Frame({}, 1000, np.arange(1000, dtype=np.uint64)[::-1]))
    assert cache.kept_bytes == 8000


def wide_frame(n: int = 1000) -> Frame:
    columns = {f"x{at}": Column(Int64, np.arange(n) * at, np.arange(n) % 7 > 0) for at in range(10)}
    return Frame(columns, n, np.arange(n, dtype=np.uint64))


def test_only_the_columns_asked_for_are_read(place: Path, mapped: bool) -> None:
    cache, frame = Cache(0), wide_frame()
    cache.put(0, frame)
    with in_place(Counting()) as counting:
        found = cache.frame(0, ["x7", "x2"])
    assert found is not None and same_frames(found, frame.select(["x7", "x2"]))
    assert counting.tally == ({"mmap": 1} if mapped else {"pread": 2})
    assert cache.frame(0, ["x7", "none such"]) is None and cache.frame(1, ["x7"]) is None and cache.failure is None
    cache.close()


def test_what_fits_stays_column_by_column() -> None:
    frame = wide_frame()
    cache = Cache(column_bytes(frame["x0"]) * 4 + 5)
    cache.put(0, frame)
    assert cache.kept_bytes == 4 * 9000
    assert 6 * 8125 < cache.spilled_bytes < 6 * 9000  # validity as bits
    with in_place(Counting()) as counting:
        found = cache.frame(0, list(frame.columns))
    assert found is not None and same_frames(found, frame) and counting.tally == {"pread": 6}
    cache.close()


def test_views_of_what_stays_in_memory_anyway_cost_nothing() -> None:
    """A table in memory is not copied to a disk, however small the budget."""
    table = pa.table({"x": np.arange(1000.0), "y": pa.array([1, None] * 500), "d": ["a", "b"] * 500})
    with Rows(gp.scan(table, partitions=3), ["x", "y", "d"], memory=80_000) as rows:
        for _ in range(2):
            frames = [rows.frame(index) for index in range(3)]
        assert rows.source_reads == 1 and rows.spilled_bytes == 0
        text = sum(column_bytes(frame["d"]) for frame in frames)
        assert rows.kept_bytes == 1000 + text  # the validity of y, unpacked, and text


def test_frames_that_are_kept_cannot_be_written_to(files: Path) -> None:
    for memory in (0, "1GiB"):
        with Rows(gp.scan(files, partitions=3), ["x", "n", "city"], memory=memory) as rows:
            for frame in (rows.frame(1), rows.frame(1)):
                for array in (frame["x"].values, frame["n"].valid, frame.row_ids):
                    assert array is not None
                    with pytest.raises(ValueError, match="read-only"):
                        array[0] = 1
    own = np.array([1.0, 2.0])
    with Rows(gp.scan({"own": own}), ["own"]) as rows:
        rows.frame(0)
        own[0] = 5  # the user's array is the user's


ROWS = 24_000


# -- a fit ------------------------------------------------------------------------------------------------------
def table(n: int = ROWS // 2, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pa.table(
        {
            "x": x,
            "n": pa.array(rng.integers(0, 99, n), mask=rng.random(n) < 0.2),
            "city": pa.array(rng.choice(["Oslo", "Rome", "Lima"], n)).dictionary_encode(),
            "unused": rng.normal(size=n),
            "y": 3 * x + rng.normal(size=n),
        }
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two Parquet files of small row groups."""
    folder = tmp_path_factory.mktemp("files")
    for number in range(2):
        pq.write_table(table(seed=number), folder / f"{number}.parquet", row_group_size=ROWS // 7)
    return folder


# Less than the columns of these files take, and room for the statistics.
SMALL = 120_000

# Three trips: what a statistic needs, what a statistic of that needs, and the features.
FEATURES = [
    col("x").standardize().tanh().standardize(),
    col("n").fill_null("median").standardize(),
    col("city").one_hot(),
]


def learner(memory: int | str | None) -> gp.Pipeline:
    return gp.Pipeline(FEATURES, target="y", model=LinearRegression(), memory=memory)


@dataclasses.dataclass
class Result:
    """What a fit learned, to the bit, and its report."""

    digest: str
    model: str
    report: Any


def result(files: Path, memory: int | str | None, partitions: int = 6) -> Result:
    pipeline = learner(memory).fit(gp.scan(files, partitions=partitions))
    assert pipeline.model_ is not None
    return Result(pipeline.state_digest(), pipeline.model_.digest(), pipeline.report_)


@pytest.mark.parametrize("memory", [0, 1000, 30_000, 60_000, "1GiB", None])
def test_any_budget_gives_the_same_bits_and_reads_the_source_once(
    files: Path, place: Path, memory: int | str | None
) -> None:
    wanted, found = result(files, "1GiB"), result(files, memory)
    assert (found.digest, found.model) == (wanted.digest, wanted.model)
    report = found.report
    assert (report.source_reads, report.scans, report.read_again) == (1, wanted.report.scans, None) and report.scans > 1
    assert report.bytes_read == wanted.report.bytes_read
    assert wanted.report.kept_bytes > 60_000 and wanted.report.spilled_bytes == 0
    spilled = memory not in ("1GiB", None)
    assert (report.spilled_bytes > 0) == spilled == ("MB in temporary files" in repr(report))
    assert not spilled or report.kept_bytes <= int(memory)  # type: ignore[arg-type]
    assert os.listdir(place) == [] and open_files(place) == []


@settings(QUICK, max_examples=25)
@given(
    drawn_tables(), st.lists(matrix_features(), min_size=1, max_size=3), st.integers(1, 6), st.sampled_from([0, 3000])
)
def test_every_trip_finds_what_it_needs(drawn: Any, features: list[Any], partitions: int, memory: int) -> None:
    """Random pipelines: of what the first trip read, that which is kept is enough for all others."""

    def trained(memory: int | str) -> tuple[str, bytes] | str:
        pipeline = gp.Pipeline(features, target="amount", memory=memory)
        try:
            made = pipeline.fit_transform(gp.scan(drawn.table, partitions=partitions), output="arrow")
        except GpupipeError as error:
            return f"{type(error).__name__}: {error}"
        assert pipeline.report_.source_reads == 1 and pipeline.report_.read_again is None
        return pipeline.state_digest(), repr(made.to_pydict()).encode()

    assert trained(memory) == trained("1GiB")


def test_a_single_trip_keeps_nothing(files: Path, place: Path) -> None:
    one = gp.Pipeline([col("x").standardize(), col("city").codes()], memory=SMALL)
    with in_place(Counting()) as counting:
        report = one.fit(gp.scan(files, partitions=6)).report_
    assert (report.scans, report.source_reads, report.kept_bytes, report.spilled_bytes) == (1, 1, 0, 0)
    assert counting.count == 0
    assert "read once, nothing kept" in str(one.explain(files))
    again = one.fit_transform(gp.scan(files, partitions=6))
    assert again.num_rows == ROWS and one.report_.source_reads == 1 and one.report_.spilled_bytes > 0


def test_only_columns_that_are_needed_again_are_kept(files: Path) -> None:
    """The first trip alone takes in the nulls of n and the mode of city."""
    features = [col("x").standardize().tanh().standardize(), (col("x") > col("n").max()).alias("above")]
    pipeline = gp.Pipeline([*features, (col("x") + col("city").n_unique()).alias("more")])
    kept = pipeline.fit(gp.scan(files, partitions=6)).report_.kept_bytes
    assert kept == ROWS * 8  # x


def test_explain_says_what_becomes_of_the_columns(files: Path) -> None:
    said = {memory: str(learner(memory).explain(files)) for memory in ("1GiB", "400kB", 0, None)}
    assert "kept in memory for further trips" in said["1GiB"] and "kept in memory for further trips" in said[None]
    for memory, amount in (("400kB", "0.1"), (0, "0.0")):
        assert f"kept for further trips: {amount} MB in memory, the rest in temporary files" in said[memory]


def test_an_amount_that_is_none_is_refused_before_a_row_is_read(files: Path) -> None:
    for fit in (learner("4G").fit, learner("4G").explain, gp.Pipeline([col("x")], memory="4G").fit):
        with pytest.raises(ParameterError, match="memory='4G' is no amount of memory"):
            fit(files)


def test_filters_keys_and_groups_keep_their_rows(files: Path, place: Path) -> None:
    source = gp.scan(files, partitions=6).filter(col("n") > 20)
    features = [col("city").target_mean(), col("x").standardize()]
    for made in (source, source.with_key("n")):
        found = [gp.Pipeline(features, target="y", memory=memory).fit_transform(made) for memory in (0, "1GiB")]
        assert found[0].equals(found[1])


def test_threads_share_a_budget_and_read_each_partition_once(files: Path, place: Path, mapped: bool) -> None:
    source = gp.scan(files, partitions=8)
    columns = ["x", "n", "city", "y"]
    wanted = [source.load(index, columns) for index in range(len(source.partitions))]
    budget = sum(column_bytes(frame[name]) for frame in wanted for name in columns) // 2
    order = list(range(len(wanted))) * 12
    random.Random(3).shuffle(order)
    with Rows(source, columns, memory=2 * budget) as rows, ThreadPoolExecutor(8) as pool:
        for index, frame in zip(order, pool.map(rows.frame, order), strict=True):
            assert same_frames(frame, wanted[index])
        assert rows.source_reads == 1 and rows.read_again is None
        assert rows.budget.kept * 0.8 < rows.kept_bytes <= rows.budget.kept and rows.spilled_bytes > 0
    del frame  # what was handed out keeps its map
    assert open_files(place) == []


# -- disks that fail --------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def clean(files: Path) -> Result:
    return result(files, "1GiB", partitions=3)


def check_told(found: Result, clean: Result, code: int) -> bool:
    """The same bits; and if the source was read again, the report says so. Whether it was."""
    assert (found.digest, found.model) == (clean.digest, clean.model)
    report = found.report
    if report.read_again is None:
        assert report.source_reads == 1
        return False
    assert report.source_reads > 1 and os.strerror(code) in report.read_again and report.read_again in repr(report)
    return True


def every_call(source: Path, place: Path, codes: tuple[int, ...]) -> tuple[int, int]:
    """Each call of a fit failing, in turn with each of `codes`; how many fits said that it did, of how many."""
    clean = result(source, "1GiB", partitions=1)
    with in_place(Counting()) as counting:
        result(source, SMALL, partitions=1)
    told = 0
    for at in range(1, counting.count + 1):
        code = codes[at % len(codes)]
        with in_place(FailsOnce(at, code)):
            told += check_told(result(source, SMALL, partitions=1), clean, code)
        assert os.listdir(place) == [] and open_files(place) == []
    return told, counting.count


def test_any_one_call_failing_is_told_and_changes_no_bit(files: Path, place: Path, mapped: bool) -> None:
    told, calls = every_call(files / "0.parquet", place, ERRNOS)
    assert calls - 3 <= told < calls  # closing does not matter


@pytest.mark.slow
def test_any_one_call_of_several_partitions_failing_in_every_way(files: Path, place: Path, mapped: bool) -> None:
    for code in ERRNOS:
        told, calls = every_call(files, place, (code,))
        print(f"{os.strerror(code)}: {calls} calls, {told} told")
        assert calls - 3 <= told < calls


@pytest.mark.parametrize("at", [1, 2, 3, 20, 60])
def test_a_disk_that_is_full_from_some_call_on(files: Path, place: Path, clean: Result, at: int) -> None:
    with in_place(FailsFrom(at, errno.ENOSPC, GROWING)) as storage:
        found = result(files, SMALL, partitions=3)
    assert check_told(found, clean, errno.ENOSPC)
    assert "of 4 read again: writing the rest to temporary files failed" in found.report.read_again
    assert storage.log.count("open") == 1  # it is not tried again and again


def test_part_of_a_partition_takes_no_space_when_the_rest_fails(place: Path) -> None:
    spill = Spill()
    columns = [Column(Int64, np.arange(1000))] * 3
    spill.write(columns)
    before = spill._idle[0].end
    for at in range(1, 12):
        with in_place(FailsFrom(at, errno.ENOSPC, ("pwrite",))), pytest.raises(OSError, match="No space"):
            spill.write(columns)
        assert os.fstat(spill._idle[0].descriptor).st_size == before
    assert [same(spill.read(part), columns[0]) for part in spill.write(columns)] == [True] * 3
    spill.close()


class Forgets(Counting):
    """One of the large writes takes place, and what it wrote is lost."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.left = lost

    def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        if name == "pwrite" and len(args[1]) > 1000:
            self.left -= 1
            if not self.left:
                return os.pwrite(args[0], bytes(len(args[1])), args[2])
        return do()


def test_what_is_not_what_was_written_is_read_again(files: Path, place: Path, clean: Result, mapped: bool) -> None:
    """A page that could not be written may come back as zeros, and no call says so."""
    for lost in (1, 4, 9):
        with in_place(Forgets(lost)):
            found = result(files, SMALL, partitions=3)
        assert (found.digest, found.model) == (clean.digest, clean.model)
        assert "1 partition of 4 read again: reading the temporary files failed" in found.report.read_again


def test_fit_transform_tells_too(files: Path, place: Path) -> None:
    pipeline = gp.Pipeline([col("x").standardize()], memory=SMALL)
    wanted = gp.Pipeline([col("x").standardize()]).fit_transform(gp.scan(files, partitions=3))
    with in_place(Counting()) as counting:
        pipeline.fit_transform(gp.scan(files, partitions=3))
    with in_place(FailsOnce(counting.log.index("pread") + 2, errno.EIO)):
        found = pipeline.fit_transform(gp.scan(files, partitions=3))
    assert found.equals(wanted) and pipeline.report_.source_reads == 2
    told = "1 partition of 4 read again: reading the temporary files failed: Input/output error"
    assert told in repr(pipeline.report_)


def test_no_folder_for_temporary_files(files: Path, clean: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    found = result(files, SMALL, partitions=3)
    assert found.digest == clean.digest
    assert "4 partitions of 4 read again: writing the rest to temporary files failed: No usable" in repr(found.report)


FULL = """
import gpupipe as gp
from runtime.test_cache import SMALL, learner
pipeline = learner(SMALL).fit(gp.scan({files!r}, partitions=6))
print(pipeline.state_digest())
print(pipeline.report_)
"""


def test_a_real_disk_that_is_full(files: Path, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no mounting here")
    (tmp_path / "disk").mkdir()
    here = Path(__file__)
    (tmp_path / "fit.py").write_text(FULL.format(files=str(files)))
    script = f"""
set -e
cd {tmp_path}
mount -t tmpfs -o size=64k none disk
TMPDIR={tmp_path}/disk PYTHONPATH={here.parent.parent}:$PYTHONPATH {sys.executable} fit.py
ls -A disk
df --output=used disk
"""
    ran = subprocess.run(["unshare", "-rm", "bash", "-c", script], capture_output=True, text=True)
    lines = ran.stdout.splitlines()
    assert lines and lines[0] == result(files, "1GiB", partitions=6).digest, ran.stderr
    assert "read again: writing the rest to temporary files failed: No space left on device" in ran.stdout
    assert lines[-1].strip() == "0", "nothing is left on it"


# -- nothing is left --------------------------------------------------------------------------------------------
class Stopped(Counting):
    """The fit is interrupted at a call."""

    def __init__(self, at: int, error: BaseException) -> None:
        super().__init__()
        self.at, self.error, self.seen = at, error, [""]

    def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        if self.count == self.at:
            raise self.error
        return do()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError()], ids=repr)
@pytest.mark.parametrize("at", [2, 5, 40, 80])
def test_files_are_freed_whatever_ends_the_fit(files: Path, place: Path, at: int, error: BaseException) -> None:
    with in_place(Stopped(at, error)) as storage, pytest.raises(type(error)):
        result(files, SMALL, partitions=3)
    assert storage.count >= at
    assert os.listdir(place) == [] and open_files(place) == []


@pytest.mark.parametrize("at", [2, 5, 40, 80])
def test_a_lone_want_of_memory_ends_no_fit(files: Path, place: Path, at: int) -> None:
    with in_place(Stopped(at, MemoryError())) as storage:
        tried = result(files, SMALL, partitions=3)
    assert storage.count >= at and tried.report.retries == 1
    assert tried.digest == result(files, SMALL, partitions=3).digest
    assert os.listdir(place) == [] and open_files(place) == []


def test_rows_that_nobody_closed_free_their_files(files: Path, place: Path) -> None:
    rows = Rows(gp.scan(files, partitions=3), ["x"], memory=0)
    rows.frame(0)
    assert len(open_files(place)) == 1
    del rows
    assert open_files(place) == []


def test_rows_that_were_closed_read_the_source(files: Path, mapped: bool) -> None:
    rows = Rows(gp.scan(files, partitions=3), ["x"], memory=0)
    first, spilled = rows.frame(0), rows.frame(0)
    assert rows.source_reads == 1
    rows.close()
    rows.close()
    assert same_frames(rows.frame(0), first) and rows.source_reads == 2
    assert same_frames(spilled, first), "what was handed out stays"


def endless(files: Path) -> None:
    with Rows(gp.scan(files, partitions=3), ["x", "n"], memory=0) as rows:
        while True:
            rows.frame(0)


def test_a_killed_process_leaves_nothing(files: Path, place: Path) -> None:
    child = in_child(lambda: endless(files))
    try:
        held = Path(f"/proc/{child}/fd")
        while not any(str(place) in os.path.realpath(descriptor) for descriptor in held.iterdir()):
            pass
        assert os.listdir(place) == []  # nobody finds it while it is there either
    finally:
        os.kill(child, signal.SIGKILL)
    assert exit_of(child) == -signal.SIGKILL and os.listdir(place) == []


def test_files_are_the_user_s_alone(place: Path) -> None:
    spill = Spill()
    spill.write([Column(Int64, np.arange(3))])
    status = os.fstat(spill._idle[0].descriptor)
    assert status.st_mode & 0o777 == 0o600 and status.st_nlink == 0
    spill.close()


def test_a_forked_process_does_not_take_the_files_along(files: Path, place: Path) -> None:
    with Rows(gp.scan(files, partitions=3), ["x"], memory=0) as rows:
        wanted = rows.frame(0)
        assert forked(lambda: rows.close()) == 0
        assert same_frames(rows.frame(0), wanted) and rows.source_reads == 1
