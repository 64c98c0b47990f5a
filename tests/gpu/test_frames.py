"""cuDF frames and CuPy arrays in and out: values as of Arrow's tables, not copied on a device, the kind that came."""

import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression

import gpupipe as gp
from benchmarks.gpu import border
from benchmarks.gpu.report import Record
from gpupipe import col
from gpupipe.backends import devices
from gpupipe.backends.gpu.columns import DeviceColumn, uploaded
from gpupipe.backends.gpu.libcudf import column_of
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.columns import Column
from gpupipe.errors import (
    CastError,
    DeviceLostError,
    DeviceMemoryError,
    DuplicateNameError,
    MissingDependencyError,
    ParameterError,
    SchemaMismatchError,
    ShapeError,
    TargetError,
    TypeMismatchError,
)
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.runtime.given import source_of
from gpupipe.schema import Boolean, Datetime, Float64, Int64, String
from gpupipe.sources import cudf_frames, kinds, on_device
from gpupipe.sources.border import to_arrow
from gpupipe.sources.device_table import DevicePartition, _bounds
from gpupipe.sources.from_device import from_device, is_shown
from gpupipe.sources.partition import Partition

from . import cudf_standin as standin
from . import libcudf_standin
from .cudf_standin import DataFrame, Packages, Series, ndarray
from .simulated import SimulatedDevice
from .test_decode import assert_same, decoded_by, plain


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Packages:
    """cuDF and CuPy over a device; no kernel runs, so NVRTC is not needed."""
    return standin.installed(monkeypatch, SimulatedDevice())


def table_of(n: int = 200) -> pa.Table:
    rng = np.random.default_rng(n)
    x = pa.array(np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)), mask=rng.random(n) < 0.2)
    word = pa.array(rng.choice(["a", "b", "äö", ""], n), mask=rng.random(n) < 0.1)
    return pa.table(
        {
            "x": x,
            "k": pa.array(rng.integers(-9, 9, n)),
            "word": word.cast(pa.string()),
            "kind": word.cast(pa.string()).dictionary_encode(),
            "flag": pa.array(rng.random(n) < 0.5, mask=rng.random(n) < 0.1),
            "when": pa.array(rng.integers(0, 10**15, n), pa.timestamp("us"), mask=rng.random(n) < 0.1),
            "exact": pa.array(rng.integers(0, 10**15, n) * 1000, pa.timestamp("ns")),
            "whole": pa.array(rng.normal(size=n).astype(np.float32)),
        }
    )


CLEAN = ["k", "word", "flag", "when", "whole"]


# -- cuDF in ------------------------------------------------------------------------------------------------------
def test_a_frame_has_the_schema_of_its_arrow_table(gpu: Packages) -> None:
    table = table_of()
    source = gp.scan(gpu.frame(table))
    assert source.schema == gp.scan(table).schema
    assert source.schema["x"].dtype == Float64 and source.schema["x"].nullable
    assert source.schema["k"].dtype == Int64 and not source.schema["k"].nullable
    assert source.schema["kind"].dtype == String and source.schema["when"].dtype == Datetime()
    assert source.schema["flag"].dtype == Boolean and "in the GPU's memory of 200 rows" in source.label


def test_frames_are_the_same_on_the_host_and_on_the_device(gpu: Packages) -> None:
    table = table_of(300)
    for partitions in (1, 3):
        source = gp.scan(gpu.frame(table), partitions=partitions)
        wanted = gp.scan(table).load(0)
        assert len(source.partitions) == partitions and sum(part.n_rows for part in source.partitions) == 300
        for at, part in enumerate(source.partitions):
            rows = slice(part.first_row, part.first_row + part.n_rows)
            host = source.load(at)
            reading, refused = on_device.read(part, list(source.schema), gpu.device)
            assert set(refused) == {"kind", "exact"} and "converted on the host" in refused["exact"]
            assert reading.frame.row_ids.tolist() == host.row_ids.tolist() == list(range(rows.start, rows.stop))
            for name in source.schema:
                there = wanted[name].take(np.arange(rows.start, rows.stop))
                assert_same(host[name], there)
                assert_same(reading.frame.resident(name), there)
                assert isinstance(reading.frame.resident(name), DeviceColumn) == (name not in refused)


def test_nan_stays_nan_in_cudf_and_is_null_in_cupy(gpu: Packages) -> None:
    values = np.array([1.0, np.nan, 3.0])
    frame = gp.scan(gpu.frame(pa.table({"x": values}))).load(0)["x"]
    assert frame.valid is None and np.isnan(frame.values[1])
    array = gp.scan(gpu.array(values[:, None])).load(0)["x0"]
    assert array.valid is not None and array.valid.tolist() == [True, False, True]
    mixed = gp.scan({"here": [1, 2, 3], "there": gpu.array(values), "series": gpu.series(pa.array(values))})
    assert mixed.load(0)["there"].null_count == 1 and mixed.load(0)["series"].null_count == 0


