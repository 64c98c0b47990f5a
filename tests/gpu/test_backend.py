"""The gpu backend on the simulated device: the bits of every operator, launches, errors, what is left to the host."""

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from engine import TABLE, sample
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import TARGETS, drawn_tables, feature_lists
from test_parity import attempt, bits, fitted, told

import gpupipe as gp
from gpupipe import col
from gpupipe.backends import devices
from gpupipe.backends.backend import backend_for
from gpupipe.backends.categories import Tables
from gpupipe.backends.cpu import CpuBackend
from gpupipe.backends.gpu import backend as backend_module
from gpupipe.backends.gpu import program as program_module
from gpupipe.backends.gpu.backend import GpuBackend
from gpupipe.backends.gpu.columns import DeviceColumn, packed, uploaded
from gpupipe.backends.gpu.hosted import hosted
from gpupipe.backends.gpu.placed import Uploading, of_entries, placed, placed_frame, plain, settled, with_null
from gpupipe.backends.gpu.program import GpuProgram
from gpupipe.columns import Chosen, Column, Frame
from gpupipe.errors import DataError, DeviceError, DeviceMemoryError, IntegerOverflowError
from gpupipe.expr.node import show
from gpupipe.kernels.gpu import lookup
from gpupipe.kernels.gpu.bins import bins
from gpupipe.kernels.gpu.finite import first_unfinite
from gpupipe.kernels.gpu.ids import Ids, with_absent
from gpupipe.schema import Int64, String

from .nvrtc import why_not
from .simulated import SimulatedDevice

CPU = CpuBackend(numba=False)
FEW = settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=400, derandomize=False)
SMALL, LARGER = drawn_tables(sizes=(1, 3, 23, 83)), drawn_tables(sizes=(1, 2, 18, 54, 142))


@pytest.fixture(scope="module")
def shared() -> SimulatedDevice:
    """One device for all: kernels are compiled once."""
    if why_not():
        pytest.skip(why_not())
    return SimulatedDevice()


# -- the same bits ----------------------------------------------------------------------------------------------
def check(drawn: Any, features: Any, target: str, device: SimulatedDevice) -> None:
    source = gp.scan(drawn.table)
    expected, found = (attempt(told, features, source, backend, target) for backend in (CPU, GpuBackend(device)))
    assert (found == expected) if isinstance(expected, str) else found.__dict__ == expected.__dict__


@FEW
@given(drawn=SMALL, features=feature_lists(), target=st.sampled_from(TARGETS))
def test_random_pipelines_have_the_cpus_bits(shared, drawn, features, target):
    check(drawn, features, target, shared)


@pytest.mark.slow
@MANY
@given(
    drawn=drawn_tables(sizes=(1, 2, 18, 54, 142)),
    features=feature_lists(most=6, depth=3),
    target=st.sampled_from(TARGETS),
)
def test_many_random_pipelines_have_the_cpus_bits(shared, drawn, features, target):
    check(drawn, features, target, shared)


