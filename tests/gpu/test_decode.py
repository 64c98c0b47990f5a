"""Parquet decoded on a device: the same columns as the host's reader gives, or the reason why the host reads them."""

import datetime as dt
import gc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe.backends import devices
from gpupipe.backends.gpu import decode
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.libcudf import column_of
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.columns import Column, on_host
from gpupipe.errors import DeviceError, DeviceLostError, DeviceMemoryError, FileFormatError, SourceNotFoundError
from gpupipe.schema import Boolean, Date, Datetime, DType, Float32, Int8, Int64, String
from gpupipe.sources import on_device
from gpupipe.sources.border import to_arrow, to_column
from gpupipe.sources.parquet import ParquetPartition
from gpupipe.sources.partition import Comparison, Partition

from . import libcudf_standin as standin
from .api.fakes import Fakes
from .libcudf_standin import Libcudf
from .simulated import SimulatedDevice

Cudf = tuple[SimulatedDevice, Libcudf, Fakes]


@pytest.fixture
def cudf(monkeypatch: pytest.MonkeyPatch) -> Cudf:
    """A device, and cuDF's library over it; no kernel runs, so NVRTC is not needed."""
    device = SimulatedDevice()
    return device, *standin.installed(monkeypatch, device)


DAY, NOW = dt.date(2020, 2, 29), dt.datetime(2001, 2, 3, 4, 5, 6, 789)
KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "flag": (pa.bool_(), [True, False, None]),
    "byte": (pa.int8(), [-128, 127, None]),
    "short": (pa.int16(), [-5, 32767, None]),
    "int": (pa.int32(), [1, -(2**31), None]),
    "long": (pa.int64(), [2**53 + 1, -(2**63), None]),
    "ubyte": (pa.uint8(), [255, 0, None]),
    "ushort": (pa.uint16(), [65535, 0, None]),
    "uint": (pa.uint32(), [2**32 - 1, 0, None]),
    "ulong": (pa.uint64(), [2**64 - 1, 0, None]),
    "float": (pa.float32(), [0.1, float("nan"), None]),
    "double": (pa.float64(), [-0.0, float("inf"), None]),
    "day": (pa.date32(), [DAY, dt.date(1969, 12, 31), None]),
    "time": (pa.timestamp("us"), [NOW, dt.datetime(1900, 1, 1), None]),
    "zoned": (pa.timestamp("us", "Europe/Rome"), [NOW, dt.datetime(1900, 1, 1), None]),
    "word": (pa.string(), ["b", "", "äö", "b", None]),
    "date64": (pa.date64(), [DAY, None]),  # Parquet keeps days
    "coded": (pa.dictionary(pa.int32(), pa.string()), ["x", "y", "x", None]),
}


def table_of_kinds(n: int = 700) -> pa.Table:
    rows = np.random.default_rng(n)
    columns = {
        name: pa.array([values[at] for at in rows.integers(0, len(values), n)], kind)
        for name, (kind, values) in KINDS.items()
    }
    return pa.table({**columns, "whole": pa.array(np.arange(n)), "all": pa.array(["same"] * n, pa.string())})


def written(folder: Path, table: pa.Table, **options: Any) -> ParquetPartition:
    path = folder / "a.parquet"
    pq.write_table(table, path, **options)
    (partition,) = gp.scan(path).partitions
    assert isinstance(partition, ParquetPartition)
    return partition


def assert_same(found: Any, wanted: Column) -> None:
    """Types, nulls and the bytes of values are equal."""
    there = on_host(found)
    assert there.dtype == wanted.dtype and len(there) == len(wanted)
    left, right = plain(there), plain(wanted)
    assert left.is_valid().equals(right.is_valid())
    if isinstance(there.values, np.ndarray):
        valid = np.asarray(right.is_valid())
        assert there.values.dtype == wanted.values.dtype
        assert there.values[valid].tobytes() == wanted.values[valid].tobytes()
    else:
        assert left.equals(right)


def plain(column: Column) -> pa.Array:
    array = to_arrow(column)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def decoded_by(
    partition: Partition, names: Sequence[str], device: SimulatedDevice
) -> tuple[dict[str, DeviceColumn], dict[str, str]]:
    """The columns that are read into the device's memory, and why others are not."""
    reading, refused = on_device.read(partition, names, device)
    columns = reading.frame.columns
    return {name: column for name, column in columns.items() if isinstance(column, DeviceColumn)}, refused