def test_columns_are_not_copied(gpu: Packages) -> None:
    frame = gpu.frame(table_of(512).select(["x", "k", "whole"]))
    pointers = {name: series._column._values.ptr for name, series in frame._held}  # type: ignore[union-attr]
    (part,) = gp.scan(frame).partitions
    before = len(gpu.device.allocations)
    found, _ = decoded_by(part, ["x", "k", "whole"], gpu.device)
    assert len(gpu.device.allocations) == before
    assert {name: column.values.pointer for name, column in found.items() if column.values} == pointers


def test_what_cudf_moved_to_the_host_comes_back(gpu: Packages) -> None:
    table = given(64).select(["k", "word"])
    frame = gpu.frame(table)
    gpu.spills = True
    frame._held[0][1]._spill()
    reading, refused = on_device.read(gp.scan(frame).partitions[0], ["k", "word"], gpu.device)
    assert isinstance(reading.frame.resident("k"), DeviceColumn)
    assert reading.frame["k"].values.tolist() == table["k"].to_pylist()
    assert refused.keys() == {"word"} and "'spill' is on" in refused["word"]
    assert plain(reading.frame["word"]).to_pylist() == table["word"].to_pylist()


def test_a_part_of_a_buffer_of_others_goes_through_the_host(gpu: Packages) -> None:
    frame = gpu.frame(given(64).select(["k"]))
    frame._held[0][1]._buffer["within"] = 8
    _, refused = decoded_by(gp.scan(frame).partitions[0], ["k"], gpu.device)
    assert refused == {"k": "cuDF holds it as a part of another buffer"}


def test_times_with_a_zone_go_through_the_host(gpu: Packages) -> None:
    table = pa.table({"at": pa.array([0, None, 10**15], pa.timestamp("us", "Europe/Rome"))})
    (part,) = gp.scan(gpu.frame(table)).partitions
    reading, refused = on_device.read(part, ["at"], gpu.device)
    assert refused == on_device.decodable(part, ["at"]) and "times with a zone" in refused["at"]
    assert_same(reading.frame["at"], gp.scan(table).load(0)["at"])


def test_parts_begin_where_a_device_reads_them_as_they_stand() -> None:
    bounds = _bounds(10_000, 3)
    assert [first % 128 for first, _ in bounds] == [0, 0, 0] and bounds[-1][1] == 10_000
    assert all(last == first for (_, last), (first, _) in pairwise(bounds))
    assert max(last - first for first, last in bounds) < 3_600
    assert _bounds(1_100, 2) == [(0, 512), (512, 1_100)] and _bounds(1_000, 2) == [(0, 500), (500, 1_000)]
    assert _bounds(10, 10) == [(at, at + 1) for at in range(10)]


def test_what_is_no_table(gpu: Packages) -> None:
    with pytest.raises(TypeMismatchError, match="of a single column"):
        gp.scan(gpu.series(pa.array([1])))
    with pytest.raises(ShapeError, match=r"shape \(3,\)"):
        gp.scan(gpu.array(np.arange(3)))
    with pytest.raises(ParameterError, match="Complex"):
        gp.scan(gpu.array(np.zeros((2, 2), complex)))
    with pytest.raises(SchemaMismatchError, match="b: 3, a: 2"):
        gp.scan({"a": [1, 2], "b": gpu.array(np.arange(3))})
    with pytest.raises(DuplicateNameError):
        gp.scan(DataFrame([("1", gpu.series(pa.array([1]))), (1, gpu.series(pa.array([2])))]))
    with pytest.raises(SchemaMismatchError, match="'k' is Int64"):
        gp.scan(gpu.frame(table_of()), schema={"k": "String"})


def test_nothing_to_read(gpu: Packages) -> None:
    empty = gp.scan(gpu.frame(table_of(5).slice(0, 0)))
    assert empty.count() == 0 and empty.load(0)["word"].dtype == String
    reading, _ = on_device.read(empty.partitions[0], ["x", "word"], gpu.device)
    assert reading.frame.n_rows == 0 and len(reading.frame["word"]) == 0


# -- what Arrow shows in ------------------------------------------------------------------------------------------
SHOWN = ["x", "k", "word", "kind", "flag", "when", "whole", "day", "at"]


def shown_table(n: int = 300) -> pa.Table:
    rng = np.random.default_rng(n)
    table = table_of(n).append_column("day", pa.array(rng.integers(0, 20_000, n).astype("i4")).cast(pa.date32()))
    zoned = pa.array(rng.integers(0, 10**15, n), pa.timestamp("us", "Europe/Rome"), mask=rng.random(n) < 0.1)
    return table.append_column("at", zoned).combine_chunks()


def on_cuda(table: pa.Table, device_type: int = 2) -> libcudf_standin.OnCuda:
    return libcudf_standin.OnCuda(table.to_batches()[0], device_type)