CATALOGUE: dict[str, Any] = {
    "numbers": [(col("x") * 2 - col("i")).alias("a"), col("y").clip(-1, 1), col("w").log1p(),
                (col("i") // 3).alias("q")],
    "nulls": [col("x").fill_null("median"), col("x").is_null().alias("n"), gp.coalesce("x", "y").alias("c")],
    "choices": [gp.when(col("a") & ~col("b")).then(col("x")).otherwise(col("y")).alias("w")],
    "scaled": [col("x").standardize(), col("y").robust().alias("r"), col("w").min_max(), col("i").max_abs()],
    "bins": [col("x").bucketize([-1.0, 0.0, 2.5]), col("y").qcut(4), col("i").bucketize([0]).alias("ib")],
    "dates": [col("d").dt.year(), col("t").dt.hour(), col("z").dt.hour().alias("zh"), col("u").dt.total_hours()],
    "codes of text": [col("c").codes(), col("s").codes(min_count=2, other_buckets=3).alias("b")],
    "codes of numbers": [col("i").codes(), col("a").codes(), col("d").codes(),
                         col("x").codes(other_buckets=2, min_count=2)],
    "one_hot": [col("c").one_hot(), col("i").one_hot(null=True)],
    "hashes": [col("s").hash_buckets(7), col("i").hash_buckets(5), col("c").cross("i", "x", 11).alias("k")],
    "text": [col("s").str.to_lowercase().codes(), col("s").str.len_chars().alias("l"), (col("s") == "a").alias("e"),
             col("s").str.contains("é").alias("has"), col("c").fill_null("none").codes().alias("f")],
    "texts of several columns": [gp.coalesce("s", "c").codes(), (col("s") < col("c")).alias("before"),
                                 gp.when(col("a")).then(col("s")).otherwise(col("c")).codes().alias("w")],
    "listed": [col("c").is_in(["c1", "c9"]).alias("in"), col("i").is_in([1, 2, 3]).alias("in_i"),
               col("c").ordinal(["c1", "c2"], unknown="null"), col("i").ordinal([3, 1], unknown="null").alias("io")],
    "by group": [col("x").mean().over("c").alias("m"), col("y").fill_null("mean").std().over("i", "c").alias("sd"),
                 col("x").median().over("a").alias("med"), col("c").frequency(),
                 col("s").mode().over("c").codes().alias("mo")],
    "text leaves": [col("s").str.to_uppercase().alias("up"), col("c").mode().alias("m"), col("s").str.slice(0, 2)],
    "target": [col("c").target_mean(), col("i").target_mean(smoothing=2).alias("t"), col("x").fill_null("mean")],
    "n-grams": [col("s").str.word_ngrams(5, n=2)],
    "constants": [gp.lit(3).alias("three"), gp.lit("a").alias("text"), col("x").max().alias("top")],
}  # fmt: skip


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_kind_of_operator_has_the_cpus_bits(shared, name):
    source = gp.scan(sample(3, 67), partitions=2)
    target = "w" if name == "target" else None
    table = gp.scan(sample(3, 67).append_column("yes", pa.array(np.arange(67) % 3 == 0)), partitions=2)
    source, target = (table, "yes") if name == "target" else (source, None)
    expected, found = (told(CATALOGUE[name], source, backend, target) for backend in (CPU, GpuBackend(shared)))
    assert found == expected


def test_partitions_and_threads_change_no_bit(shared):
    features = [col("x").standardize(), col("c").codes(), col("y").median().over("i").alias("m")]
    table = pa.concat_tables([sample(1), sample(2)])
    whole = fitted(features, gp.scan(table), CPU).digest()
    assert {fitted(features, gp.scan(table, partitions=n), GpuBackend(shared)).digest() for n in (1, 3)} == {whole}


def test_resident_columns_have_the_bits_of_host_columns(shared):
    """As a decoder leaves them: numbers, and text whose nulls stand in a bitmap."""
    features = [col("x").fill_null("mean"), col("c").codes(), col("i").codes(), col("s").str.len_chars().alias("n")]
    made = fitted(features, gp.scan(TABLE), GpuBackend(shared)).features
    frame = gp.scan(TABLE).load(0, made.plan.columns)
    there = Frame({name: uploaded(shared, frame[name]) for name in frame.columns}, frame.n_rows, frame.row_ids)
    assert all(isinstance(column, DeviceColumn) for column in there.columns.values())
    assert [bits(column) for column in made.columns(there)] == [bits(column) for column in made.columns(frame)]
    assert made.matrix(there).tobytes() == made.matrix(frame).tobytes()


@pytest.fixture
def bitmaps(monkeypatch):
    """Text goes up as a decoder may leave it: rows' validity in a bitmap, their numbers there say nothing."""

    def there(device: Any, given: Any) -> Any:
        if given.dtype != String or not isinstance(given, Column):
            return placed(device, given)
        column = uploaded(device, given)
        assert column.ids is not None and column.entries is not None
        ids, size = column.ids.to_host(), len(column.entries)
        if given.valid is not None:
            ids = np.where(given.valid, ids, np.where(np.arange(len(ids)) % 2, -9, size + 10**6)).astype(np.int32)
        return DeviceColumn(String, len(given), None, column.valid, device.upload(ids), column.entries)

    for module in (program_module, backend_module):
        monkeypatch.setattr(module, "placed", there)


@pytest.mark.parametrize("name", CATALOGUE)
def test_bitmaps_beside_ids_change_no_bit(shared, bitmaps, name):
    table = sample(3, 67).append_column("yes", pa.array(np.arange(67) % 3 == 0))
    of_pairs = [col("x").fill_null(0).sum().over(col("c").fill_null("none"), "s").alias("of_pairs"),
                col("c").fill_null("none").cross("s", "i", 9).alias("pair"), col("s").fill_null("c1").alias("filled"),
                col("x").mean().over(col("s").fill_null("a")).alias("by_filled")]  # fmt: skip
    features = [*CATALOGUE[name], *of_pairs]
    expected, found = (told(features, gp.scan(table), each, "yes") for each in (CPU, GpuBackend(shared)))
    assert found == expected


@FEW
@given(drawn=SMALL, features=feature_lists(), target=st.sampled_from(TARGETS))
def test_random_pipelines_over_bitmaps_have_the_cpus_bits(shared, bitmaps, drawn, features, target):
    check(drawn, features, target, shared)


@pytest.mark.slow
@MANY
@given(drawn=LARGER, features=feature_lists(most=6, depth=3), target=st.sampled_from(TARGETS))
def test_many_random_pipelines_over_bitmaps_have_the_cpus_bits(shared, bitmaps, drawn, features, target):
    check(drawn, features, target, shared)


def test_resident_integers_without_a_sign(shared):
    made = fitted([col("u").codes()], gp.scan(pa.table({"u": pa.array([1, None, 2], pa.uint64())})), CPU).features
    program = GpuBackend(shared).prepare(made.outputs, made._binder.info, Tables(made.fitted))
    for last, fine in ((2**63 - 1, True), (2**63, False)):
        frame = gp.scan(pa.table({"u": pa.array([2, None, last], pa.uint64())})).load(0, ["u"])
        there = Frame({"u": uploaded(shared, frame["u"])}, 3, frame.row_ids)
        if fine:
            assert program.columns(there)[0].values.tolist() == [3, 0, 1]
        else:
            with pytest.raises(IntegerOverflowError, match="'u'"):
                program.columns(there)


def test_no_rows(shared):
    features = [col("x").standardize(), col("c").codes(), col("i").codes(), col("s").str.to_uppercase().alias("u")]
    made = fitted(features, gp.scan(TABLE), GpuBackend(shared)).features
    frame = gp.scan(TABLE).load(0, made.plan.columns).take(np.zeros(0, np.int64))
    assert [len(column) for column in made.columns(frame)] == [0] * 4


# -- launches ---------------------------------------------------------------------------------------------------
def ordinary(n: int) -> pa.Table:
    rng = np.random.default_rng(0)
    arrays = {f"x{at}": pa.array(rng.normal(3, 2, n).astype("f4"), mask=rng.random(n) < 0.1) for at in range(8)}
    for at in range(26):
        arrays[f"c{at}"] = pa.array([f"v{v}" for v in rng.integers(0, 3 + at, n)], mask=rng.random(n) < 0.1)
    return pa.table(arrays)


def test_the_features_of_an_ordinary_table_take_one_launch(shared):
    """Fills, clips, log1p and standardize, and 26 code columns whose dictionary ids are on the device."""
    table = ordinary(150)
    numbers = [col(f"x{at}").fill_null("median").clip(0, 6).log1p().standardize() for at in range(8)]
    codes = [col(f"c{at}").codes() for at in range(26)]
    made = fitted([*numbers, *codes], gp.scan(table), GpuBackend(shared)).features
    expected = fitted([*numbers, *codes], gp.scan(table), CPU).features
    frame = gp.scan(table).load(0, made.plan.columns)
    there = Frame({name: uploaded(shared, frame[name]) for name in frame.columns}, frame.n_rows, frame.row_ids)
    out = shared.empty((150, 34), np.float32)
    for _ in range(2):
        before = shared.launches
        made.matrix(there, out)
        assert shared.launches - before == 1
        assert out.to_host().tobytes() == expected.matrix(frame).tobytes()


def test_a_dictionary_that_comes_again_is_looked_up_once(shared):
    made = fitted([col("c").codes(), col("s").str.len_chars().alias("n")], gp.scan(TABLE), GpuBackend(shared)).features
    frame = gp.scan(TABLE).load(0, made.plan.columns)
    there = Frame({name: uploaded(shared, frame[name]) for name in frame.columns}, frame.n_rows, frame.row_ids)
    out = shared.empty((TABLE.num_rows, 2), np.float32)
    made.matrix(there, out)
    before = len(shared.allocations)
    made.matrix(there, out)
    assert len(shared.allocations) - before == 1, "what a launch is told, and no table of entries"


# -- errors -----------------------------------------------------------------------------------------------------
BAD: dict[str, tuple[Any, pa.Table]] = {
    "a cast": ([col("x").cast("Int8").alias("n")], pa.table({"x": [1.0, 2.0, 300.0, 400.0]})),
    "text that is no number": ([col("s").cast("Int64").alias("n")], pa.table({"s": ["1", "2", "no", "nor"]})),
    "an overflow": ([(col("i") * 3).alias("n")], pa.table({"i": [1, 2**62, 2**62]})),
    "a value beyond int64": ([col("u").codes()], pa.table({"u": pa.array([1, 2**63 + 5], pa.uint64())})),
    "text not listed": ([col("s").ordinal(["1"])], pa.table({"s": ["1", None, "2"]})),
    "a number not listed": ([col("i").ordinal([1])], pa.table({"i": [1, None, 2]})),
    "NaN in a mean": ([col("x").mean().alias("m")], pa.table({"x": [1.0, 2.0, float("nan")]})),
    "an infinity in a mean": ([col("x").standardize()], pa.table({"x": [1.0, float("inf"), 3.0]})),
    "a sum beyond int64": ([col("i").sum().alias("s")], pa.table({"i": [2**62, 2**62, 2**62]})),
}


def error_of(features: Any, table: pa.Table, backend: Any) -> tuple[type, str]:
    with pytest.raises(DataError) as raised:
        told(features, gp.scan(table), backend, None)
    return type(raised.value), str(raised.value)


@pytest.mark.parametrize("name", BAD)
def test_errors_are_the_cpus_to_the_word(shared, name):
    features, table = BAD[name]
    assert error_of(features, table, GpuBackend(shared)) == error_of(features, table, CPU)


def test_an_entry_that_no_row_has_is_no_error(shared):
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), ["1", "2", "no number"])
    table = pa.table({"s": words})
    features = [col("s").cast("Int64").alias("n"), col("s").ordinal(["1", "2"]).alias("o")]
    assert told(features, gp.scan(table), GpuBackend(shared), None) == told(features, gp.scan(table), CPU, None)