# -- the same columns -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("nulls_first", [True, False])
@pytest.mark.parametrize("n", [1, 31, 32, 700])
def test_every_type_that_is_decoded_has_the_bytes_of_the_host(
    cudf: Cudf, tmp_path: Path, n: int, nulls_first: bool
) -> None:
    device, library, _ = cudf
    library.nulls_first = nulls_first
    partition = written(tmp_path, table_of_kinds(n), row_group_size=250)
    names = list(partition.types)
    found, refused = decoded_by(partition, names, device)
    assert refused == {} and list(found) == names
    host = partition.read(names).frame
    for name in names:
        assert_same(found[name], host[name])


def test_numbers_and_bitmaps_are_where_cudf_put_them(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    partition = written(tmp_path, table_of_kinds(100).select(["double", "whole", "flag"]))
    before = len(device.allocations)
    found, _ = decoded_by(partition, ["double", "whole", "flag"], device)
    assert len(device.allocations) - before == 5  # what the library made: three of values, two of bits; none of ours
    assert found["whole"].valid is None and found["double"].valid is not None
    assert found["double"].valid.shape == (4,) and found["double"].valid.dtype == np.uint32


def test_memory_lives_as_long_as_the_column(cudf: Cudf, tmp_path: Path) -> None:
    device, _, fakes = cudf
    partition = written(tmp_path, table_of_kinds(100).select(["double", "word"]))
    found, _ = decoded_by(partition, ["double", "word"], device)
    gc.collect()
    assert_same(found["double"], partition.read(["double"]).frame["double"])
    del found
    fakes.calls.clear()  # which remember what they were given
    gc.collect()
    assert device.live_bytes == 0


def test_text_is_sorted_entries_with_a_null_among_them(cudf: Cudf) -> None:
    device, _, _ = cudf
    found = column_of(device, standin.Column(device, pa.array(["b", None, "a", "b"])), String)
    assert found.entries is not None and found.ids is not None and found.valid is None
    assert found.known.values.to_pylist() == [None, "a", "b"]
    assert found.known.valid is not None and found.known.valid.tolist() == [False, True, True]
    assert found.ids.to_host().tolist() == [2, 0, 1, 2] and found.ids.dtype == np.int32
    assert found.known.values.type == pa.string()
    assert plain(found.to_host()).to_pylist() == ["b", None, "a", "b"]


@pytest.mark.parametrize("values", [[None, None], [""], ["", None]])
def test_text_that_is_null_or_empty_alone(cudf: Cudf, values: list[str | None]) -> None:
    device, _, _ = cudf
    array = pa.array(values, pa.string())
    assert_same(column_of(device, standin.Column(device, array), String), to_column(array))


@pytest.mark.parametrize("kind", [pa.string(), pa.int64()])
def test_no_rows(cudf: Cudf, kind: pa.DataType) -> None:
    device, _, _ = cudf
    dtype = String if kind == pa.string() else Int64
    found = column_of(device, standin.Column(device, pa.array([], kind)), dtype)
    assert len(found) == 0 and found.dtype == dtype and len(found.to_host()) == 0
    assert found.entries is None or len(found.entries) == 1


# -- slices -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("dtype", "arrow", "offset", "has_nulls", "copied"),
    [
        (Int64, pa.int64(), 2, False, False),
        (Int64, pa.int64(), 1, False, True),  # 8 bytes: amid what a kernel loads at once
        (Int64, pa.int64(), 32, True, False),
        (Int64, pa.int64(), 34, True, True),  # aligned, and its bits begin amid a word
        (Float32, pa.float32(), 4, False, False),
        (Float32, pa.float32(), 64, True, False),
        (Int8, pa.int8(), 16, False, False),
        (Int8, pa.int8(), 16, True, True),
        (Boolean, pa.bool_(), 32, True, False),
        (Date, pa.date32(), 33, True, True),
        (Datetime(), pa.timestamp("us"), 96, True, False),
    ],
)
def test_slices_are_read_where_they_begin(
    cudf: Cudf, dtype: DType, arrow: pa.DataType, offset: int, has_nulls: bool, copied: bool
) -> None:
    device, _, _ = cudf
    values = [at % 2 if dtype == Boolean else at for at in range(120)]
    given = [None if has_nulls and at % 3 == 0 else value for at, value in enumerate(values)]
    array = pa.array(given, pa.int32() if dtype == Date else pa.int64()).cast(arrow)
    whole = standin.Column(device, array)
    before = len(device.allocations)
    found = column_of(device, whole._slice(offset, 117), dtype)
    assert (len(device.allocations) > before) == copied
    assert found.values is not None and found.values.pointer % 16 == 0
    if not copied:
        assert whole._values is not None
        assert found.values.pointer == whole._values.ptr + offset * dtype.storage.itemsize
    assert_same(found, to_column(array.slice(offset, 117 - offset)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.none() | st.integers(-5, 5), min_size=1, max_size=140),
    st.integers(0, 139),
    st.integers(0, 139),
    st.sampled_from([pa.int8(), pa.int32(), pa.float64(), pa.string()]),
)
def test_any_slice_of_any_column(values: list[int | None], first: int, last: int, kind: pa.DataType) -> None:
    with pytest.MonkeyPatch.context() as patch:
        device = SimulatedDevice()
        standin.installed(patch, device)
        array = pa.array(values, pa.int64()).cast(kind)
        first, last = sorted((min(first, len(values)), min(last, len(values))))
        column = standin.Column(device, array)._slice(first, last)
        wanted = to_column(array.slice(first, last - first))
        assert_same(column_of(device, column, wanted.dtype), wanted)