@pytest.mark.parametrize("device_type", [2, 3, 13])
def test_what_arrow_shows_on_a_device_is_read_there_as_the_table_on_the_host(gpu: Packages, device_type: int) -> None:
    table = shown_table()
    copied = from_device(on_cuda(table, device_type))
    assert copied.schema == table.schema and copied.drop_columns("x").equals(table.drop_columns("x"))
    assert is_shown(on_cuda(table, device_type)) and not is_shown(table) and not is_shown(table.to_batches()[0])
    for partitions in (1, 2):
        source, wanted = gp.scan(on_cuda(table, device_type), partitions=partitions), gp.scan(table)
        assert source.schema == wanted.schema and "in the GPU's memory of 300 rows" in source.label
        assert sum(part.n_bytes for part in source.partitions) <= table.nbytes
        for at, part in enumerate(source.partitions):
            rows = np.arange(part.first_row, part.first_row + part.n_rows)
            reading, refused = on_device.read(part, list(source.schema), gpu.device)
            assert set(refused) == {"exact"} == set(on_device.decodable(part, list(source.schema)))
            host = source.load(at)
            for name in source.schema:
                there = wanted.load(0)[name].take(rows)
                assert_same(host[name], there)
                assert_same(reading.frame.resident(name), there)
                assert isinstance(reading.frame.resident(name), DeviceColumn) == (name in SHOWN)


def test_what_arrow_shows_is_not_copied(gpu: Packages) -> None:
    (part,) = gp.scan(on_cuda(shown_table().select(["x", "k", "whole", "day", "at"]))).partitions
    assert isinstance(part, DevicePartition)
    pointers = {name: held.column.data().ptr for name, held in part.held.items()}
    before = len(gpu.device.allocations)
    found, _ = decoded_by(part, list(pointers), gpu.device)
    assert len(gpu.device.allocations) == before
    assert {name: column.values.pointer for name, column in found.items() if column.values} == pointers


def test_dictionaries_that_arrow_shows_stay_as_they_are(gpu: Packages) -> None:
    keys = pa.array(["b", None, "a", "b"])
    ids = pa.array(np.arange(200) % 4, pa.int32(), mask=np.arange(200) % 5 == 0)
    table = pa.table({"s": pa.DictionaryArray.from_arrays(ids, keys)})
    (part,) = gp.scan(on_cuda(table)).partitions
    assert isinstance(part, DevicePartition)
    before = len(gpu.device.allocations)
    found, _ = decoded_by(part, ["s"], gpu.device)
    assert len(gpu.device.allocations) == before and found["s"].valid is not None and found["s"].entries is not None
    assert plain(found["s"].to_host()).to_pylist() == table["s"].to_pylist()
    assert found["s"].known.values.to_pylist() == keys.to_pylist()
    for first, copies in ((64, False), (33, True)):  # a bitmap is read from a word's first bit on
        before = len(gpu.device.allocations)
        column = column_of(gpu.device, part.held["s"].rows(first, 150).column, String)
        assert (len(gpu.device.allocations) > before) == copies
        assert plain(column.to_host()).to_pylist() == table["s"].to_pylist()[first:150]
    (empty,) = gp.scan(on_cuda(pa.table({"s": pa.array([None, None], pa.string()).dictionary_encode()}))).partitions
    assert decoded_by(empty, ["s"], gpu.device)[0]["s"].to_host().null_count == 2
    narrow = libcudf_standin.Dictionary(gpu.device, table["s"].chunk(0))
    narrow._children[0] = libcudf_standin.Column(gpu.device, pa.array(np.zeros(200, np.int8)))
    with pytest.raises(NotOnDevice, match="numbers a dictionary's texts by INT8"):
        column_of(gpu.device, narrow, String)
    with pytest.raises(NotOnDevice, match="values are int64"):
        column_of(gpu.device, libcudf_standin.Dictionary(gpu.device, pa.array([1, 2]).dictionary_encode()), String)


def test_columns_that_arrow_shows_go_beside_others(gpu: Packages) -> None:
    column = libcudf_standin.OnCuda(pa.array([1, None, 3]))
    source = gp.scan({"a": column, "b": [1.0, 2.0, 3.0], "c": gpu.array(np.arange(3))})
    assert source.schema["a"].nullable and source.load(0)["a"].null_count == 1
    assert from_device(column).to_pylist() == [1, None, 3] and kinds.kind_of(on_cuda(shown_table())) == "cudf"
    assert kinds.index_of(on_cuda(shown_table())) is None
    rows = source_of(on_cuda(shown_table(3)), column, None, None)
    assert rows.load(0)["__target__"].values.tolist()[2] == 3 and rows.count() == 3


def test_what_arrow_shows_and_what_is_no_table(gpu: Packages) -> None:
    batch = pa.record_batch([pa.array([1]), pa.array([2])], names=["", ""])
    assert list(gp.scan(libcudf_standin.OnCuda(batch)).schema) == ["x0", "x1"]
    with pytest.raises(TypeMismatchError, match="of a single column"):
        gp.scan(libcudf_standin.OnCuda(pa.array([1])))
    with pytest.raises(DuplicateNameError):
        gp.scan(libcudf_standin.OnCuda(pa.record_batch([pa.array([1]), pa.array([2])], names=["a", "a"])))
    with pytest.raises(TypeMismatchError, match="Unsupported type in arrow schema"):
        gp.scan(libcudf_standin.OnCuda(pa.record_batch({"t": pa.array([1], pa.time64("us"))})))
    with pytest.raises(TypeMismatchError, match="scan cannot read"):
        gp.scan(libcudf_standin.OnCuda(batch, device_type=10))  # a GPU of another maker