def test_too_little_memory_is_told(shared):
    made = fitted([col("x").fill_null(0)], gp.scan(TABLE), CPU).features
    device = SimulatedDevice(memory=600)
    program = GpuBackend(device).prepare(made.outputs, made._binder.info, Tables(made.fitted))
    with pytest.raises(DeviceMemoryError):
        program.columns(gp.scan(TABLE).load(0, ["x"]))


# -- what the host does -----------------------------------------------------------------------------------------
def test_what_the_host_does_is_remembered_with_the_reason(shared):
    backend = GpuBackend(shared)
    features = [col("x").standardize(), gp.coalesce("s", "c").codes(), col("z").dt.hour().alias("h"), col("c").codes()]
    made = fitted(features, gp.scan(TABLE), backend).features
    backend.prepare(made.outputs, made._binder.info, Tables(made.fitted))
    assert {name.split("(")[0]: why.split(",")[0] for name, why in backend.on_host.items()} == {
        "s.coalesce": "it takes texts of several columns row by row",
        "z.to_local": "time zones are looked up on the host",
    }


@pytest.mark.parametrize(("feature", "why"), [
    (col("x").cast("String").codes(), "values are written as text on the host"),
    (col("x").qcut(3).over("c"), "its bounds differ from row to row"),
    (col("z").dt.hour(), "time zones are looked up on the host"),
    (gp.coalesce("s", "c").codes(), "it takes texts of several columns row by row, and dictionaries tell nothing of "
                                    "their pairs"),
    *((each, "a column of no type has no kernels")
      for each in (col("none").codes(), col("none").is_in([1]), col("none").hash_buckets(4), col("none").ordinal([1]))),
])  # fmt: skip
def test_each_reason_why_the_host_works(shared, feature, why):
    source, backend = gp.scan(TABLE.append_column("none", pa.nulls(len(TABLE)))), GpuBackend(shared)
    made = fitted([feature.alias("made")], source, backend).features
    assert [reason for _, reason in hosted([out.node for out in made.outputs], made._binder.info)] == [why]
    assert told([feature.alias("made")], source, backend, None) == told([feature.alias("made")], source, CPU, None)
    assert list(backend.on_host.values()) == [why]