# -- what is refused ------------------------------------------------------------------------------------------------
REFUSED: dict[str, tuple[pa.Array, str]] = {
    "decimal": (pa.array([Decimal("1.25"), None]), "decimal128(3, 2) is decoded on the host"),
    "millis": (pa.array([NOW, None], pa.timestamp("ms")), "timestamp[ms] is decoded on the host"),
    "nanos": (pa.array([1_000, None], pa.timestamp("ns", "UTC")), "timestamp[ns, tz=UTC] is decoded on the host"),
    "clock": (pa.array([dt.time(1, 2), None], pa.time64("us")), "time64[us] is decoded on the host"),
    "span": (pa.array([5, None], pa.duration("us")), "duration[us] is decoded on the host"),
    "half": (pa.array(np.array([1, 2], np.float16)), "halffloat is decoded on the host"),
    "bytes": (pa.array([b"ab", None]), "binary is decoded on the host"),
    "nothing": (pa.nulls(2), "null is decoded on the host"),
    "dotted.name": (pa.array([1, 2]), "cuDF takes the name 'dotted.name' for a path into a nested column"),
}


def test_other_types_come_from_the_host_and_say_why(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    table = pa.table({**{name: array for name, (array, _) in REFUSED.items()}, "plain": pa.array([1, 2])})
    partition = written(tmp_path, table)
    names = list(partition.types)
    reading, refused = on_device.read(partition, names, device)
    assert refused == {name: why for name, (_, why) in REFUSED.items()}
    assert isinstance(reading.frame.resident("plain"), DeviceColumn)
    assert not any(isinstance(reading.frame.resident(name), DeviceColumn) for name in refused)
    host = partition.read(names)
    for name in names:
        assert_same(reading.frame.resident(name), host.frame[name])
    assert reading.bytes_read == host.bytes_read
    assert list(reading.frame.columns) == names and reading.frame.row_ids.tolist() == [0, 1]


def test_a_file_whose_type_is_not_that_of_the_others(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    pq.write_table(pa.table({"x": pa.array([1, 2], pa.int32())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": pa.array([3, None], pa.int64())}), tmp_path / "b.parquet")
    first, second = gp.scan(tmp_path / "*.parquet").partitions
    assert on_device.decodable(first, ["x"]) == {"x": "it is Int32 in this file and Int64 in others"}
    reading, _ = on_device.read(first, ["x"], device)
    assert reading.frame["x"].values.tolist() == [1, 2] and reading.frame["x"].dtype == Int64
    reading, refused = on_device.read(second, ["x"], device)
    assert refused == {} and reading.frame.row_ids.tolist() == [2, 3]
    assert isinstance(reading.frame.resident("x"), DeviceColumn)


def test_another_type_than_the_footer_says_goes_to_the_host(cudf: Cudf, tmp_path: Path) -> None:
    device, library, _ = cudf
    partition = written(tmp_path, pa.table({"x": pa.array([1, 2], pa.uint32()), "y": [1, 2]}))
    library.wrong["x"] = pa.int64()  # as of files of Parquet's version 1
    reading, refused = on_device.read(partition, ["x", "y"], device)
    assert list(refused) == ["x"] and refused["x"] == "cuDF gives INT64, which is not UInt32"
    assert reading.frame["x"].values.dtype == np.uint32 and reading.frame["x"].values.tolist() == [1, 2]
    assert isinstance(reading.frame.resident("y"), DeviceColumn)


def test_one_column_that_cudf_refuses_does_not_take_others_along(cudf: Cudf, tmp_path: Path) -> None:
    device, library, fakes = cudf
    partition = written(tmp_path, table_of_kinds(60))
    names = list(partition.types)

    def read(options: Any, **more: Any) -> Any:
        if {"byte", "word"} & set(options._names):
            raise ValueError(f"an encoding of {options._names[0]} that is not known")
        return library.read_parquet(options, **more)

    fakes.behaviour["pylibcudf.io.parquet.read_parquet"] = read
    reading, refused = on_device.read(partition, names, device)
    assert refused.keys() == {"byte", "word"} and all(f"of {name} that" in why for name, why in refused.items())
    host = partition.read(names)
    assert list(reading.frame.columns) == names and reading.bytes_read == host.bytes_read
    for name in names:
        assert isinstance(reading.frame.resident(name), DeviceColumn) == (name not in refused)
        assert_same(reading.frame.resident(name), host.frame[name])
    assert len(fakes.called("pylibcudf.io.parquet.read_parquet")) == 1 + len(names)


def test_text_that_is_not_utf8_is_named_by_the_host(cudf: Cudf) -> None:
    device, _, _ = cudf
    bad = pa.array([b"a", b"\xff\xfe"], pa.large_binary()).view(pa.large_string())
    with pytest.raises(NotOnDevice, match="utf-8"):
        column_of(device, standin.Column(device, bad), String)


def test_other_partitions_are_of_the_host(cudf: Cudf) -> None:
    device, _, _ = cudf
    (memory,) = gp.scan({"x": [1, 2], "y": ["a", "b"]}).partitions
    assert on_device.decodable(memory, ["x"]) == {"x": "it is copied to the device as it stands on the host"}
    reading, refused = on_device.read(memory, ["y", "x"], device)
    assert set(refused) == {"x", "y"} and reading.frame["x"].values.tolist() == [1, 2]


def test_without_cudf_nothing_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partition = written(tmp_path, pa.table({"x": [1, 2]}))
    monkeypatch.setattr("gpupipe.optional.available", lambda package: False)
    reading, refused = on_device.read(partition, ["x"], SimulatedDevice())
    assert "not installed" in refused["x"] and reading.frame["x"].values.tolist() == [1, 2]


# -- row groups, batches, memory ------------------------------------------------------------------------------------
@pytest.mark.parametrize("error", [ImportError("libcudf.so: cannot open"), AttributeError("no row_stack")])
def test_a_cudf_that_does_not_load(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def load(module: str) -> Any:
        tried.append(module)
        raise error

    monkeypatch.setattr(devices, "optional", SimpleNamespace(available=lambda package: True, load=load))
    monkeypatch.setattr(devices._Look, "broken", {})
    partition, device = written(tmp_path, pa.table({"x": [1, 2]})), SimulatedDevice()
    for _ in range(2):
        reading, refused = on_device.read(partition, ["x"], device)
        assert f"cuDF is installed and does not load ({error})" in refused["x"]
        assert refused == on_device.decodable(partition, ["x"]) and reading.frame["x"].values.tolist() == [1, 2]
    assert tried == ["pylibcudf"], "once"
    monkeypatch.setattr(devices._Look, "found", devices.Found(device, "a simulated one"))
    page = gp.Pipeline([gp.col("x") * 2], device="gpu").explain(tmp_path / "a.parquet")
    assert str(error) in str(page) and str(error) in page.on_host["reading x"]


def test_the_row_groups_of_the_partition_alone(cudf: Cudf, tmp_path: Path) -> None:
    device, _, fakes = cudf
    pq.write_table(table_of_kinds(1000), tmp_path / "a.parquet", row_group_size=100)
    partitions = gp.scan(tmp_path / "a.parquet", partitions=3).partitions
    assert len(partitions) > 1
    for partition in partitions:
        reading, refused = on_device.read(partition, ["word", "double"], device)
        host = partition.read(["word", "double"])
        assert refused == {} and reading.bytes_read == host.bytes_read
        assert reading.frame.row_ids.tolist() == host.frame.row_ids.tolist()
        for name in ("word", "double"):
            assert_same(reading.frame.resident(name), host.frame[name])
    assert len(fakes.called("pylibcudf.io.parquet.read_parquet")) == len(partitions)


def test_row_groups_that_statistics_rule_out_are_not_decoded(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    table = table_of_kinds(500).append_column("odd", pa.array([Decimal(at % 7) for at in range(500)]))
    partition = written(tmp_path, table, row_group_size=100)
    for value, rows in ((250, range(200, 500)), (-1, range(500)), (900, range(0))):
        where = [Comparison("whole", "gt", value)]
        reading, _ = on_device.read(partition, ["whole", "word", "odd"], device, where)
        host = partition.read(["whole", "word", "odd"], where)
        assert reading.frame.row_ids.tolist() == host.frame.row_ids.tolist() == list(rows)
        assert reading.bytes_read == host.bytes_read
        assert isinstance(reading.frame.resident("word"), DeviceColumn) == bool(rows)
        for name in ("whole", "word", "odd"):
            assert_same(reading.frame.resident(name), host.frame[name])


def test_columns_are_read_in_batches(cudf: Cudf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device, _, fakes = cudf
    partition = written(tmp_path, table_of_kinds(500))
    names = list(partition.types)
    monkeypatch.setattr(decode, "_BATCH_BYTES", 6_000)
    found, refused = decoded_by(partition, names, device)
    assert refused == {} and list(found) == names
    asked = [call.args[0]._names for call in fakes.called("pylibcudf.io.parquet.read_parquet")]
    assert [name for batch in asked for name in batch] == names and len(asked) > 3
    host = partition.read(names).frame
    sizes = {name: 0 if host[name].dtype == String else host[name].values.nbytes for name in names}
    assert all(len(batch) == 1 or sum(sizes[name] for name in batch) <= 6_000 for batch in asked)


@pytest.mark.parametrize(("room", "calls"), [(0, 1), (-1, 2)])
def test_a_batch_may_be_full(
    cudf: Cudf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, calls: int
) -> None:
    device, _, fakes = cudf
    partition = written(tmp_path, pa.table({"x": np.arange(500) % 3, "y": np.arange(500) % 5}))
    monkeypatch.setattr(decode, "_BATCH_BYTES", 2 * 500 * 8 + room)  # a dictionary makes them smaller in the file
    found, _ = decoded_by(partition, ["x", "y"], device)
    assert list(found) == ["x", "y"] and len(fakes.called("pylibcudf.io.parquet.read_parquet")) == calls


def test_what_does_not_fit_at_once_is_read_in_passes(
    cudf: Cudf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, library, fakes = cudf
    partition = written(tmp_path, table_of_kinds(300))
    names = list(partition.types)
    monkeypatch.setattr(library, "read_parquet", None)
    full = standin.OutOfMemory("std::bad_alloc: out_of_memory: RMM failure at: pool_memory_resource.hpp")
    fakes.behaviour["pylibcudf.io.parquet.read_parquet"] = lambda *_, **__: (_ for _ in ()).throw(full)
    found, refused = decoded_by(partition, names, device)
    assert refused == {} and len(fakes.called("pylibcudf.io.parquet.ChunkedParquetReader")) == len(names)
    host = partition.read(names).frame
    for name in names:
        assert_same(found[name], host[name])


def test_memory_that_is_not_enough_for_one_column(cudf: Cudf, tmp_path: Path) -> None:
    device, _, fakes = cudf
    partition = written(tmp_path, pa.table({"x": np.arange(1000.0), "y": np.arange(1000.0)}))
    device.memory = 10_000
    with pytest.raises(DeviceMemoryError):
        decoded_by(partition, ["x", "y"], device)
    fakes.calls.clear()
    gc.collect()
    assert device.live_bytes == 0
    device.memory = 40_000
    found, _ = decoded_by(partition, ["x", "y"], device)
    assert found["y"].to_host().values[-1] == 999.0


# -- files that are not what they were --------------------------------------------------------------------------------
def test_a_file_that_was_changed_is_refused(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    partition = written(tmp_path, pa.table({"x": [1, 2, 3]}))
    pq.write_table(pa.table({"x": [1, 2, 4]}), partition.file.path, compression="gzip")
    with pytest.raises(FileFormatError, match="changed or replaced"):
        on_device.read(partition, ["x"], device)
    Path(partition.file.path).unlink()
    with pytest.raises(SourceNotFoundError):
        on_device.read(partition, ["x"], device)


def test_a_damaged_column_is_told_as_on_the_host(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": np.arange(5000), "y": np.arange(5000) % 7}), path, compression="gzip")
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)  # the first pages: the footer stays
    path.write_bytes(content)
    (partition,) = gp.scan(path).partitions
    with pytest.raises(FileFormatError) as here:
        partition.read(["x"])
    with pytest.raises(FileFormatError) as there:
        on_device.read(partition, ["x"], device)
    assert str(there.value) == str(here.value)


def test_a_file_cut_short(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    partition = written(tmp_path, pa.table({"x": np.arange(5000)}))
    path = Path(partition.file.path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match=r"a\.parquet"):
        on_device.read(partition, ["x"], device)


def test_a_sticky_error_ends_it_and_an_odd_one_goes_to_the_host(cudf: Cudf, tmp_path: Path) -> None:
    device, library, _ = cudf
    partition = written(tmp_path, pa.table({"x": [1, 2]}))
    library.fails = RuntimeError("CUDA error encountered at: x.cu:9: 98 cudaErrorInvalidDeviceFunction")
    with pytest.raises(DeviceError):
        on_device.read(partition, ["x"], device)
    library.fails = ValueError("Unsupported Parquet compression type: LZ5")
    reading, refused = on_device.read(partition, ["x"], device)
    assert "LZ5" in refused["x"] and reading.frame["x"].values.tolist() == [1, 2]
    library.fails = RuntimeError("Fatal CUDA error encountered at: page_data.cu:9: 700 cudaErrorIllegalAddress an …")
    with pytest.raises(DeviceLostError):
        on_device.read(partition, ["x"], device)
    library.fails = None
    with pytest.raises(DeviceLostError, match="cannot be used any more"):
        on_device.read(partition, ["x"], device)


@pytest.mark.parametrize(
    "text",
    [
        "read_parquet() got an unexpected keyword argument 'steam'",
        "read_parquet() takes 1 positional argument but 2 were given",
        "Argument 'options' has incorrect type (expected ParquetReaderOptions, got str)",
    ],
)
def test_a_wrong_call_of_ours_is_no_refusal_of_cudfs(cudf: Cudf, tmp_path: Path, text: str) -> None:
    device, library, _ = cudf
    partition = written(tmp_path, pa.table({"x": [1, 2]}))
    library.fails = TypeError(text)
    with pytest.raises(TypeError, match=text.partition("(")[0]):
        on_device.read(partition, ["x"], device)
    library.fails = TypeError("Unsupported type LIST")
    assert "cuDF refused it (TypeError: Unsupported type LIST)" in on_device.read(partition, ["x"], device)[1]["x"]


def test_rows_or_columns_that_the_footer_does_not_have(cudf: Cudf, tmp_path: Path) -> None:
    device, _, fakes = cudf
    partition = written(tmp_path, pa.table({"x": [1, 2], "y": [3, 4]}))
    short = standin.Column(device, pa.array([1]))
    for columns, names in (([short, short], ["x", "y"]), ([short], ["x"])):
        table = standin.TableWithMetadata(standin.Table(columns), names)
        fakes.behaviour["pylibcudf.io.parquet.read_parquet"] = lambda *_, table=table, **__: table
        reading, refused = on_device.read(partition, ["x", "y"], device)
        assert "the footer has" in refused["x"] and reading.frame["y"].values.tolist() == [3, 4]