def test_what_arrow_shows_without_cudf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylibcudf", None)
    with pytest.raises(MissingDependencyError, match="pylibcudf"):
        gp.scan(on_cuda(shown_table(5)))


# -- CuPy in --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "u1", "?"])
def test_arrays_are_the_same_as_numpys(gpu: Packages, dtype: str, order: Any) -> None:
    values = np.random.default_rng(0).integers(0, 2 if dtype == "?" else 100, (70, 3)).astype(dtype, order=order)
    if dtype.startswith("f"):
        values[[3, 40, 69], 1] = np.nan
    source, wanted = gp.scan(gpu.array(values), partitions=2), gp.scan(values, partitions=2)
    assert list(source.schema) == ["x0", "x1", "x2"]
    for at, part in enumerate(source.partitions):
        reading, refused = on_device.read(part, list(source.schema), gpu.device)
        assert refused == {}
        for name in source.schema:
            assert_same(source.load(at)[name], wanted.load(at)[name])
            assert_same(reading.frame.resident(name), wanted.load(at)[name])


@pytest.mark.parametrize("n", [1, 32, 33, 64, 65])
def test_nan_of_an_array_is_a_bitmap_of_whole_words(gpu: Packages, n: int) -> None:
    values = np.arange(n, dtype=np.float32)
    values[-1] = np.nan
    found, _ = decoded_by(gp.scan(gpu.array(values[:, None])).partitions[0], ["x0"], gpu.device)
    assert found["x0"].valid is not None and found["x0"].valid.shape == (-(-n // 32),)
    assert found["x0"].to_host().null_count == 1


def test_only_columns_that_are_not_contiguous_are_copied(gpu: Packages) -> None:
    values = np.ones((8, 2))
    for order, copies in (("F", 0), ("C", 2)):
        (part,) = gp.scan(gpu.array(np.asarray(values, order=order))).partitions  # type: ignore[call-overload]
        assert isinstance(part, DevicePartition)
        found, _ = decoded_by(part, ["x0", "x1"], gpu.device)
        moved = [name for name, column in found.items() if column.values.owner is not part.held[name]]  # type: ignore[union-attr]
        assert len(moved) == copies


class OutOfMemoryError(MemoryError):
    """CuPy's."""


class CUDARuntimeError(RuntimeError):
    status = 700


OutOfMemoryError.__module__ = "cupy.cuda.memory"


@pytest.mark.parametrize(
    ("name", "error", "expected"),
    [
        ("cupy.packbits", OutOfMemoryError("Out of memory allocating 512 bytes"), DeviceMemoryError),
        ("cupy.ascontiguousarray", CUDARuntimeError("cudaErrorIllegalAddress"), DeviceLostError),
        ("cupy.cuda.runtime.deviceSynchronize", CUDARuntimeError("cudaErrorIllegalAddress"), DeviceLostError),
    ],
)
def test_what_cupy_raises_is_of_the_device(
    gpu: Packages, name: str, error: Exception, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    (part,) = gp.scan(gpu.array(np.array([[1.0], [np.nan]]))).partitions
    gpu.fakes.behaviour[name] = fail
    monkeypatch.setattr(SimulatedDevice, "stream", 1)
    with pytest.raises(expected):
        on_device.read(part, ["x0"], gpu.device)
    assert (gpu.device.health.lost is None) == (expected is DeviceMemoryError)


# -- whole pipelines --------------------------------------------------------------------------------------------------
def features() -> list[Any]:
    return [
        gp.numeric().fill_null("median").standardize(),
        (gp.strings() - ["kind"]).codes(),
        col("kind").one_hot(),
        col("when").dt.month(),
    ]


def given(n: int = 200) -> pa.Table:
    """Without NaN, of which there is no mean."""
    table = table_of(n)
    return table.set_column(0, "x", pa.array(np.random.default_rng(1).normal(size=n), mask=np.arange(n) % 7 == 0))


def test_fit_and_transform_a_frame(gpu: Packages) -> None:
    table = given()
    ours = gp.Pipeline(features(), device="cpu").fit(gpu.frame(table))
    theirs = gp.Pipeline(features(), device="cpu").fit(table)
    assert ours.state_digest() == theirs.state_digest()
    made = ours.transform(gpu.frame(table))
    assert isinstance(made, DataFrame)
    assert made.to_arrow(preserve_index=False).equals(_plain(theirs.transform(table)))
    assert isinstance(ours.transform(table), pa.Table)
    assert isinstance(ours.transform(gpu.frame(table), output="numpy"), np.ndarray)


def _plain(table: pa.Table) -> pa.Table:
    """As cuDF gives it back: text as large strings, no dictionary."""
    columns = [c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in table.columns]
    return pa.table([c.cast(pa.large_string()) if c.type == pa.string() else c for c in columns], table.column_names)


def test_the_index_of_a_frame_is_kept(gpu: Packages) -> None:
    frame = gpu.frame(given(30))
    frame.index = list(range(100, 130))
    target = (col("k") > 0).alias("y")
    fitted = gp.Pipeline([col("x").fill_null(0)], target=target, model=LogisticRegression(), device="cpu").fit(frame)
    assert fitted.transform(frame).index == frame.index
    predicted = fitted.predict(frame)
    assert isinstance(predicted, Series) and predicted.index == frame.index and predicted.name == "prediction"
    assert predicted.to_arrow().to_pylist() == fitted.predict(given(30), output="numpy").tolist()
    shares = fitted.predict_proba(frame)
    assert isinstance(shares, ndarray) and shares.shape == (30, 2)
    assert isinstance(fitted.predict_proba(frame, output="cudf"), DataFrame)


@pytest.mark.parametrize("kind", ["series", "array", "numpy"])
def test_y_beside_a_frame_leaves_the_frame_where_it_is(gpu: Packages, kind: str) -> None:
    table = given(60).select(["x", "whole"])
    y, weights = np.arange(60.0), np.linspace(1, 2, 60)
    make: Any = {"series": lambda v: gpu.series(pa.array(v)), "array": gpu.array, "numpy": lambda v: v}[kind]
    source = source_of(gpu.frame(table), make(y), make(weights), None)
    part: Partition = source.partitions[0]
    assert isinstance(part, DevicePartition) and part.held.keys() == {"x", "whole"}
    reading, refused = on_device.read(part, list(source.schema), gpu.device)
    assert set(refused) == {"__target__", "__weight__"}
    assert reading.frame["__target__"].values.tolist() == y.tolist()
    pipeline = gp.Pipeline([gp.numeric().fill_null("mean")], model=LinearRegression(), device="cpu")
    ours = pipeline.fit(gpu.frame(table), make(y), sample_weight=make(weights))
    theirs = gp.Pipeline([gp.numeric().fill_null("mean")], model=LinearRegression(), device="cpu")
    theirs.fit(table, y, sample_weight=weights)
    assert ours.predict(table, output="numpy").tolist() == theirs.predict(table, output="numpy").tolist()
    with pytest.raises(TargetError, match="59 values were given for 60 rows"):
        source_of(gpu.frame(table), make(y[:59]), None, None)


def test_fit_and_predict_arrays(gpu: Packages) -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    values[::9, 1] = np.nan
    y = np.where(values[:, 0] > 0, "yes", "no")
    ours = gp.Pipeline([gp.numeric().fill_null("mean")], model=LogisticRegression(), device="cpu")
    ours.fit(gpu.array(values), y.tolist())
    theirs = gp.Pipeline([gp.numeric().fill_null("mean")], model=LogisticRegression(), device="cpu")
    theirs.fit(values, y)
    matrix = ours.transform(gpu.array(values))
    assert isinstance(matrix, ndarray) and matrix.dtype == np.float32
    assert matrix.get().tobytes() == theirs.transform(values).tobytes()
    shares = ours.predict_proba(gpu.array(values))
    assert isinstance(shares, ndarray) and shares.get().tolist() == theirs.predict_proba(values).tolist()
    labels = ours.predict(gpu.array(values))
    assert isinstance(labels, np.ndarray) and labels.tolist() == theirs.predict(values).tolist()  # CuPy has no text
    with pytest.raises(ShapeError, match="2 features"):
        ours.predict(gpu.array(values[:, :2]))


def test_components_and_several_targets(gpu: Packages) -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    clusters = gp.Pipeline([gp.numeric()], model=KMeans(2, random_state=0, n_init=1), device="cpu").fit(values)
    found = clusters.transform(gpu.array(values))
    assert isinstance(found, ndarray) and found.shape == (50, 2)
    several = gp.Pipeline([gp.numeric()], model=LinearRegression(), device="cpu")
    several.fit(gpu.array(values), gpu.array(values[:, :2] * 2))
    predicted = several.predict(gpu.array(values))
    assert isinstance(predicted, ndarray) and predicted.shape == (50, 2)
    assert np.allclose(predicted.get(), values[:, :2] * 2, atol=1e-5)
    frame = several.predict(gpu.array(values), output="cudf")
    assert isinstance(frame, DataFrame) and frame.columns == ["prediction_y0", "prediction_y1"]


def test_frames_go_through_steps_joins_and_folds(gpu: Packages) -> None:
    table = given(120)
    where = col("k") > 0
    ours = gp.scan(gpu.frame(table), partitions=3).filter(where).join(gpu.frame(_dimension()), on="word", how="inner")
    theirs = gp.scan(table, partitions=3).filter(where).join(_dimension(), on="word", how="inner")
    assert ours.count() == theirs.count() > 0
    assert ours.load(1).row_ids.tolist() == theirs.load(1).row_ids.tolist()
    assert_same(ours.load(1)["size"], theirs.load(1)["size"])
    model = gp.Pipeline([gp.numeric().fill_null("mean")], model=LinearRegression(), device="cpu")
    y = np.arange(120.0)
    left, right = (gp.cross_validate(model, rows, y) for rows in (gpu.frame(table), table))
    assert left.to_dict() == right.to_dict()
    fitted = model.fit(table, y)
    found, wanted = (fitted.evaluate(rows, y).to_dict()["metrics"] for rows in (gpu.frame(table), given(120)))
    assert found == wanted


def _dimension() -> pa.Table:
    return pa.table({"word": ["a", "b", ""], "size": [1, 2, 3]})


def test_columns_without_names_are_taken_by_place(gpu: Packages) -> None:
    values = np.random.default_rng(0).normal(size=(20, 2))
    numbered = DataFrame([(at, gpu.series(pa.array(values[:, at]))) for at in range(2)])
    fitted = gp.Pipeline([gp.numeric()], device="cpu").fit(values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitted.transform(numbered, output="numpy").tolist() == values.astype(np.float32).tolist()
    named = gpu.frame(pa.table({"a": values[:, 0], "b": values[:, 1]}))
    with pytest.warns(UserWarning, match="has feature names"):
        fitted.transform(named)


@pytest.mark.parametrize("source", ["frame", "array", "parquet", "shown"])
def test_whole_pipelines_on_the_device(
    device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    gpu = standin.installed(monkeypatch, device)
    monkeypatch.setattr(devices._Look, "found", devices.Found(device, "a simulated one"))
    chain = gp.numeric().fill_null("mean").standardize()
    operators = [chain] if source == "array" else [chain, (gp.strings() - ["kind"]).codes(), col("kind").one_hot()]
    table = given(90)
    plain: Any = np.asarray(table.select(["x", "whole"]).to_pandas()) if source == "array" else table
    ways = {"frame": gpu.frame, "array": gpu.array, "parquet": lambda it: _file(tmp_path, it), "shown": on_cuda}
    rows = ways[source](plain.combine_chunks() if source == "shown" else plain)
    there = gp.Pipeline(operators, device="gpu").fit(rows)
    here = gp.Pipeline(operators, device="cpu").fit(plain)
    assert there.state_digest() == here.state_digest()
    assert there.report_.device.startswith("gpu")
    made, wanted = there.transform(rows, output="arrow"), here.transform(plain, output="arrow")
    assert made.equals(wanted)
    matrix = there.transform(rows, output="cupy")
    assert isinstance(matrix._taken_from, DeviceArray) and matrix._taken_from.device is device
    assert matrix.get().tobytes() == here.transform(plain, output="numpy").astype(np.float32).tobytes()
    assert ("categories" in str(there.explain(rows))) == (source == "frame")
    if source == "shown":
        assert isinstance(there.transform(rows), DataFrame) and there.explain(rows).on_host == {}
        assert gp.Pipeline(operators, device="cpu").fit(rows).state_digest() == here.state_digest()


SIZES = pa.table({"word": ["a", "b", ""], "size": [1.5, 2.0, 3.0], "mark": ["p", None, "q"]})
CHOSEN: dict[str, Any] = {
    "split": lambda rows: rows.split(test=0.3)[0],
    "other side": lambda rows: rows.split(test=0.3)[1],
    "keyed split": lambda rows: rows.split(test=0.4, key="word")[0],
    "identified": lambda rows: rows.with_key("k").split(test=0.4)[0],
    "filtered": lambda rows: rows.filter((col("k") > 0) & (col("word") != "b")),
    "a whole partition gone": lambda rows: rows.filter(col("at") >= 40),
    "all taken": lambda rows: rows.filter(col("at") >= 0),
    "joined": lambda rows: rows.join(SIZES, on="word"),
    "inner": lambda rows: rows.join(SIZES, on="word", how="inner").split(test=0.2)[0],
    "head": lambda rows: rows.filter(col("flag")).head(25),
}


@pytest.fixture
def found(device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch) -> Packages:
    """cuDF and CuPy over a device that is taken for the machine's."""
    gpu = standin.installed(monkeypatch, device)
    monkeypatch.setattr(devices._Look, "found", devices.Found(device, "a simulated one"))
    return gpu


def numbered(n: int) -> pa.Table:
    return given(n).drop_columns(["kind", "exact"]).append_column("at", pa.array(np.arange(n)))


@pytest.mark.parametrize("kind", ["frame", "parquet"])
@pytest.mark.parametrize("chosen", CHOSEN)
def test_rows_chosen_on_the_device_give_the_cpus_bits(
    found: Packages, tmp_path: Path, chosen: str, kind: str
) -> None:
    table, choose = numbered(90), CHOSEN[chosen]
    rows: Any = found.frame(table) if kind == "frame" else _file(tmp_path, table)
    source = choose(gp.scan(rows, partitions=2))
    wanted = choose(gp.scan(table if kind == "frame" else rows, partitions=2))
    joins = "size" in source.schema
    for at in range(len(source.partitions)):
        frame, report = source.load_with_report(at, None, found.device)
        host, of_host = wanted.load_with_report(at)
        assert frame.row_ids.tolist() == host.row_ids.tolist()
        assert frame.positions.tolist() == host.positions.tolist()
        assert (report.rows_read, report.rows_kept) == (of_host.rows_read, of_host.rows_kept)
        assert report.rows_filtered == of_host.rows_filtered
        assert set(report.on_host) == ({"size", "mark"} if joins else set())
        for name in source.schema:
            assert_same(frame.resident(name), host[name])
            if report.rows_read:
                assert isinstance(frame.resident(name), DeviceColumn) == (name not in ("size", "mark"))
    operators = [gp.numeric().fill_null("median").standardize(), gp.strings().codes(), col("when").dt.month()]
    there, here = (gp.Pipeline(operators, device=device) for device in ("gpu", "cpu"))
    assert there.fit(source).state_digest() == here.fit(wanted).state_digest()
    assert there.transform(source, output="arrow").equals(here.transform(wanted, output="arrow"))
    told = there.explain(source).on_host
    assert told == there.report_.on_host == ({"reading mark, size": JOINED} if joins else {})


JOINED = "it is looked up on the host, in the table that is joined"


def test_errors_of_chosen_rows_name_those_of_the_source(found: Packages, tmp_path: Path) -> None:
    table = numbered(90)
    bad = table.set_column(0, "x", pa.array(np.where(np.arange(90) == 77, 400.0, 1.0)))
    for device, rows in (("cpu", _file(tmp_path, bad)), ("gpu", _file(tmp_path, bad)), ("gpu", found.frame(bad))):
        source = gp.scan(rows, partitions=2).filter((col("at") % 7 == 0) & (col("at") > 10))
        with pytest.raises(CastError, match="the value 400 does not fit") as raised:
            gp.Pipeline([col("x").cast("Int8")], device=device).fit_transform(source)
        assert (raised.value.row, raised.value.column) == (77, "x")
        assert raised.value.row_group == (1 if isinstance(rows, Path) else None)


def test_what_crosses_the_bus_for_chosen_rows(
    found: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positions of the rows, once a frame; a column comes down only to be looked at by a step."""
    n, device = 3_000, found.device
    came_down: list[int] = []
    download = SimulatedDevice.download

    def counted(self: SimulatedDevice, array: DeviceArray, after: Any = None) -> Any:
        came_down.append(array.nbytes)
        return download(self, array, after)

    source = gp.scan(_file(tmp_path, numbered(n)))
    source.load_with_report(0, None, device)
    decoding = list(device.uploaded)  # how the stand-in for cuDF gets its columns there
    monkeypatch.setattr(SimulatedDevice, "download", counted)
    filtered = source.filter(col("k") > 0)
    for rows, down in ((source.split(test=0.2)[0], []), (filtered, [8 * n]), (source.filter(col("k") > -99), [8 * n])):
        device.uploaded.clear()
        came_down.clear()
        frame, report = rows.load_with_report(0, None, device)
        assert report.on_host == {} and all(isinstance(c, DeviceColumn) for c in frame.columns.values())
        taken = [4 * frame.n_rows] if frame.n_rows < n else []
        assert device.uploaded == [*decoding, *taken]
        assert came_down == down
    chain = [col("x").fill_null("median").standardize(), gp.strings().codes()]
    train, _ = source.split(test=0.2)
    sent = []
    for rows in (source, train):
        device.uploaded.clear()
        fitted = gp.Pipeline(chain, device="gpu").fit(rows)
        assert fitted.report_.on_host == {} == fitted.explain(rows).on_host
        sent.append([size for size in device.uploaded if size >= n])
    assert sent[1] == [*sent[0], 4 * train.count()]


def test_folds_of_a_split_are_taken_on_the_device(found: Packages, tmp_path: Path) -> None:
    train, test = gp.scan(_file(tmp_path, numbered(120)), partitions=2).split(test=0.25)
    features = [col("x").fill_null("mean").standardize(), col("word").codes()]
    told = []
    for device in ("cpu", "auto"):
        pipeline = gp.Pipeline(features, target=(col("k") > 0).alias("y"), model=LogisticRegression(), device=device)
        checked = gp.cross_validate(pipeline, train, folds=2)
        told.append((checked.metrics, pipeline.fit(train).evaluate(test).to_dict()))
    assert told[0] == told[1]


@pytest.mark.parametrize("partitions", [1, 3])
def test_features_leave_for_cudf_as_they_stand(
    device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch, partitions: int
) -> None:
    gpu = standin.installed(monkeypatch, device)
    monkeypatch.setattr(devices._Look, "found", devices.Found(device, "a simulated one"))
    table = given(100)
    kept = [col("x") * 2, col("k").cast("Int64"), col("flag"), col("when"), col("word"), (col("k") > 0).alias("more")]
    there = gp.Pipeline(kept, device="gpu").fit(table)
    here = gp.Pipeline(kept, device="cpu").fit(table)
    made = there.transform(gp.scan(gpu.frame(table), partitions=partitions), output="cudf")
    wanted = _plain(here.transform(table))
    assert made.to_arrow(preserve_index=False).cast(wanted.schema).equals(wanted)
    assert len(gpu.fakes.called("cudf.Series.from_arrow")) < len(kept) - 2
    assert len(gpu.fakes.called("pylibcudf.Column")) >= 3 * partitions
    frame = gpu.frame(table)
    frame.index = list(range(7, 107))
    assert there.transform(frame).index == frame.index


def test_columns_with_a_zone_or_without_rows_leave_through_the_host(gpu: Packages) -> None:
    zoned = Column(Datetime("UTC"), np.array([5], np.int64))
    empty = Column(Int64, np.zeros(0, np.int64))
    for column in (zoned, empty):
        held = uploaded(gpu.device, column)
        frame = cudf_frames.frame_of(["a"], [[held]])
        assert frame.to_arrow(preserve_index=False)["a"].combine_chunks().equals(to_arrow(column))
    assert len(gpu.fakes.called("cudf.Series.from_arrow")) == 2


def test_the_check_of_a_real_device_runs_and_finds_what_is_wrong(
    device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = standin.installed(monkeypatch, device)
    monkeypatch.setattr(devices._Look, "found", devices.Found(device, "a simulated one"))
    record = Record()
    border.run(record, 300)
    assert record.errors == {}
    told = [figure for step in record.figures.values() for name, figure in step.items() if "wrong values" in name]
    assert len(told) == len(border.FILES) + 6 and not any(told)
    assert record.figures["CuPy matrix out"] == {"equal": True, "one memory by DLPack": True, "row-major": True}
    monkeypatch.setattr(gpu.library, "encode", lambda input, **_: _one_number(gpu.library.__class__.encode, gpu, input))
    gpu.fakes.behaviour["pylibcudf.transform.encode"] = gpu.library.encode
    again = Record()
    border.run(again, 40)
    assert again.figures["Parquet, many pages"]["wrong values"] > 0


def test_what_the_host_read_is_no_figure_of_a_real_device(gpu: Packages, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise TypeError("read_parquet() got an unexpected keyword argument")

    monkeypatch.setattr(devices._Look, "found", devices.Found(gpu.device, "a simulated one"))
    gpu.fakes.behaviour["pylibcudf.io.parquet.read_parquet"] = refuse
    gpu.fakes.behaviour["pylibcudf.io.csv.read_csv"] = refuse
    record = Record()
    border.run(record, 40)
    assert {"CSV", *(f"Parquet, {name}" for name in border.FILES)} <= set(record.errors)
    assert "TypeError: read_parquet() got an unexpected" in record.errors["Parquet, many pages"]


def _one_number(encode: Any, gpu: Packages, table: Any) -> Any:
    """Every text is given the number of the last key."""
    keys, ids = encode(gpu.library, table)
    last = len(keys.columns()[0].to_arrow()) - 1
    return keys, libcudf_standin.Column(gpu.device, pa.array(np.full(ids.size(), last, np.int32)))


def _file(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, folder / "a.parquet", row_group_size=40)
    return folder / "a.parquet"


# -- out --------------------------------------------------------------------------------------------------------------
def test_output_and_set_output(gpu: Packages) -> None:
    fitted = gp.Pipeline([gp.numeric()], device="cpu").fit({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    data = {"a": [1.0], "b": [2.0]}
    assert isinstance(fitted.transform(data, output="cupy"), ndarray)
    assert isinstance(fitted.transform(data, output="cudf"), DataFrame)
    fitted.set_output(transform="cupy")
    assert fitted.transform(data).get().tolist() == [[1.0, 2.0]]
    with pytest.raises(ParameterError, match="'cudff'"):
        fitted.transform(data, output="cudff")


def test_a_matrix_on_the_device_is_not_copied(gpu: Packages) -> None:
    there = gpu.device.upload(np.arange(6, dtype=np.float32).reshape(3, 2))
    matrix = kinds.array_in("cupy", there)
    assert matrix._taken_from is there and isinstance(there, DeviceArray)
    assert kinds.array_in("numpy", there).tolist() == [[0, 1], [2, 3], [4, 5]]


def test_without_the_packages_the_extra_is_named() -> None:
    fitted = gp.Pipeline([gp.numeric()], device="cpu").fit({"a": [1.0, 2.0]})
    for kind in ("cupy", "cudf"):
        with pytest.raises(MissingDependencyError, match=r"gpupipe\[cuda13\]"):
            fitted.transform({"a": [1.0]}, output=kind)


def test_kinds_are_told_by_the_type_alone(gpu: Packages) -> None:
    assert kinds.kind_of(gpu.frame(table_of(3))) == "cudf" and kinds.kind_of(gpu.array(np.eye(2))) == "cupy"
    assert kinds.kind_of({"a": gpu.array(np.arange(2))}) == "arrow"
    assert kinds.kind_of_probabilities("cudf") == "cupy"