def test_what_a_kernel_turns_out_not_to_do_is_remembered_too(shared, monkeypatch):
    table = pa.table({"k": np.repeat(np.arange(40) << 44, 2)})
    made = fitted([col("k").codes()], gp.scan(table), CPU).features
    expected = [column.values.tolist() for column in made.columns(gp.scan(table).load(0, ["k"]))]
    monkeypatch.setattr(lookup, "_MOST_SLOTS", 16)
    backend = GpuBackend(shared)
    there = backend.prepare(made.outputs, made._binder.info, Tables(made.fitted))
    assert not backend.on_host
    found = there.columns(gp.scan(table).load(0, ["k"]))
    launched = shared.launches
    assert [column.values.tolist() for column in found] == expected
    again = there.columns(gp.scan(table).load(0, ["k"]))
    assert [column.values.tolist() for column in again] == expected and shared.launches == launched
    assert list(backend.on_host.values()) == ["the 40 values learned do not fit into a hash table"]


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_is_told_of_the_host_it_does(shared, hosting, name):
    table = sample(3, 67).append_column("yes", pa.array(np.arange(67) % 3 == 0))
    target = ("yes",) if name == "target" else ()
    made = fitted(CATALOGUE[name], gp.scan(table), GpuBackend(shared), *target).features
    hosting.clear()
    made.columns(gp.scan(table).load(0, made.plan.columns))
    assert set(hosting) == {show(node) for node, _ in hosted([out.node for out in made.outputs], made._binder.info)}
    assert hosting or name not in ("dates", "texts of several columns")


@FEW
@given(drawn=SMALL, features=feature_lists(), target=st.sampled_from(TARGETS))
def test_the_host_works_over_rows_where_that_was_told_and_nowhere_else(shared, hosting, drawn, features, target):
    backend = GpuBackend(shared)
    hosting.clear()
    fit = attempt(fitted, features, gp.scan(drawn.table), backend, target)
    assume(not isinstance(fit, str))
    assert set(hosting) <= set(backend.on_host)


@pytest.fixture(scope="module")
def hosting() -> Iterator[list[str]]:
    """The expressions that programs had the host compute over rows."""
    noted: list[str] = []
    usual = GpuProgram._on_host

    def noting(program: Any, node: Any, *given: Any) -> Any:
        noted.append(show(node))
        return usual(program, node, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GpuProgram, "_on_host", noting)
        yield noted


# -- columns where programs want them ---------------------------------------------------------------------------
def test_a_column_goes_up_once_however_many_ask(shared):
    frame = placed_frame(shared, gp.scan(TABLE).load(0, ["x", "c"]))
    column = frame.resident("c")
    assert isinstance(column, Uploading)
    before = len(shared.allocations)
    first = column.on_device()
    assert column.on_device() is first and len(shared.allocations) == before + 1, "no bitmap: an entry is null"
    assert bits(first.to_host()) == bits(frame["c"])
    assert placed_frame(shared, frame).resident("c") is column


def text_with_bitmaps(device: SimulatedDevice, n: int) -> list[DeviceColumn]:
    """Numbers of entries on a device, and bitmaps: some rows are null, none (and no bitmap), all."""
    rng = np.random.default_rng(n)
    columns = []
    for mask in (rng.random(n) < 0.3, None, rng.random(n) < 2):
        ids = device.upload(rng.integers(0, 3, n).astype(np.int32))
        valid = None if mask is None else device.upload(packed(~mask))
        columns.append(DeviceColumn(String, n, None, valid, ids, Column(String, pa.array(["a", "b", "c"]))))
    return columns


@pytest.mark.parametrize("n", [0, 1, 31, 33, 300])
def test_nulls_become_an_entry_without_a_copy(shared, n):
    columns = text_with_bitmaps(shared, n)
    before = len(shared.allocations), shared.launches
    found = [settled(column) for column in columns]
    assert (len(shared.allocations), shared.launches) == before
    for column, same in zip(columns, found, strict=True):
        assert same.ids is column.ids and bits(same.to_host()) == bits(column.to_host())
        assert settled(column) is same is settled(same)
    assert found[1] is columns[1]


@pytest.mark.parametrize("n", [0, 1, 31, 33, 300])
def test_what_nulls_have_is_written_in_one_launch_where_it_is_no_null(shared, n):
    filled = Column(String, pa.array(["a", "b", "c", "none"]))
    columns = [settled(column) for column in text_with_bitmaps(shared, n)]
    with_text = [of_entries(column, filled) for column in columns]
    before = len(shared.allocations), shared.launches
    assert [each.ids for each in plain(shared, columns)] == [column.ids for column in columns], "null there too"
    assert (len(shared.allocations), shared.launches) == before
    asked: list[Any] = [*with_text, columns[0], of_entries(columns[0], filled), filled]
    found = plain(shared, asked)
    again = plain(shared, with_text)
    assert shared.launches - before[1] == (n > 0) and found[-1] is filled and again[0].ids is found[0].ids
    assert found[4].ids is found[0].ids and found[0].valid is None and found[1] is with_text[1]
    for column, same in zip(asked[:-1], found[:-1], strict=True):
        assert same.absent is None and bits(same.to_host()) == bits(column.to_host())
        if n > 32:
            part, rows = column.rows(32, n), Chosen(np.arange(n)[::-7])
            assert bits(part.to_host()) == bits(same.rows(32, n).to_host())
            assert bits(column.take(rows).to_host()) == bits(same.take(rows).to_host())


def test_with_null():
    entries = with_null(Column(Int64, np.array([4, 5])))
    assert entries.valid is not None and entries.valid.tolist() == [True, True, False]


# -- kernels ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 255, 1000])
def test_with_absent_against_numpy(shared, n):
    rng = np.random.default_rng(n)
    ids, valid = rng.integers(-1, 9, n).astype(np.int32), rng.random(n) < 0.5
    given_ids = shared.upload(ids)
    asked = [Ids(given_ids, shared.upload(packed(valid)), 77, 1), Ids(given_ids, None, 5, 0)]
    first, second = with_absent(shared, asked)
    assert first.to_host().tolist() == np.where(valid, ids + 1, 77).tolist()
    assert second.to_host().tolist() == ids.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "bool"])
def test_bins_against_numpy(shared, dtype):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2 if dtype == "bool" else 100, 77).astype(dtype)
    if dtype.startswith("float"):
        values[:5] = [np.nan, np.inf, -np.inf, -0.0, 2.5]
    for limits in ([], [0.0], [-np.inf, 0.0, 2.5, 50.0, np.inf]):
        edges = np.array(limits, np.float64)
        found = bins(shared, shared.upload(values), edges).to_host()
        assert found.tolist() == np.searchsorted(edges, values.astype(np.float64), "right").tolist()
    assert len(bins(shared, shared.upload(values[:0]), np.zeros(1))) == 0


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (40, 13)])
def test_first_unfinite_against_numpy(shared, shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert first_unfinite(shared.upload(values)) is None
    if values.size:
        for at, odd in ((values.size - 1, np.nan), (values.size // 2, -np.inf)):
            values.reshape(-1)[at] = odd
            assert first_unfinite(shared.upload(values)) == np.flatnonzero(~np.isfinite(values))[0]


# -- the choice -------------------------------------------------------------------------------------------------
def test_auto_is_the_gpu_where_there_is_one(shared, monkeypatch):
    monkeypatch.setattr(devices._Look, "found", devices.Found(shared, "a simulated one"))
    assert [backend_for(name).name for name in ("auto", "gpu", "cpu", "reference")] == [
        "gpu",
        "gpu",
        "cpu",
        "reference",
    ]
    assert (backend_for("auto").named, backend_for("gpu").named) == (False, True)


def test_fitted_features_leave_the_gpu_behind(shared, monkeypatch):
    made = fitted([col("x").standardize(), col("c").codes()], gp.scan(TABLE), GpuBackend(shared)).features
    data = pickle.dumps(made)
    monkeypatch.setattr(devices._Look, "found", devices.Found(None, "There is none."))
    copied = pickle.loads(data)
    frame = gp.scan(TABLE).load(0, made.plan.columns)
    assert copied.backend.name == "cpu" and copied.matrix(frame).tobytes() == made.matrix(frame).tobytes()
    with pytest.raises(DeviceError, match="There is none"):
        backend_for("gpu")
